//! Everything slow that the window needs, on threads of its own: decoding, thumbnails, searching folders, dialogs, saving
//! and exporting. Answers come back as [`News`], drained once per frame; nothing here waits for the window.

mod lessons;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, unbounded};
use egui::ColorImage;
use image::RgbImage;
use image::imageops::FilterType;

use super::benchmark::{self, BenchSetup};
use super::describing::{Matched, OpenTable};
use super::evaluation_files::EvaluationFiles;
use super::export::{self, ExportJob};
use super::intake::Found;
use super::lesson::LessonNews;
use super::match_training::MatchCourse;
use super::segmenting::decide::{Decided, MaskFiles, Subject};
use super::session::{self, Session};
use super::training::SegmentCourse;
use crate::bench::BenchEvent;
use crate::classify::Classifier;
use crate::dataset::label_file;
use crate::engine::EngineOptions;
use crate::photo::{Photo, thumbnail};
use crate::report::{ClassificationRun, write_classification};
use crate::samples::{self, Samples};
use crate::{Error, Recipe, Result};

/// Longer side of a thumbnail, in pixels.
pub const THUMBNAIL_PX: u32 = 160;
/// Longer side of the version shown when a large photo is zoomed out; sampling the large one there would flicker.
const OVERVIEW_PX: u32 = 1600;
/// Threads that make thumbnails.
const THUMBNAIL_THREADS: usize = 2;
/// What found photos are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Photos,
    References,
}

/// What a folder was chosen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderUse {
    /// Masks of the photo on view.
    Masks,
    /// The annotation file of all corrected photos.
    Coco,
    TrainData,
    TrainValidation,
    TrainOut,
    /// Where the photos of tables to learn from start.
    MatchRoot,
    MatchOut,
}

/// What a table of photos and texts was chosen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableUse {
    Learning,
    Judging,
}

/// A question to the inspector in a dialog of the desktop.
#[derive(Debug)]
pub enum Question {
    Files(Purpose),
    Folder(Purpose),
    OpenRecipe,
    OpenLabels,
    OpenClassifier,
    SaveClassifier(Arc<Classifier>),
    /// The classification to save.
    SaveClassification(Box<ClassificationRun>),
    BenchFolder,
    BenchOut,
    ModelFolder,
    ModelFile,
    /// A table of descriptions; with it the folder of its photos.
    PairTable(Option<PathBuf>),
    /// The folder of the photos of this table.
    PairRoot(PathBuf),
    /// The matches to save, at a threshold.
    SaveMatches(Arc<Matched>, f32),
    SaveHistory,
    /// A folder, for what it says.
    FolderFor(FolderUse),
    /// A table of photos and texts, for what it says.
    TableFor(TableUse),
    /// The labels to save.
    SaveLabels(Vec<(PathBuf, String)>),
    /// The evaluation to save.
    SaveEvaluation(Box<EvaluationFiles>),
    /// The text of the recipe to save.
    SaveRecipe(String),
    /// Where to export.
    ExportFolder,
}

/// A decoded photo, ready for the graphics device.
#[derive(Clone)]
pub struct Decoded {
    pub pixels: Arc<RgbImage>,
    /// At most as large as a texture may be.
    pub large: Arc<ColorImage>,
    /// For zooming out; `None` where `large` is small enough.
    pub overview: Option<Arc<ColorImage>>,
}

