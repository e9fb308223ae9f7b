//! Which photos the film strip shows, and in which order: by verdict, by label, and by how the two agree.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::labels::{Class, Label};
use super::photo_list::{Entry, Outcome};
use crate::anomaly::Verdict;
use crate::engine::PhotoId;

/// Order of the film strip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// By file name, numbers by value.
    #[default]
    Name,
    /// Worst first.
    Score,
    /// NG, uncertain, OK; worst first within each.
    Verdict,
    /// Classes in their order, then photos without a label; worst first within each.
    Label,
    /// Misses and false alarms first, the furthest on the wrong side of the threshold before the others.
    Mistakes,
}

impl Sort {
    pub const ALL: [Self; 5] = [Self::Name, Self::Score, Self::Verdict, Self::Label, Self::Mistakes];

    /// As the menu names it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Name => "By name",
            Self::Score => "Worst first",
            Self::Verdict => "By verdict",
            Self::Label => "By label",
            Self::Mistakes => "Mistakes first",
        }
    }
}

/// Which verdicts the film strip shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    #[default]
    All,
    Ng,
    Uncertain,
    Ok,
    /// Photos that could not be read.
    Failed,
}

impl Filter {
    pub(super) fn admits(self, entry: &Entry) -> bool {
        match self {
            Self::All => true,
            Self::Ng => entry.verdict() == Some(Verdict::Ng),
            Self::Uncertain => entry.verdict() == Some(Verdict::Uncertain),
            Self::Ok => entry.verdict() == Some(Verdict::Ok),
            Self::Failed => matches!(entry.outcome, Outcome::Failed(_)),
        }
    }
}

/// How a verdict and the label of the same photo go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    Right,
    /// Left to a person.
    Open,
    /// A good part judged NG.
    FalseAlarm,
    /// A defective part judged OK.
    Miss,
}

impl Agreement {
    /// `normal` is whether the true class is a good one.
    pub fn of(verdict: Verdict, normal: bool) -> Self {
        match (verdict, normal) {
            (Verdict::Uncertain, _) => Self::Open,
            (Verdict::Ok, true) | (Verdict::Ng, false) => Self::Right,
            (Verdict::Ng, true) => Self::FalseAlarm,
            (Verdict::Ok, false) => Self::Miss,
        }
    }

    /// As people call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Open => "left open",
            Self::FalseAlarm => "false alarm",
            Self::Miss => "miss",
        }
    }
}

/// A closer look at some of the photos; a chip over the film strip names it and takes it away.
#[derive(Clone, Debug, PartialEq)]
pub struct Focus {
    /// Words for the chip, e.g. `crack judged OK`.
    pub title: String,
    pub rule: Rule,
}

/// The photos of a [`Focus`].
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// Photos of one class; `None` is photos without a label.
    Label(Option<Label>),
    FalseAlarms,
    Misses,
    /// False alarms and misses.
    Mistakes,
    /// Photos of these classes with this verdict; the cell of a matrix.
    Judged(Vec<Label>, Verdict),
    /// These photos.
    Photos(Arc<HashSet<PhotoId>>),
}

impl Rule {
    pub(super) fn admits(&self, entry: &Entry, classes: &[Class]) -> bool {
        let agreement = entry.agreement(classes);
        match self {
            Self::Label(label) => entry.label == *label,
            Self::FalseAlarms => agreement == Some(Agreement::FalseAlarm),
            Self::Misses => agreement == Some(Agreement::Miss),
            Self::Mistakes => matches!(agreement, Some(Agreement::FalseAlarm | Agreement::Miss)),
            Self::Judged(labels, verdict) => {
                entry.verdict() == Some(*verdict) && entry.label.as_ref().is_some_and(|label| labels.contains(label))
            }
            Self::Photos(ids) => ids.contains(&entry.id),
        }
    }
}

/// Sorts places in `entries`.
pub(super) fn sort(shown: &mut [usize], entries: &[Entry], by: Sort, classes: &[Class]) {
    let score = |entry: &Entry| entry.inspection().map_or(f32::NEG_INFINITY, |i| i.image_score);
    match by {
        Sort::Name => shown.sort_by_cached_key(|&at| natural_key(&entries[at].path)),
        Sort::Score => shown.sort_by(|&a, &b| score(&entries[b]).total_cmp(&score(&entries[a]))),
        Sort::Verdict => shown.sort_by(|&a, &b| {
            let (a, b) = (&entries[a], &entries[b]);
            b.verdict().cmp(&a.verdict()).then(score(b).total_cmp(&score(a)))
        }),
        Sort::Label => {
            let place = |entry: &Entry| {
                let label = entry.label.as_ref();
                label.and_then(|label| classes.iter().position(|class| class.name == *label)).unwrap_or(usize::MAX)
            };
            shown.sort_by(|&a, &b| {
                let (a, b) = (&entries[a], &entries[b]);
                place(a).cmp(&place(b)).then(score(b).total_cmp(&score(a)))
            });
        }
        Sort::Mistakes => shown.sort_by(|&a, &b| {
            let (a, b) = (wrongness(&entries[a], classes), wrongness(&entries[b], classes));
            a.0.cmp(&b.0).then(b.1.total_cmp(&a.1))
        }),
    }
}

/// Rank of a photo among mistakes (0 is one), and how far its score is on the wrong side of the threshold.
fn wrongness(entry: &Entry, classes: &[Class]) -> (u8, f32) {
    let Some(inspection) = entry.inspection() else { return (4, 0.0) };
    let beyond = inspection.image_score - inspection.image_threshold;
    match entry.agreement(classes) {
        Some(Agreement::FalseAlarm) => (0, beyond),
        Some(Agreement::Miss) => (0, -beyond),
        Some(Agreement::Open) => (1, beyond),
        // Right, but nearest to being wrong first.
        Some(Agreement::Right) => (2, -beyond.abs()),
        None => (3, beyond),
    }
}

/// Key that sorts `part-9` before `part-10`: digits are padded to twelve places.
fn natural_key(path: &Path) -> String {
    let text = path.to_string_lossy().to_lowercase();
    let mut key = String::with_capacity(text.len() + 24);
    let mut digits = String::new();
    for c in text.chars().chain(std::iter::once('\0')) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            let number = digits.trim_start_matches('0');
            key.extend(std::iter::repeat_n('0', 12_usize.saturating_sub(number.len())));
            key.push_str(number);
            digits.clear();
        }
        if c != '\0' {
            key.push(c);
        }
    }
    key
}
