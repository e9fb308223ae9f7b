//! Figures of merit: a large number with its name, and a share as a bar with its number.

use egui::{Align2, Rect, Response, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use crate::app::theme::{self, palette};

/// A number that one reads across the room, with its name below.
pub fn figure(ui: &mut Ui, value: &str, name: &str, tooltip: &str) -> Response {
    let colours = palette(ui);
    let number = ui.painter().layout_no_wrap(value.to_owned(), theme::strong_font(theme::TITLE), colours.ink);
    let caption = ui.painter().layout_no_wrap(name.to_owned(), theme::small_font(), colours.ink_faint);
    let size = vec2(number.size().x.max(caption.size().x), number.size().y + caption.size().y + 1.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("{name} {value}")));
    let below = pos2(rect.left(), rect.top() + number.size().y + 1.0);
    ui.painter().galley(rect.min, number, colours.ink);
    ui.painter().galley(below, caption, colours.ink_faint);
    response.on_hover_text(tooltip)
}

/// A share from 0 to 1 as a bar and a number; `None` is one that is not defined. `name` says what it is of what.
pub fn share_bar(ui: &Ui, rect: Rect, share: Option<f64>, name: &str) {
    let colours = palette(ui);
    let response = ui.interact(rect, ui.scope_id().with(("share", name)), Sense::hover());
    let text = share.map_or_else(|| "–".to_owned(), |share| format!("{share:.2}"));
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("{name} {text}")));
    let painter = ui.painter();
    let track =
        Rect::from_min_max(pos2(rect.left(), rect.center().y - 3.0), pos2(rect.right() - 38.0, rect.center().y + 3.0));
    painter.rect_filled(track, 2, colours.hover);
    if let Some(share) = share {
        let mut filled = track;
        filled.set_width(track.width() * share.clamp(0.0, 1.0) as f32);
        painter.rect_filled(filled, 2, colours.accent);
    }
    let at = pos2(rect.right() - 8.0, rect.center().y);
    painter.text(at, Align2::RIGHT_CENTER, text, theme::small_font(), colours.ink_soft);
}
