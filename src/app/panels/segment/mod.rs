//! Segmentation: prompts as coloured layers over the photo on view, their thresholds, the brush that corrects them, and the
//! training of the network that draws them.

mod curves;
mod layers;
mod photo;
mod training;

use egui::Ui;

use crate::app::action::Desk;
use crate::app::segmenting::{LayerSetup, Mode, SegmentSetup, Wish};
use crate::app::theme;
use crate::app::widgets::segments;

pub use layers::side;
pub use photo::picture;
pub use training::show as training;

/// The colour of a layer.
fn colour_of(layer: &LayerSetup) -> [u8; 3] {
    let colours = crate::report::segments::COLOURS;
    colours[layer.colour % colours.len()]
}

/// Changes what is segmented as one step of undo; `what` names the thing changed.
fn edit(desk: &mut Desk<'_>, what: impl Into<String>, change: impl FnOnce(&mut SegmentSetup) + 'static) {
    desk.segment(Wish::Edit { what: what.into(), change: Box::new(change) });
}

/// Masks or training.
fn mode(ui: &mut Ui, desk: &mut Desk<'_>) {
    let choices = [
        (Mode::Masks, "Masks", "Outline what words name in the photo on view, and correct it by brush."),
        (Mode::Training, "Training", "Teach the network from photos with masks."),
    ];
    if let Some(mode) = segments(ui, desk.state.segmenting.mode, &choices) {
        desk.segment(Wish::Mode(mode));
    }
    ui.add_space(theme::GAP);
}

/// What the page shows without a photo.
pub fn empty(ui: &mut Ui, desk: &mut Desk<'_>) {
    photo::header(ui, desk);
    super::welcome::show(ui, desk);
}
