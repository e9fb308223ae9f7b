//! A table of photos and texts: choosing and matching it, its figures, the histogram with the threshold to drag, and the
//! threshold that labelled rows speak for.

use std::fmt::Write as _;

use egui::{CursorIcon, DragValue, ProgressBar, Sense, Stroke, Ui, vec2};
use egui_material_icons::icons::{ICON_FILE_OPEN, ICON_FOLDER_OPEN, ICON_PLAY_ARROW, ICON_STOP_CIRCLE};
use egui_plot::{AxisHints, Bar, BarChart, PlotBounds, VLine};

use super::{NAME, edit, rows, separations, show_as, threshold};
use crate::app::action::{Action, Desk};
use crate::app::classifying::LabJob;
use crate::app::command::Command;
use crate::app::describing::{Matched, OpenTable};
use crate::app::theme::{self, palette};
use crate::app::widgets::icon_button::text_button;
use crate::app::widgets::{columns, figure, named_row, path_field, primary_button, still_plot};
use crate::matching::{Choice, Label};

/// Width of the page from which figures and histogram stand side by side.
const WIDE: f32 = 860.0;
const HISTOGRAM: f32 = 190.0;

/// Shows table, figures, histogram and rows.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    let running = desk.state.describing.job.is_some();
    ui.add_enabled_ui(!running, |ui| choose(ui, desk));
    ui.add_space(theme::GRID);
    start(ui, desk);
    let Some(matched) = desk.state.describing.matched.clone() else { return };
    ui.add_space(theme::WIDE_GAP);
    summary(ui, desk, &matched);
    ui.add_space(theme::WIDE_GAP);
    if ui.available_width() >= WIDE {
        columns(ui, 0.5, desk, |ui, desk| histogram(ui, desk, &matched), |ui, desk| decide(ui, desk, &matched));
    } else {
        histogram(ui, desk, &matched);
        ui.add_space(theme::GAP);
        decide(ui, desk, &matched);
    }
    ui.add_space(theme::WIDE_GAP);
    rows::show(ui, desk, &matched);
}

fn row(ui: &mut Ui, name: &str, tooltip: &str, body: impl FnOnce(&mut Ui)) {
    named_row(ui, NAME, name, tooltip, body);
}

/// The file, what was understood of it, and the button.
fn choose(ui: &mut Ui, desk: &mut Desk<'_>) {
    let setup = desk.state.describing.setup.clone();
    let table = desk.state.describing.table.clone();
    let info = Command::OpenPairTable.info();
    row(ui, "Table", info.help, |ui| {
        if text_button(ui, ICON_FILE_OPEN, "Open…", info.help).clicked() {
            desk.run(Command::OpenPairTable);
        }
        if let Some(path) = path_field(ui, "Path of the table", "path of a CSV file", setup.table.as_deref()) {
            desk.push(Action::OpenPairTable(path));
        }
    });
    row(ui, "Photos", "Where relative paths of the table start.", |ui| {
        let info = Command::ChoosePairRoot.info();
        let allowed = desk.state.allows(Command::ChoosePairRoot);
        let button = ui.add_enabled_ui(allowed, |ui| text_button(ui, ICON_FOLDER_OPEN, "Change…", info.help));
        if button.inner.clicked() {
            desk.run(Command::ChoosePairRoot);
        }
        let typed = ui.add_enabled_ui(allowed, |ui| {
            path_field(ui, "Folder of the table's photos", "beside the table", setup.root.as_deref())
        });
        if let Some(root) = typed.inner {
            desk.push(Action::PairsFrom(root));
        }
    });
    if let Some(table) = &table {
        row(ui, "", "", |ui| understood(ui, table));
    }
}

