//! The confusion matrix: how many photos of each true class were given each label. Counts only; the figures made of it
//! are in `classification`, the picture in `report`.

use serde::Serialize;

use crate::{Error, Result};

/// Photos by true class (rows) and predicted class (columns), as scikit-learn's `confusion_matrix(labels=…)` counts.
///
/// A photo may have been given no label at all ("none of these"). It stands in [`Confusion::rejected`] of its true class
/// and in no column, so that the matrix stays square; it counts towards the support, as it does in scikit-learn when a
/// prediction is not among `labels`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Confusion {
    labels: Vec<String>,
    /// `[truth][prediction]`
    counts: Vec<Vec<u64>>,
    /// `[truth]`
    rejected: Vec<u64>,
}

impl Confusion {
    /// Counts pairs of true class and prediction, both as indices into `labels`; `None` is "none of these".
    ///
    /// # Errors
    /// [`Error::Bug`] for an index without a label.
    pub fn new(labels: &[String], pairs: impl IntoIterator<Item = (usize, Option<usize>)>) -> Result<Self> {
        let n = labels.len();
        let mut matrix = Self { labels: labels.to_vec(), counts: vec![vec![0; n]; n], rejected: vec![0; n] };
        for (truth, prediction) in pairs {
            if truth >= n || prediction.is_some_and(|prediction| prediction >= n) {
                return Err(Error::bug(format!("class {truth} or {prediction:?} is beyond the {n} labels.")));
            }
            match prediction {
                Some(prediction) => matrix.counts[truth][prediction] += 1,
                None => matrix.rejected[truth] += 1,
            }
        }
        Ok(matrix)
    }

    /// Names of the classes, in the order of rows and columns.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// `[truth][prediction]`, without the rejected photos.
    pub fn counts(&self) -> &[Vec<u64>] {
        &self.counts
    }

    /// Photos of each true class that were given no label.
    pub fn rejected(&self) -> &[u64] {
        &self.rejected
    }

    /// Photos of this true class, rejected ones included.
    pub fn support(&self, truth: usize) -> u64 {
        self.counts[truth].iter().sum::<u64>() + self.rejected[truth]
    }

    /// Photos that were given this label.
    pub fn predicted(&self, prediction: usize) -> u64 {
        self.counts.iter().map(|row| row[prediction]).sum()
    }

    /// Photos of this class that were given its label.
    pub fn hits(&self, class: usize) -> u64 {
        self.counts[class][class]
    }

    /// Photos altogether.
    pub fn total(&self) -> u64 {
        (0..self.labels.len()).map(|truth| self.support(truth)).sum()
    }

    /// Photos that were given the right label.
    pub fn correct(&self) -> u64 {
        (0..self.labels.len()).map(|class| self.hits(class)).sum()
    }

    /// Share of the photos of class `truth` that were given label `prediction`, 0–1; 0 for a class without photos.
    pub fn row_share(&self, truth: usize, prediction: usize) -> f64 {
        ratio(self.counts[truth][prediction], self.support(truth))
    }
}

/// `part / whole`, 0 where the whole is 0 (scikit-learn's `zero_division=0`).
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn rows_are_truth_and_the_rejected_count_in_their_row_alone() {
        let labels = ["good".to_owned(), "crack".to_owned()];
        let matrix = Confusion::new(&labels, [(0, Some(0)), (0, Some(1)), (0, None), (1, Some(1))]).unwrap();
        assert_eq!(matrix.counts(), [[1, 1], [0, 1]]);
        assert_eq!((matrix.support(0), matrix.predicted(0), matrix.predicted(1)), (3, 1, 2));
        assert_eq!((matrix.total(), matrix.correct(), matrix.rejected()), (4, 2, &[1, 0][..]));
        assert_eq!(matrix.row_share(0, 1), 1.0 / 3.0);
    }

    #[test]
    fn an_empty_class_is_0_and_a_foreign_index_a_bug() {
        let labels = ["a".to_owned(), "b".to_owned()];
        let matrix = Confusion::new(&labels, [(0, Some(0))]).unwrap();
        assert_eq!(matrix.row_share(1, 0), 0.0);
        assert!(Confusion::new(&labels, [(2, Some(0))]).is_err());
        assert!(Confusion::new(&labels, [(0, Some(2))]).is_err());
    }
}
