//! The bar at the bottom: what is under way with count, time left and cancel; what lies under the cursor; messages.

use std::fmt::Write as _;

use egui::{Align, Layout, ProgressBar, Ui, vec2};
use egui_material_icons::icons::{ICON_NOTIFICATIONS, ICON_STOP_CIRCLE};

use crate::app::action::{Action, Desk};
use crate::app::command::Command;
use crate::app::media::ShownPhoto;
use crate::app::session::Page;
use crate::app::state::photos;
use crate::app::theme::{self, palette};
use crate::app::widgets::icon_button;
use crate::engine::Stage as Step;

/// Shows the bar.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    ui.horizontal_centered(|ui| {
        progress(ui, desk);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            messages(ui, desk);
            ui.add_space(theme::GAP);
            read_out(ui, desk);
        });
    });
}

fn progress(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let now = desk.state.notices.now;
    let line = |ui: &mut Ui, text: &str, share: f32| {
        let bar = ProgressBar::new(share).desired_width(140.0).desired_height(6.0).fill(colours.accent);
        ui.add(bar.corner_radius(3)).accessible_name(text);
        ui.label(theme::small(text).color(colours.ink_soft));
    };
    let mut idle = true;
    if let Some(export) = &desk.state.export {
        idle = false;
        let share = export.done as f32 / export.total.max(1) as f32;
        let elapsed = now - export.started;
        let left = (export.done > 0).then(|| elapsed / export.done as f64 * (export.total - export.done) as f64);
        line(ui, &format!("Exporting {} of {}{}", export.done, export.total, time_left(left)), share);
        if icon_button(ui, ICON_STOP_CIRCLE, "Stop exporting", "Stop after the photo in hand.").clicked() {
            desk.push(Action::StopExport);
        }
    }
    if let Some(job) = &desk.state.job {
        idle = false;
        let share = job.done as f32 / job.total.max(1) as f32;
        let text = match (&desk.state.engine.preparing, job.stopping) {
            (_, true) => "Stopping…".to_owned(),
            (Some((step, done, total)), false) => step_text(*step, *done, *total),
            (None, false) => {
                format!("Inspecting {} of {}{}", job.done, job.total, time_left(job.seconds_left(now)))
            }
        };
        line(ui, &text, share);
        if !job.stopping && icon_button(ui, ICON_STOP_CIRCLE, "Stop inspecting", Command::Cancel.info().help).clicked()
        {
            desk.run(Command::Cancel);
        }
    } else if let Some((step, done, total)) = desk.state.engine.preparing {
        idle = false;
        line(ui, &step_text(step, done, total), done as f32 / total.max(1) as f32);
    }
    if idle {
        let counts = desk.state.photos.counts();
        let mut text = photos(counts.total);
        if counts.waiting > 0 {
            let _ = write!(text, ", {} waiting", counts.waiting);
        }
        ui.label(theme::small(text).color(colours.ink_faint));
        if counts.waiting > 0
            && ui
                .button(theme::small("Inspect them"))
                .on_hover_text("Inspect the photos that have no verdict yet.")
                .clicked()
        {
            desk.push(Action::InspectWaiting);
        }
    }
}

/// What the engine is doing, in words.
pub fn step_text(step: Step, done: usize, total: usize) -> String {
    match step {
        Step::LoadingModel => "Loading the model…".to_owned(),
        Step::ReadingReferences => format!("Reading references, {done} of {total}"),
        Step::ChoosingPatches => format!("Choosing reference patches, {done} of {total}"),
        Step::Calibrating => format!("Calibrating on the references, {done} of {total}"),
    }
}

/// ` · 12 s left`, or nothing.
pub fn time_left(seconds: Option<f64>) -> String {
    match seconds {
        Some(seconds) if seconds >= 90.0 => format!(" · {:.0} min left", seconds / 60.0),
        Some(seconds) => format!(" · {:.0} s left", seconds.max(1.0)),
        None => String::new(),
    }
}

/// Everything about the pixel under the cursor.
fn read_out(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let Some(at) = desk.state.cursor.filter(|_| desk.state.look.page == Page::Inspect) else {
        let text = match desk.state.look.page {
            Page::Inspect => "Shift hides the overlay · click asks why · ? shows all keys",
            _ => "Esc goes back to the photo · ? shows all keys",
        };
        ui.label(theme::small(text).color(colours.ink_faint));
        return;
    };
    let path = desk.state.selected.and_then(|id| desk.state.photos.get(id)).map(|entry| entry.path.clone());
    let Some(photo) = path.and_then(|path| desk.media.photo(&path)) else { return };
    let mut texts = Vec::new();
    if let Some(view) = &desk.state.view
        && let Some(raw) = view.map.at_photo(at.x, at.y)
    {
        texts.push(format!("score {raw:.2}   scaled {:.2}", view.calibration.normalise_pixel(raw)));
    }
    if let Some([r, g, b]) = colour_at(&photo, at) {
        texts.push(format!("RGB {r:>3} {g:>3} {b:>3}"));
    }
    texts.push(format!("x {:>4}   y {:>4}", at.x as u32, at.y as u32));
    for text in texts {
        let galley = ui.painter().layout_no_wrap(text.clone(), theme::small_font(), colours.ink_soft);
        ui.allocate_ui(vec2(galley.size().x, theme::ROW), |ui| ui.label(theme::small(text).color(colours.ink_soft)));
        ui.add_space(theme::GAP);
    }
}

fn colour_at(photo: &ShownPhoto, at: egui::Pos2) -> Option<[u8; 3]> {
    photo.pixels.get_pixel_checked(at.x as u32, at.y as u32).map(|pixel| pixel.0)
}

fn messages(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let unseen = desk.state.notices.unseen;
    if icon_button(ui, ICON_NOTIFICATIONS, "Messages", Command::Messages.info().help).clicked() {
        desk.run(Command::Messages);
    }
    if unseen > 0 {
        ui.label(theme::small(format!("{unseen} new")).color(colours.uncertain));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_is_said_in_units_that_fit() {
        assert_eq!(time_left(None), "");
        assert_eq!(time_left(Some(0.2)), " · 1 s left");
        assert_eq!(time_left(Some(45.0)), " · 45 s left");
        assert_eq!(time_left(Some(240.0)), " · 4 min left");
    }
}
