//! What a run says of itself while it goes on: facts for the window's curves, and the same as lines for the console.

use std::fmt;

use super::EpochFigures;
use crate::metrics::segmentation::Sweep;

/// How well a decoder meets the photos that it is judged on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// At 0.5, over all pixels; absent where nothing is outlined or predicted.
    pub iou: Option<f64>,
    pub dice: Option<f64>,
    /// Absent where nothing is outlined.
    pub best_threshold: Option<f64>,
    pub best_dice: Option<f64>,
}

impl Judged {
    pub(super) fn of(sweep: &Sweep) -> Self {
        let (fixed, best) = (sweep.at(0.5), sweep.best());
        Self {
            iou: fixed.iou(),
            dice: fixed.dice(),
            best_threshold: best.map(|(threshold, _)| threshold),
            best_dice: best.and_then(|(_, overlap)| overlap.dice()),
        }
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figure = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.3}"));
        let (iou, dice, best) = (figure(self.iou), figure(self.dice), figure(self.best_dice));
        write!(f, "validation IoU {iou}, Dice {dice} (best {best} at threshold {})", figure(self.best_threshold))
    }
}

/// A fact of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainEvent {
    /// A run that was stopped goes on after these epochs.
    Resumed(Vec<EpochFigures>),
    /// Versions of photos through the frozen tower, those judged on included.
    Reading { done: usize, total: usize },
    /// What the decoder gives before it is trained.
    Base(Judged),
    /// A batch is learned, with its losses.
    Batch { epoch: usize, epochs: usize, batch: usize, batches: usize, bce: f64, dice_loss: f64 },
    /// Photos judged.
    Judging { done: usize, total: usize },
    /// An epoch is through and kept.
    Epoch(EpochFigures),
    /// Nothing better since the epoch named, so the run ends.
    StoppedEarly { best: usize },
}

impl TrainEvent {
    /// Worth a line by itself; the others follow each other quickly.
    pub fn is_milestone(&self) -> bool {
        !matches!(self, Self::Reading { .. } | Self::Batch { .. } | Self::Judging { .. })
    }
}

impl fmt::Display for TrainEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resumed(epochs) => write!(f, "Going on after epoch {}.", epochs.len()),
            Self::Reading { done, total } => write!(f, "reading photos, {done} of {total} versions"),
            Self::Base(judged) => write!(f, "before training: {judged}"),
            Self::Batch { epoch, epochs, batch, batches, .. } => {
                write!(f, "epoch {epoch} of {epochs}, {batch} of {batches} batches")
            }
            Self::Judging { done, total } => write!(f, "judging, {done} of {total} photos"),
            Self::Epoch(figures) => write!(f, "{figures}"),
            Self::StoppedEarly { best } => write!(f, "Stopped early: no better Dice since epoch {best}."),
        }
    }
}
