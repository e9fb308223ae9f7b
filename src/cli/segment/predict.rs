//! `hairline segment predict`: masks of what words name, or of what an example picture shows.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::{folder_name, load};
use crate::anomaly::Region;
use crate::cli::console::Console;
use crate::cli::{Common, all_but, interrupt};
use crate::count::count;
use crate::model::ClipSegModel;
use crate::photo::{Photo, find_photos};
use crate::report::{self, segments};
use crate::segment::guided::Guided;
use crate::segment::{Layer, SegmentOptions, segment};
use crate::{Error, Result};

/// Arguments of `hairline segment predict`.
#[derive(Clone, Debug, Args)]
pub struct PredictArgs {
    /// Photos, or folders that are searched at every depth
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// What to find, in words; several times for several things
    #[arg(long, value_name = "T", required_unless_present = "example")]
    prompt: Vec<String>,
    /// A picture of what to find, cropped to it; several times for several things
    #[arg(long, value_name = "IMAGE")]
    example: Vec<PathBuf>,
    /// Folder for the results; it is created
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Probability from which a pixel belongs to the mask
    #[arg(long, value_name = "P", default_value_t = 0.5)]
    threshold: f32,
    /// Go over large photos in square tiles of this side, in pixels
    #[arg(long, value_name = "PX")]
    tile: Option<u32>,
    /// Share of a tile's side that it has in common with its neighbour
    #[arg(long, value_name = "SHARE", default_value_t = 0.25)]
    overlap: f32,
    /// Take the edges of masks from the photo: half side of the window in pixels
    #[arg(long, value_name = "PX")]
    guided: Option<usize>,
    /// Print segments.json to stdout instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    version: &'a str,
    model: report::ModelIdentity,
    threshold: f32,
    photos: Vec<PhotoDocument>,
    /// Stopped before every photo was segmented.
    cancelled: bool,
    failures: Vec<FailureDocument>,
}

#[derive(Serialize)]
struct PhotoDocument {
    path: PathBuf,
    width: u32,
    height: u32,
    layers: Vec<LayerDocument>,
}

#[derive(Serialize)]
struct LayerDocument {
    prompt: String,
    /// Share of the photo in the mask.
    share: f32,
    mask: String,
    probability: String,
    regions: Vec<Region>,
}

#[derive(Serialize)]
struct FailureDocument {
    path: PathBuf,
    error: String,
}

/// Segments and writes.
pub fn run(args: &PredictArgs, common: &Common, console: &Console) -> Result<()> {
    let options = SegmentOptions {
        threshold: args.threshold,
        tile: args.tile,
        overlap: args.overlap,
        guided: args.guided.map(|radius| Guided { radius, epsilon: 1e-3 }),
        ..SegmentOptions::default()
    };
    options.check()?;
    let model = load(common, console)?;
    let prompts = encode(args, &model)?;
    let slugs = prompts.iter().map(|(words, _)| folder_name(words)).collect::<Result<Vec<_>>>()?;
    if let Some(twice) = slugs.iter().enumerate().find(|(i, slug)| slugs[..*i].contains(slug)) {
        return Err(Error::input(format!("Two prompts would be written as `{}`. Use other words.", twice.1)));
    }
    let (photos, unusable) = find_photos(&args.paths, true);
    let mut failures: Vec<(PathBuf, Error)> =
        unusable.into_iter().map(|failure| (failure.path, failure.error)).collect();
    let given = photos.len() + failures.len();
    report::create_folder(&args.out)?;
    let stems = report::unique_stems(&photos);
    let mut progress = console.progress(photos.len() as u64, "photos segmented");
    let mut documents = Vec::new();
    for (done, (path, stem)) in photos.iter().zip(&stems).enumerate() {
        if interrupt::wanted() {
            break;
        }
        let outcome =
            Photo::open_to_judge(path).and_then(|photo| Ok((segment(&model, &photo, &prompts, &options)?, photo)));
        match outcome {
            Ok((layers, photo)) => documents.push(write(&args.out, stem, &slugs, &photo, &layers, args.threshold)?),
            Err(error) => failures.push((path.clone(), error)),
        }
        progress.set(done as u64 + 1);
    }
    drop(progress);
    let cancelled = documents.len() + failures.len() < given;
    for (_, error) in &failures {
        Console::failure(error);
    }
    let document = Document {
        version: env!("CARGO_PKG_VERSION"),
        model: report::ModelIdentity { id: model.info().id.clone(), sha256: model.info().sha256.clone() },
        threshold: args.threshold,
        photos: documents,
        cancelled,
        failures: failures
            .iter()
            .map(|(path, error)| FailureDocument { path: path.clone(), error: error.to_string() })
            .collect(),
    };
    report::write_json(&args.out.join("segments.json"), &document)?;
    write_csv(&args.out.join("segments.csv"), &document)?;
    if args.json {
        Console::print_json(&document)?;
    } else {
        for photo in &document.photos {
            for LayerDocument { prompt, share, regions, .. } in &photo.layers {
                let unit = if regions.len() == 1 { "region " } else { "regions" };
                let (percent, path) = (share * 100.0, photo.path.display());
                let line = format!("{percent:6.2} %  {:3} {unit}  {prompt}  {path}", regions.len());
                if !Console::print(&line) {
                    break;
                }
            }
        }
    }
    let photos = count(document.photos.len(), "photo", "photos");
    console.note(format!("{photos} segmented. Results: {}", args.out.display()));
    if cancelled {
        return Err(Error::Cancelled);
    }
    all_but(failures.len(), "file", "used", "done", "above")
}

