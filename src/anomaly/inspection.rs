//! The outcome for one photo: what is shown, exported and kept. Built by `judge`, rendered by `report`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::evidence::{PhotoFacts, Timings};
use super::region::Region;
use crate::photo::QualityCheck;
use crate::{Error, Result};

/// The outcome for one photo.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Which photo.
    pub photo: Arc<PhotoFacts>,
    /// Raw image score: mean of the most deviating patches, in standardised units.
    pub image_score: f32,
    /// Image score scaled so that a typical normal part is 0, the threshold 0.5 and twice as far 1; in [0, 1].
    pub normalised_score: f32,
    /// Raw image score at which the verdict turns.
    pub image_threshold: f32,
    /// Share of normal reference photos expected to score at least this high, (0, 1]; `None` without references.
    pub p_value: Option<f32>,
    /// The decision.
    pub verdict: Verdict,
    /// One sentence that says why.
    pub reason: String,
    /// Whether the photo itself is good enough to be judged.
    pub quality: QualityCheck,
    /// Strongest first, at most `top_k`; for a good part usually empty.
    pub regions: Vec<Region>,
    /// Time spent per stage.
    pub timings_ms: Timings,
}

/// The decision on one part. Shown with a sign and a word, never by colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Normal.
    Ok,
    /// Too close to the threshold to say.
    Uncertain,
    /// Anomalous.
    Ng,
}

impl Verdict {
    /// The word shown to people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Uncertain => "uncertain",
            Self::Ng => "NG",
        }
    }

    /// The name in JSON and CSV.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Uncertain => "uncertain",
            Self::Ng => "ng",
        }
    }
}

impl std::str::FromStr for Verdict {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        [Self::Ok, Self::Uncertain, Self::Ng]
            .into_iter()
            .find(|verdict| verdict.name() == name)
            .ok_or_else(|| Error::input(format!("There is no verdict `{name}`. Use one of: ok, uncertain, ng.")))
    }
}

/// How much a region matters, from its confidence and its share of the photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Just above the threshold.
    Low,
    /// Clearly above the threshold.
    Medium,
    /// Far above the threshold, or large.
    High,
}

impl Severity {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}
