//! Scores against what somebody who knows said: figures at a threshold, and the threshold that the labelled rows speak
//! for. Positive is `match`; a score equal to the threshold is a match.

use std::str::FromStr;

use serde::Serialize;

use super::similarity::parse_threshold;
use crate::metrics::{average_precision, roc_auc};
use crate::{Error, Result};

/// How the threshold of a table is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Choice {
    Fixed(f32),
    /// The one with the highest F1 on the labelled rows.
    BestF1,
    /// The lowest one at which this share of what is called a match is one, so that as many matches as possible are found.
    Precision(f64),
}

impl FromStr for Choice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "best-f1" {
            return Ok(Self::BestF1);
        }
        let Some(precision) = text.strip_prefix("precision:") else {
            return parse_threshold(text).map(Self::Fixed).map_err(|error| {
                Error::input(format!("{error} From labelled rows it is chosen by best-f1 or precision:0.95."))
            });
        };
        precision.parse().ok().filter(|value| *value > 0.0 && *value <= 1.0).map(Self::Precision).ok_or_else(|| {
            Error::input(format!("The precision is `{precision}`, but must be a number above 0 and at most 1."))
        })
    }
}

/// Figures at one threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ThresholdFigures {
    pub threshold: f32,
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
    pub accuracy: f64,
    /// Rows are truth, columns what was said; `match` first, then `mismatch`.
    pub confusion: [[usize; 2]; 2],
}

/// Everything that labels tell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    pub matches: usize,
    pub mismatches: usize,
    /// `None` when one of the two labels is missing.
    pub auroc: Option<f64>,
    pub average_precision: Option<f64>,
    /// At the threshold in force.
    pub at_threshold: ThresholdFigures,
    /// At the threshold with the highest F1 on these rows.
    pub best_f1: ThresholdFigures,
}

/// The figures of labelled rows (score 0–1, true for `match`) at a threshold.
pub fn figures_at(pairs: &[(f32, bool)], threshold: f32) -> ThresholdFigures {
    let count =
        |truth: bool, said: bool| pairs.iter().filter(|(s, t)| *t == truth && (*s >= threshold) == said).count();
    of_counts(threshold, [[count(true, true), count(true, false)], [count(false, true), count(false, false)]])
}

fn of_counts(threshold: f32, confusion: [[usize; 2]; 2]) -> ThresholdFigures {
    let [[hits, missed], [false_hits, rejected]] = confusion;
    let share = |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    ThresholdFigures {
        threshold,
        precision: share(hits, hits + false_hits),
        recall: share(hits, hits + missed),
        f1: share(2 * hits, 2 * hits + false_hits + missed),
        accuracy: share(hits + rejected, hits + missed + false_hits + rejected),
        confusion,
    }
}

/// Figures at every threshold that decides the rows differently, highest first. Each lies halfway to the next lower
/// score, so that a new row at the margin is as likely on one side as on the other.
fn candidates(pairs: &[(f32, bool)]) -> Vec<ThresholdFigures> {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let matches = sorted.iter().filter(|(_, label)| *label).count();
    let mismatches = sorted.len() - matches;
    let (mut hits, mut false_hits) = (0, 0);
    let mut all = Vec::new();
    let mut runs = sorted.chunk_by(|a, b| a.0 == b.0).peekable();
    while let Some(run) = runs.next() {
        hits += run.iter().filter(|(_, label)| *label).count();
        false_hits += run.iter().filter(|(_, label)| !label).count();
        let score = run[0].0;
        // Halfway may round to the lower score, which would let its rows in.
        let threshold = runs.peek().map_or(score, |next| score.midpoint(next[0].0).max(next[0].0.next_up()));
        all.push(of_counts(threshold, [[hits, matches - hits], [false_hits, mismatches - false_hits]]));
    }
    all
}

