//! Everything the window knows, as plain data: no textures, no threads, no egui context. Events of the engine go in by
//! [`State::apply`]; panels read it and return [`super::action::Action`]s. So every rule of the window can be tested
//! without a screen.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use egui::{Pos2, Rect};

use super::benchmark::{BenchRun, BenchSetup};
use super::classifying::{ClassifySetup, Classifying, LabJob};
use super::describing::{DescribeSetup, Describing};
use super::evaluation::Evaluation;
use super::history::History;
use super::kept::KeptVerdicts;
use super::labels::{Class, Label, LabelStep};
use super::lesson::Lesson;
use super::match_training::MatchCourse;
use super::notice::Notices;
use super::photo_list::{Decision, Filter, Focus, Outcome, PhotoList, Rule, Sort};
use super::segmenting::correction::Strokes;
use super::segmenting::{LayerId, SegmentSetup, Segmenting};
use super::session::{Look, Page, Session, Tab};
use super::training::SegmentCourse;
use super::viewport::Viewport;
use crate::classify::{LabelPhrases, LabelPrompts};
use crate::engine::{Event, JobId, PhotoId, PhotoRef, Request, Stage, View};
use crate::model::ModelInfo;
use crate::recipe::Comparison;
use crate::{Error, Recipe};

/// A job of the engine, for the progress line.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub id: JobId,
    pub done: usize,
    pub total: usize,
    pub failed: usize,
    /// When its first photo was begun, in seconds since the window opened.
    pub started: Option<f64>,
    /// Asked to stop.
    pub stopping: bool,
}

impl Job {
    /// Seconds left at the pace so far; `None` before there is one.
    pub fn seconds_left(&self, now: f64) -> Option<f64> {
        let elapsed = now - self.started?;
        (self.done > 0 && self.done < self.total && elapsed > 0.5)
            .then(|| elapsed / self.done as f64 * (self.total - self.done) as f64)
    }
}

/// An export under way.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportProgress {
    pub done: usize,
    pub total: usize,
    pub started: f64,
}

/// What the engine said of itself.
#[derive(Clone, Debug, Default)]
pub struct EngineState {
    pub model: Option<Arc<ModelInfo>>,
    /// The memory's, where it is another one.
    pub memory_model: Option<Arc<ModelInfo>>,
    pub device: String,
    /// What it is getting ready: step, done, total.
    pub preparing: Option<(Stage, usize, usize)>,
    /// Reference photos, patches, and patches kept in the memory bank.
    pub memory: Option<(usize, usize, usize)>,
}

/// What lies over the window.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Sheet {
    #[default]
    None,
    /// The command palette: what was typed, and the row chosen.
    Palette {
        query: String,
        row: usize,
    },
    Keys,
    Messages,
    /// The list of classes, with the name of a new one being typed.
    Classes {
        new: String,
    },
}

/// A change that can be carried out, and taken back by what that gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Recipe(Box<Recipe>),
    Labels(LabelStep),
    Classify(Box<ClassifySetup>),
    Describe(Box<DescribeSetup>),
    Segment(Box<SegmentSetup>),
    /// The strokes to have on a layer of a photo.
    Correct {
        photo: PathBuf,
        layer: LayerId,
        strokes: Strokes,
    },
}

