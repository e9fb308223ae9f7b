//! The history behind the window: a thread that keeps verdicts and answers questions about them, so that no frame waits for
//! a disk or a database. What is shown of it is `kept`'s.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::port::EnginePort;
use crate::engine::PhotoId;
use crate::history::{self, Correction, Entry, ExportFormat, Filter, History, MadeWith, NewEntry};
use crate::report::ModelIdentity;
use crate::{Error, Recipe, Result, report};

/// What made the verdicts to keep.
#[derive(Clone, Debug, PartialEq)]
pub struct MadeBy {
    pub model: ModelIdentity,
    pub memory_model: Option<ModelIdentity>,
    pub device: String,
}

/// A wish.
pub enum Ask {
    /// Keep verdicts at another place from now on.
    Open(String),
    /// Keep the verdict on a photo as it is judged now.
    Keep(PhotoId, Box<MadeBy>),
    List(Filter),
    Correct {
        id: String,
        correction: Correction,
    },
    /// Write all verdicts into a file, as its extension says.
    Export {
        filter: Filter,
        path: PathBuf,
    },
    /// The recipe with this hash.
    Recipe(String),
}

/// A fact.
pub enum Told {
    /// Verdicts are on disk; how many of them are new.
    Kept {
        new: usize,
    },
    /// Entries after those of the filter's `beyond`, and whether there are more.
    Listed {
        filter: Filter,
        entries: Vec<Entry>,
    },
    Corrected(Box<Entry>),
    Exported(PathBuf, usize),
    Recipe(Box<Recipe>),
    Failed(Error),
}

/// The way to the thread. Dropping it waits until everything handed in is kept.
pub struct Recorder {
    asks: Option<Sender<Ask>>,
    told: Receiver<Told>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Recorder {
    /// Starts the thread over the history at `address`, opened with the first wish. Photos are judged by `port`.
    pub fn start(address: String, port: Arc<dyn EnginePort>, wake: impl Fn() + Send + 'static) -> Self {
        let (asks, wishes) = unbounded();
        let (tell, told) = unbounded();
        let body = {
            let tell = tell.clone();
            move || run(&mut Keeper { address, history: None, port }, &wishes, &tell, &wake)
        };
        let thread = std::thread::Builder::new().name("hairline-history".to_owned()).spawn(body);
        let thread = thread
            .map_err(|error| {
                let error = Error::bug(format!("the thread of the history cannot be started ({error})."));
                // Nobody listens only if the window is gone.
                let _ = tell.send(Told::Failed(error));
            })
            .ok();
        Self { asks: Some(asks), told, thread }
    }

    /// Hands in a wish.
    pub fn ask(&self, ask: Ask) {
        if let Some(asks) = &self.asks {
            // A thread that could not be started has said so.
            let _ = asks.send(ask);
        }
    }

    /// Facts since the last call.
    pub fn drain(&self) -> Vec<Told> {
        self.told.try_iter().collect()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.asks = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the thread of the history ended in a panic");
        }
    }
}

/// The history, and what it is kept with.
struct Keeper {
    address: String,
    history: Option<History>,
    port: Arc<dyn EnginePort>,
}

fn run(keeper: &mut Keeper, wishes: &Receiver<Ask>, tell: &Sender<Told>, wake: &dyn Fn()) {
    let say = |told: Result<Option<Told>>| {
        let told = match told {
            Ok(Some(told)) => told,
            Ok(None) => return,
            Err(error) => Told::Failed(error),
        };
        if tell.send(told).is_ok() {
            wake();
        }
    };
    while let Ok(first) = wishes.recv() {
        // Verdicts that wait together share one commit.
        let mut verdicts = Vec::new();
        for ask in std::iter::once(first).chain(wishes.try_iter()) {
            if let Ask::Keep(photo, made) = ask {
                verdicts.push((photo, made));
            } else {
                say(keeper.keep(&mut verdicts));
                say(keeper.answer(ask));
            }
        }
        say(keeper.keep(&mut verdicts));
    }
}

impl Keeper {
    fn history(&mut self) -> Result<&mut History> {
        if self.history.is_none() {
            let file = std::path::Path::new(&self.address);
            if !self.address.contains("://")
                && let Some(folder) = file.parent()
            {
                report::create_folder(folder)?;
            }
            self.history = Some(History::open(&self.address)?);
        }
        self.history.as_mut().ok_or_else(|| Error::bug("the history is open and is not."))
    }

    /// Keeps the verdicts that wait, as they are judged now; those that are there already are not kept again.
    fn keep(&mut self, verdicts: &mut Vec<(PhotoId, Box<MadeBy>)>) -> Result<Option<Told>> {
        if verdicts.is_empty() {
            return Ok(None);
        }
        let mut entries = Vec::with_capacity(verdicts.len());
        let mut seen = HashSet::new();
        for (photo, made) in verdicts.drain(..).filter(|(photo, _)| seen.insert(*photo)) {
            // A photo that was taken off the bench meanwhile has no verdict any more.
            let Some(view) = self.port.judged(photo) else { continue };
            let made = MadeWith { model: &made.model, memory_model: made.memory_model.as_ref(), device: &made.device };
            let entry = NewEntry::new(&view.inspection, &view.recipe, made)?;
            if !self.history()?.holds(&entry)? {
                entries.push(entry);
            }
        }
        if !entries.is_empty() {
            self.history()?.record(&entries)?;
        }
        Ok(Some(Told::Kept { new: entries.len() }))
    }

