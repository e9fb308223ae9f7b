//! The outcome of a classification, whoever made it: labels, and per photo the truth where it is known, the prediction and
//! the scores. Figures are computed from it on demand; files are written by `report::classification`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::metrics::reliability::argmax;
use crate::metrics::{Bootstrap, ClassReport, Confusion, Interval, McNemar, Reliability, top_k_accuracy};
use crate::{Error, Result};

/// Bins of the reliability curve.
const BINS: usize = 10;

/// One photo and its label.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassifiedPhoto {
    pub path: PathBuf,
    /// Of the photo after EXIF orientation, in pixels.
    pub width: u32,
    pub height: u32,
    /// Index of the true label, where it is known.
    pub truth: Option<usize>,
    /// Index of the label given; `None` is "none of these".
    pub prediction: Option<usize>,
    /// One per label, adding up to 1.
    pub scores: Vec<f64>,
}

impl ClassifiedPhoto {
    /// The score of the label given, or of the most probable one where none was given.
    pub fn confidence(&self) -> f64 {
        self.scores.get(argmax(&self.scores)).copied().unwrap_or(0.0)
    }
}

/// A classification of photos.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Classification {
    pub labels: Vec<String>,
    pub photos: Vec<ClassifiedPhoto>,
}

/// The figures of a classification whose truth is known, at least for some photos.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassificationFigures {
    pub confusion: Confusion,
    pub report: ClassReport,
    /// Share of photos whose true class is one of the two most probable, 0–1.
    pub top_2: f64,
    /// Of the scores as probabilities, over the photos that were given a label.
    pub reliability: Reliability,
    /// Bootstrap, stratified by true class.
    pub accuracy_interval: Interval,
    /// Bootstrap, stratified by true class.
    pub macro_f1_interval: Interval,
}

impl Classification {
    /// Photos whose truth is known, with it.
    fn known(&self) -> impl Iterator<Item = (&ClassifiedPhoto, usize)> {
        self.photos.iter().filter_map(|photo| Some((photo, photo.truth?)))
    }

    /// The confusion matrix of the photos whose truth is known.
    ///
    /// # Errors
    /// [`Error::Bug`] for an index without a label.
    pub fn confusion(&self) -> Result<Confusion> {
        Confusion::new(&self.labels, self.known().map(|(photo, truth)| (truth, photo.prediction)))
    }

    /// Every figure; `None` when no photo has a known truth. Intervals are drawn by `seed`.
    ///
    /// # Errors
    /// [`Error::Input`] for scores that are not numbers in 0–1; [`Error::Bug`] for an index without a label.
    pub fn figures(&self, seed: u64) -> Result<Option<ClassificationFigures>> {
        let pairs: Vec<(usize, Option<usize>)> = self.known().map(|(photo, truth)| (truth, photo.prediction)).collect();
        if pairs.is_empty() {
            return Ok(None);
        }
        let truths: Vec<usize> = pairs.iter().map(|(truth, _)| *truth).collect();
        let scores: Vec<Vec<f64>> = self.known().map(|(photo, _)| photo.scores.clone()).collect();
        // A photo that was given no label must not count as right, nor its probability as wrong.
        let (given, of_given): (Vec<Vec<f64>>, Vec<usize>) = self
            .known()
            .filter(|(photo, _)| photo.prediction.is_some())
            .map(|(photo, truth)| (photo.scores.clone(), truth))
            .unzip();
        let confusion = self.confusion()?;
        let figure = |value: fn(&ClassReport) -> f64| {
            Bootstrap { seed, ..Bootstrap::default() }.interval(pairs.len(), Some(&truths), |drawn| {
                // The indices were checked when the whole matrix was made.
                Confusion::new(&self.labels, drawn.iter().map(|&at| pairs[at]))
                    .map_or(0.0, |confusion| value(&ClassReport::new(&confusion)))
            })
        };
        Ok(Some(ClassificationFigures {
            report: ClassReport::new(&confusion),
            top_2: top_k_accuracy(&scores, &truths, 2)?,
            reliability: Reliability::new(&given, &of_given, BINS)?,
            accuracy_interval: figure(|report| report.accuracy),
            macro_f1_interval: figure(|report| report.macro_average.f1),
            confusion,
        }))
    }