/// An answer.
pub enum News {
    Thumbnail {
        path: PathBuf,
        image: Result<ColorImage>,
    },
    Photo {
        path: PathBuf,
        decoded: Result<Decoded>,
    },
    Found {
        purpose: Purpose,
        found: Found,
    },
    LabelsOpened {
        path: PathBuf,
        labels: Result<Vec<(PathBuf, String)>>,
    },
    LabelsSaved(Result<PathBuf>),
    EvaluationSaved(Result<PathBuf>),
    ClassifierOpened {
        path: PathBuf,
        classifier: Result<Box<Classifier>>,
    },
    ClassifierSaved(Result<PathBuf>),
    ClassificationSaved(Result<PathBuf>),
    /// A folder for the benchmark, and what was understood of it.
    BenchFolder {
        root: PathBuf,
        understood: Result<String>,
    },
    BenchOut(PathBuf),
    /// The folder or the file of a model.
    Model(PathBuf),
    FolderChosen(FolderUse, PathBuf),
    /// Of the models, those that segment.
    Segmenters(Vec<String>),
    /// Of the training of the network that segments.
    Segmenter(LessonNews<SegmentCourse>),
    /// Of the training on descriptions.
    Matcher(LessonNews<MatchCourse>),
    TableChosen(TableUse, PathBuf),
    MasksSaved(Result<PathBuf>),
    /// Masks, their areas and regions.
    Decided(Arc<Decided>),
    /// Names of the models that are installed.
    Models(Vec<String>),
    /// Photos in all that the benchmark will measure.
    BenchPlanned(usize),
    Bench(BenchEvent),
    BenchEnded(Result<()>),
    PairTable(OpenTable),
    MatchesSaved(Result<PathBuf>),
    /// The file to write the history into.
    HistoryFile(PathBuf),
    Samples(Result<Samples>),
    RecipeOpened {
        path: PathBuf,
        recipe: Result<Box<Recipe>>,
    },
    RecipeSaved(Result<PathBuf>),
    ExportFolder(PathBuf),
    ExportProgressed {
        done: usize,
        total: usize,
    },
    ExportFinished(Result<export::Exported>),
    SessionSaved(Result<()>),
    /// A dialog could not be opened.
    DialogFailed(String),
}

impl From<LessonNews<SegmentCourse>> for News {
    fn from(news: LessonNews<SegmentCourse>) -> Self {
        Self::Segmenter(news)
    }
}

impl From<LessonNews<MatchCourse>> for News {
    fn from(news: LessonNews<MatchCourse>) -> Self {
        Self::Matcher(news)
    }
}

#[derive(Default)]
struct Wanted {
    thumbnails: VecDeque<PathBuf>,
    /// Photos to decode, the most wanted first.
    photos: VecDeque<PathBuf>,
    stopping: bool,
}

struct Shared {
    wanted: Mutex<Wanted>,
    bell: Condvar,
    news: Sender<News>,
    wake: Box<dyn Fn() + Send + Sync>,
    largest_side: u32,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, news: News) {
        // The window is gone when nobody listens any more; then there is nobody to tell either.
        if self.news.send(news).is_ok() {
            (self.wake)();
        }
    }
}

/// The threads. Dropping it lets them end after what they have in hand.
pub struct Background {
    shared: Arc<Shared>,
    news: Receiver<News>,
    export_stop: Arc<AtomicBool>,
}

impl Background {
    /// `wake` is called after each answer; `largest_side` is the largest texture side.
    pub fn start(largest_side: u32, wake: impl Fn() + Send + Sync + 'static) -> Self {
        let (sender, news) = unbounded();
        let shared = Arc::new(Shared {
            wanted: Mutex::default(),
            bell: Condvar::new(),
            news: sender,
            wake: Box::new(wake),
            largest_side: largest_side.max(256),
        });
        let background = Self { shared, news, export_stop: Arc::default() };
        for n in 0..THUMBNAIL_THREADS {
            background.spawn(&format!("hairline-thumbnails-{n}"), make_thumbnails);
        }
        background.spawn("hairline-photo", decode_photos);
        background
    }

    /// Answers since the last call.
    pub fn drain(&self) -> Vec<News> {
        self.news.try_iter().collect()
    }

    /// The thumbnails that are visible and missing, replacing what was wanted before: scrolled past is forgotten.
    pub fn want_thumbnails(&self, paths: Vec<PathBuf>) {
        let mut wanted = self.shared.lock();
        if wanted.thumbnails != paths {
            wanted.thumbnails = paths.into();
            drop(wanted);
            self.shared.bell.notify_all();
        }
    }

    /// The photos to decode, the most wanted first, replacing what was wanted before.
    pub fn want_photos(&self, paths: Vec<PathBuf>) {
        let mut wanted = self.shared.lock();
        if wanted.photos != paths {
            wanted.photos = paths.into();
            drop(wanted);
            self.shared.bell.notify_all();
        }
    }

