//! What panels return: wishes of the inspector, carried out in one place (`window`). Panels themselves change nothing.

use std::path::PathBuf;
use std::sync::Arc;

use egui::Pos2;

use super::benchmark::BenchSetup;
use super::classifying::{By, ClassifySetup, Predicted};
use super::command::Command;
use super::describing::{DescribeSetup, Describing};
use super::kept::Draft;
use super::labels::{ClassEdit, Label};
use super::match_training::MatchSetup;
use super::media::Media;
use super::photo_list::{Filter, Focus, Sort};
use super::segmenting::Wish;
use super::session::Look;
use super::state::{Sheet, State};
use super::training::TrainSetup;
use super::viewport::Viewport;
use crate::Recipe;
use crate::anomaly::Verdict;
use crate::bench::ClassResult;
use crate::engine::PhotoId;

/// A wish.
pub enum Action {
    /// A command without further input.
    Run(Command),
    /// A change of the recipe; `what` names the thing changed, one gesture on it is one step of undo.
    Edit {
        what: String,
        change: Box<dyn FnOnce(&mut Recipe)>,
    },
    /// A change of how the window looks.
    Look(Box<dyn FnOnce(&mut Look)>),
    Select(PhotoId),
    Sort(Sort),
    Filter(Filter),
    Search(String),
    /// A closer look at some photos, or at all again.
    Focus(Option<Focus>),
    /// The true class of a photo.
    Label(PhotoId, Option<Label>),
    Classes(ClassEdit),
    /// A change of the words or of the classifier, as one step of undo.
    EditClassify {
        what: String,
        change: Box<dyn FnOnce(&mut ClassifySetup)>,
    },
    ClassifyBy(By),
    /// The classification that others are compared with; `None` ends the comparison.
    PinClassification(Option<Arc<Predicted>>),
    /// A change of what is asked of descriptions, as one step of undo.
    EditDescription {
        what: String,
        change: Box<dyn FnOnce(&mut DescribeSetup)>,
    },
    /// A change of how answers about descriptions are shown.
    Describe(Box<dyn FnOnce(&mut Describing)>),
    /// The photo and the text of a row of the table that was matched, by its place among the scores.
    OpenPair(usize),
    /// Reads a table of descriptions.
    OpenPairTable(PathBuf),
    /// The table of photos and texts to learn from, and the one to judge on.
    LearnFrom(PathBuf),
    JudgeOn(Option<PathBuf>),
    /// The folder that relative paths of the table of descriptions start from.
    PairsFrom(PathBuf),
    Segment(Wish),
    /// The folder of photos with masks to learn from.
    TrainOn(PathBuf),
    SetUpTraining(Box<dyn FnOnce(&mut TrainSetup)>),
    SetUpMatchTraining(Box<dyn FnOnce(&mut MatchSetup)>),
    SetUpBench(Box<dyn FnOnce(&mut BenchSetup)>),
    /// The folder that the benchmark measures on.
    BenchOn(PathBuf),
    /// The worst photos of a class, judged with the recipe they were measured with.
    OpenWorst(Arc<ClassResult>),
    History(HistoryWish),
    /// Why is this place (in photo pixels) scored so?
    Ask(Pos2),
    /// The photo pixel under the cursor.
    Cursor(Option<Pos2>),
    /// Zoom to a region of the photo on view.
    ShowRegion(usize),
    /// A region is under the cursor.
    PointAt(Option<usize>),
    Viewport(Viewport),
    /// The viewport as the size of canvas and photo has it; a move of the inspector in the same frame wins.
    Settle(Viewport),
    /// Inspect the photos that have no verdict yet.
    InspectWaiting,
    Sheet(Sheet),
    DismissNotice(usize),
    ClearNotices,
    StopExport,
}

/// A wish about the kept verdicts.
pub enum HistoryWish {
    /// List only those with this verdict in force.
    Only(Option<Verdict>),
    /// List older ones as well.
    Older,
    /// Look at the one with this id.
    Choose(String),
    /// The correction being written, and who writes it.
    Draft(Draft, String),
    /// Add the correction.
    Correct,
    OpenPhoto(PathBuf),
    /// Judge with the recipe that has this hash.
    UseRecipe(String),
    /// Keep verdicts in this file or database.
    KeepIn(String),
}

/// What a panel works with: the state to read, pictures, and a tray for its wishes.
pub struct Desk<'a> {
    pub state: &'a State,
    pub media: &'a mut Media,
    pub out: &'a mut Vec<Action>,
}

impl Desk<'_> {
    pub fn push(&mut self, action: Action) {
        self.out.push(action);
    }

    pub fn run(&mut self, command: Command) {
        self.push(Action::Run(command));
    }

    pub fn edit(&mut self, what: impl Into<String>, change: impl FnOnce(&mut Recipe) + 'static) {
        self.push(Action::Edit { what: what.into(), change: Box::new(change) });
    }

    pub fn segment(&mut self, wish: Wish) {
        self.push(Action::Segment(wish));
    }

    pub fn look(&mut self, change: impl FnOnce(&mut Look) + 'static) {
        self.push(Action::Look(Box::new(change)));
    }
}
