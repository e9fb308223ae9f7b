//! Words from a vision-language model: the strongest regions are cut out and shown to a server that speaks OpenAI's chat
//! protocol (Ollama, llama.cpp, vLLM). The model puts into words what the networks here found; it decides nothing, and
//! where it does not answer as asked the rules' words stay and the explanation says so.

use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use image::{ImageFormat, RgbImage};
use serde::Deserialize;
use serde_json::{Value, json};

use super::rules::{Explanation, Source, explain};
use crate::anomaly::{Inspection, Region, Severity};
use crate::recipe::{Recipe, Vlm};
use crate::{Error, Result};

/// Failures to reach the server in a row, after which a run asks no more.
const STRIKES: u32 = 3;
/// Share of a region's longer side that is shown around it.
const MARGIN: f32 = 0.5;
/// A crop is at least this wide and high, where the photo is.
const SMALLEST_CROP: u32 = 64;
/// The longer side of a crop as it is sent, at most.
const LARGEST_CROP: u32 = 768;
/// Bytes of an answer at most.
const LONGEST_ANSWER: u64 = 1 << 20;
/// Characters of a description at most.
const LONGEST_TEXT: usize = 300;

/// A client of one server. Asks one question at a time, because a local server answers no faster to several.
#[derive(Debug)]
pub struct VlmClient {
    vlm: Vlm,
    key: Option<String>,
    agent: ureq::Agent,
    strikes: Mutex<u32>,
}

/// Why there is no answer for a region.
enum Failure {
    /// The server cannot be reached or does not answer in time.
    Unreachable(String),
    /// It answers, but not what was asked.
    Unusable(String),
}

/// The answer on one region.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    location: String,
    description: String,
    severity: Severity,
}

impl VlmClient {
    /// A client for the recipe's server. Nothing is sent yet. A server that wants a key finds it in `HAIRLINE_VLM_KEY`.
    ///
    /// # Errors
    /// [`Error::Input`] where the recipe names no server.
    pub fn new(recipe: &Recipe) -> Result<Self> {
        let vlm = recipe.vlm.clone().ok_or_else(|| {
            Error::input(
                "The recipe names no vision-language server. Add to it, e.g.: \
                 vlm: Some((address: \"http://127.0.0.1:11434/v1\", model: \"qwen2.5vl\"))",
            )
        })?;
        let config = ureq::Agent::config_builder()
            .user_agent(concat!("hairline/", env!("CARGO_PKG_VERSION")))
            .timeout_global(Some(Duration::from_secs_f32(vlm.timeout_s)))
            .http_status_as_error(false)
            // Photos go to the server that the recipe names, and past nobody else.
            .proxy(None)
            .max_redirects(0)
            .build();
        let key = std::env::var("HAIRLINE_VLM_KEY").ok().filter(|key| !key.is_empty());
        Ok(Self { vlm, key, agent: config.into(), strikes: Mutex::new(0) })
    }

    /// The explanation by rules, with the model's words for the strongest regions where it gave some.
    pub fn explain(&self, photo: &RgbImage, inspection: &Inspection, recipe: &Recipe) -> Explanation {
        let mut explanation = explain(inspection, recipe);
        let mut strikes = self.strikes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (region, words) in inspection.regions.iter().zip(&mut explanation.regions).take(self.vlm.top_k) {
            if *strikes >= STRIKES {
                let message = format!("{} was not reached {STRIKES} times and is asked no more.", self.name());
                explanation.fallback.get_or_insert(message);
                break;
            }
            match self.ask(photo, region, recipe) {
                Ok(answer) => {
                    *strikes = 0;
                    words.location = answer.location;
                    words.description = answer.description;
                    words.severity = answer.severity;
                    words.explained_by = Source::Vlm;
                    explanation.explained_by = Source::Vlm;
                    explanation.explainer = Some(self.vlm.model.clone());
                }
                Err(Failure::Unusable(reason)) => {
                    *strikes = 0;
                    log::warn!("{} gave no usable answer: {reason}", self.name());
                    explanation.fallback.get_or_insert(format!("{} gave no usable answer: {reason}.", self.name()));
                }
                Err(Failure::Unreachable(reason)) => {
                    *strikes += 1;
                    log::warn!("{} does not answer: {reason}", self.name());
                    explanation.fallback.get_or_insert(format!("{} does not answer: {reason}.", self.name()));
                    // What does not answer on one region will not on the next.
                    break;
                }
            }
        }
        explanation
    }

    fn name(&self) -> String {
        format!("The vision-language server at {}", self.vlm.address)
    }

