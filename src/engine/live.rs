//! The live thread: judges evidence with the newest recipe, the photo on view first, then all others until something
//! newer comes. No network, no device: this is what answers a slider.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::message::{Event, PhotoId, View};
use super::state::{References, Shared};
use crate::anomaly::{Calibration, Evidence, judge};
use crate::recipe::{Recipe, Stage};
use crate::{Error, Result};

/// Runs until the engine stops. A panic in one round is reported and the next round goes on.
pub(super) fn run(shared: &Shared) {
    let mut backlog: VecDeque<PhotoId> = VecDeque::new();
    while let Some(work) = next(shared, &mut backlog) {
        let round = catch_unwind(AssertUnwindSafe(|| match work {
            Work::View(id) => tell(shared, id, |view| Event::ViewJudged(Arc::new(view))),
            Work::Photo(id) => {
                tell(shared, id, |view| Event::PhotoInspected {
                    id,
                    job: None,
                    inspection: view.inspection,
                    map: None,
                });
            }
        }));
        if round.is_err() {
            shared.emit(Event::EngineRestarted { reason: "a judgement failed unexpectedly".to_owned() });
        }
    }
}

/// Judges a photo and tells of it; again where the worker made its evidence anew meanwhile and may have spoken first, so
/// that the last word is never about evidence that is gone.
fn tell(shared: &Shared, id: PhotoId, event: impl Fn(View) -> Event) {
    while let Some(view) = judge_photo(shared, id) {
        let evidence = view.evidence.clone();
        shared.emit(event(view));
        let state = shared.lock();
        if state.photos.get(&id).is_none_or(|known| Arc::ptr_eq(&known.evidence, &evidence)) {
            return;
        }
    }
}

enum Work {
    View(PhotoId),
    Photo(PhotoId),
}

/// The next thing to judge; waits for it. `None` when the engine stops.
fn next(shared: &Shared, backlog: &mut VecDeque<PhotoId>) -> Option<Work> {
    let mut state = shared.lock();
    loop {
        if state.stopping {
            return None;
        }
        if std::mem::take(&mut state.all_dirty) {
            backlog.clear();
            backlog.extend(state.photos.keys().copied());
            // Ids grow with the order of opening: the film strip fills from its start.
            backlog.make_contiguous().sort_unstable();
        }
        if std::mem::take(&mut state.view_dirty)
            && let Some(viewed) = state.viewed
        {
            return Some(Work::View(viewed));
        }
        if let Some(id) = backlog.pop_front() {
            return Some(Work::Photo(id));
        }
        state = shared.live_bell.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
    }
}

/// Judges a photo with the newest recipe; `None` if it was not inspected.
pub(super) fn judge_photo(shared: &Shared, id: PhotoId) -> Option<View> {
    let (recipe, known) = {
        let state = shared.lock();
        (state.recipe.clone(), state.photos.get(&id)?.clone())
    };
    let calibration = shared.calibration(&recipe, &known.references);
    Some(view(id, known.evidence, recipe, calibration))
}

/// A recipe and what follows from it for every photo.
#[derive(Clone, Debug)]
pub struct Standard {
    recipe: Arc<Recipe>,
    references: References,
    calibration: Arc<Calibration>,
}

impl Standard {
    /// The recipe.
    pub fn recipe(&self) -> &Arc<Recipe> {
        &self.recipe
    }
}

/// The standard of a recipe that differs from the newest one in arithmetic only.
pub(super) fn standard(shared: &Shared, recipe: Arc<Recipe>) -> Result<Standard> {
    let (newest, references) = {
        let state = shared.lock();
        (state.recipe.clone(), state.references.clone())
    };
    if newest.stage_changed(&recipe).is_some_and(|stage| stage < Stage::Judgement) {
        return Err(Error::bug("a photo was to be judged by a recipe that needs other evidence."));
    }
    let calibration = Arc::new(Calibration::new(&references, &recipe));
    Ok(Standard { recipe, references, calibration })
}

/// Judges a photo with a recipe of its own; `None` if it was not inspected.
pub(super) fn judge_by(shared: &Shared, id: PhotoId, standard: &Standard) -> Option<View> {
    let known = shared.lock().photos.get(&id)?.clone();
    let Standard { recipe, references, calibration } = standard.clone();
    let calibration = if Arc::ptr_eq(&known.references, &references) {
        calibration
    } else {
        Arc::new(Calibration::new(&known.references, &recipe))
    };
    Some(view(id, known.evidence, recipe, calibration))
}

fn view(id: PhotoId, evidence: Arc<Evidence>, recipe: Arc<Recipe>, calibration: Arc<Calibration>) -> View {
    let judgement = judge(&evidence, &recipe, &calibration);
    View { id, recipe, inspection: Arc::new(judgement.inspection), map: Arc::new(judgement.map), evidence, calibration }
}
