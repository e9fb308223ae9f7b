//! `hairline segment train`: a decoder on photos with masks, behind frozen towers or with their last blocks.

use std::path::PathBuf;

use clap::Args;

use super::prompts;
use crate::cli::console::Console;
use crate::cli::{Common, interrupt};
use crate::count::count;
use crate::dataset::masked::MaskedFolder;
use crate::model::POCKET_SEG;
use crate::train::precision::PrecisionPolicy;
use crate::train::segmentation::{SegmentTraining, TrainEvent, base, train};
use crate::{Error, Result, gpu};

/// Arguments of `hairline segment train`.
#[derive(Clone, Debug, Args)]
pub struct TrainArgs {
    /// Photos with masks to learn from; the layouts of `evaluate`
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Photos with masks to judge each epoch on [default: a fifth of DIR, chosen by the seed]
    #[arg(long, value_name = "DIR")]
    val: Option<PathBuf>,
    /// Phrases for each class as RON, {"class": ["phrase", …]}, or one phrase where there is one class
    #[arg(long, value_name = "FILE.ron|T")]
    prompts: String,
    /// Folder of the run; the trained model is its sub-folder `model`. A run that was stopped goes on
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Side of the square network input in pixels [default: the model's own; 256 where the decoder is new]
    #[arg(long, value_name = "PX")]
    input: Option<u32>,
    #[arg(long, value_name = "N", default_value_t = 30)]
    epochs: usize,
    #[arg(long, value_name = "N", default_value_t = 8)]
    batch_size: usize,
    /// Batches whose gradients are added up before a step
    #[arg(long, value_name = "N", default_value_t = 1)]
    accumulate: usize,
    /// Highest learning rate
    #[arg(long, value_name = "R", default_value_t = 1e-3)]
    lr: f64,
    /// Weight of the binary cross-entropy
    #[arg(long, value_name = "W", default_value_t = 1.0)]
    bce_weight: f64,
    /// Weight of the Dice loss
    #[arg(long, value_name = "W", default_value_t = 1.0)]
    dice_weight: f64,
    /// Share of the examples with words for what the photo does not show, and an empty answer
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    negatives: f64,
    /// Versions of each photo (mirrored, cut, in other light) that are learned from
    #[arg(long, value_name = "N", default_value_t = 4)]
    variants: usize,
    /// Stop after so many epochs without a better Dice; 0 for never
    #[arg(long, value_name = "N", default_value_t = 0)]
    patience: usize,
    /// Blocks of the vision tower below the decoder that learn as well, at a tenth of the rate; 0 leaves it as it is
    #[arg(long, value_name = "N", default_value_t = 0)]
    deeper: usize,
    /// Number type of the passes: f16 (weights stay f32, the loss is scaled) or f32; auto is f16 on a graphics adapter that
    /// computes in it
    #[arg(long, value_name = "P", default_value = "auto", value_parser = precision)]
    precision: PrecisionPolicy,
}

/// For `--precision`.
pub(in crate::cli) fn precision(text: &str) -> std::result::Result<PrecisionPolicy, String> {
    text.parse().map_err(|error: Error| error.to_string())
}

/// Trains.
pub fn run(args: &TrainArgs, common: &Common, console: &Console) -> Result<()> {
    let mut folder = MaskedFolder::open(&args.dir)?;
    let seed = common.seed.unwrap_or(0);
    let validation = match &args.val {
        Some(dir) => MaskedFolder::open(dir)?,
        None => folder.split(seed)?,
    };
    let compute = gpu::choose(common.device)?;
    let settings = SegmentTraining {
        precision: args.precision.choose(&compute)?,
        prompts: prompts(&args.prompts, &folder.classes)?,
        epochs: args.epochs,
        batch_size: args.batch_size,
        accumulate: args.accumulate,
        rate: args.lr,
        bce_weight: args.bce_weight,
        dice_weight: args.dice_weight,
        negatives: args.negatives,
        variants: args.variants,
        patience: args.patience,
        deeper: args.deeper,
        seed,
        ..SegmentTraining::default()
    };
    settings.check()?;
    let base = base(common.model.as_deref().unwrap_or(POCKET_SEG), args.input, &compute.device)?;
    console.note(format!(
        "Model {} on {} in {}; {} to learn from, {} to judge on",
        base.info().id,
        compute.name,
        settings.precision,
        count(folder.photos.len(), "photo", "photos"),
        validation.photos.len()
    ));
    let (mut last, mut kept) = (std::time::Instant::now(), false);
    let trained = train(base, &folder, &validation, &settings, &args.out, |event| {
        kept |= matches!(event, TrainEvent::Resumed(_) | TrainEvent::Epoch(_));
        if event.is_milestone() || last.elapsed().as_secs() >= 5 {
            last = std::time::Instant::now();
            console.note(event.to_string());
        }
        !interrupt::wanted()
    })
    .inspect_err(|error| {
        if matches!(error, Error::Cancelled) {
            console.note(if kept {
                "Finished epochs are kept; the same command goes on from there."
            } else {
                "No epoch was finished; the same command begins anew."
            });
        }
    })?;
    if let Some(best) = trained.epochs.get(trained.best.wrapping_sub(1)) {
        let figure = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.3}"));
        Console::print(&format!(
            "best epoch {} of {}: IoU {}, Dice {} on the photos judged on",
            trained.best,
            trained.epochs.len(),
            figure(best.iou),
            figure(best.dice)
        ));
    }
    if let Some(speed) = trained.examples_per_second {
        console.note(format!("{speed:.1} examples trained per second"));
    }
    console.note(format!("Use it with --model {}", trained.folder.display()));
    Ok(())
}
