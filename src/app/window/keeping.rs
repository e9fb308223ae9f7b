//! The window's handling of the history: what is handed to the recorder, and what it tells. Carries out, like its parent.

use std::path::{Path, PathBuf};

use super::Window;
use crate::app::action::HistoryWish;
use crate::app::background::Question;
use crate::app::kept::{Draft, shown_place};
use crate::app::photo_list::file_name;
use crate::app::recorder::{Ask, MadeBy, Recorder, Told};
use crate::app::session::Page;
use crate::count::count;
use crate::engine::PhotoId;
use crate::history::Filter;
use crate::report::ModelIdentity;

impl Window {
    /// Takes what the recorder tells, and asks for the list while somebody looks at it.
    pub(super) fn follow_history(&mut self, ctx: &egui::Context) {
        if self.recorder.is_none()
            && let Some(place) = self.state.history_place.clone().or_else(|| self.history_place.clone())
        {
            self.state.kept.place = Some(shown_place(&place));
            self.state.kept.stale = true;
            let waker = ctx.clone();
            self.recorder = Some(Recorder::start(place, self.engine.clone(), move || waker.request_repaint()));
        }
        let Some(recorder) = &self.recorder else { return };
        let told = recorder.drain();
        for told in told {
            match told {
                Told::Kept { new } => self.state.kept.stale |= new > 0,
                Told::Listed { filter, entries } => self.state.kept.listed(&filter, entries),
                Told::Corrected(entry) => {
                    let name = file_name(Path::new(&entry.path));
                    self.state.notices.done(format!("{name} is {} now; what it was is kept.", entry.verdict.word()));
                    self.state.kept.corrected(*entry);
                }
                Told::Exported(path, written) => {
                    let verdicts = count(written, "verdict", "verdicts");
                    self.state.notices.done(format!("Saved {verdicts} in {}.", path.display()));
                }
                Told::Recipe(recipe) => {
                    self.state.history.close_gesture();
                    self.state.edit("Recipe of a verdict", |now| *now = *recipe);
                    self.state.history.close_gesture();
                    self.state.notices.done("Judging with the recipe of that verdict; Ctrl+Z gives yours back.");
                }
                Told::Failed(error) => {
                    self.state.kept.asked = false;
                    self.state.kept.problem = Some(error.to_string());
                    self.state.notices.error(error.to_string());
                }
            }
        }
        let kept = &mut self.state.kept;
        if self.state.look.page == Page::History && kept.stale && !kept.asked {
            (kept.stale, kept.asked) = (false, true);
            recorder.ask(Ask::List(kept.filter(false)));
        }
    }

    /// Hands the verdicts of this frame to the recorder.
    pub(super) fn keep_verdicts(&mut self) {
        let photos = std::mem::take(&mut self.state.to_keep);
        self.keep(&photos);
    }

    /// Keeps the verdicts on these photos as they are judged now.
    pub(super) fn keep(&self, photos: &[PhotoId]) {
        let engine = &self.state.engine;
        let (Some(recorder), Some(model)) = (&self.recorder, &engine.model) else { return };
        let made = MadeBy {
            model: ModelIdentity::of(model),
            memory_model: engine.memory_model.as_deref().map(ModelIdentity::of),
            device: engine.device.clone(),
        };
        for &photo in photos {
            recorder.ask(Ask::Keep(photo, Box::new(made.clone())));
        }
    }

    pub(super) fn wish_of_history(&mut self, wish: HistoryWish) {
        let kept = &mut self.state.kept;
        match wish {
            HistoryWish::Only(verdict) => {
                (kept.verdict, kept.chosen, kept.stale) = (verdict, None, true);
            }
            HistoryWish::Older => {
                if let Some(recorder) = self.recorder.as_ref().filter(|_| !kept.asked) {
                    kept.asked = true;
                    recorder.ask(Ask::List(kept.filter(true)));
                }
            }
            HistoryWish::Choose(id) => {
                kept.draft = Draft::default();
                kept.chosen = Some(id);
            }
            HistoryWish::Draft(draft, inspector) => {
                kept.draft = draft;
                self.state.inspector = inspector;
            }
            HistoryWish::Correct => {
                let correction = kept.correction(&self.state.inspector);
                if let (Some(recorder), Some((id, correction))) = (&self.recorder, correction) {
                    recorder.ask(Ask::Correct { id, correction });
                }
            }
            HistoryWish::OpenPhoto(path) => self.open(vec![path], false),
            HistoryWish::UseRecipe(sha256) => {
                if let Some(recorder) = &self.recorder {
                    recorder.ask(Ask::Recipe(sha256));
                }
            }
            HistoryWish::KeepIn(place) => self.keep_in(place),
        }
    }

    /// Keeps verdicts at another place from now on.
    fn keep_in(&mut self, place: String) {
        let kept = &mut self.state.kept;
        kept.entries.clear();
        (kept.problem, kept.chosen, kept.asked, kept.stale) = (None, None, false, true);
        kept.place = Some(shown_place(&place));
        self.state.history_place = Some(place.clone());
        if let Some(recorder) = &self.recorder {
            recorder.ask(Ask::Open(place));
        }
    }

    pub(super) fn ask_where_to_export_history(&self) {
        self.background.ask(Question::SaveHistory);
    }

    /// Writes all kept verdicts into a CSV, JSON or Parquet file.
    pub fn export_history_to(&mut self, path: PathBuf) {
        if let Some(recorder) = &self.recorder {
            let filter = Filter { verdict: self.state.kept.verdict, limit: usize::MAX, ..Filter::default() };
            recorder.ask(Ask::Export { filter, path });
        }
    }
}
