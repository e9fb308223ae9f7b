//! The worker: the one thread that owns the device and the networks. It follows the newest recipe, works through the
//! queue, and keeps evidence up to date. If it dies (a driver, a bug) it says so, starts again and goes on with the
//! photo in hand; a photo that kills it twice fails alone.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::EngineOptions;
use super::cache::{FeatureCache, FeatureKey};
use super::live::judge_photo;
use super::message::{Event, JobId, PhotoId, PhotoRef, Stage as Step};
use super::state::{Known, Shared};
use crate::anomaly::evidence::Timings;
use crate::anomaly::{Detector, Evidence, PhotoFacts, PhotoFeatures, features};
use crate::gpu::{self, Compute};
use crate::model::{ClipModel, ModelSource};
use crate::photo::{self, Photo};
use crate::recipe::{Method, Prompts, Recipe, Stage};
use crate::{Error, Result};

/// References judged against the others for calibration at most; more are sampled evenly.
const CALIBRATION_LIMIT: usize = 64;
/// Deaths without a photo through in between, after which the worker stops trying.
const MAX_DEATHS: usize = 3;

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
        let in_hand = shared.lock().in_hand.take();
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

/// A model and everything made ready for photos.
struct Ready {
    model: ClipModel,
    model_hash: String,
    detector: Detector,
    encoded: (Prompts, String),
    references: Vec<Reference>,
}

/// A reference photo that could be read.
struct Reference {
    index: u32,
    facts: Arc<PhotoFacts>,
    features: Arc<PhotoFeatures>,
}

