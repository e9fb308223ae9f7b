//! The thread that owns the history. Verdicts that wait together are written in one transaction, so that one sync of the
//! disk serves them all; each is answered when it is on disk, and not before.

use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};
use tokio::sync::oneshot;

use super::error::ApiError;
use crate::history::{Entry, Filter, History, NewEntry};
use crate::{Error, Result};

/// Questions that wait at most; there are never more than requests.
const QUEUE: usize = 1024;

enum Ask {
    Record(Box<NewEntry>, oneshot::Sender<Result<()>>),
    List(Filter, oneshot::Sender<Result<Vec<Entry>>>),
}

/// The way to the thread.
#[derive(Debug)]
pub struct Recorder {
    asks: Option<Sender<Ask>>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    pub fn start(mut history: History) -> Result<Self> {
        let (asks, queue) = crossbeam_channel::bounded(QUEUE);
        let thread = std::thread::Builder::new()
            .name("hairline-history".to_owned())
            .spawn(move || run(&mut history, &queue))
            .map_err(|e| Error::bug(format!("a thread cannot be started ({e}).")))?;
        Ok(Self { asks: Some(asks), thread: Some(thread) })
    }

    /// Keeps a verdict; it is on disk when this returns.
    pub async fn record(&self, entry: NewEntry) -> Result<(), ApiError> {
        self.ask(|answer| Ask::Record(Box::new(entry), answer)).await
    }

    /// The entries that pass the filter.
    pub async fn list(&self, filter: Filter) -> Result<Vec<Entry>, ApiError> {
        self.ask(|answer| Ask::List(filter, answer)).await
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<Result<T>>) -> Ask) -> Result<T, ApiError> {
        let gone = || ApiError::unavailable("The history has stopped. Start the server again.");
        let (answer, outcome) = oneshot::channel();
        let asks = self.asks.as_ref().ok_or_else(gone)?;
        asks.try_send(ask(answer)).map_err(|_| ApiError::busy())?;
        Ok(outcome.await.map_err(|_| gone())??)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.asks = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the history's thread ended in a panic");
        }
    }
}

fn run(history: &mut History, queue: &Receiver<Ask>) {
    while let Ok(first) = queue.recv() {
        let (mut entries, mut answers, mut lists) = (Vec::new(), Vec::new(), Vec::new());
        for ask in std::iter::once(first).chain(queue.try_iter()) {
            match ask {
                Ask::Record(entry, answer) => {
                    entries.push(*entry);
                    answers.push(answer);
                }
                Ask::List(filter, answer) => lists.push((filter, answer)),
            }
        }
        if !entries.is_empty() {
            let outcome = history.record(&entries);
            for answer in answers {
                // Whoever has gone away does not take the verdict with him: it is kept.
                let _ = answer.send(outcome.clone());
            }
        }
        for (filter, answer) in lists {
            let _ = answer.send(history.list(&filter));
        }
    }
}
