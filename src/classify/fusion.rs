//! Fusion: embeddings of several backbones side by side, learned from labelled photos. Joining, cross-validation, training
//! and prediction over photos that are embedded already; running the networks is `job::embed`.

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;

use super::cross_validation::{FoldOptions, assign_folds, cross_validate, fold_warnings};
use super::features::Features;
use super::head::{HeadOptions, Pipeline};
use super::job::{EmbeddedPhoto, EmbeddedPhotos};
use super::outcome::{Classification, ClassifiedPhoto};
use super::saved::{BackboneIdentity, Classifier};
use super::zero_shot::decide;
use crate::anomaly::prompt::normalise;
use crate::metrics::{ClassReport, Confusion};
use crate::{Error, Result};

/// Photos with the embeddings of several backbones side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct FusedPhotos {
    /// In the order of their features.
    pub backbones: Vec<BackboneIdentity>,
    /// Each backbone's embedding was scaled to length 1 first.
    pub normalised: bool,
    pub photos: Vec<EmbeddedPhoto>,
}

/// Figures of one fold of a cross-validation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FoldFigures {
    /// Counted from 1.
    pub fold: usize,
    /// Photos learned from.
    pub learned: usize,
    /// Photos tested.
    pub tested: usize,
    pub accuracy: f64,
    pub macro_f1: f64,
    pub weighted_f1: f64,
}

/// The outcome of a cross-validation: every photo labelled by a pipeline that never saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    pub classification: Classification,
    pub folds: Vec<FoldFigures>,
    /// Classes with fewer photos than folds, and the like.
    pub warnings: Vec<String>,
}

/// Puts the embeddings of each photo side by side, in the order of `parts`; a photo that one of them lacks is left out.
/// `normalised` scales each backbone's embedding to length 1 first, so that none outweighs the others before the scaler.
///
/// # Errors
/// [`Error::Bug`] without a part.
pub fn fuse(parts: &[EmbeddedPhotos], normalised: bool) -> Result<FusedPhotos> {
    let (first, rest) = parts.split_first().ok_or_else(|| Error::bug("there is no backbone to fuse."))?;
    let rest: Vec<HashMap<&Path, &EmbeddedPhoto>> =
        rest.iter().map(|part| part.photos.iter().map(|photo| (photo.path.as_path(), photo)).collect()).collect();
    let photos = first.photos.iter().filter_map(|photo| {
        let mut embedding = Vec::new();
        for part in std::iter::once(Some(photo)).chain(rest.iter().map(|part| part.get(photo.path.as_path()).copied()))
        {
            let at = embedding.len();
            embedding.extend_from_slice(&part?.embedding);
            if normalised {
                normalise(&mut embedding[at..]);
            }
        }
        Some(EmbeddedPhoto { embedding, ..photo.clone() })
    });
    Ok(FusedPhotos {
        photos: photos.collect(),
        backbones: parts.iter().map(|part| part.backbone.clone()).collect(),
        normalised,
    })
}

impl FusedPhotos {
    /// The labels that occur, sorted by name.
    pub fn labels(&self) -> Vec<String> {
        let mut labels: Vec<String> = self.photos.iter().filter_map(|photo| photo.label.clone()).collect();
        labels.sort();
        labels.dedup();
        labels
    }

    /// Photos whose label is one of these, with its index; their features.
    fn labelled(&self, labels: &[String]) -> Result<(Vec<&EmbeddedPhoto>, Vec<usize>, Features)> {
        let class = |photo: &EmbeddedPhoto| labels.iter().position(|label| Some(label) == photo.label.as_ref());
        let (photos, truth): (Vec<_>, Vec<_>) =
            self.photos.iter().filter_map(|photo| Some((photo, class(photo)?))).unzip();
        if photos.is_empty() {
            return Err(Error::input(
                "No photo has a label to learn from. Sort the photos into class folders, or name their labels with --labels-from.",
            ));
        }
        let features = Features::from_rows(photos.iter().map(|photo| photo.embedding.as_slice()))?;
        Ok((photos, truth, features))
    }
}

