//! Stratified k-fold cross-validation: which photo is tested in which fold, and the scores that a pipeline fitted on the
//! other folds gives it. Scaler and head are fitted inside each fold, so nothing leaks from a photo to its own score.
//! Without shuffling folds equal scikit-learn's `StratifiedKFold` and `StratifiedGroupKFold`; shuffled ones have the same
//! number of photos per class and fold, drawn by our own generator.

use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use super::features::Features;
use super::head::{HeadOptions, Pipeline};
use crate::count::count;
use crate::{Error, Result};

/// How photos are dealt to folds.
#[derive(Clone, Debug, PartialEq)]
pub struct FoldOptions {
    /// At least 2.
    pub folds: usize,
    /// Shuffles within each class (or the order of groups); `None` keeps the order of the photos.
    pub seed: Option<u64>,
}

impl Default for FoldOptions {
    fn default() -> Self {
        Self { folds: 3, seed: Some(0) }
    }
}

/// Fold of each photo, 0 to `folds` − 1, every class spread as evenly as can be. With `groups`, photos of one group (one
/// part, say) stay in one fold.
///
/// # Errors
/// [`Error::Input`] for fewer than two folds, more folds than photos in any class, or more folds than groups.
pub fn assign_folds(truth: &[usize], groups: Option<&[usize]>, options: &FoldOptions) -> Result<Vec<usize>> {
    let folds = options.folds;
    if folds < 2 {
        return Err(Error::input("Cross-validation needs at least two folds."));
    }
    let largest = class_counts(truth).into_iter().max().unwrap_or(0);
    if largest < folds {
        return Err(Error::input(format!(
            "{folds} folds were asked for, but no class has more than {}. Use fewer folds or add photos.",
            count(largest, "photo", "photos")
        )));
    }
    match groups {
        None => Ok(stratified(truth, options)),
        Some(groups) => grouped(truth, groups, options),
    }
}

/// Photos per class.
fn class_counts(truth: &[usize]) -> Vec<usize> {
    let mut counts = vec![0; truth.iter().max().map_or(0, |last| last + 1)];
    for &class in truth {
        counts[class] += 1;
    }
    counts
}

/// scikit-learn's `StratifiedKFold`.
fn stratified(truth: &[usize], options: &FoldOptions) -> Vec<usize> {
    // Classes by order of their first photo: only the allocation depends on it, the sizes of folds do not.
    let mut order: Vec<usize> = Vec::new();
    for class in truth {
        if !order.contains(class) {
            order.push(*class);
        }
    }
    // All photos sorted by class and dealt out like cards; that gives the photos of each class per fold.
    let counts = class_counts(truth);
    let mut random = options.seed.map(ChaCha8Rng::seed_from_u64);
    let (mut fold_of, mut card) = (vec![0; truth.len()], 0);
    for class in order {
        let mut allocation = vec![0; options.folds];
        for _ in 0..counts[class] {
            allocation[card % options.folds] += 1;
            card += 1;
        }
        let mut folds: Vec<usize> =
            allocation.iter().enumerate().flat_map(|(fold, &count)| std::iter::repeat_n(fold, count)).collect();
        if let Some(random) = &mut random {
            folds.shuffle(random);
        }
        let members = truth.iter().enumerate().filter(|(_, other)| **other == class);
        members.zip(folds).for_each(|((photo, _), fold)| fold_of[photo] = fold);
    }
    fold_of
}

/// scikit-learn's `StratifiedGroupKFold`: groups one by one, those of the most uneven classes first, each into the fold
/// that leaves the classes most evenly spread.
fn grouped(truth: &[usize], groups: &[usize], options: &FoldOptions) -> Result<Vec<usize>> {
    if groups.len() != truth.len() {
        return Err(Error::bug(format!("{} photos and {} groups do not fit.", truth.len(), groups.len())));
    }
    // Only classes and groups that occur, in order of their numbers.
    let (classes, class_of) = compact(truth);
    let (count, group_of) = compact(groups);
    if options.folds > count {
        return Err(Error::input(format!(
            "{} folds were asked for, but the photos are of {count} groups. Use fewer folds.",
            options.folds
        )));
    }
    let mut of_group = vec![vec![0.0_f64; classes]; count];
    let mut of_class = vec![0.0_f64; classes];
    for (&class, &group) in class_of.iter().zip(&group_of) {
        of_group[group][class] += 1.0;
        of_class[class] += 1.0;
    }
    let mut order: Vec<usize> = (0..count).collect();
    if let Some(seed) = options.seed {
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    }
    let spread: Vec<f64> = of_group.iter().map(|counts| deviation(counts)).collect();
    order.sort_by(|&a, &b| spread[b].total_cmp(&spread[a]));
    let mut in_fold = vec![vec![0.0_f64; classes]; options.folds];
    let mut fold_of_group = vec![0; count];
    for group in order {
        let (mut best, mut lowest, mut fewest) = (0, f64::INFINITY, f64::INFINITY);
        for fold in 0..options.folds {
            let photos: f64 = in_fold[fold].iter().sum();
            let uneven = |class: usize| {
                let shares = in_fold.iter().enumerate().map(|(other, counts)| {
                    (counts[class] + if other == fold { of_group[group][class] } else { 0.0 }) / of_class[class]
                });
                deviation_in_order(&shares.collect::<Vec<_>>())
            };
            let value = pairwise_sum(&(0..classes).map(uneven).collect::<Vec<_>>()) / classes as f64;
            // NumPy's `isclose`.
            let close = (value - lowest).abs() <= 1e-8 + 1e-5 * lowest.abs();
            if value < lowest || (close && photos < fewest) {
                (best, lowest, fewest) = (fold, value, photos);
            }
        }
        in_fold[best].iter_mut().zip(&of_group[group]).for_each(|(sum, x)| *sum += x);
        fold_of_group[group] = best;
    }
    Ok(group_of.into_iter().map(|group| fold_of_group[group]).collect())
}

