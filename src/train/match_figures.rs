//! How well photos and texts of a table find one another by their embeddings, and what speaks against trusting that:
//! photos or texts that were learned from, figures that got worse. Arithmetic alone.

use std::collections::HashSet;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::pair_set::{PairSet, plain};
use crate::anomaly::prompt::dot;
use crate::{Result, metrics};

/// Figures of one model on one table.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatchFigures {
    /// Symmetric InfoNCE over the whole table: each text among all texts for its photo and the other way round.
    pub loss: f64,
    /// Share of the photos whose most similar text of the table fits, in [0, 1].
    pub photo_to_text: f64,
    /// Share of the texts whose most similar photo of the table fits, in [0, 1].
    pub text_to_photo: f64,
    /// Area under the ROC curve: rows that fit against mismatch rows, or against all other combinations where the table
    /// has no mismatch row. Absent where there is nothing to tell apart.
    pub auroc: Option<f64>,
    /// Mean cosine of the rows that fit.
    pub matching: f64,
    /// Mean cosine of what they are told from.
    pub other: Option<f64>,
}

impl std::fmt::Display for MatchFigures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { loss, photo_to_text, text_to_photo, auroc, .. } = self;
        let auroc = auroc.map_or("–".to_owned(), |auroc| format!("{auroc:.3}"));
        write!(
            f,
            "validation loss {loss:.4}, photo→text {photo_to_text:.3}, text→photo {text_to_photo:.3}, AUROC {auroc}"
        )
    }
}

