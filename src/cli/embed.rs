//! `hairline embed`: embeddings of images or texts and patch features as NumPy files, for other programs and for
//! checking against other implementations. Uses the model's own preprocessing, crop included.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::console::Console;
use super::{Common, interrupt};
use crate::anomaly::prompt::normalise;
use crate::gpu::linear::Precision;
use crate::model::{Backbone, Geometry, ModelSource, Want};
use crate::photo::{Photo, find_photos};
use crate::{Error, Result, gpu, report};

/// Photos or texts in one pass of a tower.
const BATCH: usize = 16;

/// Arguments of `hairline embed`.
#[derive(Clone, Debug, Args)]
pub struct EmbedArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Embeddings of photos: float32 `[n, dim]`
    Image(ImageArgs),
    /// Embeddings of texts: float32 `[n, dim]`
    Text(TextArgs),
}

#[derive(Clone, Debug, Args)]
struct ImageArgs {
    /// Photos, or folders that are searched at every depth
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// File to write; the photos in order of its rows go to stdout
    #[arg(long, value_name = "FILE.npy")]
    out: PathBuf,
    /// How networks multiply on the processor: f32, or bf16, about twice as fast with AVX-512 BF16; scores move a little
    #[arg(long, value_name = "P", default_value_t)]
    precision: Precision,
    /// Do not scale rows to length 1
    #[arg(long)]
    raw: bool,
    /// Patch features of these blocks, counted from 1, instead: float32 `[n, layers, patches, width]`
    #[arg(long, value_name = "LAYERS", value_delimiter = ',')]
    patches: Vec<usize>,
}

#[derive(Clone, Debug, Args)]
struct TextArgs {
    /// Texts, each one row
    #[arg(required = true, value_name = "STRING")]
    texts: Vec<String>,
    /// File to write
    #[arg(long, value_name = "FILE.npy")]
    out: PathBuf,
    /// How networks multiply on the processor: f32, or bf16, about twice as fast with AVX-512 BF16; scores move a little
    #[arg(long, value_name = "P", default_value_t)]
    precision: Precision,
    /// Do not scale rows to length 1
    #[arg(long)]
    raw: bool,
}

/// Computes and writes.
pub fn run(args: EmbedArgs, common: &Common, console: &Console) -> Result<()> {
    interrupt::listen()?;
    match args.what {
        What::Image(args) => images(&args, common, console),
        What::Text(args) => texts(args, common, console),
    }
}

fn load(common: &Common, precision: Precision, console: &Console) -> Result<Backbone> {
    let source = ModelSource::resolve(common.model.as_deref().unwrap_or("pocket"))?;
    let compute = gpu::choose(common.device)?.in_precision(precision)?;
    let model = Backbone::load(&source, &compute.device)?.in_precision(precision)?;
    console.note(format!("Model {} on {}", model.info().id, compute.name));
    Ok(model)
}

fn texts(args: TextArgs, common: &Common, console: &Console) -> Result<()> {
    let model = load(common, args.precision, console)?;
    let rows = model.text_tower()?.encode_texts(&args.texts)?;
    write(&args.out, rows, &[model.info().embedding_dim], args.raw, console)
}

fn images(args: &ImageArgs, common: &Common, console: &Console) -> Result<()> {
    // Path by path, so that rows come in the order given.
    let (mut photos, mut failures) = (Vec::new(), Vec::new());
    for path in &args.paths {
        let (found, unusable) = find_photos(std::slice::from_ref(path), true);
        for failure in &unusable {
            Console::failure(&failure.error);
        }
        photos.extend(found);
        failures.extend(unusable);
    }
    let model = load(common, args.precision, console)?;
    let want = Want { layers: args.patches.clone(), ..Want::default() };
    let mut progress = console.progress(photos.len() as u64, "photos embedded");
    let (mut rows, mut names, mut shape) = (Vec::new(), Vec::new(), None);
    for (index, batch) in photos.chunks(BATCH).enumerate() {
        if interrupt::wanted() {
            return Err(Error::Cancelled);
        }
        let mut prepared = Vec::with_capacity(batch.len());
        for path in batch {
            match Photo::open(path).and_then(|photo| model.prepare(&photo, Geometry::Reference)) {
                Ok(image) => {
                    prepared.push(image);
                    names.push(path);
                }
                Err(error) => {
                    progress.suspend(|| Console::failure(&error));
                    failures.push(crate::photo::Failure { path: path.clone(), error });
                }
            }
        }
        for features in model.encode_images(&prepared, &want)? {
            if args.patches.is_empty() {
                shape = Some(vec![features.embedding.len()]);
                rows.push(features.embedding);
            } else {
                shape = Some(vec![features.layers.len(), features.rows * features.cols, features.width]);
                rows.push(features.layers.into_iter().flat_map(|layer| layer.hidden).collect());
            }
        }
        progress.set((index * BATCH + batch.len()) as u64);
    }
    drop(progress);
    let Some(shape) = shape else {
        return Err(Error::input("No photo could be read, so nothing was written. Correct the paths named above."));
    };
    // Patches are normalised one by one, embeddings row by row: both along the last axis.
    write(&args.out, rows, &shape, args.raw, console)?;
    for name in names {
        if !Console::print(&name.display().to_string()) {
            break;
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Error::input(format!(
            "{} of the paths given could not be used (named above); the rest is written. Correct or leave them out.",
            failures.len()
        )))
    }
}

/// Writes `[rows, shape…]`, vectors along the last axis scaled to length 1 unless `raw`.
fn write(path: &Path, mut rows: Vec<Vec<f32>>, shape: &[usize], raw: bool, console: &Console) -> Result<()> {
    let width = shape.last().copied().unwrap_or(1).max(1);
    if !raw {
        for row in &mut rows {
            row.chunks_exact_mut(width).for_each(|vector| {
                normalise(vector);
            });
        }
    }
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        report::create_folder(dir)?;
    }
    let full: Vec<u64> = std::iter::once(rows.len()).chain(shape.iter().copied()).map(|n| n as u64).collect();
    report::write_npy(path, &full, &rows.concat())?;
    console.note(format!("float32 {full:?} written to {}", path.display()));
    Ok(())
}