/// How many different numbers there are, and each as its rank among them.
fn compact(numbers: &[usize]) -> (usize, Vec<usize>) {
    let mut known: Vec<usize> = numbers.to_vec();
    known.sort_unstable();
    known.dedup();
    let ranks = numbers.iter().map(|number| known.partition_point(|other| other < number)).collect();
    (known.len(), ranks)
}

/// Population standard deviation along a contiguous axis, summed in NumPy's order: groups are sorted by it, and equal ones
/// have to come out equal.
fn deviation(values: &[f64]) -> f64 {
    let mean = pairwise_sum(values) / values.len() as f64;
    let squares: Vec<f64> = values.iter().map(|x| (x - mean) * (x - mean)).collect();
    (pairwise_sum(&squares) / values.len() as f64).sqrt()
}

/// The same along the other axis, where NumPy sums one after the other.
fn deviation_in_order(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / values.len() as f64).sqrt()
}

/// NumPy's sum of up to 128 values: eight running sums, joined in pairs. More are summed one after the other.
fn pairwise_sum(values: &[f64]) -> f64 {
    let (chunks, rest) = values.as_chunks::<8>();
    if chunks.is_empty() || values.len() > 128 {
        return values.iter().sum();
    }
    let mut r = chunks[0];
    for chunk in &chunks[1..] {
        r.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += x);
    }
    let joined = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    rest.iter().fold(joined, |sum, x| sum + x)
}

/// What to know before the figures are believed: classes that have fewer photos than there are folds.
pub fn fold_warnings(labels: &[String], truth: &[usize], folds: usize) -> Vec<String> {
    let mut counts = class_counts(truth);
    counts.resize(labels.len(), 0);
    labels
        .iter()
        .zip(&counts)
        .filter(|(_, count)| **count < folds)
        .map(|(label, count)| match count {
            0 => format!("The class {label} has no photo; it is never predicted and its figures are 0."),
            _ => format!(
                "The class {label} has {count} photo{} for {folds} folds: some folds test none, and its figures say \
                 little. Add photos or use fewer folds.",
                if *count == 1 { "" } else { "s" }
            ),
        })
        .collect()
}

/// Scores of every photo, each from a pipeline that never saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossValidation {
    /// Fold in which each photo was tested.
    pub fold_of: Vec<usize>,
    /// `[photos][classes]`; each row adds up to 1.
    pub scores: Vec<Vec<f64>>,
}

