//! The rows of a matched table with similarity and status, bad ones with their line. Only visible rows are laid out. A
//! click shows photo and text of the row.

use egui::text::{LayoutJob, TextWrapping};
use egui::{Align2, Color32, ComboBox, CursorIcon, FontId, Role, ScrollArea, Sense, Ui, WidgetInfo, pos2, vec2};

use super::{show_as, sign};
use crate::app::action::{Action, Desk};
use crate::app::describing::{Listed, Matched, RowFilter, RowOrder};
use crate::app::photo_list::file_name;
use crate::app::theme::{self, palette};
use crate::app::widgets::segments;
use crate::matching::{Label, judge_match};

const ROW: f32 = 26.0;
/// Rows that are visible at once.
const VISIBLE: f32 = 14.0;

/// Shows the list.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>, matched: &Matched) {
    let describing = &desk.state.describing;
    let (filter, order, threshold) = (describing.filter, describing.order, describing.setup.threshold);
    let listed = matched.listed(filter, order, threshold);
    head(ui, desk, matched, listed.len());
    ui.add_space(theme::GRID);
    let colours = palette(ui);
    if listed.is_empty() {
        ui.label(theme::small("No such row.").color(colours.ink_faint));
        return;
    }
    let columns = Columns::of(ui.available_width());
    ui.spacing_mut().item_spacing.y = 0.0;
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 22.0), Sense::hover());
    let heads = [
        (columns.line, "line"),
        (columns.photo, "photo"),
        (columns.text, "description"),
        (columns.label, "label"),
        (columns.score, "similarity"),
        (columns.status, "status"),
    ];
    for ((x, _), text) in heads {
        let at = pos2(rect.left() + x, rect.center().y);
        ui.painter().text(at, Align2::LEFT_CENTER, text, theme::small_font(), colours.ink_faint);
    }
    ui.painter().hline(rect.x_range(), rect.bottom(), (1.0, colours.line));
    let height = VISIBLE * ROW;
    let area = ScrollArea::vertical().id_salt("matched rows").max_height(height).min_scrolled_height(height);
    area.auto_shrink([false, true]).show_rows(ui, ROW, listed.len(), |ui, visible| {
        for &row in &listed[visible] {
            one(ui, desk, matched, row, threshold, &columns);
        }
    });
}

fn head(ui: &mut Ui, desk: &mut Desk<'_>, matched: &Matched, listed: usize) {
    let colours = palette(ui);
    let (filter, order) = (desk.state.describing.filter, desk.state.describing.order);
    ui.horizontal_wrapped(|ui| {
        ui.label(theme::strong("Rows"));
        ui.label(theme::small(listed.to_string()).color(colours.ink_faint));
        let mut choices = vec![
            (RowFilter::All, "All", "Every row of the table."),
            (RowFilter::Matches, "Matches", "Rows at or above the threshold."),
            (RowFilter::Mismatches, "Mismatches", "Rows below the threshold."),
        ];
        if matched.evaluation.is_some() {
            choices.push((RowFilter::Wrong, "Against their label", "Rows decided other than their label says."));
        }
        if !matched.bad.is_empty() {
            choices.push((RowFilter::Bad, "Not usable", "Rows that could not be used, with the reason."));
        }
        if let Some(filter) = segments(ui, filter, &choices) {
            show_as(desk, move |describing| describing.filter = filter);
        }
        let name = |order| match order {
            RowOrder::Table => "Order of the table",
            RowOrder::LowestFirst => "Lowest first",
            RowOrder::HighestFirst => "Highest first",
        };
        let combo = ComboBox::from_id_salt("order of rows").selected_text(theme::small(name(order))).width(130.0);
        let shown = combo.show_ui(ui, |ui| {
            for choice in [RowOrder::Table, RowOrder::LowestFirst, RowOrder::HighestFirst] {
                if ui.selectable_label(choice == order, name(choice)).clicked() {
                    show_as(desk, move |describing| describing.order = choice);
                }
            }
        });
        shown.response.on_hover_text("Order of the rows.").accessible_name("Order of the rows");
    });
}

/// Left edge and width of each column.
struct Columns {
    line: (f32, f32),
    photo: (f32, f32),
    text: (f32, f32),
    label: (f32, f32),
    score: (f32, f32),
    status: (f32, f32),
}

impl Columns {
    fn of(width: f32) -> Self {
        let free = (width - 56.0 - 84.0 - 76.0 - 110.0).max(240.0);
        let photo = (0.3 * free).min(260.0);
        let text = free - photo;
        let mut left = 6.0;
        let mut next = |width: f32| {
            let at = left;
            left += width;
            (at, width - 10.0)
        };
        Self {
            line: next(56.0),
            photo: next(photo),
            text: next(text),
            label: next(84.0),
            score: next(76.0),
            status: next(104.0),
        }
    }
}

fn one(ui: &mut Ui, desk: &mut Desk<'_>, matched: &Matched, row: Listed, threshold: f32, columns: &Columns) {
    let colours = palette(ui);
    let scored = matches!(row, Listed::Scored(_));
    let sense = if scored { Sense::click() } else { Sense::hover() };
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), sense);
    if scored && (response.hovered() || response.has_focus()) {
        ui.painter().rect_filled(rect, theme::RADIUS, colours.raised);
    }
    let painter = ui.painter();
    let write = |(x, width): (f32, f32), text: &str, font: FontId, ink: Color32| {
        let mut job = LayoutJob::simple_singleline(text.to_owned(), font, ink);
        job.wrap = TextWrapping::truncate_at_width(width.max(8.0));
        let galley = painter.layout_job(job);
        painter.galley(pos2(rect.left() + x, rect.center().y - galley.size().y / 2.0), galley, ink);
    };
    let line = matched.line(row);
    write(columns.line, &line.to_string(), theme::small_font(), colours.ink_faint);
    match row {
        Listed::Bad(place) => {
            let Some(bad) = matched.bad.get(place) else { return };
            let error = bad.error.to_string();
            response.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("Line {line}: {error}")));
            let width = rect.width() - columns.photo.0 - 10.0;
            write((columns.photo.0, width), &error, theme::small_font(), colours.uncertain);
            response.on_hover_text(error);
        }
        Listed::Scored(place) => {
            let Some((pair, similarity)) = matched.pair(place) else { return };
            let judged = judge_match(similarity, threshold);
            let (mark, ink) = sign(judged.status, colours);
            let status = format!("{mark} {}", judged.status.word());
            response.widget_info(|| {
                let spoken =
                    format!("Line {line}: {}, similarity {similarity:.3}, {}", pair.text, judged.status.word());
                WidgetInfo::labeled(Role::Button, true, spoken)
            });
            write(columns.photo, &file_name(&pair.path), theme::body_font(), colours.ink_soft);
            write(columns.text, &pair.text, theme::body_font(), colours.ink);
            if let Some(label) = pair.label {
                let wrong = (label == Label::Match) != judged.is_match;
                let text = if wrong { format!("≠ {}", label.name()) } else { label.name().to_owned() };
                write(columns.label, &text, theme::small_font(), if wrong { colours.ng } else { colours.ink_faint });
            }
            write(columns.score, &format!("{similarity:.3}"), theme::body_font(), colours.ink_soft);
            write(columns.status, &status, theme::small_font(), ink);
            let tooltip = format!("{}\n{}\nClick to look at it claim by claim.", pair.path.display(), pair.text);
            if response.on_hover_cursor(CursorIcon::PointingHand).on_hover_text(tooltip).clicked() {
                desk.push(Action::OpenPair(place));
            }
        }
    }
}
