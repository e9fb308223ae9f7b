//! Classification as the window knows it: the words and the classifier being tried, and what came of them. The work itself
//! is `classify`'s and runs on the engine's thread; this says what to ask for and keeps the answers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::photo_list::PhotoList;
use super::state::photos;
use crate::classify::{
    Augmentation, ClassWeight, Classification, ClassificationFigures, ClassifiedPhoto, Classifier, EmbeddedPhotos,
    FoldOptions, HeadKind, HeadOptions, LabelPrompts, LogisticOptions, TextBank, Xray, fusion, job,
};
use crate::dataset::labels::LabelledPhoto;
use crate::engine::{JobId, Lab};
use crate::photo::Failure;
use crate::report::{ClassificationRun, ModelIdentity};
use crate::{Error, Result};

/// Said of a cross-validation when the labels on the bench are others than those it learned from.
const OTHER_LABELS: &str = "Labels have changed since this was computed; cross-validate again to learn from them.";

/// What a classification by words is called while it runs.
pub const BY_WORDS: &str = "Classifying";

/// Work for the engine, with its answer.
pub type LabWork = Box<dyn FnOnce(&mut Lab<'_, '_>) -> Result<Answer> + Send>;

/// By what photos are classified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    #[default]
    Words,
    /// A classifier learned from labelled photos.
    Examples,
}

/// What is tried; kept with the session, and every change can be taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClassifySetup {
    pub prompts: LabelPrompts,
    /// The model of the words.
    pub model: String,
    /// Softmax temperature; `None` is the one the model was trained with.
    pub temperature: Option<f32>,
    /// How far the first label must be ahead of the second, 0–1; else "none of these".
    pub margin: f64,
    /// Views in which the words look at each photo, besides the photo as it is.
    pub augment: Vec<Augmentation>,
    /// The networks whose features are put side by side.
    pub backbones: Vec<String>,
    pub head: HeadKind,
    /// Rare classes count as much as frequent ones.
    pub balanced: bool,
    pub folds: usize,
}

impl Default for ClassifySetup {
    fn default() -> Self {
        let pocket = crate::model::POCKET.to_owned();
        let prompts = LabelPrompts { labels: Vec::new(), ..LabelPrompts::new(&[]) };
        Self {
            prompts,
            model: pocket.clone(),
            temperature: None,
            margin: 0.0,
            augment: Vec::new(),
            backbones: vec![pocket],
            head: HeadKind::Logistic,
            balanced: true,
            folds: 3,
        }
    }
}

impl ClassifySetup {
    fn head(&self) -> HeadOptions {
        let class_weight = if self.balanced { ClassWeight::Balanced } else { ClassWeight::None };
        let logistic = LogisticOptions { class_weight, ..LogisticOptions::default() };
        HeadOptions { kind: self.head, logistic, ..HeadOptions::default() }
    }

    /// What stops the words from being used; `None` if nothing does.
    pub fn problem(&self) -> Option<String> {
        self.prompts.check().err().map(|error| error.to_string())
    }
}

/// What a classification by words was made of.
#[derive(Clone, Debug)]
struct Words {
    embedded: Arc<EmbeddedPhotos>,
    prompts: LabelPrompts,
    bank: TextBank,
    temperature: f32,
    margin: f64,
}

/// A classification with its figures, ready to draw and to write.
#[derive(Clone, Debug)]
pub struct Predicted {
    /// What made it, e.g. `Words, pocket`.
    pub title: String,
    pub classification: Classification,
    /// `None` where no photo's class is known.
    pub figures: Option<ClassificationFigures>,
    pub xray: Option<Xray>,
    pub folds: Vec<fusion::FoldFigures>,
    pub warnings: Vec<String>,
    pub failures: Vec<Failure>,
    models: Vec<ModelIdentity>,
    device: String,
    settings: Vec<(String, String)>,
    places: HashMap<PathBuf, usize>,
    /// `None` where a classifier decided.
    words: Option<Arc<Words>>,
    /// The labels that a cross-validation learned from, by photo.
    learned_from: Option<HashMap<PathBuf, String>>,
}

