//! Plain ViTs in timm's layout (reference: timm `vision_transformer.py`, `VisionTransformer` with a class token): sizes
//! from the tensors, preprocessing from `config.json` where there is one. A weight file alone says nothing of its
//! preprocessing; it is then taken for one of timm's own ImageNet models. Variants of the network are refused by name.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::config::Activation;
use super::positions::Bicubic;
use super::preprocess::{IMAGENET_MEAN, IMAGENET_STD, Preprocessor};
use super::resample::Filter;
use super::source::ModelKind;
use super::vision_transformer::VitConfig;
use crate::{Error, Result};

/// Shape of every tensor by name.
type Shapes = BTreeMap<String, Vec<usize>>;

/// Tensors that only variants of the network have, and what those are called.
const VARIANTS: [(&str, &str); 7] = [
    ("dist_token", "a distilled model (two class tokens)"),
    ("reg_token", "a model with registers"),
    ("norm_pre.", "a model with a layer norm before the blocks"),
    ("fc_norm.", "a model that averages its patches"),
    ("attn_pool.", "a model with an attention pool"),
    ("blocks.0.attn.q_norm.", "a model with normalised queries"),
    ("blocks.0.attn.rel_pos.", "a model with relative positions"),
];

/// `config.json` as timm writes it.
#[derive(Deserialize)]
struct File {
    architecture: String,
    global_pool: Option<String>,
    #[serde(default)]
    pretrained_cfg: Data,
    #[serde(default)]
    model_args: Arguments,
}

/// How photos are prepared; what is left out is as in timm's default for ViTs.
#[derive(Deserialize)]
#[serde(default)]
struct Data {
    input_size: Option<[u32; 3]>,
    interpolation: String,
    crop_pct: f64,
    crop_mode: String,
    mean: [f32; 3],
    std: [f32; 3],
}

impl Default for Data {
    fn default() -> Self {
        Self {
            input_size: None,
            interpolation: "bicubic".to_owned(),
            crop_pct: 0.9,
            crop_mode: "center".to_owned(),
            mean: [0.5; 3],
            std: [0.5; 3],
        }
    }
}

/// Arguments of the constructor that leave the network a plain one; any other is refused. All but `num_heads` show in
/// the tensors.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    num_heads: Option<usize>,
    img_size: serde::de::IgnoredAny,
    patch_size: serde::de::IgnoredAny,
    embed_dim: serde::de::IgnoredAny,
    depth: serde::de::IgnoredAny,
    num_classes: serde::de::IgnoredAny,
    init_values: serde::de::IgnoredAny,
    dynamic_img_size: serde::de::IgnoredAny,
}

/// Configuration of a folder with a `config.json`, whose tensors have these shapes.
pub fn parse(json: &str, shapes: &Shapes) -> Result<(VitConfig, Preprocessor)> {
    let file: File = serde_json::from_str(json).map_err(|error| {
        Error::model(format!("config.json cannot be read: {error}. Only plain ViTs of timm with a class token are."))
    })?;
    if let Some(other) = file.global_pool.as_deref().filter(|pool| !["token", ""].contains(pool)) {
        return Err(Error::model(format!(
            "config.json: {} pools by `{other}`; only `token` is known.",
            file.architecture
        )));
    }
    let config = sizes(shapes, file.model_args.num_heads)?;
    let preprocessor = preprocessor(&file.pretrained_cfg, config.image_size as u32)?;
    Ok((config, preprocessor))
}

/// Configuration of a lone weight file. Its preprocessing is that of timm's models trained on ImageNet: mean and
/// standard deviation 0.5, short side enlarged by 1/0.9; with LayerScale, which DINOv2 and `DeiT` III have, ImageNet's
/// statistics and no margin.
pub fn infer(shapes: &Shapes) -> Result<(VitConfig, Preprocessor)> {
    let config = sizes(shapes, None)?;
    let data = if config.layer_scale {
        Data { crop_pct: 1.0, mean: IMAGENET_MEAN, std: IMAGENET_STD, ..Data::default() }
    } else {
        Data::default()
    };
    let preprocessor = preprocessor(&data, config.image_size as u32)?;
    Ok((config, preprocessor))
}

fn preprocessor(data: &Data, image_size: u32) -> Result<Preprocessor> {
    let wrong = |what: String| Err(Error::model(format!("config.json: {what}.")));
    let size = match data.input_size {
        None => image_size,
        Some([3, height, width]) if height == width && (1..=8192).contains(&height) => height,
        Some(size) => return wrong(format!("input_size {size:?} is no square of three channels")),
    };
    let squash = match data.crop_mode.as_str() {
        "center" => false,
        "squash" => true,
        other => return wrong(format!("crop_mode `{other}` is not known; `center` and `squash` are")),
    };
    if !(data.crop_pct > 0.1 && data.crop_pct <= 1.0) {
        return wrong(format!("crop_pct is {}, but must lie between 0.1 and 1", data.crop_pct));
    }
    if data.std.iter().any(|std| *std <= 0.0 || !std.is_finite()) {
        return wrong("std must be above 0".to_owned());
    }
    let resize = (f64::from(size) / data.crop_pct).floor() as u32;
    let filter = Filter::from_timm(&data.interpolation)?;
    Ok(Preprocessor::timm(resize, squash, size, filter).with_statistics(data.mean, data.std))
}

