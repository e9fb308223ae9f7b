//! The routes that hold photos against words: `/upload`, `/batch/similarity`. Thresholds and words are
//! those of the command line.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::error::{ApiError, FormRefusals};
use super::form::{Form, Parts};
use super::routes::{Answer, enter, within_time};
use super::state::App;
use crate::engine::Embedded;
use crate::matching::{DEFAULT_THRESHOLD, Match, judge_match, parse_threshold, similarity};
use crate::{Error, Result};

/// Files of one request at most.
const MAX_FILES: usize = 64;
/// Texts of one request at most.
const MAX_TEXTS: usize = 256;

/// A product photo with its description.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the form; it is read part by part")]
pub struct UploadForm {
    /// The photo.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// What it is to show.
    #[schema(example = "a metal ring without scratches")]
    description: String,
    /// A number from 0 to 1, or `lenient`, `default`, `strict`.
    #[schema(example = "default")]
    threshold: Option<String>,
}

/// What was found about a photo and its description.
#[derive(Debug, Serialize, ToSchema)]
pub struct Uploaded {
    /// A new id for this upload.
    pub id: String,
    /// The name that the client gave, cleaned.
    pub filename: String,
    /// Pixels, after orientation.
    pub width: u32,
    /// Pixels, after orientation.
    pub height: u32,
    /// Whether the photo's quality is within the recipe's limits.
    pub passed: bool,
    /// Why, or why not.
    pub reason: String,
    /// The description as it was given.
    pub description: String,
    /// Cosine of the embeddings of photo and description, clamped to 0–1.
    pub clip_similarity_score: f32,
    /// `clear match`, `match`, `near miss` or `mismatch`.
    pub clip_match_status: &'static str,
    /// Whether the similarity reaches the threshold.
    pub clip_is_match: bool,
    /// Variance of the Laplacian; larger is sharper.
    pub blur_score: f64,
    /// Mean grey value, 0–255.
    pub brightness_score: f64,
}

/// A photo held against its description, and its quality
#[utoipa::path(post, path = "/upload",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 200, description = "What was found.", body = Uploaded), FormRefusals)
)]
pub async fn upload(State(app): State<Arc<App>>, request: Request) -> Answer<Json<Uploaded>> {
    const PARTS: Parts = Parts { file: "file", max_files: 1, texts: &["description", "threshold"], max_texts: 2 };
    let _place = enter(&app, &request)?;
    let form = Form::read(request, &app, PARTS).await?;
    let description = form.text("description")?.map(str::trim).unwrap_or_default().to_owned();
    if description.is_empty() {
        return Err(ApiError::unusable("The part `description` is missing or empty. Say what the photo is to show."));
    }
    let threshold = threshold(&form)?;
    let name = form.files[0].name.clone();
    let (model, text) = (app.recipe.model.clone(), description.clone());
    let outcome = app.batcher.submit(form.files, move |lab, mut photos| {
        let texts = lab.texts(&model, &[text])?;
        let photo = photos.pop().ok_or_else(|| Error::bug("a photo gave no embedding."))?;
        Ok(match photo {
            Ok(photo) => Ok((judge_match(similarity(&photo.embedding, &texts[0])?, threshold), photo.facts.clone())),
            Err(error) => Err(error),
        })
    })?;
    let found = within_time(&app, outcome).await?;
    let (found, facts) = found.map_err(|error| ApiError::of_upload(error, &name))?;
    let quality = app.recipe.quality.judge(facts.width, facts.height, &facts.quality);
    Ok(Json(Uploaded {
        id: Uuid::now_v7().to_string(),
        filename: name,
        width: facts.width,
        height: facts.height,
        passed: quality.passed,
        reason: quality.reason,
        description,
        clip_similarity_score: found.similarity_score,
        clip_match_status: found.status.word(),
        clip_is_match: found.is_match,
        blur_score: facts.quality.blur_score,
        brightness_score: facts.quality.brightness_score,
    }))
}