/// Cross-validates a head on the photos that have one of `labels`. Photos of one group stay in one fold, where there are
/// groups; a photo without is a group of its own. `progress` is told the folds done and says whether to go on.
///
/// # Errors
/// Those of [`assign_folds`] and [`cross_validate`].
pub fn evaluate(
    photos: &FusedPhotos,
    labels: &[String],
    folds: &FoldOptions,
    head: HeadOptions,
    progress: impl FnMut(usize) -> bool,
) -> Result<Evaluation> {
    let (known, truth, features) = photos.labelled(labels)?;
    let groups = groups(&known);
    let fold_of = assign_folds(&truth, groups.as_deref(), folds)?;
    let warnings = fold_warnings(labels, &truth, folds.folds);
    let outcome = cross_validate(&features, &truth, labels.len(), &fold_of, head, progress)?;
    let photos: Vec<ClassifiedPhoto> = known
        .iter()
        .zip(&truth)
        .zip(outcome.scores)
        .map(|((photo, &truth), scores)| classified(photo, Some(truth), scores))
        .collect();
    let figures = |fold: usize| -> Result<FoldFigures> {
        let tested: Vec<_> = photos.iter().zip(&truth).zip(&fold_of).filter(|(_, of)| **of == fold).collect();
        let pairs = tested.iter().map(|((photo, truth), _)| (**truth, photo.prediction));
        let report = ClassReport::new(&Confusion::new(labels, pairs)?);
        Ok(FoldFigures {
            fold: fold + 1,
            learned: photos.len() - tested.len(),
            tested: tested.len(),
            accuracy: report.accuracy,
            macro_f1: report.macro_average.f1,
            weighted_f1: report.weighted_average.f1,
        })
    };
    let folds = (0..folds.folds).map(figures).collect::<Result<_>>()?;
    Ok(Evaluation { classification: Classification { labels: labels.to_vec(), photos }, folds, warnings })
}

/// Numbers of the groups; `None` where no photo has one.
fn groups(photos: &[&EmbeddedPhoto]) -> Option<Vec<usize>> {
    photos.iter().any(|photo| photo.group.is_some()).then(|| {
        let mut known: HashMap<&str, usize> = HashMap::new();
        let mut next = 0;
        let mut fresh = || {
            next += 1;
            next - 1
        };
        photos
            .iter()
            .map(|photo| match &photo.group {
                Some(group) => *known.entry(group).or_insert_with(&mut fresh),
                None => fresh(),
            })
            .collect()
    })
}

/// Trains a head on all photos that have one of `labels`.
///
/// # Errors
/// [`Error::Input`] without labelled photos or with fewer than two classes among them.
pub fn train(photos: &FusedPhotos, labels: &[String], head: HeadOptions) -> Result<Classifier> {
    let (_, truth, features) = photos.labelled(labels)?;
    Ok(Classifier {
        labels: labels.to_vec(),
        backbones: photos.backbones.clone(),
        normalised: photos.normalised,
        pipeline: Pipeline::fit(&features, &truth, labels.len(), head)?,
    })
}

/// Labels photos with a trained classifier; a photo's own label, where it has one, becomes its truth.
///
/// # Errors
/// [`Error::Input`] when the photos were embedded with other backbones than it was trained on.
pub fn predict(classifier: &Classifier, photos: &FusedPhotos) -> Result<Classification> {
    classifier.check_backbones(&photos.backbones)?;
    let features = Features::from_rows(photos.photos.iter().map(|photo| photo.embedding.as_slice()))?;
    let scores = classifier.pipeline.scores(&features)?;
    let labels = classifier.labels.clone();
    let truth = |photo: &EmbeddedPhoto| labels.iter().position(|label| Some(label) == photo.label.as_ref());
    let photos = photos.photos.iter().zip(scores).map(|(photo, scores)| classified(photo, truth(photo), scores));
    Ok(Classification { photos: photos.collect(), labels: classifier.labels.clone() })
}

