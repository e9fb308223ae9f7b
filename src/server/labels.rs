//! `/classify`: which label's words are a photo nearest to? The figures are those of `hairline classify`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::{ApiError, FormRefusals};
use super::form::{Form, Parts};
use super::routes::{Answer, enter, within_time};
use super::state::App;
use crate::classify::{LabelPrompts, job, zero_shot};
use crate::engine::{Embedded, Lab};
use crate::{Error, Result};

/// Labels of one request at most.
const MAX_LABELS: usize = 256;

/// A photo and the labels it may have.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the form; it is read part by part")]
pub struct ClassifyForm {
    /// The photo.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// At least two labels: several parts, or one with commas between them.
    #[schema(min_items = 2, max_items = 256, example = json!(["crack", "scratch"]))]
    labels: Vec<String>,
}

/// A photo's label.
#[derive(Debug, Serialize, ToSchema)]
pub struct Classified {
    /// The name that the client gave, cleaned.
    pub filename: String,
    /// The most probable label.
    pub prediction: String,
    /// All labels, most probable first.
    pub labels: Vec<LabelScore>,
}

/// One label's share.
#[derive(Debug, Serialize, ToSchema)]
pub struct LabelScore {
    pub label: String,
    /// Softmax over the labels of this request, 0–1.
    pub probability: f64,
    /// Cosine of the photo and the label's sentences.
    pub similarity: f32,
}

/// Which label fits a photo best
#[utoipa::path(post, path = "/classify",
    request_body(content = ClassifyForm, content_type = "multipart/form-data"),
    responses((status = 200, description = "The labels with their probabilities.", body = Classified), FormRefusals)
)]
pub async fn classify(State(app): State<Arc<App>>, request: Request) -> Answer<Json<Classified>> {
    const PARTS: Parts = Parts { file: "file", max_files: 1, texts: &["labels"], max_texts: MAX_LABELS };
    let _place = enter(&app, &request)?;
    let form = Form::read(request, &app, PARTS).await?;
    let labels = form.texts("labels").flat_map(|text| text.split(',')).map(str::trim).filter(|label| !label.is_empty());
    let prompts = LabelPrompts::new(&labels.map(str::to_owned).collect::<Vec<_>>());
    if !(2..=MAX_LABELS).contains(&prompts.labels.len()) {
        return Err(ApiError::unusable(format!(
            "Give 2 to {MAX_LABELS} labels, e.g. `-F labels=crack,scratch`; {} came.",
            prompts.labels.len()
        )));
    }
    prompts.check()?;
    let name = form.files[0].name.clone();
    let model = app.recipe.model.clone();
    let outcome = app.batcher.submit(form.files, move |lab, mut photos| {
        let photo = photos.pop().ok_or_else(|| Error::bug("a photo gave no embedding."))?;
        match photo {
            Ok(photo) => score_labels(lab, &model, &prompts, &photo).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    })?;
    let labels = within_time(&app, outcome).await?.map_err(|error| ApiError::of_upload(error, &name))?;
    let prediction = labels.first().map(|best| best.label.clone()).unwrap_or_default();
    Ok(Json(Classified { filename: name, prediction, labels }))
}

/// As `hairline classify` does for a photo without augmentation.
fn score_labels(
    lab: &mut Lab<'_, '_>,
    model: &str,
    prompts: &LabelPrompts,
    photo: &Embedded,
) -> Result<Vec<LabelScore>> {
    let directions = job::text_bank(lab, model, prompts)?.directions()?;
    let cosines = zero_shot::cosines(&photo.embedding, &directions);
    let probabilities = zero_shot::probabilities(&cosines, job::trained_temperature(lab, model)?);
    let mut labels: Vec<LabelScore> = prompts
        .names()
        .into_iter()
        .zip(probabilities)
        .zip(cosines)
        .map(|((label, probability), similarity)| LabelScore { label, probability, similarity })
        .collect();
    labels.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    Ok(labels)
}