impl Predicted {
    fn new(title: String, classification: Classification) -> Result<Self> {
        let figures = classification.figures(0)?;
        let places = classification.photos.iter().enumerate().map(|(at, photo)| (photo.path.clone(), at)).collect();
        Ok(Self {
            title,
            classification,
            figures,
            xray: None,
            folds: Vec::new(),
            warnings: Vec::new(),
            failures: Vec::new(),
            models: Vec::new(),
            device: String::new(),
            settings: Vec::new(),
            places,
            words: None,
            learned_from: None,
        })
    }

    /// What was said of one photo.
    pub fn of(&self, path: &Path) -> Option<&ClassifiedPhoto> {
        self.places.get(path).and_then(|&at| self.classification.photos.get(at))
    }

    /// The temperature of words; `None` where a classifier decided.
    pub fn temperature(&self) -> Option<f32> {
        self.words.as_ref().map(|words| words.temperature)
    }

    /// The same with the truth as the bench's labels say it now; `None` where that changes nothing. A photo that has
    /// left the bench keeps its truth.
    fn relabelled(&self, photos: &PhotoList) -> Result<Option<Self>> {
        let Classification { labels, photos: classified } = &self.classification;
        let truths: Vec<Option<usize>> = classified
            .iter()
            .map(|photo| match photos.by_path(&photo.path).and_then(|id| photos.get(id)) {
                Some(entry) => {
                    let name = entry.label.as_deref()?;
                    labels.iter().position(|label| label == name)
                }
                None => photo.truth,
            })
            .collect();
        let others = self.learned_from.as_ref().is_some_and(|from| {
            photos.iter().any(|entry| entry.label.as_deref() != from.get(&entry.path).map(String::as_str))
        });
        let said = self.warnings.iter().any(|warning| warning == OTHER_LABELS);
        let same = classified.iter().zip(&truths).all(|(photo, truth)| photo.truth == *truth);
        if same && others == said {
            return Ok(None);
        }
        let mut fresh = self.clone();
        fresh.warnings.retain(|warning| warning != OTHER_LABELS);
        if others {
            fresh.warnings.push(OTHER_LABELS.to_owned());
        }
        if !same {
            fresh.classification.photos.iter_mut().zip(truths).for_each(|(photo, truth)| photo.truth = truth);
            fresh.figures = fresh.classification.figures(0)?;
            if let Some(words) = &self.words {
                let truths = fresh.classification.photos.iter().map(|photo| photo.truth);
                let known: Vec<(&[f32], usize)> = words
                    .embedded
                    .photos
                    .iter()
                    .zip(truths)
                    .filter_map(|(photo, truth)| Some((photo.embedding.as_slice(), truth?)))
                    .collect();
                let xray = (!known.is_empty()).then(|| Xray::new(&words.prompts, &words.bank, &known));
                fresh.xray = xray.transpose()?;
            }
        }
        Ok(Some(fresh))
    }

    /// For the report's writer.
    pub fn run(&self) -> ClassificationRun {
        ClassificationRun {
            title: self.title.clone(),
            created: crate::report::utc(std::time::SystemTime::now()),
            classification: self.classification.clone(),
            figures: self.figures.clone(),
            models: self.models.clone(),
            device: self.device.clone(),
            settings: self.settings.clone(),
            warnings: self.warnings.clone(),
            failures: self.failures.clone(),
            folds: self.folds.clone(),
            xray: self.xray.clone(),
            prompts: self.words.as_ref().map(|words| words.prompts.clone()),
            margin: self.words.as_ref().map_or(0.0, |words| words.margin),
            ..ClassificationRun::default()
        }
    }
}

