//! The classification report: precision, recall, F1 and support per class, accuracy, macro and weighted averages, equal
//! to scikit-learn's `classification_report(zero_division=0)`; and top-k accuracy. Computed from counts and scores, no
//! networks here.

use std::fmt::Write as _;

use serde::Serialize;

use super::confusion::{Confusion, ratio};
use crate::{Error, Result};

/// Figures of one class, or an average over classes; all in 0–1, 0 where a denominator is 0.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassFigures {
    /// The class.
    pub label: String,
    /// Of the photos given this label, the share that are of this class.
    pub precision: f64,
    /// Of the photos of this class, the share given this label.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// Photos of this class.
    pub support: u64,
}

/// The classification report of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassReport {
    /// Share of photos given the right label.
    pub accuracy: f64,
    /// In the order of the labels.
    pub per_class: Vec<ClassFigures>,
    /// Every class counts the same.
    pub macro_average: ClassFigures,
    /// Every photo counts the same: classes weighted by support.
    pub weighted_average: ClassFigures,
}

impl ClassReport {
    /// The figures of a confusion matrix. All 0 without photos.
    pub fn new(confusion: &Confusion) -> Self {
        let per_class: Vec<ClassFigures> = confusion
            .labels()
            .iter()
            .enumerate()
            .map(|(class, label)| {
                let (hits, support, predicted) =
                    (confusion.hits(class), confusion.support(class), confusion.predicted(class));
                ClassFigures {
                    label: label.clone(),
                    precision: ratio(hits, predicted),
                    recall: ratio(hits, support),
                    // 2 · TP / (2 · TP + FP + FN), which needs no precision and recall to be defined.
                    f1: ratio(2 * hits, support + predicted),
                    support,
                }
            })
            .collect();
        let total = confusion.total();
        let average = |label: &str, weight: &dyn Fn(&ClassFigures) -> f64| {
            let whole: f64 = per_class.iter().map(weight).sum();
            let mean = |value: fn(&ClassFigures) -> f64| {
                let sum: f64 = per_class.iter().map(|figures| weight(figures) * value(figures)).sum();
                if whole > 0.0 { sum / whole } else { 0.0 }
            };
            ClassFigures {
                label: label.to_owned(),
                precision: mean(|figures| figures.precision),
                recall: mean(|figures| figures.recall),
                f1: mean(|figures| figures.f1),
                support: total,
            }
        };
        Self {
            accuracy: ratio(confusion.correct(), total),
            macro_average: average("macro average", &|_| 1.0),
            weighted_average: average("weighted average", &|figures| figures.support as f64),
            per_class,
        }
    }

    /// The report as a table of plain text, as scikit-learn prints it.
    pub fn to_text(&self) -> String {
        let rows = || self.per_class.iter().chain([&self.macro_average, &self.weighted_average]);
        let width = rows().map(|figures| figures.label.chars().count()).max().unwrap_or(0);
        let mut text = format!("{:>width$}  precision  recall  F1-score  support\n\n", "");
        let row = |text: &mut String, figures: &ClassFigures| {
            let ClassFigures { label, precision, recall, f1, support } = figures;
            let _ = writeln!(text, "{label:>width$}  {precision:>9.2}  {recall:>6.2}  {f1:>8.2}  {support:>7}");
        };
        for figures in &self.per_class {
            row(&mut text, figures);
        }
        let (name, support) = ("accuracy", self.macro_average.support);
        let _ = writeln!(text, "\n{name:>width$}  {:>9}  {:>6}  {:>8.2}  {support:>7}", "", "", self.accuracy);
        row(&mut text, &self.macro_average);
        row(&mut text, &self.weighted_average);
        text
    }
}

/// Share of the photos whose true class is among the `k` highest scores, 0–1; 0 without photos. Of equal scores the
/// later class ranks higher, as in scikit-learn's `top_k_accuracy_score`.
///
/// `scores` are `[photos][classes]` in any unit that grows with confidence, `truth` indices of classes.
///
/// # Errors
/// [`Error::Input`] for a score that is not a number; [`Error::Bug`] for lists that do not fit together.
pub fn top_k_accuracy(scores: &[Vec<f64>], truth: &[usize], k: usize) -> Result<f64> {
    check(scores, truth)?;
    let among = |(row, &truth): (&Vec<f64>, &usize)| {
        let higher = row
            .iter()
            .enumerate()
            .filter(|&(class, score)| *score > row[truth] || (*score == row[truth] && class > truth));
        higher.count() < k
    };
    Ok(ratio(scores.iter().zip(truth).filter(|pair| among(*pair)).count() as u64, truth.len() as u64))
}

