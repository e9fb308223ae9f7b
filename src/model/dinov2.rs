//! `config.json` of a DINOv2 folder in transformers' layout (Oquab et al. 2023, "DINOv2: Learning Robust Visual Features
//! without Supervision"; Darcet et al. 2024, "Vision Transformers Need Registers"; reference: transformers
//! `modeling_dinov2.py` and `modeling_dinov2_with_registers.py`) in terms of [`VitConfig`].

use serde::Deserialize;

use super::config::Activation;
use super::names::Naming;
use super::positions::Bicubic;
use super::source::ModelKind;
use super::vision_transformer::VitConfig;
use crate::{Error, Result};

/// `model_type` of the plain models.
pub const PLAIN: &str = "dinov2";
/// `model_type` of the models with registers.
pub const WITH_REGISTERS: &str = "dinov2_with_registers";
/// Shorter side of a detector's input in pixels (AnomalyDINO, Damm et al. 2025); a multiple of the patch of 14.
const SHORT_SIDE: usize = 448;

/// The file; fields that it leaves out take the defaults of transformers' configuration classes.
#[derive(Deserialize)]
#[serde(default)]
struct File {
    model_type: String,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    mlp_ratio: f64,
    hidden_act: Activation,
    layer_norm_eps: f64,
    image_size: usize,
    patch_size: Option<usize>,
    num_channels: usize,
    qkv_bias: bool,
    use_swiglu_ffn: bool,
    num_register_tokens: usize,
}

impl Default for File {
    fn default() -> Self {
        Self {
            model_type: PLAIN.to_owned(),
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            mlp_ratio: 4.0,
            hidden_act: Activation::Gelu,
            layer_norm_eps: 1e-6,
            image_size: 224,
            patch_size: None,
            num_channels: 3,
            qkv_bias: true,
            use_swiglu_ffn: false,
            num_register_tokens: 4,
        }
    }
}

/// Parses and checks the text of a `config.json`.
pub fn parse(json: &str) -> Result<VitConfig> {
    let file: File = serde_json::from_str(json).map_err(|error| {
        Error::model(format!("config.json cannot be read: {error}. Download the model again, or correct the file."))
    })?;
    let registers = match file.model_type.as_str() {
        PLAIN => 0,
        WITH_REGISTERS => file.num_register_tokens,
        other => return Err(Error::model(format!("config.json describes a model of type `{other}`, not DINOv2."))),
    };
    if file.num_channels != 3 {
        return Err(Error::model(format!(
            "config.json: num_channels is {}; only 3 (red, green, blue) is known.",
            file.num_channels
        )));
    }
    if !file.qkv_bias {
        return Err(Error::model(
            "config.json: qkv_bias is false, which no published DINOv2 has. Choose another folder.",
        ));
    }
    if !(file.mlp_ratio > 0.0 && file.mlp_ratio <= 1024.0) {
        return Err(Error::model(format!("config.json: mlp_ratio is {}, which is out of range.", file.mlp_ratio)));
    }
    let whole = (file.hidden_size as f64 * file.mlp_ratio) as usize;
    let config = VitConfig {
        kind: ModelKind::Dinov2,
        width: file.hidden_size,
        // Two thirds, so that the gate costs nothing, rounded up to a multiple of eight.
        hidden: if file.use_swiglu_ffn { (whole * 2 / 3).next_multiple_of(8) } else { whole },
        layers: file.num_hidden_layers,
        heads: file.num_attention_heads,
        patch_size: file.patch_size.unwrap_or(if registers == 0 { 14 } else { 16 }),
        image_size: file.image_size,
        short_side: SHORT_SIDE,
        registers,
        activation: file.hidden_act,
        epsilon: file.layer_norm_eps,
        gated: file.use_swiglu_ffn,
        layer_scale: true,
        bicubic: if registers == 0 { Bicubic::Plain } else { Bicubic::Antialiased },
    };
    config.check()?;
    Ok(config)
}

/// How the weights of such a model are called.
pub fn naming(config: &VitConfig) -> Naming {
    if config.gated { Naming::Dinov2Gated } else { Naming::Dinov2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sizes() {
        let small =
            parse(r#"{"model_type": "dinov2", "hidden_size": 384, "num_attention_heads": 6, "image_size": 518}"#)
                .expect("as published");
        assert_eq!((small.hidden, small.patch_size, small.trained_grid(), small.registers), (1536, 14, 37, 0));
        let giant = parse(
            r#"{"model_type": "dinov2_with_registers", "hidden_size": 1536, "num_attention_heads": 24, "num_hidden_layers": 40,
            "image_size": 518, "patch_size": 14, "use_swiglu_ffn": true, "num_register_tokens": 4}"#,
        )
        .expect("as published");
        assert_eq!((giant.hidden, giant.registers, giant.bicubic), (4096, 4, Bicubic::Antialiased));
    }

    #[test]
    fn what_cannot_be_built_is_named() {
        for (json, named) in [
            (r#"{"model_type": "dinov3_vit"}"#, "dinov3_vit"),
            (r#"{"qkv_bias": false}"#, "qkv_bias"),
            (r#"{"num_channels": 1}"#, "num_channels"),
            (r#"{"num_attention_heads": 7}"#, "heads 7"),
            (r#"{"mlp_ratio": -1}"#, "mlp_ratio"),
            (r#"{"hidden_act": "silu"}"#, "silu"),
            (r#"{"image_size": [518, 518]}"#, "cannot be read"),
        ] {
            let message = parse(json).expect_err("must be refused").to_string();
            assert!(message.contains(named), "{json}: {message}");
        }
    }
}
