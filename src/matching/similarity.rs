//! One photo and one text: the similarity of their embeddings, what it means, and the decision at a threshold. The bands
//! and thresholds are those of published CLIP models, whose cosines for matching pairs lie around 0.3.

use serde::{Serialize, Serializer};

use crate::anomaly::prompt::dot;
use crate::{Error, Result};

/// Accepts what a strict reader would still question.
pub const LENIENT_THRESHOLD: f32 = 0.20;
/// Used unless another one is given.
pub const DEFAULT_THRESHOLD: f32 = 0.25;
/// Accepts only texts that clearly belong to the photo.
pub const STRICT_THRESHOLD: f32 = 0.30;

/// Distance from the threshold within which a pair passes or fails only just.
const NEAR: f32 = 0.05;

/// Inverse temperature of softmaxes over cosines: CLIP's learned scale, which training clamps at 100.
pub(super) const SCALE: f32 = 100.0;

/// A range of similarities and what it means for published CLIP models.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Band {
    pub name: &'static str,
    /// Smallest similarity of the band.
    pub from: f32,
    /// Where the next band begins.
    pub to: f32,
    pub meaning: &'static str,
}

/// All bands, lowest first; together they cover 0 to 1.
pub const BANDS: [Band; 5] = [
    Band { name: "unrelated", from: 0.0, to: 0.15, meaning: "photo and text have nothing in common" },
    Band {
        name: "doubtful",
        from: 0.15,
        to: LENIENT_THRESHOLD,
        meaning: "a word may fit, the text as a whole does not",
    },
    Band {
        name: "loose",
        from: LENIENT_THRESHOLD,
        to: DEFAULT_THRESHOLD,
        meaning: "the same kind of thing, details may be wrong; passes the lenient threshold",
    },
    Band {
        name: "good",
        from: DEFAULT_THRESHOLD,
        to: STRICT_THRESHOLD,
        meaning: "the text fits the photo; passes the default threshold",
    },
    Band {
        name: "close",
        from: STRICT_THRESHOLD,
        to: 1.0,
        meaning: "the text fits the photo closely; passes the strict threshold",
    },
];

/// The band of a similarity of 0–1.
pub fn band(similarity: f32) -> &'static Band {
    BANDS.iter().rev().find(|band| similarity >= band.from).unwrap_or(&BANDS[0])
}

/// Where a pair stands relative to its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Status {
    /// At least 0.05 above the threshold.
    #[serde(rename = "clear match")]
    ClearMatch,
    /// At the threshold or just above.
    #[serde(rename = "match")]
    Match,
    /// Less than 0.05 below the threshold.
    #[serde(rename = "near miss")]
    NearMiss,
    #[serde(rename = "mismatch")]
    Mismatch,
}

impl Status {
    /// The status of a similarity.
    pub fn of(similarity: f32, threshold: f32) -> Self {
        match similarity - threshold {
            above if above >= NEAR => Self::ClearMatch,
            above if above >= 0.0 => Self::Match,
            above if above > -NEAR => Self::NearMiss,
            _ => Self::Mismatch,
        }
    }

    /// The word in JSON, CSV and on the screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::ClearMatch => "clear match",
            Self::Match => "match",
            Self::NearMiss => "near miss",
            Self::Mismatch => "mismatch",
        }
    }
}

/// The outcome for one photo and one text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Match {
    /// Cosine of the two embeddings, clamped to 0–1.
    pub similarity_score: f32,
    /// Whether the similarity reaches the threshold.
    pub is_match: bool,
    pub status: Status,
    pub threshold: f32,
    /// Name of the [`Band`]; `None` for a model whose similarities are not those of published CLIP models.
    pub band: Option<&'static str>,
    /// Where labels were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zero_shot_results: Option<LabelScores>,
}

/// Labels with their probabilities, most likely first; an object in JSON.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelScores(pub Vec<(String, f32)>);

impl Serialize for LabelScores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(label, probability)| (label, probability)))
    }
}

/// Cosine of two embeddings `[dim]` of any length, clamped to 0–1. A zero vector is similar to nothing.
///
/// # Errors
/// [`Error::Input`] where an embedding has a value that is not a number; [`Error::Bug`] for different widths.
pub fn similarity(image: &[f32], text: &[f32]) -> Result<f32> {
    Ok(cosine(image, text)?.max(0.0))
}

/// The cosine, −1 to 1.
pub(super) fn cosine(image: &[f32], text: &[f32]) -> Result<f32> {
    if image.len() != text.len() || image.is_empty() {
        return Err(Error::bug(format!("embeddings of {} and {} values are compared.", image.len(), text.len())));
    }
    let lengths = (dot(image, image) * dot(text, text)).sqrt();
    let cosine = if lengths == 0.0 { 0.0 } else { dot(image, text) / lengths };
    if cosine.is_finite() {
        Ok(cosine.clamp(-1.0, 1.0))
    } else {
        Err(Error::input(
            "An embedding has a value that is not a finite number. Compute it again on the processor (--device cpu).",
        ))
    }
}

/// Decides one pair. A similarity equal to the threshold is a match.
pub fn judge_match(similarity: f32, threshold: f32) -> Match {
    Match {
        similarity_score: similarity,
        is_match: similarity >= threshold,
        status: Status::of(similarity, threshold),
        threshold,
        band: Some(band(similarity).name),
        zero_shot_results: None,
    }
}

