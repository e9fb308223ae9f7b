//! The JSON documents, key by key as other programs rely on them: the photo object, `<stem>_report.json` and
//! `results.json`. Keys may be added, never renamed.

use std::path::Path;

use serde::Serialize;
use utoipa::ToSchema;

use super::{ModelIdentity, ReportOptions, Run};
use crate::Recipe;
use crate::anomaly::evidence::Timings;
use crate::anomaly::{Inspection, Region, Verdict};
use crate::explain::Explanation;
use crate::photo::{Quality, QualityCheck};

/// Version of the program that wrote a document.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `results.json`.
#[derive(Debug, Serialize)]
pub struct ResultsDocument<'a> {
    version: &'static str,
    /// UTC, RFC 3339.
    created: &'a str,
    recipe: &'a Recipe,
    model: &'a ModelIdentity,
    /// Only where the memory has a model of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_model: Option<&'a ModelIdentity>,
    device: &'a str,
    photos: Vec<PhotoDocument<'a>>,
    failures: Vec<FailureDocument>,
    /// The run was stopped before all photos were through.
    cancelled: bool,
}

/// One photo in `results.json`, in `<stem>_report.json` and in answers of the HTTP API.
#[derive(Debug, Serialize, ToSchema)]
pub struct PhotoDocument<'a> {
    path: String,
    sha256: &'a str,
    width: u32,
    height: u32,
    image_score: f32,
    normalised_score: f32,
    image_threshold: f32,
    p_value: Option<f32>,
    verdict: Verdict,
    reason: &'a str,
    regions: &'a [Region],
    quality: QualityDocument<'a>,
    warnings: &'a [String],
    timings_ms: Timings,
}

/// Measures and outcome side by side: `blur_score`, `brightness_score`, …, `passed`, `reason`, `problems`.
#[derive(Debug, Serialize, ToSchema)]
struct QualityDocument<'a> {
    #[serde(flatten)]
    measured: &'a Quality,
    #[serde(flatten)]
    check: &'a QualityCheck,
}

#[derive(Debug, Serialize)]
struct FailureDocument {
    path: String,
    error: String,
}

/// `<stem>_report.json`: the explanation, then everything behind it.
#[derive(Debug, Serialize)]
pub struct ReportDocument<'a> {
    version: &'static str,
    #[serde(flatten)]
    explanation: &'a Explanation,
    verdict: Verdict,
    photo: PhotoDocument<'a>,
    recipe: &'a Recipe,
    model: &'a ModelIdentity,
    /// Only where the memory has a model of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_model: Option<&'a ModelIdentity>,
    device: &'a str,
}

impl<'a> ResultsDocument<'a> {
    /// The document of a run.
    pub fn new(run: &'a Run) -> Self {
        Self {
            version: VERSION,
            created: &run.created,
            recipe: &run.recipe,
            model: &run.model,
            memory_model: run.memory_model.as_ref(),
            device: &run.device,
            photos: run.photos.iter().map(|photo| PhotoDocument::new(&photo.inspection)).collect(),
            failures: run
                .failures
                .iter()
                .map(|(path, error)| FailureDocument { path: path_text(path), error: error.to_string() })
                .collect(),
            cancelled: run.cancelled,
        }
    }
}

impl<'a> PhotoDocument<'a> {
    /// The object of one photo.
    pub fn new(inspection: &'a Inspection) -> Self {
        Self {
            path: path_text(&inspection.photo.path),
            sha256: &inspection.photo.sha256,
            width: inspection.photo.width,
            height: inspection.photo.height,
            image_score: inspection.image_score,
            normalised_score: inspection.normalised_score,
            image_threshold: inspection.image_threshold,
            p_value: inspection.p_value,
            verdict: inspection.verdict,
            reason: &inspection.reason,
            regions: &inspection.regions,
            quality: QualityDocument { measured: &inspection.photo.quality, check: &inspection.quality },
            warnings: &inspection.photo.warnings,
            timings_ms: inspection.timings_ms,
        }
    }
}

impl<'a> ReportDocument<'a> {
    /// The report of one photo.
    pub fn new(
        inspection: &'a Inspection,
        explanation: &'a Explanation,
        recipe: &'a Recipe,
        options: &'a ReportOptions,
    ) -> Self {
        Self {
            version: VERSION,
            explanation,
            verdict: inspection.verdict,
            photo: PhotoDocument::new(inspection),
            recipe,
            model: &options.model,
            memory_model: options.memory_model.as_ref(),
            device: &options.device,
        }
    }
}

fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
