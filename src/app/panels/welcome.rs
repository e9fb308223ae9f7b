//! What the window shows while there is no photo: how to get some in.

use egui::{Align2, Rect, Sense, Stroke, StrokeKind, Ui, UiBuilder, vec2};
use egui_material_icons::icons::{ICON_ADD_PHOTO_ALTERNATE, ICON_FOLDER_OPEN, ICON_PHOTO_LIBRARY};

use crate::app::action::Desk;
use crate::app::command::Command;
use crate::app::theme::{self, palette};
use crate::app::widgets::icon_button::text_button;
use crate::app::widgets::primary_button;

/// Shows the welcome.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let all = ui.available_rect_before_wrap();
    ui.painter().rect_filled(all, 0, colours.canvas);
    let hovering = ui.input(|i| !i.raw.hovered_files.is_empty());
    let card = Rect::from_center_size(all.center(), vec2(560.0_f32.min(all.width() - 32.0), 340.0));
    let line = if hovering { colours.accent } else { colours.hover };
    ui.painter().rect_stroke(card, 12, Stroke::new(1.5, line), StrokeKind::Inside);
    let inner = card.shrink(36.0);
    let mut ui = ui.new_child(UiBuilder::new().max_rect(inner).layout(egui::Layout::top_down(egui::Align::Center)));
    let ui = &mut ui;
    let (icon, _) = ui.allocate_exact_size(vec2(48.0, 48.0), Sense::hover());
    let font = egui::FontId::new(44.0, ICON_ADD_PHOTO_ALTERNATE.font_family());
    ui.painter().text(icon.center(), Align2::CENTER_CENTER, ICON_ADD_PHOTO_ALTERNATE.codepoint, font, colours.accent);
    ui.add_space(theme::GAP);
    ui.label(theme::title("Drop photos of parts here"));
    ui.add_space(theme::GRID);
    let text = "Files or folders, of any depth. Say in words what good and bad parts look like, add a few photos of good ones, and see where each part deviates.";
    ui.label(egui::RichText::new(text).color(colours.ink_soft));
    ui.add_space(theme::WIDE_GAP);
    let row = 7.0 * theme::GRID;
    ui.allocate_ui_with_layout(vec2(inner.width(), row), egui::Layout::left_to_right(egui::Align::Center), |ui| {
        ui.add_space(((inner.width() - 402.0) / 2.0).max(0.0));
        let info = Command::OpenFiles.info();
        if primary_button(ui, Some(ICON_PHOTO_LIBRARY), info.label, info.help).clicked() {
            desk.run(Command::OpenFiles);
        }
        let info = Command::OpenFolder.info();
        if text_button(ui, ICON_FOLDER_OPEN, info.label, info.help).clicked() {
            desk.run(Command::OpenFolder);
        }
        let info = Command::OpenSamples.info();
        if ui.add(egui::Button::new(info.label).min_size(vec2(0.0, row))).on_hover_text(info.help).clicked() {
            desk.run(Command::OpenSamples);
        }
    });
    ui.add_space(theme::WIDE_GAP);
    let formats = "PNG, JPEG, TIFF, BMP, WebP, GIF, PNM · everything stays on this computer";
    ui.label(theme::small(formats).color(colours.ink_faint));
}
