//! A training as the window knows it, whatever is trained: the setup, what was understood of the data, how long it will
//! take, and what a run has said so far. Plain data; the training itself is a [`Course`]'s, on a thread of `background`.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::gpu::DevicePolicy;
use crate::train::forecast::Forecast;
use crate::{Error, Result};

/// Points of the losses kept; twice as many are thinned out.
pub(super) const POINTS: usize = 2000;
/// Settings wait this long for the next change before the pace is measured again, in seconds.
const PAUSE: f64 = 0.6;

/// Something, or why there is nothing, in words.
pub type Known<T> = std::result::Result<T, String>;

/// Told how far something is, says whether to go on.
pub type Told<'a> = &'a mut dyn FnMut(usize, usize) -> bool;

/// What is trained, from what, and how.
pub trait Course: Copy + Debug + Sized + 'static {
    /// What is to be trained; kept with the session.
    type Setup: Clone + Debug + Default + PartialEq + Send + 'static;
    /// The files that data is read of.
    type Source: Clone + Debug + PartialEq + Send + 'static;
    /// What was understood of them.
    type Data: Send + Sync + 'static;
    /// What the pace depends on; the rest of a setup does not change it.
    type PaceKey: Clone + Debug + PartialEq;
    type Pace: Copy + Debug + Send;
    /// Figures of the network before it is trained.
    type Judged: Copy + Debug;
    type Epoch: Clone + Debug;
    /// Losses of one batch.
    type Losses: Copy + Debug;
    /// A fact of a run.
    type Event: Clone + Send + 'static;
    type Outcome: Send;

    /// The files chosen; `None` while nothing is.
    fn source(setup: &Self::Setup) -> Option<Self::Source>;
    fn pace_key(setup: &Self::Setup) -> Self::PaceKey;
    fn epochs(setup: &Self::Setup) -> usize;
    fn seconds(epoch: &Self::Epoch) -> f64;
    /// Where the run is kept; `None` where the system names no folder for such files.
    fn out(setup: &Self::Setup) -> Option<PathBuf>;
    /// Said while nothing is chosen.
    fn choose() -> &'static str;
    /// Why these settings cannot be used; the data is not asked.
    fn problem(setup: &Self::Setup) -> Option<String>;
    /// Makes the setup fit data that was read.
    fn adopt(_setup: &mut Self::Setup, _data: &Self::Data) {}
    /// Reads and understands the files. Takes seconds.
    fn read(setup: &Self::Setup, told: Told<'_>) -> Result<Self::Data>;
    /// Measures. Takes seconds.
    fn measure(
        setup: &Self::Setup,
        data: &Self::Data,
        device: DevicePolicy,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Self::Pace>;
    fn forecast(pace: &Self::Pace, data: &Self::Data, setup: &Self::Setup) -> Forecast;
    /// Trains, and keeps the run in the folder `out`; `tell` gets what happens and says whether to go on.
    fn train(
        setup: &Self::Setup,
        data: &Self::Data,
        out: &std::path::Path,
        device: DevicePolicy,
        tell: &mut dyn FnMut(&Self::Event) -> bool,
    ) -> Result<Self::Outcome>;
    /// Whether a fact must not be left out when many follow each other.
    fn is_milestone(event: &Self::Event) -> bool;
    /// Takes a fact into what is known of the run.
    fn apply(run: &mut Run<Self>, event: Self::Event);
    /// Takes what came of the run, and says it in a sentence.
    fn conclude(run: &mut Run<Self>, outcome: Self::Outcome) -> String;
}

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Phase {
    /// Loading the model.
    Starting,
    /// Before the first epoch.
    Reading {
        done: usize,
        total: usize,
    },
    Learning {
        epoch: usize,
        batch: usize,
        batches: usize,
    },
    Judging {
        done: usize,
        total: usize,
    },
}

/// A run under way, or the last one.
#[derive(Clone, Debug)]
pub struct Run<C: Course> {
    pub out: PathBuf,
    pub setup: C::Setup,
    pub stop: Arc<AtomicBool>,
    pub phase: Phase,
    /// Before training.
    pub base: Option<C::Judged>,
    pub epochs: Vec<C::Epoch>,
    /// Epochs that were there already when it began.
    pub resumed: usize,
    /// Epochs so far (a batch is part of one), and losses of the batch.
    pub batches: Vec<(f64, C::Losses)>,
    /// It ended because nothing got better.
    pub early: bool,
    /// What speaks against trusting the result.
    pub warnings: Vec<String>,
    /// How it ended; `None` while it runs.
    pub ended: Option<Known<()>>,
    /// It was stopped by the inspector, so it can go on.
    pub stopped: bool,
}

impl<C: Course> Run<C> {
    pub fn new(out: PathBuf, setup: C::Setup) -> Self {
        Self {
            out,
            setup,
            stop: Arc::default(),
            phase: Phase::Starting,
            base: None,
            epochs: Vec::new(),
            resumed: 0,
            batches: Vec::new(),
            early: false,
            warnings: Vec::new(),
            ended: None,
            stopped: false,
        }
    }

    pub fn running(&self) -> bool {
        self.ended.is_none()
    }

    pub fn stopping(&self) -> bool {
        self.running() && self.stop.load(Ordering::Relaxed)
    }

    /// A batch is learned; epoch and batch count from 1.
    pub fn learned(&mut self, epoch: usize, batch: usize, batches: usize, losses: C::Losses) {
        self.phase = Phase::Learning { epoch, batch, batches };
        self.batches.push((epoch as f64 - 1.0 + batch as f64 / batches.max(1) as f64, losses));
        if self.batches.len() > 2 * POINTS {
            let mut keep = false;
            self.batches.retain(|_| {
                keep = !keep;
                keep
            });
        }
    }

    /// Part of the run that is through, 0–1.
    pub fn share(&self) -> f32 {
        let total = C::epochs(&self.setup).max(1) as f32;
        match self.phase {
            Phase::Starting => 0.0,
            Phase::Reading { done, total } => done as f32 / total.max(1) as f32,
            Phase::Learning { epoch, batch, batches } => {
                (epoch as f32 - 1.0 + batch as f32 / batches.max(1) as f32) / total
            }
            Phase::Judging { .. } => self.epochs.len() as f32 / total,
        }
    }

    /// Seconds left at the pace of the epochs of this sitting.
    pub fn seconds_left(&self) -> Option<f64> {
        let fresh = &self.epochs[self.resumed.min(self.epochs.len())..];
        if fresh.is_empty() {
            return None;
        }
        let each = fresh.iter().map(C::seconds).sum::<f64>() / fresh.len() as f64;
        let part = match self.phase {
            Phase::Learning { batch, batches, .. } => batch as f64 / batches.max(1) as f64,
            _ => 0.0,
        };
        Some((each * (C::epochs(&self.setup).saturating_sub(self.epochs.len()) as f64 - part)).max(0.0))
    }

    /// What it is doing, in words.
    pub fn doing(&self) -> String {
        match self.phase {
            Phase::Starting => "Loading the network…".to_owned(),
            Phase::Reading { done, total } => format!("Reading photos: {done} of {total}"),
            Phase::Learning { epoch, batch, batches } => {
                format!("Epoch {epoch} of {}: batch {batch} of {batches}", C::epochs(&self.setup))
            }
            Phase::Judging { done, total } => match self.base {
                None => format!("Judging the network before training: {done} of {total}"),
                Some(_) => format!("Judging epoch {}: {done} of {total}", self.epochs.len() + 1),
            },
        }
    }
}

/// What the background has to say of a training.
pub enum LessonNews<C: Course> {
    Reading {
        of: C::Source,
        done: usize,
        total: usize,
    },
    /// What was understood of these files.
    Read {
        of: C::Source,
        data: Result<Arc<C::Data>>,
    },
    Paced(Result<C::Pace>),
    Told(C::Event),
    Ended(Result<C::Outcome>),
}

/// What is to be done for a training that somebody looks at.
pub enum Wanted<C: Course> {
    Nothing,
    /// Read the data, until the flag says no more.
    Read(C::Source, Arc<AtomicBool>),
    /// Look again after so many seconds.
    Wait(f64),
    /// Measure the pace, until the flag says no more.
    Measure(Arc<C::Data>, Arc<AtomicBool>),
}

/// Everything the window knows of one training.
pub struct Lesson<C: Course> {
    pub setup: C::Setup,
    /// What was understood of the data, or why nothing.
    pub data: Option<Known<Arc<C::Data>>>,
    /// The files that the data is of, or is being read of.
    pub data_of: Option<C::Source>,
    /// How far the reading is, where that is known.
    pub reading: Option<(usize, usize)>,
    /// The pace, with what it was measured.
    pub pace: Option<(C::PaceKey, Known<C::Pace>)>,
    /// What is being measured.
    pub measuring: Option<C::PaceKey>,
    pub run: Option<Run<C>>,
    /// The pace that is to be measured, since when.
    wanted: Option<(C::PaceKey, f64)>,
    /// End the reading, and the measure, under way.
    read_stop: Arc<AtomicBool>,
    pace_stop: Arc<AtomicBool>,
}

impl<C: Course> Default for Lesson<C> {
    fn default() -> Self {
        Self {
            setup: C::Setup::default(),
            data: None,
            data_of: None,
            reading: None,
            pace: None,
            measuring: None,
            run: None,
            wanted: None,
            read_stop: Arc::default(),
            pace_stop: Arc::default(),
        }
    }
}

impl<C: Course> Lesson<C> {
    pub fn data(&self) -> Option<&Arc<C::Data>> {
        self.data.as_ref().and_then(|data| data.as_ref().ok())
    }

    pub fn running(&self) -> bool {
        self.run.as_ref().is_some_and(Run::running)
    }

    /// Asks the run to stop.
    pub fn stop(&self) {
        if let Some(run) = &self.run {
            run.stop.store(true, Ordering::Relaxed);
        }
    }

    /// What stops a run from being started; `None` if nothing does.
    pub fn problem(&self) -> Option<String> {
        match (&self.data, self.reading) {
            _ if C::source(&self.setup).is_none() => Some(C::choose().to_owned()),
            (None, Some((done, total))) => Some(format!("Reading the photos: {done} of {total}")),
            (None, None) => Some("Reading…".to_owned()),
            (Some(Err(error)), _) => Some(error.clone()),
            (Some(Ok(_)), _) => C::problem(&self.setup),
        }
    }

    /// What a run with this setup will take, where the pace was measured.
    pub fn forecast(&self) -> Option<Forecast> {
        let (key, pace) = self.pace.as_ref()?;
        let pace = pace.as_ref().ok().filter(|_| *key == C::pace_key(&self.setup))?;
        Some(C::forecast(pace, self.data()?, &self.setup))
    }

    /// Reads the files again at the next look, though they have the same names.
    pub fn forget_data(&mut self) {
        self.data_of = None;
        self.pace = None;
    }

    /// Ends the measure under way.
    pub fn stop_measuring(&self) {
        self.pace_stop.store(true, Ordering::Relaxed);
    }

    /// What to do next, at `now` in seconds; what is said here counts as begun.
    pub fn next(&mut self, now: f64) -> Wanted<C> {
        let of = C::source(&self.setup);
        if let Some(of) = of.filter(|of| self.data_of.as_ref() != Some(of)) {
            self.read_stop.store(true, Ordering::Relaxed);
            self.read_stop = Arc::default();
            (self.data, self.reading) = (None, None);
            self.data_of = Some(of.clone());
            return Wanted::Read(of, self.read_stop.clone());
        }
        let key = C::pace_key(&self.setup);
        let known = self.pace.as_ref().is_some_and(|(known, _)| *known == key);
        if self.running() || known || self.measuring.is_some() || self.problem().is_some() {
            return Wanted::Nothing;
        }
        // A number being dragged would be measured at every step.
        if self.wanted.as_ref().is_none_or(|(wanted, _)| *wanted != key) {
            self.wanted = Some((key.clone(), now));
        }
        let waited = now - self.wanted.as_ref().map_or(now, |(_, since)| *since);
        if waited < PAUSE {
            return Wanted::Wait(PAUSE - waited + 0.01);
        }
        let Some(data) = self.data().cloned() else { return Wanted::Nothing };
        self.measuring = Some(key);
        self.pace_stop = Arc::default();
        Wanted::Measure(data, self.pace_stop.clone())
    }

    /// Takes news; gives what the inspector is told at the end of a run.
    pub fn take(&mut self, news: LessonNews<C>) -> Option<Known<String>> {
        match news {
            LessonNews::Reading { of, done, total } if self.data_of.as_ref() == Some(&of) => {
                self.reading = Some((done, total));
            }
            LessonNews::Read { of, data } if self.data_of.as_ref() == Some(&of) => {
                if let Ok(data) = &data {
                    C::adopt(&mut self.setup, data);
                }
                self.data = Some(data.map_err(|error| error.to_string()));
            }
            // Other files are chosen by now.
            LessonNews::Reading { .. } | LessonNews::Read { .. } => {}
            LessonNews::Paced(pace) => {
                if let Some(key) = self.measuring.take()
                    && !matches!(pace, Err(Error::Cancelled))
                {
                    self.pace = Some((key, pace.map_err(|error| error.to_string())));
                }
            }
            LessonNews::Told(event) => {
                if let Some(run) = &mut self.run {
                    C::apply(run, event);
                }
            }
            LessonNews::Ended(outcome) => {
                let run = self.run.as_mut()?;
                match outcome {
                    Ok(outcome) => {
                        run.ended = Some(Ok(()));
                        return Some(Ok(C::conclude(run, outcome)));
                    }
                    Err(Error::Cancelled) => {
                        run.stopped = true;
                        run.ended = Some(Err("Stopped. The same training goes on where it was kept.".to_owned()));
                    }
                    Err(error) => {
                        run.ended = Some(Err(error.to_string()));
                        return Some(Err(error.to_string()));
                    }
                }
            }
        }
        None
    }
}

/// At most `count`, evenly over the whole.
pub(super) fn spread<T>(all: &[T], count: usize) -> Vec<&T> {
    let shown = count.min(all.len());
    (0..shown).map(|at| &all[at * all.len() / shown]).collect()
}
