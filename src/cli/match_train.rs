//! `hairline match train`: a CLIP model fine-tuned on the photos and descriptions of a table, and what that brought.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::console::{Console, Progress};
use super::segment::train::precision;
use super::{Common, interrupt};
use crate::count::count;
use crate::matching::{BadRow, read_pairs};
use crate::model::{ClipModel, ModelSource};
use crate::report::ModelIdentity;
use crate::report::json::VERSION;
use crate::train::match_figures::FIGURES;
use crate::train::match_news::MatchNews;
use crate::train::match_settings::{MatchTraining, Tune};
use crate::train::matching::{MatchTrained, train};
use crate::train::pair_set::PairSet;
use crate::train::precision::PrecisionPolicy;
use crate::{Error, Result, gpu, report};

/// Bad rows named on the console; all of them are in `summary.json`.
const NAMED: usize = 20;

/// Arguments of `hairline match train`.
#[derive(Clone, Debug, Args)]
pub struct TrainArgs {
    /// Table to learn from: image_path, text and, where there are descriptions that do not fit, label (match or mismatch)
    #[arg(long, value_name = "F")]
    train_csv: PathBuf,
    /// Table to judge each epoch on; without it nothing says whether the model got better
    #[arg(long, value_name = "F")]
    val_csv: Option<PathBuf>,
    /// Folder of the run; the trained model is its sub-folder `best_model`. A run that was stopped goes on
    #[arg(long, value_name = "DIR", default_value = "hairline-match")]
    output: PathBuf,
    #[arg(long, value_name = "N", default_value_t = 3)]
    epochs: usize,
    /// Matching pairs in a batch; each photo is told from the others of its batch
    #[arg(long, value_name = "N", default_value_t = 8)]
    batch_size: usize,
    /// Highest learning rate. The default is for whole towers; LoRA wants about 1e-4, projections about 1e-3
    #[arg(long, value_name = "R", default_value_t = 5e-6)]
    lr: f64,
    /// Steps between two checkpoints
    #[arg(long, value_name = "N", default_value_t = 100)]
    save_steps: usize,
    /// Folder that relative photo paths start from [default: that of the table]
    #[arg(long, value_name = "D")]
    root_dir: Option<PathBuf>,
    /// What is trained: full (both towers), vision or text (one tower, the other frozen), projections (both towers
    /// frozen), lora (low-rank additions to the attention weights, merged when saved)
    #[arg(long, value_name = "WHAT", default_value = "full", value_parser = tune)]
    tune: Tune,
    /// Rank of the low-rank additions of --tune lora
    #[arg(long, value_name = "N", default_value_t = 8)]
    lora_rank: usize,
    /// Mismatch rows that each pair brings into its batch at most
    #[arg(long, value_name = "N", default_value_t = 1)]
    hard_negatives: usize,
    /// Number type of the passes: f16 (weights stay f32, the loss is scaled) or f32; auto is f16 on a graphics adapter that
    /// computes in it
    #[arg(long, value_name = "P", default_value = "auto", value_parser = precision)]
    precision: PrecisionPolicy,
    /// Print what came of it as one JSON document
    #[arg(long)]
    json: bool,
}

fn tune(text: &str) -> std::result::Result<Tune, String> {
    text.parse().map_err(|error: Error| error.to_string())
}

/// `summary.json`, and stdout with `--json`.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    version: &'static str,
    /// The model that the run began with.
    model: ModelIdentity,
    device: &'a str,
    settings: &'a MatchTraining,
    train: TableDocument<'a>,
    validation: Option<TableDocument<'a>>,
    #[serde(flatten)]
    outcome: &'a MatchTrained,
}

#[derive(Debug, Serialize)]
struct TableDocument<'a> {
    csv: String,
    photos: usize,
    texts: usize,
    matches: usize,
    mismatches: usize,
    /// Mismatch rows that no batch can use.
    idle_mismatches: usize,
    repeated: usize,
    failures: &'a [BadRow],
}

