//! A confusion matrix to click on: counts and row percentages. Stays readable with twenty classes: narrow columns turn
//! their names upright and keep the percentages for the tooltip. Cells that are right carry an outline, so that colour
//! is not the only sign.

use egui::epaint::TextShape;
use egui::text::{LayoutJob, TextWrapping};
use egui::{Align2, Color32, CursorIcon, FontId, Pos2, Rect, Role, Sense, StrokeKind, Ui, WidgetInfo, pos2, vec2};

use crate::app::theme::{self, Palette, palette};

/// Widest and narrowest a cell may be, in points.
const WIDTH: (f32, f32) = (112.0, 26.0);
/// Width from which a cell says its percentage.
const ROOMY: f32 = 50.0;
/// Longest column name that is set upright.
const UPRIGHT: f32 = 110.0;
/// Width of the column with the number of photos.
const SUPPORT: f32 = 56.0;

/// What a cell means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Right,
    Wrong,
    /// Neither: left to a person.
    Open,
}

/// One cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    pub count: usize,
    /// Part of the row, 0–1.
    pub share: f32,
    pub tone: Tone,
}

/// What to draw.
pub struct Matrix<'a> {
    /// What rows and columns are, for the corner.
    pub axes: (&'a str, &'a str),
    pub rows: &'a [String],
    pub columns: &'a [String],
    /// The cell at (row, column).
    pub cell: &'a dyn Fn(usize, usize) -> Cell,
    /// Whole sentence about a cell, for those who do not see it.
    pub name: &'a dyn Fn(usize, usize) -> String,
    /// The cell that is looked at.
    pub chosen: Option<(usize, usize)>,
}

/// Sizes of everything.
struct Layout {
    head: f32,
    cell: egui::Vec2,
    upright: bool,
    top: f32,
}

impl Layout {
    fn new(ui: &Ui, matrix: &Matrix<'_>) -> Self {
        let widest = |names: &[String]| {
            let width = |name: &String| text_width(ui, name, theme::small_font());
            names.iter().map(width).fold(0.0, f32::max)
        };
        let head = (widest(matrix.rows).max(text_width(ui, matrix.axes.0, theme::small_font()) + 12.0) + 12.0)
            .clamp(64.0, 168.0);
        let columns = matrix.columns.len().max(1) as f32;
        let width = ((ui.available_width() - head - SUPPORT) / columns).clamp(WIDTH.1, WIDTH.0).floor();
        let names = widest(matrix.columns);
        let upright = names + 8.0 > width;
        let height = match matrix.rows.len() {
            0..=9 if width >= ROOMY => 44.0,
            0..=12 => 32.0,
            _ => 26.0,
        };
        let top = 18.0 + if upright { names.min(UPRIGHT) + 10.0 } else { 20.0 };
        Self { head, cell: vec2(width, height), upright, top }
    }
}

fn text_width(ui: &Ui, text: &str, font: FontId) -> f32 {
    ui.painter().layout_no_wrap(text.to_owned(), font, Color32::PLACEHOLDER).size().x
}

/// Shows a matrix; returns the cell that was clicked.
pub fn matrix(ui: &mut Ui, matrix: &Matrix<'_>) -> Option<(usize, usize)> {
    let colours = palette(ui);
    let layout = Layout::new(ui, matrix);
    let (rows, columns) = (matrix.rows.len(), matrix.columns.len());
    let size = vec2(
        layout.head + columns as f32 * layout.cell.x + SUPPORT,
        layout.top + rows as f32 * layout.cell.y + theme::GRID,
    );
    let mut clicked = None;
    egui::ScrollArea::horizontal().id_salt("matrix").auto_shrink([false, true]).show(ui, |ui| {
        let (area, _) = ui.allocate_exact_size(size, Sense::hover());
        let first = area.min + vec2(layout.head, layout.top);
        heads(ui, matrix, &layout, first, colours);
        for row in 0..rows {
            for column in 0..columns {
                let corner = first + vec2(column as f32 * layout.cell.x, row as f32 * layout.cell.y);
                let rect = Rect::from_min_size(corner, layout.cell).shrink(1.0);
                if cell(ui, matrix, (row, column), rect, colours) {
                    clicked = Some((row, column));
                }
            }
        }
    });
    clicked
}

