//! Area under the ROC curve and average precision, exact and equal to scikit-learn's `roc_auc_score` and
//! `average_precision_score`. For raw scores of photos as well as for all pixels of a dataset; no thresholds, no
//! binning.

use rayon::slice::ParallelSliceMut as _;

use crate::{Error, Result};

/// Score and label, sorted by score.
fn sorted(scores: &[f32], labels: &[bool]) -> Result<Vec<(f32, bool)>> {
    if scores.len() != labels.len() {
        return Err(Error::bug(format!("{} scores and {} labels.", scores.len(), labels.len())));
    }
    if let Some(at) = scores.iter().position(|score| score.is_nan()) {
        return Err(Error::input(format!("Score number {at} is not a number. Leave that entry out.")));
    }
    let mut pairs: Vec<_> = scores.iter().copied().zip(labels.iter().copied()).collect();
    pairs.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    Ok(pairs)
}

/// Runs of equal score, lowest first: (members, positives).
fn runs(pairs: &[(f32, bool)]) -> impl DoubleEndedIterator<Item = (u64, u64)> {
    pairs
        .chunk_by(|a, b| a.0 == b.0)
        .map(|run| (run.len() as u64, run.iter().filter(|(_, label)| *label).count() as u64))
}

/// Area under the ROC curve, 0–1: the probability that a positive scores higher than a negative, ties counting half
/// (average ranks; Hanley and McNeil 1982). `None` when one of the two kinds is missing.
///
/// # Errors
/// [`Error::Input`] for a score that is not a number; [`Error::Bug`] for lists of different length.
pub fn roc_auc(scores: &[f32], labels: &[bool]) -> Result<Option<f64>> {
    let pairs = sorted(scores, labels)?;
    let positives = labels.iter().filter(|&&label| label).count() as u64;
    let negatives = labels.len() as u64 - positives;
    if positives == 0 || negatives == 0 {
        return Ok(None);
    }
    // Twice the number of (positive, negative) pairs in the right order, so that ties stay whole numbers.
    let (mut below, mut twice) = (0_u64, 0_u128);
    for (members, positive) in runs(&pairs) {
        let negative = members - positive;
        twice += u128::from(positive) * (2 * u128::from(below) + u128::from(negative));
        below += negative;
    }
    Ok(Some(twice as f64 / 2.0 / (positives as f64 * negatives as f64)))
}

/// Average precision, 0–1: Σ (recallₙ − recallₙ₋₁) · precisionₙ over the distinct scores from the highest down, without
/// interpolation. `None` without a positive.
///
/// # Errors
/// As [`roc_auc`].
pub fn average_precision(scores: &[f32], labels: &[bool]) -> Result<Option<f64>> {
    let pairs = sorted(scores, labels)?;
    let positives = labels.iter().filter(|&&label| label).count() as u64;
    if positives == 0 {
        return Ok(None);
    }
    let (mut seen, mut hits, mut sum) = (0_u64, 0_u64, 0.0_f64);
    for (members, positive) in runs(&pairs).rev() {
        seen += members;
        hits += positive;
        sum += positive as f64 * (hits as f64 / seen as f64);
    }
    Ok(Some(sum / positives as f64))
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
