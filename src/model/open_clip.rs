//! `open_clip_config.json` in terms of [`ClipConfig`]: open_clip's towers are the same networks under other names
//! (reference: open_clip `factory.py` and `model.py`). Towers of other kinds (timm, Hugging Face text models) are refused.

use std::path::Path;

use serde::Deserialize;

use super::config::{Activation, ClipConfig, TextConfig, VisionConfig};
use super::preprocess::{CLIP_MEAN, CLIP_STD, Preprocessor};
use crate::{Error, Result};

#[derive(Deserialize)]
struct File {
    model_cfg: Model,
    preprocess_cfg: Option<Preprocess>,
}

#[derive(Deserialize)]
struct Model {
    embed_dim: usize,
    #[serde(default)]
    quick_gelu: bool,
    #[serde(default)]
    custom_text: bool,
    vision_cfg: serde_json::Value,
    text_cfg: serde_json::Value,
}

/// Fields of open_clip's `CLIPVisionCfg` that these towers have; any other is refused, because it changes the network.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vision {
    image_size: usize,
    layers: usize,
    width: usize,
    patch_size: usize,
    #[serde(default = "head_width")]
    head_width: usize,
    #[serde(default = "mlp_ratio")]
    mlp_ratio: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    context_length: usize,
    vocab_size: usize,
    width: usize,
    heads: usize,
    layers: usize,
    #[serde(default = "mlp_ratio")]
    mlp_ratio: f64,
}

#[derive(Deserialize)]
struct Preprocess {
    mean: Option<[f32; 3]>,
    std: Option<[f32; 3]>,
    interpolation: Option<String>,
    resize_mode: Option<String>,
}

fn head_width() -> usize {
    64
}

fn mlp_ratio() -> f64 {
    4.0
}

/// Parses the text of an `open_clip_config.json`.
pub fn parse(json: &str) -> Result<(ClipConfig, Preprocessor)> {
    let unreadable = |what: &str, error: serde_json::Error| {
        Error::model(format!("open_clip_config.json: {what} cannot be used: {error}. Choose a plain CLIP ViT model."))
    };
    let file: File = serde_json::from_str(json).map_err(|error| unreadable("the file", error))?;
    let model = file.model_cfg;
    let vision: Vision = serde_json::from_value(model.vision_cfg).map_err(|error| unreadable("vision_cfg", error))?;
    let text: Text = serde_json::from_value(model.text_cfg).map_err(|error| unreadable("text_cfg", error))?;
    if model.custom_text {
        return Err(Error::model(
            "open_clip_config.json: custom_text towers are not read. Choose a plain CLIP ViT model.",
        ));
    }
    if vision.head_width == 0 {
        return Err(Error::model("open_clip_config.json: head_width is 0."));
    }
    let hidden_act = if model.quick_gelu { Activation::QuickGelu } else { Activation::Gelu };
    let config = ClipConfig {
        text_config: TextConfig {
            vocab_size: text.vocab_size,
            hidden_size: text.width,
            intermediate_size: (text.width as f64 * text.mlp_ratio) as usize,
            num_hidden_layers: text.layers,
            num_attention_heads: text.heads,
            max_position_embeddings: text.context_length,
            hidden_act,
            // open_clip pools at the largest id, as the older files of the other form do.
            eos_token_id: 2,
            ..TextConfig::default()
        },
        vision_config: VisionConfig {
            hidden_size: vision.width,
            intermediate_size: (vision.width as f64 * vision.mlp_ratio) as usize,
            num_hidden_layers: vision.layers,
            num_attention_heads: vision.width / vision.head_width,
            image_size: vision.image_size,
            patch_size: vision.patch_size,
            hidden_act,
            ..VisionConfig::default()
        },
        projection_dim: model.embed_dim,
        ..ClipConfig::default()
    };
    config.check()?;
    let preprocess = file.preprocess_cfg;
    if let Some(preprocess) = &preprocess {
        for (name, value, known) in [
            ("interpolation", &preprocess.interpolation, "bicubic"),
            ("resize_mode", &preprocess.resize_mode, "shortest"),
        ] {
            if let Some(other) = value.as_deref().filter(|value| *value != known) {
                return Err(Error::model(format!(
                    "open_clip_config.json: {name} `{other}` is not known; only `{known}` is."
                )));
            }
        }
    }
    let (mean, std) = preprocess.map_or((None, None), |preprocess| (preprocess.mean, preprocess.std));
    let preprocessor = Preprocessor::published(config.vision_config.image_size as u32)
        .with_statistics(mean.unwrap_or(CLIP_MEAN), std.unwrap_or(CLIP_STD));
    Ok((config, preprocessor))
}

/// Reads an `open_clip_config.json`.
pub fn read(path: &Path) -> Result<(ClipConfig, Preprocessor)> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::io("Cannot read the model's open_clip_config.json", path, &error))?;
    parse(&text).map_err(|error| error.at(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_plus_model() {
        let json = r#"{"model_cfg": {"embed_dim": 640,
            "vision_cfg": {"image_size": 240, "layers": 12, "width": 896, "patch_size": 16},
            "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 640, "heads": 10, "layers": 12}},
            "preprocess_cfg": {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}}"#;
        let (config, preprocessor) = parse(json).expect("published form");
        let vision = &config.vision_config;
        assert_eq!((vision.num_attention_heads, vision.intermediate_size, vision.trained_grid()), (14, 3584, 15));
        assert_eq!((vision.hidden_act, config.text_config.eos_token_id), (Activation::Gelu, 2));
        assert_eq!(preprocessor, Preprocessor::published(240));
    }

    #[test]
    fn another_kind_of_tower_is_refused_by_name() {
        let json = r#"{"model_cfg": {"embed_dim": 8, "vision_cfg": {"timm_model_name": "convnext_base", "image_size": 224},
            "text_cfg": {"context_length": 77, "vocab_size": 9, "width": 8, "heads": 1, "layers": 1}}}"#;
        let message = parse(json).expect_err("not a plain ViT").to_string();
        assert!(message.contains("timm_model_name"), "{message}");
    }
}
