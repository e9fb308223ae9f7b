//! Matching on the engine's networks: an [`Encoder`] over the [`Lab`], and one photo with its description as window,
//! command line and HTTP API ask for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::batch::Encoder;
use super::claim::{Claim, claims};
use super::outcome::{ClaimOutcome, Holds, judge_claims, sentences};
use super::place::PlaceMap;
use super::similarity::{Match, judge_match, label_sentence, similarity, zero_shot};
use crate::engine::lab::{Embedded, Lab};
use crate::model::{Geometry, POCKET, Want};
use crate::photo::Photo;
use crate::{Error, Result};

/// Encodes with one model of the engine.
pub struct LabEncoder<'l, 'a, 'w> {
    lab: &'l mut Lab<'a, 'w>,
    model: String,
}

impl<'l, 'a, 'w> LabEncoder<'l, 'a, 'w> {
    /// Loads the model.
    ///
    /// # Errors
    /// Those of [`Lab::backbone`]; [`Error::Input`] for a model that sees photos only.
    pub fn new(lab: &'l mut Lab<'a, 'w>, model: &str) -> Result<Self> {
        need_words(lab, model)?;
        Ok(Self { lab, model: model.to_owned() })
    }

    /// The engine, for progress and cancelling.
    pub fn lab(&mut self) -> &mut Lab<'a, 'w> {
        self.lab
    }
}

/// Refuses a model without a text tower before any photo is read.
fn need_words(lab: &mut Lab<'_, '_>, model: &str) -> Result<()> {
    lab.texts(model, &[]).map(drop)
}

impl Encoder for LabEncoder<'_, '_, '_> {
    fn photos(&mut self, paths: &[PathBuf]) -> Result<Vec<Result<Vec<f32>>>> {
        let all = self.lab.embed_all(&self.model, paths, |_, _, _| {})?;
        Ok(all.into_iter().map(|one| one.map(|embedded| embedded.embedding.clone())).collect())
    }

    fn texts(&mut self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        Ok(self.lab.texts(&self.model, texts)?.into_iter().map(|text| text.to_vec()).collect())
    }

    fn progress(&mut self, done: usize, total: usize) -> bool {
        self.lab.progress(done, total);
        !self.lab.cancelled()
    }
}

/// A photo that has been through the image tower; any text can be held against it.
#[derive(Clone, Debug)]
pub struct SeenPhoto {
    pub embedded: Arc<Embedded>,
    /// For the places of claims.
    pub patches: Option<Arc<PlaceMap>>,
}

/// Runs the image tower on one photo; with `places` its patches are kept as well.
///
/// # Errors
/// Those of the photo and the model; [`Error::Input`] for a model that sees photos only.
pub fn see_photo(lab: &mut Lab<'_, '_>, model: &str, path: &Path, places: bool) -> Result<SeenPhoto> {
    need_words(lab, model)?;
    let embedded = lab.embed(model, path)?;
    let patches = if places { Some(Arc::new(patches(lab, model, path)?)) } else { None };
    Ok(SeenPhoto { embedded, patches })
}

/// The patches of the whole photo, nothing cropped away.
fn patches(lab: &mut Lab<'_, '_>, model: &str, path: &Path) -> Result<PlaceMap> {
    let model = lab.backbone(model)?;
    let photo = Photo::open(path)?;
    let prepared = model.prepare(&photo, Geometry::KeepAspect { short_side: model.info().image_size as u32 })?;
    let want = Want { layers: model.default_layers(), project: true, ..Want::default() };
    let features = model.encode_images(&[prepared], &want)?.pop();
    let features = features.ok_or_else(|| Error::bug("the image tower returned nothing for one photo."))?;
    Ok(PlaceMap {
        rows: features.rows,
        cols: features.cols,
        layers: features.layers.into_iter().filter_map(|layer| layer.projected).collect(),
        photo: (photo.width(), photo.height()),
    })
}

/// What is asked of a photo.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Question {
    /// The description.
    pub text: String,
    pub threshold: f32,
    /// Labels for zero-shot classification; none for no such results.
    pub labels: Vec<String>,
    /// Take the description apart and judge each claim.
    pub claims: bool,
}

/// What came of one photo and its description.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DescriptionMatch {
    #[serde(flatten)]
    pub outcome: Match,
    /// `None` where they were not asked for; empty where the description has none that can be checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<Vec<ClaimOutcome>>,
    /// The claim that fails most clearly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_claim: Option<String>,
}

/// Holds a description against a photo: only the text tower runs.
///
/// # Errors
/// [`Error::Input`] for an empty description; those of the text tower.
pub fn describe_photo(
    lab: &mut Lab<'_, '_>,
    model: &str,
    photo: &SeenPhoto,
    question: &Question,
) -> Result<DescriptionMatch> {
    if question.text.trim().is_empty() {
        return Err(Error::input("The description is empty. Say what the photo is to show."));
    }
    let claims: Vec<Claim> = if question.claims { claims(&question.text) } else { Vec::new() };
    let mut texts = vec![question.text.trim().to_owned()];
    texts.extend(question.labels.iter().map(|label| label_sentence(label)));
    texts.extend(sentences(&claims));
    let encoded = lab.texts(model, &texts)?;
    let known: BTreeMap<String, Arc<Vec<f32>>> = texts.into_iter().zip(encoded.iter().cloned()).collect();
    let image = &photo.embedded.embedding;
    let mut outcome = judge_match(similarity(image, &encoded[0])?, question.threshold);
    if !question.labels.is_empty() {
        let labels: Vec<Vec<f32>> = encoded[1..=question.labels.len()].iter().map(|text| text.to_vec()).collect();
        outcome.zero_shot_results = Some(zero_shot(image, &question.labels, &labels)?);
    }
    let backbone = lab.backbone(model)?;
    if backbone.info().id == POCKET {
        outcome.band = None;
    }
    if !question.claims {
        return Ok(DescriptionMatch { outcome, claims: None, failing_claim: None });
    }
    let known: BTreeMap<String, &[f32]> =
        known.iter().map(|(text, vector)| (text.clone(), vector.as_slice())).collect();
    let claims = judge_claims(&claims, image, &known, photo.patches.as_deref(), &backbone.info().sha256)?;
    let failing = claims.iter().filter(|claim| claim.holds == Holds::No).min_by(|a, b| a.score.total_cmp(&b.score));
    let failing_claim = failing.map(|claim| claim.claim.clone());
    Ok(DescriptionMatch { outcome, claims: Some(claims), failing_claim })
}
