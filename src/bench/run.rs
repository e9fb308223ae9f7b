//! Runs a plan: one engine for all runs, class after class. Test photos come out of the engine judged; worker threads
//! enlarge their maps and read their masks, this thread takes them in. Finished classes are stored at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::class::{Collector, Frame, Measured, Through, Trouble};
use super::plan::{Plan, RunPlan};
use super::results::{ClassResult, FailedFile, FigureSet, RunResult, ScoredPhoto};
use super::{files, store};
use crate::count::count;
use crate::dataset::mvtec::MvtecClass;
use crate::engine::{Engine, EngineOptions, Event, JobId, PhotoId, PhotoRef, Request, Stage};
use crate::report::{self, ModelIdentity};
use crate::{Error, Recipe, Result};

/// A fact from a benchmark, for whoever watches it.
#[derive(Clone, Debug)]
pub enum BenchEvent {
    /// A run begins: `index` of `total`, counted from 0.
    RunStarted { index: usize, total: usize, title: String, seed: u64 },
    /// The class was measured before and is taken over.
    ClassKept(Arc<ClassResult>),
    /// The test photos of a class are next.
    ClassStarted { class: String, photos: usize },
    /// The engine is getting ready: `done` of `total` steps.
    Preparing { stage: Stage, done: usize, total: usize },
    /// A test photo has its score; `done` of `total` of its class are through.
    PhotoMeasured { photo: ScoredPhoto, done: usize, total: usize },
    /// A photo, mask or reference could not be used; the rest goes on.
    Failed { path: PathBuf, error: String },
    /// The class has its figures.
    ClassFinished(Arc<ClassResult>),
    /// The run is complete and its files are written.
    RunFinished(Arc<RunResult>),
    /// Something one should know that stops nothing.
    Warned(String),
    /// Nothing new; a chance to stop.
    Waiting,
}

/// What a complete benchmark found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// In the order of the plan.
    pub runs: Vec<Arc<RunResult>>,
}

impl Outcome {
    /// Files that could not be used, each once however many runs met it.
    pub fn failures(&self) -> usize {
        let paths: std::collections::HashSet<&Path> =
            self.runs.iter().flat_map(|run| run.failures()).map(|failure| failure.path.as_path()).collect();
        paths.len()
    }
}

/// Runs the plan and writes its files. `watch` is told every event and returns false to stop; it is asked several times a
/// second. Runs on the caller's thread with an engine of its own, so that a window's engine is not disturbed.
///
/// # Errors
/// [`Error::Cancelled`] when `watch` said stop: finished classes are stored, and the same plan goes on there. What an
/// engine refuses (a model that does not load, references of which none can be read), and [`Error::Io`] for a file that
/// cannot be written.
pub fn run(plan: &Plan, engine: EngineOptions, watch: &mut dyn FnMut(BenchEvent) -> bool) -> Result<Outcome> {
    report::create_folder(&plan.out)?;
    let mut session = Session { options: engine, running: None, loaded: None, jobs: 0, photos: 0, watch };
    for note in &plan.notes {
        session.tell(BenchEvent::Warned(note.clone()))?;
    }
    let mut runs = Vec::new();
    for (index, run) in plan.runs.iter().enumerate() {
        let title = super::plan::title(&run.recipe, run.shots);
        session.tell(BenchEvent::RunStarted { index, total: plan.runs.len(), title, seed: run.recipe.seed })?;
        let classes = plan.classes.iter().map(|class| session.class(plan, run, class)).collect::<Result<Vec<_>>>()?;
        let result = Arc::new(RunResult {
            folder: run.folder.clone(),
            created: report::utc(SystemTime::now()),
            protocol: plan.protocol,
            shots: run.shots,
            recipe: run.recipe.clone(),
            mean: FigureSet::mean(classes.iter().map(|class| &class.figures.figures)),
            classes,
        });
        files::write_run(&result)?;
        session.tell(BenchEvent::RunFinished(result.clone()))?;
        runs.push(result);
    }
    if runs.len() > 1 {
        let results: Vec<RunResult> = runs.iter().map(|run| RunResult::clone(run)).collect();
        files::write_joint(&plan.out, &results)?;
    }
    Ok(Outcome { runs })
}

/// Index of a test photo in its class, and what a worker thread made of it.
type FromWorker = (usize, std::result::Result<Measured, Trouble>);