/// What comes back from the engine's thread.
#[derive(Debug)]
pub enum Answer {
    /// Photos by words, with the embeddings for the next edit.
    Words {
        embedded: Arc<EmbeddedPhotos>,
        prompts: LabelPrompts,
        predicted: Box<Predicted>,
    },
    /// Photos by a cross-validation, each by a classifier that never saw it.
    Evaluated(Box<Predicted>),
    Trained(Box<Classifier>),
    /// Photos by a trained classifier.
    Applied(Box<Predicted>),
}

/// A job of this kind under way.
#[derive(Clone, Debug)]
pub struct LabJob {
    pub id: JobId,
    /// In words, for the progress line.
    pub what: &'static str,
    pub done: usize,
    pub total: usize,
    pub stopping: bool,
}

/// A trained classifier, and the file it is kept in.
#[derive(Clone, Debug)]
pub struct Kept {
    pub classifier: Arc<Classifier>,
    pub path: Option<PathBuf>,
}

/// McNemar's test between the classification on view and the pinned one, in words.
#[derive(Clone, Debug)]
struct Comparison {
    shown: Arc<Predicted>,
    pinned: Arc<Predicted>,
    text: String,
}

impl Comparison {
    fn new(shown: Arc<Predicted>, pinned: Arc<Predicted>) -> Self {
        let accuracy = pinned.figures.as_ref().map_or_else(
            || "without a known class".to_owned(),
            |figures| format!("accuracy {:.1} %", 100.0 * figures.report.accuracy),
        );
        let rest = if Arc::ptr_eq(&shown, &pinned) {
            "What is classified from now on is compared with it.".to_owned()
        } else {
            match shown.classification.compared(&pinned.classification) {
                Ok((_, test)) => {
                    let p = test.exact_p;
                    let p = if p < 0.001 { "exact p < 0.001".to_owned() } else { format!("exact p = {p:.3}") };
                    let only = photos(test.only_second as usize);
                    format!("Only the pinned one right: {only}; only the one on view right: {}; {p}.", test.only_first)
                }
                Err(error) => error.to_string(),
            }
        };
        let text = format!("Pinned: {}, {accuracy}. {rest}", pinned.title);
        Self { shown, pinned, text }
    }
}

/// Everything the window knows of it.
#[derive(Debug, Default)]
pub struct Classifying {
    pub setup: ClassifySetup,
    pub by: By,
    pub embedded: Option<Arc<EmbeddedPhotos>>,
    /// By words, and the words it was made with.
    pub words: Option<Arc<Predicted>>,
    pub asked: Option<(ClassifySetup, u64)>,
    /// By cross-validation or by a trained classifier.
    pub learned: Option<Arc<Predicted>>,
    pub classifier: Option<Kept>,
    pub job: Option<LabJob>,
    pub problem: Option<String>,
    /// What others are compared with.
    pub pinned: Option<Arc<Predicted>>,
    comparison: Option<Comparison>,
    /// The revision of the photos whose labels are the truth of what is on view.
    labels_of: Option<(u64, By)>,
}

impl Classifying {
    /// What the page shows now.
    pub fn shown(&self) -> Option<&Arc<Predicted>> {
        match self.by {
            By::Words => self.words.as_ref(),
            By::Examples => self.learned.as_ref(),
        }
    }

    /// Photos being embedded for the words, and how many: what is on view is of the setting before.
    pub fn embedding(&self) -> Option<(usize, usize)> {
        let job = self.job.as_ref().filter(|job| self.by == By::Words && job.what == BY_WORDS)?;
        (!job.stopping && job.total > 0).then_some((job.done, job.total))
    }

    /// How what is on view compares with what is pinned, in words.
    pub fn comparison(&self) -> Option<&str> {
        self.comparison.as_ref().map(|comparison| comparison.text.as_str())
    }

