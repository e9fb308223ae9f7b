//! `hairline segment evaluate`: IoU and Dice for each class and over all, a row per photo, and a page that shows the worst
//! first.

use std::path::PathBuf;

use clap::Args;

use super::{load, prompts};
use crate::cli::console::Console;
use crate::cli::{Common, all_but, interrupt};
use crate::dataset::masked::MaskedFolder;
use crate::photo::Photo;
use crate::report::{self, segments};
use crate::segment::{Evaluation, SegmentOptions, evaluate, segment};
use crate::{Error, Result};

/// Arguments of `hairline segment evaluate`.
#[derive(Clone, Debug, Args)]
pub struct EvaluateArgs {
    /// Folder with `images` and `masks` (one mask a photo, or a folder of them for each class), or in the MVTec-AD layout
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Phrases for each class as RON, {"class": ["phrase", …]}, or one phrase where there is one class
    #[arg(long, value_name = "FILE.ron|T")]
    prompts: String,
    /// Folder for the results; it is created
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Probability from which a pixel belongs to the mask
    #[arg(long, value_name = "P", default_value_t = 0.5)]
    threshold: f32,
    /// Go over large photos in square tiles of this side, in pixels
    #[arg(long, value_name = "PX")]
    tile: Option<u32>,
    /// Print evaluation.json to stdout instead of a table
    #[arg(long)]
    json: bool,
}

/// Measures and writes.
pub fn run(args: &EvaluateArgs, common: &Common, console: &Console) -> Result<()> {
    let folder = MaskedFolder::open(&args.dir)?;
    let prompts = prompts(&args.prompts, &folder.classes)?;
    let options = SegmentOptions { threshold: args.threshold, tile: args.tile, ..SegmentOptions::default() };
    options.check()?;
    let model = load(common, console)?;
    let classes: Vec<String> = prompts.keys().cloned().collect();
    let mut embeddings = Vec::new();
    for (class, phrases) in &prompts {
        embeddings.push((class.clone(), mean(&model.encode_texts(phrases)?)));
    }
    report::create_folder(&args.out)?;
    let mut bar = console.progress(folder.photos.len() as u64, "photos measured");
    let predict = |masked: &crate::dataset::masked::MaskedPhoto| {
        let photo = Photo::open_to_judge(&masked.path)?;
        let layers = segment(&model, &photo, &embeddings, &options)?;
        Ok((photo, layers.into_iter().map(|layer| layer.map.scores).collect()))
    };
    let evaluation = evaluate(&folder, &classes, f64::from(args.threshold), predict, |done| {
        bar.set(done as u64);
        !interrupt::wanted()
    })?;
    drop(bar);
    for (_, error) in &evaluation.failures {
        Console::failure(error);
    }
    report::write_json(&args.out.join("evaluation.json"), &evaluation)?;
    write_csv(args, &evaluation)?;
    let page =
        segments::Gallery { title: &args.dir.display().to_string(), model: model.info(), evaluation: &evaluation };
    page.write(&args.out.join("report.html"), |path| {
        let masked = folder.photos.iter().find(|photo| photo.path == path);
        let masked = masked.ok_or_else(|| Error::bug("a photo of the evaluation is not of its folder."))?;
        let photo = Photo::open(path)?;
        let layers = segment(&model, &photo, &embeddings, &options)?;
        let truths = classes.iter().map(|class| masked.truth(&photo, class)).collect::<Result<Vec<_>>>()?;
        Ok((photo.pixels, layers, truths))
    })?;
    if args.json {
        Console::print_json(&evaluation)?;
    } else {
        print(&evaluation);
    }
    console.note(format!("Results: {}", args.out.join("report.html").display()));
    all_but(evaluation.failures.len(), "photo", "measured", "done", "above")
}

/// What stands for a class: the mean of its phrases.
fn mean(phrases: &[Vec<f32>]) -> Vec<f32> {
    let mut mean = vec![0.0; phrases[0].len()];
    for phrase in phrases {
        mean.iter_mut().zip(phrase).for_each(|(mean, value)| *mean += value / phrases.len() as f32);
    }
    mean
}

fn print(evaluation: &Evaluation) {
    let figure = |value: Option<f64>| value.map_or("    –".to_owned(), |value| format!("{value:5.3}"));
    let head = format!(
        "{:20} {:>6} {:>6} {:>6} {:>6} {:>6} {:>9} {:>6} {:>6}",
        "class", "photos", "IoU", "Dice", "mIoU", "mDice", "best at", "IoU", "Dice"
    );
    if !Console::print(&head) {
        return;
    }
    for row in evaluation.classes.iter().chain([&evaluation.overall]) {
        let line = format!(
            "{:20} {:>6} {:>6} {:>6} {:>6} {:>6} {:>9} {:>6} {:>6}",
            row.class,
            row.photos,
            figure(row.iou),
            figure(row.dice),
            figure(row.mean_iou),
            figure(row.mean_dice),
            figure(row.best_threshold),
            figure(row.best_iou),
            figure(row.best_dice)
        );
        if !Console::print(&line) {
            return;
        }
    }
}

fn write_csv(args: &EvaluateArgs, evaluation: &Evaluation) -> Result<()> {
    report::write_file(&args.out.join("photos.csv"), |out| {
        let mut rows = csv::Writer::from_writer(Vec::new());
        for photo in &evaluation.photos {
            rows.serialize(photo)?;
        }
        let bytes = rows.into_inner().map_err(|e| std::io::Error::other(e.to_string()))?;
        out.write_all(&bytes)
    })?;
    Ok(())
}
