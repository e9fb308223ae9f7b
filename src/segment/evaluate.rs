//! How well masks meet the truth: IoU and Dice for each class and over all, at a fixed threshold and at the best one, and
//! for each photo. Where maps come from, the caller knows.

use std::path::PathBuf;

use serde::Serialize;

use crate::Error;
use crate::Result;
use crate::dataset::masked::{MaskedFolder, MaskedPhoto};
use crate::metrics::segmentation::{Overlap, Sweep};
use crate::photo::Photo;

/// One photo and class.
#[derive(Clone, Debug, Serialize)]
pub struct PhotoOverlap {
    pub path: PathBuf,
    pub class: String,
    /// At the fixed threshold, in [0, 1]; absent where neither mask nor truth has a pixel.
    pub iou: Option<f64>,
    pub dice: Option<f64>,
    /// Share of the photo that is outlined, and that was predicted, in [0, 1].
    pub truth_share: f64,
    pub predicted_share: f64,
}

/// One class, or all together.
#[derive(Clone, Debug, Serialize)]
pub struct ClassOverlap {
    pub class: String,
    /// Photos with a mask of the class.
    pub photos: usize,
    /// Over the pixels of all photos, at the fixed threshold.
    pub iou: Option<f64>,
    pub dice: Option<f64>,
    /// Means over the photos in which the class is outlined.
    pub mean_iou: Option<f64>,
    pub mean_dice: Option<f64>,
    /// The threshold with the highest Dice over all pixels, chosen on these very photos, and what it gives.
    pub best_threshold: Option<f64>,
    pub best_iou: Option<f64>,
    pub best_dice: Option<f64>,
}

/// The whole outcome.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    pub threshold: f64,
    pub classes: Vec<ClassOverlap>,
    pub overall: ClassOverlap,
    /// In the order of the folder, every class of a photo.
    pub photos: Vec<PhotoOverlap>,
    #[serde(skip)]
    pub failures: Vec<(PathBuf, Error)>,
}

/// Evaluates `classes` of `folder`. `predict` gives the opened photo and a map `[height × width]` of probabilities for
/// each class, in the order of `classes`; `progress` gets the number of photos that are through and says whether to go
/// on. A photo that fails is listed and left out.
///
/// # Errors
/// [`Error::Cancelled`] when `progress` says so.
pub fn evaluate(
    folder: &MaskedFolder,
    classes: &[String],
    threshold: f64,
    mut predict: impl FnMut(&MaskedPhoto) -> Result<(Photo, Vec<Vec<f32>>)>,
    mut progress: impl FnMut(usize) -> bool,
) -> Result<Evaluation> {
    let mut sweeps = vec![Sweep::default(); classes.len()];
    let mut photos: Vec<PhotoOverlap> = Vec::new();
    let mut failures = Vec::new();
    for (done, masked) in folder.photos.iter().enumerate() {
        if !progress(done) {
            return Err(Error::Cancelled);
        }
        match one(masked, classes, threshold, &mut predict) {
            Ok(results) => {
                for ((sweep, (photo, own)), class) in sweeps.iter_mut().zip(results).zip(classes) {
                    sweep.merge(&own);
                    photos.push(PhotoOverlap { class: class.clone(), ..photo });
                }
            }
            Err(error) => failures.push((masked.path.clone(), error)),
        }
    }
    let summary = |class: &str, sweep: &Sweep, photos: &[&PhotoOverlap]| {
        let outlined: Vec<_> = photos.iter().filter(|photo| photo.truth_share > 0.0).collect();
        let mean = |figure: fn(&PhotoOverlap) -> Option<f64>| {
            let figures: Vec<f64> = outlined.iter().filter_map(|photo| figure(photo)).collect();
            (!figures.is_empty()).then(|| figures.iter().sum::<f64>() / figures.len() as f64)
        };
        let (fixed, best) = (sweep.at(threshold), sweep.best());
        ClassOverlap {
            class: class.to_owned(),
            photos: outlined.len(),
            iou: fixed.iou(),
            dice: fixed.dice(),
            mean_iou: mean(|photo| photo.iou),
            mean_dice: mean(|photo| photo.dice),
            best_threshold: best.map(|(threshold, _)| threshold),
            best_iou: best.and_then(|(_, overlap)| overlap.iou()),
            best_dice: best.and_then(|(_, overlap)| overlap.dice()),
        }
    };
    let mut all = Sweep::default();
    for sweep in &sweeps {
        all.merge(sweep);
    }
    let of_class = |class: &String| photos.iter().filter(|photo| photo.class == *class).collect::<Vec<_>>();
    Ok(Evaluation {
        threshold,
        classes: classes.iter().zip(&sweeps).map(|(class, sweep)| summary(class, sweep, &of_class(class))).collect(),
        overall: summary("all", &all, &photos.iter().collect::<Vec<_>>()),
        photos,
        failures,
    })
}