fn classified(photo: &EmbeddedPhoto, truth: Option<usize>, scores: Vec<f64>) -> ClassifiedPhoto {
    ClassifiedPhoto {
        path: photo.path.clone(),
        width: photo.width,
        height: photo.height,
        truth,
        prediction: decide(&scores, 0.0),
        scores,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn part(name: &str, photos: &[(&str, &str, [f32; 2])]) -> EmbeddedPhotos {
        let photo = |&(path, label, embedding): &(&str, &str, [f32; 2])| EmbeddedPhoto {
            path: path.into(),
            width: 8,
            height: 8,
            label: (!label.is_empty()).then(|| label.to_owned()),
            group: None,
            embedding: embedding.to_vec(),
        };
        EmbeddedPhotos {
            backbone: BackboneIdentity { name: name.into(), id: name.into(), sha256: name.repeat(9), dim: 2 },
            device: "test".into(),
            augmentations: Vec::new(),
            photos: photos.iter().map(photo).collect(),
        }
    }

    /// Two classes that the first backbone tells apart, in 12 photos.
    fn photos() -> FusedPhotos {
        let rows: Vec<(String, &str, [f32; 2])> = (0..12)
            .map(|i| {
                let class = if i % 3 == 0 { "crack" } else { "good" };
                (
                    format!("{i:02}.png"),
                    class,
                    [if i % 3 == 0 { 2.0 } else { -2.0 } + (i % 5) as f32 / 9.0, (i % 4) as f32],
                )
            })
            .collect();
        let rows: Vec<_> = rows.iter().map(|(path, class, row)| (path.as_str(), *class, *row)).collect();
        fuse(&[part("a", &rows), part("b", &rows)], false).unwrap()
    }

    #[test]
    fn embeddings_stand_side_by_side_and_a_photo_that_one_lacks_is_left_out() {
        let a = part("a", &[("x", "good", [3.0, 4.0]), ("y", "", [1.0, 0.0]), ("z", "good", [1.0, 1.0])]);
        let b = part("b", &[("z", "good", [0.0, 2.0]), ("x", "good", [5.0, 0.0])]);
        let fused = fuse(&[a.clone(), b.clone()], false).unwrap();
        let rows: Vec<_> =
            fused.photos.iter().map(|photo| (photo.path.to_str().unwrap(), photo.embedding.clone())).collect();
        assert_eq!(rows, [("x", vec![3.0, 4.0, 5.0, 0.0]), ("z", vec![1.0, 1.0, 0.0, 2.0])]);
        let unit = fuse(&[a, b], true).unwrap();
        assert_eq!(unit.photos[0].embedding, [0.6, 0.8, 1.0, 0.0]);
        assert!(fuse(&[], false).is_err());
    }

    #[test]
    fn evaluation_training_and_prediction_agree_on_easy_photos() {
        let photos = photos();
        let labels = photos.labels();
        assert_eq!(labels, ["crack", "good"]);
        let outcome = evaluate(&photos, &labels, &FoldOptions::default(), HeadOptions::default(), |_| true).unwrap();
        assert_eq!(outcome.classification.photos.len(), 12);
        assert!(outcome.folds.iter().all(|fold| fold.accuracy == 1.0 && fold.learned == 8 && fold.tested == 4));
        assert!(outcome.warnings.is_empty());
        let classifier = train(&photos, &labels, HeadOptions::default()).unwrap();
        let predicted = predict(&classifier, &photos).unwrap();
        assert!(predicted.photos.iter().all(|photo| photo.prediction == photo.truth));
        let mut others = photos.clone();
        others.backbones.reverse();
        assert!(predict(&classifier, &others).unwrap_err().to_string().contains("SHA-256"));
    }

    #[test]
    fn groups_stay_together_and_photos_without_labels_are_not_learned_from() {
        let mut photos = photos();
        for (at, photo) in photos.photos.iter_mut().enumerate() {
            photo.group = Some((at / 2).to_string());
        }
        photos.photos[11].label = None;
        let known: Vec<&EmbeddedPhoto> = photos.photos.iter().collect();
        assert_eq!(groups(&known).unwrap()[..4], [0, 0, 1, 1]);
        let labels = photos.labels();
        let folds = FoldOptions { folds: 2, seed: None };
        let outcome = evaluate(&photos, &labels, &folds, HeadOptions::default(), |_| true).unwrap();
        assert_eq!(outcome.classification.photos.len(), 11);
        photos.photos.iter_mut().for_each(|photo| photo.label = None);
        assert!(evaluate(&photos, &labels, &folds, HeadOptions::default(), |_| true).is_err());
    }
}
