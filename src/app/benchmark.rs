//! The benchmark as the window knows it: what is to be measured, and what a run has said so far. Plain data; the measuring
//! is `bench`'s, on a thread of `background`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use crate::bench::{BenchEvent, ClassResult, Matrix, Plan, Protocol, RunResult, Shots};
use crate::recipe::Method;
use crate::{Error, Recipe, Result};

/// What is to be measured; kept with the session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BenchSetup {
    /// One class in the MVTec-AD layout, or a folder of classes.
    pub root: Option<PathBuf>,
    /// Where the results go.
    pub out: Option<PathBuf>,
    pub methods: Vec<Method>,
    /// Catalogue ids or folders.
    pub models: Vec<String>,
    /// Networks whose patches are compared with the references; `None` is the model itself.
    pub memory_models: Vec<Option<String>>,
    /// Numbers of references as typed: `0, 4, all`.
    pub shots: String,
    /// Seeds 0 to this, each a run of its own.
    pub seeds: u64,
    pub protocol: Protocol,
}

impl Default for BenchSetup {
    fn default() -> Self {
        Self {
            root: None,
            out: None,
            methods: vec![Method::Fused],
            models: vec![crate::model::POCKET.to_owned()],
            memory_models: vec![None],
            shots: "4".to_owned(),
            seeds: 1,
            protocol: Protocol::default(),
        }
    }
}

impl BenchSetup {
    /// Where the results go: the folder that was chosen, or one of the program's own with the dataset's name.
    pub fn out(&self) -> Option<PathBuf> {
        self.out.clone().or_else(|| {
            let name = self.root.as_deref()?.file_name()?;
            Some(dirs::data_dir()?.join("hairline").join("benchmarks").join(name))
        })
    }

    /// The numbers of references.
    ///
    /// # Errors
    /// [`Error::Input`] for a word that is neither a number nor `all`.
    pub fn shots(&self) -> Result<Vec<Shots>> {
        let words = self.shots.split([',', ' ', ';']).filter(|word| !word.is_empty());
        let shots = words.map(str::parse).collect::<Result<Vec<_>>>()?;
        if shots.is_empty() {
            return Err(Error::input("Say how many references, e.g. 0, 4, all."));
        }
        Ok(shots)
    }

    /// What stops a run from being started; `None` if nothing does.
    pub fn problem(&self) -> Option<String> {
        if self.root.is_none() {
            return Some("Choose a folder first.".to_owned());
        }
        if self.methods.is_empty() {
            return Some("Choose at least one method.".to_owned());
        }
        if self.models.is_empty() {
            return Some("Choose at least one model.".to_owned());
        }
        if self.memory_models.is_empty() {
            return Some("Choose at least one memory model, or the same model.".to_owned());
        }
        self.shots().err().map(|error| error.to_string())
    }

    /// Lays out the runs. Reads the folder, so not for the window's thread.
    ///
    /// # Errors
    /// As [`Plan::new`], and for a setup with a [`Self::problem`].
    pub fn plan(&self) -> Result<Plan> {
        let (Some(root), Some(out)) = (&self.root, self.out()) else {
            return Err(Error::input("Choose a folder first."));
        };
        let matrix = Matrix {
            base: Recipe::default(),
            methods: self.methods.clone(),
            models: self.models.clone(),
            memory_models: self.memory_models.clone(),
            shots: self.shots()?,
            seeds: (0..self.seeds.max(1)).collect(),
            protocol: self.protocol,
            ..Matrix::default()
        };
        Plan::new(root, &out, matrix)
    }
}

/// A table of one run, complete or not.
#[derive(Clone, Debug)]
pub struct BenchTable {
    pub title: String,
    pub seed: u64,
    pub classes: Vec<Arc<ClassResult>>,
    /// Once it is complete.
    pub result: Option<Arc<RunResult>>,
}

