//! What decides the class from scaled features: logistic regression, or for classes with a handful of photos the nearest
//! centroid and the nearest neighbours. A [`Pipeline`] is a scaler with a head, fitted together and never apart.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::features::Features;
use super::logistic::{Logistic, LogisticOptions, softmax};
use super::scaler::Scaler;
use crate::{Error, Result};

/// The kinds of head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadKind {
    /// Multinomial logistic regression.
    #[default]
    Logistic,
    /// The class whose mean is nearest.
    Centroid,
    /// The most frequent class among the nearest photos.
    Knn,
}

impl HeadKind {
    /// Every kind, in the order menus show them.
    pub const ALL: [Self; 3] = [Self::Logistic, Self::Centroid, Self::Knn];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logistic => "logistic",
            Self::Centroid => "centroid",
            Self::Knn => "knn",
        }
    }
}

impl FromStr for HeadKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| Error::input(format!("There is no head `{name}`. Use logistic, centroid or knn.")))
    }
}

/// Which head, and its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeadOptions {
    pub kind: HeadKind,
    pub logistic: LogisticOptions,
    /// Neighbours that vote.
    pub neighbours: usize,
}

impl Default for HeadOptions {
    fn default() -> Self {
        Self { kind: HeadKind::Logistic, logistic: LogisticOptions::default(), neighbours: 5 }
    }
}

/// A fitted head.
#[derive(Clone, Debug, PartialEq)]
pub enum Head {
    Logistic(Logistic),
    Centroid(Centroid),
    Knn(Knn),
}

/// The mean of each class (scikit-learn's `NearestCentroid`, Euclidean).
#[derive(Clone, Debug, PartialEq)]
pub struct Centroid {
    /// `[classes, width]`
    pub means: Vec<f64>,
    /// Mean squared distance of the photos to the mean of their class, > 0; the unit of distances in scores.
    pub spread: f64,
}

impl Centroid {
    fn fit(features: &Features, truth: &[usize], classes: usize) -> Self {
        let width = features.width();
        let (mut means, mut counts) = (vec![0.0; classes * width], vec![0.0_f64; classes]);
        for (row, &class) in features.rows().zip(truth) {
            counts[class] += 1.0;
            means[class * width..(class + 1) * width].iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        for (mean, count) in means.chunks_exact_mut(width).zip(&counts) {
            for sum in mean {
                *sum /= count.max(1.0);
            }
        }
        let distances = features.rows().zip(truth).map(|(row, class)| squared(row, &means[class * width..][..width]));
        let spread = distances.sum::<f64>() / features.len().max(1) as f64;
        Self { means, spread: if spread > 0.0 { spread } else { 1.0 } }
    }

    /// Softmax of −distance² / spread: it ranks classes by distance and is no calibrated probability.
    fn scores(&self, row: &[f64]) -> Vec<f64> {
        softmax(self.means.chunks_exact(row.len()).map(|mean| -squared(row, mean) / self.spread))
    }
}

/// The photos themselves (scikit-learn's `KNeighborsClassifier`, Euclidean, uniform weights).
#[derive(Clone, Debug, PartialEq)]
pub struct Knn {
    pub features: Features,
    /// Class of each photo.
    pub truth: Vec<usize>,
    pub classes: usize,
    /// Neighbours that vote; all photos where there are fewer.
    pub neighbours: usize,
}

impl Knn {
    /// Shares of the votes. Of photos equally far the earlier one votes.
    fn scores(&self, row: &[f64]) -> Vec<f64> {
        let mut order: Vec<(f64, usize)> =
            self.features.rows().enumerate().map(|(at, other)| (squared(row, other), at)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let voters = self.neighbours.min(order.len());
        let mut votes = vec![0.0; self.classes];
        order[..voters].iter().for_each(|&(_, at)| votes[self.truth[at]] += 1.0 / voters as f64);
        votes
    }
}

fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

impl Head {
    fn fit(features: &Features, truth: &[usize], classes: usize, options: HeadOptions) -> Result<Self> {
        match options.kind {
            HeadKind::Logistic => Ok(Self::Logistic(Logistic::fit(features, truth, classes, options.logistic)?)),
            HeadKind::Centroid => Ok(Self::Centroid(Centroid::fit(features, truth, classes))),
            HeadKind::Knn if options.neighbours == 0 => {
                Err(Error::input("Nearest neighbours need at least one neighbour."))
            }
            HeadKind::Knn => Ok(Self::Knn(Knn {
                features: features.clone(),
                truth: truth.to_vec(),
                classes,
                neighbours: options.neighbours,
            })),
        }
    }