/// Everything that the tensors tell; `heads` only where a file states them, else as usual for the width.
fn sizes(shapes: &Shapes, heads: Option<usize>) -> Result<VitConfig> {
    let variant = |(part, _): &&(&str, &str)| shapes.keys().any(|name| name.starts_with(part));
    if let Some((part, what)) = VARIANTS.iter().find(variant) {
        return Err(Error::model(format!(
            "This is {what}: it has the tensor {}. Only plain ViTs with one class token are read. Choose another model.",
            part.trim_end_matches('.')
        )));
    }
    let shape = |name: &str| {
        shapes.get(name).map(Vec::as_slice).ok_or_else(|| {
            Error::model(format!(
                "This is no ViT under timm's names: the tensor {name} is missing. Choose the folder of a model, with its config.json."
            ))
        })
    };
    let misshapen = |name: &str, shape: &[usize]| {
        Error::model(format!(
            "The tensor {name} has the shape {shape:?}, which no plain ViT has. Choose another model."
        ))
    };
    let name = "patch_embed.proj.weight";
    let &[width, 3, patch_size, across] = shape(name)? else { return Err(misshapen(name, shape(name)?)) };
    if patch_size != across || patch_size == 0 {
        return Err(misshapen(name, shape(name)?));
    }
    shape("cls_token")?;
    let name = "pos_embed";
    let &[1, tokens, _] = shape(name)? else { return Err(misshapen(name, shape(name)?)) };
    let grid = tokens.saturating_sub(1).isqrt();
    if grid == 0 || grid * grid + 1 != tokens {
        return Err(Error::model(format!(
            "pos_embed has {tokens} positions, which is not a class token and a square grid. Choose another model."
        )));
    }
    let (name, second) = ("blocks.0.mlp.fc1.weight", "blocks.0.mlp.fc2.weight");
    let &[first, _] = shape(name)? else { return Err(misshapen(name, shape(name)?)) };
    let &[_, hidden] = shape(second)? else { return Err(misshapen(second, shape(second)?)) };
    let block = |name: &String| name.strip_prefix("blocks.")?.split('.').next()?.parse::<usize>().ok();
    let config = VitConfig {
        kind: ModelKind::Vit,
        width,
        hidden,
        layers: shapes.keys().filter_map(block).max().unwrap_or(0) + 1,
        heads: heads.map_or_else(|| usual_heads(width), Ok)?,
        patch_size,
        image_size: grid * patch_size,
        short_side: grid * patch_size,
        registers: 0,
        activation: Activation::Gelu,
        epsilon: 1e-6,
        gated: first == 2 * hidden,
        layer_scale: shapes.contains_key("blocks.0.ls1.gamma"),
        bicubic: Bicubic::Antialiased,
    };
    config.check()?;
    Ok(config)
}

/// Heads do not show in the tensors: 64 channels each, but sixteen heads in the widest of the published sizes.
fn usual_heads(width: usize) -> Result<usize> {
    match width {
        1152 | 1280 | 1408 | 1664 => Ok(16),
        _ if width.is_multiple_of(64) => Ok(width / 64),
        _ => Err(Error::model(format!(
            "The number of heads of a ViT of width {width} is not known. State it in config.json: \"model_args\": {{\"num_heads\": …}}."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> Shapes {
        [
            ("cls_token", vec![1, 1, 192]),
            ("pos_embed", vec![1, 197, 192]),
            ("patch_embed.proj.weight", vec![192, 3, 16, 16]),
            ("blocks.0.mlp.fc1.weight", vec![768, 192]),
            ("blocks.0.mlp.fc2.weight", vec![192, 768]),
            ("blocks.11.norm1.weight", vec![192]),
        ]
        .map(|(name, shape)| (name.to_owned(), shape))
        .into()
    }

    #[test]
    fn the_sizes_show_in_the_tensors() {
        let (config, preprocessor) = infer(&tiny()).expect("plain");
        assert_eq!((config.layers, config.heads, config.hidden, config.image_size), (12, 3, 768, 224));
        assert!(!config.gated && !config.layer_scale);
        let published = r#"{"architecture": "vit_tiny_patch16_224", "num_classes": 1000, "num_features": 192, "global_pool": "token",
            "pretrained_cfg": {"tag": "augreg_in21k_ft_in1k", "input_size": [3, 224, 224], "fixed_input_size": true,
            "interpolation": "bicubic", "crop_pct": 0.9, "crop_mode": "center", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}}"#;
        let (read, same) = parse(published, &tiny()).expect("as published");
        assert_eq!((read, same), (config, preprocessor));
    }

    #[test]
    fn variants_are_refused_by_name() {
        for (tensor, named) in
            [("dist_token", "distilled"), ("reg_token", "registers"), ("norm_pre.weight", "norm_pre")]
        {
            let mut shapes = tiny();
            shapes.insert(tensor.to_owned(), vec![1, 1, 192]);
            let message = infer(&shapes).expect_err("a variant").to_string();
            assert!(message.contains(named), "{message}");
        }
        let mut shapes = tiny();
        shapes.insert("pos_embed".to_owned(), vec![1, 196, 192]);
        assert!(infer(&shapes).expect_err("no class position").to_string().contains("196 positions"));
        shapes.remove("pos_embed");
        assert!(infer(&shapes).expect_err("no positions").to_string().contains("pos_embed"));
        for (json, named) in [
            (r#"{"architecture": "vit", "global_pool": "avg"}"#, "`avg`"),
            (r#"{"architecture": "vit", "model_args": {"class_token": false}}"#, "class_token"),
            (r#"{"architecture": "vit", "pretrained_cfg": {"crop_mode": "border"}}"#, "border"),
            (r#"{"architecture": "vit", "pretrained_cfg": {"crop_pct": 0}}"#, "crop_pct"),
            (r#"{"architecture": "vit", "model_args": {"num_heads": 5}}"#, "heads 5"),
        ] {
            let message = parse(json, &tiny()).expect_err("must be refused").to_string();
            assert!(message.contains(named), "{json}: {message}");
        }
    }
}
