//! Descriptions: does the photo on view show what it is said to show, claim by claim? And the same for a table of photos
//! and texts, with the threshold that its labels speak for; and training on photos and texts of your own.

mod curves;
mod photo;
mod rows;
mod scale;
mod table;
mod training;

use std::fmt::Write as _;

use egui::{Align, Layout, Ui};
use egui_material_icons::icons::{ICON_ADD, ICON_IOS_SHARE, ICON_WARNING};

use super::classify::{choose_model, models};
use crate::app::action::{Action, Desk};
use crate::app::command::Command;
use crate::app::describing::{Against, DescribeSetup, Describing, Made, POCKET_NOTE};
use crate::app::theme::{self, Palette, palette};
use crate::app::widgets::icon_button::text_button;
use crate::app::widgets::{SliderRow, named, page, segments};
use crate::matching::{DEFAULT_THRESHOLD, LENIENT_THRESHOLD, STRICT_THRESHOLD, Status};
use crate::model::POCKET;

/// Width of the names on the left of a row.
const NAME: f32 = 96.0;

/// Shows the page.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    page(ui, "description", |ui| {
        header(ui, desk);
        ui.add_space(theme::GAP);
        let against = desk.state.describing.against;
        if against != Against::Training {
            model(ui, desk);
            ui.add_space(theme::WIDE_GAP);
        }
        match against {
            Against::Photo => photo::show(ui, desk),
            Against::Table => table::show(ui, desk),
            Against::Training => training::show(ui, desk),
        }
    });
}

fn header(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let against = desk.state.describing.against;
    ui.horizontal(|ui| {
        ui.set_min_height(7.0 * theme::GRID);
        ui.label(theme::title("Description"));
        ui.add_space(theme::GAP);
        let choices = [
            (Against::Photo, "Photo on view", "One photo against a description that you type, claim by claim."),
            (Against::Table, "Table", "Every row of a CSV file: photo, text and, where known, whether they match."),
            (Against::Training, "Training", "Teach a model from photos and descriptions of your own."),
        ];
        if let Some(against) = segments(ui, against, &choices) {
            show_as(desk, move |describing| describing.against = against);
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if against == Against::Table {
                let info = Command::ExportMatches.info();
                let allowed = desk.state.allows(Command::ExportMatches);
                let export =
                    ui.add_enabled_ui(allowed, |ui| text_button(ui, ICON_IOS_SHARE, "Export…", info.help)).inner;
                if export.on_disabled_hover_text("Nothing is matched yet.").clicked() {
                    desk.run(Command::ExportMatches);
                }
            }
        });
    });
    let text = match against {
        Against::Photo => {
            "Does the photo on view show what the work order says? Its similarity with the description, and each claim by itself."
        }
        Against::Table => "Whole batches: similarities of all rows, and the threshold that labelled rows speak for.",
        Against::Training => {
            "A CLIP model learns from a table of your own which text belongs to which photo, and is held against what it did before."
        }
    };
    ui.label(egui::RichText::new(text).color(colours.ink_soft));
    if let Some(problem) = desk.state.describing.problem.as_ref().filter(|_| against != Against::Training) {
        ui.label(egui::RichText::new(problem).color(colours.ng));
    }
}

/// Which model, and what it is worth.
fn model(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let now = desk.state.describing.setup.model.clone();
    ui.horizontal(|ui| {
        ui.set_min_height(7.0 * theme::GRID);
        named(ui, NAME, egui::RichText::new("Model").color(colours.ink_soft));
        let names = models(desk, std::slice::from_ref(&now));
        let tooltip = "It needs a text tower: a CLIP model, or pocket.";
        if let Some(name) = choose_model(ui, "Model of the descriptions", &now, names, tooltip) {
            edit(desk, "Model of the descriptions", move |setup| setup.model = name);
        }
        let info = Command::AddModelFolder.info();
        if text_button(ui, ICON_ADD, "Folder…", info.help).clicked() {
            desk.run(Command::AddModelFolder);
        }
    });
    if now == POCKET {
        ui.add_space(theme::GRID);
        ui.horizontal_top(|ui| {
            ui.label(ICON_WARNING.rich_text().size(16.0).color(colours.uncertain));
            ui.vertical(|ui| {
                ui.set_max_width(ui.available_width().min(860.0));
                ui.add(egui::Label::new(theme::small(POCKET_NOTE).color(colours.uncertain)).wrap());
            });
        });
    }
}

/// The threshold: a slider that decides anew at once, and the three with a name.
fn threshold(ui: &mut Ui, desk: &mut Desk<'_>, width: f32) {
    let now = desk.state.describing.setup.threshold;
    ui.scope(|ui| {
        ui.set_max_width(width);
        let row = SliderRow::new(
            "Threshold",
            0.0..=1.0,
            "Similarities from here on are matches. Nothing is computed again. Lower lets more pass.",
        );
        if let Some(new) = row.decimals(3).default(f64::from(DEFAULT_THRESHOLD)).show(ui, f64::from(now)) {
            edit(desk, "Threshold of the similarity", move |setup| setup.threshold = new as f32);
        }
    });
    ui.horizontal_wrapped(|ui| {
        let choices = [
            (LENIENT_THRESHOLD, "Lenient 0.20", "Lets pass what a strict reader would still question."),
            (
                DEFAULT_THRESHOLD,
                "Default 0.25",
                "Where the description of a published CLIP model's photo usually lies above.",
            ),
            (STRICT_THRESHOLD, "Strict 0.30", "Only texts that clearly belong to the photo."),
        ];
        if let Some(new) = segments(ui, now, &choices) {
            edit(desk, "Threshold of the similarity", move |setup| setup.threshold = new);
        }
    });
}

/// How well the model tells true from false claims, for a tooltip.
fn separations(made: &Made) -> String {
    let mut text = "Area under the ROC curve, true against false claims; 0.5 is chance:".to_owned();
    for (kind, separation) in &made.separations {
        let known = match separation {
            Some(separation) if separation.weak => format!("{:.2}, weak", separation.auroc),
            Some(separation) => format!("{:.2}", separation.auroc),
            None => "not measured for this model".to_owned(),
        };
        let _ = write!(text, "\n{}: {known}", kind.name());
    }
    text
}

/// Sign and colour of a status; never colour alone.
fn sign(status: Status, colours: &Palette) -> (&'static str, egui::Color32) {
    match status {
        Status::ClearMatch | Status::Match => ("✓", colours.ok),
        Status::NearMiss => ("×", colours.uncertain),
        Status::Mismatch => ("×", colours.ng),
    }
}

/// Changes what is asked as one step of undo; `what` names the thing changed.
fn edit(desk: &mut Desk<'_>, what: impl Into<String>, change: impl FnOnce(&mut DescribeSetup) + 'static) {
    desk.push(Action::EditDescription { what: what.into(), change: Box::new(change) });
}

/// Changes how answers are shown.
fn show_as(desk: &mut Desk<'_>, change: impl FnOnce(&mut Describing) + 'static) {
    desk.push(Action::Describe(Box::new(change)));
}
