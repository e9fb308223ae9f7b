//! The window's handling of trainings: data that is looked at, the pace that is measured, runs that start, stop and end, and
//! what they gave. Carries out, like its parent; the panels only wish.

use std::path::PathBuf;

use super::Window;
use crate::app::background::{Background, News};
use crate::app::describing::Against;
use crate::app::lesson::{Course, Known, Lesson, LessonNews, Run, Wanted};
use crate::app::match_training::MatchRun;
use crate::app::notice::Notices;
use crate::app::photo_list::file_name;
use crate::app::segmenting::{Mode, Prompt};
use crate::app::session::Page;
use crate::app::state::State;
use crate::gpu::DevicePolicy;

/// Does what a training wants while somebody looks at its page; gives the seconds after which to look again.
fn follow<C: Course>(
    lesson: &mut Lesson<C>,
    looking: bool,
    now: f64,
    background: &Background,
    device: DevicePolicy,
) -> Option<f64>
where
    News: From<LessonNews<C>>,
{
    if !looking {
        // A measure keeps processor and memory from what is looked at instead.
        lesson.stop_measuring();
        return None;
    }
    match lesson.next(now) {
        Wanted::Nothing => None,
        Wanted::Wait(seconds) => Some(seconds),
        Wanted::Read(of, stop) => {
            background.read_lesson::<C>(lesson.setup.clone(), of, stop);
            None
        }
        Wanted::Measure(data, stop) => {
            background.measure_pace::<C>(lesson.setup.clone(), data, device, stop);
            None
        }
    }
}

/// Starts a run, or goes on with one; whether that was possible.
fn start<C: Course>(
    lesson: &mut Lesson<C>,
    notices: &mut Notices,
    background: &Background,
    device: DevicePolicy,
) -> bool
where
    News: From<LessonNews<C>>,
{
    // The measure would take the run's time.
    lesson.stop_measuring();
    let Some(data) = lesson.data().cloned() else { return false };
    let setup = lesson.setup.clone();
    let Some(out) = C::out(&setup) else {
        notices.warning("This system names no folder for programs' data. Choose where to keep the run.");
        return false;
    };
    let run = Run::new(out.clone(), setup.clone());
    background.train::<C>(setup, data, out, device, run.stop.clone());
    lesson.run = Some(run);
    true
}

/// Says how a run ended.
fn say(notices: &mut Notices, said: Option<Known<String>>) {
    match said {
        Some(Ok(text)) => notices.done(text),
        Some(Err(text)) => notices.error(text),
        None => {}
    }
}

/// Offers a model that was trained wherever models are chosen; gives its name.
fn offer(state: &mut State, model: &std::path::Path) -> String {
    let name = model.display().to_string();
    for list in [&mut state.models, &mut state.added_models] {
        if !list.contains(&name) {
            list.push(name.clone());
        }
    }
    name
}

impl Window {
    /// Looks at the data, and measures the pace, while somebody looks at the page.
    pub(super) fn follow_training(&mut self, ctx: &egui::Context) {
        let (now, device) = (self.state.notices.now, self.bench_engine.device);
        let state = &mut self.state;
        let segments = state.look.page == Page::Segment && state.segmenting.mode == Mode::Training;
        let matches = state.look.page == Page::Description && state.describing.against == Against::Training;
        let waits = [
            follow(&mut state.training, segments, now, &self.background, device),
            follow(&mut state.match_training, matches, now, &self.background, device),
        ];
        for seconds in waits.into_iter().flatten() {
            ctx.request_repaint_after(std::time::Duration::from_secs_f64(seconds));
        }
    }

    /// News of a training.
    pub(super) fn take_lesson(&mut self, news: News) {
        let state = &mut self.state;
        let said = match news {
            News::Segmenter(news) => state.training.take(news),
            News::Matcher(news) => state.match_training.take(news),
            _ => None,
        };
        say(&mut state.notices, said);
    }

