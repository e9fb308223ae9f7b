//! The scores of all photos with the threshold to drag. Bars carry the verdict's colour; the shaded band is "uncertain".

use egui::{CursorIcon, Id, Sense, Stroke, Ui};
use egui_plot::{AxisHints, Bar, BarChart, PlotBounds, PlotPoint, PlotPoints, Points, Span, VLine};

use crate::anomaly::Verdict;
use crate::app::action::Desk;
use crate::app::theme::{self, palette};
use crate::app::widgets::still_plot;

const BINS: usize = 48;
/// How close to a line it is caught, in points.
const CATCH: f32 = 9.0;

/// What is being dragged.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Grip {
    Threshold,
    /// An edge of the uncertain band.
    Band,
}

/// Counts per bin and verdict, and the range of the scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    pub low: f64,
    pub high: f64,
    /// OK, uncertain, NG.
    pub bins: [Vec<usize>; 3],
}

impl Histogram {
    /// Bins `scores`; `marks` (threshold, references) widen the range. `None` without scores.
    pub fn new(scores: &[(f32, Verdict)], marks: &[f32]) -> Option<Self> {
        let all = scores.iter().map(|(score, _)| *score).chain(marks.iter().copied()).filter(|v| v.is_finite());
        let (low, high) = all.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        if scores.is_empty() || low > high {
            return None;
        }
        let margin = f64::from((high - low).max(1e-3)) * 0.06;
        let (low, high) = (f64::from(low) - margin, f64::from(high) + margin);
        let mut bins = [vec![0; BINS], vec![0; BINS], vec![0; BINS]];
        for (score, verdict) in scores.iter().filter(|(score, _)| score.is_finite()) {
            let at = ((f64::from(*score) - low) / (high - low) * BINS as f64) as usize;
            bins[*verdict as usize][at.min(BINS - 1)] += 1;
        }
        Some(Self { low, high, bins })
    }

    fn width(&self) -> f64 {
        (self.high - self.low) / BINS as f64
    }

    fn tallest(&self) -> usize {
        (0..BINS).map(|bin| self.bins.iter().map(|counts| counts[bin]).sum()).max().unwrap_or(0)
    }
}

