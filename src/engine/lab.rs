//! Work that needs networks but is no inspection (classification, matching, training a classifier): a closure that runs
//! on the engine's thread as a job, with progress and cancelling, over the engine's own networks and caches. Inspections
//! of the photo on view go on in between. What the work is for is known to those who hand it in, not here.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::Receiver;
use rayon::prelude::*;

use super::cache::FeatureKey;
use super::message::{Event, JobId};
use super::worker::{Worker, facts_of};
use crate::anomaly::{PhotoFacts, PhotoFeatures};
use crate::model::{Backbone, ClipSegModel, Geometry, PreparedImage, Want};
use crate::photo::Photo;
use crate::{Error, Result};

/// Photos in one pass of the vision tower; also the stretch after which the photo on view gets its turn.
const BATCH: usize = 16;
/// Texts whose embeddings are kept; beyond that the store starts again from nothing.
const TEXTS_KEPT: usize = 200_000;
/// The features' variant in the cache: the embedding alone, by the model's own preprocessing.
const VARIANT: &str = "embedding";

/// A piece of work in the queue; its answer goes a way of its own, see [`answering`].
pub type Work = Box<dyn FnOnce(&mut Lab<'_, '_>) + Send>;

/// Embeddings of texts, by model hash and text.
pub(super) type TextStore = HashMap<(String, String), Arc<Vec<f32>>>;

/// One photo as one vector.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// What is known of the file.
    pub facts: Arc<PhotoFacts>,
    /// `[dim]` of the model's `embedding_dim`, not normalised, by the model's own preprocessing.
    pub embedding: Vec<f32>,
}

/// Work with the way that its answer comes. Work that was stopped before its turn answers [`Error::Cancelled`]; a channel
/// that closes without an answer means that the engine died over it ([`lost`]).
pub fn answering<T: Send + 'static>(
    work: impl FnOnce(&mut Lab<'_, '_>) -> Result<T> + Send + 'static,
) -> (Work, Receiver<Result<T>>) {
    let (sender, answer) = crossbeam_channel::bounded(1);
    let work: Work = Box::new(move |lab| {
        let result = if lab.cancelled() { Err(Error::Cancelled) } else { work(lab) };
        // A front that no longer waits for the answer has dropped its end.
        let _ = sender.send(result);
    });
    (work, answer)
}

/// The outcome of work handed in by `Engine::run_lab`; waits for it.
///
/// # Errors
/// What the work returned; [`Error::Device`] when the engine died over it.
pub fn wait<T>(outcome: &Receiver<Result<T>>) -> Result<T> {
    outcome.recv().unwrap_or_else(|_| Err(lost()))
}

/// The error for work whose engine died: its channel is closed without an answer.
pub fn lost() -> Error {
    Error::device("The engine failed during this job and was started again. Try once more, or with `--device cpu`.")
}

/// What work sees of the engine.
pub struct Lab<'a, 'w> {
    worker: &'a mut Worker<'w>,
    job: JobId,
    done: usize,
}

impl<'a, 'w> Lab<'a, 'w> {
    pub(super) fn new(worker: &'a mut Worker<'w>, job: JobId) -> Self {
        Self { worker, job, done: 0 }
    }

    /// Units of work that were reported as done.
    pub(super) fn done(&self) -> usize {
        self.done
    }

    /// The front asked to stop, or the engine goes down: return [`Error::Cancelled`] soon.
    pub fn cancelled(&self) -> bool {
        let state = self.worker.shared().lock();
        state.stopping || state.lab_cancelled.contains(&self.job)
    }

    /// Reports progress, and lets the photo on view have its turn.
    pub fn progress(&mut self, done: usize, total: usize) {
        self.done = done;
        self.worker.shared().emit(Event::JobProgressed { job: self.job, done, total });
        self.worker.attend();
    }

    /// Name of the device that networks run on.
    ///
    /// # Errors
    /// [`Error::Device`] where the one asked for is missing.
    pub fn device(&mut self) -> Result<String> {
        Ok(self.worker.compute()?.name.clone())
    }

    /// A network by catalogue id, folder, or `pocket`; loaded once and kept. Those with a text tower give it out through
    /// [`Backbone::text_tower`].
    ///
    /// # Errors
    /// [`Error::Input`] for an unknown name, [`Error::Model`] for files that cannot be used.
    pub fn backbone(&mut self, name: &str) -> Result<Arc<Backbone>> {
        self.worker.model(name)
    }

    /// A network that segments, by catalogue id, folder, or `pocket-seg`; loaded once and kept.
    ///
    /// # Errors
    /// [`Error::Input`] for an unknown name or a model of another kind, [`Error::Model`] for files that cannot be used.
    pub fn segmenter(&mut self, name: &str) -> Result<Arc<ClipSegModel>> {
        self.worker.segmenter(name)
    }