    pub(super) fn start_training(&mut self) {
        let state = &mut self.state;
        if start(&mut state.training, &mut state.notices, &self.background, self.bench_engine.device) {
            state.look.page = Page::Segment;
            state.segmenting.mode = Mode::Training;
        }
    }

    pub(super) fn start_match_training(&mut self) {
        let state = &mut self.state;
        if start(&mut state.match_training, &mut state.notices, &self.background, self.bench_engine.device) {
            state.look.page = Page::Description;
            state.describing.against = Against::Training;
        }
    }

    /// Holds descriptions against photos with the model that was trained.
    pub(super) fn use_match_trained(&mut self) {
        let Some(model) = self.state.match_training.run.as_ref().and_then(MatchRun::model) else { return };
        let state = &mut self.state;
        let name = offer(state, &model);
        state.history.close_gesture();
        state.edit_description("Use the trained model", |setup| setup.model = name);
        state.history.close_gesture();
        // A model of the same folder may be another one by now.
        let describing = &mut state.describing;
        (describing.asked, describing.seen, describing.said, describing.matched) = (None, None, None, None);
        describing.against = if state.selected.is_some() { Against::Photo } else { Against::Table };
        state.look.page = Page::Description;
        let run = model.parent().map(file_name).unwrap_or_default();
        state.notices.done(format!(
            "The model of {run} is in use. Training moves similarities: take the threshold from labelled rows."
        ));
    }

    /// Segments with what was trained: its model, its words, and the threshold that was best.
    pub(super) fn use_trained(&mut self) {
        let state = &mut self.state;
        let Some((run, model)) = state.training.run.as_ref().and_then(|run| Some((run.clone(), run.model()?))) else {
            return;
        };
        let name = offer(state, &model);
        if !state.segmenting.models.contains(&name) {
            state.segmenting.models.push(name.clone());
        }
        let threshold = run.best().and_then(|best| best.best_threshold).unwrap_or(0.5) as f32;
        let prompts = run.setup.settings().prompts;
        let words: Vec<String> = prompts.into_values().filter_map(|phrases| phrases.into_iter().next()).collect();
        state.history.close_gesture();
        let mut first = None;
        state.edit_segment("Use the trained network", |setup| {
            setup.model = name;
            for words in words {
                let prompt = Prompt::Words(words);
                let known = setup.layers.iter().find(|layer| layer.prompt == prompt).map(|layer| layer.id);
                let id = known.unwrap_or_else(|| setup.add(prompt));
                first.get_or_insert(id);
                if let Some(layer) = setup.layer_mut(id) {
                    layer.threshold = threshold.clamp(0.01, 0.99);
                    layer.visible = true;
                }
            }
        });
        state.history.close_gesture();
        state.segmenting.active = first;
        // A model of the same folder may be another one by now.
        state.segmenting.forget_maps();
        state.segmenting.mode = Mode::Masks;
        state.look.page = Page::Segment;
        if state.photos.is_empty()
            && let Some(data) = state.training.data()
        {
            let photos: Vec<PathBuf> = data.validation.photos.iter().map(|photo| photo.path.clone()).collect();
            self.open(photos, false);
        }
    }

    /// Chooses the photos with masks to learn from.
    pub fn choose_training_data(&mut self, folder: PathBuf) {
        let training = &mut self.state.training;
        training.setup.data = Some(folder);
        training.forget_data();
    }

    /// Chooses the photos with masks to judge on; `None` takes a fifth of the others.
    pub fn choose_validation_data(&mut self, folder: Option<PathBuf>) {
        self.state.training.setup.validation = folder;
    }

    /// Chooses the table of photos and texts to learn from.
    pub fn choose_match_table(&mut self, table: PathBuf) {
        let training = &mut self.state.match_training;
        training.setup.table = Some(table);
        training.forget_data();
    }

    /// Chooses the table to judge on; `None` judges on nothing.
    pub fn choose_match_validation(&mut self, table: Option<PathBuf>) {
        let training = &mut self.state.match_training;
        training.setup.validation = table;
        training.forget_data();
    }
}