impl<'a> TableDocument<'a> {
    fn new(path: &Path, set: &'a PairSet) -> Self {
        Self {
            csv: path.display().to_string(),
            photos: set.photos.len(),
            texts: set.texts.len(),
            matches: set.matches.len(),
            mismatches: set.mismatches.len(),
            idle_mismatches: set.idle(),
            repeated: set.repeated,
            failures: &set.bad,
        }
    }
}

/// Trains.
pub fn run(args: &TrainArgs, common: &Common, console: &Console) -> Result<()> {
    interrupt::listen()?;
    if let Some(root) = args.root_dir.as_deref().filter(|root| !root.is_dir()) {
        return Err(Error::input(
            "--root-dir is no folder, so no photo would be found. Check the spelling of the path.",
        )
        .at(root));
    }
    let compute = gpu::choose(common.device)?;
    let settings = MatchTraining {
        tune: args.tune,
        lora_rank: args.lora_rank,
        epochs: args.epochs,
        batch_size: args.batch_size,
        hard_negatives: args.hard_negatives,
        rate: args.lr,
        save_steps: args.save_steps,
        precision: args.precision.choose(&compute)?,
        seed: common.seed.unwrap_or(0),
        ..MatchTraining::default()
    };
    settings.check()?;
    report::create_folder(&args.output)?;
    let table = |path: &Path| {
        let pairs = read_pairs(path, args.root_dir.as_deref())?;
        let mut progress = console.progress(pairs.rows.len() as u64, "photos opened");
        PairSet::open(&pairs, |done, _| {
            progress.set(done as u64);
            !interrupt::wanted()
        })
    };
    let learned = table(&args.train_csv)?;
    let judged = args.val_csv.as_deref().map(table).transpose()?;
    name_bad_rows(&args.train_csv, &learned, console);
    if let (Some(path), Some(set)) = (&args.val_csv, &judged) {
        name_bad_rows(path, set, console);
    }
    let source = ModelSource::resolve(common.model.as_deref().unwrap_or(crate::model::POCKET))?;
    let base = ClipModel::load(&source, &compute.device)?;
    console.note(format!(
        "Model {} on {} in {}; {} of {} and {} to learn from, {}, {} to judge on",
        base.info().id,
        compute.name,
        settings.precision,
        count(learned.matches.len(), "pair", "pairs"),
        count(learned.photos.len(), "photo", "photos"),
        count(learned.texts.len(), "text", "texts"),
        count(learned.mismatches.len(), "mismatch", "mismatches"),
        count(judged.as_ref().map_or(0, |set| set.matches.len()), "pair", "pairs")
    ));
    let outcome = learn(&base, &learned, judged.as_ref(), &settings, args, console)?;
    let summary = Summary {
        version: VERSION,
        model: ModelIdentity::of(base.info()),
        device: &compute.name,
        settings: &settings,
        train: TableDocument::new(&args.train_csv, &learned),
        validation: args.val_csv.as_deref().zip(judged.as_ref()).map(|(path, set)| TableDocument::new(path, set)),
        outcome: &outcome,
    };
    report::write_json(&args.output.join("summary.json"), &summary)?;
    if args.json {
        Console::print_json(&summary)?;
    } else {
        print_outcome(&outcome);
    }
    conclude(&outcome, source == ModelSource::Pocket, console);
    let failed = learned.bad.len() + judged.as_ref().map_or(0, |set| set.bad.len());
    if failed == 0 {
        return Ok(());
    }
    let rows = count(failed, "row", "rows");
    Err(Error::input(format!("{rows} could not be used. The model was trained on the others.")))
}

