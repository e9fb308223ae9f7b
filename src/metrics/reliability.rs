//! How far probabilities can be believed: the reliability curve and the expected calibration error (Guo, Pleiss, Sun,
//! Weinberger, "On Calibration of Modern Neural Networks", 2017). Of the probability of the predicted class alone; drawing
//! the curve is for the fronts.

use serde::Serialize;

use super::classification::check;
use super::confusion::ratio;
use crate::{Error, Result};

/// Photos whose highest probability lies in (lower, upper].
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReliabilityBin {
    pub lower: f64,
    pub upper: f64,
    /// Photos in this bin.
    pub count: u64,
    /// Share of them whose most probable class is the true one; 0 in an empty bin.
    pub accuracy: f64,
    /// Mean of their highest probabilities; 0 in an empty bin.
    pub confidence: f64,
}

/// Reliability curve and expected calibration error.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reliability {
    /// Of equal width, from 0 to 1.
    pub bins: Vec<ReliabilityBin>,
    /// Expected calibration error, 0–1: the mean of |accuracy − confidence| over the photos, bin by bin.
    pub ece: f64,
    /// The largest |accuracy − confidence| of a bin that has photos.
    pub max_error: f64,
}

impl Reliability {
    /// `probabilities` are `[photos][classes]` in 0–1, `truth` indices of classes. Of equal probabilities the first class
    /// is the predicted one.
    ///
    /// # Errors
    /// [`Error::Input`] for a probability outside of 0–1; [`Error::Bug`] for lists that do not fit together or no bins.
    pub fn new(probabilities: &[Vec<f64>], truth: &[usize], bins: usize) -> Result<Self> {
        check(probabilities, truth)?;
        if bins == 0 {
            return Err(Error::bug("a reliability curve needs a bin."));
        }
        // Photos, hits and the sum of confidences.
        let mut sums = vec![(0_u64, 0_u64, 0.0_f64); bins];
        for (at, (row, &truth)) in probabilities.iter().zip(truth).enumerate() {
            if let Some(p) = row.iter().find(|p| !(-1e-9..=1.0 + 1e-9).contains(*p)) {
                return Err(Error::input(format!("Entry number {at} has a probability of {p}, which is not in 0–1.")));
            }
            let predicted = argmax(row);
            let confidence = row[predicted];
            let bin = &mut sums[bin_of(confidence, bins)];
            bin.0 += 1;
            bin.1 += u64::from(predicted == truth);
            bin.2 += confidence;
        }
        let edge = |at: usize| at as f64 / bins as f64;
        let bins: Vec<ReliabilityBin> = sums
            .iter()
            .enumerate()
            .map(|(at, &(count, hits, sum))| ReliabilityBin {
                lower: edge(at),
                upper: edge(at + 1),
                count,
                accuracy: ratio(hits, count),
                confidence: if count == 0 { 0.0 } else { sum / count as f64 },
            })
            .collect();
        let error = |bin: &ReliabilityBin| (bin.accuracy - bin.confidence).abs();
        let total = truth.len().max(1) as f64;
        Ok(Self {
            ece: bins.iter().map(|bin| bin.count as f64 / total * error(bin)).sum(),
            max_error: bins.iter().map(error).fold(0.0, f64::max),
            bins,
        })
    }
}

/// The bin with `lower < p <= upper`; 0 belongs to the first.
fn bin_of(p: f64, bins: usize) -> usize {
    (1..bins).find(|&at| p <= at as f64 / bins as f64).map_or(bins - 1, |at| at - 1)
}

/// Index of the largest value, the first of equals; 0 for an empty row.
pub fn argmax(row: &[f64]) -> usize {
    row.iter().enumerate().fold(0, |best, (at, value)| if *value > row[best] { at } else { best })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn edges_belong_to_the_bin_below() {
        assert_eq!((bin_of(0.0, 10), bin_of(0.1, 10), bin_of(0.100_001, 10), bin_of(1.0, 10)), (0, 0, 1, 9));
        let sure = Reliability::new(&[vec![1.0, 0.0], vec![1.0, 0.0]], &[0, 1], 10).unwrap();
        assert_eq!((sure.bins[9].count, sure.ece, sure.max_error), (2, 0.5, 0.5));
        assert!(Reliability::new(&[vec![1.5, 0.0]], &[0], 10).is_err());
        assert_eq!(argmax(&[0.2, 0.4, 0.4]), 1);
    }
}
