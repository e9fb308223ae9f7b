//! The worker: the one thread that owns the device and the networks. It follows the newest recipe, works through the
//! queue, and keeps evidence up to date. If it dies (a driver, a bug) it says so, starts again and goes on with the
//! photo in hand; a photo that kills it twice fails alone.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::EngineOptions;
use super::cache::{FeatureCache, FeatureKey};
use super::lab::{Lab, TextStore, Work};
use super::live::judge_photo;
use super::message::{Event, JobId, PhotoId, PhotoRef, Stage as Step};
use super::state::{Known, Shared, State};
use crate::anomaly::evidence::Timings;
use crate::anomaly::mutual::MOST_PHOTOS;
use crate::anomaly::normals::Normals;
use crate::anomaly::{Detector, Evidence, Networks, PhotoFacts, PhotoFeatures, Reference};
use crate::gpu::linear::Precision;
use crate::gpu::{self, Compute};
use crate::model::{Backbone, ClipSegModel, ModelSource};
use crate::photo::{self, Photo};
use crate::recipe::{Comparison, Prompts, Recipe, Stage};
use crate::{Error, Result};

/// References judged against the others for calibration at most; more are sampled evenly.
const CALIBRATION_LIMIT: usize = 64;
/// Deaths without a photo through in between, after which the worker stops trying.
const MAX_DEATHS: usize = 3;
/// Networks kept besides the recipe's own; the one used longest ago goes first.
const MODELS_KEPT: usize = 4;

