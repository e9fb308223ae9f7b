//! From uploads to inspections: one thread that feeds the engine. It takes what waits in batches that need the same
//! evidence, lets the engine follow their recipe, and judges each photo with its own request's recipe. Requests never
//! set the engine's recipe themselves, so none can disturb another; a batch with other words than the server's makes the
//! rest wait, and the server's recipe is restored before the next one.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use tokio::sync::oneshot;

use super::error::ApiError;
use super::form::Upload;
use super::metrics::Metrics;
use crate::anomaly::{Inspection, PhotoFacts};
use crate::engine::{Engine, Event, JobId, PhotoId, PhotoRef, Request, Standard};
use crate::history::MadeWith;
use crate::model::ModelInfo;
use crate::recipe::Stage;
use crate::report::ModelIdentity;
use crate::{Error, Recipe, Result};

/// Photos in one job of the engine at most; what comes meanwhile waits for the next.
const BATCH: usize = 16;
/// Judgements' thresholds kept for requests of one batch and the next.
const STANDARDS: usize = 8;

/// What the engine told of itself.
#[derive(Clone, Debug)]
pub struct Identity {
    pub model: ModelIdentity,
    pub memory_model: Option<ModelIdentity>,
    pub info: Arc<ModelInfo>,
    pub device: String,
}

impl Identity {
    /// For the history.
    pub fn made_with(&self) -> MadeWith<'_> {
        MadeWith { model: &self.model, memory_model: self.memory_model.as_ref(), device: &self.device }
    }
}

/// A photo to inspect.
#[derive(Debug)]
pub struct Work {
    pub upload: Upload,
    pub recipe: Arc<Recipe>,
    pub answer: oneshot::Sender<Result<Inspection, ApiError>>,
}

/// The way to the thread. Dropping it lets the thread finish what waits, and then end.
#[derive(Debug)]
pub struct Inspector {
    queue: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
    broken: Arc<Mutex<Option<String>>>,
}

impl Inspector {
    /// Waits until the engine is ready for its recipe, and starts the thread. `places` bounds what waits.
    ///
    /// # Errors
    /// Whatever keeps the engine from following its recipe.
    pub fn start(
        engine: Arc<Engine>,
        events: Receiver<Event>,
        jobs: Arc<AtomicU64>,
        places: usize,
        metrics: Arc<Metrics>,
    ) -> Result<(Self, Identity)> {
        let (queue, waiting) = crossbeam_channel::bounded(places);
        let broken = Arc::new(Mutex::new(None));
        let own = engine.recipe();
        let mut feeder = Feeder {
            engine,
            events,
            own,
            jobs,
            metrics,
            broken: broken.clone(),
            identity: None,
            standards: Vec::new(),
            next_photo: 0,
        };
        // A job without photos ends when all is ready for photos.
        feeder.follow(&mut [], feeder.own.clone())?;
        let identity = feeder.identity.clone().ok_or_else(|| Error::bug("the engine never named its model."))?;
        let thread = std::thread::Builder::new()
            .name("hairline-inspector".to_owned())
            .spawn(move || feeder.run(&waiting))
            .map_err(|e| Error::bug(format!("a thread cannot be started ({e}).")))?;
        Ok((Self { queue: Some(queue), thread: Some(thread), broken }, identity))
    }

    /// Hands in a photo.
    ///
    /// # Errors
    /// 503 where the queue is full or the engine has given up.
    pub fn submit(&self, work: Work) -> Result<(), ApiError> {
        if let Some(reason) = self.broken() {
            return Err(ApiError::unavailable(reason));
        }
        let Some(queue) = &self.queue else { return Err(ApiError::from(Error::Cancelled)) };
        queue.try_send(work).map_err(|error| match error {
            TrySendError::Full(_) => ApiError::busy(),
            TrySendError::Disconnected(_) => ApiError::unavailable("The engine has stopped. Start the server again."),
        })
    }

    /// Why nothing can be inspected any more.
    pub fn broken(&self) -> Option<String> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the inspector's thread ended in a panic");
        }
    }
}

/// A photo of the batch in hand.
struct InHand {
    id: PhotoId,
    work: Option<Work>,
}

struct Feeder {
    engine: Arc<Engine>,
    events: Receiver<Event>,
    /// The server's recipe.
    own: Arc<Recipe>,
    jobs: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
    broken: Arc<Mutex<Option<String>>>,
    identity: Option<Identity>,
    /// Thresholds of recent requests' recipes, newest last; void when the engine's evidence changes.
    standards: Vec<Standard>,
    next_photo: PhotoId,
}

