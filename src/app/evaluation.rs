//! Verdicts and predicted classes against the inspector's labels, ready to draw. Says which photo counts where; the
//! figures themselves come from `metrics`.

use super::labels::{Class, Label};
use super::photo_list::{Entry, PhotoList};
use crate::Result;
use crate::anomaly::Verdict;
use crate::metrics::ranking::Ranking;
use crate::metrics::{self, ClassReport, Confusion};

/// The two classes that a verdict knows.
pub const TWO: [&str; 2] = ["good", "defective"];

/// The verdicts, in the order of the matrix's columns.
pub const VERDICTS: [Verdict; 3] = [Verdict::Ok, Verdict::Uncertain, Verdict::Ng];

/// A row of the matrix of verdicts: one class, or several taken together.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: String,
    pub labels: Vec<Label>,
    pub normal: bool,
    /// Photos of this row alone, among [`TWO`]; `uncertain` is "none of these".
    confusion: Confusion,
}

impl Row {
    fn new(name: &str, labels: Vec<Label>, normal: bool, entries: &[&Entry]) -> Result<Self> {
        let truth = usize::from(!normal);
        let pairs = entries
            .iter()
            .filter(|entry| entry.label.as_ref().is_some_and(|label| labels.contains(label)))
            .filter_map(|entry| Some((truth, column_of(entry.verdict()?))));
        let two = TWO.map(str::to_owned);
        let confusion = Confusion::new(&two, pairs)?;
        Ok(Self { name: name.to_owned(), labels, normal, confusion })
    }

    fn truth(&self) -> usize {
        usize::from(!self.normal)
    }

    /// Photos of this row with this verdict.
    pub fn count(&self, verdict: Verdict) -> u64 {
        match column_of(verdict) {
            Some(column) => self.confusion.counts()[self.truth()][column],
            None => self.confusion.rejected()[self.truth()],
        }
    }

    /// Their share of the row, 0–1.
    pub fn share(&self, verdict: Verdict) -> f64 {
        self.count(verdict) as f64 / self.support().max(1) as f64
    }

    /// Photos of this row with any verdict.
    pub fn support(&self) -> u64 {
        self.confusion.support(self.truth())
    }
}

/// The class among [`TWO`] that a verdict names.
fn column_of(verdict: Verdict) -> Option<usize> {
    match verdict {
        Verdict::Ok => Some(0),
        Verdict::Ng => Some(1),
        Verdict::Uncertain => None,
    }
}

/// How the score parts good from defective, over all thresholds and at the one in force.
#[derive(Clone, Debug)]
pub struct Curves {
    pub lines: metrics::Curves,
    pub figures: metrics::Figures,
    /// The raw image threshold in force.
    pub threshold: f32,
    /// The report of the scores cut at it, without an uncertain band.
    pub here: ClassReport,
    /// Good photos above it, as a share of the good.
    pub false_alarms: f64,
}

impl Curves {
    /// `scored` are raw scores, true for defective. `None` while only one of the two kinds has photos.
    fn new(scored: &[(f64, bool)], threshold: f32) -> Result<Option<Self>> {
        let (figures, lines) = metrics::measure(&Ranking::labelled(scored.iter().copied()));
        if figures.auroc.is_none() {
            return Ok(None);
        }
        let above = |score: f64| usize::from(score > f64::from(threshold));
        let pairs = scored.iter().map(|&(score, defective)| (usize::from(defective), Some(above(score))));
        let cut = Confusion::new(&TWO.map(str::to_owned), pairs)?;
        Ok(Some(Self { lines, figures, threshold, here: ClassReport::new(&cut), false_alarms: cut.row_share(0, 1) }))
    }
}

/// Everything that the page shows of verdicts.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// One row per class that has photos with a verdict, in the order of the classes.
    pub by_class: Vec<Row>,
    /// Good and defective.
    pub two: Vec<Row>,
    pub report: ClassReport,
    /// `None` while only one of the two kinds has photos.
    pub curves: Option<Curves>,
    /// Photos with label and verdict.
    judged: usize,
}

