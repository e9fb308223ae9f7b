//! The list of classes: names, which are good, their keys, and how many photos each has.

use egui::{Id, Key, Modal, ScrollArea, TextEdit, Ui, vec2};
use egui_material_icons::icons::{ICON_ARROW_UPWARD, ICON_DELETE};

use crate::app::action::{Action, Desk};
use crate::app::labels::{ClassEdit, KEYED};
use crate::app::state::{Sheet, photos};
use crate::app::theme::{self, palette};
use crate::app::widgets::icon_button;
use crate::app::widgets::icon_button::text_button;

/// Shows the sheet; true when it is to be closed.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>, new: String) -> bool {
    let colours = palette(ui);
    let modal = Modal::new(Id::unique("classes")).show(ui.ctx(), |ui| {
        ui.set_width(500.0);
        ui.label(theme::title("Classes"));
        ui.add_space(theme::GRID);
        let text = "What parts truly are. The number is the key that labels the photo on view; 0 takes the label away.";
        ui.label(egui::RichText::new(text).color(colours.ink_soft));
        ui.add_space(theme::GAP);
        ScrollArea::vertical().max_height(360.0).auto_shrink([false, true]).show(ui, |ui| rows(ui, desk));
        ui.add_space(theme::GAP);
        add(ui, desk, new);
        ui.add_space(theme::WIDE_GAP);
        ui.button("Close").clicked()
    });
    modal.inner || modal.should_close()
}

fn rows(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let counts = desk.state.label_counts();
    for (place, class) in desk.state.photos.classes().to_vec().into_iter().enumerate() {
        ui.horizontal(|ui| {
            let key = if place < KEYED { (place + 1).to_string() } else { "–".to_owned() };
            ui.allocate_ui(vec2(16.0, theme::ROW), |ui| {
                ui.set_min_width(16.0);
                ui.label(theme::strong(key).color(colours.ink_faint));
            });
            name(ui, desk, &class.name);
            let mut normal = class.normal;
            let tooltip = "Parts of this class are good: a verdict NG on one is a false alarm, OK on any other a miss.";
            let response = ui.checkbox(&mut normal, "good").on_hover_text(tooltip);
            if response.accessible_name(format!("{} is good", class.name)).changed() {
                desk.push(Action::Classes(ClassEdit::Normal(class.name.clone(), normal)));
            }
            let count = photos(counts.get(&class.name).copied().unwrap_or(0));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                let tooltip = "Remove this class; its photos have no label then. Ctrl+Z takes it back.";
                if icon_button(ui, ICON_DELETE, &format!("Remove class {}", class.name), tooltip).clicked() {
                    desk.push(Action::Classes(ClassEdit::Remove(class.name.clone())));
                }
                ui.add_enabled_ui(place > 0, |ui| {
                    let up = format!("Move class {} up", class.name);
                    if icon_button(ui, ICON_ARROW_UPWARD, &up, "One key lower.").clicked() {
                        desk.push(Action::Classes(ClassEdit::Up(class.name.clone())));
                    }
                });
                ui.label(theme::small(count).color(colours.ink_faint));
            });
        });
    }
}

/// The name, taken when the field is left.
fn name(ui: &mut Ui, desk: &mut Desk<'_>, class: &crate::app::labels::Label) {
    let id = Id::unique(("class name", class));
    let mut text = ui.data(|data| data.get_temp::<String>(id)).unwrap_or_else(|| class.to_string());
    let field = TextEdit::singleline(&mut text).id(id.with("field")).desired_width(190.0).margin(vec2(6.0, 4.0));
    let response = ui.add(field).accessible_name(format!("Name of class {class}"));
    if response.lost_focus() {
        ui.data_mut(|data| data.remove::<String>(id));
        desk.push(Action::Classes(ClassEdit::Rename { from: class.clone(), to: text }));
    } else if response.changed() {
        ui.data_mut(|data| data.insert_temp(id, text));
    }
}

fn add(ui: &mut Ui, desk: &mut Desk<'_>, mut new: String) {
    ui.horizontal(|ui| {
        ui.add_space(24.0);
        let field = TextEdit::singleline(&mut new).hint_text("a new class, e.g. crack").margin(vec2(6.0, 4.0));
        let response = ui.add(field.desired_width(190.0)).accessible_name("New class");
        let enter = response.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter));
        let clicked =
            text_button(ui, egui_material_icons::icons::ICON_ADD, "Add class", "Add a class with this name.").clicked();
        if (enter || clicked) && !new.trim().is_empty() {
            desk.push(Action::Classes(ClassEdit::Add(new.clone())));
            desk.push(Action::Sheet(Sheet::Classes { new: String::new() }));
            response.request_focus();
        } else if response.changed() {
            desk.push(Action::Sheet(Sheet::Classes { new }));
        }
    });
}
