//! `hairline models`: what there is, what is installed, downloading and verifying.

use std::ops::ControlFlow;

use clap::{Args, Subcommand};

use super::console::Console;
use super::interrupt;
use crate::count::count;
use crate::model::catalog::{self, CatalogEntry};
use crate::model::hub::{self, Hub};
use crate::model::{Backbone, ClipSegModel, ModelSource, POCKET, POCKET_SEG, models_dir};
use crate::{Error, Result, gpu};

/// Arguments of `hairline models`.
#[derive(Clone, Debug, Args)]
pub struct ModelsArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// The embedded model, the catalogue, and what is installed
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Load a model and describe it
    Info {
        /// Catalogue id, `pocket`, a folder in the Hugging Face layout, or a timm ViT's safetensors file
        #[arg(value_name = "ID|DIR")]
        id: String,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Download a model; an interrupted download goes on where it stopped
    Pull {
        /// Id of the form organisation/name
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Compare a downloaded model's files with their checksums
    Verify {
        /// Id of an installed model; without one all are verified
        #[arg(value_name = "ID")]
        id: Option<String>,
    },
}

/// Runs one of the verbs.
pub fn run(args: ModelsArgs, console: &Console) -> Result<()> {
    match args.what {
        What::List { json } => list(json, console),
        What::Info { id, json } => info(&id, json),
        What::Pull { id } => pull(&id, console),
        What::Verify { id } => verify(id, console),
    }
}

fn list(json: bool, console: &Console) -> Result<()> {
    let rows = catalog::listed()?;
    if json {
        return Console::print_json(&rows);
    }
    let width = rows.iter().map(|row| row.id.len()).max().unwrap_or(0);
    for row in rows {
        let state = if row.installed { "installed" } else { "-" };
        let size = if row.megabytes > 0 { format!("{} MB", row.megabytes) } else { String::new() };
        let line = format!("{:width$}  {state:<9}  {size:>8}  {}", row.id, row.summary);
        if !Console::print(line.trim_end()) {
            return Ok(());
        }
    }
    console.note(format!("Models are kept in {}", models_dir()?.display()));
    Ok(())
}

fn info(id: &str, json: bool) -> Result<()> {
    let source = match ModelSource::resolve(id) {
        Ok(source) => source,
        Err(error) => {
            // Not installed, but known: say what the catalogue says.
            let Some(entry) = catalog::find(id)? else { return Err(error) };
            if json {
                return Console::print_json(&entry);
            }
            describe(&entry);
            return Ok(());
        }
    };
    let device = gpu::Compute::cpu().device;
    let (info, purpose) = if ClipSegModel::is(&source)? {
        let model = ClipSegModel::load(&source, &device)?;
        let read: Vec<usize> = model.config().decoder.extract_layers.iter().map(|layer| layer + 1).collect();
        (model.info().clone(), ("Decoder reads", format!("blocks {read:?}")))
    } else {
        let model = Backbone::load(&source, &device)?;
        (model.info().clone(), ("Layers compared", format!("{:?}", model.default_layers())))
    };
    if json {
        return Console::print_json(&info);
    }
    let patch_head = if info.has_patch_head { format!("{} numbers", info.patch_head_dim) } else { "none".to_owned() };
    let text = if info.has_text { format!("{} tokens at most", info.max_tokens) } else { "none".to_owned() };
    for (name, value) in [
        ("Id", info.id.clone()),
        ("SHA-256", info.sha256.clone()),
        ("Input", format!("{} px, patches of {} px", info.image_size, info.patch_size)),
        ("Vision tower", format!("{} blocks of width {}", info.layers, info.width)),
        purpose,
        ("Embedding", format!("{} numbers", info.embedding_dim)),
        ("Patch embedding", patch_head),
        ("Text", text),
    ] {
        if !Console::print(&format!("{name:<16}  {value}")) {
            break;
        }
    }
    Ok(())
}

fn describe(entry: &CatalogEntry) {
    for (name, value) in [
        ("Id", entry.id.clone()),
        ("Installed", format!("no; hairline models pull {}", entry.id)),
        ("Size", format!("about {} MB", entry.megabytes)),
        ("Licence", entry.licence.clone()),
        ("What", entry.summary.clone()),
    ] {
        if !Console::print(&format!("{name:<16}  {value}")) {
            break;
        }
    }
}

fn pull(id: &str, console: &Console) -> Result<()> {
    if [POCKET, POCKET_SEG].contains(&id) {
        console.note(format!("{id} is part of the program; there is nothing to download."));
        return Ok(());
    }
    interrupt::listen()?;
    let hub = Hub::from_environment()?;
    let entry = catalog::find(id)?.unwrap_or_else(|| CatalogEntry::unlisted(id));
    let size = if entry.megabytes > 0 { format!("about {} MB", entry.megabytes) } else { entry.summary.clone() };
    console.note(format!("{id}, {size}. Licence: {}", entry.licence));
    let mut current: Option<(String, super::console::Progress)> = None;
    let folder = hub.pull(&entry, &mut |step| {
        if current.as_ref().is_none_or(|(file, _)| *file != step.file) {
            let total = step.total.unwrap_or(0);
            current = Some((step.file.clone(), console.bytes(total, &step.file)));
        }
        if let Some((_, progress)) = &mut current {
            progress.set(step.done);
        }
        if interrupt::wanted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    drop(current);
    let files = hub::verify(&folder)?;
    console.note(format!("{} complete and verified.", count(files, "file", "files")));
    Console::print(&folder.display().to_string());
    Ok(())
}

fn verify(id: Option<String>, console: &Console) -> Result<()> {
    let mut models = catalog::installed()?;
    if let Some(id) = id {
        if [POCKET, POCKET_SEG].contains(&id.as_str()) {
            Console::print(&format!("{id}  part of the program"));
            return Ok(());
        }
        models.retain(|model| model.id == id);
        if models.is_empty() {
            return Err(Error::input(format!("{id} is not installed. Download it: hairline models pull {id}")));
        }
    }
    if models.is_empty() {
        console.note("No model is installed besides the embedded ones.");
    }
    let mut damaged = 0;
    for model in models {
        match hub::verify(&model.folder) {
            Ok(files) => {
                Console::print(&format!("{}  {} as downloaded", model.id, count(files, "file", "files")));
            }
            Err(error) => {
                damaged += 1;
                Console::failure(&error);
            }
        }
    }
    match damaged {
        0 => Ok(()),
        n => Err(Error::model(format!("{n} of the models could not be verified; the reasons stand above."))),
    }
}
