//! Area under the ROC curve and average precision, exact and equal to scikit-learn's `roc_auc_score` and
//! `average_precision_score`. Each is a sum over the steps of a [`Ranking`](super::Ranking).

use super::ranking::{Ranking, Score, Step};
use crate::{Error, Result};

/// Area under the ROC curve: the probability that an anomalous entry scores higher than a normal one, ties counting half
/// (average ranks; Hanley and McNeil 1982).
#[derive(Clone, Copy, Debug, Default)]
pub struct RocArea {
    hits: u64,
    false_alarms: u64,
    /// Twice the number of pairs in the right order, so that ties stay whole numbers.
    twice: u128,
}

impl RocArea {
    /// The next step.
    pub fn take(&mut self, step: &Step) {
        self.twice += u128::from(step.normal) * (2 * u128::from(self.hits) + u128::from(step.anomalous));
        self.hits += step.anomalous;
        self.false_alarms += step.normal;
    }

    /// The area, 0–1, after the last step; `None` where one of the two kinds is missing.
    pub fn finish(self) -> Option<f64> {
        (self.hits > 0 && self.false_alarms > 0)
            .then(|| self.twice as f64 / 2.0 / (self.hits as f64 * self.false_alarms as f64))
    }
}

/// Average precision: Σ (recallₙ − recallₙ₋₁) · precisionₙ over the distinct scores from the highest down, without
/// interpolation.
#[derive(Clone, Copy, Debug, Default)]
pub struct AveragePrecision {
    hits: u64,
    seen: u64,
    sum: f64,
}

impl AveragePrecision {
    /// The next step.
    pub fn take(&mut self, step: &Step) {
        self.hits += step.anomalous;
        self.seen += step.anomalous + step.normal;
        if step.anomalous > 0 {
            self.sum += step.anomalous as f64 * (self.hits as f64 / self.seen as f64);
        }
    }

    /// The figure, 0–1, after the last step; `None` without an anomalous entry.
    pub fn finish(self) -> Option<f64> {
        (self.hits > 0).then(|| self.sum / self.hits as f64)
    }
}

/// Checks and ranks plain lists.
fn ranking(scores: &[f32], labels: &[bool]) -> Result<Ranking<f32>> {
    if scores.len() != labels.len() {
        return Err(Error::bug(format!("{} scores and {} labels.", scores.len(), labels.len())));
    }
    if let Some(at) = scores.iter().position(|score| score.is_nan()) {
        return Err(Error::input(format!("Score number {at} is not a number. Leave that entry out.")));
    }
    let of_kind = |kind: bool| {
        scores.iter().zip(labels).filter(move |(_, label)| **label == kind).map(|(score, _)| Score::key(*score))
    };
    Ok(Ranking::sorted(of_kind(false).collect(), of_kind(true).map(|key| (key, 0)).collect(), &[]))
}

/// [`RocArea`] of plain lists, `true` for anomalous. `None` when one of the two kinds is missing.
///
/// # Errors
/// [`Error::Input`] for a score that is not a number; [`Error::Bug`] for lists of different length.
pub fn roc_auc(scores: &[f32], labels: &[bool]) -> Result<Option<f64>> {
    let mut area = RocArea::default();
    ranking(scores, labels)?.steps().for_each(|step| area.take(&step));
    Ok(area.finish())
}

/// [`AveragePrecision`] of plain lists, `true` for anomalous. `None` without an anomalous entry.
///
/// # Errors
/// As [`roc_auc`].
pub fn average_precision(scores: &[f32], labels: &[bool]) -> Result<Option<f64>> {
    let mut precision = AveragePrecision::default();
    ranking(scores, labels)?.steps().for_each(|step| precision.take(&step));
    Ok(precision.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_made_cases() {
        let labels = [false, false, true, true];
        let value = |scores: &[f32]| roc_auc(scores, &labels).expect("numbers").expect("both kinds");
        assert_eq!(value(&[0.1, 0.4, 0.35, 0.8]), 0.75);
        assert_eq!(value(&[1.0, 1.0, 1.0, 1.0]), 0.5);
        assert_eq!(value(&[4.0, 3.0, 2.0, 1.0]), 0.0);
        let precision = average_precision(&[0.1, 0.4, 0.35, 0.8], &labels).expect("numbers").expect("a positive");
        assert!((precision - 0.833_333_333_333_333_4).abs() < 1e-12);
    }

    #[test]
    fn one_kind_alone_has_no_curve_and_bad_input_is_refused() {
        assert_eq!(roc_auc(&[1.0, 2.0], &[true, true]).expect("numbers"), None);
        assert_eq!(average_precision(&[1.0, 2.0], &[false, false]).expect("numbers"), None);
        assert_eq!(roc_auc(&[], &[]).expect("nothing"), None);
        assert!(roc_auc(&[f32::NAN], &[true]).is_err());
        assert!(average_precision(&[1.0], &[]).is_err());
        assert!(roc_auc(&[f32::INFINITY, f32::NEG_INFINITY], &[true, false]).expect("infinite is fine") == Some(1.0));
    }
}