/// Each class of one photo, with its counts.
fn one(
    masked: &MaskedPhoto,
    classes: &[String],
    threshold: f64,
    predict: &mut impl FnMut(&MaskedPhoto) -> Result<(Photo, Vec<Vec<f32>>)>,
) -> Result<Vec<(PhotoOverlap, Sweep)>> {
    let (photo, maps) = predict(masked)?;
    classes
        .iter()
        .zip(&maps)
        .map(|(class, map)| {
            let truth = masked.truth(&photo, class)?;
            let mut sweep = Sweep::default();
            sweep
                .add(map, &truth)
                .map_err(|at| Error::bug(format!("the probability of pixel {at} is not a number.")).at(&masked.path))?;
            let Overlap { both, predicted_only, true_only } = sweep.at(threshold);
            let overlap = Overlap { both, predicted_only, true_only };
            let share = |pixels: u64| pixels as f64 / truth.len() as f64;
            let photo = PhotoOverlap {
                path: masked.path.clone(),
                class: class.clone(),
                iou: overlap.iou(),
                dice: overlap.dice(),
                truth_share: share(both + true_only),
                predicted_share: share(both + predicted_only),
            };
            Ok((photo, sweep))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn pooled_and_mean_figures_are_kept_apart_and_a_bad_photo_fails_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mask = |name: &str, inside: &[usize]| {
            let path = dir.path().join(name);
            let pixels = (0..8).map(|i| if inside.contains(&i) { 255 } else { 0 }).collect();
            image::GrayImage::from_raw(4, 2, pixels).unwrap().save(&path).unwrap();
            path
        };
        let photo = |name: &str, mask: Option<PathBuf>| MaskedPhoto {
            path: name.into(),
            masks: mask.into_iter().map(|mask| ("crack".to_owned(), mask)).collect::<BTreeMap<_, _>>(),
        };
        let folder = MaskedFolder {
            classes: vec!["crack".to_owned()],
            photos: vec![
                photo("a", Some(mask("a.png", &[0, 1, 2, 3]))),
                photo("b", Some(mask("b.png", &[0]))),
                photo("good", None),
                photo("broken", None),
            ],
        };
        let predict = |masked: &MaskedPhoto| {
            if masked.path.ends_with("broken") {
                return Err(Error::input("no photo").at(&masked.path));
            }
            let map = (0..8).map(|i| if i < 2 { 0.75 } else { 0.25 }).collect();
            Ok((Photo::from_pixels(image::RgbImage::new(4, 2), &masked.path), vec![map]))
        };
        let result = evaluate(&folder, &folder.classes, 0.5, predict, |_| true).unwrap();
        // a: 2 of 4, none too many; b: 1 of 1, one too many; good: two too many.
        assert_eq!(result.photos.iter().map(|p| p.iou.unwrap()).collect::<Vec<_>>(), [0.5, 0.5, 0.0]);
        let crack = &result.classes[0];
        assert_eq!((crack.photos, crack.mean_iou.unwrap()), (2, 0.5));
        assert!((crack.iou.unwrap() - 3.0 / 8.0).abs() < 1e-12 && (crack.dice.unwrap() - 6.0 / 11.0).abs() < 1e-12);
        assert_eq!(result.overall.iou, crack.iou);
        assert_eq!(result.failures.len(), 1);
        assert!(matches!(evaluate(&folder, &folder.classes, 0.5, predict, |_| false), Err(Error::Cancelled)));
    }
}
