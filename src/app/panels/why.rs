//! "Why?": for a place in the photo, the most similar normal patch and its photo, the distance, and each component's
//! share of the score. Everything comes from the evidence; no network runs.

use egui::{Align2, Color32, Pos2, Rect, Role, Sense, StrokeKind, Ui, Vec2, WidgetInfo, pos2, vec2};

use crate::anomaly::NearestPatch;
use crate::app::action::Desk;
use crate::app::photo_list::file_name;
use crate::app::theme::{self, palette};
use crate::engine::View;
use crate::recipe::Comparison;

/// What is known of one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    pub row: usize,
    pub col: usize,
    /// Weighted, standardised share of the words and of the references; their sum is the patch's score before smoothing.
    pub text_share: f32,
    pub memory_share: f32,
    /// Anomalous share of the text softmax, 0–1; `None` where no network reads words.
    pub text: Option<f32>,
    /// Distance to the nearest reference patch; `None` without references.
    pub distance: Option<f32>,
    pub nearest: Option<NearestPatch>,
    pub background: bool,
}

/// Explains the patch under `place` (photo pixels).
pub fn explain(view: &View, place: Pos2) -> Option<Explanation> {
    let evidence = &view.evidence;
    let share =
        |at: f32, size: u32, count: usize| ((at / size as f32 * count as f32) as usize).min(count.saturating_sub(1));
    if place.x < 0.0 || place.y < 0.0 || evidence.rows == 0 || evidence.cols == 0 {
        return None;
    }
    let row = share(place.y, evidence.photo.height, evidence.rows);
    let col = share(place.x, evidence.photo.width, evidence.cols);
    let patch = row * evidence.cols + col;
    let (text_share, memory_share) = crate::anomaly::judge::shares(evidence, &view.recipe, &view.calibration, patch);
    Some(Explanation {
        row,
        col,
        text_share,
        memory_share,
        text: evidence.text.as_ref().and_then(|text| text.values.get(patch).copied()),
        distance: evidence.memory.as_ref().and_then(|memory| memory.values.get(patch).copied()),
        nearest: evidence.nearest.get(patch).copied(),
        background: !evidence.foreground.get(patch).copied().unwrap_or(true),
    })
}

/// Rows and columns of the patch grid of a photo of this size, given the grid of another photo under the same recipe.
fn grid_of(size: Vec2, known: (usize, usize), keep_aspect: bool) -> (f32, f32) {
    let short = known.0.min(known.1) as f32;
    if !keep_aspect {
        return (known.0 as f32, known.1 as f32);
    }
    if size.x >= size.y {
        (short, (short * size.x / size.y).round().max(1.0))
    } else {
        ((short * size.y / size.x).round().max(1.0), short)
    }
}

/// Shows the explanation of the place asked about.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>, view: &View) {
    let colours = palette(ui);
    let Some(place) = desk.state.asked else {
        let text = "Click anywhere in the photo: the nearest normal patch, its photo, and what the score is made of appear here.";
        ui.label(theme::small(text).color(colours.ink_faint));
        return;
    };
    let Some(why) = explain(view, place) else { return };
    let raw = view.map.at_photo(place.x, place.y);
    let entry = desk.state.photos.get(view.id).map(|entry| entry.path.clone());
    let evidence = &view.evidence;
    ui.horizontal(|ui| {
        let side = ((ui.available_width() - theme::GAP) / 2.0).min(150.0);
        if let Some(path) = entry {
            let centre = (why.row as f32 + 0.5, why.col as f32 + 0.5);
            crop(ui, desk, &path, centre, |_| (evidence.rows as f32, evidence.cols as f32), side, "This place");
        }
        if let Some(nearest) = why.nearest
            && let Some(path) = view.recipe.references.get(nearest.reference as usize).cloned()
        {
            let centre = (f32::from(nearest.row) + 0.5, f32::from(nearest.col) + 0.5);
            let keep = view.recipe.memory_geometry().keep_aspect;
            let known = evidence.memory_grid;
            crop(ui, desk, &path, centre, |size| grid_of(size, known, keep), side, "Nearest normal");
        }
    });
    ui.add_space(theme::GRID);
    if let Some(path) = why.nearest.and_then(|n| view.recipe.references.get(n.reference as usize)) {
        ui.label(theme::small(format!("from {}", file_name(path))).color(colours.ink_faint));
    }
    let sum = why.text_share + why.memory_share;
    let scale = why.text_share.abs().max(why.memory_share.abs()).max(view.calibration.pixel_threshold.abs());
    if let Some(text) = why.text {
        share_bar(ui, "Words", why.text_share, scale, &format!("anomalous {:.0} %", 100.0 * text));
    }
    if let Some(distance) = why.distance {
        let others = if view.recipe.comparison == Comparison::Mutual { "Other photos" } else { "References" };
        share_bar(ui, others, why.memory_share, scale, &format!("distance {distance:.3}"));
    }
    ui.add_space(theme::GRID);
    let text = match raw {
        Some(raw) => format!(
            "Together {sum:.2} here, {raw:.2} after smoothing with the neighbours. The pixel threshold is {:.2}.",
            view.calibration.pixel_threshold
        ),
        None => format!("Together {sum:.2} here."),
    };
    ui.label(theme::small(text).color(colours.ink_soft));
    if why.background {
        ui.label(theme::small("This place counts as background and never decides.").color(colours.uncertain));
    }
}

