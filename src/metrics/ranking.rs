//! Scores of normal and anomalous things in one order: what every exact figure is read from. A score is kept as an
//! integer of the same order, 4 bytes a pixel, so that hundreds of megapixels are sorted in place; no thresholds are
//! chosen and nothing is binned.

use rayon::slice::ParallelSliceMut as _;

/// A score as it is ranked: `f32` for pixels, `f64` for photos. Not for NaN, which has no place in an order.
pub trait Score: Copy {
    /// Integer of the same order; −0 and 0 are equal.
    type Key: Ord + Copy + Send + Sync;

    /// The score's place in the order.
    fn key(self) -> Self::Key;

    /// The score of a key.
    fn of(key: Self::Key) -> f64;

    /// Neither NaN nor infinite.
    fn is_finite(self) -> bool;
}

/// Negative floats count downwards in their bits, positive ones upwards: turn the former round and lift the latter.
macro_rules! ranked {
    ($float:ty, $bits:ty) => {
        impl Score for $float {
            type Key = $bits;

            fn key(self) -> $bits {
                const SIGN: $bits = 1 << (<$bits>::BITS - 1);
                let bits = (self + 0.0).to_bits();
                if bits & SIGN == 0 { bits | SIGN } else { !bits }
            }

            fn of(key: $bits) -> f64 {
                const SIGN: $bits = 1 << (<$bits>::BITS - 1);
                f64::from(<$float>::from_bits(if key & SIGN == 0 { !key } else { key & !SIGN }))
            }

            fn is_finite(self) -> bool {
                <$float>::is_finite(self)
            }
        }
    };
}

ranked!(f32, u32);
ranked!(f64, u64);

/// Sorted scores of the two kinds. An anomalous score may belong to a part, one connected defect of the ground truth.
#[derive(Clone, Debug)]
pub struct Ranking<S: Score> {
    /// Ascending.
    normal: Vec<S::Key>,
    /// Ascending, with the part.
    anomalous: Vec<(S::Key, u32)>,
    /// What an anomalous entry of each part adds to the mean overlap: 1 / (its entries × parts).
    weights: Vec<f64>,
}

/// What a threshold takes in when it sinks to the next score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The threshold: the lowest score taken in.
    pub score: f64,
    /// Normal entries taken in.
    pub normal: u64,
    /// Anomalous entries taken in, all of this very score.
    pub anomalous: u64,
    /// What they add to the mean share of a part that is covered.
    pub overlap: f64,
}

impl Ranking<f64> {
    /// Ranks scores by a label each, true for anomalous. No parts. Scores must not be NaN.
    pub fn labelled(entries: impl IntoIterator<Item = (f64, bool)>) -> Self {
        let (mut normal, mut anomalous) = (Vec::new(), Vec::new());
        for (score, label) in entries {
            if label { anomalous.push((score.key(), 0)) } else { normal.push(score.key()) }
        }
        Self::sorted(normal, anomalous, &[])
    }
}

impl<S: Score> Ranking<S> {
    /// Sorts in place, on all threads. `parts` counts the entries of each part; empty where there are none.
    pub fn sorted(mut normal: Vec<S::Key>, mut anomalous: Vec<(S::Key, u32)>, parts: &[u32]) -> Self {
        normal.par_sort_unstable();
        anomalous.par_sort_unstable();
        let weights = parts.iter().map(|entries| 1.0 / (f64::from(*entries) * parts.len() as f64)).collect();
        Self { normal, anomalous, weights }
    }

    /// How many entries are normal.
    pub fn normals(&self) -> u64 {
        self.normal.len() as u64
    }

    /// How many entries are anomalous.
    pub fn anomalies(&self) -> u64 {
        self.anomalous.len() as u64
    }

    /// How many parts the anomalous entries form.
    pub fn parts(&self) -> usize {
        self.weights.len()
    }

    /// From the highest score down. Entries of one score come in one step; normal entries between two anomalous scores
    /// are one step as well, because no figure and no corner of a curve lies between them.
    pub fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        let (mut normal, mut anomalous) = (&self.normal[..], &self.anomalous[..]);
        std::iter::from_fn(move || {
            let Some(&(key, _)) = anomalous.last() else {
                let lowest = *normal.first()?;
                let step = Step { score: S::of(lowest), normal: normal.len() as u64, anomalous: 0, overlap: 0.0 };
                normal = &[];
                return Some(step);
            };
            let above = trailing(normal, |score| *score > key);
            if above > 0 {
                let (rest, taken) = normal.split_at(normal.len() - above);
                normal = rest;
                return Some(Step { score: S::of(taken[0]), normal: above as u64, anomalous: 0, overlap: 0.0 });
            }
            let tied = trailing(normal, |score| *score == key);
            normal = &normal[..normal.len() - tied];
            let hits = trailing(anomalous, |(score, _)| *score == key);
            let (rest, taken) = anomalous.split_at(anomalous.len() - hits);
            anomalous = rest;
            let overlap = taken.iter().filter_map(|(_, part)| self.weights.get(*part as usize)).sum();
            Some(Step { score: S::of(key), normal: tied as u64, anomalous: hits as u64, overlap })
        })
    }
}

/// How many entries at the end of `sorted` belong, where all that belong stand at the end. Looks near the end first: the
/// answer is mostly small.
fn trailing<T>(sorted: &[T], belongs: impl Fn(&T) -> bool) -> usize {
    let (mut known, mut reach) = (0, 1);
    while known + reach <= sorted.len() && belongs(&sorted[sorted.len() - known - reach]) {
        known += reach;
        reach *= 2;
    }
    let window = &sorted[sorted.len().saturating_sub(known + reach)..sorted.len() - known];
    known + window.len() - window.partition_point(|entry| !belongs(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_order_of_the_scores_and_give_them_back() {
        let scores = [f32::NEG_INFINITY, -3.5e8, -1.0, -1e-40, 0.0, 1e-40, 0.5, 7.0, f32::INFINITY];
        assert!(scores.windows(2).all(|pair| pair[0].key() < pair[1].key()));
        assert!(scores.iter().all(|score| f32::of(score.key()) == f64::from(*score)));
        assert_eq!((-0.0_f32).key(), 0.0_f32.key());
        assert!(scores.windows(2).all(|pair| f64::from(pair[0]).key() < f64::from(pair[1]).key()));
        assert_eq!(f64::of((-0.1_f64).key()), -0.1);
    }

    #[test]
    fn steps_take_in_every_entry_once_and_ties_together() {
        let entries = [(3.0, true), (2.0, false), (1.5, false), (1.0, true), (1.0, false), (1.0, true), (0.0, false)];
        let steps: Vec<(f64, u64, u64)> =
            Ranking::labelled(entries).steps().map(|step| (step.score, step.normal, step.anomalous)).collect();
        assert_eq!(steps, [(3.0, 0, 1), (1.5, 2, 0), (1.0, 1, 2), (0.0, 1, 0)]);
    }

    #[test]
    fn trailing_counts_what_stands_at_the_end() {
        for n in 0..40 {
            for count in 0..=n {
                let sorted: Vec<bool> = (0..n).map(|i| i >= n - count).collect();
                assert_eq!(trailing(&sorted, |belongs| *belongs), count);
            }
        }
    }
}
