//! The best threshold in hindsight: where F1, the harmonic mean of precision and recall, is highest. A figure for
//! comparing methods; it has seen the labels, so it is no threshold to work with.

use serde::{Deserialize, Serialize};

use super::ranking::Step;

/// The highest F1 and the score at (and above) which entries count as anomalous for it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct F1Max {
    /// 2 · precision · recall / (precision + recall), 0–1.
    pub value: f64,
    /// The lowest of the scores that reach it.
    pub threshold: f64,
}

/// Finds [`F1Max`] over the steps of a ranking with this many anomalous entries.
#[derive(Clone, Copy, Debug)]
pub struct F1Search {
    anomalies: u64,
    hits: u64,
    seen: u64,
    /// Hits, seen, threshold.
    best: (u64, u64, f64),
}

impl F1Search {
    /// A search that has seen nothing yet.
    pub fn new(anomalies: u64) -> Self {
        Self { anomalies, hits: 0, seen: 0, best: (0, 0, 0.0) }
    }

    /// The next step.
    pub fn take(&mut self, step: &Step) {
        self.hits += step.anomalous;
        self.seen += step.anomalous + step.normal;
        // F1 is 2 · hits / (seen + anomalies): compared as fractions, so that equal ones are equal.
        let (hits, seen, _) = self.best;
        let weighed = |hits: u64, seen: u64| u128::from(hits) * u128::from(seen + self.anomalies);
        if step.anomalous > 0 && weighed(self.hits, seen) >= weighed(hits, self.seen) {
            self.best = (self.hits, self.seen, step.score);
        }
    }

    /// The best, after the last step; `None` without an anomalous entry.
    pub fn finish(self) -> Option<F1Max> {
        let (hits, seen, threshold) = self.best;
        (hits > 0).then(|| F1Max { value: 2.0 * hits as f64 / (seen + self.anomalies) as f64, threshold })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Ranking;

    fn best(entries: &[(f64, bool)]) -> Option<F1Max> {
        let ranking = Ranking::labelled(entries.iter().copied());
        let mut search = F1Search::new(ranking.anomalies());
        ranking.steps().for_each(|step| search.take(&step));
        search.finish()
    }

    #[test]
    fn the_threshold_that_separates_is_found() {
        let separable = [(0.1, false), (0.2, false), (0.7, true), (0.9, true)];
        assert_eq!(best(&separable), Some(F1Max { value: 1.0, threshold: 0.7 }));
    }

    #[test]
    fn of_equal_values_the_lowest_threshold_is_taken() {
        // At 3: 2·1/(1+2); at 1: 2·2/(4+2). Both 2/3.
        let entries = [(3.0, true), (2.0, false), (1.5, false), (1.0, true)];
        assert_eq!(best(&entries), Some(F1Max { value: 2.0 / 3.0, threshold: 1.0 }));
    }

    #[test]
    fn all_equal_and_none_at_all() {
        assert_eq!(best(&[(5.0, true), (5.0, false)]), Some(F1Max { value: 2.0 / 3.0, threshold: 5.0 }));
        assert_eq!(best(&[(5.0, false)]), None);
        assert_eq!(best(&[]), None);
    }
}