    /// Takes the truth of what is on view, and of what is pinned, from the bench's labels where one changed, and
    /// compares the two. Works something out only after a change.
    ///
    /// # Errors
    /// Those of [`Classification::figures`] and [`Xray::new`].
    pub fn follow(&mut self, photos: &PhotoList) -> Result<()> {
        let now = (photos.revision(), self.by);
        if self.labels_of != Some(now) {
            self.labels_of = Some(now);
            let pinned = self.shown().zip(self.pinned.as_ref());
            let shown_is_pinned = pinned.is_some_and(|(shown, pinned)| Arc::ptr_eq(shown, pinned));
            let shown = match self.by {
                By::Words => &mut self.words,
                By::Examples => &mut self.learned,
            };
            relabel(shown, photos)?;
            if shown_is_pinned {
                self.pinned.clone_from(shown);
            } else {
                relabel(&mut self.pinned, photos)?;
            }
        }
        let known = self.comparison.take();
        self.comparison = match (self.shown(), &self.pinned, known) {
            (Some(shown), Some(pinned), Some(known))
                if Arc::ptr_eq(shown, &known.shown) && Arc::ptr_eq(pinned, &known.pinned) =>
            {
                Some(known)
            }
            (Some(shown), Some(pinned), _) => Some(Comparison::new(shown.clone(), pinned.clone())),
            _ => None,
        };
        Ok(())
    }

    /// An answer, or why there is none.
    pub fn take(&mut self, answer: Result<Answer>) {
        self.job = None;
        self.labels_of = None;
        match answer {
            Ok(Answer::Words { embedded, predicted, .. }) => {
                self.embedded = Some(embedded);
                self.words = Some(Arc::from(predicted));
                self.problem = None;
            }
            Ok(Answer::Evaluated(predicted) | Answer::Applied(predicted)) => {
                self.learned = Some(Arc::from(predicted));
                self.problem = None;
            }
            Ok(Answer::Trained(classifier)) => {
                self.classifier = Some(Kept { classifier: Arc::from(classifier), path: None });
                self.problem = None;
            }
            Err(Error::Cancelled) => {}
            Err(error) => self.problem = Some(error.to_string()),
        }
    }
}

/// Puts a classification with the bench's labels in the place of one with older ones.
fn relabel(predicted: &mut Option<Arc<Predicted>>, photos: &PhotoList) -> Result<()> {
    let fresh = predicted.as_ref().map(|known| known.relabelled(photos)).transpose()?.flatten();
    if let Some(fresh) = fresh {
        *predicted = Some(Arc::new(fresh));
    }
    Ok(())
}

/// The photos on the bench with their labels.
pub fn labelled(photos: &PhotoList) -> Vec<LabelledPhoto> {
    photos
        .iter()
        .map(|entry| LabelledPhoto {
            path: entry.path.clone(),
            label: entry.label.as_ref().map(ToString::to_string),
            group: None,
        })
        .collect()
}

/// Classifies photos by words. Photos that `known` holds in the same views are not embedded again, so after the first
/// time only the text tower runs.
pub fn by_words(setup: ClassifySetup, photos: Vec<LabelledPhoto>, known: Option<Arc<EmbeddedPhotos>>) -> LabWork {
    Box::new(move |lab| {
        // The words first: they are quick, and mistakes in them show before the photos are embedded.
        let bank = job::text_bank(lab, &setup.model, &setup.prompts)?;
        let temperature = match setup.temperature {
            Some(temperature) => temperature,
            None => job::trained_temperature(lab, &setup.model)?,
        };
        let (embedded, failures) = embed(lab, &setup.model, &setup.augment, photos, known.as_deref())?;
        let classification = job::zero_shot(&embedded, &setup.prompts, &bank, temperature, setup.margin)?;
        let mut predicted = Predicted::new(format!("Words · {}", embedded.backbone.id), classification)?;
        predicted.xray = job::xray(&embedded, &setup.prompts, &bank)?;
        predicted.failures = failures;
        predicted.models = vec![identity(&embedded)];
        predicted.device.clone_from(&embedded.device);
        predicted.settings = job::settings(&setup.prompts, temperature, setup.margin, &setup.augment);
        let (embedded, prompts) = (Arc::new(embedded), setup.prompts);
        let words =
            Words { embedded: embedded.clone(), prompts: prompts.clone(), bank, temperature, margin: setup.margin };
        predicted.words = Some(Arc::new(words));
        Ok(Answer::Words { embedded, prompts, predicted: Box::new(predicted) })
    })
}

