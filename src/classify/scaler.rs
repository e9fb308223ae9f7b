//! The standard scaler: every feature minus its mean, over its standard deviation, as scikit-learn's `StandardScaler`.
//! Fitted on the photos that a head learns from and on no others.

use super::features::Features;
use crate::{Error, Result};

/// Mean and scale per feature.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaler {
    pub mean: Vec<f64>,
    /// Population standard deviation; 1 for a feature that does not vary.
    pub scale: Vec<f64>,
}

impl Scaler {
    /// Mean and population standard deviation (divided by n, not n − 1) of each feature.
    pub fn fit(features: &Features) -> Self {
        let (count, width) = (features.len().max(1) as f64, features.width());
        let mut mean = vec![0.0; width];
        for row in features.rows() {
            mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        for sum in &mut mean {
            *sum /= count;
        }
        // Two passes, with the rest that rounding left in the mean taken off (Chan, Golub, LeVeque 1983).
        let (mut squares, mut rest) = (vec![0.0; width], vec![0.0; width]);
        for row in features.rows() {
            for ((square, rest), (x, mean)) in squares.iter_mut().zip(&mut rest).zip(row.iter().zip(&mean)) {
                let difference = x - mean;
                *square += difference * difference;
                *rest += difference;
            }
        }
        let scale = squares
            .iter()
            .zip(&rest)
            .zip(&mean)
            .map(|((square, rest), mean)| {
                let variance = (square - rest * rest / count) / count;
                // A variance that rounding alone explains is no variance (scikit-learn's `_is_constant_feature`).
                let bound = count * f64::EPSILON * variance + (count * mean * f64::EPSILON).powi(2);
                if variance <= bound { 1.0 } else { variance.sqrt() }
            })
            .collect();
        Self { mean, scale }
    }

    /// The features scaled.
    ///
    /// # Errors
    /// [`Error::Bug`] when the features have another width.
    pub fn transform(&self, features: &Features) -> Result<Features> {
        if features.width() != self.mean.len() && !features.is_empty() {
            return Err(Error::bug(format!(
                "{} features cannot be scaled by a scaler of {}.",
                features.width(),
                self.mean.len()
            )));
        }
        let scaled = |row: &[f64]| -> Vec<f64> {
            row.iter().zip(&self.mean).zip(&self.scale).map(|((x, mean), scale)| (x - mean) / scale).collect()
        };
        Ok(Features::from_values(features.rows().flat_map(scaled).collect(), features.width()))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn scaled_features_have_mean_0_and_variance_1_and_constant_ones_scale_1() {
        let features = Features::from_rows([&[1.0, 0.1][..], &[2.0, 0.1], &[6.0, 0.1]]).unwrap();
        let scaler = Scaler::fit(&features);
        assert_eq!(scaler.mean[0], 3.0);
        assert!((scaler.scale[0] - (14.0_f64 / 3.0).sqrt()).abs() < 1e-15);
        assert_eq!(scaler.scale[1], 1.0);
        let scaled = scaler.transform(&features).unwrap();
        assert!(scaled.rows().all(|row| row[1].abs() < 1e-12));
        assert!(scaler.transform(&Features::from_rows([&[1.0][..]]).unwrap()).is_err());
    }
}
