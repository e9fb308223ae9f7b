//! Thumbnails in place of the canvas, for a look over a whole batch. Only visible rows are laid out.

use egui::{CursorIcon, Rect, Role, ScrollArea, Sense, StrokeKind, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::canvas;
use super::film_strip::{paint_thumbnail, photo_menu, quality_sign};
use crate::app::action::{Action, Desk};
use crate::app::photo_list::Entry;
use crate::app::theme::{self, palette};
use crate::app::widgets::badge::paint_badge;

const CELL: f32 = 148.0;
const CAPTION: f32 = 30.0;

/// Shows the grid.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    canvas::header(ui, desk);
    let columns = ((ui.available_width() - theme::WIDE_GAP) / CELL).floor().max(1.0) as usize;
    let shown = desk.state.photos.shown_len();
    ui.spacing_mut().item_spacing.y = 0.0;
    ui.add_space(theme::GAP);
    let area = ScrollArea::vertical().auto_shrink(false).id_salt("grid");
    area.show_rows(ui, CELL + CAPTION, shown.div_ceil(columns), |ui, rows| {
        for row in rows {
            let line = Rect::from_min_size(ui.cursor().min, vec2(ui.available_width(), CELL + CAPTION));
            for column in 0..columns {
                let Some(entry) = desk.state.photos.shown(row * columns + column).cloned() else { break };
                let left = line.left() + theme::GAP + column as f32 * CELL;
                let rect = Rect::from_min_size(pos2(left, line.top()), vec2(CELL, CELL + CAPTION));
                ui.scope_builder(UiBuilder::new().max_rect(rect).id_salt(entry.id), |ui| cell(ui, desk, &entry, rect));
            }
            // Only now: a cell moves the cursor to where its own content ends.
            ui.advance_cursor_after_rect(line);
        }
    });
}

fn cell(ui: &mut Ui, desk: &mut Desk<'_>, entry: &Entry, rect: Rect) {
    let colours = palette(ui);
    let selected = desk.state.selected == Some(entry.id);
    let response =
        ui.interact(rect, ui.scope_id().with(entry.id), Sense::click()).on_hover_cursor(CursorIcon::PointingHand);
    response
        .widget_info(|| WidgetInfo::selected(Role::GridCell, true, selected, format!("{} in the grid", entry.name)));
    let picture = Rect::from_min_size(rect.min + vec2(6.0, 6.0), vec2(CELL - 12.0, CELL - 12.0));
    paint_thumbnail(ui, desk, entry, picture);
    if selected {
        ui.painter().rect_stroke(picture.expand(3.0), 6, (2.0, colours.accent), StrokeKind::Outside);
    } else if response.hovered() {
        ui.painter().rect_stroke(picture.expand(3.0), 6, (1.0, colours.ink_faint), StrokeKind::Outside);
    }
    if let Some(inspection) = entry.inspection() {
        let badge = paint_badge(ui, picture.left_bottom() + vec2(6.0, -14.0), inspection.verdict);
        if !inspection.quality.passed {
            quality_sign(ui, badge.right_center() + vec2(5.0, 0.0), &inspection.quality.reason);
        }
    }
    let name = format!("{}{}", desk.state.photos.folder_prefix(entry), entry.name);
    let mut job = egui::text::LayoutJob::simple_singleline(name, theme::small_font(), colours.ink_soft);
    job.wrap = egui::text::TextWrapping::truncate_at_width(picture.width());
    let galley = ui.painter().layout_job(job);
    ui.painter().galley(picture.left_bottom() + vec2(0.0, 5.0), galley, colours.ink_soft);
    if response.clicked() {
        desk.push(Action::Select(entry.id));
    }
    if response.double_clicked() {
        desk.look(|look| look.grid = false);
    }
    response.context_menu(|ui| photo_menu(ui, desk, entry));
}