/// Cross-validates a classifier on the labelled photos.
pub fn cross_validated(setup: ClassifySetup, photos: Vec<LabelledPhoto>, labels: Vec<String>) -> LabWork {
    Box::new(move |lab| {
        let photos: Vec<LabelledPhoto> = photos.into_iter().filter(|photo| photo.label.is_some()).collect();
        let (fused, mut failures, models, device) = fuse(lab, &setup.backbones, &photos, false)?;
        let folds = FoldOptions { folds: setup.folds, ..FoldOptions::default() };
        let outcome = fusion::evaluate(&fused, &labels, &folds, setup.head(), |_| !lab.cancelled())?;
        let title = format!("{} folds · {} · {}", setup.folds, setup.head.name(), joined(&models));
        let mut predicted = Predicted::new(title, outcome.classification)?;
        predicted.folds = outcome.folds;
        predicted.warnings = outcome.warnings;
        predicted.failures.append(&mut failures);
        predicted.settings = settings(&setup);
        predicted.learned_from =
            Some(photos.into_iter().filter_map(|photo| Some((photo.path, photo.label?))).collect());
        (predicted.models, predicted.device) = (models, device);
        Ok(Answer::Evaluated(Box::new(predicted)))
    })
}

/// Trains a classifier on all labelled photos.
pub fn trained(setup: ClassifySetup, photos: Vec<LabelledPhoto>, labels: Vec<String>) -> LabWork {
    Box::new(move |lab| {
        let photos: Vec<LabelledPhoto> = photos.into_iter().filter(|photo| photo.label.is_some()).collect();
        let (fused, ..) = fuse(lab, &setup.backbones, &photos, false)?;
        Ok(Answer::Trained(Box::new(fusion::train(&fused, &labels, setup.head())?)))
    })
}

/// Classifies photos with a trained classifier, by the networks it was trained on.
pub fn applied(classifier: Arc<Classifier>, photos: Vec<LabelledPhoto>) -> LabWork {
    Box::new(move |lab| {
        let names: Vec<String> = classifier.backbones.iter().map(|backbone| backbone.name.clone()).collect();
        let (fused, mut failures, models, device) = fuse(lab, &names, &photos, classifier.normalised)?;
        let title = format!("Classifier · {}", joined(&models));
        let mut predicted = Predicted::new(title, fusion::predict(&classifier, &fused)?)?;
        predicted.failures.append(&mut failures);
        (predicted.models, predicted.device) = (models, device);
        Ok(Answer::Applied(Box::new(predicted)))
    })
}

fn settings(setup: &ClassifySetup) -> Vec<(String, String)> {
    let weight = if setup.balanced { "every class" } else { "every photo" };
    vec![
        ("Head".to_owned(), setup.head.name().to_owned()),
        ("Folds".to_owned(), setup.folds.to_string()),
        ("Counts alike".to_owned(), weight.to_owned()),
    ]
}

fn joined(models: &[ModelIdentity]) -> String {
    models.iter().map(|model| model.id.as_str()).collect::<Vec<_>>().join(" + ")
}

fn identity(embedded: &EmbeddedPhotos) -> ModelIdentity {
    ModelIdentity { id: embedded.backbone.id.clone(), sha256: embedded.backbone.sha256.clone() }
}