    /// Looks for photos in files and folders, at any depth.
    pub fn find(&self, purpose: Purpose, paths: Vec<PathBuf>) {
        self.spawn("hairline-find", move |shared| {
            shared.tell(News::Found { purpose, found: Found::among(&paths, purpose) });
        });
    }

    /// Unpacks the bundled samples.
    pub fn open_samples(&self) {
        self.spawn("hairline-samples", |shared| {
            shared.tell(News::Samples(samples::default_dir().and_then(|dir| samples::unpack(&dir))));
        });
    }

    /// Opens a dialog of the desktop and acts on the answer.
    pub fn ask(&self, question: Question) {
        self.spawn("hairline-dialog", move |shared| {
            if let Some(text) = dialogs_missing() {
                shared.tell(News::DialogFailed(text.to_owned()));
                return;
            }
            let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| answer(question)));
            match answer {
                Ok(Some(news)) => shared.tell(news),
                Ok(None) => {}
                Err(_) => shared.tell(News::DialogFailed(
                    "The desktop's file dialog does not work here. Drop files on the window, or name them on the command line."
                        .to_owned(),
                )),
            }
        });
    }

    /// Reads a recipe file.
    pub fn open_recipe(&self, path: PathBuf) {
        self.spawn("hairline-recipe", move |shared| shared.tell(opened_recipe(path)));
    }

    /// Reads labels from a file.
    pub fn open_labels(&self, path: PathBuf) {
        self.spawn("hairline-labels", move |shared| shared.tell(opened_labels(path)));
    }

    /// Writes the evaluation into a folder.
    pub fn save_evaluation(&self, folder: PathBuf, files: EvaluationFiles) {
        self.spawn("hairline-evaluation", move |shared| shared.tell(News::EvaluationSaved(files.write(&folder))));
    }

    /// Reads a classifier.
    pub fn open_classifier(&self, path: PathBuf) {
        self.spawn("hairline-classifier", move |shared| shared.tell(opened_classifier(path)));
    }

    /// Writes a classifier.
    pub fn save_classifier(&self, path: PathBuf, classifier: Arc<Classifier>) {
        self.spawn("hairline-classifier", move |shared| shared.tell(News::ClassifierSaved(classifier.save(&path))));
    }

    /// Writes a classification into a folder.
    pub fn save_classification(&self, folder: PathBuf, run: ClassificationRun) {
        self.spawn("hairline-classification", move |shared| shared.tell(saved_classification(folder, &run)));
    }

    /// Looks at the folder of a benchmark.
    pub fn understand(&self, root: PathBuf) {
        self.spawn("hairline-bench-folder", move |shared| shared.tell(understood(root)));
    }

    /// Lists the installed models.
    pub fn find_models(&self) {
        self.spawn("hairline-models", |shared| {
            // A list that cannot be read is no hindrance here; `hairline models list` says why.
            let installed = crate::model::catalog::installed().unwrap_or_default();
            shared.tell(News::Models(installed.into_iter().map(|model| model.id).collect()));
        });
    }

    /// Finds out which of the models segment.
    pub fn find_segmenters(&self, names: Vec<String>) {
        self.spawn("hairline-segmenters", move |shared| {
            let segments = |name: &String| {
                let source = crate::model::ModelSource::resolve(name);
                source.is_ok_and(|source| crate::model::ClipSegModel::is(&source).unwrap_or(false))
            };
            shared.tell(News::Segmenters(names.into_iter().filter(segments).collect()));
        });
    }

    /// Works out areas and regions.
    pub fn decide(&self, subjects: Vec<Subject>) {
        self.spawn("hairline-masks", move |shared| {
            shared.tell(News::Decided(Arc::new(Decided::new(&subjects))));
        });
    }

    /// Writes the masks of one photo into a folder.
    pub fn save_masks(&self, folder: PathBuf, masks: MaskFiles) {
        self.spawn("hairline-mask-files", move |shared| {
            shared.tell(News::MasksSaved(masks.write(&folder).map(|()| folder)));
        });
    }

    /// Runs a benchmark with an engine of its own until it is through or `stop` is set.
    pub fn bench(&self, setup: BenchSetup, engine: EngineOptions, stop: Arc<AtomicBool>) {
        self.spawn("hairline-bench", move |shared| {
            let ended = setup.plan().and_then(|plan| {
                shared.tell(News::BenchPlanned(plan.photos()));
                crate::bench::run(&plan, engine, &mut |event| {
                    if !matches!(event, BenchEvent::Waiting) {
                        shared.tell(News::Bench(event));
                    }
                    !stop.load(Ordering::Relaxed) && !shared.lock().stopping
                })
            });
            shared.tell(News::BenchEnded(ended.map(|_| ())));
        });
    }

    /// Reads a table of descriptions.
    pub fn open_pairs(&self, path: PathBuf, root: Option<PathBuf>) {
        self.spawn("hairline-pairs", move |shared| shared.tell(opened_pairs(path, root)));
    }

    /// Writes matches as they are at a threshold.
    pub fn save_matches(&self, path: PathBuf, matched: Arc<Matched>, threshold: f32) {
        self.spawn("hairline-matches", move |shared| {
            shared.tell(News::MatchesSaved(matched.write(threshold, &path)));
        });
    }

    /// Writes the session.
    pub fn save_session(&self, path: PathBuf, session: Session) {
        self.spawn("hairline-session", move |shared| {
            shared.tell(News::SessionSaved(session::save(&path, &session)));
        });
    }

    /// Starts an export.
    pub fn export(&self, job: ExportJob) {
        self.export_stop.store(false, Ordering::Relaxed);
        let stop = self.export_stop.clone();
        self.spawn("hairline-export", move |shared| {
            let outcome = export::run(&job, &stop, |done, total| shared.tell(News::ExportProgressed { done, total }));
            shared.tell(News::ExportFinished(outcome));
        });
    }

    /// Stops the export after the photo in hand.
    pub fn stop_export(&self) {
        self.export_stop.store(true, Ordering::Relaxed);
    }

    fn spawn(&self, name: &str, body: impl FnOnce(&Shared) + Send + 'static) {
        let shared = self.shared.clone();
        let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || body(&shared));
        if let Err(error) = spawned {
            self.shared
                .tell(News::DialogFailed(format!("The system refused a thread ({error}). Close other programs.")));
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop_export();
        self.shared.lock().stopping = true;
        self.shared.bell.notify_all();
    }
}

