//! `hairline segment`: masks by words (CLIPSeg), how well they meet the truth, and training of the decoder.

mod evaluate;
mod masks;
mod predict;
pub(super) mod train;

use std::collections::BTreeMap;
use std::path::Path;

use clap::{Args, Subcommand};
use sha2::{Digest as _, Sha256};

use super::console::Console;
use super::{Common, interrupt, without_model};
use crate::model::{ClipSegModel, ModelSource, POCKET_SEG};
use crate::photo::hex;
use crate::{Error, Result, gpu};

/// Bytes of a name made of words at most: the stem of a photo, up to 150 bytes, comes before it and `_probability.png` after
/// it, and file names end at 255.
const MOST_NAME: usize = 80;

/// Arguments of `hairline segment`.
#[derive(Clone, Debug, Args)]
pub struct SegmentArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Find what words name, or what an example picture shows, and write masks
    Predict(predict::PredictArgs),
    /// Measure IoU and Dice against masks
    Evaluate(evaluate::EvaluateArgs),
    /// Train a decoder on photos with masks
    Train(train::TrainArgs),
    /// Write COCO annotations (polygons, runs, packed runs) as black and white PNG masks
    Masks(masks::MasksArgs),
}

/// Runs the verb asked for.
pub fn run(args: SegmentArgs, common: &Common, console: &Console) -> Result<()> {
    interrupt::listen()?;
    match args.what {
        What::Predict(args) => predict::run(&args, common, console),
        What::Evaluate(args) => evaluate::run(&args, common, console),
        What::Train(args) => train::run(&args, common, console),
        What::Masks(args) => {
            without_model(common, "segment masks")?;
            masks::run(&args, console)
        }
    }
}

/// The model that `--model` names.
fn load(common: &Common, console: &Console) -> Result<ClipSegModel> {
    let source = ModelSource::resolve(common.model.as_deref().unwrap_or(POCKET_SEG))?;
    let compute = gpu::choose(common.device)?;
    let model = ClipSegModel::load(&source, &compute.device)?;
    console.note(format!("Model {} on {}", model.info().id, compute.name));
    Ok(model)
}

/// Class → phrases from `--prompts`: a RON file of that form, or one phrase for the only class of `classes`.
fn prompts(text: &str, classes: &[String]) -> Result<BTreeMap<String, Vec<String>>> {
    let path = Path::new(text);
    if path.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("ron")) {
        return match classes {
            [only] => Ok(BTreeMap::from([(only.clone(), vec![text.to_owned()])])),
            several => Err(Error::input(format!(
                "The masks are of {} classes ({}), but --prompts gives one phrase. Give a RON file: {{\"class\": [\"phrase\", …]}}.",
                several.len(),
                several.join(", ")
            ))),
        };
    }
    let file = std::fs::read_to_string(path).map_err(|e| Error::io("Cannot read the prompts", path, &e))?;
    let prompts: BTreeMap<String, Vec<String>> = ron::from_str(&file).map_err(|e| {
        Error::input(format!("The prompts are not of the form {{\"class\": [\"phrase\", …]}}: {e}.")).at(path)
    })?;
    if let Some((class, _)) = prompts.iter().find(|(_, phrases)| phrases.is_empty()) {
        return Err(Error::input(format!("The class `{class}` has no phrase. Give it at least one.")).at(path));
    }
    if let Some(class) = prompts.keys().find(|class| !classes.contains(class)) {
        return Err(Error::input(format!(
            "There is no mask of the class `{class}`; there are: {}. Correct the prompts or the folders.",
            classes.join(", ")
        ))
        .at(path));
    }
    if prompts.is_empty() {
        return Err(Error::input("The file names no class.").at(path));
    }
    Ok(prompts)
}

/// Words as the name of one file or folder. Long ones are cut; a piece of their SHA-256 keeps those apart that begin alike.
fn folder_name(words: &str) -> Result<String> {
    let name: String =
        words.trim().chars().map(|c| if c.is_alphanumeric() || "-_. ".contains(c) { c } else { '_' }).collect();
    if name.is_empty() || name.starts_with('.') {
        return Err(Error::input(format!("`{words}` cannot name a file or folder. Use other words.")));
    }
    if name.len() <= MOST_NAME {
        return Ok(name);
    }
    let sum = hex(&Sha256::digest(words.as_bytes()));
    let kept = &name[..name.floor_char_boundary(MOST_NAME - 9)];
    Ok(format!("{}_{}", kept.trim_end(), &sum[..8]))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn long_words_become_short_names_that_stay_apart() {
        assert_eq!(folder_name(" a hole / slot ").unwrap(), "a hole _ slot");
        let exact = "x".repeat(MOST_NAME);
        assert_eq!(folder_name(&exact).unwrap(), exact);
        for words in ["a very long crack ".repeat(34), "ü".repeat(300), "裂".repeat(300)] {
            let (one, other) = (folder_name(&words).unwrap(), folder_name(&format!("{words}!")).unwrap());
            assert!(one.len() <= MOST_NAME && other.len() <= MOST_NAME, "{one} {other}");
            assert!(one != other && words.starts_with(one.rsplit_once('_').unwrap().0), "{one} {other}");
            assert_eq!(one, folder_name(&words).unwrap());
        }
        assert!(folder_name("..").is_err() && folder_name(" ").is_err());
    }
}