/// Embeds photos with several networks and puts the features side by side.
fn fuse(
    lab: &mut Lab<'_, '_>,
    names: &[String],
    photos: &[LabelledPhoto],
    normalised: bool,
) -> Result<(fusion::FusedPhotos, Vec<Failure>, Vec<ModelIdentity>, String)> {
    let total = photos.len() * names.len();
    let (mut parts, mut failures) = (Vec::new(), Vec::new());
    for (place, name) in names.iter().enumerate() {
        let before = place * photos.len();
        let embedding = job::embed(lab, name, photos, &[], |lab, done| lab.progress(before + done, total))?;
        if embedding.cancelled {
            return Err(Error::Cancelled);
        }
        if place == 0 {
            failures = embedding.failures;
        }
        parts.push(embedding.embedded);
    }
    let models = parts.iter().map(identity).collect();
    let device = parts.first().map(|part| part.device.clone()).unwrap_or_default();
    Ok((fusion::fuse(&parts, normalised)?, failures, models, device))
}

/// The embeddings of `photos` in their order and with their labels; those in `known` are taken from there, if they were
/// made by this model of these views.
fn embed(
    lab: &mut Lab<'_, '_>,
    model: &str,
    augment: &[Augmentation],
    photos: Vec<LabelledPhoto>,
    known: Option<&EmbeddedPhotos>,
) -> Result<(EmbeddedPhotos, Vec<Failure>)> {
    let known = known.filter(|known| known.backbone.name == model && known.augmentations == augment);
    let mut by_path: HashMap<PathBuf, crate::classify::EmbeddedPhoto> = known
        .map(|known| known.photos.iter().map(|photo| (photo.path.clone(), photo.clone())).collect())
        .unwrap_or_default();
    let missing: Vec<LabelledPhoto> =
        photos.iter().filter(|photo| !by_path.contains_key(&photo.path)).cloned().collect();
    let total = missing.len();
    let (mut embedded, failures) = match known {
        Some(known) if missing.is_empty() => (EmbeddedPhotos { photos: Vec::new(), ..known.clone() }, Vec::new()),
        _ => {
            // How many they are is known before the first of them is through.
            lab.progress(0, total);
            let embedding = job::embed(lab, model, &missing, augment, |lab, done| lab.progress(done, total))?;
            if embedding.cancelled {
                return Err(Error::Cancelled);
            }
            (embedding.embedded, embedding.failures)
        }
    };
    by_path.extend(embedded.photos.drain(..).map(|photo| (photo.path.clone(), photo)));
    embedded.photos = photos
        .into_iter()
        .filter_map(|photo| by_path.remove(&photo.path).map(|known| (known, photo.label)))
        .map(|(known, label)| crate::classify::EmbeddedPhoto { label, ..known })
        .collect();
    Ok((embedded, failures))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use crate::app::labels::LabelStep;

    const NAMES: [&str; 3] = ["a.png", "b.png", "c.png"];

    fn label(photos: &mut PhotoList, id: u64, label: &str) {
        photos.swap_labels(LabelStep { classes: None, photos: vec![(id, Some(label.into()))] });
    }

    /// Three photos, the first good and the others cracked.
    fn bench() -> PhotoList {
        let mut photos = PhotoList::default();
        photos.add(NAMES.map(PathBuf::from));
        for (id, name) in [(0, "good"), (1, "crack"), (2, "crack")] {
            label(&mut photos, id, name);
        }
        photos
    }

    /// The classification of those photos with these predictions.
    fn predicted(title: &str, predictions: [usize; 3]) -> Predicted {
        let photo = |(path, (truth, prediction)): (&str, (usize, usize))| ClassifiedPhoto {
            path: path.into(),
            width: 8,
            height: 8,
            truth: Some(truth),
            prediction: Some(prediction),
            scores: if prediction == 0 { vec![0.75, 0.25] } else { vec![0.25, 0.75] },
        };
        let photos = NAMES.into_iter().zip([0, 1, 1].into_iter().zip(predictions)).map(photo).collect();
        let labels = vec!["good".to_owned(), "crack".to_owned()];
        Predicted::new(title.to_owned(), Classification { labels, photos }).unwrap()
    }

    #[test]
    fn a_changed_label_changes_truth_and_figures_and_is_said_of_what_was_learned() {
        let mut photos = bench();
        let mut learned = predicted("3 folds", [0, 1, 0]);
        let given = NAMES.map(PathBuf::from).into_iter().zip(["good", "crack", "crack"].map(str::to_owned));
        learned.learned_from = Some(given.collect());
        let learned = Some(Arc::new(learned));
        let pinned = learned.clone();
        let mut classifying = Classifying { by: By::Examples, learned, pinned, ..Classifying::default() };
        let now = |classifying: &Classifying| {
            let learned = classifying.learned.clone().unwrap();
            (learned.figures.as_ref().unwrap().report.accuracy, learned.warnings.len())
        };
        classifying.follow(&photos).unwrap();
        assert_eq!(now(&classifying), (2.0 / 3.0, 0));
        label(&mut photos, 2, "good");
        classifying.follow(&photos).unwrap();
        assert_eq!(now(&classifying), (1.0, 1));
        assert_eq!(classifying.learned.as_ref().unwrap().warnings, [OTHER_LABELS]);
        let before = classifying.learned.clone().unwrap();
        assert!(Arc::ptr_eq(&before, classifying.pinned.as_ref().unwrap()), "what is pinned follows");
        label(&mut photos, 2, "good");
        classifying.follow(&photos).unwrap();
        assert!(Arc::ptr_eq(&before, classifying.learned.as_ref().unwrap()), "nothing changed");
        label(&mut photos, 2, "crack");
        classifying.follow(&photos).unwrap();
        assert_eq!(now(&classifying), (2.0 / 3.0, 0));
        photos.clear();
        classifying.follow(&photos).unwrap();
        assert_eq!(now(&classifying), (2.0 / 3.0, 0), "a photo that left the bench keeps its truth");
    }

    #[test]
    fn what_is_on_view_is_of_the_former_setting_while_photos_are_embedded() {
        let job = |total, stopping| Some(LabJob { id: 0, what: BY_WORDS, done: 3, total, stopping });
        let mut classifying = Classifying { job: job(8, false), ..Classifying::default() };
        assert_eq!(classifying.embedding(), Some((3, 8)));
        classifying.job = job(0, false);
        assert_eq!(classifying.embedding(), None, "only the text tower runs");
        classifying.job = job(8, true);
        assert_eq!(classifying.embedding(), None, "it is being stopped");
        classifying = Classifying { job: job(8, false), by: By::Examples, ..Classifying::default() };
        assert_eq!(classifying.embedding(), None);
    }

    #[test]
    fn what_is_on_view_is_compared_with_what_is_pinned() {
        let photos = bench();
        let words = Some(Arc::new(predicted("Words · pocket", [0, 0, 0])));
        let mut classifying = Classifying { pinned: words.clone(), words, ..Classifying::default() };
        let said = |classifying: &mut Classifying| {
            classifying.follow(&photos).unwrap();
            classifying.comparison().unwrap_or_default().to_owned()
        };
        let start = "Pinned: Words · pocket, accuracy 33.3 %. ";
        assert_eq!(said(&mut classifying), format!("{start}What is classified from now on is compared with it."));
        classifying.learned = Some(Arc::new(predicted("3 folds", [0, 1, 1])));
        classifying.by = By::Examples;
        assert_eq!(
            said(&mut classifying),
            format!("{start}Only the pinned one right: 0 photos; only the one on view right: 2; exact p = 0.500.")
        );
        let mut others = predicted("others", [0, 1, 1]);
        others.classification.photos.iter_mut().for_each(|photo| photo.path = photo.path.join("other"));
        classifying.learned = Some(Arc::new(others));
        assert!(said(&mut classifying).contains("no photo with a known class in common"));
        classifying.pinned = None;
        assert_eq!(said(&mut classifying), "");
    }
}
