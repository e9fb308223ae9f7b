//! What was predicted: the photo on view with a bar per label, and the matrix of all photos whose class is known.

use std::collections::HashSet;
use std::sync::Arc;

use egui::{Sense, Ui, vec2};
use egui_material_icons::icons::{ICON_CLOSE, ICON_COMPARE_ARROWS};

use crate::app::action::{Action, Desk};
use crate::app::classifying::Predicted;
use crate::app::panels::evaluate::per_class;
use crate::app::panels::film_strip::paint_thumbnail;
use crate::app::photo_list::{Focus, Rule};
use crate::app::state::photos;
use crate::app::theme::{self, palette};
use crate::app::widgets::bars as draw_bars;
use crate::app::widgets::figure;
use crate::app::widgets::icon_button::text_button;
use crate::app::widgets::matrix::{Cell, Matrix, Tone, matrix as draw};
use crate::classify::{ClassifiedPhoto, NONE};

/// Shows both.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let Some(predicted) = desk.state.classifying.shown().cloned() else {
        ui.label(theme::strong("Predictions"));
        let text = "The photo on view with a bar for each label, and the confusion matrix appear here.";
        ui.label(theme::small(text).color(colours.ink_faint));
        return;
    };
    on_view(ui, desk, &predicted);
    ui.add_space(theme::WIDE_GAP);
    matrix(ui, desk, &predicted);
}

/// The photo on view with its bars.
fn on_view(ui: &mut Ui, desk: &mut Desk<'_>, predicted: &Predicted) {
    let colours = palette(ui);
    let Some(entry) = desk.state.selected.and_then(|id| desk.state.photos.get(id)).cloned() else { return };
    ui.horizontal_top(|ui| {
        let (picture, _) = ui.allocate_exact_size(vec2(112.0, 112.0), Sense::hover());
        paint_thumbnail(ui, desk, &entry, picture);
        ui.vertical(|ui| {
            ui.label(theme::strong(&entry.name));
            let Some(photo) = predicted.of(&entry.path) else {
                ui.label(theme::small("This photo is not among those classified.").color(colours.ink_faint));
                return;
            };
            let said = photo.prediction.and_then(|label| predicted.classification.labels.get(label));
            let said = said.map_or(NONE, String::as_str);
            let (text, ink) = match photo.truth.and_then(|truth| predicted.classification.labels.get(truth)) {
                Some(truth) if truth == said => (format!("✓ {said}"), colours.ok),
                Some(truth) => (format!("× {said}, truly {truth}"), colours.ng),
                None => (said.to_owned(), colours.ink),
            };
            ui.label(theme::strong(text).color(ink));
            bars(ui, predicted, photo);
        });
    });
}

fn bars(ui: &mut Ui, predicted: &Predicted, photo: &ClassifiedPhoto) {
    let mut order: Vec<usize> = (0..photo.scores.len()).collect();
    order.sort_by(|&a, &b| photo.scores[b].total_cmp(&photo.scores[a]));
    order.truncate(8);
    let labels = &predicted.classification.labels;
    let shares: Vec<(&str, f32)> =
        order.iter().map(|&label| (labels[label].as_str(), photo.scores[label] as f32)).collect();
    draw_bars(ui, &shares, |place| photo.prediction == Some(order[place]));
}

/// How this classification compares with the pinned one, or the way to pin it.
fn comparison(ui: &mut Ui, desk: &mut Desk<'_>, predicted: &Arc<Predicted>) {
    let colours = palette(ui);
    let compared = desk.state.classifying.comparison().map(str::to_owned);
    let pinned = desk.state.classifying.pinned.as_ref().is_some_and(|pinned| Arc::ptr_eq(pinned, predicted));
    if let Some(text) = compared {
        let tooltip = "McNemar's test, photo by photo: a small p says that the difference is hardly chance.";
        ui.add(egui::Label::new(theme::small(text).color(colours.ink_soft)).wrap()).on_hover_text(tooltip);
    }
    ui.horizontal(|ui| {
        let tooltip = "Keep this classification, to compare other words, models or classifiers with it.";
        if !pinned && text_button(ui, ICON_COMPARE_ARROWS, "Compare with this", tooltip).clicked() {
            desk.push(Action::PinClassification(Some(predicted.clone())));
        }
        let any = desk.state.classifying.pinned.is_some();
        if any && text_button(ui, ICON_CLOSE, "Stop comparing", "Let go of the pinned classification.").clicked() {
            desk.push(Action::PinClassification(None));
        }
    });
}