fn heads(ui: &Ui, matrix: &Matrix<'_>, layout: &Layout, first: Pos2, colours: &Palette) {
    let painter = ui.painter();
    let top = first.y - layout.top;
    let caption = |at: Pos2, align: Align2, text: String| {
        painter.text(at, align, text, theme::small_font(), colours.ink_faint);
    };
    caption(pos2(first.x + 4.0, top + 8.0), Align2::LEFT_CENTER, format!("{} →", matrix.axes.1));
    caption(pos2(first.x - 10.0, first.y - 10.0), Align2::RIGHT_CENTER, format!("{} ↓", matrix.axes.0));
    let right = first.x + matrix.columns.len() as f32 * layout.cell.x;
    caption(pos2(right + SUPPORT - 4.0, first.y - 10.0), Align2::RIGHT_CENTER, "photos".to_owned());
    for (column, name) in matrix.columns.iter().enumerate() {
        let middle = first.x + (column as f32 + 0.5) * layout.cell.x;
        if layout.upright {
            let galley = shortened(ui, name, UPRIGHT, colours.ink_soft);
            let mut shape =
                TextShape::new(pos2(middle - galley.size().y / 2.0, first.y - 6.0), galley, colours.ink_soft);
            shape.angle = -std::f32::consts::FRAC_PI_2;
            painter.add(shape);
        } else {
            let galley = shortened(ui, name, layout.cell.x, colours.ink_soft);
            painter.galley(pos2(middle - galley.size().x / 2.0, first.y - 18.0), galley, colours.ink_soft);
        }
    }
    for (row, name) in matrix.rows.iter().enumerate() {
        let middle = first.y + (row as f32 + 0.5) * layout.cell.y;
        let galley = shortened(ui, name, layout.head - 12.0, colours.ink);
        painter.galley(pos2(first.x - 10.0 - galley.size().x, middle - galley.size().y / 2.0), galley, colours.ink);
        let support: usize = (0..matrix.columns.len()).map(|column| (matrix.cell)(row, column).count).sum();
        caption(pos2(right + SUPPORT - 4.0, middle), Align2::RIGHT_CENTER, support.to_string());
    }
}

fn shortened(ui: &Ui, text: &str, width: f32, ink: Color32) -> std::sync::Arc<egui::Galley> {
    let mut job = LayoutJob::simple_singleline(text.to_owned(), theme::small_font(), ink);
    job.wrap = TextWrapping::truncate_at_width(width);
    ui.painter().layout_job(job)
}

fn cell(ui: &Ui, matrix: &Matrix<'_>, at: (usize, usize), rect: Rect, colours: &Palette) -> bool {
    let Cell { count, share, tone } = (matrix.cell)(at.0, at.1);
    let response = ui.interact(rect, ui.scope_id().with(("cell", at)), Sense::click());
    let name = (matrix.name)(at.0, at.1);
    let chosen = matrix.chosen == Some(at);
    response.widget_info(|| WidgetInfo::selected(Role::Button, count > 0, chosen, &name));
    let painter = ui.painter();
    let colour = match tone {
        Tone::Right => colours.ok,
        Tone::Wrong => colours.ng,
        Tone::Open => colours.uncertain,
    };
    let fill = if count == 0 { colours.raised } else { colours.panel.lerp_to_gamma(colour, 0.14 + 0.4 * share) };
    painter.rect_filled(rect, 3, fill);
    if tone == Tone::Right {
        painter.rect_stroke(rect, 3, (1.0, colour), StrokeKind::Inside);
    }
    if chosen || response.has_focus() {
        painter.rect_stroke(rect, 3, (2.0, colours.accent), StrokeKind::Inside);
    } else if response.hovered() && count > 0 {
        painter.rect_stroke(rect, 3, (1.0, colours.ink_soft), StrokeKind::Inside);
    }
    if count == 0 {
        painter.text(rect.center(), Align2::CENTER_CENTER, "·", theme::small_font(), colours.ink_faint);
    } else if rect.width() >= ROOMY - 2.0 && rect.height() >= 40.0 {
        let above = rect.center() - vec2(0.0, 7.0);
        painter.text(above, Align2::CENTER_CENTER, count, theme::strong_font(theme::BODY), colours.ink);
        let percentage = format!("{:.0} %", 100.0 * share);
        let below = rect.center() + vec2(0.0, 9.0);
        painter.text(below, Align2::CENTER_CENTER, percentage, theme::small_font(), colours.ink_soft);
    } else if rect.width() >= 2.0 * ROOMY - 12.0 {
        let number = painter.layout_no_wrap(count.to_string(), theme::strong_font(theme::BODY), colours.ink);
        let percentage = format!("{:.0} %", 100.0 * share);
        let percentage = painter.layout_no_wrap(percentage, theme::small_font(), colours.ink_soft);
        let left = rect.center().x - (number.size().x + 8.0 + percentage.size().x) / 2.0;
        let after = left + number.size().x + 8.0;
        painter.galley(pos2(left, rect.center().y - number.size().y / 2.0), number, colours.ink);
        painter.galley(pos2(after, rect.center().y - percentage.size().y / 2.0), percentage, colours.ink_soft);
    } else {
        painter.text(rect.center(), Align2::CENTER_CENTER, count, theme::strong_font(theme::SMALL), colours.ink);
    }
    let tooltip = if count > 0 { format!("{name}\nClick to see them.") } else { name.clone() };
    let response = if count > 0 { response.on_hover_cursor(CursorIcon::PointingHand) } else { response };
    response.on_hover_text(tooltip).clicked() && count > 0
}