/// Whether scores and true classes fit together and every score is a number.
pub(super) fn check(scores: &[Vec<f64>], truth: &[usize]) -> Result<()> {
    if scores.len() != truth.len() {
        return Err(Error::bug(format!("{} rows of scores and {} true classes.", scores.len(), truth.len())));
    }
    for (at, (row, &truth)) in scores.iter().zip(truth).enumerate() {
        if truth >= row.len() {
            return Err(Error::bug(format!("class {truth} has no score in row {at}.")));
        }
        if row.iter().any(|score| score.is_nan()) {
            return Err(Error::input(format!("A score of entry number {at} is not a number. Leave that entry out.")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use serde::Deserialize;

    use super::*;
    use crate::metrics::{McNemar, Reliability};

    #[derive(Deserialize)]
    struct Fixture {
        cases: Vec<Case>,
        mcnemar: Vec<Comparison>,
    }

    #[derive(Deserialize)]
    struct Case {
        classes: usize,
        truth: Vec<usize>,
        /// -1 is "none of these".
        prediction: Vec<i64>,
        scores: Vec<Vec<f64>>,
        confusion: Vec<Vec<u64>>,
        accuracy: f64,
        /// precision, recall, F1, support
        per_class: Vec<(f64, f64, f64, u64)>,
        macro_average: (f64, f64, f64),
        weighted_average: (f64, f64, f64),
        top_2: f64,
        ece: f64,
        bins: Vec<(u64, f64, f64)>,
    }

    #[derive(Deserialize)]
    struct Comparison {
        only_first: u64,
        only_second: u64,
        exact_p: f64,
        statistic: f64,
        corrected_p: f64,
    }

    fn fixture() -> Fixture {
        serde_json::from_str(include_str!("../../tests/fixtures/metrics/classification.json")).unwrap()
    }

    fn close(ours: f64, theirs: f64, what: &str) {
        assert!((ours - theirs).abs() < 1e-12, "{what}: {ours} instead of {theirs}");
    }

    #[test]
    fn every_figure_equals_scikit_learn() {
        let cases = fixture().cases;
        assert!(cases.len() >= 6);
        for case in cases {
            let labels: Vec<String> = (0..case.classes).map(|class| format!("class {class}")).collect();
            let predictions = case.prediction.iter().map(|&p| usize::try_from(p).ok());
            let confusion = Confusion::new(&labels, case.truth.iter().copied().zip(predictions)).unwrap();
            assert_eq!(confusion.counts(), case.confusion);
            let report = ClassReport::new(&confusion);
            close(report.accuracy, case.accuracy, "accuracy");
            for (ours, theirs) in report.per_class.iter().zip(&case.per_class) {
                close(ours.precision, theirs.0, "precision");
                close(ours.recall, theirs.1, "recall");
                close(ours.f1, theirs.2, "F1");
                assert_eq!(ours.support, theirs.3);
            }
            for (ours, theirs) in
                [(&report.macro_average, case.macro_average), (&report.weighted_average, case.weighted_average)]
            {
                close(ours.precision, theirs.0, &ours.label);
                close(ours.recall, theirs.1, &ours.label);
                close(ours.f1, theirs.2, &ours.label);
            }
            close(top_k_accuracy(&case.scores, &case.truth, 2).unwrap(), case.top_2, "top-2");
            let reliability = Reliability::new(&case.scores, &case.truth, case.bins.len()).unwrap();
            close(reliability.ece, case.ece, "ECE");
            for (ours, theirs) in reliability.bins.iter().zip(&case.bins) {
                assert_eq!(ours.count, theirs.0);
                close(ours.accuracy, theirs.1, "accuracy of a bin");
                close(ours.confidence, theirs.2, "confidence of a bin");
            }
        }
    }

    #[test]
    fn mcnemar_equals_scipy() {
        let comparisons = fixture().mcnemar;
        assert!(comparisons.len() >= 8);
        for case in comparisons {
            let ours = McNemar::from_counts(case.only_first, case.only_second);
            close(ours.exact_p, case.exact_p, "exact p");
            close(ours.statistic, case.statistic, "statistic");
            close(ours.corrected_p, case.corrected_p, "corrected p");
        }
    }

    #[test]
    fn the_table_has_a_row_per_class_and_its_columns_align() {
        let labels = ["good".to_owned(), "broken edge".to_owned()];
        let confusion = Confusion::new(&labels, [(0, Some(0)), (0, Some(0)), (1, Some(0)), (1, Some(1))]).unwrap();
        let text = ClassReport::new(&confusion).to_text();
        let expected = "                  precision  recall  F1-score  support

            good       0.67    1.00      0.80        2
     broken edge       1.00    0.50      0.67        2

        accuracy                         0.75        4
   macro average       0.83    0.75      0.73        4
weighted average       0.83    0.75      0.73        4
";
        assert_eq!(text, expected);
    }

    #[test]
    fn scores_that_are_no_numbers_are_refused() {
        assert!(top_k_accuracy(&[vec![0.5, f64::NAN]], &[0], 1).is_err());
        assert!(top_k_accuracy(&[vec![0.5, 0.5]], &[2], 1).is_err());
        assert!(Reliability::new(&[vec![f64::NAN, 0.5]], &[0], 10).is_err());
        assert_eq!(top_k_accuracy(&[], &[], 1).unwrap(), 0.0);
    }
}
