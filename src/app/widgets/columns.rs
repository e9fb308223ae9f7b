//! Two columns side by side on a page.

use egui::Ui;

use crate::app::theme;

/// Widest the columns become, in points: longer lines are hard to read.
const LEFT: f32 = 640.0;
const RIGHT: f32 = 760.0;

/// `left` on `share` of the width and `right` beside it; `with` is what both work on.
pub fn columns<T>(
    ui: &mut Ui,
    share: f32,
    with: &mut T,
    left: impl FnOnce(&mut Ui, &mut T),
    right: impl FnOnce(&mut Ui, &mut T),
) {
    let gap = 2.0 * theme::WIDE_GAP;
    let width = ((ui.available_width() - gap) * share).min(LEFT);
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = gap;
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.x = theme::GAP;
            ui.set_width(width);
            left(ui, with);
        });
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.x = theme::GAP;
            ui.set_max_width(ui.available_width().min(RIGHT));
            right(ui, with);
        });
    });
}
