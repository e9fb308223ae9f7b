//! The curves of a run on descriptions: losses by step and epoch, and how well photos and texts of the table judged on find
//! each other, beside what the model did before it was trained.

use egui::Ui;

use crate::app::match_training::MatchRun;
use crate::app::panels::training::curves::{self, Curve, Plot};
use crate::app::theme;
use crate::app::widgets::table::{TableRow, table};
use crate::train::match_figures::{FIGURES, MatchFigures};
use crate::train::matching::MatchEpoch;

/// Shows curves and table.
pub fn show(ui: &mut Ui, run: &MatchRun) {
    let by_epoch = |value: &dyn Fn(&MatchEpoch) -> Option<f64>| -> Vec<[f64; 2]> {
        run.epochs.iter().filter_map(|epoch| Some([epoch.epoch as f64, value(epoch)?])).collect()
    };
    let judged = |name: &'static str, colour: usize, value: fn(&MatchFigures) -> Option<f64>| {
        let points = by_epoch(&|epoch| value(epoch.validation.as_ref()?));
        Curve::new(name, colour, points, run.base.as_ref().and_then(value))
    };
    let batches = run.batches.iter().map(|(at, loss)| [*at, *loss]).collect();
    let losses = [
        Curve::new("learning", 4, by_epoch(&|epoch| Some(epoch.loss)), None).with_batches(batches),
        judged("judged on", 1, |figures| Some(figures.loss)),
    ];
    let found = [
        judged("AUROC", 2, |figures| figures.auroc),
        judged("photo → text", 6, |figures| Some(figures.photo_to_text)),
        judged("text → photo", 5, |figures| Some(figures.text_to_photo)),
    ];
    // One batch may be far above all others, and would flatten them.
    let epochs = losses.iter().flat_map(|curve| curve.points.iter().map(|point| point[1]).chain(curve.before));
    let highest = epochs.fold(0.0, f64::max);
    let most = if highest > 0.0 { 1.5 * highest } else { f64::INFINITY };
    let shown = if run.setup.validation.is_some() { 2 } else { 1 };
    let plots = [
        Plot { title: "Losses", curves: &losses[..shown], top: curves::top_of(&losses, most) },
        Plot { title: "Table judged on", curves: &found, top: 1.0 },
    ];
    curves::show(ui, &plots[..shown], run.setup.epochs);
    ui.add_space(theme::GAP);
    figures(ui, run);
}

/// Before, best and the change, side by side.
fn figures(ui: &mut Ui, run: &MatchRun) {
    let Some(base) = &run.base else { return };
    let best = run.best().and_then(|best| Some((best.epoch, best.validation?)));
    let rows: Vec<TableRow> = FIGURES
        .iter()
        .filter_map(|(name, figure)| {
            let before = figure(base)?;
            let after = best.and_then(|(_, figures)| figure(&figures));
            let said = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.3}"));
            let change = after.map_or("–".to_owned(), |after| format!("{:+.3}", after - before));
            let values = vec![said(Some(before)), said(after), change];
            Some(TableRow { name: (*name).to_owned(), values, ..TableRow::default() })
        })
        .collect();
    let head = best.map_or("best epoch".to_owned(), |(epoch, _)| format!("epoch {epoch}"));
    table(ui, "table judged on", &["before", &head, "change"], &rows);
}