impl Evaluation {
    /// Compares every photo that has both. Scores that are no numbers are left out of the curves.
    ///
    /// # Errors
    /// [`crate::Error::Bug`] when the figures' own checks fail.
    pub fn of(photos: &PhotoList) -> Result<Self> {
        let classes = photos.classes();
        let judged: Vec<&Entry> = photos.iter().filter(|entry| entry.agreement(classes).is_some()).collect();
        let names = |normal: bool| -> Vec<Label> {
            classes.iter().filter(|class| class.normal == normal).map(|class| class.name.clone()).collect()
        };
        let (good, bad) = (names(true), names(false));
        let mut by_class = Vec::new();
        for Class { name, normal } in classes {
            by_class.push(Row::new(name, vec![name.clone()], *normal, &judged)?);
        }
        by_class.retain(|row| row.support() > 0);
        let normal = |entry: &Entry| entry.label.as_ref().is_some_and(|label| good.contains(label));
        let pairs = judged.iter().filter_map(|entry| Some((usize::from(!normal(entry)), column_of(entry.verdict()?))));
        let report = ClassReport::new(&Confusion::new(&TWO.map(str::to_owned), pairs)?);
        let two = vec![Row::new(TWO[0], good.clone(), true, &judged)?, Row::new(TWO[1], bad, false, &judged)?];
        let scored: Vec<(f64, bool)> = judged
            .iter()
            .filter_map(|entry| Some((f64::from(entry.inspection()?.image_score), !normal(entry))))
            .filter(|(score, _)| !score.is_nan())
            .collect();
        let threshold = judged.iter().find_map(|entry| entry.inspection()).map(|inspection| inspection.image_threshold);
        let curves = match threshold {
            Some(threshold) => Curves::new(&scored, threshold)?,
            None => None,
        };
        Ok(Self { by_class, two, report, curves, judged: judged.len() })
    }

    /// Photos with label and verdict.
    pub fn judged(&self) -> usize {
        self.judged
    }

    /// The rows to show.
    pub fn rows(&self, two: bool) -> &[Row] {
        if two { &self.two } else { &self.by_class }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::app::labels::LabelStep;
    use crate::app::photo_list::Outcome;
    use crate::app::testing::inspection;

    fn photos(rows: &[(&str, f32, Verdict)]) -> PhotoList {
        let mut list = PhotoList::default();
        let classes = ["good", "crack", "hole"].map(Class::named);
        list.swap_labels(LabelStep { classes: Some(classes.into()), photos: Vec::new() });
        for (n, (label, score, verdict)) in rows.iter().enumerate() {
            let id = list.add([format!("{n}.png").into()])[0];
            list.set_outcome(id, Outcome::Inspected(Arc::new(inspection("x.png", *score, *verdict))));
            let label = (!label.is_empty()).then(|| Label::from(*label));
            list.swap_labels(LabelStep { classes: None, photos: vec![(id, label)] });
        }
        list
    }

    #[test]
    fn verdicts_are_counted_by_class_and_by_kind() {
        let list = photos(&[
            ("good", 1.0, Verdict::Ok),
            ("good", 6.0, Verdict::Ng),
            ("crack", 9.0, Verdict::Ng),
            ("crack", 5.0, Verdict::Uncertain),
            ("crack", 2.0, Verdict::Ok),
            ("", 8.0, Verdict::Ng),
        ]);
        let evaluation = Evaluation::of(&list).expect("counts");
        assert_eq!(evaluation.judged(), 5);
        let rows: Vec<(&str, Vec<u64>)> = evaluation
            .by_class
            .iter()
            .map(|row| (row.name.as_str(), VERDICTS.map(|verdict| row.count(verdict)).into()))
            .collect();
        assert_eq!(rows, [("good", vec![1, 0, 1]), ("crack", vec![1, 1, 1])], "holes have no photos, so no row");
        assert!((evaluation.by_class[1].share(Verdict::Uncertain) - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(evaluation.rows(true)[1].support(), 3);
        assert!((evaluation.report.accuracy - 2.0 / 5.0).abs() < 1e-12, "uncertain is not right");
        let curves = evaluation.curves.expect("both kinds are there");
        // Above the threshold of 5: one of two good ones, one of three defective ones.
        assert_eq!((curves.false_alarms, curves.here.per_class[1].precision), (0.5, 0.5));
        assert!((curves.here.per_class[1].recall - 1.0 / 3.0).abs() < 1e-12);
        // Of the six pairs, crack above good: 9 over both, 5 and 2 over the first.
        assert!((curves.figures.auroc.expect("both kinds") - 4.0 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn one_kind_alone_has_a_matrix_but_no_curve() {
        let evaluation = Evaluation::of(&photos(&[("good", 1.0, Verdict::Ok)])).expect("counts");
        assert!(evaluation.curves.is_none() && evaluation.judged() == 1);
        assert_eq!(Evaluation::of(&PhotoList::default()).expect("nothing").judged(), 0);
    }
}
