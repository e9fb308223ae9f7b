//! A table of figures: a name on the left, numbers in columns that align. Rows may be buttons.

use egui::text::{LayoutJob, TextWrapping};
use egui::{Align2, Color32, CursorIcon, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use crate::app::theme::{self, palette};

const ROW: f32 = 28.0;
/// Narrowest a column of numbers may be, and what it may be wider than its texts where there is room.
const COLUMN: f32 = 58.0;
const SPARE: f32 = 40.0;
/// Room between columns.
const BETWEEN: f32 = 16.0;

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
    ui.scope(|ui| shown(ui, first, columns, rows)).inner
}

/// Where the numbers of each column end, counted from the left of the table: wide enough for heading and numbers.
fn ends(ui: &Ui, columns: &[&str], rows: &[TableRow], name: f32, room: f32) -> Vec<f32> {
    let width = |text: &str, font| ui.painter().layout_no_wrap(text.to_owned(), font, Color32::PLACEHOLDER).size().x;
    let widest = |place: usize, heading: &str| {
        let font = |row: &TableRow| if row.strong { theme::strong_font(theme::BODY) } else { theme::body_font() };
        let values = rows.iter().filter_map(|row| Some(width(row.values.get(place)?, font(row))));
        values.fold(width(heading, theme::small_font()), f32::max)
    };
    let needed: Vec<f32> = columns
        .iter()
        .enumerate()
        .map(|(place, heading)| (widest(place, heading) + BETWEEN).max(COLUMN).ceil())
        .collect();
    let left = room - name - needed.iter().sum::<f32>();
    let spare = (left / columns.len().max(1) as f32).clamp(0.0, SPARE);
    let mut end = name - 8.0;
    let ends = needed.iter().map(|needed| {
        end += needed + spare;
        end
    });
    ends.collect()
}

fn shown(ui: &mut Ui, first: &str, columns: &[&str], rows: &[TableRow]) -> Option<usize> {
    let colours = palette(ui);
    let room = ui.available_width();
    let name = (room * 0.28).clamp(120.0, 300.0);
    let ends = ends(ui, columns, rows, name, room);
    let width = ends.last().map_or(name, |end| end + 8.0);
    let mut clicked = None;
    if width > room + 0.5 {
        // A bar that is seen says that there is more.
        ui.spacing_mut().scroll = egui::style::ScrollStyle { bar_width: 8.0, ..egui::style::ScrollStyle::solid() };
        ui.visuals_mut().widgets.inactive.bg_fill = colours.raised.lerp_to_gamma(colours.ink_faint, 0.5);
    }
    egui::ScrollArea::horizontal().id_salt(("table", first)).auto_shrink([false, true]).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        let (head, _) = ui.allocate_exact_size(vec2(width, 22.0), Sense::hover());
        let painter = ui.painter();
        let left = pos2(head.left() + 8.0, head.center().y);
        painter.text(left, Align2::LEFT_CENTER, first, theme::small_font(), colours.ink_faint);
        for (end, text) in ends.iter().zip(columns) {
            let at = pos2(head.left() + end, head.center().y);
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
            for (end, text) in ends.iter().zip(&row.values) {
                let at = pos2(rect.left() + end, rect.center().y);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_and_numbers_have_room_beside_each_other() {
        let ctx = egui::Context::default();
        theme::install(&ctx);
        let heads = ["Img-AUROC", "Img-F1max", "n"];
        let rows = ["100.0 ± 10.25", "1", "2"].map(str::to_owned);
        let rows = [TableRow { name: "MEAN".to_owned(), values: rows.to_vec(), strong: true, tooltip: None }];
        let _ = ctx.run_ui(egui::RawInput::default(), |ui| {
            let width = |text: &str| {
                let font = theme::strong_font(theme::BODY);
                ui.painter().layout_no_wrap(text.to_owned(), font, Color32::WHITE).size().x
            };
            let narrow = ends(ui, &heads, &rows, 120.0, 200.0);
            assert!(narrow[0] - 120.0 > width("100.0 ± 10.25"), "{narrow:?}");
            assert!(narrow[1] - narrow[0] > width("Img-F1max"), "{narrow:?}");
            let wide = ends(ui, &heads, &rows, 120.0, 1000.0);
            assert!(wide.iter().zip(&narrow).all(|(wide, narrow)| wide > narrow) && wide[2] < 1000.0, "{wide:?}");
        });
    }
}