/// Trains, with progress on the console.
fn learn(
    base: &ClipModel,
    learned: &PairSet,
    judged: Option<&PairSet>,
    settings: &MatchTraining,
    args: &TrainArgs,
    console: &Console,
) -> Result<MatchTrained> {
    let mut progress: Option<Progress> = None;
    train(base, learned, judged, settings, &args.output, |news| {
        let counted = match *news {
            MatchNews::Prepared { done, total } => Some((done, total, "photos and texts embedded")),
            MatchNews::Judging { done, total } => Some((done, total, "photos and texts judged")),
            MatchNews::Stepped { step, steps, .. } => Some((step, steps, "steps made")),
            MatchNews::Resumed { .. } | MatchNews::Base(_) | MatchNews::Epoch(_) => {
                match &progress {
                    Some(progress) => progress.suspend(|| console.note(news.to_string())),
                    None => console.note(news.to_string()),
                }
                None
            }
        };
        if let Some((done, total, what)) = counted {
            // A count that begins anew has another total.
            let same = progress.take().filter(|progress| done > 0 && progress.counts(what));
            let mut now = same.unwrap_or_else(|| console.progress(total as u64, what));
            now.set(done as u64);
            progress = Some(now);
        }
        !interrupt::wanted()
    })
    .inspect_err(|error| {
        if matches!(error, Error::Cancelled) {
            console.note("The state of the run is kept; the same command goes on from there.");
        }
    })
}

fn name_bad_rows(path: &Path, set: &PairSet, console: &Console) {
    for row in set.bad.iter().take(NAMED) {
        Console::failure(&Error::input(format!("{}, line {}: {}", path.display(), row.line, row.error)));
    }
    if set.bad.len() > NAMED {
        Console::failure(&Error::input(format!(
            "{} of {}, named in summary.json.",
            count(set.bad.len() - NAMED, "more row", "more rows"),
            path.display()
        )));
    }
    if set.repeated > 0 {
        let (rows, repeat) = if set.repeated == 1 {
            ("row", "repeats another one and counts")
        } else {
            ("rows", "repeat another one and count")
        };
        console.note(format!("{} {rows} of {} {repeat} once.", set.repeated, path.display()));
    }
    if set.idle() > 0 {
        console.warn(format!(
            "Nothing is learned from {} of {}: neither photo nor text occurs in a row that fits.",
            count(set.idle(), "mismatch row", "mismatch rows"),
            path.display()
        ));
    }
}

/// A table: before, the best epoch, the change.
fn print_outcome(outcome: &MatchTrained) {
    let Some(best) = outcome.epochs.get(outcome.best.wrapping_sub(1)) else { return };
    let (Some(base), Some(now)) = (&outcome.base, &best.validation) else {
        Console::print(&format!("epoch {} of {}: loss {:.4}", best.epoch, outcome.epochs.len(), best.loss));
        return;
    };
    let best = format!("epoch {}", outcome.best);
    Console::print(&format!("{:<22}{:>9}{best:>10}{:>10}", "validation", "before", "change"));
    for (name, figure) in FIGURES {
        if let (Some(before), Some(after)) = (figure(base), figure(now)) {
            Console::print(&format!("{name:<22}{before:>9.3}{after:>10.3}{:>+10.3}", after - before));
        }
    }
}

/// Warnings, speed, and what to do with the model.
fn conclude(outcome: &MatchTrained, pocket: bool, console: &Console) {
    for warning in &outcome.warnings {
        console.warn(warning);
    }
    if outcome.base.is_none() {
        console.warn(
            "Without --val-csv nothing says whether the model got better, and best_model is simply the last epoch's.",
        );
    }
    if outcome.skipped_steps > 0 {
        let steps = count(outcome.skipped_steps as usize, "step was", "steps were");
        console.note(format!("{steps} left out: f16 had no room for the gradients."));
    }
    if let Some(speed) = outcome.pairs_per_second {
        console.note(format!("{speed:.1} pairs trained per second"));
    }
    console.note(format!(
        "{} of {} weights were trained. Use the model with --model {}",
        outcome.trained_weights,
        outcome.weights,
        outcome.folder.display()
    ));
    if pocket {
        console.note("A trained pocket opens in Hairline only: transformers does not know its convolutional stem.");
    }
}