    /// McNemar's test between this run and another one over the photos that both know the truth of, found by path. Returns
    /// the number of those photos with the test.
    ///
    /// # Errors
    /// [`Error::Input`] when they share no such photo.
    pub fn compared(&self, other: &Self) -> Result<(usize, McNemar)> {
        let theirs: HashMap<&Path, bool> = other.verdicts().collect();
        let (first, second): (Vec<bool>, Vec<bool>) =
            self.verdicts().filter_map(|(path, right)| Some((right, *theirs.get(path)?))).unzip();
        if first.is_empty() {
            return Err(Error::input(
                "The two runs have no photo with a known class in common, so nothing can be compared.",
            ));
        }
        Ok((first.len(), McNemar::new(&first, &second)?))
    }

    /// Whether each photo of known truth was given the right label.
    fn verdicts(&self) -> impl Iterator<Item = (&Path, bool)> {
        self.known().map(|(photo, truth)| (photo.path.as_path(), photo.prediction == Some(truth)))
    }

    /// Photos of known truth with another label, the most confident mistakes first: what to look at.
    pub fn worst_first(&self) -> Vec<&ClassifiedPhoto> {
        let mut wrong: Vec<&ClassifiedPhoto> =
            self.known().filter(|(photo, truth)| photo.prediction != Some(*truth)).map(|(photo, _)| photo).collect();
        wrong.sort_by(|a, b| b.confidence().total_cmp(&a.confidence()));
        wrong
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn photo(name: &str, truth: Option<usize>, scores: [f64; 2]) -> ClassifiedPhoto {
        let prediction = Some(argmax(&scores));
        ClassifiedPhoto { path: name.into(), width: 4, height: 3, truth, prediction, scores: scores.to_vec() }
    }

    fn run(photos: Vec<ClassifiedPhoto>) -> Classification {
        Classification { labels: vec!["good".into(), "crack".into()], photos }
    }

    #[test]
    fn photos_without_truth_count_in_no_figure() {
        let run = run(vec![
            photo("a", Some(0), [0.9, 0.1]),
            photo("b", Some(1), [0.6, 0.4]),
            photo("c", Some(1), [0.99, 0.01]),
            photo("d", None, [0.5, 0.5]),
        ]);
        let figures = run.figures(0).unwrap().unwrap();
        assert_eq!(figures.confusion.counts(), [[1, 0], [2, 0]]);
        assert_eq!((figures.top_2, figures.accuracy_interval.stratified), (1.0, true));
        let names: Vec<_> = run.worst_first().iter().map(|photo| photo.path.display().to_string()).collect();
        assert_eq!(names, ["c", "b"]);
        let unknown = Classification { photos: run.photos[3..].to_vec(), ..run };
        assert_eq!(unknown.figures(0).unwrap(), None);
    }

    #[test]
    fn rejected_photos_are_not_right_in_the_reliability_curve() {
        let mut run = run(vec![
            photo("a", Some(0), [0.75, 0.25]),
            photo("b", Some(0), [0.75, 0.25]),
            photo("c", Some(1), [0.75, 0.25]),
        ]);
        run.photos[1].prediction = None;
        let figures = run.figures(0).unwrap().unwrap();
        let bin = &figures.reliability.bins[7];
        assert_eq!((bin.count, bin.accuracy, figures.confusion.rejected()), (2, 0.5, &[1, 0][..]));
        let right: f64 = figures.reliability.bins.iter().map(|bin| bin.count as f64 * bin.accuracy).sum();
        assert!((right / 3.0 - figures.report.accuracy).abs() < 1e-12, "the table has as many right as the accuracy");
        run.photos.iter_mut().for_each(|photo| photo.prediction = None);
        let figures = run.figures(0).unwrap().unwrap();
        assert!(figures.reliability.bins.iter().all(|bin| bin.count == 0));
    }

    #[test]
    fn runs_are_compared_photo_by_photo_whatever_their_order() {
        let one = run(vec![photo("a", Some(0), [0.9, 0.1]), photo("b", Some(1), [0.9, 0.1])]);
        let two =
            run(vec![photo("b", Some(1), [0.1, 0.9]), photo("a", Some(0), [0.8, 0.2]), photo("x", None, [1.0, 0.0])]);
        let (photos, test) = one.compared(&two).unwrap();
        assert_eq!((photos, test.only_first, test.only_second), (2, 0, 1));
        assert!(one.compared(&run(vec![photo("z", Some(0), [1.0, 0.0])])).is_err());
    }
}