/// Fits a pipeline per fold on the other folds and scores the photos of the fold. `progress` is told the folds done and
/// says whether to go on.
///
/// # Errors
/// [`Error::Cancelled`] when `progress` says so; [`Error::Input`] naming the fold that is left with one class only.
pub fn cross_validate(
    features: &Features,
    truth: &[usize],
    classes: usize,
    fold_of: &[usize],
    options: HeadOptions,
    mut progress: impl FnMut(usize) -> bool,
) -> Result<CrossValidation> {
    let folds = fold_of.iter().max().map_or(0, |last| last + 1);
    let mut scores = vec![Vec::new(); truth.len()];
    for fold in 0..folds {
        if !progress(fold) {
            return Err(Error::Cancelled);
        }
        let rows = |tested: bool| -> Vec<usize> {
            (0..truth.len()).filter(|&photo| (fold_of[photo] == fold) == tested).collect()
        };
        let (learn, test) = (rows(false), rows(true));
        let known: Vec<usize> = learn.iter().map(|&photo| truth[photo]).collect();
        if known.iter().all(|class| Some(class) == known.first()) {
            return Err(Error::input(format!(
                "Fold {}: A classifier needs photos of at least two classes, and the other folds have only one. Label \
                 more photos of the rarer classes; where groups are kept whole, from more than one group each.",
                fold + 1
            )));
        }
        let pipeline =
            Pipeline::fit(&features.select(&learn), &known, classes, options).map_err(|error| match error {
                Error::Input { message, .. } => Error::input(format!("Fold {}: {message}", fold + 1)),
                other => other,
            })?;
        for (&photo, row) in test.iter().zip(pipeline.scores(&features.select(&test))?) {
            scores[photo] = row;
        }
    }
    Ok(CrossValidation { fold_of: fold_of.to_vec(), scores })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use serde::Deserialize;

    use super::*;
    use crate::metrics::reliability::argmax;

    #[derive(Deserialize)]
    struct Case {
        folds: usize,
        truth: Vec<usize>,
        groups: Option<Vec<usize>>,
        fold_of: Vec<usize>,
    }

    fn cases() -> Vec<Case> {
        serde_json::from_str(include_str!("../../tests/fixtures/classify/folds.json")).unwrap()
    }

    #[test]
    fn folds_without_shuffling_equal_scikit_learn() {
        let cases = cases();
        assert!(cases.iter().filter(|case| case.groups.is_some()).count() >= 5 && cases.len() >= 10);
        for case in cases {
            let options = FoldOptions { folds: case.folds, seed: None };
            let folds = assign_folds(&case.truth, case.groups.as_deref(), &options).unwrap();
            assert_eq!(folds, case.fold_of, "{:?}", case.groups);
        }
    }

    #[test]
    fn shuffled_folds_have_as_many_photos_of_each_class_and_keep_groups_whole() {
        for case in cases() {
            let of = |seed| {
                let options = FoldOptions { folds: case.folds, seed };
                assign_folds(&case.truth, case.groups.as_deref(), &options).unwrap()
            };
            let (plain, shuffled) = (of(None), of(Some(7)));
            assert_eq!(shuffled, of(Some(7)));
            if let Some(groups) = &case.groups {
                for (photo, group) in groups.iter().enumerate() {
                    let first = groups.iter().position(|other| other == group).unwrap();
                    assert_eq!(shuffled[photo], shuffled[first], "group {group} is torn");
                }
            } else {
                assert_ne!(plain, shuffled);
                let table = |folds: &[usize]| {
                    let mut pairs: Vec<_> = case.truth.iter().zip(folds).map(|(t, f)| (*t, *f)).collect();
                    pairs.sort_unstable();
                    pairs
                };
                assert_eq!(table(&plain), table(&shuffled));
            }
        }
    }

    #[test]
    fn impossible_folds_are_refused_and_small_classes_warned_of() {
        let options = |folds| FoldOptions { folds, seed: None };
        assert!(assign_folds(&[0, 0, 1, 1], None, &options(1)).is_err());
        let error = assign_folds(&[0, 0, 1, 1], None, &options(3)).unwrap_err().to_string();
        assert!(error.contains("no class has more than 2"), "{error}");
        assert!(assign_folds(&[0, 0, 0, 1], Some(&[5, 5, 9, 9]), &options(3)).is_err());
        let labels = ["good".to_owned(), "crack".to_owned(), "hole".to_owned()];
        let warnings = fold_warnings(&labels, &[0, 0, 0, 1, 1], 3);
        assert_eq!(warnings.len(), 2);
        assert!(warnings[0].contains("crack has 2 photos for 3 folds") && warnings[1].contains("hole has no photo"));
    }

    /// Features are noise and every photo has a twin of the other class: a pipeline that saw the photo itself would be
    /// right, one that did not is wrong or guesses.
    #[test]
    fn nothing_leaks_from_a_photo_to_its_own_score() {
        let truth: Vec<usize> = (0..24).map(|i| i % 2).collect();
        let rows: Vec<Vec<f32>> = (0..24).map(|i| vec![(i / 2) as f32, ((i / 2) * 7 % 5) as f32]).collect();
        let features = Features::from_rows(rows.iter().map(Vec::as_slice)).unwrap();
        let options = HeadOptions { kind: super::super::HeadKind::Knn, neighbours: 1, ..HeadOptions::default() };
        // Photos of one fold have their twins in the other.
        let fold_of: Vec<usize> = (0..24).map(|i| i % 2).collect();
        let error = cross_validate(&features, &truth, 2, &fold_of, options, |_| true).unwrap_err().to_string();
        assert!(error.contains("Fold 1") && error.contains("two classes") && error.contains("Label more"), "{error}");
        let fold_of: Vec<usize> = (0..24).map(|i| (i + i / 2) % 2).collect();
        let outcome = cross_validate(&features, &truth, 2, &fold_of, options, |_| true).unwrap();
        let right = outcome.scores.iter().zip(&truth).filter(|(row, truth)| argmax(row) == **truth).count();
        assert_eq!(right, 0, "the nearest other photo is always the twin of the other class");
        let stopped = cross_validate(&features, &truth, 2, &fold_of, options, |fold| fold < 1);
        assert!(matches!(stopped, Err(Error::Cancelled)));
    }
}
