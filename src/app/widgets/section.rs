//! A part of the side panel that folds, with a title, a summary that stays visible when folded, and a remembered state.

use egui::{Align2, CursorIcon, Role, Sense, Ui, WidgetInfo, pos2, vec2};
use egui_material_icons::icons::{ICON_CHEVRON_RIGHT, ICON_EXPAND_MORE};

use crate::app::theme::{self, palette};

/// Shows a section; returns true when its title was clicked.
pub fn section(ui: &mut Ui, title: &str, summary: &str, open: bool, body: impl FnOnce(&mut Ui)) -> bool {
    let colours = palette(ui);
    ui.add_space(theme::GRID);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 7.0 * theme::GRID), Sense::click());
    let response = response.on_hover_cursor(CursorIcon::PointingHand);
    response.widget_info(|| WidgetInfo::selected(Role::DisclosureTriangle, true, open, title));
    let painter = ui.painter();
    let ink = if response.hovered() { colours.ink } else { colours.ink_soft };
    let icon = if open { ICON_EXPAND_MORE } else { ICON_CHEVRON_RIGHT };
    let icon_font = egui::FontId::new(16.0, icon.font_family());
    painter.text(
        pos2(rect.left() - 3.0, rect.center().y),
        Align2::LEFT_CENTER,
        icon.codepoint,
        icon_font,
        colours.ink_faint,
    );
    let named = painter.text(
        pos2(rect.left() + 16.0, rect.center().y),
        Align2::LEFT_CENTER,
        title,
        theme::strong_font(theme::BODY),
        ink,
    );
    let room = rect.right() - named.right() - 12.0;
    let mut job = egui::text::LayoutJob::simple_singleline(summary.to_owned(), theme::small_font(), colours.ink_faint);
    job.wrap = egui::text::TextWrapping::truncate_at_width(room.max(0.0));
    let galley = painter.layout_job(job);
    painter.galley(pos2(rect.right() - galley.size().x, rect.center().y - galley.size().y / 2.0), galley, ink);
    if response.has_focus() {
        painter.rect_stroke(rect, theme::RADIUS, (1.0, colours.accent), egui::StrokeKind::Inside);
    }
    if open {
        ui.add_space(2.0);
        egui::Frame::new().inner_margin(egui::Margin { left: 0, right: 0, top: 0, bottom: 8 }).show(ui, |ui| {
            ui.set_width(ui.available_width());
            body(ui);
        });
    }
    let line = ui.available_rect_before_wrap();
    ui.painter().hline(rect.x_range(), line.top().round() + 0.5, (1.0, colours.line));
    ui.add_space(1.0);
    response.clicked()
}
