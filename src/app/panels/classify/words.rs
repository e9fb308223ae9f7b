//! The words of each class, with what each phrase does: its own accuracy, and the accuracy with all against without it.
//! Only the text tower runs while one types.

use egui::{Align2, DragValue, Sense, TextEdit, Ui, vec2};
use egui_material_icons::icons::{ICON_ADD, ICON_CLOSE, ICON_LABEL, ICON_PLAY_ARROW};

use super::{NAME, choose_model, edit, models};
use crate::app::action::Desk;
use crate::app::command::Command;
use crate::app::state::photos;
use crate::app::theme::{self, palette};
use crate::app::widgets::icon_button::text_button;
use crate::app::widgets::{ICON_BUTTON, SliderRow, icon_button, named, named_row, primary_button};
use crate::classify::{Augmentation, LabelPhrases, Part, Xray, XrayRow};

/// Width of a figure of the x-ray.
const FIGURE: f32 = 58.0;
/// Temperature of CLIP, to begin with where none is known yet.
const TEMPERATURE: f32 = 0.01;

/// Shows the editor.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let setup = desk.state.classifying.setup.clone();
    if setup.prompts.labels.is_empty() {
        ui.label(theme::strong("No labels yet"));
        let text =
            "A label is a class with the words that describe it. Begin with the classes that you label photos with.";
        ui.label(egui::RichText::new(text).color(colours.ink_soft));
        ui.add_space(theme::GAP);
        let info = Command::LabelsFromClasses.info();
        if primary_button(ui, Some(ICON_LABEL), info.label, info.help).clicked() {
            desk.run(Command::LabelsFromClasses);
        }
        return;
    }
    run(ui, desk);
    ui.add_space(theme::GAP);
    let xray = desk.state.classifying.words.as_ref().and_then(|words| words.xray.clone());
    heads(ui, xray.as_ref());
    for (label, phrases) in setup.prompts.labels.iter().enumerate() {
        label_head(ui, desk, label, phrases);
        for (place, phrase) in phrases.phrases.iter().enumerate() {
            let of = |row: &&XrayRow| row.part == Part::Phrase && row.label == phrases.label && row.text == *phrase;
            let row = xray.as_ref().and_then(|xray| xray.rows.iter().find(of).cloned());
            let name = format!("{}, phrase {}", phrases.label, place + 1);
            let only = phrases.phrases.len() == 1;
            line(ui, desk, &name, phrase, row.as_ref(), only, move |setup, text| {
                let Some(list) = setup.prompts.labels.get_mut(label) else { return };
                put(&mut list.phrases, place, text);
            });
        }
    }
    ui.add_space(theme::GAP);
    ui.horizontal(|ui| {
        if text_button(ui, ICON_ADD, "Add label", "Add a class and describe it.").clicked() {
            edit(desk, "Add label", |setup| {
                let taken = setup.prompts.names();
                let mut number = taken.len() + 1;
                while taken.contains(&format!("class {number}")) {
                    number += 1;
                }
                let name = format!("class {number}");
                setup.prompts.labels.push(LabelPhrases { phrases: vec![name.clone()], label: name });
            });
        }
        let info = Command::LabelsFromClasses.info();
        if text_button(ui, ICON_LABEL, info.label, info.help).clicked() {
            desk.run(Command::LabelsFromClasses);
        }
    });
    ui.add_space(theme::WIDE_GAP);
    ui.horizontal(|ui| {
        let text = "Sentences around each phrase; {} is the phrase. The ensemble of all is steadier than one.";
        ui.label(theme::strong("Templates")).on_hover_text(text);
        if icon_button(ui, ICON_ADD, "Add template", text).clicked() {
            edit(desk, "Add template", |setup| setup.prompts.templates.push("a photo of {}.".to_owned()));
        }
    });
    for (place, template) in setup.prompts.templates.iter().enumerate() {
        let of = |row: &&XrayRow| row.part == Part::Template && row.text == *template;
        let row = xray.as_ref().and_then(|xray| xray.rows.iter().find(of).cloned());
        let only = setup.prompts.templates.len() == 1;
        line(ui, desk, &format!("Template {}", place + 1), template, row.as_ref(), only, move |setup, text| {
            put(&mut setup.prompts.templates, place, text);
        });
    }
    ui.add_space(theme::WIDE_GAP);
    settings(ui, desk);
}

/// Changes or removes one text of a list.
fn put(list: &mut Vec<String>, place: usize, text: Option<String>) {
    match text {
        Some(text) => {
            if let Some(kept) = list.get_mut(place) {
                *kept = text;
            }
        }
        None if place < list.len() => {
            list.remove(place);
        }
        None => {}
    }
}