    fn ask(&self, photo: &RgbImage, region: &Region, recipe: &Recipe) -> Result<Answer, Failure> {
        let picture = png(&crop(photo, region)).map_err(|e| Failure::Unusable(e.to_string()))?;
        let body = question(&self.vlm, region, recipe, &picture).to_string();
        let url = format!("{}/chat/completions", self.vlm.address.trim_end_matches('/'));
        let mut request = self.agent.post(&url).header("Content-Type", "application/json");
        if let Some(key) = &self.key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        let unreachable = |e: ureq::Error| {
            Failure::Unreachable(match e {
                ureq::Error::Timeout(_) => format!("nothing came within {} s", self.vlm.timeout_s),
                other => other.to_string().trim_end_matches('.').to_owned(),
            })
        };
        let mut response = request.send(body.as_bytes()).map_err(unreachable)?;
        let status = response.status();
        let text = response.body_mut().with_config().limit(LONGEST_ANSWER).read_to_string().map_err(unreachable)?;
        if !status.is_success() {
            let reason = format!("status {}: {}", status.as_u16(), beginning(&text));
            // Faults of the server may pass; a refusal of the question will come again.
            return Err(if status.is_server_error() {
                Failure::Unreachable(reason)
            } else {
                Failure::Unusable(reason)
            });
        }
        read_answer(&text).map_err(Failure::Unusable)
    }
}

/// The request's body. The schema is a demand on servers that can constrain their output, and said in words for others.
fn question(vlm: &Vlm, region: &Region, recipe: &Recipe, picture: &[u8]) -> Value {
    let mut prompt = vlm.prompt.clone();
    for (place, value) in [
        ("{object}", recipe.object.replace('_', " ")),
        ("{location}", region.location.clone()),
        ("{description}", region.description.clone()),
        ("{confidence}", format!("{:.2}", region.confidence)),
    ] {
        prompt = prompt.replace(place, &value);
    }
    prompt.push_str(
        "\n\nAnswer with one JSON object and nothing else: {\"location\": where in the part, in a few words, \
         \"description\": what is seen, \"severity\": \"low\", \"medium\" or \"high\"}.",
    );
    json!({
        "model": vlm.model,
        "temperature": 0,
        "max_tokens": 300,
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": prompt},
            {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{}", BASE64.encode(picture))}},
        ]}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "region", "strict": true, "schema": {
            "type": "object",
            "properties": {
                "location": {"type": "string"},
                "description": {"type": "string"},
                "severity": {"type": "string", "enum": ["low", "medium", "high"]},
            },
            "required": ["location", "description", "severity"],
            "additionalProperties": false,
        }}},
    })
}

/// The answer inside of a completion, or what is wrong with it.
fn read_answer(text: &str) -> Result<Answer, String> {
    let completion: Value = serde_json::from_str(text).map_err(|e| format!("no JSON ({e}): {}", beginning(text)))?;
    let content = completion["choices"][0]["message"]["content"].as_str();
    let content = content.ok_or_else(|| format!("no completion: {}", beginning(text)))?;
    // Some models fence their JSON whatever they are told.
    let bare = content.trim();
    let bare = bare.strip_prefix("```json").or_else(|| bare.strip_prefix("```")).unwrap_or(bare);
    let bare = bare.strip_suffix("```").unwrap_or(bare).trim();
    let answer: Answer = serde_json::from_str(bare).map_err(|e| format!("{e}: {}", beginning(content)))?;
    for (name, words) in [("location", &answer.location), ("description", &answer.description)] {
        if words.trim().is_empty() {
            return Err(format!("`{name}` is empty"));
        }
        if words.chars().count() > LONGEST_TEXT || words.chars().any(char::is_control) {
            return Err(format!("`{name}` is longer than {LONGEST_TEXT} characters or not plain text"));
        }
    }
    Ok(answer)
}

/// The first words of a text, for a message.
fn beginning(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(120).collect();
    if line.is_empty() { "nothing".to_owned() } else { line }
}

/// The region with some of its surroundings, scaled down where it is large.
fn crop(photo: &RgbImage, region: &Region) -> RgbImage {
    let margin = (region.width.max(region.height) as f32 * MARGIN) as u32;
    let span = |start: u32, length: u32, whole: u32| {
        let wanted = (length + 2 * margin).max(SMALLEST_CROP).min(whole);
        let from = (start + length / 2).saturating_sub(wanted / 2).min(whole - wanted);
        (from, wanted)
    };
    let (x, width) = span(region.x, region.width, photo.width());
    let (y, height) = span(region.y, region.height, photo.height());
    let crop = image::imageops::crop_imm(photo, x, y, width, height).to_image();
    let scale = f64::from(LARGEST_CROP) / f64::from(width.max(height));
    if scale >= 1.0 {
        return crop;
    }
    let fit = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    image::imageops::resize(&crop, fit(width), fit(height), image::imageops::FilterType::Triangle)
}

fn png(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|e| Error::bug(format!("a region's picture is no PNG ({e}).")))?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
#[path = "vlm_tests.rs"]
mod tests;
