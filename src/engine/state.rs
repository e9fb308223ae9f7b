//! What the engine's threads share: the newest recipe, the queue, the evidence of every inspected photo. Locks are held
//! for look-ups only, never while something is computed or an event waits for a slow front.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{SendTimeoutError, Sender};

use super::lab::Work;
use super::message::{Event, JobId, PhotoId, PhotoRef, Request};
use crate::anomaly::{Calibration, Evidence};
use crate::recipe::{Recipe, Stage};

/// State, its two bells, and the way out for events.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Rung when the worker may have something to do.
    pub worker_bell: Condvar,
    /// Rung when the live thread may have something to do.
    pub live_bell: Condvar,
    events: Sender<Event>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// Enough for the references in force and the ones before them.
const CALIBRATIONS_KEPT: usize = 2;

/// Everything behind the lock.
pub(super) struct State {
    /// The newest recipe that was not refused.
    pub recipe: Arc<Recipe>,
    /// Counts recipes.
    pub generation: u64,
    /// The references that photos are compared with from now on.
    pub references: References,
    /// The newest calibrations, each with what it follows from.
    pub calibrations: VecDeque<(Arc<Recipe>, References, Arc<Calibration>)>,
    /// Jobs in order of arrival.
    pub jobs: VecDeque<Job>,
    /// Counts jobs and works of the lab, so that they go in order of arrival.
    pub tickets: u64,
    /// Work of the lab with its ticket, in order of arrival.
    pub labs: VecDeque<(u64, JobId, Work)>,
    /// Work of the lab in the worker's hand.
    pub lab_in_hand: Option<JobId>,
    /// Work of the lab, queued or in hand, that was asked to stop.
    pub lab_cancelled: HashSet<JobId>,
    /// Photo in the worker's hand, so that it is not lost if the worker dies.
    pub in_hand: Option<(JobId, PhotoRef)>,
    /// Photos whose evidence was made with older prompts, references or features.
    pub stale: HashSet<PhotoId>,
    /// Every photo that was inspected.
    pub photos: HashMap<PhotoId, Known>,
    /// The photo on the screen.
    pub viewed: Option<PhotoId>,
    /// The viewed photo has to be judged.
    pub view_dirty: bool,
    /// All photos have to be judged.
    pub all_dirty: bool,
    /// The engine is going down.
    pub stopping: bool,
}

/// Left-out evidence of the references, for calibration.
pub(super) type References = Arc<Vec<Arc<Evidence>>>;

/// An inspected photo.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub path: PathBuf,
    pub evidence: Arc<Evidence>,
    /// What the evidence came of, and so what its thresholds must come of: a photo that waits for new evidence is judged
    /// by the former references, never by a mixture.
    pub references: References,
}

/// A job in the queue.
#[derive(Debug)]
pub(super) struct Job {
    pub ticket: u64,
    pub id: JobId,
    pub todo: VecDeque<PhotoRef>,
    pub total: usize,
    pub failed: usize,
    pub maps: bool,
    pub started: bool,
    pub cancelled: bool,
}

impl Job {
    /// Photos that are through, well or not.
    pub fn done(&self) -> usize {
        self.total - self.todo.len()
    }
}

impl Shared {
    pub fn new(recipe: Recipe, events: Sender<Event>, wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self {
            state: Mutex::new(State {
                recipe: Arc::new(recipe),
                generation: 1,
                references: References::default(),
                calibrations: VecDeque::new(),
                jobs: VecDeque::new(),
                tickets: 0,
                labs: VecDeque::new(),
                lab_in_hand: None,
                lab_cancelled: HashSet::new(),
                in_hand: None,
                stale: HashSet::new(),
                photos: HashMap::new(),
                viewed: None,
                view_dirty: false,
                all_dirty: false,
                stopping: false,
            }),
            worker_bell: Condvar::new(),
            live_bell: Condvar::new(),
            events,
            wake,
        }
    }

