//! A choice of few that are all visible: one row of buttons, one of them down.

use egui::{Button, Color32, Role, Stroke, Ui, WidgetInfo};

use crate::app::theme::{self, palette};

/// Shows `(value, text, tooltip)` for each choice; returns the one that was clicked and is another. In a row that is laid
/// out from the right, the first choice stands on the right.
pub fn segments<T: Copy + PartialEq>(ui: &mut Ui, now: T, choices: &[(T, &str, &str)]) -> Option<T> {
    let colours = palette(ui);
    let mut chosen = None;
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        for &(value, text, tooltip) in choices {
            let on = value == now;
            let (ink, fill) =
                if on { (colours.ink, colours.selected) } else { (colours.ink_faint, Color32::TRANSPARENT) };
            let button = Button::new(theme::small(text).color(ink)).fill(fill).stroke(Stroke::NONE);
            let response = ui.add(button).on_hover_text(tooltip);
            response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, on, text));
            if response.clicked() && !on {
                chosen = Some(value);
            }
        }
    });
    chosen
}