/// A crop of five patches around `centre` (row, column in patches) with the patch marked.
fn crop(
    ui: &mut Ui,
    desk: &mut Desk<'_>,
    path: &std::path::Path,
    centre: (f32, f32),
    grid: impl Fn(Vec2) -> (f32, f32),
    side: f32,
    caption: &str,
) {
    const AROUND: f32 = 5.0;
    let colours = palette(ui);
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        let (rect, response) = ui.allocate_exact_size(vec2(side, side), Sense::hover());
        response.widget_info(|| WidgetInfo::labeled(Role::Image, true, caption));
        ui.painter().rect_filled(rect, 4, colours.hover);
        if let Some(photo) = desk.media.photo(path) {
            let size = crate::app::viewport::size(photo.pixels.width(), photo.pixels.height());
            let (rows, cols) = grid(size);
            let patch = vec2(1.0 / cols, 1.0 / rows);
            let middle = pos2(centre.1 * patch.x, centre.0 * patch.y);
            let uv = Rect::from_center_size(middle, patch * AROUND);
            let inside = uv.intersect(Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0)));
            let to_screen = |p: Pos2| rect.min + (p - uv.min) / uv.size() * rect.size();
            let shown = Rect::from_min_max(to_screen(inside.min), to_screen(inside.max));
            ui.painter().image(photo.texture(f32::INFINITY).id(), shown, inside, Color32::WHITE);
            let marked = Rect::from_center_size(rect.center(), rect.size() / AROUND);
            ui.painter().rect_stroke(marked, 1, (3.0, Color32::from_black_alpha(120)), StrokeKind::Outside);
            ui.painter().rect_stroke(marked, 1, (1.5, Color32::WHITE), StrokeKind::Outside);
        } else {
            let text = if desk.media.failed(path) { "cannot be read" } else { "decoding…" };
            ui.painter().text(rect.center(), Align2::CENTER_CENTER, text, theme::small_font(), colours.ink_faint);
        }
        ui.label(theme::small(caption).color(colours.ink_soft));
    });
}

/// A component's share as a bar from zero, to the right where it speaks for anomalous.
fn share_bar(ui: &mut Ui, name: &str, share: f32, scale: f32, detail: &str) {
    let colours = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("{name} {share:.2}")));
    let painter = ui.painter();
    let middle = rect.center().y;
    painter.text(pos2(rect.left(), middle), Align2::LEFT_CENTER, name, theme::small_font(), colours.ink_soft);
    painter.text(pos2(rect.right(), middle), Align2::RIGHT_CENTER, detail, theme::small_font(), colours.ink_faint);
    let track = Rect::from_min_max(pos2(rect.left() + 72.0, middle - 4.0), pos2(rect.right() - 104.0, middle + 4.0));
    painter.rect_filled(track, 2, colours.hover);
    let zero = track.left() + track.width() * 0.25;
    let end = (zero + share / scale.max(1e-6) * track.width() * 0.75).clamp(track.left(), track.right());
    let bar = Rect::from_x_y_ranges(zero.min(end)..=zero.max(end), track.y_range());
    painter.rect_filled(bar, 2, if share > 0.0 { colours.ng } else { colours.ok });
    painter.vline(zero.round() + 0.5, track.expand(2.0).y_range(), (1.0, colours.ink_faint));
    let value = format!("{share:+.2}");
    response.on_hover_text(format!("{value} of the score: right of the line speaks for anomalous, left for normal."));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Recipe;
    use crate::app::testing::view;

    #[test]
    fn the_patch_under_a_place_is_explained() {
        let view = view(0, &Recipe::default());
        let (rows, cols) = (view.evidence.rows, view.evidence.cols);
        let (width, height) = (view.evidence.photo.width as f32, view.evidence.photo.height as f32);
        let why = explain(&view, pos2(width - 0.1, 0.1)).expect("inside");
        assert_eq!((why.row, why.col), (0, cols - 1));
        let last = explain(&view, pos2(width, height)).expect("the edge belongs to the last patch");
        assert_eq!((last.row, last.col), (rows - 1, cols - 1));
        assert_eq!(explain(&view, pos2(-1.0, 0.0)), None);
    }

    #[test]
    fn grids_follow_the_shape_of_the_photo() {
        assert_eq!(grid_of(vec2(640.0, 480.0), (30, 40), true), (30.0, 40.0));
        assert_eq!(grid_of(vec2(480.0, 640.0), (30, 40), true), (40.0, 30.0));
        assert_eq!(grid_of(vec2(100.0, 900.0), (16, 16), false), (16.0, 16.0));
    }
}
