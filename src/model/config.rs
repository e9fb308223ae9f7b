//! `config.json` and `preprocessor_config.json` of a CLIP folder, in every form that published folders use: fields
//! that a file leaves out take the defaults of transformers' `CLIPConfig`. Nothing here reads weights; the fields that
//! only this project knows (a convolutional stem, a patch head) are all optional, so a published file needs no edit.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Activation between the two linear layers of a block, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// x
    #[serde(rename = "identity")]
    Identity,
    /// x · sigmoid(1.702 x), as OpenAI's checkpoints were trained.
    #[default]
    #[serde(rename = "quick_gelu")]
    QuickGelu,
    /// x · Φ(x) with the exact error function, as open_clip's LAION checkpoints were trained.
    #[serde(rename = "gelu")]
    Gelu,
    /// max(x, 0), in CLIPSeg's decoder.
    #[serde(rename = "relu")]
    Relu,
}

/// Where the embedding of the whole image is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// A class token in front of the patches.
    #[default]
    Cls,
    /// No class token: the mean of the layer-normed patches.
    Mean,
}

/// What is done to the pixels inside the network, after the folder's own mean and standard deviation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputNormalisation {
    #[default]
    None,
    /// Mean 0 and standard deviation 1 over all pixels and channels of each image, so that light matters less.
    PerImage,
}

/// A small learned embedding per patch for the memory bank, see `model::patch_head`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchHeadConfig {
    /// Blocks, counted from 1, whose outputs are concatenated.
    pub layers: Vec<usize>,
    /// Width of the embedding.
    pub dim: usize,
}

/// The text tower.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TextConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    /// Tokens of a text at most, begin and end included.
    pub max_position_embeddings: usize,
    pub hidden_act: Activation,
    pub layer_norm_eps: f64,
    /// Id of the end token, whose output is the text's embedding. The value 2, in files older than the fix of the
    /// field, means: the position of the largest id, which in CLIP's vocabulary is the end token.
    pub eos_token_id: u32,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            vocab_size: 49_408,
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
            eos_token_id: 49_407,
        }
    }
}

impl TextConfig {
    /// Position of the end token in one text's ids: the first one with the configured id, or of the largest id where
    /// the file is of the older form. `None` when the end token is missing.
    pub fn end_position(&self, ids: &[u32]) -> Option<usize> {
        let wanted = if self.eos_token_id == 2 { ids.iter().copied().max()? } else { self.eos_token_id };
        ids.iter().position(|&id| id == wanted)
    }
}

/// The vision tower. The fields from `stem_channels` on are this project's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VisionConfig {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_channels: usize,
    /// Side of the square input that the position embeddings were trained for, in pixels.
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    pub hidden_act: Activation,
    pub layer_norm_eps: f64,
    /// Hidden widths of a convolutional stem; absent for a plain patch embedding. The patch size is then
    /// 2^(number of widths + 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stem_channels: Option<Vec<usize>>,
    /// Each block starts with a depth-wise 3×3 convolution over the patch grid instead of a table of positions.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub conditional_positions: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub pooling: Pooling,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_head: Option<PatchHeadConfig>,
    #[serde(skip_serializing_if = "is_default")]
    pub input_normalisation: InputNormalisation,
    /// Blocks, counted from 1, that detectors read unless told otherwise; see [`VisionConfig::default_layers`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_layers: Option<Vec<usize>>,
    /// 2: the network sees each photo at half its size too, and the layers that detectors read are a mean of both sizes; see
    /// `model::pyramid`. Photo and patch embeddings are of the full size. 1: no other size.
    #[serde(skip_serializing_if = "is_one")]
    pub pyramid_levels: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
fn is_one(n: &usize) -> bool {
    *n == 1
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for VisionConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: 224,
            patch_size: 32,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
            stem_channels: None,
            conditional_positions: false,
            pooling: Pooling::Cls,
            patch_head: None,
            input_normalisation: InputNormalisation::None,
            default_layers: None,
            pyramid_levels: 1,
        }
    }
}

impl VisionConfig {
    /// Patches along a side of the square grid that the position embeddings were trained for.
    pub fn trained_grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Tokens in front of the patches: 1 with a class token, else 0.
    pub fn prefix_tokens(&self) -> usize {
        usize::from(self.pooling == Pooling::Cls)
    }

    /// Blocks (from 1) that detectors read: the file's own choice, else 9, 10, 11 of twelve, else the last three.
    pub fn default_layers(&self) -> Vec<usize> {
        match (&self.default_layers, self.num_hidden_layers) {
            (Some(layers), _) => layers.clone(),
            (None, 12) => vec![9, 10, 11],
            (None, n) => (n.saturating_sub(2).max(1)..=n).collect(),
        }
    }
}

/// `config.json` of a CLIP folder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClipConfig {
    pub model_type: String,
    pub text_config: TextConfig,
    pub vision_config: VisionConfig,
    /// Width of the joint embedding.
    pub projection_dim: usize,
    /// Natural logarithm of the inverse temperature before training.
    pub logit_scale_init_value: f64,
}

