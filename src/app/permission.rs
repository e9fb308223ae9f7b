//! What a command is called now, whether it is on, and whether it can be carried out: what menus, palette and keys ask of
//! the state.

use std::borrow::Cow;

use super::benchmark::BenchRun;
use super::command::{Command, Info};
use super::state::State;

impl State {
    /// Whether a switch is on; `None` for commands that are none.
    pub fn switch(&self, command: Command) -> Option<bool> {
        let look = &self.look;
        Some(match command {
            Command::ToggleOverlay => look.overlay,
            Command::ToggleBoxes => look.boxes,
            Command::ToggleContour => look.contour,
            Command::ToggleCompare => look.compare,
            Command::ToggleGrid => look.grid,
            Command::ToggleFilm => look.film,
            Command::ToggleInspector => look.inspector,
            Command::ToggleHistogram => look.histogram,
            Command::ToggleLabels => look.labels,
            Command::ToggleAdvance => look.advance,
            Command::Page(page) => look.page == page,
            Command::Fit => self.viewport.fit,
            _ => return None,
        })
    }

    /// What a command is called now: labels say their class.
    pub fn name_of(&self, info: &'static Info) -> Cow<'static, str> {
        match info.command {
            Command::Label(place) => match self.photos.classes().get(place) {
                Some(class) => format!("Label as {}", class.name).into(),
                None => info.label.into(),
            },
            _ => info.label.into(),
        }
    }

    /// Some layer has its map of the photo on view.
    fn can_export_masks(&self) -> bool {
        let photo = self.selected.and_then(|id| self.photos.get(id));
        photo.is_some_and(|photo| !self.segmenting.subjects(&photo.path).is_empty())
    }

    /// Whether a command can be carried out now.
    pub fn allows(&self, command: Command) -> bool {
        let shown = self.selected.is_some();
        match command {
            Command::Undo => self.history.undo_name().is_some(),
            Command::Redo => self.history.redo_name().is_some(),
            Command::ExportPhoto | Command::CopyReport => self.view.is_some() && self.export.is_none(),
            Command::ExportAll => {
                let counts = self.photos.counts();
                counts.ok + counts.uncertain + counts.ng > 0 && self.export.is_none()
            }
            Command::Cancel => self.job.is_some(),
            Command::CalibrateThreshold => {
                self.recipe.image_threshold.is_some() || self.recipe.pixel_threshold.is_some()
            }
            Command::LowerThreshold | Command::RaiseThreshold => self.image_threshold().is_some(),
            Command::NewSession
            | Command::NextPhoto
            | Command::PreviousPhoto
            | Command::FirstPhoto
            | Command::LastPhoto
            | Command::ToggleGrid
            | Command::LabelByFolder
            | Command::LabelByDecision => !self.photos.is_empty(),
            Command::Label(place) => shown && place < self.photos.classes().len(),
            Command::ClearLabel => {
                self.selected.and_then(|id| self.photos.get(id)).is_some_and(|entry| entry.label.is_some())
            }
            Command::ExportLabels => self.photos.counts().labelled > 0,
            Command::ReviewMistakes => {
                let counts = self.photos.counts();
                counts.misses + counts.false_alarms > 0
            }
            Command::ShowMisses => self.photos.counts().misses > 0,
            Command::ShowFalseAlarms => self.photos.counts().false_alarms > 0,
            Command::ClearFocus => self.photos.focus().is_some(),
            Command::ClassifyByWords => {
                !self.photos.is_empty() && self.classifying.job.is_none() && self.classifying.setup.problem().is_none()
            }
            Command::EvaluateClassifier | Command::TrainClassifier => {
                self.photos.counts().labelled > 0
                    && self.classifying.job.is_none()
                    && !self.classifying.setup.backbones.is_empty()
            }
            Command::ApplyClassifier => {
                !self.photos.is_empty() && self.classifying.classifier.is_some() && self.classifying.job.is_none()
            }
            Command::SaveClassifier => self.classifying.classifier.is_some(),
            Command::ExportClassification => self.classifying.shown().is_some(),
            Command::StopLab => self.classifying.job.is_some(),
            Command::ExportMasks => self.segmenting.job.is_none() && self.can_export_masks(),
            Command::ExportCoco => self.segmenting.job.is_none() && !self.segmenting.corrected().is_empty(),
            Command::StopSegmenting => self.segmenting.job.is_some(),
            Command::StartTraining => self.training.problem().is_none() && !self.training.running(),
            Command::StopTraining => self.training.running(),
            Command::UseTrained => self.training.run.as_ref().is_some_and(|run| run.model().is_some()),
            Command::StartMatchTraining => self.match_training.problem().is_none() && !self.match_training.running(),
            Command::StopMatchTraining => self.match_training.running(),
            Command::UseMatchTrained => self.match_training.run.as_ref().is_some_and(|run| run.model().is_some()),
            Command::RunBenchmark => {
                self.bench_setup.problem().is_none() && !self.bench.as_ref().is_some_and(BenchRun::running)
            }
            Command::StopBenchmark => self.bench.as_ref().is_some_and(BenchRun::running),
            Command::OpenBenchReport => self.bench.as_ref().is_some_and(|bench| matches!(bench.ended, Some(Ok(())))),
            Command::MatchTable => self.describing.pairs().is_some() && self.describing.job.is_none(),
            Command::StopMatching => self.describing.job.is_some(),
            Command::ChoosePairRoot => self.describing.setup.table.is_some(),
            Command::ExportMatches => self.describing.matched.is_some(),
            Command::ExportHistory => !self.kept.entries.is_empty(),
            Command::ExportEvaluation => self.evaluation.as_ref().is_some_and(|evaluation| evaluation.judged() > 0),
            Command::Accept
            | Command::Reject
            | Command::Undecide
            | Command::UseAsReference
            | Command::RemovePhoto
            | Command::Fit
            | Command::ActualSize
            | Command::ZoomIn
            | Command::ZoomOut => shown,
            _ => true,
        }
    }
}