/// Everything the window knows.
pub struct State {
    pub photos: PhotoList,
    pub selected: Option<PhotoId>,
    pub recipe: Recipe,
    pub history: History<Step>,
    /// Why the recipe as edited cannot be used; the engine keeps the last one that could.
    pub recipe_problem: Option<String>,
    /// The photo on view as last judged.
    pub view: Option<Arc<View>>,
    /// The report of the photo on view.
    pub report: String,
    pub engine: EngineState,
    pub job: Option<Job>,
    pub export: Option<ExportProgress>,
    pub notices: Notices,
    pub look: Look,
    pub viewport: Viewport,
    /// Where the photo may be on the screen, as of the last frame.
    pub canvas: Rect,
    /// The place asked about, in photo pixels.
    pub asked: Option<Pos2>,
    /// The photo pixel under the cursor.
    pub cursor: Option<Pos2>,
    /// The region that the list or the canvas points at.
    pub region: Option<usize>,
    pub sheet: Sheet,
    /// Verdicts against labels; `None` until there is something to compare.
    pub evaluation: Option<Arc<Evaluation>>,
    pub classifying: Classifying,
    pub describing: Describing,
    pub kept: KeptVerdicts,
    /// Photos whose verdict is to be kept.
    pub to_keep: Vec<PhotoId>,
    /// Where verdicts are kept, if not at the usual place.
    pub history_place: Option<String>,
    /// Who inspects, for corrections.
    pub inspector: String,
    pub segmenting: Segmenting,
    /// Training of the network that segments.
    pub training: Lesson<SegmentCourse>,
    /// Training on descriptions.
    pub match_training: Lesson<MatchCourse>,
    pub bench_setup: BenchSetup,
    /// What was understood of the benchmark's folder, or why nothing.
    pub bench_folder: Option<std::result::Result<String, String>>,
    /// The benchmark under way, or the last one.
    pub bench: Option<BenchRun>,
    /// Networks to choose from besides the embedded one: installed ones, and folders that were added.
    pub models: Vec<String>,
    /// Those of them that were added by hand.
    pub added_models: Vec<String>,
    /// A wheel turn over the list or a key moved the selection: scroll to it once.
    pub scroll_to_selected: bool,
    /// Shift is held: the bare photo.
    pub bare: bool,
    next_job: JobId,
    outbox: Vec<Request>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            photos: PhotoList::default(),
            selected: None,
            recipe: Recipe::default(),
            history: History::default(),
            recipe_problem: None,
            view: None,
            report: String::new(),
            engine: EngineState::default(),
            job: None,
            export: None,
            notices: Notices::default(),
            look: Look::default(),
            viewport: Viewport::default(),
            canvas: Rect::from_min_size(Pos2::ZERO, egui::vec2(800.0, 600.0)),
            asked: None,
            cursor: None,
            region: None,
            sheet: Sheet::None,
            evaluation: None,
            classifying: Classifying::default(),
            describing: Describing::default(),
            kept: KeptVerdicts::default(),
            to_keep: Vec::new(),
            history_place: None,
            inspector: String::new(),
            segmenting: Segmenting::default(),
            training: Lesson::default(),
            match_training: Lesson::default(),
            bench_setup: BenchSetup::default(),
            bench_folder: None,
            bench: None,
            models: Vec::new(),
            added_models: Vec::new(),
            scroll_to_selected: false,
            bare: false,
            next_job: 0,
            outbox: Vec::new(),
        }
    }
}

impl State {
    /// A state from what was kept.
    pub fn restore(session: Session) -> Self {
        let mut state = Self { recipe: session.recipe, look: session.look, ..Self::default() };
        state.classifying.setup = session.classify;
        state.segmenting = Segmenting::restore(session.segment, session.corrections);
        state.training.setup = session.train;
        state.match_training.setup = session.match_train;
        state.bench_setup = session.bench;
        state.describing.setup = session.describe;
        state.history_place = session.history;
        state.inspector = session.inspector;
        state.models.clone_from(&session.models);
        state.added_models = session.models;
        state.photos.set_sort(state.look.sort);
        state.photos.set_filter(state.look.filter);
        state.add_photos(session.photos);
        state.restore_labels(session.classes, session.labels);
        for (path, decision) in session.decisions {
            if let Some(id) = state.photos.by_path(&path) {
                state.photos.set_decision(id, Some(decision));
            }
        }
        if let Some(id) = session.selected.and_then(|path| state.photos.by_path(&path)) {
            state.select(Some(id));
        }
        state
    }

    /// Labels as they were kept; a label whose class is missing brings it along.
    fn restore_labels(&mut self, mut classes: Vec<Class>, labels: Vec<(PathBuf, Label)>) {
        let mut kept = Vec::new();
        for (path, label) in labels {
            if !classes.iter().any(|class| class.name == label) {
                classes.push(Class::named(label.clone()));
            }
            kept.extend(self.photos.by_path(&path).map(|id| (id, Some(label))));
        }
        self.photos.swap_labels(LabelStep { classes: Some(classes), photos: kept });
    }

