//! The window's handling of segmentation: which maps are missing, when the network is asked, strokes of the brush, and the
//! files. Carries out, like its parent; the panels only wish.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Window;
use crate::app::classifying::LabJob;
use crate::app::segmenting::decide::{Decided, MaskFiles, key};
use crate::app::segmenting::work::{Answer, exported, segmented};
use crate::app::segmenting::{MapKey, Mode, Prompt, Tool, Wish};
use crate::app::session::Page;
use crate::app::state::{Step, photos};
use crate::engine::{Lab, lab};
use crate::report::segments::COLOURS;
use crate::{Error, Result};

/// Words wait this long for the next letter before the network runs, in seconds.
const PAUSE: f64 = 0.35;

impl Window {
    pub(super) fn carry_out_segment(&mut self, wish: Wish) {
        let photo = self.photo_on_view();
        let state = &mut self.state;
        let segmenting = &mut state.segmenting;
        match wish {
            Wish::Mode(mode) => segmenting.mode = mode,
            Wish::Edit { what, change } => state.edit_segment(&what, change),
            Wish::Add(prompt) => {
                segmenting.typed.clear();
                let mut added = None;
                state.history.close_gesture();
                state.edit_segment("Add a prompt", |setup| added = Some(setup.add(prompt)));
                state.history.close_gesture();
                state.segmenting.active = added;
                if state.segmenting.tool == Tool::Example {
                    state.segmenting.tool = Tool::Hand;
                }
            }
            Wish::Typed(text) => segmenting.typed = text,
            Wish::Activate(layer) => segmenting.active = Some(layer),
            Wish::Tool(tool) => segmenting.tool = tool,
            Wish::Radius(radius) => segmenting.radius = radius,
            Wish::Brush { erase, at } => {
                if let Some(photo) = photo {
                    segmenting.brush(&photo, erase, at);
                }
            }
            Wish::Lift => self.lift_brush(),
            Wish::Restore(layer) => {
                if let Some(photo) = photo {
                    let strokes = segmenting.swap_strokes(&photo, layer, Arc::default());
                    state.history.close_gesture();
                    state.history.record("Corrections", Step::Correct { photo, layer, strokes });
                    state.history.close_gesture();
                }
            }
            Wish::Show(part) => state.viewport.show(state.canvas, part),
            Wish::Retry => {
                segmenting.asked.clear();
                segmenting.problem = None;
            }
        }
    }

    /// One stroke is one step of undo.
    fn lift_brush(&mut self) {
        let state = &mut self.state;
        if let Some((photo, layer, strokes)) = state.segmenting.lift() {
            state.history.close_gesture();
            state.history.record("Stroke", Step::Correct { photo, layer, strokes });
            state.history.close_gesture();
        }
    }

    fn photo_on_view(&self) -> Option<PathBuf> {
        self.state.selected.and_then(|id| self.state.photos.get(id)).map(|entry| entry.path.clone())
    }

    /// Takes the answer of the engine, and asks it for the maps that the photo on view lacks.
    pub(super) fn follow_segmenting(&mut self, ctx: &egui::Context) {
        let answer = self.segmented.as_ref().and_then(|answer| match answer.try_recv() {
            Ok(answer) => Some(answer),
            Err(crossbeam_channel::TryRecvError::Empty) => None,
            Err(crossbeam_channel::TryRecvError::Disconnected) => Some(Err(lab::lost())),
        });
        if let Some(answer) = answer {
            self.segmented = None;
            self.segmented(answer);
        }
        // The page ends its strokes itself; one whose page was left meanwhile ends here.
        if self.state.segmenting.brushing().is_some() && !ctx.input(|i| i.pointer.any_down()) {
            if ctx.input(|i| i.pointer.any_released()) {
                ctx.request_repaint();
            } else {
                self.lift_brush();
            }
        }
        let now = self.state.notices.now;
        let segmenting = &mut self.state.segmenting;
        if segmenting.setup != self.last_segment {
            let words = |setup: &super::SegmentSetup| -> Vec<Prompt> {
                setup.layers.iter().map(|layer| layer.prompt.clone()).collect()
            };
            // A threshold or a colour reaches no network, so only what does makes it wait.
            if words(&segmenting.setup) != words(&self.last_segment) {
                self.segment_changed_at = now;
            }
            self.last_segment = segmenting.setup.clone();
        }
        let looking = self.state.look.page == Page::Segment && self.state.segmenting.mode == Mode::Masks;
        let Some(photo) = self.photo_on_view().filter(|_| looking) else { return };
        let segmenting = &mut self.state.segmenting;
        let layers = &segmenting.setup.layers;
        if segmenting.active.is_none_or(|active| layers.iter().all(|layer| layer.id != active)) {
            segmenting.active = layers.last().map(|layer| layer.id);
        }
        segmenting.settle(&photo);
        self.decide(&photo);
        let segmenting = &mut self.state.segmenting;
        let missing: Vec<MapKey> =
            segmenting.needed(&photo).into_iter().filter(|key| segmenting.maps.get(key).is_none()).collect();
        if let Some(job) = &segmenting.job {
            // What was asked for is of no use any more: another photo, or other words.
            let stale = !segmenting.asked.is_empty() && segmenting.asked.iter().all(|key| !missing.contains(key));
            if stale && !job.stopping {
                self.state.stop_segmenting();
            }
            ctx.request_repaint_after(std::time::Duration::from_millis(100));
            return;
        }
        if missing.is_empty() || missing == segmenting.asked {
            return;
        }
        let waited = now - self.segment_changed_at;
        if waited < PAUSE {
            ctx.request_repaint_after(std::time::Duration::from_secs_f64(PAUSE - waited + 0.01));
            return;
        }
        let prompts = missing.iter().map(|key| key.prompt.clone()).collect();
        let known = missing.iter().map(MapKey::plain);
        let known = known.filter_map(|key| Some((key.clone(), segmenting.maps.get(&key)?.clone()))).collect();
        let work = segmented(segmenting.setup.clone(), photo, prompts, known);
        segmenting.asked = missing;
        self.ask_segmenter("Segmenting", work);
    }

