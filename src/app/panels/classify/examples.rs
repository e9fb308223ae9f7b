//! A classifier from labelled photos: which networks, how it learns, its honest figures by cross-validation, and its file.

use egui::{DragValue, Ui};
use egui_material_icons::icons::{ICON_ADD, ICON_FILE_OPEN, ICON_PLAY_ARROW, ICON_SAVE, ICON_SCHOOL, ICON_STYLE};

use super::{NAME, edit, models, short};
use crate::app::action::Desk;
use crate::app::command::Command;
use crate::app::state::photos;
use crate::app::theme::{self, palette};
use crate::app::widgets::icon_button::text_button;
use crate::app::widgets::{named_row, primary_button};
use crate::classify::HeadKind;

/// Shows the settings and what can be done.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let setup = desk.state.classifying.setup.clone();
    let labelled = desk.state.photos.counts().labelled;
    let text = format!(
        "{} with a label. The features of the networks stand side by side, are scaled, and a classifier learns from them.",
        photos(labelled)
    );
    ui.label(egui::RichText::new(text).color(colours.ink_soft));
    ui.add_space(theme::GAP);
    row(ui, "Networks", "Their features are put side by side.", |ui| {
        ui.horizontal_wrapped(|ui| {
            for name in models(desk, &setup.backbones) {
                let mut on = setup.backbones.contains(&name);
                let response = ui.checkbox(&mut on, short(&name)).on_hover_text(&name);
                if response.accessible_name(format!("Network {name}")).changed() {
                    edit(desk, "Networks", move |setup| {
                        setup.backbones.retain(|known| *known != name);
                        if on {
                            setup.backbones.push(name);
                        }
                    });
                }
            }
            let info = Command::AddModelFolder.info();
            if text_button(ui, ICON_ADD, "Folder…", info.help).clicked() {
                desk.run(Command::AddModelFolder);
            }
            let info = Command::AddModelFile.info();
            if text_button(ui, ICON_ADD, "File…", info.help).clicked() {
                desk.run(Command::AddModelFile);
            }
        });
    });
    let tooltip = "Logistic regression is best with ten or more photos a class; nearest centroid and nearest neighbours \
                   need fewer.";
    row(ui, "Head", tooltip, |ui| {
        let combo = egui::ComboBox::from_id_salt("head").selected_text(words(setup.head)).width(220.0);
        let shown = combo.show_ui(ui, |ui| {
            for head in HeadKind::ALL {
                if ui.selectable_label(head == setup.head, words(head)).clicked() {
                    edit(desk, "Head", move |setup| setup.head = head);
                }
            }
        });
        shown.response.on_hover_text(tooltip).accessible_name("Head");
    });
    row(ui, "Folds", "Each photo is tested by a classifier that learned from the other folds.", |ui| {
        let mut folds = setup.folds;
        if ui.add(DragValue::new(&mut folds).range(2..=20).speed(0.1)).accessible_name("Folds").changed() {
            edit(desk, "Folds", move |setup| setup.folds = folds);
        }
        ui.add_space(theme::WIDE_GAP);
        let mut balanced = setup.balanced;
        let tooltip = "Weigh photos so that rare classes count as much as frequent ones; logistic regression only.";
        let response = ui.checkbox(&mut balanced, "Classes count alike").on_hover_text(tooltip);
        if response.changed() {
            edit(desk, "Classes count alike", move |setup| setup.balanced = balanced);
        }
    });
    ui.add_space(theme::GAP);
    actions(ui, desk, labelled);
    folds(ui, desk);
}

fn row(ui: &mut Ui, name: &str, tooltip: &str, body: impl FnOnce(&mut Ui)) {
    named_row(ui, NAME, name, tooltip, body);
}

fn words(head: HeadKind) -> &'static str {
    match head {
        HeadKind::Logistic => "logistic regression",
        HeadKind::Centroid => "nearest centroid",
        HeadKind::Knn => "nearest neighbours",
    }
}

fn actions(ui: &mut Ui, desk: &mut Desk<'_>, labelled: usize) {
    let colours = palette(ui);
    let button = |ui: &mut Ui, desk: &mut Desk<'_>, command: Command, icon| {
        let info = command.info();
        let allowed = desk.state.allows(command);
        if ui.add_enabled_ui(allowed, |ui| text_button(ui, icon, info.label, info.help)).inner.clicked() {
            desk.run(command);
        }
    };
    ui.horizontal(|ui| {
        let info = Command::EvaluateClassifier.info();
        let allowed = desk.state.allows(Command::EvaluateClassifier);
        let start = ui.add_enabled_ui(allowed, |ui| primary_button(ui, Some(ICON_PLAY_ARROW), info.label, info.help));
        if start.inner.clicked() {
            desk.run(Command::EvaluateClassifier);
        }
        button(ui, desk, Command::TrainClassifier, ICON_SCHOOL);
    });
    if labelled == 0 {
        let text = "Label photos first: keys 1 to 9 on a photo, or Label → Labels from folders.";
        ui.label(theme::small(text).color(colours.ink_faint));
    }
    ui.add_space(theme::WIDE_GAP);
    ui.label(theme::strong("Classifier"));
    if let Some(kept) = &desk.state.classifying.classifier {
        let names: Vec<&str> = kept.classifier.backbones.iter().map(|backbone| backbone.id.as_str()).collect();
        let text = format!("{} · {}", kept.classifier.labels.join(", "), names.join(" + "));
        ui.label(egui::RichText::new(text).color(colours.ink_soft));
        let place = kept.path.as_ref().map_or_else(|| "not saved yet".to_owned(), |path| path.display().to_string());
        ui.label(theme::small(place).color(colours.ink_faint));
    } else {
        let text = "None yet: train one on the labelled photos, or open one that was saved.";
        ui.label(theme::small(text).color(colours.ink_faint));
    }
    ui.horizontal(|ui| {
        button(ui, desk, Command::ApplyClassifier, ICON_STYLE);
        button(ui, desk, Command::SaveClassifier, ICON_SAVE);
        button(ui, desk, Command::OpenClassifier, ICON_FILE_OPEN);
    });
}

/// Warnings and the figures of each fold.
fn folds(ui: &mut Ui, desk: &Desk<'_>) {
    let colours = palette(ui);
    let Some(learned) = desk.state.classifying.learned.clone() else { return };
    ui.add_space(theme::WIDE_GAP);
    for warning in &learned.warnings {
        ui.label(theme::small(warning).color(colours.uncertain));
    }
    if learned.folds.is_empty() {
        return;
    }
    let rows: Vec<crate::app::widgets::table::TableRow> = learned
        .folds
        .iter()
        .map(|fold| crate::app::widgets::table::TableRow {
            name: format!("Fold {}", fold.fold),
            values: vec![
                fold.learned.to_string(),
                fold.tested.to_string(),
                format!("{:.1} %", 100.0 * fold.accuracy),
                format!("{:.3}", fold.macro_f1),
            ],
            ..crate::app::widgets::table::TableRow::default()
        })
        .collect();
    crate::app::widgets::table::table(ui, "fold", &["learned from", "tested", "accuracy", "macro F1"], &rows);
}