    /// What to keep.
    pub fn session(&self) -> Session {
        let mut look = self.look.clone();
        look.sort = self.photos.sort();
        look.filter = self.photos.filter();
        Session {
            recipe: self.recipe.clone(),
            photos: self.photos.iter().map(|entry| entry.path.clone()).collect(),
            selected: self.selected.and_then(|id| self.photos.get(id)).map(|entry| entry.path.clone()),
            decisions: self
                .photos
                .iter()
                .filter_map(|entry| entry.decision.map(|decision| (entry.path.clone(), decision)))
                .collect(),
            classes: self.photos.classes().to_vec(),
            labels: self.photos.iter().filter_map(|entry| Some((entry.path.clone(), entry.label.clone()?))).collect(),
            classify: self.classifying.setup.clone(),
            segment: self.segmenting.setup.clone(),
            corrections: self.segmenting.kept(),
            train: self.training.setup.clone(),
            match_train: self.match_training.setup.clone(),
            bench: self.bench_setup.clone(),
            describe: self.describing.setup.clone(),
            history: self.history_place.clone(),
            inspector: self.inspector.clone(),
            models: self.added_models.clone(),
            look,
            ..Session::default()
        }
    }

    /// Puts photos on the bench and asks for their inspection. Returns how many are new.
    pub fn add_photos(&mut self, paths: Vec<PathBuf>) -> usize {
        let added = self.photos.add(paths);
        let mut asked = added.clone();
        if self.recipe.comparison == Comparison::Mutual && !added.is_empty() {
            // A photo that had no other to be compared with has one now.
            let failed = self.photos.iter().filter(|entry| matches!(entry.outcome, Outcome::Failed(_)));
            let failed: Vec<PhotoId> = failed.map(|entry| entry.id).collect();
            for id in &failed {
                self.photos.set_outcome(*id, Outcome::Waiting);
            }
            asked.extend(failed);
        }
        let photos: Vec<PhotoRef> = asked
            .iter()
            .filter_map(|&id| self.photos.get(id))
            .map(|entry| PhotoRef { id: entry.id, path: entry.path.clone() })
            .collect();
        self.photos.refresh();
        if self.selected.is_none() {
            self.select(self.photos.neighbour(None, 0));
        }
        if !photos.is_empty() {
            let total = photos.len();
            let job = self.next_job;
            self.next_job += 1;
            self.job = match self.job.take() {
                // Jobs run one after another; the line counts them together.
                Some(running) => Some(Job { id: job, total: running.total + total, stopping: false, ..running }),
                None => Some(Job { id: job, done: 0, total, failed: 0, started: None, stopping: false }),
            };
            self.outbox.push(Request::Inspect { job, photos, maps: false });
        }
        added.len()
    }

    /// Asks for the inspection of photos that have none, e.g. after a stop.
    pub fn inspect_waiting(&mut self) {
        let waiting: Vec<PathBuf> = self
            .photos
            .iter()
            .filter(|entry| matches!(entry.outcome, Outcome::Waiting))
            .map(|entry| entry.path.clone())
            .collect();
        let photos: Vec<PhotoRef> =
            waiting.into_iter().filter_map(|path| self.photos.by_path(&path).map(|id| PhotoRef { id, path })).collect();
        if photos.is_empty() || self.job.is_some() {
            return;
        }
        let (job, total) = (self.next_job, photos.len());
        self.next_job += 1;
        self.job = Some(Job { id: job, done: 0, total, failed: 0, started: None, stopping: false });
        self.outbox.push(Request::Inspect { job, photos, maps: false });
    }

    /// Takes a photo off the bench.
    pub fn remove_photo(&mut self, id: PhotoId) {
        let next = self.photos.neighbour(Some(id), 1).filter(|next| *next != id);
        let next = next.or_else(|| self.photos.neighbour(Some(id), -1).filter(|next| *next != id));
        self.photos.remove(id);
        self.photos.refresh();
        self.outbox.push(Request::Forget(vec![id]));
        if self.selected == Some(id) {
            self.select(next);
        }
    }

    /// Takes all photos off the bench.
    pub fn clear_photos(&mut self) {
        self.stop_job();
        let ids = self.photos.clear();
        self.photos.refresh();
        self.outbox.push(Request::Forget(ids));
        self.select(None);
    }

    /// Asks the engine to stop.
    pub fn stop_job(&mut self) {
        let Some(job) = &mut self.job else { return };
        job.stopping = true;
        let last = job.id;
        // The line counts jobs that follow each other as one, so all of them stop.
        let jobs: Vec<JobId> = (0..=last).rev().filter(|&job| self.lab_mut(job).is_none()).take(16).collect();
        self.outbox.extend(jobs.into_iter().map(Request::Cancel));
    }