fn next(shared: &Shared, pick: impl Fn(&mut Wanted) -> Option<PathBuf>) -> Option<PathBuf> {
    let mut wanted = shared.lock();
    loop {
        if wanted.stopping {
            return None;
        }
        if let Some(path) = pick(&mut wanted) {
            return Some(path);
        }
        wanted = shared.bell.wait(wanted).unwrap_or_else(PoisonError::into_inner);
    }
}

fn make_thumbnails(shared: &Shared) {
    while let Some(path) = next(shared, |wanted| wanted.thumbnails.pop_front()) {
        let image = guarded(&path, || Photo::open(&path).map(|photo| colour_image(&thumbnail(&photo, THUMBNAIL_PX))));
        shared.tell(News::Thumbnail { path, image });
    }
}

fn decode_photos(shared: &Shared) {
    while let Some(path) = next(shared, |wanted| wanted.photos.pop_front()) {
        let decoded = guarded(&path, || Photo::open(&path).map(|photo| prepare(photo.pixels, shared.largest_side)));
        shared.tell(News::Photo { path, decoded });
    }
}

/// A decoder that panics on a strange file must not take the thread with it.
fn guarded<T>(path: &Path, body: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or_else(|_| {
        Err(Error::input("The photo's decoder gave up on it. Export it again in another format.").at(path))
    })
}