fn run(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let total = desk.state.photos.len();
    ui.horizontal(|ui| {
        let info = Command::ClassifyByWords.info();
        let allowed = desk.state.allows(Command::ClassifyByWords);
        let text = format!("Classify {}", photos(total));
        let button = ui.add_enabled_ui(allowed, |ui| primary_button(ui, Some(ICON_PLAY_ARROW), &text, info.help)).inner;
        let button = button.accessible_name(info.label);
        if button.clicked() {
            desk.run(Command::ClassifyByWords);
        }
        let problem = desk.state.classifying.setup.problem();
        let (text, ink) = match problem {
            Some(problem) => (problem, colours.ng),
            None if total == 0 => ("Open photos first.".to_owned(), colours.ink_faint),
            None if desk.state.classifying.words.is_some() => {
                let text = "Edits of words are followed at once: only the text tower runs. Another model or other views \
                            take the photos through the network again.";
                (text.to_owned(), colours.ink_faint)
            }
            None => {
                ("Photos go through the network once, then edits of words are live.".to_owned(), colours.ink_faint)
            }
        };
        ui.add(egui::Label::new(theme::small(text).color(ink)).wrap());
    });
}

fn heads(ui: &mut Ui, xray: Option<&Xray>) {
    let colours = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 18.0), Sense::hover());
    let right = rect.right() - ICON_BUTTON;
    let text = |x: f32, text: &str| {
        let at = egui::pos2(x, rect.center().y);
        ui.painter().text(at, Align2::RIGHT_CENTER, text, theme::small_font(), colours.ink_faint);
    };
    text(right, "effect");
    text(right - FIGURE, "alone");
    if let Some(xray) = xray {
        let text = format!("Accuracy {:.1} % on {} labelled", 100.0 * xray.accuracy, photos(xray.photos));
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, &text));
        let at = rect.left_center();
        ui.painter().text(at, Align2::LEFT_CENTER, text, theme::small_font(), colours.ink_soft);
    }
}

fn label_head(ui: &mut Ui, desk: &mut Desk<'_>, label: usize, phrases: &LabelPhrases) {
    ui.add_space(theme::GRID);
    ui.horizontal(|ui| {
        let mut name = phrases.label.clone();
        let field = TextEdit::singleline(&mut name).desired_width(180.0).margin(vec2(6.0, 4.0));
        let field = field.font(theme::strong_font(theme::BODY)).id_salt(("label", label));
        let response = ui.add(field).on_hover_text("The label, as in your classes, so that truth is known.");
        if response.accessible_name(format!("Label {}", label + 1)).changed() {
            edit(desk, format!("Label {}", label + 1), move |setup| {
                if let Some(kept) = setup.prompts.labels.get_mut(label) {
                    kept.label = name;
                }
            });
        }
        let add = format!("Add phrase to {}", phrases.label);
        if icon_button(ui, ICON_ADD, &add, "Another way to describe this class.").clicked() {
            edit(desk, add, move |setup| {
                if let Some(kept) = setup.prompts.labels.get_mut(label) {
                    kept.phrases.push(format!("{} {}", kept.label, kept.phrases.len() + 1));
                }
            });
        }
        let remove = format!("Remove label {}", phrases.label);
        if icon_button(ui, ICON_CLOSE, &remove, "Leave this class out.").clicked() {
            edit(desk, remove, move |setup| {
                if label < setup.prompts.labels.len() {
                    setup.prompts.labels.remove(label);
                }
            });
        }
    });
}

/// One phrase or template: text, what it does, and a way to remove it.
fn line(
    ui: &mut Ui,
    desk: &mut Desk<'_>,
    name: &str,
    text: &str,
    row: Option<&XrayRow>,
    only: bool,
    change: impl FnOnce(&mut crate::app::classifying::ClassifySetup, Option<String>) + 'static,
) {
    let colours = palette(ui);
    let mut text = text.to_owned();
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 0.0;
        ui.add_space(theme::WIDE_GAP);
        let width = ui.available_width() - 2.0 * FIGURE - ICON_BUTTON - 12.0;
        let field = TextEdit::singleline(&mut text).desired_width(width).margin(vec2(6.0, 4.0)).id_salt(name);
        let response = ui.add(field).accessible_name(name);
        let (rect, figures) = ui.allocate_exact_size(vec2(2.0 * FIGURE + 12.0, theme::ROW), Sense::hover());
        if let Some(row) = row {
            let at = |x: f32| egui::pos2(x, rect.center().y);
            let own = format!("{:.0} %", 100.0 * row.own_accuracy);
            let painter = ui.painter();
            let font = theme::small_font();
            painter.text(at(rect.right() - FIGURE), Align2::RIGHT_CENTER, own, font.clone(), colours.ink_soft);
            let (effect, ink) = match row.effect {
                None => ("–".to_owned(), colours.ink_faint),
                Some(effect) if effect.abs() < 5e-4 => ("±0".to_owned(), colours.ink_faint),
                Some(effect) => {
                    let text = format!("{:+.1}", 100.0 * effect).replace('-', "−");
                    (text, if effect > 0.0 { colours.ok } else { colours.ng })
                }
            };
            painter.text(at(rect.right() - 2.0), Align2::RIGHT_CENTER, &effect, font, ink);
            figures.widget_info(|| {
                let spoken = format!("{name}: alone {:.0} %, effect {effect}", 100.0 * row.own_accuracy);
                egui::WidgetInfo::labeled(egui::Role::Label, true, spoken)
            });
            figures.on_hover_text(format!(
                "Alone: accuracy when this is the only one ({:.0} % of its own photos found).\nEffect: accuracy with all \
                 minus accuracy without it, in points. Below 0 it harms.",
                100.0 * row.own_recall
            ));
        }
        let remove = ui.add_enabled_ui(!only, |ui| icon_button(ui, ICON_CLOSE, &format!("Remove {name}"), "Remove it."));
        if remove.inner.on_disabled_hover_text("At least one is needed.").clicked() {
            edit(desk, format!("Remove {name}"), move |setup| change(setup, None));
        } else if response.changed() {
            edit(desk, name, move |setup| change(setup, Some(text)));
        }
    });
}

