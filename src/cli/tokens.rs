//! `hairline tokens`: token ids of texts as the text tower sees them, begin and end token included, not padded.

use clap::Args;

use super::Common;
use super::console::Console;
use crate::model::config::{ClipConfig, TextConfig};
use crate::model::tokenizer::Tokenizer;
use crate::model::{ClipModel, ModelSource, open_clip};
use crate::{Error, Result, gpu};

/// Arguments of `hairline tokens`.
#[derive(Clone, Debug, Args)]
pub struct TokensArgs {
    /// Texts; `-` reads them from stdin, one a line
    #[arg(required = true, value_name = "STRING")]
    texts: Vec<String>,
}

/// Prints one JSON array a line.
pub fn run(args: TokensArgs, common: &Common) -> Result<()> {
    let source = ModelSource::resolve(common.model.as_deref().unwrap_or("pocket"))?;
    let ids = ids_of(&source)?;
    let print = |text: &str| -> Result<bool> {
        let ids = serde_json::to_string(&ids(text)?)
            .map_err(|e| Error::bug(format!("token ids cannot be written as JSON ({e}).")))?;
        Ok(Console::print(&ids))
    };
    for text in &args.texts {
        if text == "-" {
            for line in std::io::stdin().lines() {
                let line = line.map_err(|e| Error::io("Cannot read the texts", "stdin", &e))?;
                if !print(&line)? {
                    return Ok(());
                }
            }
        } else if !print(text)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Texts to ids.
type Ids = Box<dyn Fn(&str) -> Result<Vec<u32>>>;

/// From a text to its ids. Of a folder only the tokenizer and the configuration are read, no weights; a folder without a
/// configuration has the published lengths of CLIP.
fn ids_of(source: &ModelSource) -> Result<Ids> {
    match source {
        // Its tokenizer is that of `pocket`.
        ModelSource::Pocket | ModelSource::PocketSeg => {
            let model = ClipModel::load(&ModelSource::Pocket, &gpu::Compute::cpu().device)?;
            Ok(Box::new(move |text| model.token_ids(text)))
        }
        ModelSource::File(path) => {
            Err(Error::input("A lone weight file has no tokenizer. Choose the folder of a CLIP model.").at(path))
        }
        ModelSource::Folder(folder) => {
            let (config, open_clip) = (folder.join("config.json"), folder.join("open_clip_config.json"));
            let text_config = if config.is_file() {
                ClipConfig::read(&config)?.text_config
            } else if open_clip.is_file() {
                open_clip::read(&open_clip)?.0.text_config
            } else {
                TextConfig::default()
            };
            let tokenizer = Tokenizer::open(folder, &text_config)?;
            Ok(Box::new(move |text| tokenizer.ids(text)))
        }
    }
}