    /// Whether anything waits to be asked of the engine.
    pub fn has_requests(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Requests that wait to be sent.
    pub fn take_requests(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.outbox)
    }

    /// Shows another photo.
    pub fn select(&mut self, id: Option<PhotoId>) {
        if self.selected != id {
            self.selected = id;
            self.view = None;
            self.report.clear();
            self.asked = None;
            self.region = None;
            self.cursor = None;
            self.viewport.fit = true;
        }
        self.scroll_to_selected = true;
    }

    /// Shows the photo `by` rows further.
    pub fn step(&mut self, by: isize) {
        let next = self.photos.neighbour(self.selected, by);
        if next.is_some() {
            self.select(next);
        }
    }

    /// The inspector's own word on the photo on view.
    pub fn decide(&mut self, decision: Option<Decision>) {
        if let Some(id) = self.selected {
            self.photos.set_decision(id, decision);
        }
    }

    /// Moves the image threshold by a part of the distance between a typical normal photo and the threshold.
    pub fn nudge_threshold(&mut self, part: f32) {
        let Some(threshold) = self.image_threshold() else { return };
        let median = self.view.as_ref().map_or(0.0, |view| view.calibration.image_median);
        let step = part * (threshold - median).abs().max(0.5);
        self.edit("Photo threshold", |recipe| recipe.image_threshold = Some(threshold + step));
    }

    /// Changes the recipe as one step of undo; `what` names the thing changed.
    pub fn edit(&mut self, what: &str, change: impl FnOnce(&mut Recipe)) {
        let before = self.recipe.clone();
        change(&mut self.recipe);
        if self.recipe == before {
            return;
        }
        self.history.record(what, Step::Recipe(Box::new(before)));
        self.recipe_problem = self.recipe.check().err().map(|error| error.to_string());
    }

    /// Changes the words or the classifier as one step of undo.
    pub fn edit_classify(&mut self, what: &str, change: impl FnOnce(&mut ClassifySetup)) {
        let before = self.classifying.setup.clone();
        change(&mut self.classifying.setup);
        if self.classifying.setup != before {
            self.history.record(what, Step::Classify(Box::new(before)));
        }
    }

    /// Changes what is asked of descriptions as one step of undo.
    pub fn edit_description(&mut self, what: &str, change: impl FnOnce(&mut DescribeSetup)) {
        let before = self.describing.setup.clone();
        change(&mut self.describing.setup);
        if self.describing.setup != before {
            self.history.record(what, Step::Describe(Box::new(before)));
        }
    }

    /// The work over networks with this number, whichever page asked for it.
    fn lab_mut(&mut self, job: JobId) -> Option<&mut LabJob> {
        let labs = [&mut self.classifying.job, &mut self.describing.job, &mut self.segmenting.job];
        labs.into_iter().flatten().find(|lab| lab.id == job)
    }

    /// Asks the engine to stop matching.
    pub fn stop_describing(&mut self) {
        if let Some(job) = &mut self.describing.job {
            job.stopping = true;
            self.outbox.push(Request::Cancel(job.id));
        }
    }

    /// Describes every class of the bench by its name.
    pub fn labels_from_classes(&mut self) {
        let names: Vec<String> = self.photos.classes().iter().map(|class| class.name.to_string()).collect();
        self.history.close_gesture();
        self.edit_classify("Labels from the classes", |setup| {
            let fresh = LabelPrompts::new(&names);
            let known = std::mem::take(&mut setup.prompts.labels);
            // Words that somebody has written stay with their label.
            let of = |label: LabelPhrases| known.iter().find(|old| old.label == label.label).cloned().unwrap_or(label);
            setup.prompts.labels = fresh.labels.into_iter().map(of).collect();
        });
        self.history.close_gesture();
    }

    /// The sentences that the classification by words on view was made with; `None` before there is one, and while a newer
    /// one is under way.
    pub fn classifying_words(&self) -> Option<String> {
        let classifying = &self.classifying;
        let (setup, _) = classifying.asked.as_ref().filter(|_| classifying.job.is_none())?;
        classifying.words.is_some().then(|| setup.prompts.sentences().join("\n"))
    }

    /// A number for a new job.
    pub fn job_id(&mut self) -> JobId {
        let job = self.next_job;
        self.next_job += 1;
        job
    }

