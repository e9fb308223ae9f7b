//! `hairline inspect`: photos in, pictures and reports out. One bad photo never stops a batch; a folder that cannot be
//! written does.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use clap::Args;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::console::{Console, Progress};
use super::{Common, absolute, all_but, interrupt};
use crate::anomaly::{Inspection, Verdict};
use crate::count::count;
use crate::dataset::choose;
use crate::dataset::export::{ExportFormat, ExportSet};
use crate::engine::{Engine, EngineOptions, Event, PhotoId, PhotoRef, Request, Stage};
use crate::explain::VlmClient;
use crate::gpu::linear::Precision;
use crate::history::{History, MadeWith, NewEntry};
use crate::photo::{Photo, find_photos};
use crate::recipe::Method;
use crate::report::json::ResultsDocument;
use crate::report::{
    self, ColourMap, ModelIdentity, PhotoResult, ReportOptions, Run, RunPhoto, Thumbnails, unique_stems,
};
use crate::{Error, Recipe, Result};

/// The one job of this process.
const JOB: u64 = 1;

/// Arguments of `hairline inspect`.
#[derive(Clone, Debug, Args)]
pub struct InspectArgs {
    /// Photos, or folders that are searched at every depth
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Folder for the results; it is created
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Start from this recipe; the flags below override it
    #[arg(long, value_name = "FILE.ron")]
    pub recipe: Option<PathBuf>,
    /// What is being looked at, e.g. "metal ring"
    #[arg(long, value_name = "NAME")]
    pub object: Option<String>,
    /// Photos of normal parts for reference: a folder or a photo; may be repeated
    #[arg(long, value_name = "DIR")]
    pub normal: Vec<PathBuf>,
    /// Use only this many of the reference photos, chosen by the seed
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub shots: Option<u32>,
    /// Share of the text map [default: 0.3]
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    pub text_weight: Option<f32>,
    /// Share of the memory map [default: 0.7]; without reference photos the text map stands alone
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    pub memory_weight: Option<f32>,
    /// Compare patches of this network instead: catalogue id, folder, or a timm ViT's safetensors file
    #[arg(long, value_name = "ID|DIR")]
    pub memory_model: Option<String>,
    /// Preset: fused, origin, memory, patchcore, subspace, winclip, winclip-plus or batch
    #[arg(long, value_name = "NAME", value_parser = method)]
    pub method: Option<Method>,
    /// Raw image score above which a part is NG [default: calibrated on the reference photos]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    pub image_threshold: Option<f32>,
    /// Regions reported at most per photo [default: 5]
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,
    /// Write the raw anomaly maps as well (<stem>_map.npy)
    #[arg(long)]
    pub save_maps: bool,
    /// Keep every verdict in a history: an SQLite file, or postgres://user@host/database
    #[arg(long, value_name = "FILE|URL")]
    pub history: Option<String>,
    /// Whose words describe regions: rules, or vlm (the vision-language server that the recipe names)
    #[arg(long, value_name = "HOW", default_value = "rules", value_parser = ["rules", "vlm"])]
    pub explain: String,
    /// Write the recipe that these flags amount to
    #[arg(long, value_name = "FILE.ron")]
    pub save_recipe: Option<PathBuf>,
    /// Colours of heatmaps: inferno, viridis, cividis or turbo
    #[arg(long, value_name = "NAME", default_value = "inferno", value_parser = colours)]
    pub colours: ColourMap,
    /// Write verdicts and regions for other programs as well: coco, fiftyone, labelstudio
    #[arg(long, value_name = "FORMATS", value_delimiter = ',', value_parser = super::classify::export_format)]
    pub export: Vec<ExportFormat>,
    /// Print results.json to stdout instead of a table
    #[arg(long)]
    pub json: bool,
    /// How networks multiply on the processor: f32, or bf16, about twice as fast with AVX-512 BF16; scores move a little
    #[arg(long, value_name = "P", default_value_t)]
    pub precision: Precision,
    /// Compute everything anew: neither read nor fill the cache of features on disk
    #[arg(long)]
    pub no_cache: bool,
}

pub(super) fn method(text: &str) -> std::result::Result<Method, String> {
    text.parse().map_err(|error: Error| error.to_string())
}

