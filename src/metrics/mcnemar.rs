//! McNemar's test (1947): do two runs over the same photos differ in how often they are right, or is the difference
//! chance? Only the photos that exactly one of the two gets right say anything.

use serde::Serialize;

use crate::{Error, Result};

/// The outcome of comparing two runs photo by photo.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct McNemar {
    /// Photos that only the first run has right.
    pub only_first: u64,
    /// Photos that only the second run has right.
    pub only_second: u64,
    /// Two-sided exact p-value (binomial, p = ½). The one to read when fewer than about 25 photos are decided.
    pub exact_p: f64,
    /// χ² with continuity correction, one degree of freedom: (|b − c| − 1)² / (b + c); 0 without a difference.
    pub statistic: f64,
    /// p-value of `statistic`.
    pub corrected_p: f64,
}

impl McNemar {
    /// Compares which photos two runs have right; the entries belong to the same photos in the same order.
    ///
    /// # Errors
    /// [`Error::Bug`] for lists of different length.
    pub fn new(first: &[bool], second: &[bool]) -> Result<Self> {
        if first.len() != second.len() {
            return Err(Error::bug(format!("{} and {} photos cannot be compared.", first.len(), second.len())));
        }
        let count = |a: bool, b: bool| first.iter().zip(second).filter(|pair| *pair == (&a, &b)).count() as u64;
        Ok(Self::from_counts(count(true, false), count(false, true)))
    }

    /// The same from the two counts that matter.
    pub fn from_counts(only_first: u64, only_second: u64) -> Self {
        let decided = only_first + only_second;
        let difference = only_first.abs_diff(only_second);
        let statistic = if difference == 0 {
            // Without a difference there is nothing to correct; the formula would give 1 / (b + c).
            0.0
        } else {
            (difference as f64 - 1.0).powi(2) / decided as f64
        };
        Self {
            only_first,
            only_second,
            exact_p: (2.0 * binomial_tail(only_first.min(only_second), decided)).min(1.0),
            statistic,
            // The upper tail of χ² with one degree of freedom is that of a standard normal, twice.
            corrected_p: erfc((statistic / 2.0).sqrt()),
        }
    }
}

/// P(X ≤ k) of a binomial distribution with n trials and p = ½.
fn binomial_tail(k: u64, n: u64) -> f64 {
    let mut log_term = -(n as f64) * std::f64::consts::LN_2;
    let mut sum = log_term.exp();
    for i in 0..k {
        log_term += ((n - i) as f64 / (i + 1) as f64).ln();
        sum += log_term.exp();
    }
    sum
}

/// 1 − erf(x) for x ≥ 0, relative error about 1e-14: series near 0, continued fraction beyond.
fn erfc(x: f64) -> f64 {
    if x < 2.0 {
        // erf(x) = 2 / √π · e^(−x²) · Σ 2ⁿ x^(2n+1) / (1 · 3 · … · (2n+1)); every term is positive.
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term > sum * 1e-17 {
            n += 1.0;
            term *= 2.0 * x * x / (2.0 * n + 1.0);
            sum += term;
        }
        return 1.0 - std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum;
    }
    // Laplace's continued fraction, from the inside out.
    let mut fraction = x;
    for n in (1..=120).rev() {
        fraction = x + f64::from(n) / 2.0 / fraction;
    }
    (-x * x).exp() / (fraction * std::f64::consts::PI.sqrt())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn only_photos_that_one_run_alone_has_right_count() {
        let outcome = McNemar::new(&[true, true, false, false, true], &[true, false, true, false, false]).unwrap();
        assert_eq!((outcome.only_first, outcome.only_second), (2, 1));
        assert_eq!(outcome.exact_p, 1.0);
        let same = McNemar::from_counts(0, 0);
        assert_eq!((same.exact_p, same.statistic, same.corrected_p), (1.0, 0.0, 1.0));
        assert!(McNemar::new(&[true], &[]).is_err());
    }

    #[test]
    fn the_two_branches_of_the_error_function_meet() {
        assert!((erfc(1.999_999_999_9) / erfc(2.000_000_000_1) - 1.0).abs() < 1e-8);
        assert!((erfc(0.5) - 0.479_500_122_186_953_5).abs() < 1e-15);
        assert!((erfc(3.0) / 2.209_049_699_858_544e-5 - 1.0).abs() < 1e-12);
    }
}