/// The model in force, under the names that the recipe has for it.
struct Loaded {
    names: (String, Option<String>),
    models: Vec<ModelIdentity>,
    device: String,
}

struct Session<'a> {
    options: EngineOptions,
    running: Option<(Arc<Engine>, Receiver<Event>)>,
    loaded: Option<Loaded>,
    /// Counts jobs.
    jobs: JobId,
    /// Counts photos: an id is never used twice, because news of a forgotten photo may still be under way.
    photos: PhotoId,
    watch: &'a mut dyn FnMut(BenchEvent) -> bool,
}

impl Session<'_> {
    fn tell(&mut self, event: BenchEvent) -> Result<()> {
        if (self.watch)(event) { Ok(()) } else { Err(Error::Cancelled) }
    }

    /// Starts the engine with the recipe, or hands it over.
    fn follow(&mut self, recipe: Recipe) -> Result<()> {
        if let Some((engine, _)) = &self.running {
            engine.set_recipe(recipe);
        } else {
            let (engine, events) = Engine::start(self.options.clone(), recipe, || {})?;
            self.running = Some((Arc::new(engine), events));
        }
        Ok(())
    }

    /// The next event of the engine, or `None` after a short wait; what is common to all phases is dealt with here.
    fn next(&mut self) -> Result<Option<Event>> {
        let Some((_, events)) = &self.running else { return Err(Error::bug("the benchmark waits without an engine.")) };
        let event = match events.recv_timeout(Duration::from_millis(100)) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => return Ok(None),
            Err(RecvTimeoutError::Disconnected) => return Err(Error::bug("the engine went away.")),
        };
        match event {
            Event::RecipeRefused(error) => return Err(error),
            Event::Preparing { stage, done, total } => self.tell(BenchEvent::Preparing { stage, done, total })?,
            Event::Warned(warning) => self.tell(BenchEvent::Warned(warning))?,
            Event::EngineRestarted { reason } => {
                self.tell(BenchEvent::Warned(format!("The engine was started again: {reason}")))?;
            }
            other => return Ok(Some(other)),
        }
        Ok(None)
    }

    /// Loads the models that the recipe names, unless they are loaded, so that their hashes are known.
    fn load(&mut self, recipe: &Recipe) -> Result<(Vec<ModelIdentity>, String)> {
        let names = (recipe.model.clone(), recipe.memory_model.clone());
        if let Some(loaded) = self.loaded.as_ref().filter(|loaded| loaded.names == names) {
            return Ok((loaded.models.clone(), loaded.device.clone()));
        }
        self.follow(recipe.clone())?;
        loop {
            if let Some(Event::ModelLoaded { model, memory_model, device }) = self.next()? {
                let models: Vec<_> =
                    std::iter::once(model).chain(memory_model).map(|model| ModelIdentity::of(&model)).collect();
                self.loaded = Some(Loaded { names, models: models.clone(), device: device.clone() });
                return Ok((models, device));
            }
            self.tell(BenchEvent::Waiting)?;
        }
    }

    /// One class of one run: taken over, or measured and stored.
    fn class(&mut self, plan: &Plan, run: &RunPlan, class: &MvtecClass) -> Result<ClassResult> {
        let recipe = plan.recipe(run, class);
        let (models, device) = self.load(&recipe)?;
        let fingerprint = store::fingerprint(class, &recipe, &models, plan.protocol, plan.save_maps)?;
        if let Some(kept) = store::load(&run.folder, &class.name, &fingerprint) {
            self.tell(BenchEvent::ClassKept(Arc::new(kept.clone())))?;
            return Ok(kept);
        }
        self.tell(BenchEvent::ClassStarted { class: class.name.clone(), photos: class.test.len() })?;
        let frame = Frame::new(class, plan.protocol);
        let unmasked = class.test.iter().filter(|photo| photo.anomalous() && photo.mask.is_none()).count();
        if frame.masks && unmasked > 0 {
            self.tell(BenchEvent::Warned(format!(
                "{}: {} no mask; their pixels are left out.",
                class.name,
                count(unmasked, "anomalous photo has", "anomalous photos have")
            )))?;
        }
        self.follow(recipe.clone())?;
        let maps = plan.save_maps.then(|| run.folder.join("maps").join(&class.name));
        let (collector, unusable) = self.photos(&frame, &recipe.references, maps.as_deref())?;
        let result = collector.finish(fingerprint, recipe, models, device, unusable);
        store::save(&run.folder, &result)?;
        self.tell(BenchEvent::ClassFinished(Arc::new(result.clone())))?;
        Ok(result)
    }

    /// Has the engine judge the test photos and takes them in. Second value: references that could not be used.
    fn photos<'f>(
        &mut self,
        frame: &'f Frame<'f>,
        references: &[PathBuf],
        maps: Option<&Path>,
    ) -> Result<(Collector<'f>, usize)> {
        let Some((engine, _)) = &self.running else { return Err(Error::bug("photos without an engine.")) };
        let engine = engine.clone();
        self.jobs += 1;
        let (job, first) = (self.jobs, self.photos);
        let test = &frame.class.test;
        self.photos += test.len() as PhotoId;
        let photos = test.iter().zip(first..).map(|(photo, id)| PhotoRef { id, path: photo.path.clone() }).collect();
        engine.send(Request::Inspect { job, photos, maps: false });
        let (to_workers, work) = crossbeam_channel::bounded::<PhotoId>(64);
        let (from_workers, measured) = crossbeam_channel::unbounded::<FromWorker>();
        let mut collector = Collector::new(frame);
        let outcome = std::thread::scope(|scope| {
            for _ in 0..rayon::current_num_threads().clamp(1, 8) {
                let (work, from_workers, engine) = (work.clone(), from_workers.clone(), engine.clone());
                scope.spawn(move || {
                    for id in work {
                        let index = (id - first) as usize;
                        let outcome = engine
                            .judged(id)
                            .ok_or_else(|| Trouble::Output(Error::bug("an inspected photo is not known any more.")))
                            .and_then(|view| frame.measure(index, &view, maps));
                        engine.send(Request::Forget(vec![id]));
                        if from_workers.send((index, outcome)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop((work, from_workers));
            self.watch_job(job, first, references, &mut collector, to_workers, &measured)
        });
        if outcome.is_err() {
            engine.send(Request::Cancel(job));
        }
        Ok((collector, outcome?))
    }

    /// Follows a job to its end. Gives the number of references that could not be used.
    fn watch_job(
        &mut self,
        job: JobId,
        first: PhotoId,
        references: &[PathBuf],
        collector: &mut Collector<'_>,
        to_workers: Sender<PhotoId>,
        measured: &Receiver<FromWorker>,
    ) -> Result<usize> {
        let mut unusable: Vec<PathBuf> = Vec::new();
        loop {
            for outcome in measured.try_iter() {
                self.take(collector, outcome)?;
            }
            match self.next()? {
                Some(Event::PhotoInspected { id, job: Some(of), .. }) if of == job => {
                    to_workers.send(id).map_err(|_| Error::bug("the measuring threads went away."))?;
                }
                Some(Event::PhotoFailed { id, job: of, error, .. }) if of == job => {
                    self.take(collector, ((id - first) as usize, Err(Trouble::Photo(error))))?;
                }
                Some(Event::MemoryBuilt { failures, .. }) => {
                    // News of the memory of a recipe before this one may still come in.
                    let new = |path: &PathBuf| references.contains(path) && !unusable.contains(path);
                    let failures: Vec<_> = failures.into_iter().filter(|(path, _)| new(path)).collect();
                    for (path, error) in failures {
                        unusable.push(path.clone());
                        collector.fail(path.clone(), &error);
                        self.tell(BenchEvent::Failed { path, error: error.to_string() })?;
                    }
                }
                Some(Event::JobFinished { job: of, .. }) if of == job => break,
                Some(_) => {}
                None => self.tell(BenchEvent::Waiting)?,
            }
        }
        // The workers end when their queue is closed and empty; the channel closes behind the last of them.
        drop(to_workers);
        for outcome in measured {
            self.take(collector, outcome)?;
        }
        Ok(unusable.len())
    }

    /// Takes in one photo and tells of every one whose turn has come.
    fn take(&mut self, collector: &mut Collector<'_>, (index, outcome): FromWorker) -> Result<()> {
        let outcome = match outcome {
            Err(Trouble::Output(error)) => return Err(error),
            Err(Trouble::Photo(error)) => Err(error),
            Ok(measured) => Ok(measured),
        };
        for through in collector.put(index, outcome) {
            self.tell(match through {
                Through::Measured(photo, done) => BenchEvent::PhotoMeasured { photo, done, total: collector.total() },
                Through::Failed(FailedFile { path, error }) => BenchEvent::Failed { path, error },
            })?;
        }
        Ok(())
    }
}
