//! The evaluation: verdicts against labels as matrix, figures and curves. Everything shown was worked out elsewhere; a
//! click on a cell narrows the film strip to its photos.

mod curves;
mod figures;
mod verdicts;

pub use figures::per_class;

use egui::{Align, Layout, Ui};
use egui_material_icons::icons::{ICON_CREATE_NEW_FOLDER, ICON_EDIT, ICON_FILE_OPEN, ICON_IOS_SHARE, ICON_RATE_REVIEW};

use crate::app::action::Desk;
use crate::app::command::Command;
use crate::app::theme::{self, palette};
use crate::app::widgets::icon_button::text_button;
use crate::app::widgets::page;

/// Width of the page from which matrix and curves stand side by side.
const WIDE: f32 = 840.0;

/// Shows the page.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    page(ui, "evaluate", |ui| {
        header(ui, desk);
        ui.add_space(theme::WIDE_GAP);
        match desk.state.evaluation.clone().filter(|evaluation| evaluation.judged() > 0) {
            Some(evaluation) => {
                figures::summary(ui, desk, &evaluation);
                ui.add_space(theme::WIDE_GAP);
                if ui.available_width() >= WIDE {
                    side_by_side(ui, desk, &evaluation);
                } else {
                    verdicts::show(ui, desk, &evaluation);
                    ui.add_space(theme::WIDE_GAP);
                    curves::show(ui, desk, &evaluation);
                }
                ui.add_space(theme::WIDE_GAP);
                per_class(ui, &evaluation.report);
            }
            None => nothing(ui, desk),
        }
        let predicted = desk.state.classifying.shown().filter(|predicted| predicted.figures.is_some()).cloned();
        if let Some(predicted) = predicted {
            ui.add_space(2.0 * theme::WIDE_GAP);
            super::classify::predicted_matrix(ui, desk, &predicted);
        }
    });
}

fn side_by_side(ui: &mut Ui, desk: &mut Desk<'_>, evaluation: &crate::app::evaluation::Evaluation) {
    let gap = 2.0 * theme::WIDE_GAP;
    let left = ((ui.available_width() - gap) * 0.5).min(560.0);
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = gap;
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.x = theme::GAP;
            ui.set_width(left);
            verdicts::show(ui, desk, evaluation);
        });
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.x = theme::GAP;
            curves::show(ui, desk, evaluation);
        });
    });
}

/// A heading with words that explain.
fn heading(ui: &mut Ui, text: &str, explanation: &str) {
    ui.label(theme::strong(text));
    if !explanation.is_empty() {
        ui.label(theme::small(explanation).color(palette(ui).ink_faint));
    }
}

fn header(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let counts = desk.state.photos.counts();
    ui.horizontal(|ui| {
        ui.label(theme::title("Evaluation"));
        ui.add_space(theme::GAP);
        let text = format!("{} of {} photos have a label", counts.labelled, counts.total);
        ui.label(egui::RichText::new(text).color(colours.ink_soft));
        if counts.labelled > 0 && counts.labelled < counts.total {
            let show = egui::Button::new(theme::small("Show the others"));
            let response = ui.add(show).on_hover_text("Show only photos without a label in the film strip.");
            if response.clicked() {
                let rule = crate::app::photo_list::Rule::Label(None);
                let focus = crate::app::photo_list::Focus { title: "no label".to_owned(), rule };
                desk.push(crate::app::action::Action::Focus(Some(focus)));
            }
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            for (command, icon) in
                [(Command::ExportEvaluation, ICON_IOS_SHARE), (Command::ReviewMistakes, ICON_RATE_REVIEW)]
            {
                let info = command.info();
                let label = if command == Command::ExportEvaluation { "Export…" } else { info.label };
                let allowed = desk.state.allows(command);
                let button = ui.add_enabled_ui(allowed, |ui| text_button(ui, icon, label, info.help)).inner;
                if button.on_disabled_hover_text("There is nothing to show yet.").clicked() {
                    desk.run(command);
                }
            }
        });
    });
}

/// What to do where there is nothing to compare.
fn nothing(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let counts = desk.state.photos.counts();
    ui.add_space(2.0 * theme::WIDE_GAP);
    ui.vertical_centered(|ui| {
        if counts.labelled > 0 {
            ui.label(theme::title("The labelled photos have no verdict yet"));
            ui.add_space(theme::GRID);
            let text = "The matrix fills as they are inspected.";
            ui.label(egui::RichText::new(text).color(colours.ink_soft));
            return;
        }
        ui.label(theme::title("No photo has a label yet"));
        ui.add_space(theme::GRID);
        let text = "A label says what a part truly is: good, crack, hole… With labels, this page shows how often the \
                    verdicts are right, and which photos they are wrong on. Press 1 to 9 on a photo, or begin here.";
        ui.allocate_ui(egui::vec2(480.0_f32.min(ui.available_width()), 60.0), |ui| {
            ui.label(egui::RichText::new(text).color(colours.ink_soft));
        });
        ui.add_space(theme::WIDE_GAP);
        let buttons = [
            (Command::LabelByFolder, ICON_CREATE_NEW_FOLDER),
            (Command::ImportLabels, ICON_FILE_OPEN),
            (Command::EditClasses, ICON_EDIT),
        ];
        let width = 440.0;
        ui.horizontal(|ui| {
            ui.add_space(((ui.available_width() - width) / 2.0).max(0.0));
            for (command, icon) in buttons {
                let info = command.info();
                if text_button(ui, icon, info.label, info.help).clicked() {
                    desk.run(command);
                }
            }
        });
    });
}
