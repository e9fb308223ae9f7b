//! Bootstrap confidence intervals (Efron 1979, percentile method): how far a figure would move with another set of photos
//! of the same kind. Photos are drawn with replacement, by a seed, so an interval can be had again to the bit.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// How intervals are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// Times that a set is drawn.
    pub resamples: usize,
    /// Share of the drawn figures between the ends of the interval, in (0, 1).
    pub level: f64,
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 2000, level: 0.95, seed: 0 }
    }
}

/// A figure and its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The figure of all photos, each once.
    pub estimate: f64,
    pub lower: f64,
    pub upper: f64,
    /// Of the interval, e.g. 0.95.
    pub level: f64,
    pub resamples: usize,
    /// Every class kept its number of photos in every draw.
    pub stratified: bool,
}

impl Bootstrap {
    /// The interval of `statistic`, which is given the indices of the photos drawn (of 0 to `photos`). With `strata`, the
    /// class of each photo, every class is drawn from separately and keeps its size (stratified); without, all photos are
    /// drawn from together and the sizes of classes vary as well. The ends are quantiles with linear interpolation, as
    /// NumPy's. Without photos the interval is the estimate alone.
    pub fn interval(self, photos: usize, strata: Option<&[usize]>, statistic: impl Fn(&[usize]) -> f64) -> Interval {
        let all: Vec<usize> = (0..photos).collect();
        let estimate = statistic(&all);
        let groups: Vec<Vec<usize>> = match strata {
            None => vec![all],
            Some(strata) => {
                let classes = strata.iter().max().map_or(0, |last| last + 1);
                let mut groups = vec![Vec::new(); classes];
                all.iter().zip(strata).for_each(|(&photo, &class)| groups[class].push(photo));
                groups
            }
        };
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut drawn = Vec::with_capacity(photos);
        let mut figures: Vec<f64> = (0..if photos == 0 { 0 } else { self.resamples })
            .map(|_| {
                drawn.clear();
                for group in &groups {
                    drawn.extend((0..group.len()).map(|_| group[random.random_range(0..group.len())]));
                }
                statistic(&drawn)
            })
            .collect();
        figures.sort_by(f64::total_cmp);
        let tail = (1.0 - self.level) / 2.0;
        Interval {
            estimate,
            lower: quantile(&figures, tail).unwrap_or(estimate),
            upper: quantile(&figures, 1.0 - tail).unwrap_or(estimate),
            level: self.level,
            resamples: figures.len(),
            stratified: strata.is_some(),
        }
    }
}

/// Quantile of sorted values with linear interpolation; `None` of nothing.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let at = share * sorted.len().checked_sub(1)? as f64;
    let (below, part) = (at.floor() as usize, at.fract());
    let upper = sorted.get(below + 1).unwrap_or(&sorted[below]);
    Some(sorted[below] + (upper - sorted[below]) * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 40 photos of which 30 are right; a photo's class is whether it is right.
    fn share(drawn: &[usize]) -> f64 {
        drawn.iter().filter(|photo| **photo < 30).count() as f64 / drawn.len().max(1) as f64
    }

    #[test]
    fn the_interval_of_a_share_is_that_of_the_binomial_distribution() {
        let interval = Bootstrap::default().interval(40, None, share);
        assert_eq!(interval.estimate, 0.75);
        // The 2.5 and 97.5 % points of a binomial with 40 trials and p = 0.75 are 24 and 35 of 40 (scipy.stats.binom.ppf).
        assert!((interval.lower - 0.6).abs() < 0.026 && (interval.upper - 0.875).abs() < 0.026, "{interval:?}");
        assert_eq!(interval, Bootstrap::default().interval(40, None, share));
        assert_ne!(interval.lower, Bootstrap { level: 0.5, ..Bootstrap::default() }.interval(40, None, share).lower);
    }

    #[test]
    fn strata_keep_their_size() {
        let classes: Vec<usize> = (0..40).map(|photo| usize::from(photo >= 30)).collect();
        let interval = Bootstrap::default().interval(40, Some(&classes), share);
        assert_eq!((interval.lower, interval.upper, interval.stratified), (0.75, 0.75, true));
    }

    #[test]
    fn without_photos_there_is_nothing_to_draw() {
        let interval = Bootstrap::default().interval(0, None, |_| 0.0);
        assert_eq!((interval.estimate, interval.lower, interval.upper, interval.resamples), (0.0, 0.0, 0.0, 0));
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), Some(3.0));
    }
}
