//! The engine: requests in, events out, caches between. Window, command line and HTTP API are fronts of this one thing,
//! so a verdict cannot differ between them.
//!
//! Two threads share a [`state::Shared`]. The *worker* owns the device and the networks and makes evidence; the *live*
//! thread does only arithmetic on evidence, so a slider is answered within milliseconds while the worker is busy.

mod cache;
pub mod lab;
mod live;
mod message;
mod state;
#[cfg(test)]
mod tests;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::Receiver;

pub use lab::{Embedded, Lab};
pub use live::Standard;
pub use message::{Event, JobId, PhotoId, PhotoRef, Request, Stage, View};

use crate::gpu::DevicePolicy;
use crate::gpu::linear::Precision;
use crate::recipe::Recipe;
use crate::{Error, Result};
use state::Shared;

/// How an engine is set up.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Where networks run.
    pub device: DevicePolicy,
    /// How networks multiply there.
    pub precision: Precision,
    /// Folder of the feature cache; `None` keeps features in memory only.
    pub cache_dir: Option<PathBuf>,
    /// Bytes of features kept in memory.
    pub memory_budget: usize,
    /// Bytes of features kept on disk.
    pub disk_budget: u64,
    /// Events waiting for a slow front at most; the engine pauses then instead of filling the memory.
    pub event_queue: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            device: DevicePolicy::Auto,
            precision: Precision::F32,
            cache_dir: dirs::cache_dir().map(|dir| dir.join("hairline").join("features")),
            memory_budget: 1 << 30,
            disk_budget: 4 << 30,
            event_queue: 4096,
        }
    }
}

/// A running engine. Dropping it stops its threads after the photo in hand.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Starts the threads. The model loads in the background: `ModelLoaded` or `RecipeRefused` follows. `wake` is
    /// called after each event, from the engine's threads.
    ///
    /// # Errors
    /// [`Error::Input`] for a recipe out of range, [`Error::Io`] when the system refuses a thread.
    pub fn start(
        options: EngineOptions,
        recipe: Recipe,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<(Self, Receiver<Event>)> {
        recipe.check()?;
        let (sender, receiver) = crossbeam_channel::bounded(options.event_queue);
        let shared = Arc::new(Shared::new(recipe, sender, Box::new(wake)));
        let mut engine = Self { shared: shared.clone(), threads: Vec::new() };
        let worker = {
            let shared = shared.clone();
            move || worker::run(&shared, &options)
        };
        engine.spawn("hairline-engine", worker)?;
        engine.spawn("hairline-live", move || live::run(&shared))?;
        Ok((engine, receiver))
    }

    fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(body)
            .map_err(|e| Error::bug(format!("the thread {name} cannot be started ({e}).")))?;
        self.threads.push(thread);
        Ok(())
    }

    /// Hands in a wish.
    pub fn send(&self, request: Request) {
        self.shared.request(request);
    }

    /// Runs work that needs networks but is no inspection, as a job on the engine's thread: `JobStarted`,
    /// `JobProgressed` and `JobFinished` or `JobCancelled` tell of it, the channel carries its outcome (see
    /// [`lab::wait`]). Jobs handed in before go first, the photo on view at any time.
    pub fn run_lab<T: Send + 'static>(
        &self,
        job: JobId,
        work: impl FnOnce(&mut Lab<'_, '_>) -> Result<T> + Send + 'static,
    ) -> Receiver<Result<T>> {
        let (work, outcome) = lab::answering(work);
        self.queue_lab(job, work);
        outcome
    }

    /// Like [`Engine::run_lab`], for work whose answer goes a way of its own.
    pub fn queue_lab(&self, job: JobId, work: lab::Work) {
        self.shared.queue_lab(job, work);
    }

    /// Sets the recipe; only the newest counts. The engine works out the least that must be computed again and judges
    /// every inspected photo anew, the viewed one first. A recipe out of range is refused by `RecipeRefused`.
    pub fn set_recipe(&self, recipe: Recipe) {
        match recipe.check() {
            Ok(()) => self.shared.set_recipe(recipe),
            Err(error) => self.shared.emit(Event::RecipeRefused(error)),
        }
    }

    /// The recipe in force.
    pub fn recipe(&self) -> Arc<Recipe> {
        self.shared.lock().recipe.clone()
    }

    /// The photo on the screen: its work goes first and `ViewJudged` follows.
    pub fn view(&self, photo: Option<PhotoId>) {
        self.shared.view(photo);
    }

    /// Judges an inspected photo with the recipe in force, on the caller's thread (a few milliseconds, no network).
    /// `None` if the photo has not been inspected.
    pub fn judged(&self, photo: PhotoId) -> Option<View> {
        live::judge_photo(&self.shared, photo)
    }

    /// The thresholds of another recipe on the references in memory, to judge photos with it while the recipe in force
    /// stays. It holds until the recipe in force changes by more than arithmetic.
    ///
    /// # Errors
    /// [`Error::Bug`] where the recipe needs other evidence than the one in force.
    pub fn standard(&self, recipe: Arc<Recipe>) -> Result<Standard> {
        live::standard(&self.shared, recipe)
    }

    /// Like [`Engine::judged`], with a recipe of the caller's own.
    pub fn judged_by(&self, photo: PhotoId, standard: &Standard) -> Option<View> {
        live::judge_by(&self.shared, photo, standard)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("an engine thread ended in a panic outside of its guard");
            }
        }
    }
}
