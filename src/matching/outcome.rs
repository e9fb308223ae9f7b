//! Claims judged on one photo: each against its strongest alternative, with what is known of how well the model tells
//! such claims apart. Arithmetic on embeddings; the texts to encode are named by [`sentences`].

use std::collections::BTreeMap;

use serde::Serialize;

use super::claim::{Claim, ClaimKind};
use super::place::{Place, PlaceMap, locate};
use super::similarity::{cosine, softmax};
use crate::{Error, Result};

/// Scores this close to 0.5 decide nothing.
const UNDECIDED: f32 = 0.1;
/// Below this area under the curve a kind of claim is called weak.
const WEAK: f32 = 0.75;
/// What a place is compared with.
const NEUTRAL: &str = "a photo of something.";

/// Whether a claim is borne out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Holds {
    Yes,
    No,
    /// The photo, as far as this model sees it, says neither.
    Undecided,
}

impl Holds {
    /// The sign before a claim; never colour alone.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Yes => "✓",
            Self::No => "✕",
            Self::Undecided => "?",
        }
    }
}

/// How well a model tells true from false claims of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Separation {
    /// Probability that a true claim scores above a false one, 0–1; 0.5 is chance.
    pub auroc: f32,
    /// Too close to chance to rely on.
    pub weak: bool,
}

/// One claim, judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClaimOutcome {
    pub kind: ClaimKind,
    pub claim: String,
    pub holds: Holds,
    /// Softmax of the claim against its strongest alternative, 0–1; 0.5 says nothing.
    pub score: f32,
    /// The strongest alternative.
    pub instead: String,
    /// Where in the photo the claim was looked for, if a place stands out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// `None` where it was never measured for this model.
    pub separation: Option<Separation>,
}

/// The embedded model that [`MEASURED`] speaks of: another one has other figures.
const MEASURED_MODEL: &str = "27903c0324ea71ad2d2b28339c6b6eb2d0e313b8cb842f95224912f692cc70ab";

/// Area under the ROC curve for true against false claims about procedural parts that training never saw, measured and
/// kept true by `tests/matching.rs`. Counts are measured on drawings of plates with holes.
const MEASURED: [(ClaimKind, f32); 6] = [
    (ClaimKind::Part, 0.52),
    (ClaimKind::Colour, 0.43),
    (ClaimKind::Count, 0.50),
    (ClaimKind::Condition, 0.71),
    (ClaimKind::Presence, 0.77),
    (ClaimKind::Absence, 0.66),
];

/// What is known of a model, by its SHA-256, for a kind of claim; `None` where it was not measured.
pub fn separation(model_sha256: &str, kind: ClaimKind) -> Option<Separation> {
    let known = MEASURED.iter().find(|(of, _)| *of == kind && model_sha256 == MEASURED_MODEL);
    known.map(|&(_, auroc)| Separation { auroc, weak: auroc < WEAK })
}

/// Every sentence that judging these claims needs, each once.
pub fn sentences(claims: &[Claim]) -> Vec<String> {
    let mut all: Vec<String> = claims
        .iter()
        .flat_map(|claim| {
            let others = claim.alternatives.iter().map(|other| &other.sentence);
            claim.sentences.iter().chain(others).chain(&claim.place).cloned()
        })
        .collect();
    if claims.iter().any(|claim| claim.place.is_some()) {
        all.push(NEUTRAL.to_owned());
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Judges claims on the photo's embedding `[dim]`. `texts` holds the embedding of each of [`sentences`]; `patches`, where
/// given, is searched for the place of each claim that has one.
///
/// # Errors
/// As [`super::similarity`]; [`Error::Bug`] for a sentence without embedding.
pub fn judge_claims<T: AsRef<[f32]>>(
    claims: &[Claim],
    image: &[f32],
    texts: &BTreeMap<String, T>,
    patches: Option<&PlaceMap>,
    model_sha256: &str,
) -> Result<Vec<ClaimOutcome>> {
    let text = |sentence: &str| {
        let found = texts.get(sentence).map(AsRef::as_ref);
        found.ok_or_else(|| Error::bug(format!("the sentence `{sentence}` was not encoded.")))
    };
    let score = |sentence: &str| cosine(image, text(sentence)?);
    let judge = |claim: &Claim| {
        let mut stated = f32::NEG_INFINITY;
        for sentence in &claim.sentences {
            stated = stated.max(score(sentence)?);
        }
        let mut strongest = (f32::NEG_INFINITY, "");
        for other in &claim.alternatives {
            let cosine = score(&other.sentence)?;
            if cosine > strongest.0 {
                strongest = (cosine, &other.said);
            }
        }
        let score = softmax(&[stated, strongest.0])[0];
        let holds = match score - 0.5 {
            over if over > UNDECIDED => Holds::Yes,
            over if over < -UNDECIDED => Holds::No,
            _ => Holds::Undecided,
        };
        let place = match (patches, &claim.place) {
            (Some(patches), Some(sentence)) => locate(patches, text(sentence)?, text(NEUTRAL)?)?,
            _ => None,
        };
        Ok(ClaimOutcome {
            kind: claim.kind,
            claim: claim.said.clone(),
            holds,
            score,
            instead: strongest.1.to_owned(),
            place,
            separation: separation(model_sha256, claim.kind),
        })
    };
    claims.iter().map(judge).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use crate::matching::claims;

    /// Sentences as points on a circle: red at 0, blue at 1.5 and everything else at 3 radians.
    fn texts(claims: &[Claim]) -> BTreeMap<String, Vec<f32>> {
        let place = |sentence: &str| {
            let angle: f32 = if sentence.contains("red") {
                0.0
            } else if sentence.contains("blue") {
                1.5
            } else {
                3.0
            };
            vec![angle.cos(), angle.sin()]
        };
        sentences(claims).into_iter().map(|sentence| (sentence.clone(), place(&sentence))).collect()
    }

    #[test]
    fn the_claim_wins_against_its_strongest_alternative_or_that_is_named() {
        let mut claims = claims("the cap is red");
        claims.remove(0);
        let judge =
            |image: [f32; 2]| judge_claims(&claims, &image, &texts(&claims), None, MEASURED_MODEL).unwrap().remove(0);
        let red = judge([1.0, 0.1]);
        assert_eq!((red.holds, red.kind), (Holds::Yes, ClaimKind::Colour));
        assert!(red.score > 0.99);
        let blue = judge([0.1, 1.0]);
        assert_eq!((blue.holds, blue.instead.as_str()), (Holds::No, "blue cap"));
        let between = judge([0.75_f32.cos(), 0.75_f32.sin()]);
        assert_eq!(between.holds, Holds::Undecided, "{between:?}");
        assert!(between.separation.is_some());
        assert_eq!(separation("another", ClaimKind::Part), None);
    }

    #[test]
    fn a_missing_sentence_is_no_silent_zero() {
        let claims = claims("the cap is red");
        let none = BTreeMap::<String, Vec<f32>>::new();
        assert!(judge_claims(&claims, &[1.0, 0.0], &none, None, MEASURED_MODEL).is_err());
    }
}
