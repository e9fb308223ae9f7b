//! Verbs that need networks but inspect nothing: an engine of their own, its progress on stderr, Ctrl-C as a request to
//! stop. What is computed is up to the verb.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};

use super::console::Console;
use super::{Common, interrupt};
use crate::engine::{Engine, EngineOptions, Event, JobId, Lab, Request, lab};
use crate::{Recipe, Result};

/// An engine and what it says.
pub struct Bench<'a> {
    engine: Engine,
    events: Receiver<Event>,
    console: &'a Console,
    next: JobId,
}

impl<'a> Bench<'a> {
    /// Starts an engine on the device asked for; without `cache` nothing is read from or kept on disk.
    pub fn start(common: &Common, cache: bool, console: &'a Console) -> Result<Self> {
        let mut options = EngineOptions { device: common.device, ..EngineOptions::default() };
        if !cache {
            options.cache_dir = None;
        }
        let (engine, events) = Engine::start(options, Recipe::default(), || {})?;
        Ok(Self { engine, events, console, next: 1 })
    }

    /// Runs work to its end. `what` names its `total` steps in the plural, e.g. `photos embedded`.
    ///
    /// # Errors
    /// What the work returns; [`crate::Error::Device`] when the engine died over it.
    pub fn run<T: Send + 'static>(
        &mut self,
        total: usize,
        what: &str,
        work: impl FnOnce(&mut Lab<'_, '_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let job = self.next;
        self.next += 1;
        let outcome = self.engine.run_lab(job, work);
        let mut progress = self.console.progress(total as u64, what);
        let mut asked_to_stop = false;
        loop {
            if interrupt::wanted() && !asked_to_stop {
                asked_to_stop = true;
                progress.suspend(|| self.console.note("Stopping …"));
                self.engine.send(Request::Cancel(job));
            }
            match self.events.recv_timeout(Duration::from_millis(50)) {
                Ok(Event::JobProgressed { job: of, done, .. }) if of == job => progress.set(done as u64),
                Ok(Event::Warned(text) | Event::EngineRestarted { reason: text }) => {
                    progress.suspend(|| self.console.warn(text));
                }
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(lab::lost()),
            }
            match outcome.try_recv() {
                Ok(result) => return result,
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Err(lab::lost()),
            }
        }
    }
}
