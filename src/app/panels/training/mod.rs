//! What every page that trains is made of: rows of the setup, the estimate, the button and the progress, how a run ended,
//! and small pictures. Which network learns from what, the pages know.

pub mod curves;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::{Color32, ColorImage, DragValue, ProgressBar, Rect, Sense, Ui, Vec2, pos2, vec2};
use egui_material_icons::icons::{ICON_CHECK, ICON_CLOSE, ICON_FOLDER_OPEN, ICON_PLAY_ARROW, ICON_STOP_CIRCLE};

use super::status_bar::time_left;
use crate::app::action::Desk;
use crate::app::command::Command;
use crate::app::lesson::{Course, Lesson, Run};
use crate::app::theme::{self, palette};
use crate::app::widgets::icon_button::text_button;
use crate::app::widgets::{columns, icon_button, named_row, path_field, primary_button};

/// Width of the names on the left.
const NAME: f32 = 104.0;
/// Width of the page from which settings and curves stand side by side.
const WIDE: f32 = 980.0;

/// A row of the setup.
pub fn row(ui: &mut Ui, name: &str, tooltip: &str, body: impl FnOnce(&mut Ui)) {
    named_row(ui, NAME, name, tooltip, body);
}

/// Settings, curves and data: side by side where there is room, else below each other.
pub fn layout<T>(
    ui: &mut Ui,
    with: &mut T,
    settings: impl FnOnce(&mut Ui, &mut T),
    outcome: impl FnOnce(&mut Ui, &mut T),
    data: impl FnOnce(&mut Ui, &mut T),
) {
    if ui.available_width() >= WIDE {
        let left = |ui: &mut Ui, with: &mut T| {
            settings(ui, with);
            ui.add_space(theme::WIDE_GAP);
            data(ui, with);
        };
        columns(ui, 0.48, with, left, outcome);
    } else {
        settings(ui, with);
        ui.add_space(theme::WIDE_GAP);
        outcome(ui, with);
        ui.add_space(theme::WIDE_GAP);
        data(ui, with);
    }
}

/// What was done about a folder.
pub enum Choice {
    Typed(PathBuf),
    /// The choice was taken back.
    Cleared,
}

/// A button that asks for a folder, and a field for its path with what is chosen; `otherwise` stands where nothing is. `name`
/// is the field's, `clear` name and tooltip of a button that takes the choice back.
pub fn chosen(
    ui: &mut Ui,
    desk: &mut Desk<'_>,
    command: Command,
    name: &str,
    chosen: Option<&Path>,
    otherwise: &str,
    clear: Option<(&str, &str)>,
) -> Option<Choice> {
    let info = command.info();
    if text_button(ui, ICON_FOLDER_OPEN, "Choose…", info.help).clicked() {
        desk.run(command);
    }
    let cleared = clear.is_some_and(|(name, help)| icon_button(ui, ICON_CLOSE, name, help).clicked());
    let typed = path_field(ui, name, otherwise, chosen);
    if cleared { Some(Choice::Cleared) } else { typed.map(Choice::Typed) }
}

/// A whole number with its name before it; gives the new one.
pub fn count(ui: &mut Ui, name: &str, tooltip: &str, now: usize, range: RangeInclusive<usize>) -> Option<usize> {
    let ink = palette(ui).ink_soft;
    ui.label(egui::RichText::new(name).color(ink)).on_hover_text(tooltip);
    let mut value = now;
    let number = DragValue::new(&mut value).range(range).speed(0.1).update_while_editing(false);
    let changed = ui.add(number).on_hover_text(tooltip).accessible_name(name).changed();
    ui.add_space(theme::GAP);
    changed.then_some(value)
}

/// The highest learning rate; gives the new one.
pub fn rate(ui: &mut Ui, now: f64, tooltip: &str) -> Option<f64> {
    let mut rate = now;
    let number = DragValue::new(&mut rate).range(1e-7..=0.1).speed(now / 50.0);
    let number = number.custom_formatter(|n, _| format!("{n:.0e}")).custom_parser(|text| text.parse().ok());
    let number = number.update_while_editing(false);
    ui.add(number).on_hover_text(tooltip).accessible_name("Learning rate").changed().then_some(rate)
}

/// How long it will take, and the button; or how far it is.
pub fn start<C: Course>(ui: &mut Ui, desk: &mut Desk<'_>, lesson: &Lesson<C>, start: Command, stop: Command) {
    let colours = palette(ui);
    if let Some(run) = lesson.run.as_ref().filter(|run| run.running()) {
        let text = if run.stopping() { "Stopping…".to_owned() } else { run.doing() };
        let left = match (run.seconds_left(), lesson.forecast()) {
            _ if run.stopping() => String::new(),
            // Until the first epoch is through there is the estimate.
            (None, Some(forecast)) => format!(" · about {} in all", time(forecast.total)),
            (left, _) => time_left(left),
        };
        // As high as what stands here before and after, so that nothing below moves.
        ui.horizontal(|ui| {
            let bar = ProgressBar::new(run.share()).desired_width(150.0).desired_height(6.0);
            ui.add(bar.fill(colours.accent).corner_radius(3)).accessible_name("Training progress");
            if !run.stopping() && text_button(ui, ICON_STOP_CIRCLE, "Stop", stop.info().help).clicked() {
                desk.run(stop);
            }
            ui.set_min_height(7.0 * theme::GRID);
            ui.add(egui::Label::new(theme::small(format!("{text}{left}")).color(colours.ink_soft)).wrap());
        });
        return;
    }
    let problem = lesson.problem();
    ui.horizontal(|ui| {
        let info = start.info();
        let goes_on = lesson.run.as_ref().is_some_and(|run| run.stopped && run.setup == lesson.setup);
        let label = if goes_on { "Go on training" } else { info.label };
        let button =
            ui.add_enabled_ui(problem.is_none(), |ui| primary_button(ui, Some(ICON_PLAY_ARROW), label, info.help));
        if button.inner.clicked() {
            desk.run(start);
        }
        let (text, ink) = match problem {
            Some(problem) => (problem, colours.ink_faint),
            None => (duration(lesson), colours.ink_soft),
        };
        ui.add(egui::Label::new(theme::small(text).color(ink)).wrap());
    });
}