/// Runs until the engine stops.
pub(super) fn run(shared: &Shared, options: &EngineOptions) {
    let mut cache = FeatureCache::new(options.memory_budget, options.cache_dir.clone(), options.disk_budget);
    let mut killers: HashSet<PhotoId> = HashSet::new();
    let mut deaths = 0;
    loop {
        let mut worker = Worker::new(shared, options, &mut cache);
        let panic = match catch_unwind(AssertUnwindSafe(|| worker.work())) {
            Ok(()) => return,
            Err(panic) => panic,
        };
        let progressed = worker.progressed;
        // Dropping networks of a lost device may panic again.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(worker)));
        let reason = panic_message(panic.as_ref());
        deaths = if progressed { 1 } else { deaths + 1 };
        let (in_hand, lab) = {
            let mut state = shared.lock();
            (state.in_hand.take(), state.lab_in_hand.take())
        };
        // Its channel closed without an answer, which says that it failed; it is not tried again.
        if let Some(job) = lab {
            shared.lock().lab_cancelled.remove(&job);
            shared.emit(Event::JobCancelled { job, done: 0 });
        }
        if let Some((job, photo)) = in_hand {
            if killers.insert(photo.id) {
                return_to_queue(shared, job, photo);
            } else {
                let error = Error::bug(format!("the networks failed on this photo twice ({reason})."));
                fail(shared, job, photo, error);
            }
        }
        shared.emit(Event::EngineRestarted { reason: reason.clone() });
        if deaths >= MAX_DEATHS {
            shared.emit(Event::RecipeRefused(Error::device(format!(
                "The engine failed {deaths} times in a row ({reason}). Start again with `--device cpu`, or with another model."
            ))));
            let mut state = shared.lock();
            let generation = state.generation;
            while !state.stopping && state.generation == generation {
                state = shared.worker_bell.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
            }
            deaths = 0;
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

fn return_to_queue(shared: &Shared, job: JobId, photo: PhotoRef) {
    if let Some(job) = shared.lock().jobs.iter_mut().find(|queued| queued.id == job) {
        job.todo.push_front(photo);
    }
}

fn fail(shared: &Shared, job: JobId, photo: PhotoRef, error: Error) {
    let mut state = shared.lock();
    let counts = state.jobs.iter_mut().find(|queued| queued.id == job).map(|queued| {
        queued.failed += 1;
        (queued.done(), queued.total)
    });
    drop(state);
    shared.emit(Event::PhotoFailed { id: photo.id, job, path: photo.path, error });
    if let Some((done, total)) = counts {
        shared.emit(Event::JobProgressed { job, done, total });
    }
}

/// The recipe's networks and everything made ready for photos.
struct Ready {
    networks: Networks,
    detector: Detector,
    encoded: (Prompts, String),
    /// Those that could be read, each with what is known of the photo.
    references: Vec<(Reference, Arc<PhotoFacts>)>,
}

pub(super) struct Worker<'a> {
    shared: &'a Shared,
    options: &'a EngineOptions,
    cache: &'a mut FeatureCache,
    compute: Option<Compute>,
    /// Loaded networks, the one used last at the end.
    models: Vec<(ModelSource, Option<SystemTime>, Arc<Backbone>)>,
    /// The network that segments, where one was asked for.
    segmenter: Option<(ModelSource, Option<SystemTime>, Arc<ClipSegModel>)>,
    texts: TextStore,
    ready: Option<Ready>,
    /// The recipe that `ready` follows, once it is wholly applied.
    applied: Option<Arc<Recipe>>,
    /// The recipe last looked at.
    seen: u64,
    /// What has to be done again before `ready` is true to the recipe.
    dirty: Option<Stage>,
    /// A photo went through since the thread (re)started.
    progressed: bool,
}

enum Task {
    Apply(Arc<Recipe>),
    Start { job: JobId, total: usize },
    Inspect { job: JobId, photo: PhotoRef, maps: bool },
    Refresh(PhotoId, PathBuf),
    Lab(JobId, Work),
    Finished { job: JobId, done: usize, failed: usize, cancelled: bool },
    Stop,
}

impl<'a> Worker<'a> {
    fn new(shared: &'a Shared, options: &'a EngineOptions, cache: &'a mut FeatureCache) -> Self {
        Self {
            shared,
            options,
            cache,
            compute: None,
            models: Vec::new(),
            segmenter: None,
            texts: TextStore::new(),
            ready: None,
            applied: None,
            seen: 0,
            dirty: Some(Stage::Model),
            progressed: false,
        }
    }

    fn work(&mut self) {
        loop {
            match self.next() {
                Task::Stop => return,
                task => self.perform(task),
            }
        }
    }

    fn perform(&mut self, task: Task) {
        match task {
            Task::Stop => {}
            Task::Apply(recipe) => self.follow(&recipe),
            Task::Start { job, total } => self.shared.emit(Event::JobStarted { job, total }),
            Task::Inspect { job, photo, maps } => self.inspect(job, photo, maps),
            Task::Refresh(id, path) => self.refresh(id, &path),
            Task::Lab(job, work) => self.experiment(job, work),
            Task::Finished { job, done, failed, cancelled } => self.shared.emit(if cancelled {
                Event::JobCancelled { job, done }
            } else {
                Event::JobFinished { job, done, failed }
            }),
        }
    }

    /// Work of a front, whose own channel carries the outcome.
    fn experiment(&mut self, job: JobId, work: Work) {
        self.shared.emit(Event::JobStarted { job, total: 0 });
        let mut lab = Lab::new(self, job);
        work(&mut lab);
        let done = lab.done();
        self.progressed = true;
        let cancelled = {
            let mut state = self.shared.lock();
            state.lab_in_hand = None;
            state.lab_cancelled.remove(&job)
        };
        self.perform(Task::Finished { job, done, failed: 0, cancelled });
    }

    /// In the middle of other work: follows a new recipe and sees to the photo on view, if there is anything to do.
    pub(super) fn attend(&mut self) {
        loop {
            let task = {
                let mut state = self.shared.lock();
                if state.stopping {
                    return;
                }
                self.urgent(&mut state)
            };
            match task {
                Some(task) => self.perform(task),
                None => return,
            }
        }
    }

    /// A new recipe, or the photo on view, which go before everything else.
    fn urgent(&mut self, state: &mut State) -> Option<Task> {
        if state.generation != self.seen {
            self.seen = state.generation;
            return Some(Task::Apply(state.recipe.clone()));
        }
        if self.dirty.is_some() {
            return None;
        }
        let viewed = state.viewed?;
        if state.stale.remove(&viewed)
            && let Some(known) = state.photos.get(&viewed)
        {
            return Some(Task::Refresh(viewed, known.path.clone()));
        }
        let (at, position) =
            state.jobs.iter().enumerate().filter(|(_, job)| !job.cancelled).find_map(|(at, job)| {
                job.todo.iter().position(|photo| photo.id == viewed).map(|position| (at, position))
            })?;
        let job = &mut state.jobs[at];
        if !std::mem::replace(&mut job.started, true) {
            return Some(Task::Start { job: job.id, total: job.total });
        }
        take_photo(state, at, position)
    }

    pub(super) fn shared(&self) -> &'a Shared {
        self.shared
    }

    pub(super) fn cache(&mut self) -> &mut FeatureCache {
        self.cache
    }

    pub(super) fn texts(&mut self) -> &mut TextStore {
        &mut self.texts
    }

    /// The device, chosen at its first use.
    pub(super) fn compute(&mut self) -> Result<&Compute> {
        if self.compute.is_none() {
            let compute = gpu::choose(self.options.device)?.in_precision(self.options.precision)?;
            if let Some(note) = compute.note.clone() {
                self.shared.emit(Event::Warned(note));
            }
            self.compute = Some(compute);
        }
        self.compute.as_ref().ok_or_else(|| Error::bug("no device after choosing one."))
    }

    /// A network by name, loaded at its first use and kept until its files change, as they do while one is trained.
    pub(super) fn model(&mut self, name: &str) -> Result<Arc<Backbone>> {
        let source = ModelSource::resolve(name)?;
        let stamp = source.modified();
        let at = self.models.iter().position(|(known, then, _)| (known, then) == (&source, &stamp));
        let entry = if let Some(at) = at {
            self.models.remove(at)
        } else {
            let (device, precision) = (self.compute()?.device.clone(), self.options.precision);
            let model = Arc::new(Backbone::load(&source, &device)?.in_precision(precision)?);
            (source, stamp, model)
        };
        let model = entry.2.clone();
        self.models.push(entry);
        let surplus = self.models.len().saturating_sub(MODELS_KEPT);
        self.models.drain(..surplus);
        Ok(model)
    }

    /// A network that segments, loaded at its first use; the last one is kept until its files change, as they do while one
    /// is trained.
    pub(super) fn segmenter(&mut self, name: &str) -> Result<Arc<ClipSegModel>> {
        let source = ModelSource::resolve(name)?;
        let stamp = source.modified();
        if let Some((.., model)) = self.segmenter.as_ref().filter(|(known, then, _)| (known, then) == (&source, &stamp))
        {
            return Ok(model.clone());
        }
        let device = self.compute()?.device.clone();
        let model = Arc::new(ClipSegModel::load(&source, &device)?);
        self.segmenter = Some((source, stamp, model.clone()));
        Ok(model)
    }

    /// Keeps features; a disk that cannot be written is given up with a warning.
    pub(super) fn keep(&mut self, key: FeatureKey, features: &Arc<PhotoFeatures>) {
        if let Err(error) = self.cache.put(key, features) {
            self.cache.give_up_disk();
            self.shared.emit(Event::Warned(format!("Features are no longer kept on disk. {error}")));
        }
    }

    /// The next thing to do; waits for it.
    fn next(&mut self) -> Task {
        let mut state = self.shared.lock();
        loop {
            if state.stopping {
                return Task::Stop;
            }
            if let Some(task) = self.urgent(&mut state) {
                return task;
            }
            let ended = state.jobs.iter().position(|job| job.cancelled || job.started && job.todo.is_empty());
            if let Some(job) = ended.and_then(|at| state.jobs.remove(at)) {
                return Task::Finished { job: job.id, done: job.done(), failed: job.failed, cancelled: job.cancelled };
            }
            if let Some(job) = state.jobs.iter_mut().find(|job| !job.started) {
                job.started = true;
                return Task::Start { job: job.id, total: job.total };
            }
            // Work of the lab has networks of its own, so it need not wait for a recipe that can be followed.
            let first_job = state.jobs.front().map(|job| job.ticket).filter(|_| self.dirty.is_none());
            let turn = state.labs.front().is_some_and(|(ticket, ..)| first_job.is_none_or(|job| *ticket < job));
            if turn && let Some((_, job, work)) = state.labs.pop_front() {
                state.lab_in_hand = Some(job);
                return Task::Lab(job, work);
            }
            if self.dirty.is_none() {
                if let Some(task) = take_photo(&mut state, 0, 0) {
                    return task;
                }
                if let Some(id) = state.stale.iter().min().copied() {
                    state.stale.remove(&id);
                    if let Some(known) = state.photos.get(&id) {
                        return Task::Refresh(id, known.path.clone());
                    }
                    continue;
                }
            }
            state = self.shared.worker_bell.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    /// Brings `ready` in line with a recipe. A recipe that cannot be followed is refused, and the former one holds.
    fn follow(&mut self, recipe: &Arc<Recipe>) {
        let stage = match &self.applied {
            None => Some(Stage::Model),
            Some(applied) => applied.stage_changed(recipe),
        };
        self.dirty = self.dirty.into_iter().chain(stage).min();
        match self.dirty {
            None => return,
            Some(Stage::Judgement) if self.ready.as_ref().is_some_and(|ready| ready.networks.check(recipe).is_ok()) => {
                self.applied = Some(recipe.clone());
                self.dirty = None;
                return;
            }
            Some(_) => {}
        }
        match self.prepare(recipe) {
            Ok(()) => {
                self.applied = Some(recipe.clone());
                self.dirty = None;
                let mut state = self.shared.lock();
                state.stale = state.photos.keys().copied().collect();
            }
            // A newer recipe came, or the engine stops: `next` sees to it, and `dirty` remembers what is undone.
            Err(Error::Cancelled) => {}
            Err(error) => {
                let mut state = self.shared.lock();
                if let Some(applied) = self.applied.clone()
                    && state.generation == self.seen
                {
                    state.recipe = applied;
                    state.generation += 1;
                    state.judge_all();
                }
                drop(state);
                self.shared.live_bell.notify_one();
                self.shared.emit(Event::RecipeRefused(error));
            }
        }
    }

    fn superseded(shared: &Shared, seen: u64) -> bool {
        let state = shared.lock();
        state.stopping || state.generation != seen
    }

    fn prepare(&mut self, recipe: &Recipe) -> Result<()> {
        let dirty = self.dirty.unwrap_or(Stage::Judgement);
        if recipe.method.needs_references() && recipe.references.is_empty() {
            return Err(Error::input(format!(
                "The method `{}` compares with normal photos, but no reference photo was given. Add some (`--normal DIR`), or use `fused`.",
                recipe.method
            )));
        }
        if dirty == Stage::Model || self.ready.is_none() {
            self.load(recipe)?;
        }
        let Some(ready) = &mut self.ready else { return Err(Error::bug("no model is loaded after loading.")) };
        ready.networks.check(recipe)?;
        if dirty <= Stage::Features
            && let Some(remark) = ready.networks.remark(recipe)
        {
            self.shared.emit(Event::Warned(remark));
        }
        let prompts = (recipe.prompts.clone(), recipe.object.clone());
        if ready.encoded != prompts {
            ready.detector.encode_prompts(&ready.networks, recipe)?;
            ready.encoded = prompts;
        }
        if dirty <= Stage::Memory {
            self.read_references(recipe)?;
        }
        self.calibrate(recipe)
    }

    fn load(&mut self, recipe: &Recipe) -> Result<()> {
        let names: Vec<&String> = std::iter::once(&recipe.model).chain(&recipe.memory_model).collect();
        let step = |done| Event::Preparing { stage: Step::LoadingModel, done, total: names.len() };
        self.shared.emit(step(0));
        let model = self.model(&recipe.model)?;
        let memory = match &recipe.memory_model {
            Some(name) => {
                self.shared.emit(step(1));
                Some(self.model(name)?)
            }
            None => None,
        };
        let info = Arc::new(model.info().clone());
        let other = |memory: &&Arc<Backbone>| memory.info().sha256 != info.sha256;
        let memory_model = memory.as_ref().filter(other).map(|memory| Arc::new(memory.info().clone()));
        let networks = Networks::new(model, memory);
        networks.check(recipe)?;
        let compute = self.compute()?;
        let device = compute.name.clone();
        let detector = Detector::new(&networks, compute, recipe)?;
        self.ready = Some(Ready {
            networks,
            detector,
            encoded: (recipe.prompts.clone(), recipe.object.clone()),
            references: Vec::new(),
        });
        self.shared.emit(step(names.len()));
        self.shared.emit(Event::ModelLoaded { model: info, memory_model, device });
        Ok(())
    }

    fn read_references(&mut self, recipe: &Recipe) -> Result<()> {
        let given = recipe.references.len();
        let total = if recipe.comparison == Comparison::Mutual { given.min(MOST_PHOTOS) } else { given };
        let (mut references, mut failures) = (Vec::new(), Vec::new());
        for step in 0..total {
            let index = step * given / total;
            let path = &recipe.references[index];
            if Self::superseded(self.shared, self.seen) {
                return Err(Error::Cancelled);
            }
            self.shared.emit(Event::Preparing { stage: Step::ReadingReferences, done: step, total });
            match self.features_of(path, recipe) {
                Ok((facts, features, _)) => {
                    let sha256 = facts.sha256.clone();
                    references.push((Reference { index: index as u32, sha256, features }, facts));
                }
                Err(error) => failures.push((path.clone(), error)),
            }
        }
        if recipe.comparison == Comparison::Mutual {
            // Each fails in its own turn.
            failures.clear();
        } else if references.is_empty() && total > 0 {
            let (_, first) = failures.swap_remove(0);
            return Err(Error::input(format!("None of the {total} reference photos can be used; the first: {first}")));
        }
        let (shared, seen) = (self.shared, self.seen);
        let Some(ready) = &mut self.ready else { return Err(Error::bug("references were read without a model.")) };
        let compared: Vec<Reference> = references.iter().map(|(reference, _)| reference.clone()).collect();
        ready.detector.build_memory(&compared, recipe, |done, total| {
            shared.emit(Event::Preparing { stage: Step::ChoosingPatches, done, total });
            !Self::superseded(shared, seen)
        })?;
        ready.references = references;
        let (patches, kept) = ready.detector.normals().map_or((0, 0), Normals::size);
        self.shared.emit(Event::MemoryBuilt { references: ready.references.len(), patches, kept, failures });
        Ok(())
    }

    /// Left-out evidence of the references, evenly sampled, for thresholds and p-values.
    fn calibrate(&mut self, recipe: &Recipe) -> Result<()> {
        let Some(ready) = &self.ready else { return Err(Error::bug("calibration without a model.")) };
        // A lone photo has no other to be compared with, which is said when its turn comes.
        let lone = recipe.comparison == Comparison::Mutual && ready.references.len() < 2;
        let count = if lone { 0 } else { ready.references.len() };
        let sampled: Vec<usize> =
            (0..count.min(CALIBRATION_LIMIT)).map(|i| i * count / count.min(CALIBRATION_LIMIT)).collect();
        let mut evidence: Vec<Arc<Evidence>> = Vec::with_capacity(sampled.len());
        for (done, &i) in sampled.iter().enumerate() {
            if Self::superseded(self.shared, self.seen) {
                return Err(Error::Cancelled);
            }
            self.shared.emit(Event::Preparing { stage: Step::Calibrating, done, total: sampled.len() });
            let (reference, facts) = &ready.references[i];
            let left_out = ready.detector.left_out_evidence(reference, facts.clone(), recipe)?;
            evidence.push(Arc::new(left_out));
        }
        self.shared.lock().references = Arc::new(evidence);
        Ok(())
    }

    fn inspect(&mut self, job: JobId, photo: PhotoRef, maps: bool) {
        let outcome = self.make_evidence(photo.id, &photo.path);
        self.shared.lock().in_hand = None;
        self.progressed = true;
        if let Err(error) = outcome {
            return fail(self.shared, job, photo, error);
        }
        if let Some(view) = judge_photo(self.shared, photo.id) {
            let map = maps.then_some(view.map);
            self.shared.emit(Event::PhotoInspected { id: photo.id, job: Some(job), inspection: view.inspection, map });
        }
        let counts = {
            let state = self.shared.lock();
            state.jobs.iter().find(|queued| queued.id == job).map(|queued| (queued.done(), queued.total))
        };
        if let Some((done, total)) = counts {
            self.shared.emit(Event::JobProgressed { job, done, total });
        }
    }

    /// Makes the evidence of an inspected photo again, from cached features.
    fn refresh(&mut self, id: PhotoId, path: &Path) {
        match self.make_evidence(id, path) {
            Err(error) => {
                self.shared.emit(Event::Warned(format!("A photo keeps its former result. {error}")));
            }
            Ok(()) => {
                if let Some(view) = judge_photo(self.shared, id) {
                    self.shared.emit(Event::PhotoInspected { id, job: None, inspection: view.inspection, map: None });
                }
            }
        }
    }

    fn make_evidence(&mut self, id: PhotoId, path: &Path) -> Result<()> {
        #[cfg(test)]
        assert!(!path.ends_with(super::tests::KILLER), "killed on purpose");
        let Some(recipe) = self.applied.clone() else { return Err(Error::bug("a photo came before the recipe.")) };
        let (facts, features, timings) = self.features_of(path, &recipe)?;
        let Some(ready) = &self.ready else { return Err(Error::bug("a photo came before the model.")) };
        let evidence = ready.detector.evidence(facts, &features, &recipe, timings).map_err(|error| error.at(path))?;
        let mut state = self.shared.lock();
        let references = state.references.clone();
        let known = Known { path: path.to_owned(), evidence: Arc::new(evidence), references };
        state.stale.remove(&id);
        state.photos.insert(id, known);
        if state.viewed == Some(id) {
            state.view_dirty = true;
            drop(state);
            self.shared.live_bell.notify_one();
        }
        Ok(())
    }

    /// The kind of features as the cache knows it: another precision gives other numbers.
    pub(super) fn variant(&self, kind: &str) -> String {
        match self.options.precision {
            Precision::F32 => kind.to_owned(),
            Precision::Bf16 => format!("{kind}-bf16"),
        }
    }

    /// Features of the photo at `path`, from the cache where its content is known.
    fn features_of(&mut self, path: &Path, recipe: &Recipe) -> Result<(Arc<PhotoFacts>, Arc<PhotoFeatures>, Timings)> {
        let Some(ready) = &self.ready else { return Err(Error::bug("features were asked for without a model.")) };
        let start = Instant::now();
        let opened = Photo::open_to_judge(path)?;
        let facts = Arc::new(facts_of(path, &opened));
        let mut timings = Timings { decode: start.elapsed().as_secs_f32() * 1e3, ..Timings::default() };
        let key = FeatureKey {
            photo: facts.sha256.clone(),
            model: ready.networks.model().info().sha256.clone(),
            memory_model: ready.networks.separate_memory().map(|memory| memory.info().sha256.clone()),
            variant: self.variant(&ready.networks.variant(recipe)?),
        };
        if let Some(features) = self.cache.get(&key) {
            return Ok((facts, features, timings));
        }
        let start = Instant::now();
        let features = Arc::new(PhotoFeatures::compute(&ready.networks, recipe, &opened)?);
        timings.features = start.elapsed().as_secs_f32() * 1e3;
        self.keep(key, &features);
        Ok((facts, features, timings))
    }
}

/// What is known of an opened photo.
pub(super) fn facts_of(path: &Path, opened: &Photo) -> PhotoFacts {
    PhotoFacts {
        path: path.to_owned(),
        sha256: photo::hex(&opened.hash),
        width: opened.width(),
        height: opened.height(),
        quality: photo::quality(&opened.pixels),
        warnings: opened.warnings.clone(),
    }
}

/// The photo at `position` of the job at `at`, put into the worker's hand.
fn take_photo(state: &mut State, at: usize, position: usize) -> Option<Task> {
    let queued = state.jobs.get_mut(at)?;
    let photo = queued.todo.remove(position)?;
    let (job, maps) = (queued.id, queued.maps);
    state.in_hand = Some((job, photo.clone()));
    Some(Task::Inspect { job, photo, maps })
}