    /// Asks the engine to stop classifying.
    pub fn stop_lab(&mut self) {
        if let Some(job) = &mut self.classifying.job {
            job.stopping = true;
            self.outbox.push(Request::Cancel(job.id));
        }
    }

    /// Changes what is segmented as one step of undo.
    pub fn edit_segment(&mut self, what: &str, change: impl FnOnce(&mut SegmentSetup)) {
        let before = self.segmenting.setup.clone();
        change(&mut self.segmenting.setup);
        if self.segmenting.setup != before {
            self.history.record(what, Step::Segment(Box::new(before)));
        }
    }

    /// Asks the engine to stop segmenting.
    pub fn stop_segmenting(&mut self) {
        if let Some(job) = &mut self.segmenting.job {
            job.stopping = true;
            self.outbox.push(Request::Cancel(job.id));
        }
    }

    /// Adds references that are not there yet; returns how many were new.
    pub fn add_references(&mut self, paths: Vec<PathBuf>) -> usize {
        let new: Vec<PathBuf> = paths.into_iter().filter(|path| !self.recipe.references.contains(path)).collect();
        let count = new.len();
        if count > 0 {
            self.history.close_gesture();
            self.edit("References", |recipe| recipe.references.extend(new));
            self.history.close_gesture();
        }
        count
    }

    pub fn undo(&mut self) {
        if let Some((what, step)) = self.history.take_past() {
            let forward = self.carry_out(step);
            self.history.undone(what, forward);
        }
    }

    pub fn redo(&mut self) {
        if let Some((what, step)) = self.history.take_future() {
            let back = self.carry_out(step);
            self.history.redone(what, back);
        }
    }

    /// Carries out a step; returns the one that takes it back.
    fn carry_out(&mut self, step: Step) -> Step {
        match step {
            Step::Recipe(recipe) => {
                let before = std::mem::replace(&mut self.recipe, *recipe);
                self.recipe_problem = self.recipe.check().err().map(|error| error.to_string());
                Step::Recipe(Box::new(before))
            }
            Step::Labels(labels) => Step::Labels(self.photos.swap_labels(labels)),
            Step::Describe(setup) => Step::Describe(Box::new(std::mem::replace(&mut self.describing.setup, *setup))),
            Step::Segment(setup) => Step::Segment(Box::new(std::mem::replace(&mut self.segmenting.setup, *setup))),
            Step::Correct { photo, layer, strokes } => {
                let strokes = self.segmenting.swap_strokes(&photo, layer, strokes);
                Step::Correct { photo, layer, strokes }
            }
            Step::Classify(setup) => Step::Classify(Box::new(std::mem::replace(&mut self.classifying.setup, *setup))),
        }
    }

    /// The raw image threshold in force, from the photo on view or the recipe.
    pub fn image_threshold(&self) -> Option<f32> {
        self.recipe.image_threshold.or_else(|| self.view.as_ref().map(|view| view.calibration.image_threshold)).or_else(
            || self.photos.iter().find_map(|entry| entry.inspection()).map(|inspection| inspection.image_threshold),
        )
    }