fn colours(text: &str) -> std::result::Result<ColourMap, String> {
    ColourMap::ALL.into_iter().find(|map| map.name() == text).ok_or_else(|| {
        let known: Vec<_> = ColourMap::ALL.iter().map(|map| map.name()).collect();
        format!("Use one of: {}.", known.join(", "))
    })
}

/// Inspects and reports.
pub fn run(args: InspectArgs, common: &Common, console: &Console) -> Result<()> {
    interrupt::listen()?;
    let mut recipe = recipe(&args, common)?;
    let mut failures = Vec::new();
    if !args.normal.is_empty() {
        let (mut references, unusable) = find_photos(&absolute(args.normal.clone()), true);
        let unusable: Vec<_> = unusable.into_iter().map(|failure| (failure.path, failure.error)).collect();
        if references.is_empty() {
            return Err(unusable.into_iter().next().map_or_else(
                || Error::input("--normal has no photos. Give a folder of photos of normal parts."),
                |(_, error)| error,
            ));
        }
        note_failures(&unusable);
        failures.extend(unusable);
        if let Some(shots) = args.shots {
            references = choose(references, shots as usize, recipe.seed);
        }
        recipe.references = references;
    } else if let Some(shots) = args.shots {
        if recipe.references.is_empty() {
            return Err(Error::input("--shots needs reference photos: give a folder of normal parts with --normal."));
        }
        recipe.references = choose(std::mem::take(&mut recipe.references), shots as usize, recipe.seed);
    }
    recipe.check()?;
    if recipe.references.is_empty() && recipe.method.needs_references() {
        return Err(Error::input(format!(
            "The method `{}` compares with photos of normal parts: give a folder of them with --normal.",
            recipe.method
        )));
    }
    report::create_folder(&args.out)?;
    if let Some(path) = &args.save_recipe {
        let ron = recipe.to_ron()?;
        report::write_file(path, |out| out.write_all(ron.as_bytes()))?;
    }
    let (photos, unusable) = find_photos(&args.paths, true);
    // Results of an earlier run inside a searched folder are no photos of parts.
    let out = args.out.canonicalize().unwrap_or_else(|_| args.out.clone());
    let photos: Vec<PathBuf> =
        photos.into_iter().filter(|photo| !photo.canonicalize().is_ok_and(|photo| photo.starts_with(&out))).collect();
    let unusable: Vec<_> = unusable.into_iter().map(|failure| (failure.path, failure.error)).collect();
    note_failures(&unusable);
    failures.extend(unusable);
    if photos.is_empty() {
        return Err(Error::input("There is no photo to inspect. Give photos, or folders that hold some."));
    }
    let recipe = recipe.among(photos.iter().cloned());
    let job = Job {
        photos,
        out: args.out,
        colours: args.colours,
        save_maps: args.save_maps,
        precision: args.precision,
        cache: !args.no_cache,
        export: args.export,
        json: args.json,
        failures,
        vlm: (args.explain == "vlm").then(|| VlmClient::new(&recipe)).transpose()?,
        recipe,
        history: args.history.as_deref().map(History::open).transpose()?.map(Mutex::new),
    };
    job.run(common, console)
}

/// The recipe file, then the preset, then single flags.
fn recipe(args: &InspectArgs, common: &Common) -> Result<Recipe> {
    let mut recipe = match &args.recipe {
        Some(path) => Recipe::open(path)?,
        None => Recipe::default(),
    };
    if let Some(method) = args.method {
        recipe.apply_method(method);
    }
    if let Some(model) = &common.model {
        recipe.model.clone_from(model);
    }
    if let Some(model) = &args.memory_model {
        recipe.memory_model = Some(model.clone());
    }
    if let Some(object) = &args.object {
        recipe.object.clone_from(object);
    }
    recipe.text_weight = args.text_weight.unwrap_or(recipe.text_weight);
    recipe.memory_weight = args.memory_weight.unwrap_or(recipe.memory_weight);
    recipe.image_threshold = args.image_threshold.or(recipe.image_threshold);
    recipe.top_k = args.top_k.unwrap_or(recipe.top_k);
    recipe.seed = common.seed.unwrap_or(recipe.seed);
    Ok(recipe)
}

fn note_failures(failures: &[(PathBuf, Error)]) {
    for (_, error) in failures {
        Console::failure(error);
    }
}