    fn answer(&mut self, ask: Ask) -> Result<Option<Told>> {
        Ok(Some(match ask {
            Ask::Open(address) => {
                (self.address, self.history) = (address, None);
                self.history()?;
                return Ok(None);
            }
            Ask::Keep(..) => return Ok(None),
            Ask::List(filter) => {
                let entries = self.history()?.list(&filter)?;
                Told::Listed { filter, entries }
            }
            Ask::Correct { id, correction } => Told::Corrected(Box::new(self.history()?.correct(&id, &correction)?)),
            Ask::Export { filter, path } => {
                let (path, count) = self.export(&filter, path)?;
                Told::Exported(path, count)
            }
            Ask::Recipe(sha256) => {
                let recipe = self.history()?.recipe(&sha256)?;
                let recipe: Recipe = serde_json::from_value(recipe).map_err(|error| {
                    Error::input(format!("The recipe of this verdict was written by another version ({error})."))
                })?;
                Told::Recipe(Box::new(recipe))
            }
        }))
    }

    fn export(&mut self, filter: &Filter, path: PathBuf) -> Result<(PathBuf, usize)> {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        let format: ExportFormat = extension.unwrap_or_default().parse().map_err(|_| {
            Error::input("The file of an export must end in .csv, .json or .parquet, which says how it is written.")
                .at(&path)
        })?;
        let history = self.history()?;
        let mut outcome: Result<usize> = Ok(0);
        let written = report::write_file(&path, |file| {
            outcome = history::export(history, filter, format, file);
            outcome.as_ref().map(|_| ()).map_err(|error| std::io::Error::other(error.to_string()))
        });
        let count = outcome?;
        Ok((written?, count))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use std::time::{Duration, Instant};

    use super::*;
    use crate::anomaly::Verdict;
    use crate::app::testing::FakeEngine;

    fn made() -> MadeBy {
        let model = ModelIdentity { id: "pocket".into(), sha256: "ab".repeat(32) };
        MadeBy { model, memory_model: None, device: "Processor".into() }
    }

    fn next(recorder: &Recorder) -> Told {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            if let Some(told) = recorder.drain().pop() {
                return told;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the history said nothing");
    }

    #[test]
    fn verdicts_are_kept_once_and_corrected_beside() {
        let dir = tempfile::tempdir().unwrap();
        let address = dir.path().join("deep").join("h.sqlite").display().to_string();
        {
            let recorder = Recorder::start(address.clone(), Arc::new(FakeEngine::default()), || {});
            recorder.ask(Ask::Keep(0, Box::new(made())));
            // Dropping waits for what was handed in.
        }
        let recorder = Recorder::start(address, Arc::new(FakeEngine::default()), || {});
        recorder.ask(Ask::Keep(0, Box::new(made())));
        assert!(matches!(next(&recorder), Told::Kept { new: 0 }), "it is there");
        recorder.ask(Ask::List(Filter::default()));
        let Told::Listed { entries, .. } = next(&recorder) else { panic!("no list") };
        assert_eq!(entries.len(), 1, "the same again tells nothing");
        let correction = Correction { verdict: Verdict::Ok, author: "Ada".into(), note: String::new() };
        recorder.ask(Ask::Correct { id: entries[0].id.clone(), correction });
        let Told::Corrected(entry) = next(&recorder) else { panic!("no correction") };
        assert_eq!((entry.verdict, entry.first_verdict), (Verdict::Ok, Verdict::Ng));
        recorder.ask(Ask::Recipe(entry.recipe_sha256.clone()));
        assert!(matches!(next(&recorder), Told::Recipe(recipe) if *recipe == Recipe::default()));
        for name in ["h.csv", "h.json", "h.parquet"] {
            recorder.ask(Ask::Export { filter: Filter::default(), path: dir.path().join(name) });
            assert!(matches!(next(&recorder), Told::Exported(path, 1) if path.is_file()));
        }
        recorder.ask(Ask::Export { filter: Filter::default(), path: dir.path().join("h.txt") });
        assert!(matches!(next(&recorder), Told::Failed(error) if error.to_string().contains(".parquet")));
    }

    #[test]
    fn a_place_that_cannot_be_used_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("letter.txt");
        std::fs::write(&file, "no history, but long enough to be a letter to somebody").unwrap();
        let recorder = Recorder::start(file.display().to_string(), Arc::new(FakeEngine::default()), || {});
        recorder.ask(Ask::List(Filter::default()));
        assert!(matches!(next(&recorder), Told::Failed(_)));
        recorder.ask(Ask::Open(dir.path().join("h.sqlite").display().to_string()));
        recorder.ask(Ask::List(Filter::default()));
        assert!(matches!(next(&recorder), Told::Listed { entries, .. } if entries.is_empty()));
    }
}