    fn ask_segmenter(
        &mut self,
        what: &'static str,
        work: impl FnOnce(&mut Lab<'_, '_>) -> Result<Answer> + Send + 'static,
    ) {
        let id = self.state.job_id();
        self.state.segmenting.problem = None;
        self.state.segmenting.job = Some(LabJob { id, what, done: 0, total: 0, stopping: false });
        let (work, answer) = lab::answering(work);
        self.engine.queue_lab(id, work);
        self.segmented = Some(answer);
    }

    fn segmented(&mut self, answer: Result<Answer>) {
        let photo = self.photo_on_view();
        let segmenting = &mut self.state.segmenting;
        segmenting.job = None;
        match answer {
            Ok(Answer::Maps(maps)) => {
                if let Some(photo) = photo {
                    segmenting.maps.touch(&photo);
                }
                segmenting.maps.add(maps);
                segmenting.asked.clear();
            }
            Ok(Answer::Exported { file, root, photos: count, failures }) => {
                for (_, error) in &failures {
                    self.state.notices.error(error.to_string());
                }
                let text = format!(
                    "Saved the masks of {} in {}; names of photos start from {}.",
                    photos(count),
                    file.display(),
                    root.display()
                );
                self.state.notices.done(text);
            }
            Err(Error::Cancelled) => segmenting.asked.clear(),
            Err(error) => segmenting.problem = Some(error.to_string()),
        }
    }

    /// Has areas and regions worked out where they are not of what is on view.
    fn decide(&mut self, photo: &Path) {
        let segmenting = &self.state.segmenting;
        let subjects = segmenting.subjects(photo);
        let wanted = key(&subjects);
        if subjects.is_empty() || self.deciding.is_some() || segmenting.decided_of(&wanted).is_some() {
            return;
        }
        self.deciding = Some(wanted);
        self.background.decide(subjects);
    }

    pub(super) fn decided(&mut self, decided: Arc<Decided>) {
        self.deciding = None;
        self.state.segmenting.decided = Some(decided);
    }

    /// Writes the masks of the photo on view into a folder.
    pub fn export_masks_to(&mut self, folder: PathBuf) {
        let Some(photo) = self.photo_on_view() else { return };
        self.state.segmenting.settle(&photo);
        let segmenting = &self.state.segmenting;
        let subjects = segmenting.subjects(&photo);
        let layers = subjects.into_iter().filter_map(|subject| {
            let layer = segmenting.setup.layer(subject.id).filter(|layer| layer.visible)?;
            Some((layer.prompt.name(), COLOURS[layer.colour % COLOURS.len()], subject))
        });
        let masks = MaskFiles { layers: layers.collect(), photo };
        if masks.layers.is_empty() {
            self.state.notices.warning("Every layer is hidden, so there is no mask to write. Show one first.");
            return;
        }
        self.background.save_masks(folder, masks);
    }

    /// Writes the masks of all corrected photos into a COCO file in a folder.
    pub fn export_coco_to(&mut self, folder: &Path) {
        let segmenting = &self.state.segmenting;
        if segmenting.job.is_some() {
            self.state.notices.warning("The network is at work. Export again when it is through.");
            return;
        }
        let mut corrected: Vec<(PathBuf, Vec<_>)> = Vec::new();
        for (photo, layer, strokes) in segmenting.kept() {
            match corrected.last_mut().filter(|(last, _)| *last == photo) {
                Some((_, layers)) => layers.push((layer, strokes)),
                None => corrected.push((photo, vec![(layer, strokes)])),
            }
        }
        let keys = corrected.iter().flat_map(|(photo, _)| segmenting.needed(photo)).flat_map(|key| [key.plain(), key]);
        let known = keys.filter_map(|key| Some((key.clone(), segmenting.maps.get(&key)?.clone()))).collect();
        let work = exported(segmenting.setup.clone(), corrected, known, folder.join("masks.json"));
        self.state.segmenting.asked.clear();
        self.ask_segmenter("Exporting", work);
    }
}
