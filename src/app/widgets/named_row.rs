//! A name on the left, aligned from row to row, and what it names.

use egui::{Align, Label, Layout, RichText, Ui, vec2};

use crate::app::theme::{self, palette};

/// A name on the left of a row, `width` points wide.
pub fn named(ui: &mut Ui, width: f32, text: RichText) -> egui::Response {
    let layout = Layout::left_to_right(Align::Center);
    ui.allocate_ui_with_layout(vec2(width, 16.0), layout, |ui| {
        ui.set_min_width(width);
        ui.add(Label::new(text).truncate())
    })
    .inner
}

/// A whole row: the name, `width` points wide and with a tooltip, and `body` beside it.
pub fn named_row(ui: &mut Ui, width: f32, name: &str, tooltip: &str, body: impl FnOnce(&mut Ui)) {
    let ink = palette(ui).ink_soft;
    ui.horizontal(|ui| {
        ui.set_min_height(7.0 * theme::GRID);
        named(ui, width, RichText::new(name).color(ink)).on_hover_text(tooltip);
        body(ui);
    });
}