    /// The embedding of one photo.
    ///
    /// # Errors
    /// As [`Lab::embed_all`], those of the photo included.
    pub fn embed(&mut self, model: &str, path: &Path) -> Result<Arc<Embedded>> {
        let mut all = self.embed_all(model, &[path.to_owned()], |_, _, _| {})?;
        all.pop().unwrap_or_else(|| Err(Error::bug("one photo gave no outcome.")))
    }

    /// The embedding of each photo, in order; one that cannot be read fails alone. `progress` gets the lab, the photos
    /// that are through and their total, after each batch. The result does not depend on what is asked for together.
    ///
    /// # Errors
    /// Those of [`Lab::backbone`]; [`Error::Cancelled`] when the front asked to stop.
    pub fn embed_all(
        &mut self,
        model: &str,
        paths: &[PathBuf],
        mut progress: impl FnMut(&mut Self, usize, usize),
    ) -> Result<Vec<Result<Arc<Embedded>>>> {
        let model = self.backbone(model)?;
        let mut all = Vec::with_capacity(paths.len());
        for batch in paths.chunks(BATCH) {
            if self.cancelled() {
                return Err(Error::Cancelled);
            }
            all.extend(self.embed_batch(&model, batch)?);
            progress(self, all.len(), paths.len());
        }
        Ok(all)
    }

    fn embed_batch(&mut self, model: &Backbone, paths: &[PathBuf]) -> Result<Vec<Result<Arc<Embedded>>>> {
        let opened: Vec<Result<(Arc<PhotoFacts>, Photo)>> = paths
            .par_iter()
            .map(|path| {
                let photo = Photo::open_to_judge(path)?;
                Ok((Arc::new(facts_of(path, &photo)), photo))
            })
            .collect();
        let variant = self.worker.variant(VARIANT);
        let key = |facts: &PhotoFacts| FeatureKey {
            photo: facts.sha256.clone(),
            model: model.info().sha256.clone(),
            memory_model: None,
            variant: variant.clone(),
        };
        // What the cache does not know is prepared side by side and goes through the network together.
        let cached: Vec<Option<Arc<PhotoFeatures>>> = opened
            .iter()
            .map(|opened| opened.as_ref().ok().and_then(|(facts, _)| self.worker.cache().get(&key(facts))))
            .collect();
        let prepared: Vec<Option<Result<PreparedImage>>> = opened
            .par_iter()
            .zip(&cached)
            .map(|(opened, cached)| match (opened, cached) {
                (Ok((_, photo)), None) => Some(model.prepare(photo, Geometry::Reference)),
                _ => None,
            })
            .collect();
        let (mut images, mut outcomes) = (Vec::new(), Vec::with_capacity(paths.len()));
        for ((opened, cached), prepared) in opened.into_iter().zip(cached).zip(prepared) {
            outcomes.push(match (opened, cached, prepared) {
                (Err(error), _, _) | (Ok(_), None, Some(Err(error))) => Err(error),
                (Ok((facts, _)), Some(features), _) => Ok((facts, Ok(features.embedding.clone()))),
                (Ok((facts, _)), None, Some(Ok(image))) => {
                    images.push(image);
                    Ok((facts, Err(images.len() - 1)))
                }
                (Ok(_), None, None) => Err(Error::bug("a photo was neither cached nor prepared.")),
            });
        }
        let computed = model.encode_images(&images, &Want::default())?;
        let mut finish = |(facts, embedding): (Arc<PhotoFacts>, std::result::Result<Vec<f32>, usize>)| {
            let embedding = match embedding {
                Ok(cached) => cached,
                Err(index) => {
                    let embedding = computed[index].embedding.clone();
                    self.worker.keep(key(&facts), &Arc::new(PhotoFeatures::of_embedding(embedding.clone())));
                    embedding
                }
            };
            Arc::new(Embedded { facts, embedding })
        };
        Ok(outcomes.into_iter().map(|outcome| outcome.map(&mut finish)).collect())
    }

    /// Embeddings of texts, `[dim]` each, not normalised; every text goes through the text tower once.
    ///
    /// # Errors
    /// Those of [`Lab::backbone`]; [`Error::Input`] for a model without a text tower; what the tokenizer and the text
    /// tower report.
    pub fn texts(&mut self, model: &str, texts: &[String]) -> Result<Vec<Arc<Vec<f32>>>> {
        let model = self.backbone(model)?;
        let text_tower = model.text_tower()?;
        let hash = model.info().sha256.clone();
        let store = self.worker.texts();
        if store.len() > TEXTS_KEPT {
            store.clear();
        }
        let mut missing: Vec<String> =
            texts.iter().filter(|text| !store.contains_key(&(hash.clone(), (*text).clone()))).cloned().collect();
        missing.sort_unstable();
        missing.dedup();
        for (text, embedding) in missing.iter().zip(text_tower.encode_texts(&missing)?) {
            store.insert((hash.clone(), text.clone()), Arc::new(embedding));
        }
        texts
            .iter()
            .map(|text| store.get(&(hash.clone(), text.clone())).cloned())
            .collect::<Option<_>>()
            .ok_or_else(|| Error::bug("a text has no embedding after encoding."))
    }
}