/// Sizes for the graphics device.
pub fn prepare(pixels: RgbImage, largest_side: u32) -> Decoded {
    let scaled = |side: u32| {
        let (width, height) = pixels.dimensions();
        let scale = f64::from(side) / f64::from(width.max(height));
        let to = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
        image::imageops::resize(&pixels, to(width), to(height), FilterType::Triangle)
    };
    let longest = pixels.width().max(pixels.height());
    let large = if longest > largest_side { colour_image(&scaled(largest_side)) } else { colour_image(&pixels) };
    let overview = (longest > OVERVIEW_PX).then(|| Arc::new(colour_image(&scaled(OVERVIEW_PX.min(largest_side)))));
    Decoded { large: Arc::new(large), overview, pixels: Arc::new(pixels) }
}

/// Pixels as egui wants them.
pub fn colour_image(image: &RgbImage) -> ColorImage {
    ColorImage::from_rgb([image.width() as usize, image.height() as usize], image.as_raw())
}

/// Why no dialog can be opened here, and the remedy; `None` where one can. Only Linux has desktops without dialogs.
fn dialogs_missing() -> Option<&'static str> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let bus = std::env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some_and(|address| !address.is_empty());
    let socket = std::env::var_os("XDG_RUNTIME_DIR").is_some_and(|dir| Path::new(&dir).join("bus").exists());
    let path = std::env::var_os("PATH").unwrap_or_default();
    no_dialog(bus || socket, is_on_path("zenity", &path))
}

/// Dialogs are those of the desktop's portal, which is asked over the session bus, or else of `zenity`; without either
/// a question would pass without an answer and without a word.
fn no_dialog(session_bus: bool, zenity: bool) -> Option<&'static str> {
    (!session_bus && !zenity).then_some(
        "No file dialog can be opened: there is neither a desktop portal (no session bus) nor zenity. Install zenity \
         or xdg-desktop-portal; photos can be dropped on the window.",
    )
}

/// Whether a folder of `path`, a list as in the variable `PATH`, has a file of this name.
fn is_on_path(name: &str, path: &std::ffi::OsStr) -> bool {
    std::env::split_paths(path).any(|dir| dir.join(name).is_file())
}

