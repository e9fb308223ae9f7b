//! Classification as work for the engine: photos go through the networks in `engine::Lab`, everything after that is the
//! arithmetic of this module. Command line and window call these, so they cannot differ.

use std::path::PathBuf;

use super::augment::{Augmentation, joined, views};
use super::outcome::{Classification, ClassifiedPhoto};
use super::prompts::{LabelPrompts, PROMPTS_FILE, TEMPLATES_FILE};
use super::saved::BackboneIdentity;
use super::xray::Xray;
use super::zero_shot::{TextBank, cosines, decide, probabilities};
use crate::dataset::labels::LabelledPhoto;
use crate::engine::Lab;
use crate::model::{Geometry, Want};
use crate::photo::{Failure, Photo};
use crate::{Error, Result};

/// Photos embedded between two looks at whether to stop.
const STRETCH: usize = 16;

/// A photo as one vector.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddedPhoto {
    pub path: PathBuf,
    /// Of the photo after EXIF orientation, in pixels.
    pub width: u32,
    pub height: u32,
    /// Label and group as they were given.
    pub label: Option<String>,
    pub group: Option<String>,
    /// `[dim]`, not normalised.
    pub embedding: Vec<f32>,
}

/// Photos as vectors of one backbone.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddedPhotos {
    pub backbone: BackboneIdentity,
    /// The device in words.
    pub device: String,
    /// The views that were joined, besides the photo as it is.
    pub augmentations: Vec<Augmentation>,
    /// Those that could be read, in order.
    pub photos: Vec<EmbeddedPhoto>,
}

/// Photos as vectors, and what became of the rest.
#[derive(Clone, Debug)]
pub struct Embedding {
    pub embedded: EmbeddedPhotos,
    pub failures: Vec<Failure>,
    /// The front asked to stop; `embedded` holds what was done by then.
    pub cancelled: bool,
}

/// Embeds photos with one backbone, by its own preprocessing; with augmentations, the joined views of each photo
/// (see [`joined`]). `progress` is told the photos that are through.
///
/// # Errors
/// Those of loading the backbone and of the device; a photo that cannot be read is a failure, no error.
pub fn embed(
    lab: &mut Lab<'_, '_>,
    model: &str,
    photos: &[LabelledPhoto],
    augmentations: &[Augmentation],
    mut progress: impl FnMut(&mut Lab<'_, '_>, usize),
) -> Result<Embedding> {
    let network = lab.backbone(model)?;
    let info = network.info();
    let backbone = BackboneIdentity {
        name: model.to_owned(),
        id: info.id.clone(),
        sha256: info.sha256.clone(),
        dim: info.embedding_dim,
    };
    let device = lab.device()?;
    let in_views = |photo: &LabelledPhoto| -> Result<(u32, u32, Vec<f32>)> {
        let opened = Photo::open_to_judge(&photo.path)?;
        let looks = views(&opened, augmentations);
        let prepared =
            looks.iter().map(|view| network.prepare(view, Geometry::Reference)).collect::<Result<Vec<_>>>()?;
        let features = network.encode_images(&prepared, &Want::default())?;
        let embedding = joined(features.into_iter().map(|features| features.embedding));
        Ok((opened.width(), opened.height(), embedding.map_err(|error| error.at(&photo.path))?))
    };
    let mut embedded = EmbeddedPhotos {
        backbone,
        device,
        augmentations: augmentations.to_vec(),
        photos: Vec::with_capacity(photos.len()),
    };
    let (mut failures, mut cancelled) = (Vec::new(), false);
    for (at, stretch) in photos.chunks(STRETCH).enumerate() {
        if lab.cancelled() {
            cancelled = true;
            break;
        }
        let outcomes: Vec<Result<(u32, u32, Vec<f32>)>> = if augmentations.is_empty() {
            let paths: Vec<PathBuf> = stretch.iter().map(|photo| photo.path.clone()).collect();
            match lab.embed_all(model, &paths, |_, _, _| {}) {
                Err(Error::Cancelled) => {
                    cancelled = true;
                    break;
                }
                outcomes => outcomes?
                    .into_iter()
                    .map(|one| one.map(|one| (one.facts.width, one.facts.height, one.embedding.clone())))
                    .collect(),
            }
        } else {
            stretch.iter().map(in_views).collect()
        };
        for (photo, outcome) in stretch.iter().zip(outcomes) {
            match outcome {
                Ok((width, height, embedding)) => embedded.photos.push(EmbeddedPhoto {
                    path: photo.path.clone(),
                    width,
                    height,
                    label: photo.label.clone(),
                    group: photo.group.clone(),
                    embedding,
                }),
                // The device fails for every photo, a photo only for itself.
                Err(error @ (Error::Device { .. } | Error::Bug { .. })) => return Err(error),
                Err(error) => failures.push(Failure { path: photo.path.clone(), error }),
            }
        }
        progress(lab, at * STRETCH + stretch.len());
    }
    Ok(Embedding { embedded, failures, cancelled })
}

