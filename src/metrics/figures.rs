//! All figures of one ranking in one walk, and its curves thinned for drawing. A figure that the data cannot carry, for
//! want of normal or of anomalous entries, is absent; none is ever made up.

use serde::{Deserialize, Serialize};

use super::pro::{FPR_LIMIT, ProArea};
use super::ranking::{Ranking, Score};
use super::roc::{AveragePrecision, RocArea};
use super::threshold::{F1Max, F1Search};

/// Figures of merit, fractions 0–1; `None` where a kind of entries (for `aupro`: every part) is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Area under the ROC curve.
    pub auroc: Option<f64>,
    /// Average precision.
    pub ap: Option<f64>,
    /// The highest F1 and its threshold.
    pub f1_max: Option<F1Max>,
    /// Area under the per-region overlap up to a false-positive rate of 0.3.
    pub aupro: Option<f64>,
}

/// A curve as corners `[x, y]`, both 0–1, joined by straight lines.
pub type Curve = Vec<[f64; 2]>;

/// The curves behind the figures; empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Curves {
    /// False-positive rate, true-positive rate.
    pub roc: Curve,
    /// Recall, precision; starts at a recall of 0 and a precision of 1, as scikit-learn's.
    pub precision_recall: Curve,
    /// False-positive rate, mean per-region overlap, up to a rate of 0.3; empty without parts.
    pub pro: Curve,
}

/// Measures a ranking.
pub fn measure<S: Score>(ranking: &Ranking<S>) -> (Figures, Curves) {
    let (normals, anomalies) = (ranking.normals(), ranking.anomalies());
    if normals == 0 || anomalies == 0 {
        return (Figures::default(), Curves::default());
    }
    let (mut area, mut precision) = (RocArea::default(), AveragePrecision::default());
    let (mut f1, mut overlap) = (F1Search::new(anomalies), ProArea::new(FPR_LIMIT, normals, ranking.parts()));
    let [mut roc, mut precision_recall, mut pro] = [[0.0, 0.0], [0.0, 1.0], [0.0, 0.0]].map(Thinned::from);
    let (mut hits, mut alarms, mut covered) = (0, 0, 0.0);
    for step in ranking.steps() {
        area.take(&step);
        precision.take(&step);
        f1.take(&step);
        overlap.take(&step);
        hits += step.anomalous;
        alarms += step.normal;
        covered += step.overlap;
        let (recall, rate) = (hits as f64 / anomalies as f64, alarms as f64 / normals as f64);
        roc.push([rate, recall]);
        precision_recall.push([recall, hits as f64 / (hits + alarms) as f64]);
        pro.push([rate, covered]);
    }
    let figures =
        Figures { auroc: area.finish(), ap: precision.finish(), f1_max: f1.finish(), aupro: overlap.finish() };
    let pro = if ranking.parts() == 0 { Vec::new() } else { cut(pro.finish(), FPR_LIMIT) };
    (figures, Curves { roc: roc.finish(), precision_recall: precision_recall.finish(), pro })
}

/// The part of a curve left of `limit`, ending on it.
fn cut(curve: Curve, limit: f64) -> Curve {
    let inside = curve.partition_point(|point| point[0] <= limit);
    let mut kept = curve[..inside].to_vec();
    if let (Some(&[x0, y0]), Some(&[x1, y1])) = (kept.last(), curve.get(inside)) {
        kept.push([limit, y0 + (y1 - y0) * (limit - x0) / (x1 - x0)]);
    }
    kept
}

/// A curve of which only corners are kept that the eye could tell apart: at most about two thousand.
struct Thinned {
    kept: Curve,
    /// The last corner, if it was not kept.
    pending: Option<[f64; 2]>,
}

impl Thinned {
    /// Distance in either direction from which a corner is kept.
    const GRAIN: f64 = 1.0 / 500.0;

    fn push(&mut self, point: [f64; 2]) {
        let far = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).abs() > Self::GRAIN || (a[1] - b[1]).abs() > Self::GRAIN;
        let last = self.kept.last().copied().unwrap_or(point);
        if far(last, point) {
            // A long line starts where the short ones before it ended.
            self.kept.extend(self.pending.take().filter(|pending| *pending != last));
            self.kept.push(point);
        } else {
            self.pending = Some(point);
        }
    }

    fn finish(mut self) -> Curve {
        self.kept.extend(self.pending.take());
        self.kept
    }
}

impl From<[f64; 2]> for Thinned {
    fn from(first: [f64; 2]) -> Self {
        Self { kept: vec![first], pending: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_alone_has_no_figure() {
        for label in [true, false] {
            let (figures, curves) = measure(&Ranking::labelled([(1.0, label), (2.0, label)]));
            assert_eq!((figures, curves), (Figures::default(), Curves::default()));
        }
    }

    #[test]
    fn curves_are_thin_and_have_the_area_of_the_figure() {
        let entries = (0..200_000_u64).map(|i| {
            let score = (i.wrapping_mul(2_654_435_761) % 1_000_003) as f64;
            (score, score + (i % 7) as f64 * 100_000.0 > 900_000.0)
        });
        let (figures, curves) = measure(&Ranking::labelled(entries));
        assert!(curves.roc.len() < 2100 && curves.precision_recall.len() < 2100, "{}", curves.roc.len());
        let area: f64 = curves.roc.windows(2).map(|p| (p[1][0] - p[0][0]) * (p[0][1] + p[1][1]) / 2.0).sum();
        assert!((area - figures.auroc.expect("both kinds")).abs() < 2e-3);
        assert_eq!((curves.roc[0], *curves.roc.last().expect("corners")), ([0.0, 0.0], [1.0, 1.0]));
        assert!(curves.pro.is_empty() && figures.aupro.is_none(), "photos have no parts");
    }

    #[test]
    fn a_perfect_ranking_is_perfect() {
        let (figures, curves) = measure(&Ranking::labelled([(0.0, false), (1.0, true), (2.0, true)]));
        assert_eq!((figures.auroc, figures.ap), (Some(1.0), Some(1.0)));
        assert_eq!(figures.f1_max, Some(F1Max { value: 1.0, threshold: 1.0 }));
        assert_eq!(curves.roc, [[0.0, 0.0], [0.0, 0.5], [0.0, 1.0], [1.0, 1.0]]);
    }

    #[test]
    fn the_overlap_ends_at_the_limit() {
        assert_eq!(cut(vec![[0.0, 0.0], [0.2, 0.5], [0.4, 0.7]], 0.3), [[0.0, 0.0], [0.2, 0.5], [0.3, 0.6]]);
    }
}