/// Predicted against true class: figures, matrix, bars per class.
pub fn matrix(ui: &mut Ui, desk: &mut Desk<'_>, predicted: &Arc<Predicted>) {
    let colours = palette(ui);
    ui.label(theme::strong("Predicted classes"));
    ui.horizontal_wrapped(|ui| {
        ui.label(theme::small(&predicted.title).color(colours.ink_faint));
        if desk.state.classifying.embedding().is_some() {
            let text = "of the former setting, until all photos are embedded";
            ui.label(theme::small(text).color(colours.uncertain));
        }
    });
    ui.add_space(theme::GRID);
    let Some(figures) = &predicted.figures else {
        let text = "No photo's class is known. Label photos, and the confusion matrix appears.";
        ui.label(theme::small(text).color(colours.ink_faint));
        return;
    };
    let confusion = &figures.confusion;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(2.0 * theme::WIDE_GAP, theme::GAP);
        let (accuracy, f1) = (figures.accuracy_interval, figures.macro_f1_interval);
        let interval = |low: f64, high: f64| format!("95 % of bootstrap draws lie between {low:.3} and {high:.3}.");
        let text = format!("{:.1} %", 100.0 * figures.report.accuracy);
        figure(ui, &text, "accuracy", &interval(accuracy.lower, accuracy.upper));
        let text = format!("{:.3}", figures.report.macro_average.f1);
        figure(ui, &text, "macro F1", &interval(f1.lower, f1.upper));
        let text = format!("{:.1} %", 100.0 * figures.top_2);
        figure(ui, &text, "among the first two", "Photos whose true class is one of the two most probable.");
        figure(ui, &confusion.total().to_string(), "photos", "Photos whose class is known.");
    });
    ui.add_space(theme::GAP);
    comparison(ui, desk, predicted);
    ui.add_space(theme::GAP);
    let names = confusion.labels().to_vec();
    let rejects = confusion.rejected().iter().any(|&count| count > 0);
    let mut columns = names.clone();
    if rejects {
        columns.push(NONE.to_owned());
    }
    let count = |row: usize, column: usize| {
        if column < names.len() { confusion.counts()[row][column] } else { confusion.rejected()[row] }
    };
    let share = |row: usize, column: usize| count(row, column) as f32 / confusion.support(row).max(1) as f32;
    let title = |row: usize, column: usize| format!("{} taken for {}", names[row], columns[column]);
    let chosen = desk.state.photos.focus().map(|focus| focus.title.clone());
    let chosen = (0..names.len())
        .flat_map(|row| (0..columns.len()).map(move |column| (row, column)))
        .find(|&(row, column)| chosen.as_deref() == Some(&title(row, column)));
    let clicked = draw(
        ui,
        &Matrix {
            axes: ("truly", "predicted"),
            rows: &names,
            columns: &columns,
            cell: &|row, column| Cell {
                count: count(row, column) as usize,
                share: share(row, column),
                tone: match column {
                    _ if column >= names.len() => Tone::Open,
                    _ if column == row => Tone::Right,
                    _ => Tone::Wrong,
                },
            },
            name: &|row, column| {
                let count = photos(count(row, column) as usize);
                format!("{}: {count}, {:.1} % of the row", title(row, column), 100.0 * share(row, column))
            },
            chosen,
        },
    );
    if let Some((row, column)) = clicked {
        let wanted = (column < names.len()).then_some(column);
        let of_cell = |photo: &&ClassifiedPhoto| photo.truth == Some(row) && photo.prediction == wanted;
        let ids: HashSet<_> = predicted
            .classification
            .photos
            .iter()
            .filter(of_cell)
            .filter_map(|photo| desk.state.photos.by_path(&photo.path))
            .collect();
        let focus = Focus { title: title(row, column), rule: Rule::Photos(Arc::new(ids)) };
        desk.push(Action::Focus((chosen != Some((row, column))).then_some(focus)));
    }
    ui.add_space(theme::WIDE_GAP);
    per_class(ui, &figures.report);
}