/// The button, or how far it is.
fn start(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    ui.horizontal(|ui| {
        ui.set_min_height(7.0 * theme::GRID);
        ui.add_space(NAME + theme::GAP);
        if let Some(job) = desk.state.describing.job.clone() {
            progress(ui, desk, &job);
            return;
        }
        let info = Command::MatchTable.info();
        let allowed = desk.state.allows(Command::MatchTable);
        let count = desk.state.describing.pairs().map_or(0, |pairs| pairs.rows.len());
        let text = if count > 0 { format!("Match {}", counted(count)) } else { info.label.to_owned() };
        let button = ui.add_enabled_ui(allowed, |ui| primary_button(ui, Some(ICON_PLAY_ARROW), &text, info.help)).inner;
        if button.accessible_name(info.label).clicked() {
            desk.run(Command::MatchTable);
        }
        let text = if desk.state.describing.table.is_none() {
            "Open a CSV file with the columns image_path, text and, where known, label; or drop it here."
        } else if desk.state.describing.matched.is_none() {
            "Each photo and each text goes through the network once, however many rows name it."
        } else {
            ""
        };
        ui.label(theme::small(text).color(colours.ink_faint));
    });
}

fn progress(ui: &mut Ui, desk: &mut Desk<'_>, job: &LabJob) {
    let colours = palette(ui);
    let text = match (job.stopping, job.total) {
        (true, _) => "Stopping…".to_owned(),
        (false, 0) => format!("{}…", job.what),
        (false, total) => format!("{}: {} of {total} rows", job.what, job.done),
    };
    let bar = ProgressBar::new(job.done as f32 / job.total.max(1) as f32).desired_width(180.0);
    ui.add(bar.desired_height(6.0).fill(colours.accent).corner_radius(3)).accessible_name(&text);
    ui.label(egui::RichText::new(text).color(colours.ink_soft));
    if !job.stopping && text_button(ui, ICON_STOP_CIRCLE, "Stop", Command::StopMatching.info().help).clicked() {
        desk.run(Command::StopMatching);
    }
}

/// `1 row`, `2 rows`.
fn counted(rows: usize) -> String {
    crate::count::count(rows, "row", "rows")
}

fn understood(ui: &mut Ui, table: &OpenTable) {
    let colours = palette(ui);
    let pairs = match &table.pairs {
        Ok(pairs) => pairs,
        Err(error) => {
            ui.add(egui::Label::new(theme::small(error).color(colours.ng)).wrap());
            return;
        }
    };
    let with = |label: Label| pairs.rows.iter().filter(|pair| pair.label == Some(label)).count();
    let (matches, mismatches) = (with(Label::Match), with(Label::Mismatch));
    let mut text = counted(pairs.rows.len());
    if matches + mismatches > 0 {
        let _ = write!(text, ", labelled {matches} match and {mismatches} mismatch");
    } else {
        text.push_str(", none with a label");
    }
    ui.label(theme::small(text).color(colours.ink_soft));
    if let Some(first) = pairs.bad.first() {
        let text = format!("{} cannot be used; the first: line {}", counted(pairs.bad.len()), first.line);
        let listed: Vec<String> =
            pairs.bad.iter().take(12).map(|row| format!("Line {}: {}", row.line, row.error)).collect();
        ui.label(theme::small(text).color(colours.uncertain)).on_hover_text(listed.join("\n"));
    }
}

