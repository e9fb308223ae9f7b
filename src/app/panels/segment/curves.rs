//! The curves of a run: losses by batch and epoch, and how well the photos judged on are met, beside what the network gave
//! before it was trained.

use egui::Ui;

use crate::app::panels::training::curves::{self, Curve, Plot};
use crate::app::theme;
use crate::app::training::TrainRun;
use crate::app::widgets::table::{TableRow, table};
use crate::train::segmentation::{EpochFigures, Judged};

/// Losses above this are cut off: they would flatten all others.
const HIGHEST_LOSS: f64 = 3.0;

/// Shows curves and table.
pub fn show(ui: &mut Ui, run: &TrainRun) {
    let by_epoch = |value: fn(&EpochFigures) -> Option<f64>| -> Vec<[f64; 2]> {
        run.epochs.iter().filter_map(|epoch| Some([epoch.epoch as f64, value(epoch)?])).collect()
    };
    let batches = |place: usize| run.batches.iter().map(|(at, losses)| [*at, losses[place]]).collect();
    let losses = [
        Curve::new("BCE", 4, by_epoch(|epoch| Some(epoch.bce)), None).with_batches(batches(0)),
        Curve::new("Dice loss", 5, by_epoch(|epoch| Some(epoch.dice_loss)), None).with_batches(batches(1)),
    ];
    let met = [
        Curve::new("IoU", 1, by_epoch(|epoch| epoch.iou), run.base.and_then(|base| base.iou)),
        Curve::new("Dice", 2, by_epoch(|epoch| epoch.dice), run.base.and_then(|base| base.dice)),
    ];
    let top = curves::top_of(&losses, HIGHEST_LOSS);
    let plots = [
        Plot { title: "Losses while learning", curves: &losses, top },
        Plot { title: "Photos judged on", curves: &met, top: 1.0 },
    ];
    curves::show(ui, &plots, run.setup.epochs);
    ui.add_space(theme::GAP);
    figures(ui, run);
}

/// Before, best and last, side by side.
fn figures(ui: &mut Ui, run: &TrainRun) {
    let figure = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.3}"));
    let row = |name: String, judged: Judged, strong: bool| TableRow {
        name,
        values: vec![
            figure(judged.iou),
            figure(judged.dice),
            figure(judged.best_dice),
            judged.best_threshold.map_or("–".to_owned(), |value| format!("{value:.2}")),
        ],
        strong,
        tooltip: None,
    };
    let mut rows = Vec::new();
    if let Some(base) = run.base {
        rows.push(row("before training".to_owned(), base, false));
    }
    if let Some(best) = run.best() {
        rows.push(row(format!("best epoch, {}", best.epoch), best.judged(), true));
    }
    if let Some(last) = run.epochs.last().filter(|last| run.best().is_none_or(|best| best.epoch != last.epoch)) {
        rows.push(row(format!("last epoch, {}", last.epoch), last.judged(), false));
    }
    if !rows.is_empty() {
        table(ui, "photos judged on", &["IoU", "Dice", "best Dice", "at"], &rows);
    }
}
