//! Classification: which defect is it? By words that one edits with the effect beside them, or by a classifier from the
//! labelled photos.

mod examples;
mod predictions;
mod words;

use egui::{Align, Layout, ProgressBar, Ui};
use egui_material_icons::icons::{ICON_IOS_SHARE, ICON_STOP_CIRCLE};

use crate::app::action::{Action, Desk};
use crate::app::classifying::{By, ClassifySetup};
use crate::app::command::Command;
use crate::app::theme::{self, palette};
use crate::app::widgets::icon_button::text_button;
use crate::app::widgets::{columns, page, segments};

pub use predictions::matrix as predicted_matrix;

/// Width of the page from which editor and outcome stand side by side.
const WIDE: f32 = 860.0;
/// Width of the names on the left of a row.
const NAME: f32 = 96.0;

/// Shows the page.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    page(ui, "classify", |ui| {
        header(ui, desk);
        ui.add_space(theme::WIDE_GAP);
        let editor = |ui: &mut Ui, desk: &mut Desk<'_>| match desk.state.classifying.by {
            By::Words => words::show(ui, desk),
            By::Examples => examples::show(ui, desk),
        };
        if ui.available_width() >= WIDE {
            columns(ui, 0.52, desk, editor, predictions::show);
        } else {
            editor(ui, desk);
            ui.add_space(theme::WIDE_GAP);
            predictions::show(ui, desk);
        }
    });
}

fn header(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    ui.horizontal(|ui| {
        ui.label(theme::title("Classification"));
        ui.add_space(theme::GAP);
        let choices = [
            (By::Words, "By words", "No labelled photo is needed: each class is described in words."),
            (
                By::Examples,
                "By examples",
                "Learned from labelled photos, with the features of one or several networks.",
            ),
        ];
        if let Some(by) = segments(ui, desk.state.classifying.by, &choices) {
            desk.push(Action::ClassifyBy(by));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let info = Command::ExportClassification.info();
            let allowed = desk.state.allows(Command::ExportClassification);
            let export = ui.add_enabled_ui(allowed, |ui| text_button(ui, ICON_IOS_SHARE, "Export…", info.help)).inner;
            if export.on_disabled_hover_text("Nothing is classified yet.").clicked() {
                desk.run(Command::ExportClassification);
            }
        });
    });
    if let Some(job) = desk.state.classifying.job.clone() {
        ui.add_space(theme::GRID);
        ui.horizontal(|ui| {
            let text = match (job.stopping, job.total) {
                (true, _) => "Stopping…".to_owned(),
                (false, 0) => format!("{}…", job.what),
                (false, total) => format!("{}: {} of {total} photos embedded", job.what, job.done),
            };
            let bar = ProgressBar::new(job.done as f32 / job.total.max(1) as f32).desired_width(180.0);
            let bar = bar.desired_height(6.0).fill(colours.accent).corner_radius(3);
            ui.add(bar).accessible_name(&text);
            ui.label(egui::RichText::new(text).color(colours.ink_soft));
            if !job.stopping && text_button(ui, ICON_STOP_CIRCLE, "Stop", Command::StopLab.info().help).clicked() {
                desk.run(Command::StopLab);
            }
        });
    }
    if let Some(problem) = &desk.state.classifying.problem {
        ui.label(egui::RichText::new(problem).color(colours.ng));
    }
}

/// Changes the setup as one step of undo; `what` names the thing changed.
fn edit(desk: &mut Desk<'_>, what: impl Into<String>, change: impl FnOnce(&mut ClassifySetup) + 'static) {
    desk.push(Action::EditClassify { what: what.into(), change: Box::new(change) });
}

/// Models to choose from: the embedded one, those installed, and those already chosen.
pub fn models(desk: &Desk<'_>, chosen: &[String]) -> Vec<String> {
    let mut names = vec![crate::model::POCKET.to_owned()];
    for name in desk.state.models.iter().chain(chosen) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// A choice among models; gives the one that was chosen. `id` is its name for those who do not see it.
pub fn choose_model(
    ui: &mut Ui,
    id: &str,
    now: &str,
    names: impl IntoIterator<Item = String>,
    tooltip: &str,
) -> Option<String> {
    let mut choice = None;
    let combo = egui::ComboBox::from_id_salt(id).selected_text(short(now)).width(220.0);
    let shown = combo.show_ui(ui, |ui| {
        for name in names {
            if ui.selectable_label(name == now, short(&name)).on_hover_text(&name).clicked() {
                choice = Some(name);
            }
        }
    });
    shown.response.on_hover_text(tooltip).accessible_name(id);
    choice
}

/// A model's name without its folders, but for the last where every trained model has the same name.
pub fn short(name: &str) -> String {
    let parts: Vec<&str> = name.split(['/', '\\']).filter(|part| !part.is_empty()).collect();
    match parts[..] {
        [.., run, model @ ("model" | "best_model")] => format!("{run}/{model}"),
        [.., last] => last.to_owned(),
        [] => name.to_owned(),
    }
}