    /// The state. A panic elsewhere does not spoil it: every change under the lock is whole.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends an event and wakes the front. Waits for a slow front, but not beyond the engine's end, and not for one
    /// that has gone.
    pub fn emit(&self, event: Event) {
        let mut event = event;
        loop {
            match self.events.send_timeout(event, std::time::Duration::from_millis(100)) {
                Ok(()) => return (self.wake)(),
                Err(SendTimeoutError::Disconnected(_)) => return,
                Err(SendTimeoutError::Timeout(returned)) => {
                    if self.lock().stopping {
                        return;
                    }
                    event = returned;
                    (self.wake)();
                }
            }
        }
    }

    pub fn request(&self, request: Request) {
        let mut state = self.lock();
        match request {
            Request::Inspect { job, photos, maps } => {
                let total = photos.len();
                let todo = VecDeque::from(photos);
                let ticket = state.ticket();
                state.jobs.push_back(Job {
                    ticket,
                    id: job,
                    todo,
                    total,
                    failed: 0,
                    maps,
                    started: false,
                    cancelled: false,
                });
            }
            Request::Cancel(id) => {
                if let Some(job) = state.jobs.iter_mut().find(|job| job.id == id) {
                    job.cancelled = true;
                } else if state.lab_in_hand == Some(id) || state.labs.iter().any(|(_, job, _)| *job == id) {
                    state.lab_cancelled.insert(id);
                }
            }
            Request::Forget(ids) => {
                for id in ids {
                    state.photos.remove(&id);
                    state.stale.remove(&id);
                    for job in &mut state.jobs {
                        let before = job.todo.len();
                        job.todo.retain(|photo| photo.id != id);
                        job.total -= before - job.todo.len();
                    }
                }
            }
        }
        drop(state);
        self.worker_bell.notify_one();
    }

    pub fn queue_lab(&self, job: JobId, work: Work) {
        let mut state = self.lock();
        let ticket = state.ticket();
        state.labs.push_back((ticket, job, work));
        drop(state);
        self.worker_bell.notify_one();
    }

    pub fn set_recipe(&self, recipe: Recipe) {
        let mut state = self.lock();
        let Some(stage) = state.recipe.stage_changed(&recipe) else { return };
        state.recipe = Arc::new(recipe);
        state.generation += 1;
        // Arithmetic is answered at once; anything deeper comes back from the worker as new evidence.
        if stage == Stage::Judgement {
            state.judge_all();
        }
        drop(state);
        self.worker_bell.notify_one();
        self.live_bell.notify_one();
    }

    pub fn view(&self, photo: Option<PhotoId>) {
        let mut state = self.lock();
        state.viewed = photo;
        state.view_dirty = true;
        drop(state);
        self.live_bell.notify_one();
        self.worker_bell.notify_one();
    }

    pub fn stop(&self) {
        self.lock().stopping = true;
        self.worker_bell.notify_all();
        self.live_bell.notify_all();
    }

    /// Thresholds and scale of a recipe on references, computed once while they are in use.
    pub fn calibration(&self, recipe: &Arc<Recipe>, references: &References) -> Arc<Calibration> {
        let known = self.lock().calibrations.iter().find_map(|(of_recipe, of_references, calibration)| {
            let same = Arc::ptr_eq(of_recipe, recipe) && Arc::ptr_eq(of_references, references);
            same.then(|| calibration.clone())
        });
        known.unwrap_or_else(|| {
            let calibration = Arc::new(Calibration::new(references, recipe));
            let mut state = self.lock();
            state.calibrations.push_front((recipe.clone(), references.clone(), calibration.clone()));
            state.calibrations.truncate(CALIBRATIONS_KEPT);
            calibration
        })
    }
}

impl State {
    fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// Has the live thread judge the viewed photo and then all others.
    pub fn judge_all(&mut self) {
        self.view_dirty = true;
        self.all_dirty = true;
    }
}
