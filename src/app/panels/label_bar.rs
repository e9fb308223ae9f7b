//! The row of classes below the photo: which one it truly is, by click or key.

use egui::{Align, Button, Color32, Layout, Role, ScrollArea, Ui, WidgetInfo, vec2};
use egui_material_icons::icons::ICON_EDIT;

use crate::app::action::{Action, Desk};
use crate::app::command::Command;
use crate::app::labels::KEYED;
use crate::app::photo_list::Agreement;
use crate::app::theme::{self, palette};
use crate::app::widgets::icon_button;

/// Room for the way to the classes, and for whether label and verdict agree.
const STATUS: f32 = 152.0;

/// Shows the bar.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let Some(entry) = desk.state.selected.and_then(|id| desk.state.photos.get(id)).cloned() else { return };
    ui.horizontal_centered(|ui| {
        ui.spacing_mut().item_spacing.x = theme::GRID;
        ui.label(theme::small("Truly").color(colours.ink_faint)).on_hover_text(
            "The true class of this part, for the evaluation. Accept and reject are decisions about the part; a label \
             says what it is. Neither changes the verdict.",
        );
        ui.add_space(theme::GRID);
        let room = ui.available_width() - STATUS;
        ui.allocate_ui_with_layout(vec2(room, ui.available_height()), Layout::left_to_right(Align::Center), |ui| {
            ui.set_min_width(room);
            ScrollArea::horizontal().id_salt("classes").auto_shrink(false).show(ui, |ui| {
                ui.horizontal_centered(|ui| {
                    for (place, class) in desk.state.photos.classes().to_vec().into_iter().enumerate() {
                        let on = entry.label.as_ref() == Some(&class.name);
                        let ink = if on { colours.ink } else { colours.ink_soft };
                        let mut text = egui::text::LayoutJob::default();
                        if place < KEYED {
                            let format = egui::TextFormat::simple(theme::small_font(), colours.ink_faint);
                            text.append(&format!("{}  ", place + 1), 0.0, format);
                        }
                        text.append(&class.name, 0.0, egui::TextFormat::simple(theme::small_font(), ink));
                        let fill = if on { colours.selected } else { Color32::TRANSPARENT };
                        let line = if on { colours.accent } else { colours.line };
                        let button = Button::new(text).fill(fill).stroke((1.0, line)).corner_radius(10);
                        let kind = if class.normal { "a good part" } else { "a defective part" };
                        let tooltip = format!("This is {kind}: {}. Click again to take the label away.", class.name);
                        let response = ui.add(button).on_hover_text(tooltip);
                        let name = format!("Label {}", class.name);
                        response.widget_info(|| WidgetInfo::selected(Role::Button, true, on, &name));
                        if response.clicked() {
                            desk.push(Action::Label(entry.id, (!on).then_some(class.name)));
                        }
                    }
                });
            });
        });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let agreement = entry.agreement(desk.state.photos.classes());
            let (text, ink) = match agreement {
                Some(Agreement::Right) => ("✓ verdict right", colours.ok),
                Some(Agreement::Open) => ("? verdict left open", colours.uncertain),
                Some(Agreement::FalseAlarm) => ("× false alarm", colours.ng),
                Some(Agreement::Miss) => ("× miss", colours.ng),
                None if entry.label.is_none() => ("no label", colours.ink_faint),
                None => ("not judged yet", colours.ink_faint),
            };
            ui.label(theme::small(text).color(ink)).on_hover_text("Whether verdict and label agree.");
            ui.add_space(theme::GRID);
            let info = Command::EditClasses.info();
            if icon_button(ui, ICON_EDIT, info.label, info.help).clicked() {
                desk.run(Command::EditClasses);
            }
        });
    });
}