impl Default for ClipConfig {
    fn default() -> Self {
        Self {
            model_type: "clip".to_owned(),
            text_config: TextConfig::default(),
            vision_config: VisionConfig::default(),
            projection_dim: 512,
            logit_scale_init_value: 2.6592,
        }
    }
}

/// The file as it lies on disk. `*_config_dict` is an older spelling that, where it is given, wins as a whole.
#[derive(Deserialize)]
struct ConfigFile {
    model_type: Option<String>,
    text_config: Option<TextConfig>,
    text_config_dict: Option<TextConfig>,
    vision_config: Option<VisionConfig>,
    vision_config_dict: Option<VisionConfig>,
    projection_dim: Option<usize>,
    logit_scale_init_value: Option<f64>,
}

impl ClipConfig {
    /// Parses and checks the text of a `config.json`.
    pub fn parse(json: &str) -> Result<Self> {
        Self::parse_as(json, "clip")
    }

    /// The same where the file calls its model type `kind`.
    pub(super) fn parse_as(json: &str, kind: &str) -> Result<Self> {
        let file: ConfigFile = serde_json::from_str(json).map_err(|error| {
            Error::model(format!("config.json cannot be read: {error}. Download the model again, or correct the file."))
        })?;
        if let Some(other) = file.model_type.as_deref().filter(|other| *other != kind) {
            return Err(Error::model(format!(
                "config.json describes a model of type `{other}`, where `{kind}` is wanted. Choose another folder."
            )));
        }
        let published = Self::default();
        let config = Self {
            model_type: kind.to_owned(),
            text_config: file.text_config_dict.or(file.text_config).unwrap_or_default(),
            vision_config: file.vision_config_dict.or(file.vision_config).unwrap_or_default(),
            projection_dim: file.projection_dim.unwrap_or(published.projection_dim),
            logit_scale_init_value: file.logit_scale_init_value.unwrap_or(published.logit_scale_init_value),
        };
        config.check()?;
        Ok(config)
    }

    /// Reads and checks a `config.json`.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::io("Cannot read the model's config.json", path, &error))?;
        Self::parse(&text).map_err(|error| error.at(path))
    }

    /// The `config.json` of a folder with f32 weights, with what transformers' classes for one tower look for as well.
    pub fn published(&self) -> serde_json::Value {
        let mut json = serde_json::json!(self);
        json["architectures"] = serde_json::json!(["CLIPModel"]);
        json["torch_dtype"] = serde_json::json!("float32");
        for (tower, kind) in [("text_config", "clip_text_model"), ("vision_config", "clip_vision_model")] {
            json[tower]["model_type"] = serde_json::json!(kind);
            json[tower]["projection_dim"] = serde_json::json!(self.projection_dim);
        }
        json
    }

    /// Refuses numbers from which no network can be built.
    pub fn check(&self) -> Result<()> {
        let (text, vision) = (&self.text_config, &self.vision_config);
        let wrong = |what: String| Err(Error::model(format!("config.json: {what}.")));
        let sizes = [
            ("text_config.vocab_size", text.vocab_size),
            ("text_config.hidden_size", text.hidden_size),
            ("text_config.intermediate_size", text.intermediate_size),
            ("text_config.num_hidden_layers", text.num_hidden_layers),
            ("text_config.num_attention_heads", text.num_attention_heads),
            ("vision_config.hidden_size", vision.hidden_size),
            ("vision_config.intermediate_size", vision.intermediate_size),
            ("vision_config.num_hidden_layers", vision.num_hidden_layers),
            ("vision_config.num_attention_heads", vision.num_attention_heads),
            ("vision_config.patch_size", vision.patch_size),
            ("projection_dim", self.projection_dim),
        ];
        check_sizes(&sizes)?;
        if text.max_position_embeddings < 3 {
            return wrong(format!(
                "text_config.max_position_embeddings is {}, which leaves no room for a word",
                text.max_position_embeddings
            ));
        }
        if vision.num_channels != 3 {
            return wrong(format!(
                "vision_config.num_channels is {}; only 3 (red, green, blue) is known",
                vision.num_channels
            ));
        }
        for (name, width, heads) in [
            ("text_config", text.hidden_size, text.num_attention_heads),
            ("vision_config", vision.hidden_size, vision.num_attention_heads),
        ] {
            if width % heads != 0 {
                return wrong(format!("{name}.hidden_size {width} is not a multiple of num_attention_heads {heads}"));
            }
        }
        if vision.image_size < vision.patch_size {
            return wrong(format!(
                "vision_config.image_size {} is below patch_size {}",
                vision.image_size, vision.patch_size
            ));
        }
        if let Some(widths) = &vision.stem_channels {
            if widths.iter().any(|&width| width == 0 || width % 4 != 0) {
                return wrong(format!(
                    "vision_config.stem_channels {widths:?} must be multiples of 4, one group norm group each"
                ));
            }
            if vision.patch_size != 1 << (widths.len() + 1) {
                return wrong(format!(
                    "vision_config.patch_size {} does not fit a stem of {} stages",
                    vision.patch_size,
                    widths.len() + 1
                ));
            }
        }
        let named =
            vision.patch_head.iter().flat_map(|head| &head.layers).chain(vision.default_layers.iter().flatten());
        for &layer in named {
            if layer == 0 || layer > vision.num_hidden_layers {
                return wrong(format!(
                    "layer {layer} is named, but the blocks are numbered 1 to {}",
                    vision.num_hidden_layers
                ));
            }
        }
        if vision.patch_head.as_ref().is_some_and(|head| head.layers.is_empty() || head.dim == 0) {
            return wrong("vision_config.patch_head needs at least one layer and a dim above 0".to_owned());
        }
        if !(1..=2).contains(&vision.pyramid_levels) {
            return wrong(format!("vision_config.pyramid_levels is {}; 1 and 2 are known", vision.pyramid_levels));
        }
        if vision.pyramid_levels > 1 && (vision.pooling == Pooling::Cls || !vision.conditional_positions) {
            return wrong("vision_config.pyramid_levels 2 needs pooling `mean` and conditional_positions".to_owned());
        }
        Ok(())
    }
}

