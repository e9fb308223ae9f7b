//! The window's handling of descriptions: the question to the engine, its answer, and following what is typed, chosen and
//! put on view. Carries out, like its parent; the panels only wish.

use std::path::PathBuf;
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError};

use super::{TYPING_PAUSE, Window};
use crate::Result;
use crate::app::classifying::LabJob;
use crate::app::describing::{Against, Asked, DescribeSetup, Described, OpenTable, one_photo, whole_table};
use crate::app::photo_list::file_name;
use crate::app::session::Page;
use crate::engine::{Lab, lab};

/// What is needed to follow.
#[derive(Default)]
pub(super) struct Follow {
    /// Where the answer under way comes from.
    answer: Option<Receiver<Result<Described>>>,
    /// When the words were last changed.
    changed_at: Option<f64>,
    last: DescribeSetup,
}

impl Window {
    /// Takes the answer of the engine, and asks again when photo, model or words are others.
    pub(super) fn follow_describing(&mut self, ctx: &egui::Context) {
        let answer = self.describe.answer.as_ref().and_then(|answer| match answer.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(lab::lost())),
        });
        if let Some(answer) = answer {
            self.describe.answer = None;
            self.state.describing.take(answer);
        }
        let now = self.state.notices.now;
        let setup = &self.state.describing.setup;
        if setup.text != self.describe.last.text || setup.labels != self.describe.last.labels {
            self.describe.changed_at = Some(now);
        }
        if *setup != self.describe.last {
            self.describe.last = setup.clone();
        }
        if self.state.describing.job.is_some() {
            ctx.request_repaint_after(Duration::from_millis(100));
            return;
        }
        if self.state.look.page != Page::Description || self.state.describing.against != Against::Photo {
            return;
        }
        let Some(asked) = self.asked_of_photo().filter(|asked| self.state.describing.asked.as_ref() != Some(asked))
        else {
            return;
        };
        let waited = now - self.describe.changed_at.unwrap_or(f64::NEG_INFINITY);
        if waited >= TYPING_PAUSE {
            self.state.describing.asked = Some(asked.clone());
            let known = self.state.describing.seen.clone();
            self.ask_about("Looking at the photo", one_photo(asked, known));
        } else {
            ctx.request_repaint_after(Duration::from_secs_f64((TYPING_PAUSE - waited).max(0.01)));
        }
    }

    /// What the page asks of the photo on view.
    fn asked_of_photo(&self) -> Option<Asked> {
        let entry = self.state.selected.and_then(|id| self.state.photos.get(id))?;
        self.state.describing.setup.asked(&entry.path)
    }

    fn ask_about(
        &mut self,
        what: &'static str,
        work: impl FnOnce(&mut Lab<'_, '_>) -> Result<Described> + Send + 'static,
    ) {
        let id = self.state.job_id();
        self.state.describing.problem = None;
        self.state.describing.job = Some(LabJob { id, what, done: 0, total: 0, stopping: false });
        let (work, answer) = lab::answering(work);
        self.engine.queue_lab(id, work);
        self.describe.answer = Some(answer);
    }

    pub(super) fn match_table(&mut self) {
        let describing = &mut self.state.describing;
        let (Some(table), Some(pairs)) = (describing.table.clone(), describing.pairs().cloned()) else { return };
        describing.against = Against::Table;
        let model = describing.setup.model.clone();
        let kept = self.bench_engine.cache_dir.as_deref().and_then(|cache| Some(cache.parent()?.join("matching")));
        self.state.look.page = Page::Description;
        self.ask_about("Matching", whole_table(model, table, pairs, kept));
    }

    /// Reads a table of descriptions.
    pub fn open_pair_table(&mut self, path: PathBuf) {
        self.background.open_pairs(path, self.state.describing.setup.root.clone());
    }

    /// Reads the table that is open again, its relative paths starting from `root`.
    pub fn pairs_from(&mut self, root: PathBuf) {
        if let Some(table) = self.state.describing.setup.table.clone() {
            self.background.open_pairs(table, Some(root));
        }
    }

    pub(super) fn pair_table_opened(&mut self, table: OpenTable) {
        let (path, root) = (table.path.clone(), table.root.clone());
        let describing = &mut self.state.describing;
        // The session's own table is read again when the window opens; nobody has asked to see it.
        if describing.table.is_some() || describing.setup.table.as_ref() != Some(&path) {
            describing.against = Against::Table;
        }
        describing.matched = None;
        describing.problem = None;
        self.state.history.close_gesture();
        self.state.edit_description("Table of descriptions", |setup| {
            setup.table = Some(path);
            setup.root = root;
        });
        self.state.history.close_gesture();
        self.state.describing.table = Some(table);
    }

    /// Shows the photo of a row with its text.
    pub(super) fn open_pair(&mut self, place: usize) {
        let Some(matched) = self.state.describing.matched.clone() else { return };
        let Some((pair, _)) = matched.pair(place) else { return };
        let text = pair.text.clone();
        self.state.add_photos(vec![pair.path.clone()]);
        let Some(id) = self.state.photos.by_path(&pair.path) else {
            self.state.notices.warning(format!("{} cannot be shown.", file_name(&pair.path)));
            return;
        };
        self.state.photos.set_focus(None);
        self.state.photos.refresh();
        self.state.select(Some(id));
        self.state.history.close_gesture();
        self.state.edit_description("Description", |setup| setup.text = text);
        self.state.history.close_gesture();
        self.state.describing.against = Against::Photo;
    }

    /// Writes the matches into a CSV or JSON file.
    pub fn export_matches_to(&mut self, path: PathBuf) {
        if let Some(matched) = self.state.describing.matched.clone() {
            self.background.save_matches(path, matched, self.state.describing.setup.threshold);
        }
    }
}
