//! CLIPSeg (Lüddecke and Ecker 2022, "Image Segmentation Using Text and Image Prompts"; reference: transformers
//! `modeling_clipseg.py`): a small decoder over three blocks of a frozen CLIP, steered by the embedding of a text or a
//! picture. Published as `CIDAS/clipseg-rd64` and `-rd64-refined`. Photos and prompts are `clipseg_model`'s business.

use std::path::Path;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor, activation};
use serde::{Deserialize, Serialize};

use super::clip::Clip;
use super::config::{Activation, ClipConfig};
use super::layer_norm::LayerNorm;
use super::vit::{Attention, EncoderConfig, Mlp};
use crate::{Error, Result};

/// `config.json` of a CLIPSeg folder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClipSegConfig {
    /// Both towers; `model_type` is `clipseg`.
    #[serde(flatten)]
    pub clip: ClipConfig,
    #[serde(flatten)]
    pub decoder: DecoderConfig,
}

/// Sizes of the decoder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DecoderConfig {
    /// Width of the decoder.
    pub reduce_dim: usize,
    /// Blocks of the vision tower that it reads, counted from 0 as in the files.
    pub extract_layers: Vec<usize>,
    pub decoder_num_attention_heads: usize,
    pub decoder_intermediate_size: usize,
    /// Block of the decoder before which the prompt steps in.
    pub conditional_layer: usize,
    /// The refined form: a convolution and two enlargements instead of one.
    pub use_complex_transposed_convolution: bool,
}

impl Default for DecoderConfig {
    fn default() -> Self {
        Self {
            reduce_dim: 64,
            extract_layers: vec![3, 6, 9],
            decoder_num_attention_heads: 4,
            decoder_intermediate_size: 2048,
            conditional_layer: 0,
            use_complex_transposed_convolution: false,
        }
    }
}

impl ClipSegConfig {
    /// Parses and checks the text of a `config.json`.
    ///
    /// # Errors
    /// [`Error::Model`] for text that is no such thing and for numbers from which no network can be built.
    pub fn parse(json: &str) -> Result<Self> {
        let clip = ClipConfig::parse_as(json, "clipseg")?;
        let decoder: DecoderConfig = serde_json::from_str(json)
            .map_err(|e| Error::model(format!("config.json cannot be read: {e}. Download the model again.")))?;
        let config = Self { clip, decoder };
        config.check()?;
        Ok(config)
    }

    /// Refuses numbers from which no network can be built.
    ///
    /// # Errors
    /// [`Error::Model`] naming them.
    pub fn check(&self) -> Result<()> {
        let Self { clip, decoder } = self;
        let wrong = |what: String| Err(Error::model(format!("config.json: {what}.")));
        let DecoderConfig { reduce_dim, extract_layers, decoder_num_attention_heads: heads, .. } = decoder;
        if *heads == 0 || *reduce_dim == 0 || *reduce_dim > 1 << 16 || !reduce_dim.is_multiple_of(2 * heads) {
            return wrong(format!("reduce_dim {reduce_dim} does not fit {heads} decoder_num_attention_heads"));
        }
        let blocks = clip.vision_config.num_hidden_layers;
        if extract_layers.is_empty() || extract_layers.iter().any(|layer| *layer >= blocks) {
            return wrong(format!("extract_layers {extract_layers:?} must name blocks from 0 to {}", blocks - 1));
        }
        if decoder.conditional_layer >= extract_layers.len() {
            return wrong(format!("conditional_layer {} is beyond the decoder", decoder.conditional_layer));
        }
        if decoder.decoder_intermediate_size == 0 || decoder.decoder_intermediate_size > 1 << 20 {
            return wrong(format!("decoder_intermediate_size {} is out of range", decoder.decoder_intermediate_size));
        }
        let patch = clip.vision_config.patch_size;
        if decoder.use_complex_transposed_convolution && (patch / 4).pow(2) != patch {
            return wrong(format!("the refined decoder enlarges by {} twice, not by a patch of {patch}", patch / 4));
        }
        Ok(())
    }

    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// [`Error::Io`], and those of [`ClipSegConfig::parse`] with the path.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).map_err(|e| Error::io("Cannot read the model's config.json", path, &e))?;
        Self::parse(&text).map_err(|error| error.at(path))
    }
}

/// A transformer block that normalises after each branch instead of before.
#[derive(Module, Debug)]
pub struct DecoderBlock {
    attention: Attention,
    norm1: LayerNorm,
    mlp: Mlp,
    norm2: LayerNorm,
}

impl DecoderBlock {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = self.norm1.forward(x.clone() + self.attention.forward(x));
        self.norm2.forward(x.clone() + self.mlp.forward(x))
    }
}

/// Tokens back to pixels by a convolution and two enlargements by the fourth of a patch.
#[derive(Module, Debug)]
pub struct Refined {
    conv: Conv2d,
    up1: ConvTranspose2d,
    up2: ConvTranspose2d,
}

/// The part that CLIPSeg trains.
#[derive(Module, Debug)]
pub struct Decoder {
    film_mul: Linear,
    film_add: Linear,
    /// One for each block that is read, the last block first.
    reduces: Vec<Linear>,
    layers: Vec<DecoderBlock>,
    plain: Option<ConvTranspose2d>,
    refined: Option<Refined>,
    conditional_layer: usize,
}