struct Worker<'a> {
    shared: &'a Shared,
    options: &'a EngineOptions,
    cache: &'a mut FeatureCache,
    compute: Option<Compute>,
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
                Task::Apply(recipe) => self.follow(&recipe),
                Task::Start { job, total } => self.shared.emit(Event::JobStarted { job, total }),
                Task::Inspect { job, photo, maps } => self.inspect(job, photo, maps),
                Task::Refresh(id, path) => self.refresh(id, &path),
                Task::Finished { job, done, failed, cancelled } => self.shared.emit(if cancelled {
                    Event::JobCancelled { job, done }
                } else {
                    Event::JobFinished { job, done, failed }
                }),
            }
        }
    }

    /// The next thing to do; waits for it.
    fn next(&mut self) -> Task {
        let mut state = self.shared.lock();
        loop {
            if state.stopping {
                return Task::Stop;
            }
            if state.generation != self.seen {
                self.seen = state.generation;
                return Task::Apply(state.recipe.clone());
            }
            let ended = state.jobs.iter().position(|job| job.cancelled || job.started && job.todo.is_empty());
            if let Some(job) = ended.and_then(|at| state.jobs.remove(at)) {
                return Task::Finished { job: job.id, done: job.done(), failed: job.failed, cancelled: job.cancelled };
            }
            if let Some(job) = state.jobs.iter_mut().find(|job| !job.started) {
                job.started = true;
                return Task::Start { job: job.id, total: job.total };
            }
            if self.dirty.is_none() {
                let viewed = state.viewed;
                if let Some(id) = viewed.filter(|id| state.stale.remove(id))
                    && let Some(known) = state.photos.get(&id)
                {
                    return Task::Refresh(id, known.path.clone());
                }
                let on_view = viewed.and_then(|id| {
                    state.jobs.iter().enumerate().find_map(|(at, job)| {
                        job.todo.iter().position(|photo| photo.id == id).map(|position| (at, position))
                    })
                });
                if let Some((at, position)) = on_view.or_else(|| (!state.jobs.is_empty()).then_some((0, 0)))
                    && let Some(photo) = state.jobs[at].todo.remove(position)
                {
                    let (job, maps) = (state.jobs[at].id, state.jobs[at].maps);
                    state.in_hand = Some((job, photo.clone()));
                    return Task::Inspect { job, photo, maps };
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
            Some(Stage::Judgement) => {
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
                state.judge_all();
                drop(state);
                self.shared.live_bell.notify_one();
            }
            // A newer recipe came, or the engine stops: `next` sees to it, and `dirty` remembers what is undone.
            Err(Error::Cancelled) => {}
            Err(error) => {
                self.shared.emit(Event::RecipeRefused(error));
                let mut state = self.shared.lock();
                if let Some(applied) = self.applied.clone()
                    && state.generation == self.seen
                {
                    state.recipe = applied;
                    state.generation += 1;
                }
            }
        }
    }

    fn superseded(shared: &Shared, seen: u64) -> bool {
        let state = shared.lock();
        state.stopping || state.generation != seen
    }

    fn prepare(&mut self, recipe: &Recipe) -> Result<()> {
        let dirty = self.dirty.unwrap_or(Stage::Judgement);
        if recipe.method == Method::Memory && recipe.references.is_empty() {
            return Err(Error::input(
                "The method `memory` compares with normal photos, but no reference photo was given. Add some (`--normal DIR`), or use `fused`.",
            ));
        }
        if dirty == Stage::Model || self.ready.is_none() {
            self.load(recipe)?;
        }
        let Some(ready) = &mut self.ready else { return Err(Error::bug("no model is loaded after loading.")) };
        features::layers(&ready.model, recipe)?;
        let prompts = (recipe.prompts.clone(), recipe.object.clone());
        if ready.encoded != prompts {
            ready.detector.encode_prompts(&ready.model, recipe)?;
            ready.encoded = prompts;
        }
        if dirty <= Stage::Memory {
            self.read_references(recipe)?;
        }
        self.calibrate(recipe)
    }

    fn load(&mut self, recipe: &Recipe) -> Result<()> {
        let step = |done| Event::Preparing { stage: Step::LoadingModel, done, total: 1 };
        self.shared.emit(step(0));
        let source = ModelSource::resolve(&recipe.model)?;
        if self.compute.is_none() {
            let compute = gpu::choose(self.options.device)?;
            if let Some(note) = compute.note.clone() {
                self.shared.emit(Event::Warned(note));
            }
            self.compute = Some(compute);
        }
        let Some(compute) = &self.compute else { return Err(Error::bug("no device after choosing one.")) };
        let model = ClipModel::load(&source, &compute.device)?;
        let detector = Detector::new(&model, compute, recipe)?;
        let info = Arc::new(model.info().clone());
        self.ready = Some(Ready {
            model_hash: info.sha256.clone(),
            model,
            detector,
            encoded: (recipe.prompts.clone(), recipe.object.clone()),
            references: Vec::new(),
        });
        self.shared.emit(step(1));
        self.shared.emit(Event::ModelLoaded { model: info, device: compute.name.clone() });
        Ok(())
    }

    fn read_references(&mut self, recipe: &Recipe) -> Result<()> {
        let total = recipe.references.len();
        let (mut references, mut failures) = (Vec::new(), Vec::new());
        for (index, path) in recipe.references.iter().enumerate() {
            if Self::superseded(self.shared, self.seen) {
                return Err(Error::Cancelled);
            }
            self.shared.emit(Event::Preparing { stage: Step::ReadingReferences, done: index, total });
            match self.features_of(path, recipe) {
                Ok((facts, features, _)) => references.push(Reference { index: index as u32, facts, features }),
                Err(error) => failures.push((path.clone(), error)),
            }
        }
        if references.is_empty() && total > 0 {
            let (_, first) = failures.swap_remove(0);
            return Err(Error::input(format!("None of the {total} reference photos can be used; the first: {first}")));
        }
        let (shared, seen) = (self.shared, self.seen);
        let Some(ready) = &mut self.ready else { return Err(Error::bug("references were read without a model.")) };
        let features: Vec<_> = references.iter().map(|r| (r.index, r.features.clone())).collect();
        ready.detector.build_memory(&features, recipe, |done, total| {
            shared.emit(Event::Preparing { stage: Step::ChoosingPatches, done, total });
            !Self::superseded(shared, seen)
        })?;
        ready.references = references;
        let (patches, kept) = ready.detector.bank().map_or((0, 0), |bank| (bank.patches, bank.len()));
        self.shared.emit(Event::MemoryBuilt { references: ready.references.len(), patches, kept, failures });
        Ok(())
    }

    /// Left-out evidence of the references, evenly sampled, for thresholds and p-values.
    fn calibrate(&mut self, recipe: &Recipe) -> Result<()> {
        let Some(ready) = &self.ready else { return Err(Error::bug("calibration without a model.")) };
        let count = ready.references.len();
        let sampled: Vec<usize> =
            (0..count.min(CALIBRATION_LIMIT)).map(|i| i * count / count.min(CALIBRATION_LIMIT)).collect();
        let mut evidence: Vec<Arc<Evidence>> = Vec::with_capacity(sampled.len());
        for (done, &i) in sampled.iter().enumerate() {
            if Self::superseded(self.shared, self.seen) {
                return Err(Error::Cancelled);
            }
            self.shared.emit(Event::Preparing { stage: Step::Calibrating, done, total: sampled.len() });
            let Reference { index, facts, features } = &ready.references[i];
            let patch_px = patch_px(&ready.model);
            let left_out = ready.detector.left_out_evidence(*index, facts.clone(), features, patch_px, recipe);
            evidence.push(Arc::new(left_out));
        }
        let mut state = self.shared.lock();
        state.references = Arc::new(evidence);
        state.references_version += 1;
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
                self.shared.emit(Event::Warned(format!(
                    "A photo keeps its former result, because it can no longer be read. {error}"
                )));
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
        let evidence = ready.detector.evidence(facts, &features, patch_px(&ready.model), &recipe, timings);
        let known = Known { path: path.to_owned(), evidence: Arc::new(evidence) };
        let mut state = self.shared.lock();
        state.photos.insert(id, known);
        if state.viewed == Some(id) {
            state.view_dirty = true;
            drop(state);
            self.shared.live_bell.notify_one();
        }
        Ok(())
    }

    /// Features of the photo at `path`, from the cache where its content is known.
    fn features_of(&mut self, path: &Path, recipe: &Recipe) -> Result<(Arc<PhotoFacts>, Arc<PhotoFeatures>, Timings)> {
        let Some(ready) = &self.ready else { return Err(Error::bug("features were asked for without a model.")) };
        let start = Instant::now();
        let opened = Photo::open(path)?;
        let facts = Arc::new(PhotoFacts {
            path: path.to_owned(),
            sha256: photo::hex(&opened.hash),
            width: opened.width(),
            height: opened.height(),
            quality: photo::quality(&opened.pixels),
            warnings: opened.warnings.clone(),
        });
        let mut timings = Timings { decode: start.elapsed().as_secs_f32() * 1e3, ..Timings::default() };
        let key = FeatureKey {
            photo: facts.sha256.clone(),
            model: ready.model_hash.clone(),
            variant: features::variant(&ready.model, recipe)?,
        };
        if let Some(features) = self.cache.get(&key) {
            return Ok((facts, features, timings));
        }
        let start = Instant::now();
        let features = Arc::new(PhotoFeatures::compute(&ready.model, recipe, &opened)?);
        timings.features = start.elapsed().as_secs_f32() * 1e3;
        if let Err(error) = self.cache.put(key, &features) {
            self.cache.give_up_disk();
            self.shared.emit(Event::Warned(format!("Features are no longer kept on disk. {error}")));
        }
        Ok((facts, features, timings))
    }
}

/// Side of a patch in pixels of the network's input.
fn patch_px(model: &ClipModel) -> usize {
    model.info().patch_size
}