    /// Scores of the classes for one row of scaled features; they add up to 1.
    pub fn scores(&self, row: &[f64]) -> Vec<f64> {
        match self {
            Self::Logistic(head) => head.probabilities(row),
            Self::Centroid(head) => head.scores(row),
            Self::Knn(head) => head.scores(row),
        }
    }

    /// Which kind it is.
    pub fn kind(&self) -> HeadKind {
        match self {
            Self::Logistic(_) => HeadKind::Logistic,
            Self::Centroid(_) => HeadKind::Centroid,
            Self::Knn(_) => HeadKind::Knn,
        }
    }
}

/// A scaler and a head, fitted on the same photos.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    pub scaler: Scaler,
    pub head: Head,
    /// Classes that had photos, in the order in which the head knows them; the others score 0.
    pub present: Vec<usize>,
    /// Classes altogether.
    pub classes: usize,
}

impl Pipeline {
    /// Fits raw features of photos with the classes `truth`, indices below `classes`.
    ///
    /// # Errors
    /// [`Error::Input`] when fewer than two classes have photos, or for settings out of range; [`Error::Bug`] for lists
    /// that do not fit together.
    pub fn fit(features: &Features, truth: &[usize], classes: usize, options: HeadOptions) -> Result<Self> {
        if features.len() != truth.len() || truth.iter().any(|&class| class >= classes) {
            return Err(Error::bug(format!("{} photos and {} classes do not fit.", features.len(), truth.len())));
        }
        let present: Vec<usize> = (0..classes).filter(|class| truth.contains(class)).collect();
        if present.len() < 2 {
            return Err(Error::input(
                "A classifier needs photos of at least two classes. Label some of another class.",
            ));
        }
        let mut compact = vec![0; classes];
        present.iter().enumerate().for_each(|(at, &class)| compact[class] = at);
        let compact: Vec<usize> = truth.iter().map(|&class| compact[class]).collect();
        let scaler = Scaler::fit(features);
        let head = Head::fit(&scaler.transform(features)?, &compact, present.len(), options)?;
        Ok(Self { scaler, head, present, classes })
    }

    /// Scores `[photos][classes]` of raw features; each row adds up to 1.
    ///
    /// # Errors
    /// [`Error::Bug`] for features of another width.
    pub fn scores(&self, features: &Features) -> Result<Vec<Vec<f64>>> {
        let scaled = self.scaler.transform(features)?;
        let all = |row: &[f64]| {
            let mut scores = vec![0.0; self.classes];
            self.present.iter().zip(self.head.scores(row)).for_each(|(&class, score)| scores[class] = score);
            scores
        };
        Ok(scaled.rows().map(all).collect())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use serde::Deserialize;

    use super::*;
    use crate::metrics::reliability::argmax;

    #[derive(Deserialize)]
    struct Case {
        name: String,
        classes: usize,
        features: Vec<Vec<f32>>,
        truth: Vec<usize>,
        others: Vec<Vec<f32>>,
        centroid: Vec<usize>,
        knn: Vec<usize>,
    }

    #[test]
    fn centroids_and_neighbours_decide_as_scikit_learn() {
        let cases: Vec<Case> =
            serde_json::from_str(include_str!("../../tests/fixtures/classify/logistic.json")).unwrap();
        for case in cases {
            let features = Features::from_rows(case.features.iter().map(Vec::as_slice)).unwrap();
            let others = Features::from_rows(case.others.iter().map(Vec::as_slice)).unwrap();
            for (kind, expected) in [(HeadKind::Centroid, &case.centroid), (HeadKind::Knn, &case.knn)] {
                let options = HeadOptions { kind, ..HeadOptions::default() };
                let pipeline = Pipeline::fit(&features, &case.truth, case.classes, options).unwrap();
                let scores = pipeline.scores(&others).unwrap();
                let decided: Vec<usize> = scores.iter().map(|row| argmax(row)).collect();
                assert_eq!(&decided, expected, "{}, {}", case.name, kind.name());
                assert!(scores.iter().all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-9));
            }
        }
    }

    #[test]
    fn a_class_without_photos_is_never_predicted() {
        let features = Features::from_rows([&[0.0][..], &[0.1], &[1.0], &[1.1]]).unwrap();
        for kind in HeadKind::ALL {
            let options = HeadOptions { kind, neighbours: 2, ..HeadOptions::default() };
            let pipeline = Pipeline::fit(&features, &[0, 0, 2, 2], 3, options).unwrap();
            let scores = pipeline.scores(&features).unwrap();
            assert!(scores.iter().all(|row| row[1] == 0.0));
            assert_eq!(scores.iter().map(|row| argmax(row)).collect::<Vec<_>>(), [0, 0, 2, 2], "{}", kind.name());
        }
        assert!(Pipeline::fit(&features, &[1, 1, 1, 1], 3, HeadOptions::default()).is_err());
    }
}