impl Decoder {
    /// A decoder with random weights.
    pub fn new(config: &ClipSegConfig, device: &Device) -> Self {
        let (vision, decoder) = (&config.clip.vision_config, &config.decoder);
        let width = decoder.reduce_dim;
        let depth = decoder.extract_layers.len();
        let block = EncoderConfig {
            layers: depth,
            width,
            heads: decoder.decoder_num_attention_heads,
            hidden: decoder.decoder_intermediate_size,
            activation: Activation::Relu,
            epsilon: vision.layer_norm_eps,
            gated: false,
            layer_scale: false,
            causal: false,
            conditional_positions: false,
        };
        let norm = || LayerNorm::new(width, vision.layer_norm_eps, device);
        let enlarge = |from: usize, to: usize, by: usize| {
            ConvTranspose2dConfig::new([from, to], [by, by]).with_stride([by, by]).init(device)
        };
        let complex = decoder.use_complex_transposed_convolution;
        let film = || LinearConfig::new(config.clip.projection_dim, width).init(device);
        Self {
            film_mul: film(),
            film_add: film(),
            reduces: (0..depth).map(|_| LinearConfig::new(vision.hidden_size, width).init(device)).collect(),
            layers: (0..depth)
                .map(|_| DecoderBlock {
                    attention: Attention::new(&block, device),
                    norm1: norm(),
                    mlp: Mlp::new(&block, device),
                    norm2: norm(),
                })
                .collect(),
            plain: (!complex).then(|| enlarge(width, 1, vision.patch_size)),
            refined: complex.then(|| Refined {
                conv: Conv2dConfig::new([width, width], [3, 3])
                    .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                    .init(device),
                up1: enlarge(width, width / 2, vision.patch_size / 4),
                up2: enlarge(width / 2, 1, vision.patch_size / 4),
            }),
            conditional_layer: decoder.conditional_layer,
        }
    }

    /// Tokens of the blocks read (`[batch, tokens, width]` each, in the order of `extract_layers`) to the decoder's
    /// width, last block first: what does not depend on the prompt.
    pub fn reduce(&self, tokens: Vec<Tensor<3>>) -> Vec<Tensor<3>> {
        tokens.into_iter().rev().zip(&self.reduces).map(|(tokens, reduce)| reduce.forward(tokens)).collect()
    }

    /// Every prompt `[prompts, dim]` on every image: logits `[images × prompts, height, width]`, all prompts of an image
    /// together. See [`Decoder::forward`].
    pub fn forward_each(&self, reduced: Vec<Tensor<3>>, prompts: Tensor<2>, grid: (usize, usize)) -> Tensor<3> {
        let [count, dim] = prompts.dims();
        let images = reduced[0].dims()[0];
        let each = |x: Tensor<3>| {
            let [images, tokens, width] = x.dims();
            x.unsqueeze_dim::<4>(1).expand([images, count, tokens, width]).reshape([images * count, tokens, width])
        };
        let prompts = prompts.unsqueeze::<3>().expand([images, count, dim]).reshape([images * count, dim]);
        self.forward(reduced.into_iter().map(each).collect(), prompts, grid)
    }

    /// [`Decoder::reduce`]d tokens and one prompt `[batch, dim]` (not normalised) for each image, on a patch grid (rows,
    /// columns) → logits `[batch, rows × patch, columns × patch]`.
    pub fn forward(&self, reduced: Vec<Tensor<3>>, prompts: Tensor<2>, grid: (usize, usize)) -> Tensor<3> {
        let mut sum: Option<Tensor<3>> = None;
        for (index, (tokens, layer)) in reduced.into_iter().zip(&self.layers).enumerate() {
            let mut x = match sum {
                Some(sum) => tokens + sum,
                None => tokens,
            };
            if index == self.conditional_layer {
                let (mul, add) = (self.film_mul.forward(prompts.clone()), self.film_add.forward(prompts.clone()));
                x = x * mul.unsqueeze_dim::<3>(1) + add.unsqueeze_dim::<3>(1);
            }
            sum = Some(layer.forward(x));
        }
        let x = sum.expect("the configuration names at least one block");
        let [batch, tokens, width] = x.dims();
        let patches = grid.0 * grid.1;
        let x = x.narrow(1, tokens - patches, patches).swap_dims(1, 2).reshape([batch, width, grid.0, grid.1]);
        let x = match (&self.plain, &self.refined) {
            (Some(plain), _) => plain.forward(x),
            (None, Some(refined)) => {
                let x = activation::relu(refined.conv.forward(x));
                refined.up2.forward(activation::relu(refined.up1.forward(x)))
            }
            (None, None) => unreachable!("`new` makes one of the two"),
        };
        let [batch, _, height, width] = x.dims();
        x.reshape([batch, height, width])
    }
}

/// The decoder without its towers, as the embedded model keeps it: its weights are named as in a whole folder.
#[derive(Module, Debug)]
pub struct Lone {
    pub decoder: Decoder,
}

/// CLIP and the decoder.
#[derive(Module, Debug)]
pub struct ClipSeg {
    pub clip: Clip,
    pub decoder: Decoder,
}

impl ClipSeg {
    /// A network with random weights of the sizes in `config`.
    pub fn new(config: &ClipSegConfig, device: &Device) -> Self {
        Self { clip: Clip::new(&config.clip, device), decoder: Decoder::new(config, device) }
    }
}
