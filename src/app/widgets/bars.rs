//! Names with a share each, as horizontal bars.

use egui::{Align2, Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use crate::app::theme::{self, palette};

/// Draws `(name, share of 0–1)` from top to bottom; `chosen` says which bars carry the accent.
pub fn bars(ui: &mut Ui, shares: &[(&str, f32)], chosen: impl Fn(usize) -> bool) {
    let colours = palette(ui);
    let width = ui.available_width().min(420.0);
    for (place, (name, share)) in shares.iter().enumerate() {
        let (rect, response) = ui.allocate_exact_size(vec2(width, 18.0), Sense::hover());
        let text = format!("{:.0} %", 100.0 * share);
        response.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("{name} {text}")));
        let painter = ui.painter();
        let (left, right) = (rect.left() + 108.0, rect.right() - 44.0);
        let track = Rect::from_min_max(pos2(left, rect.center().y - 4.0), pos2(right, rect.center().y + 4.0));
        let mut job =
            egui::text::LayoutJob::simple_singleline((*name).to_owned(), theme::small_font(), colours.ink_soft);
        job.wrap = egui::text::TextWrapping::truncate_at_width(100.0);
        let galley = painter.layout_job(job);
        painter.galley(pos2(rect.left(), rect.center().y - galley.size().y / 2.0), galley, colours.ink_soft);
        painter.rect_filled(track, 2, colours.hover);
        let mut filled = track;
        filled.set_width(track.width() * share.clamp(0.0, 1.0));
        painter.rect_filled(filled, 2, if chosen(place) { colours.accent } else { colours.ink_faint });
        painter.text(
            pos2(rect.right(), rect.center().y),
            Align2::RIGHT_CENTER,
            text,
            theme::small_font(),
            colours.ink_soft,
        );
        response.on_hover_text(*name);
    }
}
