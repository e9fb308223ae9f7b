//! How well probability maps meet pixel masks: intersection over union (Jaccard 1901) and Dice coefficient (Dice 1945),
//! at any threshold at once. Photos are added one by one; no map is kept.

/// Thresholds are multiples of 1 / this.
const STEPS: usize = 1000;

/// Pixels in agreement and not, of one photo or of many together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overlap {
    /// Predicted and true.
    pub both: u64,
    /// Predicted only.
    pub predicted_only: u64,
    /// True only.
    pub true_only: u64,
}

impl Overlap {
    /// Intersection over union in [0, 1]; `None` where neither prediction nor truth has a pixel.
    pub fn iou(&self) -> Option<f64> {
        let union = self.both + self.predicted_only + self.true_only;
        (union > 0).then(|| self.both as f64 / union as f64)
    }

    /// Twice the intersection over the sum of both areas, in [0, 1]; `None` where both areas are empty.
    pub fn dice(&self) -> Option<f64> {
        let areas = 2 * self.both + self.predicted_only + self.true_only;
        (areas > 0).then(|| 2.0 * self.both as f64 / areas as f64)
    }
}

/// Pixels by probability, those of the mask apart from the others: all that any threshold needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    inside: Vec<u64>,
    outside: Vec<u64>,
}

impl Default for Sweep {
    fn default() -> Self {
        Self { inside: vec![0; STEPS + 1], outside: vec![0; STEPS + 1] }
    }
}

impl Sweep {
    /// Adds one photo: a probability in [0, 1] and the truth for each pixel. A value that is no number is refused: the
    /// index of the first is returned and nothing is added.
    ///
    /// # Panics
    /// If the two differ in length.
    pub fn add(&mut self, probabilities: &[f32], truth: &[bool]) -> Result<(), usize> {
        assert_eq!(probabilities.len(), truth.len(), "a probability for each pixel");
        if let Some(at) = probabilities.iter().position(|p| p.is_nan()) {
            return Err(at);
        }
        for (probability, inside) in probabilities.iter().zip(truth) {
            let counts = if *inside { &mut self.inside } else { &mut self.outside };
            counts[bin(f64::from(*probability))] += 1;
        }
        Ok(())
    }

    /// Adds what another sweep has counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in [(&mut self.inside, &other.inside), (&mut self.outside, &other.outside)] {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
        }
    }

    /// Predicted is what reaches `threshold`, which is taken to the next multiple of 0.001 above.
    pub fn at(&self, threshold: f64) -> Overlap {
        let first = (threshold.clamp(0.0, 1.0) * STEPS as f64 - 1e-9).ceil() as usize;
        let sum = |counts: &[u64]| counts.iter().sum::<u64>();
        Overlap {
            both: sum(&self.inside[first..]),
            predicted_only: sum(&self.outside[first..]),
            true_only: sum(&self.inside[..first]),
        }
    }

    /// The threshold with the highest Dice (and therefore the highest IoU, which grows with it), the lowest of several;
    /// `None` where the truth has no pixel.
    pub fn best(&self) -> Option<(f64, Overlap)> {
        if self.inside.iter().all(|count| *count == 0) {
            return None;
        }
        (0..=STEPS)
            .map(|step| step as f64 / STEPS as f64)
            .map(|threshold| (threshold, self.at(threshold)))
            .reduce(|best, next| if next.1.dice() > best.1.dice() { next } else { best })
    }
}

/// The highest step that the probability reaches.
fn bin(probability: f64) -> usize {
    // The small addend lets 0.3 (a float just below it) reach the step of 0.3.
    (probability.clamp(0.0, 1.0) * STEPS as f64 + 1e-4).floor() as usize
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn a_known_case_by_hand() {
        let mut sweep = Sweep::default();
        sweep.add(&[0.9, 0.8, 0.3, 0.2, 0.6], &[true, true, true, false, false]).unwrap();
        let half = sweep.at(0.5);
        assert_eq!(half, Overlap { both: 2, predicted_only: 1, true_only: 1 });
        assert_eq!((half.iou().unwrap(), half.dice().unwrap()), (0.5, 2.0 / 3.0));
        // At 0.3 all three are found with one too many, which is the best: 6 / 7.
        let (threshold, best) = sweep.best().unwrap();
        assert!((best.dice().unwrap() - 6.0 / 7.0).abs() < 1e-12 && threshold <= 0.3 && threshold > 0.2, "{threshold}");
        assert_eq!(sweep.at(0.3).both, 3);
    }

    #[test]
    fn every_threshold_agrees_with_counting() {
        let values: Vec<f32> =
            (0..500u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32).collect();
        let truth: Vec<bool> = (0..500).map(|i| i * 7 % 5 < 2).collect();
        let mut sweep = Sweep::default();
        let (a, b) = (values.split_at(200), truth.split_at(200));
        sweep.add(a.0, b.0).unwrap();
        let mut second = Sweep::default();
        second.add(a.1, b.1).unwrap();
        sweep.merge(&second);
        for threshold in [0.0, 0.0005, 0.1, 0.333, 0.5, 0.999, 1.0] {
            let overlap = sweep.at(threshold);
            let step = (threshold * 1000.0 - 1e-9).ceil() / 1000.0;
            let count = |inside: bool| {
                values.iter().zip(&truth).filter(|(v, t)| **t == inside && f64::from(**v) + 1e-7 >= step).count() as u64
            };
            assert_eq!((overlap.both, overlap.predicted_only), (count(true), count(false)), "{threshold}");
        }
    }

    #[test]
    fn nothing_to_find_is_no_figure_and_nan_is_refused() {
        let mut sweep = Sweep::default();
        assert_eq!(sweep.add(&[0.1, f32::NAN], &[false, true]), Err(1));
        assert_eq!(sweep, Sweep::default());
        sweep.add(&[0.1, 0.2], &[false, false]).unwrap();
        assert_eq!(sweep.best(), None);
        assert_eq!(sweep.at(0.5).iou(), None);
        assert_eq!(sweep.at(0.15).iou(), Some(0.0));
    }
}