/// Shows the histogram.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let state = desk.state;
    let scores: Vec<(f32, Verdict)> =
        state.photos.iter().filter_map(|entry| entry.inspection()).map(|i| (i.image_score, i.verdict)).collect();
    let calibration = state.view.as_ref().map(|view| view.calibration.clone());
    let threshold = state.image_threshold();
    let mut marks: Vec<f32> = threshold.into_iter().collect();
    if let Some(calibration) = &calibration {
        marks.extend(calibration.normal_scores.iter());
    }
    let Some(histogram) = Histogram::new(&scores, &marks) else {
        ui.centered_and_justified(|ui| {
            ui.label(egui::RichText::new("The scores of all photos appear here.").color(colours.ink_faint));
        });
        return;
    };
    caption(ui, desk);
    let band = calibration.as_ref().filter(|_| state.recipe.uncertain_band > 0.0).map(|calibration| {
        let half = state.recipe.uncertain_band;
        (f64::from(calibration.image_score_at(0.5 - half)), f64::from(calibration.image_score_at(0.5 + half)))
    });
    let tallest = histogram.tallest().max(1) as f64;
    let here = state.view.as_ref().map(|view| f64::from(view.inspection.image_score));
    let plot = still_plot("scores")
        .show_grid([false, false])
        .custom_x_axes(vec![
            AxisHints::new_x()
                .label_spacing(40.0..=72.0)
                .formatter(|mark, _| {
                    let decimals = if mark.step_size < 0.099 { 2 } else { usize::from(mark.step_size < 0.99) };
                    format!("{:.decimals$}", mark.value)
                })
                .tick_label_font(theme::small_font())
                .tick_label_color(colours.ink_faint),
        ])
        .show_axes([true, false])
        .show_x(false)
        .show_y(false)
        .set_margin_fraction(egui::Vec2::ZERO)
        .sense(Sense::click_and_drag())
        .label_formatter(|_| None);
    let normals: Vec<[f64; 2]> = calibration
        .iter()
        .flat_map(|calibration| calibration.normal_scores.iter())
        .map(|score| [f64::from(*score), -0.07 * tallest])
        .collect();
    let bounds = PlotBounds::from_min_max([histogram.low, -0.14 * tallest], [histogram.high, 1.12 * tallest]);
    let shown = plot.show(ui, |plot| {
        plot.set_plot_bounds(bounds);
        if let Some((low, high)) = band {
            plot.span(Span::new("", low..=high).fill(colours.uncertain.gamma_multiply(0.16)).border_width(0.0));
        }
        let width = histogram.width();
        let mut base = [0.0; BINS];
        for (counts, colour) in histogram.bins.iter().zip([colours.ok, colours.uncertain, colours.ng]) {
            let mut bars = Vec::new();
            for (bin, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                let x = histogram.low + (bin as f64 + 0.5) * width;
                let bar = Bar::new(x, count as f64).width(width * 0.86).base_offset(base[bin]).fill(colour);
                bars.push(bar.stroke(Stroke::NONE));
                base[bin] += count as f64;
            }
            plot.bar_chart(BarChart::new("", bars).allow_hover(false));
        }
        if !normals.is_empty() {
            let points = Points::new("references", PlotPoints::from(normals)).radius(2.0).color(colours.ink_faint);
            plot.points(points.allow_hover(false));
        }
        if let Some(x) = here {
            plot.vline(
                VLine::new("this photo", x)
                    .stroke(Stroke::new(1.0, colours.ink_soft))
                    .style(egui_plot::LineStyle::dashed_dense())
                    .allow_hover(false),
            );
        }
        if let Some(threshold) = threshold {
            plot.vline(
                VLine::new("threshold", f64::from(threshold))
                    .stroke(Stroke::new(2.0, colours.accent))
                    .allow_hover(false),
            );
        }
    });
    let response = shown.response.accessible_name("Score histogram");
    let Some(threshold) = threshold else { return };
    let x_of = |score: f64| shown.transform.position_from_point(&PlotPoint::new(score, 0.0)).x;
    let label = format!("{threshold:.2}");
    let at = egui::pos2(x_of(f64::from(threshold)) + 6.0, shown.transform.frame().top() + 9.0);
    ui.painter().text(at, egui::Align2::LEFT_CENTER, label, theme::strong_font(theme::SMALL), colours.accent);

    // Dragging: the threshold is caught before the edges of the band.
    let id = Id::unique("histogram grip");
    let near = |pointer: egui::Pos2| {
        let close = |score: f64| (x_of(score) - pointer.x).abs() <= CATCH;
        if close(f64::from(threshold)) {
            Some(Grip::Threshold)
        } else {
            band.filter(|&(low, high)| close(low) || close(high)).map(|_| Grip::Band)
        }
    };
    if response.hover_pos().is_some_and(|pointer| near(pointer).is_some()) {
        ui.ctx().set_cursor_icon(CursorIcon::ResizeHorizontal);
    }
    if response.drag_started()
        && let Some(origin) = ui.input(|i| i.pointer.press_origin())
    {
        ui.data_mut(|data| data.insert_temp(id, near(origin)));
    }
    if response.dragged()
        && let Some(grip) = ui.data(|data| data.get_temp::<Option<Grip>>(id)).flatten()
        && let Some(pointer) = response.interact_pointer_pos()
    {
        ui.ctx().set_cursor_icon(CursorIcon::ResizeHorizontal);
        let score = shown.transform.value_from_position(pointer).x.clamp(histogram.low, histogram.high) as f32;
        match (grip, &calibration) {
            (Grip::Threshold, _) => desk.edit("Photo threshold", move |recipe| recipe.image_threshold = Some(score)),
            (Grip::Band, Some(calibration)) => {
                let half = (calibration.normalise_image(score) - 0.5).abs().min(0.45);
                desk.edit("Uncertain band", move |recipe| recipe.uncertain_band = half);
            }
            (Grip::Band, None) => {}
        }
    }
    if response.drag_stopped() {
        ui.data_mut(|data| data.remove::<Option<Grip>>(id));
    }
    response.on_hover_text_at_pointer("Raw scores of all photos. Drag the blue line: photos right of it are NG. Drag an edge of the amber band: photos inside are uncertain. Dots are the references.");
}

fn caption(ui: &mut Ui, desk: &Desk<'_>) {
    let colours = palette(ui);
    let counts = desk.state.photos.counts();
    ui.horizontal(|ui| {
        ui.label(theme::strong("Scores"));
        for (text, ink) in [
            (format!("{} {} NG", theme::sign(Verdict::Ng), counts.ng), colours.ng),
            (format!("{} {} uncertain", theme::sign(Verdict::Uncertain), counts.uncertain), colours.uncertain),
            (format!("{} {} OK", theme::sign(Verdict::Ok), counts.ok), colours.ok),
        ] {
            ui.label(theme::small(text).color(ink));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_score_is_in_one_bin() {
        let scores = [(0.0, Verdict::Ok), (10.0, Verdict::Ng), (5.0, Verdict::Uncertain), (f32::NAN, Verdict::Ng)];
        let histogram = Histogram::new(&scores, &[12.0]).expect("there are scores");
        assert_eq!(histogram.bins.iter().map(|bins| bins.iter().sum::<usize>()).collect::<Vec<_>>(), [1, 1, 1]);
        assert!(histogram.low < 0.0 && histogram.high > 12.0);
        assert_eq!(Histogram::new(&[], &[1.0]), None);
    }

    #[test]
    fn equal_scores_leave_a_range() {
        let histogram = Histogram::new(&[(3.0, Verdict::Ok); 5], &[]).expect("there are scores");
        assert!(histogram.high > histogram.low && histogram.tallest() == 5);
    }
}