    /// A fact from the engine.
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::Preparing { stage, done, total } => self.engine.preparing = Some((stage, done, total)),
            Event::ModelLoaded { model, memory_model, device } => {
                self.engine.model = Some(model);
                self.engine.memory_model = memory_model;
                self.engine.device = device;
                self.engine.preparing = None;
            }
            Event::MemoryBuilt { references, patches, kept, failures } => {
                self.engine.memory = Some((references, patches, kept));
                self.engine.preparing = None;
                for (path, error) in failures {
                    self.notices.error(format!("A reference photo is left out. {}", error.at(path)));
                }
            }
            Event::JobStarted { job, .. } if self.lab_mut(job).is_some() => {
                self.engine.preparing = None;
            }
            Event::JobStarted { .. } => {
                self.engine.preparing = None;
                let now = self.notices.now;
                if let Some(job) = &mut self.job {
                    job.started.get_or_insert(now);
                }
            }
            // Photos are counted as they come, because several jobs share one line.
            Event::JobProgressed { job, done, total } => {
                if let Some(lab) = self.lab_mut(job) {
                    (lab.done, lab.total) = (done, total);
                }
            }
            Event::PhotoInspected { id, job, inspection, .. } => {
                self.engine.preparing = None;
                self.count(job.is_some(), false);
                self.to_keep.extend(job.map(|_| id));
                self.photos.set_outcome(id, Outcome::Inspected(inspection));
            }
            Event::PhotoFailed { id, path, error, .. } => {
                self.count(true, true);
                self.notices.error(error.clone().at(path).to_string());
                self.photos.set_outcome(id, Outcome::Failed(error));
            }
            Event::ViewJudged(view) => {
                self.engine.preparing = None;
                if self.selected == Some(view.id) {
                    self.photos.set_outcome(view.id, Outcome::Inspected(view.inspection.clone()));
                    self.report = crate::report::report_text(&view.inspection, &view.recipe);
                    self.region = self.region.filter(|&region| region < view.inspection.regions.len());
                    self.view = Some(view);
                }
            }
            Event::JobFinished { job, .. } => {
                if let Some(line) = self.job.take_if(|line| line.id == job)
                    && line.total > 1
                {
                    self.photos.refresh();
                    let counts = self.photos.counts();
                    let mut text = format!(
                        "{} inspected{}: {} NG, {} uncertain, {} OK.",
                        photos(line.total - line.failed),
                        if line.total - line.failed < self.photos.len() - counts.failed { "; of all" } else { "" },
                        counts.ng,
                        counts.uncertain,
                        counts.ok
                    );
                    if line.failed > 0 {
                        let _ = write!(text, " {} could not be read.", photos(line.failed));
                    }
                    self.notices.done(text);
                }
            }
            Event::JobCancelled { job, .. } => {
                if let Some(line) = self.job.take_if(|line| line.id == job) {
                    self.notices.info(format!("Stopped after {} of {} photos.", line.done, line.total));
                }
            }
            Event::Warned(text) => self.notices.warning(text),
            Event::RecipeRefused(error) => {
                self.engine.preparing = None;
                self.recipe_problem = Some(error.to_string());
                self.notices.error(error.to_string());
            }
            Event::EngineRestarted { reason } => {
                self.notices.warning(format!("The engine was started again, nothing is lost. {reason}"));
            }
        }
    }

    fn count(&mut self, of_job: bool, failed: bool) {
        if let Some(job) = self.job.as_mut().filter(|_| of_job) {
            job.done = (job.done + 1).min(job.total);
            job.failed += usize::from(failed);
        }
    }

    /// Takes a closer look at some photos and shows the first of them.
    pub fn focus(&mut self, focus: Focus) {
        self.photos.set_filter(Filter::All);
        self.photos.set_search(String::new());
        self.photos.set_focus(Some(focus));
        self.photos.refresh();
        let first = self.photos.shown(0).map(|entry| entry.id);
        if first.is_some() {
            self.select(first);
        }
    }

    /// Misses and false alarms, the worst first, one after the other.
    pub fn review_mistakes(&mut self) {
        self.photos.set_sort(Sort::Mistakes);
        self.focus(Focus { title: "mistakes".to_owned(), rule: Rule::Mistakes });
        self.look.page = Page::Inspect;
        self.look.grid = false;
    }

    /// The photo the inspector clicked into: asks why it is scored so.
    pub fn ask(&mut self, place: Pos2) {
        self.asked = Some(place);
        self.look.tab = Tab::Findings;
        self.look.inspector = true;
    }

    /// A file or value that could not be used.
    pub fn report_error(&mut self, error: &Error) {
        if !matches!(error, Error::Cancelled) {
            self.notices.error(error.to_string());
        }
    }
}

/// `1 photo`, `2 photos`.
pub fn photos(count: usize) -> String {
    crate::count::count(count, "photo", "photos")
}