/// A benchmark under way, or the last one.
#[derive(Clone, Debug)]
pub struct BenchRun {
    pub out: PathBuf,
    /// When it began, in seconds since the window opened.
    pub started: f64,
    pub stop: Arc<AtomicBool>,
    /// Runs in all.
    pub total: usize,
    /// What is being done, in words.
    pub doing: String,
    /// Photos through, and in all, of the class in hand.
    pub class: (usize, usize),
    /// Photos through over all runs, classes taken over included.
    pub photos: usize,
    /// Photos measured in this sitting, for the pace.
    pub measured: usize,
    /// Photos in all, once the folder is read.
    pub all_photos: usize,
    pub tables: Vec<BenchTable>,
    pub warnings: Vec<String>,
    /// How it ended; `None` while it runs.
    pub ended: Option<std::result::Result<(), String>>,
}

impl BenchRun {
    pub fn new(out: PathBuf, started: f64) -> Self {
        Self {
            out,
            started,
            stop: Arc::default(),
            total: 0,
            doing: "Reading the folder…".to_owned(),
            class: (0, 0),
            photos: 0,
            measured: 0,
            all_photos: 0,
            tables: Vec::new(),
            warnings: Vec::new(),
            ended: None,
        }
    }

    /// Whether it still runs.
    pub fn running(&self) -> bool {
        self.ended.is_none()
    }

    /// Whether it was asked to stop.
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Seconds left at the pace so far.
    pub fn seconds_left(&self, now: f64) -> Option<f64> {
        let elapsed = now - self.started;
        (self.measured > 1 && elapsed > 1.0)
            .then(|| elapsed / self.measured as f64 * self.all_photos.saturating_sub(self.photos) as f64)
    }

    /// A fact from the benchmark.
    pub fn apply(&mut self, event: BenchEvent) {
        match event {
            BenchEvent::RunStarted { total, title, seed, .. } => {
                self.total = total;
                self.doing.clone_from(&title);
                self.tables.push(BenchTable { title, seed, classes: Vec::new(), result: None });
            }
            BenchEvent::ClassKept(class) => {
                self.photos += class.photos.len();
                self.take(class);
            }
            BenchEvent::ClassStarted { class, photos } => {
                self.doing = class;
                self.class = (0, photos);
            }
            BenchEvent::Preparing { stage, done, total } => {
                self.doing = super::panels::status_bar::step_text(stage, done, total);
            }
            BenchEvent::PhotoMeasured { photo, done, total } => {
                if let Some(class) = class_of(&photo.path) {
                    self.doing = class;
                }
                self.photos += 1;
                self.measured += 1;
                self.class = (done, total);
            }
            BenchEvent::Failed { path, error } => {
                self.photos += 1;
                self.warnings.push(format!("{}: {error}", path.display()));
            }
            BenchEvent::ClassFinished(class) => self.take(class),
            BenchEvent::RunFinished(result) => {
                if let Some(table) = self.tables.last_mut() {
                    table.result = Some(result);
                }
            }
            BenchEvent::Warned(text) => self.warnings.push(text),
            BenchEvent::Waiting => {}
        }
    }

    fn take(&mut self, class: Arc<ClassResult>) {
        if let Some(table) = self.tables.last_mut() {
            table.classes.push(class);
        }
    }
}

/// Name of the class that a test photo belongs to: the folder above `test`.
fn class_of(photo: &Path) -> Option<String> {
    Some(photo.parent()?.parent()?.parent()?.file_name()?.to_string_lossy().into_owned())
}

/// What was understood of a folder, in words.
///
/// # Errors
/// As [`crate::dataset::mvtec::read`].
pub fn understand(root: &Path) -> Result<String> {
    let classes = crate::dataset::mvtec::read(root)?;
    let (train, test): (usize, usize) =
        classes.iter().fold((0, 0), |(train, test), class| (train + class.train.len(), test + class.test.len()));
    let masks = classes.iter().flat_map(|class| &class.test).filter(|photo| photo.mask.is_some()).count();
    let what = match &classes[..] {
        [class] => format!("Class {}", class.name),
        _ => format!("{} classes", classes.len()),
    };
    let masks = if masks == 0 { "no masks, so no pixel figures".to_owned() } else { format!("{masks} masks") };
    Ok(format!("{what}: {test} test photos, {train} normal photos for reference, {masks}."))
}
