//! The verdict as a badge (colour, sign and word) and a score as a bar with the threshold in its middle.

use egui::{Align2, Color32, Rect, Response, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

use crate::anomaly::Verdict;
use crate::app::theme::{self, Palette, palette};

/// A badge; `None` is a photo that waits.
pub fn badge(ui: &mut Ui, verdict: Option<Verdict>) -> Response {
    let colours = palette(ui);
    let (text, colour) = match verdict {
        Some(verdict) => (format!("{} {}", theme::sign(verdict), verdict.word()), colours.verdict(Some(verdict))),
        None => ("…".to_owned(), colours.raised),
    };
    let ink = if verdict.is_some() { colours.on_verdict } else { colours.ink_faint };
    let galley = ui.painter().layout_no_wrap(text.clone(), theme::strong_font(theme::SMALL), ink);
    let (rect, response) = ui.allocate_exact_size(galley.size() + vec2(12.0, 4.0), Sense::hover());
    ui.painter().rect_filled(rect, theme::RADIUS, colour);
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, ink);
    let name = verdict.map_or("waiting", Verdict::word);
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, name));
    response
}

/// Paints a badge at a place, for rows that are painted rather than laid out; returns its rectangle.
pub fn paint_badge(ui: &Ui, left_middle: egui::Pos2, verdict: Verdict) -> Rect {
    let colours = palette(ui);
    let text = format!("{} {}", theme::sign(verdict), verdict.word());
    let galley = ui.painter().layout_no_wrap(text, theme::strong_font(theme::SMALL), colours.on_verdict);
    let size = galley.size() + vec2(10.0, 3.0);
    let rect = Rect::from_min_size(pos2(left_middle.x, left_middle.y - size.y / 2.0), size);
    ui.painter().rect_filled(rect, theme::RADIUS, colours.verdict(Some(verdict)));
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, colours.on_verdict);
    rect
}

/// Paints a normalised score as a bar with a tick at the threshold (0.5).
pub fn score_bar(ui: &Ui, rect: Rect, normalised: f32, verdict: Verdict, colours: &Palette) {
    let painter = ui.painter();
    painter.rect_filled(rect, 2, colours.hover);
    let mut filled = rect;
    filled.set_right(rect.left() + rect.width() * normalised.clamp(0.0, 1.0).max(0.02));
    painter.rect_filled(filled, 2, colours.verdict(Some(verdict)));
    let x = rect.center().x.round() + 0.5;
    painter.vline(x, rect.expand2(vec2(0.0, 2.0)).y_range(), Stroke::new(1.0, colours.ink_soft));
}

/// Text on the painter, vertically centred.
pub fn text_at(ui: &Ui, left_middle: egui::Pos2, text: impl ToString, font: egui::FontId, colour: Color32) -> Rect {
    ui.painter().text(left_middle, Align2::LEFT_CENTER, text, font, colour)
}