impl Feeder {
    fn run(mut self, queue: &Receiver<Work>) {
        let mut waiting = VecDeque::new();
        loop {
            if waiting.is_empty() {
                self.set_recipe(self.own.clone());
                match queue.recv_timeout(Duration::from_secs(1)) {
                    Ok(work) => waiting.push_back(work),
                    Err(RecvTimeoutError::Timeout) => {
                        while let Ok(event) = self.events.try_recv() {
                            self.note(&event);
                        }
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            waiting.extend(queue.try_iter());
            let (recipe, mut batch) = self.next_batch(&mut waiting);
            if batch.is_empty() {
                continue;
            }
            self.metrics.batch.observe(batch.len() as f64);
            if let Err(error) = self.follow(&mut batch, recipe.clone()) {
                if own_fault(&error, &self.own, &recipe) {
                    *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
                }
                for work in batch.iter_mut().filter_map(|photo| photo.work.take()) {
                    let _ = work.answer.send(Err(error.clone().into()));
                }
            }
        }
    }

    /// The photos that go with the first one that waits, and the recipe that makes their evidence. Requests that nobody
    /// waits for any more are left out.
    fn next_batch(&mut self, waiting: &mut VecDeque<Work>) -> (Arc<Recipe>, Vec<InHand>) {
        waiting.retain(|work| !work.answer.is_closed());
        let Some(first) = waiting.front() else { return (self.own.clone(), Vec::new()) };
        let recipe = if same_evidence(&self.own, &first.recipe) { &self.own } else { &first.recipe }.clone();
        let (mut batch, mut rest) = (Vec::new(), VecDeque::new());
        for work in waiting.drain(..) {
            if batch.len() < BATCH && same_evidence(&recipe, &work.recipe) {
                self.next_photo += 1;
                batch.push(InHand { id: self.next_photo, work: Some(work) });
            } else {
                rest.push_back(work);
            }
        }
        *waiting = rest;
        (recipe, batch)
    }

    fn set_recipe(&mut self, recipe: Arc<Recipe>) {
        if *self.engine.recipe() != *recipe {
            self.standards.clear();
            self.engine.set_recipe((*recipe).clone());
        }
    }

    /// Has the engine inspect a batch with a recipe, and answers each photo when it is through.
    fn follow(&mut self, batch: &mut [InHand], recipe: Arc<Recipe>) -> Result<()> {
        self.set_recipe(recipe);
        let job: JobId = self.jobs.fetch_add(1, Ordering::Relaxed);
        let path = |photo: &InHand| photo.work.as_ref().map(|work| PathBuf::from(&*work.upload.path));
        let photos =
            batch.iter().filter_map(|photo| Some(PhotoRef { id: photo.id, path: path(photo)? })).collect::<Vec<_>>();
        self.engine.send(Request::Inspect { job, photos, maps: false });
        let mut refused = None;
        loop {
            let event =
                self.events.recv().map_err(|_| Error::device("The engine has stopped. Start the server again."))?;
            match event {
                Event::PhotoInspected { id, job: Some(of), .. } if of == job => {
                    if refused.is_none()
                        && let Some(work) = take(batch, id)
                    {
                        let outcome = self.judge(id, &work);
                        // Whoever has gone away needs no answer.
                        let _ = work.answer.send(outcome);
                    }
                    self.engine.send(Request::Forget(vec![id]));
                }
                Event::PhotoFailed { id, job: of, error, .. } if of == job => {
                    if let Some(work) = take(batch, id) {
                        let error = ApiError::of_upload(error, &work.upload.name);
                        let _ = work.answer.send(Err(error));
                    }
                }
                Event::RecipeRefused(error) => {
                    self.engine.send(Request::Cancel(job));
                    // An engine that gave up ends no job any more.
                    if matches!(error, Error::Device { .. }) {
                        return Err(error);
                    }
                    refused = Some(error);
                }
                Event::JobFinished { job: of, .. } | Event::JobCancelled { job: of, .. } if of == job => break,
                other => self.note(&other),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    fn judge(&mut self, id: PhotoId, work: &Work) -> Result<Inspection, ApiError> {
        let standard = match self.standards.iter().position(|standard| *standard.recipe() == work.recipe) {
            Some(at) => self.standards.remove(at),
            None => self.engine.standard(work.recipe.clone())?,
        };
        let view = self.engine.judged_by(id, &standard);
        if self.standards.len() == STANDARDS {
            self.standards.remove(0);
        }
        self.standards.push(standard);
        let view = view.ok_or_else(|| ApiError::bug("an inspected photo is not known any more."))?;
        let mut inspection = (*view.inspection).clone();
        inspection.photo = Arc::new(PhotoFacts { path: shown(&work.upload), ..(*inspection.photo).clone() });
        self.metrics.inspected(inspection.verdict);
        Ok(inspection)
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::ModelLoaded { model, memory_model, device } => {
                log::info!(model = model.id, device = device; "model loaded");
                self.identity = Some(Identity {
                    model: ModelIdentity::of(model),
                    memory_model: memory_model.as_deref().map(ModelIdentity::of),
                    info: model.clone(),
                    device: device.clone(),
                });
            }
            Event::MemoryBuilt { references, kept, failures, .. } => {
                log::info!(references = references, patches = kept; "reference photos read");
                for (_, error) in failures {
                    log::warn!("{error}");
                }
            }
            Event::Warned(warning) => log::warn!("{warning}"),
            Event::EngineRestarted { reason } => {
                self.metrics.engine_restarts.inc();
                log::error!(reason = reason; "the engine was started again");
            }
            _ => {}
        }
    }
}

/// The name that the client gave, in place of the file the upload was kept in.
fn shown(upload: &Upload) -> PathBuf {
    Path::new(&upload.name).to_owned()
}

fn take(batch: &mut [InHand], id: PhotoId) -> Option<Work> {
    batch.iter_mut().find(|photo| photo.id == id)?.work.take()
}

/// Do both recipes need the same evidence, so that only arithmetic differs?
fn same_evidence(a: &Recipe, b: &Recipe) -> bool {
    a.stage_changed(b).is_none_or(|stage| stage == Stage::Judgement)
}

/// Does the error say that the server itself cannot go on, and not only this request's recipe?
fn own_fault(error: &Error, own: &Recipe, recipe: &Recipe) -> bool {
    matches!(error, Error::Device { .. }) || same_evidence(own, recipe)
}