/// Refuses a size from which nothing can be built, by its name in the file.
pub(super) fn check_sizes(sizes: &[(&str, usize)]) -> Result<()> {
    match sizes.iter().find(|(_, size)| *size == 0 || *size > 1 << 20) {
        Some((name, size)) => Err(Error::model(format!("config.json: {name} is {size}, which is out of range."))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_published_base_model() {
        let config = ClipConfig::parse("{}").expect("every field has a default");
        assert_eq!(config, ClipConfig::default());
        assert_eq!((config.vision_config.trained_grid(), config.text_config.eos_token_id), (7, 49_407));
    }

    #[test]
    fn the_older_spelling_wins_as_a_whole() {
        let json = r#"{"text_config": {"hidden_size": 64, "num_hidden_layers": 3}, "text_config_dict": {"hidden_size": 768, "num_attention_heads": 12},
            "vision_config_dict": null, "vision_config": {"patch_size": 14, "hidden_size": 1024, "num_attention_heads": 16}, "projection_dim": 768}"#;
        let config = ClipConfig::parse(json).expect("valid");
        assert_eq!((config.text_config.hidden_size, config.text_config.num_hidden_layers), (768, 12));
        assert_eq!((config.vision_config.trained_grid(), config.projection_dim), (16, 768));
    }

    #[test]
    fn impossible_numbers_are_named() {
        for (json, named) in [
            (r#"{"vision_config": {"hidden_size": 770}}"#, "multiple of num_attention_heads"),
            (r#"{"vision_config": {"patch_size": 0}}"#, "patch_size"),
            (r#"{"vision_config": {"patch_head": {"layers": [13], "dim": 8}}}"#, "layer 13"),
            (r#"{"vision_config": {"stem_channels": [32, 64], "patch_size": 16}}"#, "stem"),
            (r#"{"vision_config": {"pyramid_levels": 3}}"#, "pyramid_levels is 3"),
            (r#"{"vision_config": {"pyramid_levels": 2}}"#, "pooling"),
            (r#"{"model_type": "dinov2"}"#, "dinov2"),
            (r#"{"text_config": {"hidden_act": "silu"}}"#, "silu"),
            ("not json", "cannot be read"),
        ] {
            let message = ClipConfig::parse(json).expect_err("must be refused").to_string();
            assert!(message.contains(named), "{json}: {message}");
        }
    }

    #[test]
    fn the_end_token_is_found_in_both_forms() {
        let mut text = TextConfig::default();
        assert_eq!(text.end_position(&[49_406, 320, 49_407, 49_407]), Some(2));
        assert_eq!(text.end_position(&[49_406, 320]), None);
        text.eos_token_id = 2;
        assert_eq!(text.end_position(&[49_406, 320, 49_407, 0, 0]), Some(2));
    }

    #[test]
    fn layers_that_detectors_read() {
        let layers = |n| VisionConfig { num_hidden_layers: n, ..VisionConfig::default() }.default_layers();
        assert_eq!(layers(12), [9, 10, 11]);
        assert_eq!(layers(24), [22, 23, 24]);
        assert_eq!(layers(2), [1, 2]);
    }

    #[test]
    fn a_written_config_reads_back_equal() {
        let mut config = ClipConfig::default();
        config.vision_config.patch_head = Some(PatchHeadConfig { layers: vec![3, 6], dim: 64 });
        config.vision_config.pooling = Pooling::Mean;
        config.vision_config.conditional_positions = true;
        config.vision_config.pyramid_levels = 2;
        let json = serde_json::to_string(&config).expect("plain data");
        assert_eq!(ClipConfig::parse(&json).expect("own output"), config);
    }
}
