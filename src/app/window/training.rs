//! The window's handling of training: data that is looked at, the pace that is measured, runs that start, stop and end, and
//! what they gave. Carries out, like its parent; the panels only wish.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Window;
use crate::app::segmenting::{Mode, Prompt};
use crate::app::session::Page;
use crate::app::training::{PaceKey, TrainData, TrainRun};
use crate::train::segmentation::{Pace, TrainEvent};
use crate::{Error, Result};

/// Settings wait this long for the next change before the pace is measured again, in seconds.
const PAUSE: f64 = 0.6;

impl Window {
    /// Looks at the data, and measures the pace, while somebody looks at the page.
    pub(super) fn follow_training(&mut self, ctx: &egui::Context) {
        let looking = self.state.look.page == Page::Segment && self.state.segmenting.mode == Mode::Training;
        if !looking {
            return;
        }
        let now = self.state.notices.now;
        let training = &mut self.state.training;
        let of = (training.setup.data.clone(), training.setup.validation.clone());
        if of.0.is_some() && training.data_of.as_ref() != Some(&of) {
            training.data_of = Some(of);
            training.data = None;
            self.background.read_training(training.setup.clone());
        }
        if training.running() {
            return;
        }
        let key = PaceKey::of(&training.setup);
        let known = training.pace.as_ref().is_some_and(|(known, _)| *known == key);
        if known || training.measuring.is_some() || training.problem().is_some() {
            return;
        }
        // A number being dragged would be measured at every step.
        if self.pace_wanted.as_ref().is_none_or(|(wanted, _)| *wanted != key) {
            self.pace_wanted = Some((key.clone(), now));
        }
        let waited = now - self.pace_wanted.as_ref().map_or(now, |(_, since)| *since);
        if waited < PAUSE {
            ctx.request_repaint_after(std::time::Duration::from_secs_f64(PAUSE - waited + 0.01));
            return;
        }
        let Some(data) = training.data().cloned() else { return };
        training.measuring = Some(key);
        self.pace_stop.store(false, Ordering::Relaxed);
        self.background.measure_pace(data, training.setup.clone(), self.bench_engine.device, self.pace_stop.clone());
    }

    pub(super) fn training_read(&mut self, of: (Option<PathBuf>, Option<PathBuf>), data: Result<Box<TrainData>>) {
        let training = &mut self.state.training;
        if training.data_of.as_ref() != Some(&of) {
            return;
        }
        training.data = Some(data.map(Arc::from).map_err(|error| error.to_string()));
        if let Some(Ok(data)) = &training.data {
            training.setup.adopt(&data.train.classes.clone());
        }
    }

    pub(super) fn pace_measured(&mut self, pace: Result<Pace>) {
        let training = &mut self.state.training;
        if let Some(key) = training.measuring.take()
            && !matches!(pace, Err(Error::Cancelled))
        {
            training.pace = Some((key, pace.map_err(|error| error.to_string())));
        }
    }

    pub(super) fn start_training(&mut self) {
        // The measure would take the run's time.
        self.pace_stop.store(true, Ordering::Relaxed);
        let state = &mut self.state;
        let setup = state.training.setup.clone();
        let Some(out) = setup.out() else {
            state.notices.warning("This system names no folder for programs' data. Choose where to keep the run.");
            return;
        };
        state.look.page = Page::Segment;
        state.segmenting.mode = Mode::Training;
        let run = TrainRun::new(out.clone(), setup.clone(), state.notices.now);
        self.background.train(setup, out, self.bench_engine.device, run.stop.clone());
        state.training.run = Some(run);
    }

    pub(super) fn trained(&mut self, event: TrainEvent) {
        if let Some(run) = &mut self.state.training.run {
            run.apply(event);
        }
    }

    pub(super) fn training_ended(&mut self, outcome: Result<()>) {
        let Some(run) = &mut self.state.training.run else { return };
        match outcome {
            Ok(()) => {
                run.ended = Some(Ok(()));
                let best = run.best().and_then(|best| Some((best.epoch, best.dice?)));
                let best =
                    best.map_or_else(String::new, |(epoch, dice)| format!(" Epoch {epoch} is best, Dice {dice:.3}."));
                self.state.notices.done(format!("Training is through.{best}"));
            }
            Err(Error::Cancelled) => {
                run.stopped = true;
                run.ended = Some(Err("Stopped. The same training goes on after the last whole epoch.".to_owned()));
            }
            Err(error) => {
                run.ended = Some(Err(error.to_string()));
                self.state.notices.error(error.to_string());
            }
        }
    }

    /// Segments with what was trained: its model, its words, and the threshold that was best.
    pub(super) fn use_trained(&mut self) {
        let state = &mut self.state;
        let Some((run, model)) = state.training.run.as_ref().and_then(|run| Some((run.clone(), run.model()?))) else {
            return;
        };
        let name = model.display().to_string();
        for list in [&mut state.models, &mut state.added_models, &mut state.segmenting.models] {
            if !list.contains(&name) {
                list.push(name.clone());
            }
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
        training.data_of = None;
    }

    /// Chooses the photos with masks to judge on; `None` takes a fifth of the others.
    pub fn choose_validation_data(&mut self, folder: Option<PathBuf>) {
        self.state.training.setup.validation = folder;
    }
}