/// What labels and rows come to at the threshold.
fn summary(ui: &mut Ui, desk: &Desk<'_>, matched: &Matched) {
    let threshold = desk.state.describing.setup.threshold;
    let matching = matched.matching(threshold);
    let mut all = vec![
        (matching.to_string(), "match", "Rows whose similarity reaches the threshold.".to_owned()),
        ((matched.scores.len() - matching).to_string(), "mismatch", "Rows below the threshold.".to_owned()),
    ];
    if !matched.bad.is_empty() {
        let text = "Rows that cannot be used, or whose photo cannot be read; listed below with their line.";
        all.push((matched.bad.len().to_string(), "not usable", text.to_owned()));
    }
    if let (Some(at), Some(evaluation)) = (matched.figures(threshold), &matched.evaluation) {
        let fraction = |value: f64| format!("{value:.3}");
        let optional = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), fraction);
        all.extend([
            (
                fraction(at.precision),
                "precision",
                "Of the labelled rows called a match, those that are one.".to_owned(),
            ),
            (fraction(at.recall), "recall", "Of the labelled matches, those that are found.".to_owned()),
            (fraction(at.f1), "F1", "Harmonic mean of precision and recall at this threshold.".to_owned()),
            (fraction(at.accuracy), "accuracy", "Labelled rows decided right.".to_owned()),
            (
                optional(evaluation.auroc),
                "AUROC",
                "How often a match scores above a mismatch; 0.5 is chance. No threshold changes it.".to_owned(),
            ),
            (
                optional(evaluation.average_precision),
                "average precision",
                "Area under the precision-recall curve. No threshold changes it.".to_owned(),
            ),
        ]);
    }
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(2.0 * theme::WIDE_GAP, theme::GAP);
        for (value, name, tooltip) in all {
            figure(ui, &value, name, &tooltip);
        }
    });
    let colours = palette(ui);
    let mut text = format!("By {} on {}.", matched.made.model.id, matched.made.device);
    if matched.resumed > 0 {
        let _ = write!(text, " {} were done already by a run that was stopped.", counted(matched.resumed));
    }
    ui.add_space(theme::GRID);
    ui.label(theme::small(text).color(colours.ink_faint)).on_hover_text(separations(&matched.made));
}

/// Threshold by hand, by name, and from the labelled rows.
fn decide(ui: &mut Ui, desk: &mut Desk<'_>, matched: &Matched) {
    let colours = palette(ui);
    let now = desk.state.describing.setup.threshold;
    let width = ui.available_width().min(560.0);
    ui.label(theme::strong("Decision"));
    threshold(ui, desk, width);
    ui.add_space(theme::GAP);
    ui.label(egui::RichText::new("From the labelled rows").color(colours.ink_soft));
    let Some(evaluation) = matched.evaluation.filter(|evaluation| evaluation.matches * evaluation.mismatches > 0)
    else {
        let text = "Needs rows of both labels: fill in the column label with match and mismatch.";
        ui.label(theme::small(text).color(colours.ink_faint));
        return;
    };
    ui.horizontal_wrapped(|ui| {
        let best = format!("Best F1 ({:.3})", evaluation.best_f1.threshold);
        let tooltip = format!("The threshold with the highest F1 on the labelled rows: {:.3}.", evaluation.best_f1.f1);
        if ui.button(best).on_hover_text(tooltip).accessible_name("Threshold of the best F1").clicked() {
            choose_threshold(desk, matched, Choice::BestF1);
        }
        let mut precision = desk.state.describing.precision;
        let tooltip = "The lowest threshold at which this share of what is called a match is one, so that as many as \
                       possible are found.";
        let button = ui.button("Precision from").on_hover_text(tooltip);
        if button.accessible_name("Threshold of a precision").clicked() {
            choose_threshold(desk, matched, Choice::Precision(precision));
        }
        let number = DragValue::new(&mut precision).range(0.5..=1.0).speed(0.002).fixed_decimals(2);
        if ui.add(number).on_hover_text(tooltip).accessible_name("Precision wanted").changed() {
            show_as(desk, move |describing| describing.precision = precision);
        }
    });
    let Some(at) = matched.figures(now) else { return };
    let [[hits, missed], [false_hits, rejected]] = at.confusion;
    ui.add_space(theme::GAP);
    egui::Grid::new("decided").num_columns(3).spacing(vec2(24.0, 2.0)).show(ui, |ui| {
        let small = |text: &str| theme::small(text).color(colours.ink_faint);
        ui.label(small("truly"));
        ui.label(small("said match"));
        ui.label(small("said mismatch"));
        ui.end_row();
        for (name, right, wrong, first) in [("match", hits, missed, true), ("mismatch", rejected, false_hits, false)] {
            let ok = theme::strong(right.to_string()).color(colours.ok);
            let ng = theme::strong(wrong.to_string()).color(if wrong > 0 { colours.ng } else { colours.ink_faint });
            ui.label(name);
            let (left, right) = if first { (ok, ng) } else { (ng, ok) };
            ui.label(left);
            ui.label(right);
            ui.end_row();
        }
    });
}