/// Photos and texts, each held against each.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the form; it is read part by part")]
pub struct SimilarityForm {
    /// The photos, 64 at most.
    #[schema(value_type = Vec<String>, format = Binary, max_items = 64)]
    files: Vec<Vec<u8>>,
    /// The texts, 256 at most.
    #[schema(max_items = 256)]
    texts: Vec<String>,
    /// A number from 0 to 1, or `lenient`, `default`, `strict`.
    #[schema(example = "default")]
    threshold: Option<String>,
}

/// Similarities of photos and texts.
#[derive(Debug, Serialize, ToSchema)]
pub struct Similarities {
    /// Name of the model.
    pub model: String,
    /// The texts, in order.
    pub texts: Vec<String>,
    /// Similarity from which a pair matches.
    pub threshold: f32,
    /// One for each photo, in order.
    pub results: Vec<PhotoSimilarities>,
}

/// One photo against all texts.
#[derive(Debug, Serialize, ToSchema)]
pub struct PhotoSimilarities {
    /// The name that the client gave, cleaned.
    pub filename: String,
    /// One for each text, in order; empty where the photo failed.
    pub matches: Vec<TextMatch>,
    /// Why the photo failed.
    pub error: Option<String>,
}

/// A photo against one text.
#[derive(Debug, Serialize, ToSchema)]
pub struct TextMatch {
    /// Cosine of the two embeddings, clamped to 0–1.
    pub similarity_score: f32,
    /// Whether it reaches the threshold.
    pub is_match: bool,
    /// `clear match`, `match`, `near miss` or `mismatch`.
    pub status: &'static str,
}

impl From<Match> for TextMatch {
    fn from(found: Match) -> Self {
        Self { similarity_score: found.similarity_score, is_match: found.is_match, status: found.status.word() }
    }
}

/// Every photo held against every text
#[utoipa::path(post, path = "/batch/similarity",
    request_body(content = SimilarityForm, content_type = "multipart/form-data"),
    responses((status = 200, description = "The similarities.", body = Similarities), FormRefusals)
)]
pub async fn batch_similarity(State(app): State<Arc<App>>, request: Request) -> Answer<Json<Similarities>> {
    const PARTS: Parts =
        Parts { file: "files", max_files: MAX_FILES, texts: &["texts", "threshold"], max_texts: MAX_TEXTS + 1 };
    let _place = enter(&app, &request)?;
    let form = Form::read(request, &app, PARTS).await?;
    let texts: Vec<String> = form.texts("texts").map(|text| text.trim().to_owned()).collect();
    if texts.is_empty() || texts.len() > MAX_TEXTS || texts.iter().any(String::is_empty) {
        return Err(ApiError::unusable(format!(
            "Give 1 to {MAX_TEXTS} parts `texts`, none of them empty; {} came.",
            texts.len()
        )));
    }
    let threshold = threshold(&form)?;
    let names: Vec<String> = form.files.iter().map(|file| file.name.clone()).collect();
    let (model, asked) = (app.recipe.model.clone(), texts.clone());
    let outcome = app.batcher.submit(form.files, move |lab, photos| {
        let texts = lab.texts(&model, &asked)?;
        let against_all = |photo: Arc<Embedded>| {
            let matched = |text: &Arc<Vec<f32>>| Ok(judge_match(similarity(&photo.embedding, text)?, threshold).into());
            texts.iter().map(matched).collect::<Result<Vec<TextMatch>>>()
        };
        Ok(photos.into_iter().map(|photo| photo.and_then(against_all)).collect::<Vec<_>>())
    })?;
    let found = within_time(&app, outcome).await?;
    let results = names.into_iter().zip(found).map(|(filename, matches)| match matches {
        Ok(matches) => PhotoSimilarities { filename, matches, error: None },
        Err(error) => {
            let error = Some(ApiError::of_upload(error, &filename).message().to_owned());
            PhotoSimilarities { filename, matches: Vec::new(), error }
        }
    });
    Ok(Json(Similarities { model: app.identity.model.id.clone(), texts, threshold, results: results.collect() }))
}

fn threshold(form: &Form) -> Answer<f32> {
    Ok(form.text("threshold")?.map(parse_threshold).transpose()?.unwrap_or(DEFAULT_THRESHOLD))
}