fn settings(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let setup = desk.state.classifying.setup.clone();
    ui.horizontal(|ui| {
        named(ui, NAME, egui::RichText::new("Model").color(colours.ink_soft));
        let names = models(desk, std::slice::from_ref(&setup.model));
        let tooltip = "It needs a text tower: a CLIP model, or pocket.";
        if let Some(name) = choose_model(ui, "Model of the words", &setup.model, names, tooltip) {
            edit(desk, "Model of the words", move |setup| setup.model = name);
        }
    });
    ui.horizontal(|ui| {
        let tooltip = "What {} in a phrase stands for.";
        named(ui, NAME, egui::RichText::new("Object").color(colours.ink_soft)).on_hover_text(tooltip);
        let mut object = setup.prompts.object.clone();
        let field = TextEdit::singleline(&mut object).hint_text("for {} in phrases").desired_width(220.0);
        if ui.add(field.margin(vec2(6.0, 4.0))).accessible_name("Object of the phrases").changed() {
            edit(desk, "Object of the phrases", move |setup| setup.prompts.object = object);
        }
    });
    let tooltip = "Cosines are divided by it before they become probabilities: the smaller, the surer.";
    named_row(ui, NAME, "Temperature", tooltip, |ui| {
        let mut trained = setup.temperature.is_none();
        let response = ui.checkbox(&mut trained, "as trained").on_hover_text("Take the temperature of the training.");
        if response.accessible_name("Temperature as trained").changed() {
            let last = desk.state.classifying.words.as_ref().and_then(|words| words.temperature());
            let chosen = (!trained).then_some(last.unwrap_or(TEMPERATURE));
            edit(desk, "Temperature", move |setup| setup.temperature = chosen);
        }
        if let Some(mut temperature) = setup.temperature {
            let number = DragValue::new(&mut temperature).range(1e-4_f32..=100.0).speed(0.001).max_decimals(4);
            let response = ui.add(number.update_while_editing(false)).on_hover_text(tooltip);
            if response.accessible_name("Temperature value").changed() {
                edit(desk, "Temperature", move |setup| setup.temperature = Some(temperature));
            }
        }
    });
    let tooltip = "Look at each photo in these views as well and join what is seen. Steadier, but after a change every \
                   photo goes through the network again, once per view.";
    named_row(ui, NAME, "Views", tooltip, |ui| {
        ui.horizontal_wrapped(|ui| {
            for kind in Augmentation::ALL {
                let mut on = setup.augment.contains(&kind);
                if ui.checkbox(&mut on, kind.name()).on_hover_text(kind.words()).changed() {
                    edit(desk, "Views", move |setup| {
                        let chosen =
                            |other: &Augmentation| if *other == kind { on } else { setup.augment.contains(other) };
                        setup.augment = Augmentation::ALL.into_iter().filter(chosen).collect();
                    });
                }
            }
        });
    });
    named_row(ui, NAME, "", tooltip, |ui| {
        let (text, ink) = match desk.state.classifying.embedding() {
            Some((done, total)) => (format!("{done} of {total} photos embedded…"), colours.uncertain),
            None => ("Each view runs the network on every photo again.".to_owned(), colours.ink_faint),
        };
        ui.add(egui::Label::new(theme::small(text).color(ink)).wrap());
    });
    let row = SliderRow::new(
        "Margin",
        0.0..=1.0,
        "How far the first label must be ahead of the second; a photo closer than that is none of these.",
    );
    if let Some(margin) = row.default(0.0).name_width(NAME).show(ui, setup.margin) {
        edit(desk, "Margin", move |setup| setup.margin = margin);
    }
}
