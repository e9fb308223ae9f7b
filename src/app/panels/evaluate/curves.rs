//! ROC and precision-recall curve of the photo score, with the place of the threshold in force.

use egui::{Stroke, Ui};
use egui_plot::{AxisHints, Line, LineStyle, MarkerShape, PlotBounds, PlotPoints, Points};

use super::heading;
use crate::app::action::Desk;
use crate::app::evaluation::{Curves, Evaluation};
use crate::app::theme::{self, palette};
use crate::app::widgets::still_plot;

/// One of the two plots.
struct Chart<'a> {
    name: &'a str,
    axes: [&'a str; 2],
    points: &'a [[f64; 2]],
    here: [f64; 2],
    /// What a score that knows nothing would give.
    chance: [[f64; 2]; 2],
}

/// Shows both curves.
pub fn show(ui: &mut Ui, desk: &Desk<'_>, evaluation: &Evaluation) {
    let colours = palette(ui);
    let Some(curves) = &evaluation.curves else {
        heading(ui, "Score", "The curves need labelled photos of good and of defective parts.");
        return;
    };
    heading(ui, "Score", "");
    ui.add_space(theme::GRID);
    let side_by_side = ui.available_width() >= 400.0;
    let room = if side_by_side { (ui.available_width() - theme::WIDE_GAP) / 2.0 } else { ui.available_width() };
    let side = room.clamp(160.0, 360.0);
    let defective = &curves.here.per_class[1];
    let kinds = [&curves.here.per_class[0], defective].map(|figures| figures.support as f64);
    let prevalence = kinds[1] / (kinds[0] + kinds[1]);
    let charts = [
        Chart {
            name: "ROC curve",
            axes: ["false alarms, share of the good", "found, share of the defective"],
            points: &curves.lines.roc,
            here: [curves.false_alarms, defective.recall],
            chance: [[0.0, 0.0], [1.0, 1.0]],
        },
        Chart {
            name: "Precision-recall curve",
            axes: ["recall", "precision"],
            points: &curves.lines.precision_recall,
            here: [defective.recall, defective.precision],
            chance: [[0.0, prevalence], [1.0, prevalence]],
        },
    ];
    let draw = |ui: &mut Ui| {
        for chart in &charts {
            plot(ui, chart, side);
        }
    };
    if side_by_side {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = theme::WIDE_GAP;
            draw(ui);
        });
    } else {
        draw(ui);
    }
    ui.add_space(theme::GRID);
    ui.label(theme::small(sentence(curves)).color(colours.ink_soft));
    if desk.state.recipe.uncertain_band > 0.0 {
        let text = "The curves know no uncertain band: a score is above the threshold or it is not.";
        ui.label(theme::small(text).color(colours.ink_faint));
    }
}

/// The point of the threshold in words.
fn sentence(curves: &Curves) -> String {
    let [good, defective] = [&curves.here.per_class[0], &curves.here.per_class[1]];
    format!(
        "At the threshold {:.2}: {:.0} % of {} defective found, {:.0} % of {} good are false alarms.",
        curves.threshold,
        100.0 * defective.recall,
        defective.support,
        100.0 * curves.false_alarms,
        good.support
    )
}

fn plot(ui: &mut Ui, chart: &Chart<'_>, side: f32) {
    let colours = palette(ui);
    ui.vertical(|ui| {
        ui.set_width(side);
        ui.spacing_mut().item_spacing.y = 2.0;
        ui.label(theme::small(chart.name).color(colours.ink_soft));
        let ticks = |hints: AxisHints<'static>| {
            hints
                .label_spacing(20.0..=40.0)
                .formatter(|mark, _| format!("{:.1}", mark.value))
                .tick_label_font(theme::small_font())
                .tick_label_color(colours.ink_faint)
        };
        let plot = still_plot(chart.name)
            .width(side)
            .height(side * 0.86)
            .grid_color(colours.line)
            .custom_x_axes(vec![ticks(AxisHints::new_x())])
            .custom_y_axes(vec![ticks(AxisHints::new_y()).min_thickness(28.0)])
            .show_x(false)
            .show_y(false)
            .set_margin_fraction(egui::Vec2::ZERO)
            .label_formatter(|_| None);
        let here = chart.here;
        let shown = plot.show(ui, |plot| {
            plot.set_plot_bounds(PlotBounds::from_min_max([-0.02, -0.02], [1.02, 1.04]));
            let chance = Line::new("chance", PlotPoints::from(chart.chance.to_vec()))
                .stroke(Stroke::new(1.0, colours.ink_faint))
                .style(LineStyle::dashed_dense());
            plot.line(chance.allow_hover(false));
            let curve = Line::new("curve", PlotPoints::from(chart.points.to_vec()));
            plot.line(curve.stroke(Stroke::new(2.0, colours.ink_soft)).allow_band(false).allow_hover(false));
            let point = Points::new("threshold", PlotPoints::from(vec![here])).radius(5.0).color(colours.accent);
            plot.points(point.shape(MarkerShape::Diamond).allow_hover(false));
        });
        let [x, y] = chart.axes;
        let text = format!("{} against {x}. The diamond is the threshold in force: {:.2}, {:.2}.", y, here[0], here[1]);
        shown.response.on_hover_text(text).accessible_name(chart.name);
        ui.label(theme::small(format!("→ {x}")).color(colours.ink_faint));
        ui.label(theme::small(format!("↑ {y}")).color(colours.ink_faint));
    });
}