/// `1 reference`, `2 references`.
pub fn references(count: usize) -> String {
    crate::count::count(count, "reference", "references")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anomaly::Verdict;
    use crate::app::testing::{inspection, view};

    fn inspected(state: &mut State, id: PhotoId, score: f32, verdict: Verdict) {
        let inspection = Arc::new(inspection("x.png", score, verdict));
        state.apply(Event::PhotoInspected { id, job: Some(0), inspection, map: None });
    }

    #[test]
    fn opening_photos_asks_for_their_inspection_and_shows_the_first() {
        let mut state = State::default();
        assert_eq!(state.add_photos(vec!["b.png".into(), "a.png".into(), "b.png".into()]), 2);
        let requests = state.take_requests();
        assert!(matches!(&requests[..], [Request::Inspect { photos, .. }] if photos.len() == 2));
        assert_eq!(state.selected, Some(1), "a.png comes first by name");
        assert!(state.take_requests().is_empty());
    }

    #[test]
    fn a_photo_that_had_no_other_to_be_compared_with_is_asked_for_again_with_the_next() {
        let mut state = State::default();
        state.recipe.apply_method(crate::recipe::Method::Batch);
        state.add_photos(vec!["a".into()]);
        let failed = Event::PhotoFailed { id: 0, job: 0, path: "a".into(), error: Error::input("There is no other.") };
        state.apply(failed);
        state.take_requests();
        state.add_photos(vec!["b".into()]);
        let requests = state.take_requests();
        assert!(matches!(&requests[..], [Request::Inspect { photos, .. }] if photos.len() == 2), "{requests:?}");
        assert!(state.photos.iter().all(|entry| matches!(entry.outcome, Outcome::Waiting)));
    }

    #[test]
    fn progress_counts_photos_and_ends_with_a_summary() {
        let mut state = State::default();
        state.add_photos(vec!["a".into(), "b".into(), "c".into()]);
        state.apply(Event::JobStarted { job: 0, total: 3 });
        inspected(&mut state, 0, 1.0, Verdict::Ok);
        inspected(&mut state, 1, 9.0, Verdict::Ng);
        state.notices.now = 4.0;
        let job = state.job.clone().expect("a job runs");
        assert_eq!((job.done, job.total), (2, 3));
        assert_eq!(job.seconds_left(4.0), Some(2.0));
        state.apply(Event::PhotoFailed { id: 2, job: 0, path: "c".into(), error: Error::input("The photo is empty.") });
        state.apply(Event::JobFinished { job: 0, done: 3, failed: 1 });
        assert_eq!(state.job, None);
        let texts: Vec<_> = state.notices.iter().map(|notice| notice.text.as_str()).collect();
        assert!(
            texts[0].contains("2 photos inspected: 1 NG, 0 uncertain, 1 OK. 1 photo could not be read."),
            "{texts:?}"
        );
        assert!(texts[1].contains("[c]"), "{texts:?}");
    }

    #[test]
    fn a_view_of_another_photo_is_not_shown() {
        let mut state = State::default();
        state.add_photos(vec!["a".into(), "b".into()]);
        state.apply(Event::ViewJudged(Arc::new(view(1, &Recipe::default()))));
        assert!(state.view.is_none());
        state.apply(Event::ViewJudged(Arc::new(view(0, &Recipe::default()))));
        assert!(state.view.is_some() && !state.report.is_empty());
        state.select(Some(1));
        assert!(state.view.is_none() && state.report.is_empty());
    }

    #[test]
    fn an_impossible_recipe_is_said_and_the_way_back_is_open() {
        let mut state = State::default();
        state.edit("Normal phrases", |recipe| recipe.prompts.normal.clear());
        assert!(state.recipe_problem.as_deref().is_some_and(|text| text.contains("prompts.normal")));
        state.undo();
        assert_eq!(state.recipe_problem, None);
        assert_eq!(state.recipe, Recipe::default());
    }

    #[test]
    fn removing_the_photo_on_view_shows_its_neighbour() {
        let mut state = State::default();
        state.add_photos(vec!["a".into(), "b".into(), "c".into()]);
        state.select(Some(2));
        state.remove_photo(2);
        assert_eq!(state.selected, Some(1));
        state.clear_photos();
        assert_eq!(state.selected, None);
        assert!(state.photos.is_empty());
    }

    #[test]
    fn a_session_brings_everything_back() {
        let mut state = State::default();
        state.add_photos(vec!["a".into(), "b".into()]);
        state.select(Some(1));
        state.photos.set_decision(0, Some(Decision::Rejected));
        state.label_photo(1, Some("good".into()));
        state.edit("Object", |recipe| recipe.object = "ring".into());
        state.look.opacity = 0.3;
        let session = state.session();
        assert_eq!(State::restore(session.clone()).session(), session);
    }

    #[test]
    fn references_are_added_once_and_in_one_step() {
        let mut state = State::default();
        assert_eq!(state.add_references(vec!["n1".into(), "n2".into()]), 2);
        assert_eq!(state.add_references(vec!["n2".into(), "n3".into()]), 1);
        state.undo();
        assert_eq!(state.recipe.references.len(), 2);
    }
}