fn answer(question: Question) -> Option<News> {
    let photos = || rfd::FileDialog::new().add_filter("Photos", &crate::photo::EXTENSIONS);
    let found = |purpose, paths: Vec<PathBuf>| News::Found { purpose, found: Found::among(&paths, purpose) };
    match question {
        Question::Files(purpose) => {
            let title = match purpose {
                Purpose::Photos => "Open photos",
                Purpose::References => "Add reference photos of normal parts",
            };
            photos().set_title(title).pick_files().map(|paths| found(purpose, paths))
        }
        Question::Folder(purpose) => {
            let title = match purpose {
                Purpose::Photos => "Open a folder of photos",
                Purpose::References => "Add a folder of normal parts",
            };
            rfd::FileDialog::new().set_title(title).pick_folder().map(|path| found(purpose, vec![path]))
        }
        Question::OpenRecipe => {
            let dialog = rfd::FileDialog::new().set_title("Open a recipe").add_filter("Recipe", &["ron"]);
            dialog.pick_file().map(opened_recipe)
        }
        Question::OpenClassifier => {
            let dialog =
                rfd::FileDialog::new().set_title("Open a classifier").add_filter("Classifier", &["safetensors"]);
            dialog.pick_file().map(opened_classifier)
        }
        Question::SaveClassifier(classifier) => {
            let dialog =
                rfd::FileDialog::new().set_title("Save the classifier").add_filter("Classifier", &["safetensors"]);
            let path = dialog.set_file_name("classifier.safetensors").save_file()?;
            Some(News::ClassifierSaved(classifier.save(&path)))
        }
        Question::SaveClassification(run) => {
            let dialog = rfd::FileDialog::new().set_title("Export the classification into folder");
            dialog.pick_folder().map(|folder| saved_classification(folder, &run))
        }
        Question::BenchFolder => {
            rfd::FileDialog::new().set_title("Measure on a labelled folder").pick_folder().map(understood)
        }
        Question::BenchOut => {
            rfd::FileDialog::new().set_title("Write the results into folder").pick_folder().map(News::BenchOut)
        }
        Question::ModelFolder => {
            let dialog = rfd::FileDialog::new().set_title("Add the folder of a model in the Hugging Face layout");
            dialog.pick_folder().map(News::Model)
        }
        Question::ModelFile => {
            let dialog = rfd::FileDialog::new().set_title("Add a model kept in one file");
            dialog.add_filter("Model", &["safetensors"]).pick_file().map(News::Model)
        }
        Question::PairTable(root) => {
            let dialog = rfd::FileDialog::new().set_title("Open a table of descriptions").add_filter("CSV", &["csv"]);
            dialog.pick_file().map(|path| opened_pairs(path, root))
        }
        Question::PairRoot(table) => {
            let dialog = rfd::FileDialog::new().set_title("Paths of the table start in folder");
            dialog.pick_folder().map(|root| opened_pairs(table, Some(root)))
        }
        Question::SaveMatches(matched, threshold) => {
            let dialog = rfd::FileDialog::new().set_title("Export the matches");
            let dialog = dialog.add_filter("CSV, with a summary beside it", &["csv"]).add_filter("JSON", &["json"]);
            let path = dialog.set_file_name("matches.csv").save_file()?;
            Some(News::MatchesSaved(matched.write(threshold, &path)))
        }
        Question::SaveHistory => {
            let dialog = rfd::FileDialog::new().set_title("Export the history").add_filter("CSV", &["csv"]);
            let dialog = dialog.add_filter("JSON", &["json"]).add_filter("Parquet", &["parquet"]);
            dialog.set_file_name("history.csv").save_file().map(News::HistoryFile)
        }
        Question::FolderFor(what) => {
            let title = match what {
                FolderUse::Masks => "Export the masks into folder",
                FolderUse::Coco => "Export the corrected photos into folder",
                FolderUse::TrainData => "Learn from the photos and masks of folder",
                FolderUse::TrainValidation => "Judge on the photos and masks of folder",
                FolderUse::TrainOut | FolderUse::MatchOut => "Keep the training in folder",
                FolderUse::MatchRoot => "Paths of the tables start in folder",
            };
            let chosen = rfd::FileDialog::new().set_title(title).pick_folder();
            chosen.map(|folder| News::FolderChosen(what, folder))
        }
        Question::TableFor(what) => {
            let title = match what {
                TableUse::Learning => "Learn from the photos and texts of table",
                TableUse::Judging => "Judge on the photos and texts of table",
            };
            let dialog = rfd::FileDialog::new().set_title(title).add_filter("CSV", &["csv"]);
            dialog.pick_file().map(|table| News::TableChosen(what, table))
        }
        Question::OpenLabels => {
            let dialog =
                rfd::FileDialog::new().set_title("Import labels").add_filter("Labels (CSV, COCO)", &["csv", "json"]);
            dialog.pick_file().map(opened_labels)
        }
        Question::SaveLabels(labels) => {
            let dialog = rfd::FileDialog::new().set_title("Export labels").add_filter("Labels", &["csv"]);
            let path = dialog.set_file_name("labels.csv").save_file()?;
            Some(News::LabelsSaved(label_file::write(&path, &labels)))
        }
        Question::SaveEvaluation(files) => {
            let folder = rfd::FileDialog::new().set_title("Export the evaluation into folder").pick_folder()?;
            Some(News::EvaluationSaved(files.write(&folder)))
        }
        Question::SaveRecipe(text) => {
            let dialog = rfd::FileDialog::new().set_title("Save the recipe").add_filter("Recipe", &["ron"]);
            let path = dialog.set_file_name("recipe.ron").save_file()?;
            let written = crate::report::write_file(&path, |out| out.write_all(text.as_bytes()));
            Some(News::RecipeSaved(written))
        }
        Question::ExportFolder => {
            rfd::FileDialog::new().set_title("Export into folder").pick_folder().map(News::ExportFolder)
        }
    }
}

fn opened_classifier(path: PathBuf) -> News {
    let classifier = Classifier::open(&path).map(Box::new);
    News::ClassifierOpened { path, classifier }
}

fn saved_classification(folder: PathBuf, run: &ClassificationRun) -> News {
    News::ClassificationSaved(write_classification(&folder, run).map(|_| folder))
}

