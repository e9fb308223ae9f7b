//! What a run of `match train` says of itself while it goes on: facts for the window's curves, and the same as lines for the
//! console.

use std::fmt;

use super::match_figures::MatchFigures;
use super::matching::MatchEpoch;

/// A fact of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum MatchNews {
    /// A run that was stopped goes on after `step` (counted from 1), with the figures that it had.
    Resumed { step: usize, base: Option<MatchFigures>, epochs: Vec<MatchEpoch> },
    /// Photos or texts through the towers that stay as they are; the count begins anew for each table and tower.
    Prepared { done: usize, total: usize },
    /// What the model does on the validation table before it is trained.
    Base(MatchFigures),
    /// A step was made; counted from 1.
    Stepped { step: usize, steps: usize, loss: f32 },
    /// Photos and texts of the validation table judged.
    Judging { done: usize, total: usize },
    /// An epoch is through and kept.
    Epoch(MatchEpoch),
}

impl MatchNews {
    /// Worth a line by itself; the others follow each other quickly.
    pub fn is_milestone(&self) -> bool {
        matches!(self, Self::Resumed { .. } | Self::Base(_) | Self::Epoch(_))
    }
}

impl fmt::Display for MatchNews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resumed { step, .. } => write!(f, "Going on after step {step}."),
            Self::Prepared { done, total } => write!(f, "preparing, {done} of {total} photos or texts"),
            Self::Base(figures) => write!(f, "before: {figures}"),
            Self::Stepped { step, steps, .. } => write!(f, "{step} of {steps} steps"),
            Self::Judging { done, total } => write!(f, "judging, {done} of {total} photos and texts"),
            Self::Epoch(epoch) => write!(f, "{epoch}"),
        }
    }
}
