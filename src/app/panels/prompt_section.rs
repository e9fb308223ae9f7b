//! Words for good and bad parts, editable with live effect: only the text tower runs again.

use egui::{TextEdit, Ui, vec2};
use egui_material_icons::icons::{ICON_ADD, ICON_CLOSE};

use super::decision_sections::titled;
use crate::Recipe;
use crate::app::action::Desk;
use crate::app::theme::{self, palette};
use crate::app::widgets::{ICON_BUTTON, icon_button};
use crate::recipe::Prompts;

/// Which list of phrases.
#[derive(Clone, Copy)]
struct List {
    name: &'static str,
    one: &'static str,
    tooltip: &'static str,
    of: fn(&mut Prompts) -> &mut Vec<String>,
    read: fn(&Prompts) -> &Vec<String>,
}

const LISTS: [List; 2] = [
    List {
        name: "Normal",
        one: "Normal phrase",
        tooltip: "How a good part is described. Places closer to these phrases than to the anomalous ones score lower. `{}` is the object.",
        of: |prompts| &mut prompts.normal,
        read: |prompts| &prompts.normal,
    },
    List {
        name: "Anomalous",
        one: "Anomalous phrase",
        tooltip: "How a bad part is described. Places closer to these phrases than to the normal ones score higher. `{}` is the object.",
        of: |prompts| &mut prompts.anomalous,
        read: |prompts| &prompts.anomalous,
    },
];

/// Shows object and phrases.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    let recipe = &desk.state.recipe;
    let count = recipe.prompts.normal.len() + recipe.prompts.anomalous.len();
    let summary = format!("{} · {count} phrases", recipe.object);
    titled(ui, desk, "Words", &summary, |ui, desk| {
        object(ui, desk);
        for list in LISTS {
            phrases(ui, desk, list);
        }
        templates(ui, desk);
    });
}

fn object(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let mut object = desk.state.recipe.object.clone();
    ui.horizontal(|ui| {
        let tooltip =
            "What is being looked at, e.g. metal ring. It replaces {} in every phrase, so it moves all text scores.";
        let label = ui.label(egui::RichText::new("Object").color(colours.ink_soft)).on_hover_text(tooltip);
        let field = TextEdit::singleline(&mut object).hint_text("part").margin(vec2(6.0, 4.0));
        let response = ui.add(field.desired_width(f32::INFINITY)).on_hover_text(tooltip).labelled_by(label.id);
        if response.changed() {
            desk.edit("Object", move |recipe| recipe.object = object);
        }
    });
}

fn phrases(ui: &mut Ui, desk: &mut Desk<'_>, list: List) {
    let colours = palette(ui);
    let begun = egui::Id::unique(("begun phrase", list.one));
    ui.add_space(theme::GRID);
    ui.horizontal(|ui| {
        ui.label(theme::small(list.name).color(colours.ink_soft)).on_hover_text(list.tooltip);
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let name = format!("Add {}", list.one.to_lowercase());
            if icon_button(ui, ICON_ADD, &name, &format!("{name}. Type it; the overlay follows.")).clicked() {
                ui.data_mut(|data| data.insert_temp(begun, Begun::Now));
            }
        });
    });
    let phrases = (list.read)(&desk.state.recipe.prompts).clone();
    let (only, count) = (phrases.len() == 1, phrases.len());
    ui.spacing_mut().item_spacing.y = 2.0;
    for (index, phrase) in phrases.into_iter().enumerate() {
        phrase_row(ui, desk, list, index, phrase, only);
    }
    // A phrase that was begun counts from its first letter on: an empty one would say what "{}" says.
    if let Some(since) = ui.data(|data| data.get_temp::<Begun>(begun)) {
        let response = phrase_row(ui, desk, list, count, String::new(), false);
        if since == Begun::Now {
            response.request_focus();
            response.scroll_to_me(None);
            ui.data_mut(|data| data.insert_temp(begun, Begun::Before));
        } else if response.changed() || !response.has_focus() {
            ui.data_mut(|data| data.remove::<Begun>(begun));
        }
    }
}

/// A phrase whose field is open but still empty.
#[derive(Clone, Copy, PartialEq)]
enum Begun {
    Now,
    Before,
}

fn phrase_row(
    ui: &mut Ui,
    desk: &mut Desk<'_>,
    list: List,
    index: usize,
    mut phrase: String,
    only: bool,
) -> egui::Response {
    let of = list.of;
    let name = format!("{} {}", list.one, index + 1);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 0.0;
        let width = ui.available_width() - ICON_BUTTON;
        let field = TextEdit::singleline(&mut phrase).hint_text("a phrase, {} is the object").margin(vec2(6.0, 4.0));
        let response = ui.add(field.desired_width(width).id_salt((list.one, index)));
        let response = response.accessible_name(&name).on_hover_text(list.tooltip);
        if response.changed() {
            desk.edit(&name, move |recipe: &mut Recipe| match of(&mut recipe.prompts) {
                phrases if index == phrases.len() => phrases.push(phrase),
                phrases => {
                    if let Some(kept) = phrases.get_mut(index) {
                        *kept = phrase;
                    }
                }
            });
        }
        let remove = ui
            .add_enabled_ui(!only, |ui| icon_button(ui, ICON_CLOSE, &format!("Remove {name}"), "Remove this phrase."));
        if remove.inner.on_disabled_hover_text("At least one phrase is needed.").clicked() {
            desk.edit(format!("Remove {name}"), move |recipe| {
                let phrases = of(&mut recipe.prompts);
                if index < phrases.len() {
                    phrases.remove(index);
                }
            });
        }
        response
    })
    .inner
}

fn templates(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    ui.add_space(theme::GRID);
    let tooltip =
        "Sentences around each phrase, one a line; {} is the phrase. The ensemble of all is steadier than one.";
    ui.label(theme::small("Templates").color(colours.ink_soft)).on_hover_text(tooltip);
    let mut text = desk.state.recipe.prompts.templates.join("\n");
    let field = TextEdit::multiline(&mut text).desired_rows(2).desired_width(f32::INFINITY).margin(vec2(6.0, 4.0));
    if ui.add(field).accessible_name("Templates").on_hover_text(tooltip).changed() {
        desk.edit("Templates", move |recipe| {
            recipe.prompts.templates = text.lines().map(str::to_owned).collect();
        });
    }
}
