//! The figures of merit as numbers and bars.

use egui::{Rect, Sense, Ui, pos2, vec2};

use super::heading;
use crate::app::action::Desk;
use crate::app::evaluation::Evaluation;
use crate::app::theme::{self, palette};
use crate::app::widgets::{figure, share_bar};
use crate::metrics::ClassReport;

/// Height of a class's row.
const ROW: f32 = 26.0;

/// The figures in one row.
pub fn summary(ui: &mut Ui, desk: &Desk<'_>, evaluation: &Evaluation) {
    let counts = desk.state.photos.counts();
    let share = |value: f64| format!("{:.1} %", 100.0 * value);
    let fraction = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
    let figures = evaluation.curves.as_ref().map(|curves| curves.figures);
    let (auroc, ap) = (figures.and_then(|f| f.auroc), figures.and_then(|f| f.ap));
    let f1 = figures.and_then(|f| f.f1_max);
    let best = f1.map_or_else(
        || "Needs good and defective photos.".to_owned(),
        |f1| format!("The best F1 of “defective” over all thresholds, at {:.3}.", f1.threshold),
    );
    let all = [
        (
            share(evaluation.report.accuracy),
            "accuracy",
            "Photos judged right, of all with label and verdict; uncertain is not right.".to_owned(),
        ),
        (
            fraction(Some(evaluation.report.macro_average.f1)),
            "macro F1",
            "Mean of the F1 of good and of defective.".to_owned(),
        ),
        (counts.misses.to_string(), "misses", "Defective parts judged OK.".to_owned()),
        (counts.false_alarms.to_string(), "false alarms", "Good parts judged NG.".to_owned()),
        (
            fraction(auroc),
            "AUROC",
            "Area under the ROC curve of the photo score: how often a defective part scores above a good one."
                .to_owned(),
        ),
        (fraction(ap), "average precision", "Area under the precision-recall curve of the photo score.".to_owned()),
        (fraction(f1.map(|f1| f1.value)), "best F1", best),
    ];
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(2.0 * theme::WIDE_GAP, theme::GAP);
        for (value, name, tooltip) in all {
            figure(ui, &value, name, &tooltip);
        }
    });
}

/// Precision, recall and F1 of every class as bars.
pub fn per_class(ui: &mut Ui, report: &ClassReport) {
    let colours = palette(ui);
    heading(ui, "Figures by class", "");
    ui.add_space(theme::GRID);
    let width = ui.available_width().min(900.0);
    let (name, support) = (148.0, 64.0);
    let column = ((width - name - support) / 3.0).max(80.0);
    let line = |ui: &mut Ui| ui.allocate_exact_size(vec2(width, ROW), Sense::hover()).0;
    let rect = line(ui);
    let columns = ["precision", "recall", "F1"];
    for (place, text) in columns.iter().enumerate() {
        let at = pos2(rect.left() + name + place as f32 * column, rect.center().y);
        let align = egui::Align2::LEFT_CENTER;
        ui.painter().text(at, align, text, theme::small_font(), colours.ink_faint);
    }
    let right = pos2(rect.left() + width - 4.0, rect.center().y);
    ui.painter().text(right, egui::Align2::RIGHT_CENTER, "photos", theme::small_font(), colours.ink_faint);
    for figures in report.per_class.iter().chain([&report.macro_average]) {
        let rect = line(ui);
        let mean = std::ptr::eq(figures, &raw const report.macro_average);
        if mean {
            ui.painter().hline(rect.x_range(), rect.top(), (1.0, colours.line));
        }
        let mut job = egui::text::LayoutJob::simple_singleline(figures.label.clone(), theme::body_font(), colours.ink);
        job.wrap = egui::text::TextWrapping::truncate_at_width(name - 12.0);
        let galley = ui.painter().layout_job(job);
        let left = pos2(rect.left(), rect.center().y - galley.size().y / 2.0);
        ui.painter().galley(left, galley, colours.ink);
        for (place, (what, value)) in columns.iter().zip([figures.precision, figures.recall, figures.f1]).enumerate() {
            let left = rect.left() + name + place as f32 * column;
            let bar = Rect::from_min_max(pos2(left, rect.top()), pos2(left + column - 12.0, rect.bottom()));
            share_bar(ui, bar, Some(value), &format!("{what} of {}", figures.label));
        }
        let right = pos2(rect.left() + width - 4.0, rect.center().y);
        let align = egui::Align2::RIGHT_CENTER;
        ui.painter().text(right, align, figures.support, theme::small_font(), colours.ink_soft);
    }
}