/// Embeddings of the sentences of these prompts, sorted; every sentence goes through the text tower once.
///
/// # Errors
/// Those of the prompts ([`LabelPrompts::check`]) and of the text tower.
pub fn text_bank(lab: &mut Lab<'_, '_>, model: &str, prompts: &LabelPrompts) -> Result<TextBank> {
    prompts.check()?;
    let embeddings = lab.texts(model, &prompts.sentences())?;
    TextBank::new(prompts, &embeddings.iter().map(|embedding| embedding.to_vec()).collect::<Vec<_>>())
}

/// The temperature that a model was trained with: 1 / e^logit_scale.
///
/// # Errors
/// Those of loading the model and of the device.
pub fn trained_temperature(lab: &mut Lab<'_, '_>, model: &str) -> Result<f32> {
    lab.backbone(model)?.text_tower()?.temperature()
}

/// Labels embedded photos by words. No network: for every key press.
///
/// # Errors
/// [`Error::Input`] when the phrases of a label cancel out, or for a temperature or margin out of range.
pub fn zero_shot(
    photos: &EmbeddedPhotos,
    prompts: &LabelPrompts,
    bank: &TextBank,
    temperature: f32,
    margin: f64,
) -> Result<Classification> {
    if !(temperature > 0.0 && temperature.is_finite()) {
        return Err(Error::input(format!("The temperature is {temperature}, but it has to be a number above 0.")));
    }
    if !(0.0..=1.0).contains(&margin) {
        return Err(Error::input(format!("The margin is {margin}, but it has to lie between 0 and 1.")));
    }
    let (labels, directions) = (prompts.names(), bank.directions()?);
    let classified = photos.photos.iter().map(|photo| {
        let scores = probabilities(&cosines(&photo.embedding, &directions), temperature);
        ClassifiedPhoto { prediction: decide(&scores, margin), ..classified(photo, &labels, scores) }
    });
    Ok(Classification { photos: classified.collect(), labels: labels.clone() })
}

/// The x-ray of the prompts on those photos whose class is known; `None` where there is none.
///
/// # Errors
/// As [`Xray::new`].
pub fn xray(photos: &EmbeddedPhotos, prompts: &LabelPrompts, bank: &TextBank) -> Result<Option<Xray>> {
    let labels = prompts.names();
    let known: Vec<(&[f32], usize)> = photos
        .photos
        .iter()
        .filter_map(|photo| Some((photo.embedding.as_slice(), index(&labels, photo.label.as_deref())?)))
        .collect();
    if known.is_empty() { Ok(None) } else { Xray::new(prompts, bank, &known).map(Some) }
}

/// What decided a classification by words, for its report: name and value.
pub fn settings(
    prompts: &LabelPrompts,
    temperature: f32,
    margin: f64,
    augmentations: &[Augmentation],
) -> Vec<(String, String)> {
    let phrases: usize = prompts.labels.iter().map(|label| label.phrases.len()).sum();
    let views: Vec<&str> = augmentations.iter().map(|kind| kind.name()).collect();
    let settings = [
        ("Labels", prompts.names().join(", ")),
        ("Phrases", format!("{phrases}, in {PROMPTS_FILE}")),
        ("Templates", format!("{}, in {TEMPLATES_FILE}", prompts.templates.len())),
        ("Object", prompts.object.clone()),
        ("Scale", format!("temperature {temperature}, margin {margin}")),
        ("Views", if views.is_empty() { "the photo as it is".to_owned() } else { views.join(", ") }),
    ];
    settings.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Which label this is.
fn index(labels: &[String], label: Option<&str>) -> Option<usize> {
    labels.iter().position(|known| Some(known.as_str()) == label)
}

fn classified(photo: &EmbeddedPhoto, labels: &[String], scores: Vec<f64>) -> ClassifiedPhoto {
    ClassifiedPhoto {
        path: photo.path.clone(),
        width: photo.width,
        height: photo.height,
        truth: index(labels, photo.label.as_deref()),
        prediction: decide(&scores, 0.0),
        scores,
    }
}
