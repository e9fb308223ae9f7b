//! Work that needs embeddings: what waits together goes through the image tower together, in one job of the engine. Each
//! piece of work gets the embeddings of its own photos and answers its own request.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use tokio::sync::oneshot;

use super::error::ApiError;
use super::form::Upload;
use super::metrics::Metrics;
use crate::engine::{Embedded, Engine, Lab, lab};
use crate::{Error, Result};

/// Pieces of work in one job at most; what comes meanwhile waits for the next.
const BATCH: usize = 16;

/// The embeddings of a request's photos, in order; a photo that cannot be read fails alone.
pub type Photos = Vec<Result<Arc<Embedded>>>;

type Run = Box<dyn FnOnce(Result<(&mut Lab<'_, '_>, Photos)>) + Send>;

/// A piece of work.
struct Task {
    uploads: Vec<Upload>,
    run: Run,
}

/// The way to the thread.
#[derive(Debug)]
pub struct Batcher {
    queue: Option<Sender<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl Batcher {
    /// Starts the thread. `model` makes the embeddings, `places` bounds what waits.
    pub fn start(
        engine: Arc<Engine>,
        model: String,
        jobs: Arc<AtomicU64>,
        places: usize,
        metrics: Arc<Metrics>,
    ) -> Result<Self> {
        let (queue, waiting) = crossbeam_channel::bounded(places);
        let thread = std::thread::Builder::new()
            .name("hairline-batcher".to_owned())
            .spawn(move || run(&engine, &model, &jobs, &waiting, &metrics))
            .map_err(|e| Error::bug(format!("a thread cannot be started ({e}).")))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Hands in photos and what to do with their embeddings, on the engine's thread; the outcome comes by the receiver.
    ///
    /// # Errors
    /// 503 where the queue is full.
    pub fn submit<T: Send + 'static>(
        &self,
        uploads: Vec<Upload>,
        work: impl FnOnce(&mut Lab<'_, '_>, Photos) -> Result<T> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, ApiError>>, ApiError> {
        let (answer, outcome) = oneshot::channel();
        let run: Run = Box::new(move |given| {
            // Whoever has gone away needs no answer, and no work.
            if !answer.is_closed() {
                let result = given.and_then(|(lab, photos)| work(lab, photos));
                let _ = answer.send(result.map_err(ApiError::from));
            }
        });
        let Some(queue) = &self.queue else { return Err(Error::Cancelled.into()) };
        queue.try_send(Task { uploads, run }).map_err(|error| match error {
            TrySendError::Full(_) => ApiError::busy(),
            TrySendError::Disconnected(_) => ApiError::unavailable("The engine has stopped. Start the server again."),
        })?;
        Ok(outcome)
    }
}

impl Drop for Batcher {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the batcher's thread ended in a panic");
        }
    }
}

fn run(engine: &Engine, model: &str, jobs: &AtomicU64, queue: &Receiver<Task>, metrics: &Metrics) {
    while let Ok(first) = queue.recv() {
        let tasks: Vec<Task> = std::iter::once(first).chain(queue.try_iter().take(BATCH - 1)).collect();
        metrics.batch.observe(tasks.len() as f64);
        let paths: Vec<PathBuf> =
            tasks.iter().flat_map(|task| &task.uploads).map(|upload| PathBuf::from(&*upload.path)).collect();
        let (counts, (uploads, runs)): (Vec<usize>, (Vec<_>, Vec<Run>)) =
            tasks.into_iter().map(|task| (task.uploads.len(), (task.uploads, task.run))).unzip();
        let model = model.to_owned();
        let outcome = engine.run_lab(jobs.fetch_add(1, Ordering::Relaxed), move |lab| {
            let embedded = lab.embed_all(&model, &paths, |_, _, _| {});
            let mut embedded = embedded.map(Vec::into_iter);
            for (run, count) in runs.into_iter().zip(counts) {
                run(match &mut embedded {
                    Ok(all) => Ok((&mut *lab, all.take(count).collect())),
                    Err(error) => Err(error.clone()),
                });
            }
            Ok(())
        });
        // Requests of work that died with the engine see their channels closed.
        if let Err(error) = lab::wait(&outcome) {
            log::error!("{error}");
        }
        drop(uploads);
    }
}
