//! `hairline synth`: procedural parts with defects and masks in the MVTec-AD layout.

use std::path::PathBuf;

use clap::Args;

use super::console::Console;
use super::{Common, interrupt};
use crate::count::count;
use crate::dataset::synth::{SynthOptions, write_dataset};
use crate::{Result, report};

/// Arguments of `hairline synth`.
#[derive(Clone, Debug, Args)]
pub struct SynthArgs {
    /// Folder for the classes; it is created
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Products, each a class folder
    #[arg(long, value_name = "N", default_value_t = 4)]
    classes: usize,
    /// Normal photos for reference per class
    #[arg(long, value_name = "N", default_value_t = 16)]
    train: usize,
    /// Normal photos for testing per class
    #[arg(long, value_name = "N", default_value_t = 10)]
    good: usize,
    /// Defective photos for testing per class
    #[arg(long, value_name = "N", default_value_t = 20)]
    defective: usize,
    /// Side of the square photos in pixels
    #[arg(long, value_name = "PX", default_value_t = 256)]
    size: usize,
}

/// Writes the dataset.
pub fn run(args: SynthArgs, common: &Common, console: &Console) -> Result<()> {
    interrupt::listen()?;
    report::create_folder(&args.out)?;
    let options = SynthOptions {
        out: args.out,
        seed: common.seed.unwrap_or(0),
        classes: args.classes,
        train: args.train,
        good: args.good,
        defective: args.defective,
        size: args.size,
        ..SynthOptions::default()
    };
    let total = args.classes.saturating_mul(args.train + args.good + args.defective);
    let mut progress = console.progress(total as u64, "photos written");
    let summary = write_dataset(&options, |done, _| {
        progress.set(done as u64);
        !interrupt::wanted()
    })?;
    drop(progress);
    console.note(format!(
        "{}, {}, {} written to {}",
        count(summary.classes, "class", "classes"),
        count(summary.photos, "photo", "photos"),
        count(summary.masks, "mask", "masks"),
        options.out.display()
    ));
    Ok(())
}
