//! The curves of a run: losses by batch and epoch, and how well the photos judged on are met, beside what the network gave
//! before it was trained.

use egui::{Color32, Stroke, Ui};
use egui_plot::{AxisHints, Line, LineStyle, MarkerShape, PlotBounds, PlotPoints, Points};

use crate::app::theme::{self, palette};
use crate::app::training::TrainRun;
use crate::app::widgets::still_plot;
use crate::app::widgets::table::{TableRow, table};
use crate::report::segments::COLOURS;
use crate::train::segmentation::Judged;

/// A line of a plot.
struct Curve {
    name: &'static str,
    colour: Color32,
    /// Every batch, faint behind the epochs.
    faint: Vec<[f64; 2]>,
    points: Vec<[f64; 2]>,
    /// Before training.
    before: Option<f64>,
}

fn colour(place: usize) -> Color32 {
    let [r, g, b] = COLOURS[place];
    Color32::from_rgb(r, g, b)
}

/// Shows curves and table.
pub fn show(ui: &mut Ui, run: &TrainRun) {
    let by_epoch = |value: fn(&crate::train::segmentation::EpochFigures) -> Option<f64>| -> Vec<[f64; 2]> {
        run.epochs.iter().filter_map(|epoch| Some([epoch.epoch as f64, value(epoch)?])).collect()
    };
    let losses = [
        Curve {
            name: "BCE",
            colour: colour(4),
            faint: run.batches.iter().map(|[at, bce, _]| [*at, *bce]).collect(),
            points: by_epoch(|epoch| Some(epoch.bce)),
            before: None,
        },
        Curve {
            name: "Dice loss",
            colour: colour(5),
            faint: run.batches.iter().map(|[at, _, dice]| [*at, *dice]).collect(),
            points: by_epoch(|epoch| Some(epoch.dice_loss)),
            before: None,
        },
    ];
    let met = [
        Curve {
            name: "IoU",
            colour: colour(1),
            faint: Vec::new(),
            points: by_epoch(|epoch| epoch.iou),
            before: run.base.and_then(|base| base.iou),
        },
        Curve {
            name: "Dice",
            colour: colour(2),
            faint: Vec::new(),
            points: by_epoch(|epoch| epoch.dice),
            before: run.base.and_then(|base| base.dice),
        },
    ];
    let epochs = run.setup.epochs.max(1) as f64;
    let side_by_side = ui.available_width() >= 460.0;
    let gap = theme::WIDE_GAP;
    let room = if side_by_side { (ui.available_width() - gap) / 2.0 } else { ui.available_width() };
    let width = room.clamp(180.0, 400.0);
    let draw = |ui: &mut Ui| {
        plot(ui, "Losses while learning", &losses, epochs, width, None);
        plot(ui, "Photos judged on", &met, epochs, width, Some(1.0));
    };
    if side_by_side {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = gap;
            draw(ui);
        });
    } else {
        draw(ui);
    }
    ui.add_space(theme::GAP);
    figures(ui, run);
}

fn plot(ui: &mut Ui, title: &str, curves: &[Curve], epochs: f64, width: f32, top: Option<f64>) {
    let colours = palette(ui);
    ui.vertical(|ui| {
        ui.set_width(width);
        ui.spacing_mut().item_spacing.y = 2.0;
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = theme::GRID;
            ui.label(theme::small(title).color(colours.ink_soft));
            for curve in curves {
                ui.add_space(theme::GRID);
                ui.label(theme::small("●").color(curve.colour));
                ui.label(theme::small(curve.name).color(colours.ink_soft));
            }
        });
        let highest = curves.iter().flat_map(|curve| curve.faint.iter().chain(&curve.points)).map(|point| point[1]);
        let top = top.unwrap_or_else(|| highest.fold(0.1, f64::max).min(3.0) * 1.05);
        let ticks = |hints: AxisHints<'static>| {
            hints.label_spacing(20.0..=40.0).tick_label_font(theme::small_font()).tick_label_color(colours.ink_faint)
        };
        let plot = still_plot(title)
            .width(width)
            .height(width * 0.62)
            .grid_color(colours.line)
            .y_grid_spacer(egui_plot::uniform_grid_spacer(|_| [0.25, 0.5, 1.0]))
            .custom_x_axes(vec![ticks(AxisHints::new_x())])
            .custom_y_axes(vec![ticks(AxisHints::new_y()).min_thickness(28.0)])
            .show_x(false)
            .show_y(false)
            .set_margin_fraction(egui::Vec2::ZERO)
            .label_formatter(|_| None);
        let shown = plot.show(ui, |plot| {
            plot.set_plot_bounds(PlotBounds::from_min_max([-0.02 * epochs, -0.02 * top], [1.02 * epochs, 1.04 * top]));
            for curve in curves {
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

/// Before, best and last, side by side.
fn figures(ui: &mut Ui, run: &TrainRun) {
    let figure = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.3}"));
    let row = |name: String, judged: Judged, strong: bool| TableRow {
        name,
        values: vec![
            figure(judged.iou),
            figure(judged.dice),
            figure(judged.best_dice),
            judged.best_threshold.map_or("–".to_owned(), |value| format!("{value:.2}")),
        ],
        strong,
        tooltip: None,
    };
    let mut rows = Vec::new();
    if let Some(base) = run.base {
        rows.push(row("before training".to_owned(), base, false));
    }
    if let Some(best) = run.best() {
        rows.push(row(format!("best epoch, {}", best.epoch), best.judged(), true));
    }
    if let Some(last) = run.epochs.last().filter(|last| run.best().is_none_or(|best| best.epoch != last.epoch)) {
        rows.push(row(format!("last epoch, {}", last.epoch), last.judged(), false));
    }
    if !rows.is_empty() {
        table(ui, "photos judged on", &["IoU", "Dice", "best Dice", "at"], &rows);
    }
}