/// Finds the threshold and evaluates the labelled rows (score 0–1, true for `match`); the evaluation is `None` without
/// any label.
///
/// # Errors
/// [`Error::Input`] where a threshold is to be chosen and labels are missing, or no threshold reaches the precision.
pub fn evaluate(scores: &[f32], labels: &[bool], choice: Choice) -> Result<(f32, Option<Evaluation>)> {
    let pairs: Vec<(f32, bool)> = scores.iter().copied().zip(labels.iter().copied()).collect();
    let matches = labels.iter().filter(|label| **label).count();
    let candidates = candidates(&pairs);
    // Of equally good ones the higher, which lets less in.
    let best = candidates.iter().copied().reduce(|best, next| if next.f1 > best.f1 { next } else { best });
    if !matches!(choice, Choice::Fixed(_)) && (matches == 0 || matches == labels.len()) {
        return Err(Error::input(
            "A threshold can only be chosen from rows of both labels. Fill in the column `label` with `match` and `mismatch`, or give a number.",
        ));
    }
    let threshold = match choice {
        Choice::Fixed(threshold) => threshold,
        Choice::BestF1 => best.map_or(0.0, |best| best.threshold),
        Choice::Precision(wanted) => {
            // Enough precision at a lower threshold means more matches found.
            let reached = candidates.iter().rev().find(|figures| figures.precision >= wanted);
            let highest = candidates.iter().map(|figures| figures.precision).fold(0.0, f64::max);
            reached.map(|figures| figures.threshold).ok_or_else(|| {
                Error::input(format!(
                    "No threshold reaches a precision of {wanted} on the labelled rows; the highest is {highest:.3}. Ask for \
                     less, or use a stronger model."
                ))
            })?
        }
    };
    let Some(best_f1) = best else { return Ok((threshold, None)) };
    let evaluation = Evaluation {
        matches,
        mismatches: labels.len() - matches,
        auroc: roc_auc(scores, labels)?,
        average_precision: average_precision(scores, labels)?,
        at_threshold: figures_at(&pairs, threshold),
        best_f1,
    };
    Ok((threshold, Some(evaluation)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    const SCORES: [f32; 6] = [0.9, 0.8, 0.6, 0.5, 0.3, 0.1];
    const LABELS: [bool; 6] = [true, true, false, true, false, false];

    #[test]
    fn the_threshold_is_the_one_that_the_labels_speak_for() {
        let (threshold, evaluation) = evaluate(&SCORES, &LABELS, Choice::BestF1).unwrap();
        let evaluation = evaluation.unwrap();
        assert!((threshold - 0.4).abs() < 1e-6, "halfway between 0.5 and 0.3, not {threshold}");
        assert_eq!(evaluation.at_threshold.confusion, [[3, 0], [1, 2]]);
        assert!((evaluation.best_f1.f1 - 6.0 / 7.0).abs() < 1e-12);
        assert!((evaluation.auroc.unwrap() - 8.0 / 9.0).abs() < 1e-12);
        let (strict, evaluation) = evaluate(&SCORES, &LABELS, Choice::Precision(1.0)).unwrap();
        assert!((strict - 0.7).abs() < 1e-6);
        assert_eq!(evaluation.unwrap().at_threshold.confusion, [[2, 1], [0, 3]]);
    }

    #[test]
    fn the_chosen_threshold_decides_the_rows_as_was_counted() {
        let mut chance = 12345_u32;
        let mut unit = || {
            chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (chance >> 8) as f32 / 16_777_216.0
        };
        let labels: Vec<bool> = (0..500).map(|i| i % 3 == 0).collect();
        // Steps of 0.01 make ties.
        let scores: Vec<f32> =
            labels.iter().map(|&l| (100.0 * (0.3 * unit() + 0.1 * f32::from(u8::from(l)))).round() / 100.0).collect();
        let (threshold, evaluation) = evaluate(&scores, &labels, Choice::BestF1).unwrap();
        let evaluation = evaluation.unwrap();
        assert_eq!(evaluation.at_threshold, evaluation.best_f1);
        for step in 0..=100 {
            let other = figures_at(
                &scores.iter().copied().zip(labels.iter().copied()).collect::<Vec<_>>(),
                step as f32 / 100.0,
            );
            assert!(other.f1 <= evaluation.best_f1.f1 + 1e-12, "{other:?} beats {threshold}");
        }
    }

    #[test]
    fn nothing_is_chosen_without_both_labels() {
        assert!(evaluate(&[0.5], &[true], Choice::BestF1).unwrap_err().to_string().contains("both labels"));
        assert!(evaluate(&[], &[], Choice::Precision(0.9)).is_err());
        assert_eq!(evaluate(&[], &[], Choice::Fixed(0.25)).unwrap(), (0.25, None));
        let wrong = evaluate(&[0.1, 0.9], &[true, false], Choice::Precision(0.9)).unwrap_err().to_string();
        assert!(wrong.contains("0.500"), "{wrong}");
        let (_, one) = evaluate(&[0.5, 0.1], &[true, true], Choice::Fixed(0.25)).unwrap();
        assert_eq!(one.unwrap().auroc, None);
    }

    #[test]
    fn choices_are_read_as_written() {
        assert_eq!("best-f1".parse::<Choice>().unwrap(), Choice::BestF1);
        assert_eq!("precision:0.95".parse::<Choice>().unwrap(), Choice::Precision(0.95));
        assert_eq!("strict".parse::<Choice>().unwrap(), Choice::Fixed(0.30));
        for wrong in ["precision:2", "precision:", "f1", "NaN"] {
            assert!(wrong.parse::<Choice>().is_err(), "{wrong}");
        }
    }
}