/// The prompts in words and by example, with their embeddings.
fn encode(args: &PredictArgs, model: &ClipSegModel) -> Result<Vec<(String, Vec<f32>)>> {
    let mut prompts: Vec<(String, Vec<f32>)> =
        args.prompt.iter().cloned().zip(model.encode_texts(&args.prompt)?).collect();
    for path in &args.example {
        let image = model.prepare(&Photo::open(path)?)?;
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        prompts.extend(model.encode_examples(&[image])?.into_iter().map(|embedding| (name.clone(), embedding)));
    }
    Ok(prompts)
}

fn write(
    dir: &Path,
    stem: &str,
    slugs: &[String],
    photo: &Photo,
    layers: &[Layer],
    threshold: f32,
) -> Result<PhotoDocument> {
    let mut documents = Vec::new();
    for (layer, slug) in layers.iter().zip(slugs) {
        let (mask, probability) = (format!("{stem}_{slug}_mask.png"), format!("{stem}_{slug}_probability.png"));
        report::write_png(&dir.join(&mask), &report::images::mask(&layer.map, threshold).into())?;
        report::write_png(&dir.join(&probability), &segments::probability(&layer.map).into())?;
        documents.push(LayerDocument {
            prompt: layer.prompt.clone(),
            share: layer.share,
            mask,
            probability,
            regions: layer.regions.clone(),
        });
    }
    report::write_png(
        &dir.join(format!("{stem}_overlay.png")),
        &segments::overlay(&photo.pixels, layers, threshold).into(),
    )?;
    Ok(PhotoDocument { path: photo.path.clone(), width: photo.width(), height: photo.height(), layers: documents })
}

fn write_csv(path: &Path, document: &Document<'_>) -> Result<()> {
    report::write_file(path, |out| {
        let mut rows = csv::Writer::from_writer(Vec::new());
        rows.write_record(["path", "prompt", "share", "regions", "largest_area", "peak"])?;
        for photo in &document.photos {
            for LayerDocument { prompt, share, regions, .. } in &photo.layers {
                let largest = regions.iter().map(|region| region.area).max().unwrap_or(0);
                let peak = regions.iter().map(|region| region.peak).fold(0.0, f32::max);
                rows.write_record([
                    &photo.path.display().to_string(),
                    prompt,
                    &format!("{share:.6}"),
                    &regions.len().to_string(),
                    &largest.to_string(),
                    &format!("{peak:.4}"),
                ])?;
            }
        }
        let bytes = rows.into_inner().map_err(|e| std::io::Error::other(e.to_string()))?;
        out.write_all(&bytes)
    })?;
    Ok(())
}
