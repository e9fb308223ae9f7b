//! A table of figures: a name on the left, numbers in columns that align. Rows may be buttons.

use egui::text::{LayoutJob, TextWrapping};
use egui::{Align2, CursorIcon, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use crate::app::theme::{self, palette};

const ROW: f32 = 28.0;
/// Narrowest and widest a column of numbers may be.
const COLUMN: (f32, f32) = (58.0, 104.0);

/// One row.
#[derive(Clone, Debug, Default)]
pub struct TableRow {
    pub name: String,
    pub values: Vec<String>,
    /// Set apart, e.g. a mean.
    pub strong: bool,
    /// What a click does; nothing makes it no button.
    pub tooltip: Option<String>,
}

/// Shows a table; returns the row that was clicked. `first` heads the names.
pub fn table(ui: &mut Ui, first: &str, columns: &[&str], rows: &[TableRow]) -> Option<usize> {
    let colours = palette(ui);
    let room = ui.available_width();
    let count = columns.len().max(1) as f32;
    let name = (room * 0.28).clamp(120.0, 300.0);
    let column = ((room - name) / count).clamp(COLUMN.0, COLUMN.1);
    let width = name + count * column;
    let mut clicked = None;
    egui::ScrollArea::horizontal().id_salt(("table", first)).auto_shrink([false, true]).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        let (head, _) = ui.allocate_exact_size(vec2(width, 22.0), Sense::hover());
        let painter = ui.painter();
        let left = pos2(head.left() + 8.0, head.center().y);
        painter.text(left, Align2::LEFT_CENTER, first, theme::small_font(), colours.ink_faint);
        for (place, text) in columns.iter().enumerate() {
            let at = pos2(head.left() + name + (place + 1) as f32 * column - 8.0, head.center().y);
            painter.text(at, Align2::RIGHT_CENTER, text, theme::small_font(), colours.ink_faint);
        }
        painter.hline(head.x_range(), head.bottom(), (1.0, colours.line));
        for (index, row) in rows.iter().enumerate() {
            let button = row.tooltip.is_some();
            let sense = if button { Sense::click() } else { Sense::hover() };
            let (rect, response) = ui.allocate_exact_size(vec2(width, ROW), sense);
            let spoken: Vec<String> = columns.iter().zip(&row.values).map(|(c, v)| format!("{c} {v}")).collect();
            let spoken = format!("{}: {}", row.name, spoken.join(", "));
            let role = if button { Role::Button } else { Role::Label };
            response.widget_info(|| WidgetInfo::labeled(role, true, &spoken));
            let painter = ui.painter();
            if row.strong && index > 0 {
                painter.hline(rect.x_range(), rect.top(), (1.0, colours.line));
            }
            if button && (response.hovered() || response.has_focus()) {
                painter.rect_filled(rect, theme::RADIUS, colours.raised);
            }
            let font = if row.strong { theme::strong_font(theme::BODY) } else { theme::body_font() };
            let mut job = LayoutJob::simple_singleline(row.name.clone(), font.clone(), colours.ink);
            job.wrap = TextWrapping::truncate_at_width(name - 16.0);
            let galley = painter.layout_job(job);
            let left = pos2(rect.left() + 8.0, rect.center().y - galley.size().y / 2.0);
            painter.galley(left, galley, colours.ink);
            for (place, text) in row.values.iter().enumerate() {
                let at = pos2(rect.left() + name + (place + 1) as f32 * column - 8.0, rect.center().y);
                painter.text(at, Align2::RIGHT_CENTER, text, font.clone(), colours.ink_soft);
            }
            if let Some(tooltip) = &row.tooltip {
                let response = response.on_hover_cursor(CursorIcon::PointingHand).on_hover_text(tooltip);
                if response.clicked() {
                    clicked = Some(index);
                }
            }
        }
    });
    clicked
}
