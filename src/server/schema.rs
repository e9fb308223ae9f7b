//! What the routes answer, beyond the documents that they share with the command line.

use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::anomaly::Verdict;
use crate::history::Entry;
use crate::model::ModelInfo;
use crate::model::catalog::Listed;
use crate::report::ModelIdentity;
use crate::report::json::PhotoDocument;

/// Whether the server can work.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`, or `failed` with status 503.
    pub status: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Version of the program.
    pub version: &'static str,
    /// The server's model.
    pub model: ModelIdentity,
    /// The device in words.
    pub device: String,
    /// Requests with work in hand.
    pub places_taken: usize,
    /// Requests with work in hand at most.
    pub places: usize,
}

/// The models that this server knows of.
#[derive(Debug, Serialize, ToSchema)]
pub struct Models {
    /// The one it works with.
    pub loaded: ModelInfo,
    /// The embedded one, the catalogue, and what else is installed.
    pub models: Vec<Listed>,
}

/// A photo to inspect.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the form; it is read part by part")]
pub struct InspectForm {
    /// The photo: PNG, JPEG, TIFF, BMP, WebP, GIF or PNM, told by its content.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// What to change of the server's recipe: RON as in a recipe file, or a JSON object. A field left out keeps the
    /// server's value. Model, reference photos and what is made of them once for all cannot be changed.
    #[schema(example = "{\"image_threshold\": 3.5}")]
    recipe: Option<String>,
}

/// The photo object of `results.json`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Inspected<'a> {
    /// Id of the verdict in the history, where one is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_id: Option<String>,
    #[serde(flatten)]
    pub photo: PhotoDocument<'a>,
}

/// Which verdicts to list.
#[derive(Debug, serde::Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// Not before this day or time (UTC), e.g. `2026-03-01` or `2026-03-01T06:00:00Z`.
    pub since: Option<String>,
    /// Up to this day (included) or time (UTC).
    pub until: Option<String>,
    /// Only this verdict, as corrected.
    pub verdict: Option<Verdict>,
    /// Verdicts older than the one with this id: the `next` of the page before.
    pub before: Option<String>,
    /// Verdicts at most, 1 to 500; 50 if left out.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
}

/// A page of the history, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoryPage {
    pub verdicts: Vec<Entry>,
    /// Give this as `before` for the next page; null on the last one.
    pub next: Option<String>,
}