fn understood(root: PathBuf) -> News {
    let understood = benchmark::understand(&root);
    News::BenchFolder { root, understood }
}

fn opened_pairs(path: PathBuf, root: Option<PathBuf>) -> News {
    let pairs = crate::matching::read_pairs(&path, root.as_deref());
    let pairs = pairs.map(Arc::new).map_err(|error| error.to_string());
    News::PairTable(OpenTable { path, root, pairs })
}

fn opened_labels(path: PathBuf) -> News {
    let folder = path.parent().unwrap_or(Path::new("."));
    let labels = crate::dataset::labels::from_file(&path, folder)
        .map(|photos| photos.into_iter().filter_map(|photo| Some((photo.path, photo.label?))).collect());
    News::LabelsOpened { path, labels }
}

fn opened_recipe(path: PathBuf) -> News {
    let recipe = Recipe::open(&path).map(Box::new);
    News::RecipeOpened { path, recipe }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use std::time::{Duration, Instant};

    fn wait(background: &Background, wanted: usize) -> Vec<News> {
        let start = Instant::now();
        let mut news = Vec::new();
        while news.len() < wanted && start.elapsed() < Duration::from_secs(20) {
            news.extend(background.drain());
            std::thread::sleep(Duration::from_millis(5));
        }
        news
    }

    #[test]
    fn without_portal_and_zenity_a_dialog_is_refused_with_the_remedy() {
        assert!(
            no_dialog(false, false).is_some_and(|text| text.contains("Install zenity") && text.contains("dropped"))
        );
        for (session_bus, zenity) in [(true, false), (false, true), (true, true)] {
            assert_eq!(no_dialog(session_bus, zenity), None);
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("zenity"), b"").unwrap();
        let path = std::env::join_paths([dir.path().join("absent"), dir.path().to_owned()]).unwrap();
        assert!(is_on_path("zenity", &path) && !is_on_path("kdialog", &path));
    }

    #[test]
    fn large_photos_fit_the_graphics_device() {
        let decoded = prepare(RgbImage::new(3000, 1000), 2048);
        assert_eq!(decoded.large.size, [2048, 683]);
        assert_eq!(decoded.overview.map(|image| image.size), Some([1600, 533]));
        assert_eq!(decoded.pixels.dimensions(), (3000, 1000));
        let small = prepare(RgbImage::new(7, 5), 2048);
        assert_eq!(small.large.size, [7, 5]);
        assert!(small.overview.is_none());
    }

    #[test]
    fn a_bad_file_is_news_and_the_next_one_is_decoded() {
        let dir = tempfile::tempdir().unwrap();
        let (bad, good) = (dir.path().join("bad.png"), dir.path().join("good.png"));
        std::fs::write(&bad, b"text").unwrap();
        RgbImage::from_pixel(40, 20, image::Rgb([9, 8, 7])).save(&good).unwrap();
        let background = Background::start(2048, || {});
        background.want_photos(vec![bad.clone(), good.clone()]);
        background.want_thumbnails(vec![good.clone()]);
        let news = wait(&background, 3);
        assert_eq!(news.len(), 3);
        assert!(news.iter().any(|n| matches!(n, News::Photo { path, decoded: Err(_) } if *path == bad)));
        assert!(
            news.iter()
                .any(|n| matches!(n, News::Photo { path, decoded: Ok(d) } if *path == good && d.pixels.width() == 40))
        );
        assert!(news.iter().any(|n| matches!(n, News::Thumbnail { path, image: Ok(_) } if *path == good)));
    }

    #[test]
    fn folders_are_searched_off_the_window() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("deep")).unwrap();
        RgbImage::new(2, 2).save(dir.path().join("deep").join("a.png")).unwrap();
        let background = Background::start(2048, || {});
        background.find(Purpose::References, vec![dir.path().to_owned(), dir.path().join("nowhere")]);
        let news = wait(&background, 1);
        let [News::Found { purpose: Purpose::References, found }] = &news[..] else { panic!("no answer") };
        assert_eq!((found.photos.len(), found.failures.len()), (1, 1));
    }
}