/// The estimate in words.
fn duration<C: Course>(lesson: &Lesson<C>) -> String {
    if let Some(forecast) = lesson.forecast() {
        let epochs = C::epochs(&lesson.setup);
        let done = lesson.run.as_ref().filter(|run| run.stopped && run.setup == lesson.setup);
        let done = done.map_or(0, |run| run.epochs.len().min(epochs));
        // Of the parts as they are said, so that they add up.
        let total = said(forecast.reading) + said(forecast.epoch) * (epochs - done) as f64;
        let of = if done == 0 { format!("{epochs}") } else { format!("the {} left of {epochs}", epochs - done) };
        return format!(
            "About {}: {} to begin with, then {} for each of {of} epochs. Measured here on a few photos and steps; \
             keeping them on the disk comes on top.",
            time(total),
            time(forecast.reading),
            time(forecast.epoch),
        );
    }
    match &lesson.pace {
        Some((_, Err(error))) if lesson.measuring.is_none() => error.clone(),
        _ => "Measuring how long it will take…".to_owned(),
    }
}

/// The unit that fits so many seconds: its length in seconds, name and decimals.
fn unit(seconds: f64) -> (f64, &'static str, usize) {
    match seconds {
        s if s < 0.995 => (1.0, "s", 2),
        s if s < 9.95 => (1.0, "s", 1),
        s if s < 90.0 => (1.0, "s", 0),
        s if s < 597.0 => (60.0, "min", 1),
        s if s < 5400.0 => (60.0, "min", 0),
        _ => (3600.0, "h", 1),
    }
}

/// Seconds in units that fit.
fn time(seconds: f64) -> String {
    let (length, name, decimals) = unit(seconds);
    if seconds < 0.005 { "under 0.01 s".to_owned() } else { format!("{:.decimals$} {name}", seconds / length) }
}

/// Seconds rounded as [`time`] says them.
fn said(seconds: f64) -> f64 {
    let (length, _, decimals) = unit(seconds);
    let steps = 10_f64.powi(decimals as i32) / length;
    (seconds * steps).round() / steps
}

/// How a run ended; `early` says after what it waited no longer.
pub fn ended<C: Course>(ui: &mut Ui, run: &Run<C>, early: &str) {
    let colours = palette(ui);
    match &run.ended {
        Some(Err(error)) => {
            let ink = if run.stopped { colours.uncertain } else { colours.ng };
            ui.label(egui::RichText::new(error).color(ink));
        }
        Some(Ok(())) if run.early => {
            ui.label(egui::RichText::new(early).color(colours.ink_soft));
        }
        _ => {}
    }
}

/// The button that takes the model into use, and where it lies.
pub fn use_button(ui: &mut Ui, desk: &mut Desk<'_>, command: Command, model: Option<PathBuf>) {
    let colours = palette(ui);
    ui.horizontal(|ui| {
        let info = command.info();
        let allowed = desk.state.allows(command);
        let button = ui.add_enabled_ui(allowed, |ui| text_button(ui, ICON_CHECK, info.label, info.help)).inner;
        if button.on_disabled_hover_text("The first epoch is not through yet.").clicked() {
            desk.run(command);
        }
        if let Some(model) = model {
            let text = model.display().to_string();
            let label = egui::Label::new(theme::small(&text).color(colours.ink_faint)).truncate();
            ui.add(label).on_hover_text(text);
        }
    });
}

/// A picture no larger than `most`, with what it shows for those who do not see it.
pub fn picture(ui: &mut Ui, desk: &mut Desk<'_>, picture: &Arc<ColorImage>, most: Vec2, says: &str) {
    let [width, height] = picture.size;
    let size = vec2(width as f32, height as f32);
    let (rect, response) = ui.allocate_exact_size(size * (most.y / size.y).min(most.x / size.x), Sense::hover());
    let texture = desk.media.picture(ui.ctx(), picture);
    let uv = Rect::from_min_max(egui::Pos2::ZERO, pos2(1.0, 1.0));
    let shape = egui::epaint::RectShape::filled(rect, 4, Color32::WHITE).with_texture(texture.id(), uv);
    ui.painter().add(shape);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, format!("Sample {says}")));
    response.on_hover_text(says);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_add_up_as_they_are_said() {
        let times = [0.001, 0.047, 0.996, 1.64, 9.96, 89.4, 100.0, 598.0, 4000.0, 9000.0].map(time);
        let expected =
            ["under 0.01 s", "0.05 s", "1.0 s", "1.6 s", "10 s", "89 s", "1.7 min", "10 min", "67 min", "2.5 h"];
        assert_eq!(times, expected);
        for (seconds, rounded) in [(0.047, 0.05), (1.64, 1.6), (8.42, 8.4), (89.4, 89.0), (100.0, 102.0)] {
            assert!((said(seconds) - rounded).abs() < 1e-9, "{seconds}: {}", said(seconds));
        }
    }
}
