//! Classification as the window knows it: the words and the classifier being tried, and what came of them. The work itself
//! is `classify`'s and runs on the engine's thread; this says what to ask for and keeps the answers.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::photo_list::PhotoList;
use crate::classify::{
    ClassWeight, Classification, ClassificationFigures, Classifier, EmbeddedPhotos, FoldOptions, HeadKind, HeadOptions,
    LabelPrompts, LogisticOptions, Xray, fusion, job,
};
use crate::dataset::labels::LabelledPhoto;
use crate::engine::{JobId, Lab};
use crate::photo::Failure;
use crate::report::{ClassificationRun, ModelIdentity};
use crate::{Error, Result};

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
        })
    }

    /// What was said of one photo.
    pub fn of(&self, path: &std::path::Path) -> Option<&crate::classify::ClassifiedPhoto> {
        self.places.get(path).and_then(|&at| self.classification.photos.get(at))
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
}

impl Classifying {
    /// What the page shows now.
    pub fn shown(&self) -> Option<&Arc<Predicted>> {
        match self.by {
            By::Words => self.words.as_ref(),
            By::Examples => self.learned.as_ref(),
        }
    }

    /// An answer, or why there is none.
    pub fn take(&mut self, answer: Result<Answer>) {
        self.job = None;
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

/// Classifies photos by words. Photos that `known` holds are not embedded again, so after the first time only the text
/// tower runs.
pub fn by_words(setup: ClassifySetup, photos: Vec<LabelledPhoto>, known: Option<Arc<EmbeddedPhotos>>) -> LabWork {
    Box::new(move |lab| {
        // The words first: they are quick, and mistakes in them show before the photos are embedded.
        let bank = job::text_bank(lab, &setup.model, &setup.prompts)?;
        let temperature = match setup.temperature {
            Some(temperature) => temperature,
            None => job::trained_temperature(lab, &setup.model)?,
        };
        let (embedded, failures) = embed(lab, &setup.model, photos, known.as_deref())?;
        let classification = job::zero_shot(&embedded, &setup.prompts, &bank, temperature, setup.margin)?;
        let mut predicted = Predicted::new(format!("Words · {}", embedded.backbone.id), classification)?;
        predicted.xray = job::xray(&embedded, &setup.prompts, &bank)?;
        predicted.failures = failures;
        predicted.models = vec![identity(&embedded)];
        predicted.device.clone_from(&embedded.device);
        predicted.settings = vec![
            ("Labels".to_owned(), setup.prompts.names().join(", ")),
            ("Templates".to_owned(), setup.prompts.templates.len().to_string()),
            ("Scale".to_owned(), format!("temperature {temperature}, margin {}", setup.margin)),
        ];
        Ok(Answer::Words { embedded: Arc::new(embedded), prompts: setup.prompts, predicted: Box::new(predicted) })
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

/// The embeddings of `photos` in their order and with their labels; those in `known` are taken from there.
fn embed(
    lab: &mut Lab<'_, '_>,
    model: &str,
    photos: Vec<LabelledPhoto>,
    known: Option<&EmbeddedPhotos>,
) -> Result<(EmbeddedPhotos, Vec<Failure>)> {
    let known = known.filter(|known| known.backbone.name == model);
    let mut by_path: HashMap<PathBuf, crate::classify::EmbeddedPhoto> = known
        .map(|known| known.photos.iter().map(|photo| (photo.path.clone(), photo.clone())).collect())
        .unwrap_or_default();
    let missing: Vec<LabelledPhoto> =
        photos.iter().filter(|photo| !by_path.contains_key(&photo.path)).cloned().collect();
    let total = missing.len();
    let (mut embedded, failures) = match known {
        Some(known) if missing.is_empty() => (EmbeddedPhotos { photos: Vec::new(), ..known.clone() }, Vec::new()),
        _ => {
            let embedding = job::embed(lab, model, &missing, &[], |lab, done| lab.progress(done, total))?;
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
