//! The curves of a run: by batch, faint, and by epoch, with a dashed line for what there was before training.

use egui::{Color32, Stroke, Ui};
use egui_plot::{AxisHints, Line, LineStyle, MarkerShape, PlotBounds, PlotPoints, Points};

use crate::app::theme::{self, palette};
use crate::app::widgets::still_plot;
use crate::report::segments::COLOURS;

/// A line of a plot.
pub struct Curve {
    pub name: &'static str,
    pub colour: Color32,
    /// Every batch, faint behind the epochs.
    pub faint: Vec<[f64; 2]>,
    pub points: Vec<[f64; 2]>,
    /// Before training.
    pub before: Option<f64>,
}

impl Curve {
    /// Points by epoch alone; `colour` is a place in the list of colours.
    pub fn new(name: &'static str, colour: usize, points: Vec<[f64; 2]>, before: Option<f64>) -> Self {
        let [r, g, b] = COLOURS[colour % COLOURS.len()];
        Self { name, colour: Color32::from_rgb(r, g, b), faint: Vec::new(), points, before }
    }

    /// With every batch behind the epochs.
    #[must_use]
    pub fn with_batches(self, faint: Vec<[f64; 2]>) -> Self {
        Self { faint, ..self }
    }
}

/// A plot.
pub struct Plot<'a> {
    pub title: &'static str,
    pub curves: &'a [Curve],
    /// Upper end of the scale, which begins at 0.
    pub top: f64,
}

/// An upper end for losses: the highest of them, but for outliers above `most`.
pub fn top_of(curves: &[Curve], most: f64) -> f64 {
    let points = curves.iter().flat_map(|curve| curve.faint.iter().chain(&curve.points)).map(|point| point[1]);
    let highest = points.chain(curves.iter().filter_map(|curve| curve.before)).fold(0.1, f64::max);
    highest.min(most) * 1.05
}

/// Shows plots side by side, or below each other where there is no room.
pub fn show(ui: &mut Ui, plots: &[Plot<'_>], epochs: usize) {
    let epochs = epochs.max(1) as f64;
    let side_by_side = ui.available_width() >= 460.0;
    let gap = theme::WIDE_GAP;
    let room = if side_by_side { (ui.available_width() - gap) / 2.0 } else { ui.available_width() };
    let width = room.clamp(180.0, 400.0);
    let draw = |ui: &mut Ui| {
        for shown in plots {
            plot(ui, shown, epochs, width);
        }
    };
    if side_by_side {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = gap;
            draw(ui);
        });
    } else {
        draw(ui);
    }
}

fn plot(ui: &mut Ui, Plot { title, curves, top }: &Plot<'_>, epochs: f64, width: f32) {
    let top = *top;
    let colours = palette(ui);
    ui.vertical(|ui| {
        ui.set_width(width);
        ui.spacing_mut().item_spacing.y = 2.0;
        ui.label(theme::small(*title).color(colours.ink));
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = theme::GRID;
            for curve in *curves {
                ui.label(theme::small("●").color(curve.colour));
                ui.label(theme::small(curve.name).color(colours.ink_soft));
                ui.add_space(theme::GRID);
            }
        });
        let ticks = |hints: AxisHints<'static>| {
            hints.label_spacing(20.0..=40.0).tick_label_font(theme::small_font()).tick_label_color(colours.ink_faint)
        };
        let plot = still_plot(title)
            .width(width)
            .height(width * 0.62)
            .grid_color(colours.line)
            .y_grid_spacer(egui_plot::uniform_grid_spacer(|_| [0.25, 0.5, 1.0]))
            .custom_x_axes(vec![ticks(AxisHints::new_x())])
            .custom_y_axes(vec![ticks(AxisHints::new_y()).min_thickness(28.0).formatter(|mark, _| {
                // At most two decimals, and none that say nothing.
                ((mark.value * 100.0).round() / 100.0).to_string()
            })])
            .show_x(false)
            .show_y(false)
            .set_margin_fraction(egui::Vec2::ZERO)
            .label_formatter(|_| None);
        let shown = plot.show(ui, |plot| {
            plot.set_plot_bounds(PlotBounds::from_min_max([-0.02 * epochs, -0.02 * top], [1.02 * epochs, 1.04 * top]));
            for curve in *curves {
                if let Some(before) = curve.before {
                    let line = Line::new("before", PlotPoints::from(vec![[0.0, before], [epochs, before]]));
                    let line = line.stroke(Stroke::new(1.2, curve.colour)).style(LineStyle::dashed_dense());
                    plot.line(line.allow_hover(false));
                }
                let faint = Line::new("batches", PlotPoints::from(curve.faint.clone()));
                plot.line(faint.stroke(Stroke::new(1.0, curve.colour.gamma_multiply(0.35))).allow_hover(false));
                let line = Line::new(curve.name, PlotPoints::from(curve.points.clone()));
                plot.line(line.stroke(Stroke::new(2.0, curve.colour)).allow_hover(false));
                let points = Points::new(curve.name, PlotPoints::from(curve.points.clone())).radius(2.5);
                plot.points(points.color(curve.colour).shape(MarkerShape::Circle).allow_hover(false));
            }
        });
        let last: Vec<String> = curves
            .iter()
            .map(|curve| {
                let last = curve.points.last().map_or("–".to_owned(), |point| format!("{:.3}", point[1]));
                format!("{} {last}", curve.name)
            })
            .collect();
        let text = format!("{title}, last epoch: {}. Dashed: before training.", last.join(", "));
        shown.response.on_hover_text(&text).accessible_name(text.as_str());
        ui.label(theme::small("→ epochs").color(colours.ink_faint));
    });
}