fn choose_threshold(desk: &mut Desk<'_>, matched: &Matched, choice: Choice) {
    match matched.choose(choice) {
        Ok(new) => {
            edit(desk, "Threshold of the similarity", move |setup| setup.threshold = new);
            show_as(desk, |describing| describing.problem = None);
        }
        Err(error) => show_as(desk, move |describing| describing.problem = Some(error.to_string())),
    }
}

/// Scores by label, with the threshold; a drag or a click moves it.
fn histogram(ui: &mut Ui, desk: &mut Desk<'_>, matched: &Matched) {
    let colours = palette(ui);
    let now = desk.state.describing.setup.threshold;
    let bars = &matched.histogram;
    let inks = [colours.ok, colours.ng, colours.ink_faint];
    ui.horizontal_wrapped(|ui| {
        ui.label(theme::strong("Similarities"));
        for ((name, counts), ink) in bars.kinds().into_iter().zip(inks) {
            let total: usize = counts.iter().sum();
            if total > 0 {
                ui.label(theme::small(format!("■ {name} {total}")).color(ink));
            }
        }
    });
    let (Some(&from), Some(&to)) = (bars.edges.first(), bars.edges.last()) else { return };
    let margin = 0.02 * f64::from(to - from);
    let (low, high) = (f64::from(from.min(now)) - margin, f64::from(to.max(now)) + margin);
    let tallest = bars.tallest().max(1) as f64;
    let plot = still_plot("similarities")
        .height(HISTOGRAM)
        .show_grid([false, false])
        .custom_x_axes(vec![
            AxisHints::new_x()
                .label_spacing(44.0..=80.0)
                .formatter(|mark, _| format!("{:.2}", mark.value))
                .tick_label_font(theme::small_font())
                .tick_label_color(colours.ink_faint),
        ])
        .show_axes([true, false])
        .show_x(false)
        .show_y(false)
        .set_margin_fraction(egui::Vec2::ZERO)
        .sense(Sense::click_and_drag())
        .label_formatter(|_| None);
    let shown = plot.show(ui, |plot| {
        plot.set_plot_bounds(PlotBounds::from_min_max([low, 0.0], [high, 1.15 * tallest]));
        let mut base = vec![0.0; bars.edges.len()];
        for ((_, counts), ink) in bars.kinds().into_iter().zip(inks) {
            let mut drawn = Vec::new();
            for (bin, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                let (left, right) = (f64::from(bars.edges[bin]), f64::from(bars.edges[bin + 1]));
                let bar = Bar::new(f64::midpoint(left, right), count as f64).width(0.88 * (right - left));
                drawn.push(bar.base_offset(base[bin]).fill(ink).stroke(Stroke::NONE));
                base[bin] += count as f64;
            }
            plot.bar_chart(BarChart::new("", drawn).allow_hover(false));
        }
        let line = VLine::new("threshold", f64::from(now)).stroke(Stroke::new(2.0, colours.accent));
        plot.vline(line.allow_hover(false));
    });
    let response = shown.response.accessible_name("Histogram of similarities");
    let frame = shown.transform.frame();
    let x = shown.transform.position_from_point(&egui_plot::PlotPoint::new(f64::from(now), 0.0)).x;
    let (align, shift) =
        if x > frame.center().x { (egui::Align2::RIGHT_CENTER, -6.0) } else { (egui::Align2::LEFT_CENTER, 6.0) };
    let at = egui::pos2(x + shift, frame.top() + 9.0);
    ui.painter().text(at, align, format!("{now:.3}"), theme::strong_font(theme::SMALL), colours.accent);
    if response.hovered() {
        ui.ctx().set_cursor_icon(CursorIcon::ResizeHorizontal);
    }
    if (response.dragged() || response.clicked())
        && let Some(pointer) = response.interact_pointer_pos()
    {
        let new = shown.transform.value_from_position(pointer).x.clamp(0.0, 1.0) as f32;
        edit(desk, "Threshold of the similarity", move |setup| setup.threshold = new);
    }
    response.on_hover_text_at_pointer("Similarities of all rows. Drag to move the threshold: rows right of it match.");
}