/// A figure by name; absent where there is nothing to tell apart.
pub type NamedFigure = (&'static str, fn(&MatchFigures) -> Option<f64>);

/// The figures as they are shown beside each other, before and after training.
pub const FIGURES: [NamedFigure; 6] = [
    ("loss", |f| Some(f.loss)),
    ("photo finds its text", |f| Some(f.photo_to_text)),
    ("text finds its photo", |f| Some(f.text_to_photo)),
    ("AUROC", |f| f.auroc),
    ("similarity, matching", |f| Some(f.matching)),
    ("similarity, others", |f| f.other),
];

/// The figures of unit embeddings, `photos` and `texts` in the order of the set; `scale` is the inverse temperature.
///
/// # Errors
/// [`crate::Error::Input`] for embeddings that are no numbers.
pub fn judge(set: &PairSet, photos: &[Vec<f32>], texts: &[Vec<f32>], scale: f32) -> Result<MatchFigures> {
    let by_photo = Side::of(photos, texts, scale, |photo, text| set.fits(photo, text));
    let by_text = Side::of(texts, photos, scale, |text, photo| set.fits(photo, text));
    let cosine = |&(photo, text): &(usize, usize)| dot(&photos[photo], &texts[text]);
    let mut scores: Vec<f32> = set.matches.iter().map(cosine).collect();
    let count = scores.len();
    if set.mismatches.is_empty() {
        scores.extend(
            (0..photos.len())
                .flat_map(|photo| (0..texts.len()).map(move |text| (photo, text)))
                .filter(|&(photo, text)| !set.fits(photo, text))
                .map(|pair| cosine(&pair)),
        );
    } else {
        scores.extend(set.mismatches.iter().map(cosine));
    }
    let labels: Vec<bool> = (0..scores.len()).map(|index| index < count).collect();
    let mean = |values: &[f32]| values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len().max(1) as f64;
    Ok(MatchFigures {
        loss: f64::midpoint(by_photo.loss, by_text.loss),
        photo_to_text: by_photo.found,
        text_to_photo: by_text.found,
        auroc: metrics::roc_auc(&scores, &labels)?,
        matching: mean(&scores[..count]),
        other: (scores.len() > count).then(|| mean(&scores[count..])),
    })
}

/// One direction of the search.
struct Side {
    /// Mean over pairs that fit.
    loss: f64,
    /// Share of those asked for whose first answer fits.
    found: f64,
}

impl Side {
    fn of(from: &[Vec<f32>], to: &[Vec<f32>], scale: f32, fits: impl Fn(usize, usize) -> bool + Sync) -> Self {
        // For each one asked for: pairs, the sum of their losses, and whether the most similar one fits.
        let asked: Vec<(usize, f64, bool)> = from
            .par_iter()
            .enumerate()
            .map(|(row, embedding)| {
                let logits: Vec<f32> = to.iter().map(|other| scale * dot(embedding, other)).collect();
                let right: Vec<usize> = (0..to.len()).filter(|&other| fits(row, other)).collect();
                let largest = logits.iter().copied().fold(f32::MIN, f32::max);
                let exp = |logit: f32| f64::from(logit - largest).exp();
                let wrong: f64 =
                    logits.iter().enumerate().filter(|(other, _)| !right.contains(other)).map(|(_, l)| exp(*l)).sum();
                let loss = right.iter().map(|&other| (1.0 + wrong / exp(logits[other]).max(f64::MIN_POSITIVE)).ln());
                let best = (0..to.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
                (right.len(), loss.sum(), best.is_some_and(|best| fits(row, best)))
            })
            .filter(|(pairs, _, _)| *pairs > 0)
            .collect();
        let pairs: usize = asked.iter().map(|(pairs, _, _)| pairs).sum();
        let found = asked.iter().filter(|(_, _, found)| *found).count();
        Self {
            loss: asked.iter().map(|(_, loss, _)| loss).sum::<f64>() / pairs.max(1) as f64,
            found: found as f64 / asked.len().max(1) as f64,
        }
    }
}

/// What of `validation` was learned from, as sentences; none where nothing was.
pub fn leakage(train: &PairSet, validation: &PairSet) -> Vec<String> {
    let photos: HashSet<&str> = train.hashes.iter().map(String::as_str).collect();
    let texts: HashSet<String> = train.texts.iter().map(|text| plain(text)).collect();
    let same_photos = validation.hashes.iter().filter(|hash| photos.contains(hash.as_str())).count();
    let same_texts = validation.texts.iter().filter(|text| texts.contains(&plain(text))).count();
    let mut warnings = Vec::new();
    if same_photos > 0 {
        warnings.push(format!(
            "{same_photos} of {} validation photos are learned from too: the figures on them say nothing about new photos. Take them out of one of the tables.",
            validation.photos.len()
        ));
    }
    if same_texts > 0 {
        warnings.push(format!(
            "{same_texts} of {} validation texts are learned from too: the figures say nothing about new wordings.",
            validation.texts.len()
        ));
    }
    warnings
}

/// What the figures after each epoch warn of; `epochs` holds (training loss, validation figures) in order.
pub fn overfitting(base: &MatchFigures, epochs: &[(f64, MatchFigures)]) -> Vec<String> {
    let mut warnings = Vec::new();
    let losses: Vec<f64> = epochs.iter().map(|(_, figures)| figures.loss).collect();
    let Some(best) = (0..losses.len()).min_by(|&a, &b| losses[a].total_cmp(&losses[b])) else { return warnings };
    if losses[best] >= base.loss {
        warnings.push(format!(
            "No epoch is better than the model it began with (validation loss {:.4}, before {:.4}). Keep the former model, or train with a lower rate (--lr), the projections alone (--tune projections) or more pairs.",
            losses[best], base.loss
        ));
    }
    let last = losses.len() - 1;
    if best < last && losses[last] > losses[best] * 1.02 && epochs[last].0 < epochs[best].0 {
        warnings.push(format!(
            "After epoch {} the training loss still falls while the validation loss rises (to {:.4} from {:.4}): the rest was learned by heart. best_model is of epoch {}.",
            best + 1,
            losses[last],
            losses[best],
            best + 1
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use crate::matching::read_pairs;

    fn set(rows: &str) -> PairSet {
        let dir = tempfile::tempdir().unwrap();
        for index in 0..3u8 {
            image::RgbImage::from_pixel(8, 8, image::Rgb([90 * index, 0, 0]))
                .save(dir.path().join(format!("{index}.png")))
                .unwrap();
        }
        let table = dir.path().join("pairs.csv");
        std::fs::write(&table, format!("image_path,text,label\n{rows}")).unwrap();
        PairSet::open(&read_pairs(&table, None).unwrap(), |_, _| true).unwrap()
    }

    #[test]
    fn figures_by_hand() {
        let set = set("0.png,a,match\n1.png,b,match\n0.png,b,mismatch\n");
        let unit = |angle: f32| vec![angle.cos(), angle.sin()];
        let (photos, texts) = (vec![unit(0.0), unit(1.0)], vec![unit(0.1), unit(0.4)]);
        let figures = judge(&set, &photos, &texts, 2.0).unwrap();
        let ce = |right: f64, wrong: f64| (1.0 + (2.0 * (wrong.cos() - right.cos())).exp()).ln();
        let loss = (ce(0.1, 0.4) + ce(0.6, 0.9) + ce(0.1, 0.9) + ce(0.6, 0.4)) / 4.0;
        assert!((figures.loss - loss).abs() < 1e-5, "{} {loss}", figures.loss);
        // The second text is nearer to the first photo.
        assert_eq!((figures.photo_to_text, figures.text_to_photo), (1.0, 0.5));
        assert_eq!(figures.auroc, Some(0.5));
        assert!((figures.matching - f64::midpoint(0.1f64.cos(), 0.6f64.cos())).abs() < 1e-5);
        assert!((figures.other.unwrap() - 0.4f64.cos()).abs() < 1e-5);
    }

    #[test]
    fn what_was_seen_before_is_said() {
        let train = set("0.png,A ring,match\n1.png,a nut,match\n");
        let warnings = leakage(&train, &set("1.png,a  RING,match\n2.png,a cap,match\n"));
        assert!(
            warnings[0].starts_with("1 of 2 validation photos") && warnings[1].starts_with("1 of 2 validation texts")
        );
        assert!(leakage(&train, &set("2.png,a cap,match\n")).is_empty());
    }

    #[test]
    fn getting_worse_is_said() {
        let figures = |loss: f64| MatchFigures {
            loss,
            photo_to_text: 0.0,
            text_to_photo: 0.0,
            auroc: None,
            matching: 0.0,
            other: None,
        };
        let run = |losses: &[f64]| {
            let epochs: Vec<_> = losses.iter().enumerate().map(|(i, l)| (1.0 / (i + 1) as f64, figures(*l))).collect();
            overfitting(&figures(1.0), &epochs)
        };
        assert!(run(&[0.9, 0.8, 0.7]).is_empty());
        let late = run(&[0.9, 0.8, 0.95]);
        assert!(late.len() == 1 && late[0].contains("After epoch 2"), "{late:?}");
        assert!(run(&[1.2, 1.1])[0].contains("No epoch is better"));
        assert!(run(&[]).is_empty());
    }
}