/// A batch, ready to run.
pub struct Job {
    pub photos: Vec<PathBuf>,
    pub recipe: Recipe,
    pub out: PathBuf,
    pub colours: ColourMap,
    pub save_maps: bool,
    pub precision: Precision,
    pub cache: bool,
    pub export: Vec<ExportFormat>,
    pub json: bool,
    /// What failed before the batch began.
    pub failures: Vec<(PathBuf, Error)>,
    /// Where verdicts are kept, before any file tells them.
    pub history: Option<Mutex<History>>,
    /// Who puts regions into words; `None` leaves it to the rules.
    pub vlm: Option<VlmClient>,
}

/// Made by a writer thread.
type Written = (PhotoId, Result<RunPhoto, WriteError>);

/// A photo that cannot be read again fails alone; a file that cannot be written ends the run.
enum WriteError {
    Photo(Error),
    Output(Error),
}

impl Job {
    /// Inspects every photo, writes its files while the next one is inspected, and then the files of the run.
    pub fn run(mut self, common: &Common, console: &Console) -> Result<()> {
        let stems = unique_stems(&self.photos);
        // Files are written more slowly than photos are inspected; few wait in between, so that a stop is a stop.
        let mut options = EngineOptions {
            device: common.device,
            precision: self.precision,
            event_queue: 256,
            ..EngineOptions::default()
        };
        if !self.cache {
            options.cache_dir = None;
        }
        let (engine, events) = Engine::start(options, self.recipe.clone(), || {})?;
        let photos =
            self.photos.iter().enumerate().map(|(id, path)| PhotoRef { id: id as PhotoId, path: path.clone() });
        engine.send(Request::Inspect { job: JOB, photos: photos.collect(), maps: false });

        let identity: OnceLock<ReportOptions> = OnceLock::new();
        // Once stopped, what was judged but is not begun is not written.
        let stopped = AtomicBool::new(false);
        let (to_writers, work) = crossbeam_channel::bounded::<PhotoId>(64);
        let (from_writers, written) = crossbeam_channel::unbounded::<Written>();
        let outcome = std::thread::scope(|scope| {
            for _ in 0..rayon::current_num_threads().min(8) {
                let (work, from_writers) = (work.clone(), from_writers.clone());
                let (engine, identity, job, stems, stopped) = (&engine, &identity, &self, &stems, &stopped);
                scope.spawn(move || {
                    for id in work.into_iter().filter(|_| !stopped.load(Ordering::Relaxed)) {
                        let outcome = job.write(engine, id, &stems[id as usize], identity.get());
                        engine.send(Request::Forget(vec![id]));
                        if from_writers.send((id, outcome)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop((work, from_writers));
            self.follow(&engine, &events, to_writers, &written, &identity, &stopped, console)
        });
        drop(engine);
        let Outcome { photos, failures, cancelled, fatal } = outcome;
        if let Some(error) = fatal {
            return Err(error);
        }
        self.failures.extend(failures);
        let Some(options) = identity.into_inner() else {
            return Err(if cancelled { Error::Cancelled } else { Error::bug("the engine never named its model.") });
        };
        let run = Run {
            created: report::utc(SystemTime::now()),
            recipe: self.recipe,
            model: options.model,
            memory_model: options.memory_model,
            device: options.device,
            photos,
            failures: self.failures,
            cancelled,
        };
        report::write_run(&self.out, &run)?;
        let made_by = format!("Hairline {}, {}", report::json::VERSION, run.model.id);
        let inspections = run.photos.iter().map(|photo| &*photo.inspection);
        let set = ExportSet::from_inspections(inspections, &made_by);
        for format in &self.export {
            set.write(*format, &self.out)?;
        }
        summarise(&run, &self.out, self.json, console)
    }

    /// Follows the engine's events until the batch is through or stopped, handing inspected photos to the writers.
    fn follow(
        &self,
        engine: &Engine,
        events: &Receiver<Event>,
        to_writers: Sender<PhotoId>,
        written: &Receiver<Written>,
        identity: &OnceLock<ReportOptions>,
        stopped: &AtomicBool,
        console: &Console,
    ) -> Outcome {
        let mut progress: Option<Progress> = None;
        let mut outcome = Outcome::default();
        let mut results: HashMap<PhotoId, RunPhoto> = HashMap::new();
        let mut failures: HashMap<PhotoId, (PathBuf, Error)> = HashMap::new();
        let collect = |entry: Written,
                       outcome: &mut Outcome,
                       results: &mut HashMap<PhotoId, RunPhoto>,
                       failures: &mut HashMap<PhotoId, (PathBuf, Error)>| {
            let (id, result) = entry;
            match result {
                Ok(photo) => {
                    results.insert(id, photo);
                }
                Err(WriteError::Photo(error)) => {
                    Console::failure(&error);
                    failures.insert(id, (self.photos[id as usize].clone(), error));
                }
                Err(WriteError::Output(error)) => {
                    outcome.fatal.get_or_insert(error);
                }
            }
        };
        // Before the first photo there are networks, references and a memory to wait for, minutes if they are many.
        let mut begun = false;
        loop {
            if (interrupt::wanted() || outcome.fatal.is_some()) && !stopped.swap(true, Ordering::Relaxed) {
                if !begun {
                    outcome.cancelled = outcome.fatal.is_none();
                    break;
                }
                engine.send(Request::Cancel(JOB));
                if outcome.fatal.is_none() {
                    console.note("Stopping after the photo in hand …");
                }
            }
            for entry in written.try_iter() {
                collect(entry, &mut outcome, &mut results, &mut failures);
            }
            let event = match events.recv_timeout(Duration::from_millis(100)) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => {
                    outcome.fatal.get_or_insert_with(|| Error::bug("the engine went away."));
                    break;
                }
            };
            begun |=
                matches!(event, Event::JobProgressed { .. } | Event::PhotoInspected { .. } | Event::PhotoFailed { .. });
            match event {
                Event::Preparing { stage, done, total } => {
                    if progress.as_ref().is_none_or(|progress| !progress.counts(stage_words(stage))) {
                        progress = Some(console.progress(total as u64, stage_words(stage)));
                    }
                    if let Some(progress) = &mut progress {
                        progress.set(done as u64);
                    }
                }
                Event::ModelLoaded { model, memory_model, device } => {
                    let memory = memory_model.as_ref().map_or(String::new(), |model| format!(" and {}", model.id));
                    console.note(format!("Model {}{memory} on {device}", model.id));
                    let options = ReportOptions {
                        model: ModelIdentity::of(&model),
                        memory_model: memory_model.as_deref().map(ModelIdentity::of),
                        device,
                        colours: self.colours,
                        save_map: self.save_maps,
                    };
                    let _ = identity.set(options);
                }
                Event::MemoryBuilt { references, patches, kept, failures } => {
                    progress = None;
                    if references > 0 {
                        let references = count(references, "reference photo", "reference photos");
                        console.note(format!("{references}, {kept} of {patches} patches kept"));
                    }
                    note_failures(&failures);
                    outcome.failures.extend(failures);
                }
                Event::JobProgressed { done, total, .. } => {
                    if progress.as_ref().is_none_or(|progress| !progress.counts("photos inspected")) {
                        progress = Some(console.progress(total as u64, "photos inspected"));
                    }
                    if let Some(progress) = &mut progress {
                        progress.set(done as u64);
                    }
                }
                Event::PhotoInspected { id, job: Some(_), .. } => {
                    if to_writers.send(id).is_err() {
                        outcome.fatal.get_or_insert_with(|| Error::bug("the writers went away."));
                    }
                }
                Event::PhotoFailed { id, path, error, .. } => {
                    match &progress {
                        Some(progress) => progress.suspend(|| Console::failure(&error)),
                        None => Console::failure(&error),
                    }
                    failures.insert(id, (path, error));
                }
                Event::Warned(warning) => console.warn(warning),
                Event::EngineRestarted { reason } => console.warn(format!("The engine was started again: {reason}")),
                Event::RecipeRefused(error) => {
                    outcome.fatal.get_or_insert(error);
                    break;
                }
                Event::JobFinished { .. } => break,
                Event::JobCancelled { .. } => {
                    outcome.cancelled = true;
                    break;
                }
                Event::JobStarted { .. } | Event::PhotoInspected { job: None, .. } | Event::ViewJudged(_) => {}
            }
        }
        drop(progress);
        // The writers end when their queue is closed and empty; the channel closes behind the last of them.
        drop(to_writers);
        loop {
            match written.recv_timeout(Duration::from_millis(100)) {
                Ok(entry) => collect(entry, &mut outcome, &mut results, &mut failures),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if interrupt::wanted() || outcome.fatal.is_some() {
                stopped.store(true, Ordering::Relaxed);
            }
        }
        // The engine may have been through before it was told to stop.
        outcome.cancelled |= stopped.load(Ordering::Relaxed) && results.len() + failures.len() < self.photos.len();
        for id in 0..self.photos.len() as PhotoId {
            outcome.photos.extend(results.remove(&id));
            outcome.failures.extend(failures.remove(&id));
        }
        outcome
    }

    fn write(
        &self,
        engine: &Engine,
        id: PhotoId,
        stem: &str,
        options: Option<&ReportOptions>,
    ) -> Result<RunPhoto, WriteError> {
        let options = options.ok_or_else(|| WriteError::Output(Error::bug("a photo came before its model.")))?;
        let view = engine
            .judged(id)
            .ok_or_else(|| WriteError::Output(Error::bug("an inspected photo is not known any more.")))?;
        let photo = Photo::open(&self.photos[id as usize]).map_err(WriteError::Photo)?;
        let result = PhotoResult::new(&photo.pixels, &view);
        let size = (view.inspection.photo.width, view.inspection.photo.height);
        if photo.pixels.dimensions() != size {
            let error = Error::input("The photo was changed while it was inspected. Inspect it again.").at(&photo.path);
            return Err(WriteError::Photo(error));
        }
        if let Some(history) = &self.history {
            let made_with = MadeWith {
                model: &options.model,
                memory_model: options.memory_model.as_ref(),
                device: &options.device,
            };
            let entry = NewEntry::new(&view.inspection, &view.recipe, made_with);
            let mut history = history.lock().unwrap_or_else(PoisonError::into_inner);
            entry.and_then(|entry| history.record(&[entry])).map_err(WriteError::Output)?;
        }
        let explanation = self.vlm.as_ref().map(|vlm| vlm.explain(&photo.pixels, &view.inspection, &view.recipe));
        let result = PhotoResult { explanation: explanation.as_ref(), ..result };
        report::write_photo(&self.out, stem, result, options).map_err(WriteError::Output)?;
        let thumbnails = Thumbnails::new(result, self.colours).map_err(WriteError::Output)?;
        Ok(RunPhoto { stem: stem.to_owned(), inspection: view.inspection.clone(), thumbnails })
    }
}

/// What came of a batch.
#[derive(Default)]
struct Outcome {
    photos: Vec<RunPhoto>,
    failures: Vec<(PathBuf, Error)>,
    cancelled: bool,
    fatal: Option<Error>,
}

pub(super) fn stage_words(stage: Stage) -> &'static str {
    match stage {
        Stage::LoadingModel => "models loaded",
        Stage::ReadingReferences => "reference photos read",
        Stage::ChoosingPatches => "patches chosen",
        Stage::Calibrating => "reference photos judged",
    }
}

/// Table or JSON to stdout, counts to stderr, and the exit status.
fn summarise(run: &Run, out: &Path, json: bool, console: &Console) -> Result<()> {
    if json {
        Console::print_json(&ResultsDocument::new(run))?;
    } else {
        for photo in &run.photos {
            if !Console::print(&table_row(&photo.inspection)) {
                break;
            }
        }
    }
    let judged = |verdict| run.photos.iter().filter(|photo| photo.inspection.verdict == verdict).count();
    console.note(format!(
        "{}: {} NG, {} uncertain, {} OK, {} failed. Results: {}",
        count(run.photos.len(), "photo", "photos"),
        judged(Verdict::Ng),
        judged(Verdict::Uncertain),
        judged(Verdict::Ok),
        run.failures.len(),
        out.join("report.html").display()
    ));
    let doubtful = run.photos.iter().filter(|photo| !photo.inspection.quality.passed).count();
    if doubtful > 0 {
        let photos = count(doubtful, "photo is", "photos are");
        console.warn(format!("{photos} of doubtful quality (`quality_reason` in results.csv says why)."));
    }
    if run.cancelled {
        return Err(Error::Cancelled);
    }
    all_but(run.failures.len(), "file", "used", "done", "above and in results.json")
}

/// Verdict, score, path and strongest region, in columns.
fn table_row(inspection: &Inspection) -> String {
    let region = inspection.regions.first().map(|region| format!("  {}: {}", region.location, region.description));
    format!(
        "{:<9}  {:.3}  {}{}",
        inspection.verdict.word(),
        inspection.normalised_score,
        inspection.photo.path.display(),
        region.unwrap_or_default()
    )
}
