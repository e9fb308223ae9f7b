//! What a front and the engine say to each other: requests are wishes in the imperative, events are facts in the past
//! tense. Both are small and know nothing of windows or command lines. The recipe is no request: only its newest value
//! matters, so it has a slot of its own (`Engine::set_recipe`).

use std::path::PathBuf;
use std::sync::Arc;

use crate::Error;
use crate::anomaly::{AnomalyMap, Calibration, Evidence, Inspection};
use crate::model::ModelInfo;
use crate::recipe::Recipe;

/// A photo's name between front and engine; the front hands them out, equal files at two paths have two.
pub type PhotoId = u64;

/// A job's name between front and engine, handed out by the front.
pub type JobId = u64;

/// A photo to work on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhotoRef {
    /// Its name in later messages.
    pub id: PhotoId,
    /// Where to read it.
    pub path: PathBuf,
}

/// A wish of a front.
#[derive(Clone, Debug)]
pub enum Request {
    /// Inspect photos in this order (the one on view first). Each ends in `PhotoInspected` or `PhotoFailed`.
    Inspect {
        job: JobId,
        photos: Vec<PhotoRef>,
        /// Send the anomaly map with each event; a front that only lists verdicts leaves it off.
        maps: bool,
    },
    /// Stop a job after the photo in hand; what is done stays done.
    Cancel(JobId),
    /// Drop what is known of these photos.
    Forget(Vec<PhotoId>),
}

/// A fact from the engine.
#[derive(Clone, Debug)]
pub enum Event {
    /// The engine is getting ready for the newest recipe: `done` of `total` steps.
    Preparing { stage: Stage, done: usize, total: usize },
    /// The recipe's model is ready, and the memory's where that is another one; everything computed with others is void.
    ModelLoaded { model: Arc<ModelInfo>, memory_model: Option<Arc<ModelInfo>>, device: String },
    /// The memory bank holds `kept` of `patches` reference patches; `failures` of the references could not be used.
    MemoryBuilt { references: usize, patches: usize, kept: usize, failures: Vec<(PathBuf, Error)> },
    /// The job left the queue.
    JobStarted { job: JobId, total: usize },
    /// `done` of `total` photos are through.
    JobProgressed { job: JobId, done: usize, total: usize },
    /// A photo has an outcome, the first or a new one after a change of the recipe (then `job` is `None`).
    PhotoInspected { id: PhotoId, job: Option<JobId>, inspection: Arc<Inspection>, map: Option<Arc<AnomalyMap>> },
    /// A photo could not be inspected; the rest goes on.
    PhotoFailed { id: PhotoId, job: JobId, path: PathBuf, error: Error },
    /// The photo on view was judged with the newest recipe.
    ViewJudged(Arc<View>),
    /// All photos of the job are through.
    JobFinished { job: JobId, done: usize, failed: usize },
    /// The job was stopped on request; `done` photos have their outcome.
    JobCancelled { job: JobId, done: usize },
    /// Something the inspector should know that stops nothing.
    Warned(String),
    /// The recipe cannot be followed (a model that does not load, a layer that does not exist); the former state holds.
    RecipeRefused(Error),
    /// The device or the worker died and was started again; photos in hand are queued again.
    EngineRestarted { reason: String },
}

/// What the engine is doing before it can inspect, for progress lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading weights.
    LoadingModel,
    /// Running the image tower over the reference photos; counts photos.
    ReadingReferences,
    /// Choosing the patches that the memory keeps; counts patches.
    ChoosingPatches,
    /// Judging each reference against the others; counts photos.
    Calibrating,
}

/// Everything that a front draws of the photo on view.
#[derive(Clone, Debug)]
pub struct View {
    /// Which photo.
    pub id: PhotoId,
    /// The recipe it was judged with.
    pub recipe: Arc<Recipe>,
    /// Its outcome.
    pub inspection: Arc<Inspection>,
    /// Its anomaly map.
    pub map: Arc<AnomalyMap>,
    /// The component maps behind it, for "why?".
    pub evidence: Arc<Evidence>,
    /// Thresholds and scale in force; `calibration.normalise_pixel(raw)` gives 0–1 with the threshold at 0.5.
    pub calibration: Arc<Calibration>,
}
