//! Buttons with an icon. Every one has a name for those who do not see it and a tooltip for those who do.

use egui::{Button, Response, RichText, Stroke, Ui, vec2};
use egui_material_icons::MaterialIcon;

use crate::app::theme::{self, palette};

const SIZE: f32 = 18.0;

/// Width of a button with an icon only.
pub const ICON_BUTTON: f32 = 28.0;

/// Adds a button without the padding that text needs.
fn add_tight(ui: &mut Ui, button: Button<'_>) -> Response {
    ui.scope(|ui| {
        ui.spacing_mut().button_padding = vec2(2.0, 2.0);
        ui.add(button.min_size(vec2(ICON_BUTTON, theme::ROW)))
    })
    .inner
}

/// A quiet button with an icon only.
pub fn icon_button(ui: &mut Ui, icon: MaterialIcon, name: &str, tooltip: &str) -> Response {
    let ink = palette(ui).ink_soft;
    let button = Button::new(icon.rich_text().size(SIZE).color(ink)).frame_when_inactive(false);
    add_tight(ui, button).on_hover_text(tooltip).accessible_name(name)
}

/// An icon that is on or off.
pub fn icon_toggle(ui: &mut Ui, on: bool, icon: MaterialIcon, name: &str, tooltip: &str) -> Response {
    let colours = palette(ui);
    let ink = if on { colours.accent } else { colours.ink_faint };
    let fill = if on { colours.selected } else { egui::Color32::TRANSPARENT };
    let button = Button::new(icon.rich_text().size(SIZE).color(ink)).fill(fill).stroke(Stroke::NONE);
    let response = add_tight(ui, button).on_hover_text(tooltip);
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, on, name));
    response
}

/// The main action of a place.
pub fn primary_button(ui: &mut Ui, icon: Option<MaterialIcon>, text: &str, tooltip: &str) -> Response {
    let colours = palette(ui);
    let label = theme::strong(text).color(colours.on_accent);
    let button = match icon {
        Some(icon) => Button::new((icon.rich_text().size(16.0).color(colours.on_accent), label)),
        None => Button::new(label),
    };
    let button = button.fill(colours.accent).stroke(Stroke::NONE).min_size(vec2(0.0, 7.0 * theme::GRID));
    ui.add(button).on_hover_text(tooltip).accessible_name(text)
}

/// An ordinary button with icon and text.
pub fn text_button(ui: &mut Ui, icon: MaterialIcon, text: &str, tooltip: &str) -> Response {
    let ink = palette(ui).ink_soft;
    let button = Button::new((icon.rich_text().size(16.0).color(ink), RichText::new(text)));
    ui.add(button.min_size(vec2(0.0, 7.0 * theme::GRID))).on_hover_text(tooltip).accessible_name(text)
}