/// The sentence that stands for a label: CLIP's own template.
pub fn label_sentence(label: &str) -> String {
    format!("a photo of a {}.", label.trim())
}

/// Probabilities of labels, most likely first: softmax of 100 · cosine (Radford et al. 2021, §3.1). `texts` are the
/// embeddings of [`label_sentence`] of each label.
///
/// # Errors
/// As [`similarity`].
pub fn zero_shot(image: &[f32], labels: &[String], texts: &[Vec<f32>]) -> Result<LabelScores> {
    let cosines = texts.iter().map(|text| cosine(image, text)).collect::<Result<Vec<f32>>>()?;
    let mut results: Vec<(String, f32)> = labels.iter().cloned().zip(softmax(&cosines)).collect();
    results.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(LabelScores(results))
}

/// Softmax of `SCALE` times the cosines.
pub(super) fn softmax(cosines: &[f32]) -> Vec<f32> {
    let highest = cosines.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = cosines.iter().map(|cosine| (SCALE * (cosine - highest)).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// A threshold as people give it: a number from 0 to 1, or `lenient`, `default`, `strict`.
///
/// # Errors
/// [`Error::Input`] naming what was given.
pub fn parse_threshold(text: &str) -> Result<f32> {
    match text {
        "lenient" => Ok(LENIENT_THRESHOLD),
        "default" => Ok(DEFAULT_THRESHOLD),
        "strict" => Ok(STRICT_THRESHOLD),
        _ => text.parse().ok().filter(|value| (0.0..=1.0).contains(value)).ok_or_else(|| {
            Error::input(format!(
                "The threshold is `{text}`, but must be a number from 0 to 1, or lenient ({LENIENT_THRESHOLD}), default \
                 ({DEFAULT_THRESHOLD}) or strict ({STRICT_THRESHOLD})."
            ))
        }),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn the_similarity_is_the_cosine_from_zero_up() {
        assert!((similarity(&[3.0, 4.0], &[6.0, 8.0]).unwrap() - 1.0).abs() < 1e-6);
        assert!((similarity(&[1.0, 0.0], &[3.0, 4.0]).unwrap() - 0.6).abs() < 1e-6);
        assert_eq!(similarity(&[1.0, 0.0], &[-1.0, 0.0]).unwrap(), 0.0);
        assert_eq!(similarity(&[0.0, 0.0], &[1.0, 0.0]).unwrap(), 0.0);
        assert!(similarity(&[f32::NAN, 1.0], &[1.0, 0.0]).unwrap_err().to_string().contains("not a finite number"));
        assert!(similarity(&[1.0], &[1.0, 0.0]).is_err());
    }

    #[test]
    fn bands_cover_everything_without_gaps() {
        assert_eq!((BANDS[0].from, BANDS[4].to), (0.0, 1.0));
        assert!(BANDS.windows(2).all(|pair| pair[0].to == pair[1].from));
        assert_eq!(band(0.0).name, "unrelated");
        assert_eq!(band(0.2499).name, "loose");
        assert_eq!(band(0.25).name, "good");
        assert_eq!(band(1.0).name, "close");
    }

    #[test]
    fn the_status_never_contradicts_the_decision() {
        for step in 0..=100 {
            let outcome = judge_match(step as f32 / 100.0, 0.25);
            assert_eq!(outcome.is_match, matches!(outcome.status, Status::ClearMatch | Status::Match), "{outcome:?}");
        }
        assert_eq!(judge_match(0.22, 0.25).status, Status::NearMiss);
        assert_eq!(judge_match(0.25, 0.25).status, Status::Match);
    }

    #[test]
    fn the_json_has_the_keys_of_the_contract_and_labels_in_order() {
        let mut outcome = judge_match(0.5, 0.25);
        let keys = |outcome: &Match| {
            let json = serde_json::to_value(outcome).unwrap();
            json.as_object().unwrap().keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(keys(&outcome), ["similarity_score", "is_match", "status", "threshold", "band"]);
        let texts = [vec![0.0, 1.0], vec![1.0, 0.0]];
        outcome.zero_shot_results = Some(zero_shot(&[1.0, 0.1], &["b".into(), "a".into()], &texts).unwrap());
        let json = serde_json::to_value(&outcome).unwrap();
        let labels: Vec<_> = json["zero_shot_results"].as_object().unwrap().keys().collect();
        assert_eq!(labels, ["a", "b"], "most likely first");
    }

    #[test]
    fn probabilities_are_the_softmax_at_clips_scale() {
        let p = softmax(&[0.30, 0.29]);
        assert!((p[0] - 1.0 / (1.0 + (-1.0f32).exp())).abs() < 1e-4 && (p[0] + p[1] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn thresholds_are_numbers_or_words() {
        assert_eq!(parse_threshold("strict").unwrap(), 0.30);
        assert_eq!(parse_threshold("0.27").unwrap(), 0.27);
        for wrong in ["NaN", "1.5", "-0.1", "high", ""] {
            assert!(parse_threshold(wrong).unwrap_err().to_string().contains("lenient"), "{wrong}");
        }
    }
}
