//! `/segment`: where in a photo is what words name? The figures are those of `hairline segment predict`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::{ApiError, FormRefusals};
use super::form::{Form, Parts, Upload};
use super::routes::{Answer, enter, within_time};
use super::state::App;
use crate::anomaly::Region;
use crate::engine::Lab;
use crate::model::ClipSegModel;
use crate::photo::Photo;
use crate::report::{self, ModelIdentity, images};
use crate::segment::{Layer, SegmentOptions, segment as segment_photo};
use crate::{Error, Result};

/// Prompts of one request at most.
const MAX_PROMPTS: usize = 16;
/// Bytes of one prompt at most.
const MAX_PROMPT: usize = 1000;
/// Probabilities held at once at most, over all prompts that are decoded together.
const MAX_VALUES: usize = 100_000_000;

/// A photo and what to find in it.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the form; it is read part by part")]
pub struct SegmentForm {
    /// The photo.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// What to find, in words; one part for each, 16 at most.
    #[schema(min_items = 1, max_items = 16, example = json!(["a crack"]))]
    prompts: Vec<String>,
    /// Probability from which a pixel belongs to a mask, between 0 and 1; 0.5 if left out.
    #[schema(example = "0.5")]
    threshold: Option<String>,
    /// Go over the photo in square tiles of this side, in pixels; the whole photo at once if left out.
    #[schema(example = "512")]
    tile: Option<String>,
}

/// What was found in a photo.
#[derive(Debug, Serialize, ToSchema)]
pub struct Segmented {
    /// The name that the client gave, cleaned.
    pub filename: String,
    /// Pixels, after orientation.
    pub width: u32,
    /// Pixels, after orientation.
    pub height: u32,
    /// The model that segmented.
    pub model: ModelIdentity,
    /// Probability from which a pixel belongs to a mask.
    pub threshold: f32,
    /// One for each prompt, in order.
    pub layers: Vec<SegmentLayer>,
}

/// Where one prompt's words apply.
#[derive(Debug, Serialize, ToSchema)]
pub struct SegmentLayer {
    pub prompt: String,
    /// Share of the photo in the mask, 0–1.
    pub share: f32,
    /// Connected parts of the mask, strongest first; `peak`, `mean` and `confidence` are probabilities.
    pub regions: Vec<Region>,
    /// The mask as a grey PNG in base64: 255 inside, 0 outside, of the photo's size.
    pub mask_png: String,
}

/// Where in a photo is what words name
#[utoipa::path(post, path = "/segment",
    request_body(content = SegmentForm, content_type = "multipart/form-data"),
    responses((status = 200, description = "Masks and regions.", body = Segmented), FormRefusals)
)]
pub async fn segment(State(app): State<Arc<App>>, request: Request) -> Answer<Json<Segmented>> {
    const PARTS: Parts =
        Parts { file: "file", max_files: 1, texts: &["prompts", "threshold", "tile"], max_texts: MAX_PROMPTS + 2 };
    let _place = enter(&app, &request)?;
    let mut form = Form::read(request, &app, PARTS).await?;
    let prompts: Vec<String> = form.texts("prompts").map(|text| text.trim().to_owned()).collect();
    if !(1..=MAX_PROMPTS).contains(&prompts.len())
        || prompts.iter().any(|text| text.is_empty() || text.len() > MAX_PROMPT)
    {
        return Err(ApiError::unusable(format!(
            "Give 1 to {MAX_PROMPTS} parts `prompts` of 1 to {MAX_PROMPT} bytes, e.g. `-F 'prompts=a crack'`; {} came.",
            prompts.len()
        )));
    }
    let mut options = SegmentOptions::default();
    if let Some(text) = form.text("threshold")? {
        options.threshold = text.trim().parse().map_err(|_| ApiError::unusable("`threshold` is no number."))?;
    }
    if let Some(text) = form.text("tile")? {
        let side = text.trim().parse().map_err(|_| ApiError::unusable("`tile` is no whole number of pixels."))?;
        options.tile = Some(side);
    }
    options.check()?;
    let upload = form.only_file()?;
    let (filename, threshold) = (upload.name.clone(), options.threshold);
    let model = app.segment_model.clone();
    // No embeddings are wanted, so the photo goes with the work.
    let outcome = app.batcher.submit(Vec::new(), move |lab, _| {
        let model = lab.segmenter(&model)?;
        Ok(segment_upload(lab, &model, &upload, &prompts, &options))
    })?;
    let found = within_time(&app, outcome).await?;
    let Found { width, height, model, layers } = found.map_err(|error| ApiError::of_upload(error, &filename))?;
    Ok(Json(Segmented { filename, width, height, model, threshold, layers }))
}

struct Found {
    width: u32,
    height: u32,
    model: ModelIdentity,
    layers: Vec<SegmentLayer>,
}

/// As `hairline segment predict` does, with no more maps in memory at once than [`MAX_VALUES`] allows.
fn segment_upload(
    lab: &mut Lab<'_, '_>,
    model: &ClipSegModel,
    upload: &Upload,
    prompts: &[String],
    options: &SegmentOptions,
) -> Result<Found> {
    let photo = Photo::open_to_judge(&upload.path)?;
    let (width, height) = (photo.width(), photo.height());
    let words: Vec<(String, Vec<f32>)> = prompts.iter().cloned().zip(model.encode_texts(prompts)?).collect();
    let at_once = (MAX_VALUES / (width as usize * height as usize).max(1)).clamp(1, MAX_PROMPTS);
    let mut layers = Vec::with_capacity(prompts.len());
    for group in words.chunks(at_once) {
        if lab.cancelled() {
            return Err(Error::Cancelled);
        }
        for layer in segment_photo(model, &photo, group, options)? {
            layers.push(SegmentLayer::new(layer, options.threshold)?);
        }
    }
    Ok(Found { width, height, model: ModelIdentity::of(model.info()), layers })
}

impl SegmentLayer {
    fn new(layer: Layer, threshold: f32) -> Result<Self> {
        let mask = images::mask(&layer.map, threshold);
        Ok(Self {
            prompt: layer.prompt,
            share: layer.share,
            regions: layer.regions,
            mask_png: report::base64(&report::png(&mask.into())?),
        })
    }
}
