//! Transformer blocks in the form that CLIP's two towers and plain ViTs share (Dosovitskiy et al. 2021, "An Image is
//! Worth 16x16 Words"; reference: transformers `modeling_clip.py` and `modeling_dinov2.py`). Query, key and value are one
//! fused linear layer. Every linear layer of a block goes through [`dense`], the one place where a device may have
//! something faster.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Initializer, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Tensor, activation};

use super::config::Activation;
use super::layer_norm::LayerNorm;
use crate::gpu;

/// A linear layer and its activation: `[batch, tokens, in]` → `[batch, tokens, out]`.
pub fn dense(layer: &Linear, x: Tensor<3>, after: Activation) -> Tensor<3> {
    if gpu::is_cpu(&x) {
        return gpu::linear::linear(x, layer.weight.val(), layer.bias.as_ref().map(Param::val), after);
    }
    activate(layer.forward(x), after)
}

/// The activation alone, any shape.
pub fn activate<const D: usize>(x: Tensor<D>, which: Activation) -> Tensor<D> {
    match which {
        Activation::Identity => x,
        Activation::QuickGelu => x.clone() * activation::sigmoid(x * 1.702),
        Activation::Gelu => activation::gelu(x),
        Activation::Relu => activation::relu(x),
    }
}

/// Sizes of a stack of blocks.
#[derive(Clone, Debug)]
pub struct EncoderConfig {
    pub layers: usize,
    pub width: usize,
    pub heads: usize,
    /// Width between the two linear layers of a block.
    pub hidden: usize,
    pub activation: Activation,
    pub epsilon: f64,
    /// The first linear layer of a block makes a gate and a value instead of passing an activation (SwiGLU).
    pub gated: bool,
    /// Each branch of a block is scaled per channel before it is added (LayerScale).
    pub layer_scale: bool,
    /// A token sees only those before it (text).
    pub causal: bool,
    /// Each block starts with a depth-wise convolution over the patch grid.
    pub conditional_positions: bool,
}

/// Multi-head self-attention.
#[derive(Module, Debug)]
pub struct Attention {
    /// Query, key and value side by side: `[width, 3 × width]`.
    pub qkv: Linear,
    pub out: Linear,
    heads: usize,
    causal: bool,
}

impl Attention {
    pub(super) fn new(config: &EncoderConfig, device: &Device) -> Self {
        let width = config.width;
        Self {
            qkv: LinearConfig::new(width, 3 * width).init(device),
            out: LinearConfig::new(width, width).init(device),
            heads: config.heads,
            causal: config.causal,
        }
    }

    /// `[batch, tokens, width]` → the same shape.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, width] = x.dims();
        let head = width / self.heads;
        let qkv = dense(&self.qkv, x, Activation::Identity);
        if gpu::is_cpu(&qkv) {
            let mixed = gpu::attention::self_attention(qkv, self.heads, self.causal);
            return dense(&self.out, mixed, Activation::Identity);
        }
        let part = |index: usize| {
            qkv.clone().narrow(2, index * width, width).reshape([batch, tokens, self.heads, head]).swap_dims(1, 2)
        };
        let options = AttentionModuleOptions { is_causal: self.causal, ..Default::default() };
        let mixed = attention(part(0), part(1), part(2), None, None, options);
        dense(&self.out, mixed.swap_dims(1, 2).reshape([batch, tokens, width]), Activation::Identity)
    }
}

/// Two linear layers with an activation between, or with a gate (Shazeer 2020, "GLU Variants Improve Transformer").
#[derive(Module, Debug)]
pub struct Mlp {
    /// `[width, hidden]`; with a gate `[width, 2 × hidden]`, gate first.
    pub fc1: Linear,
    pub fc2: Linear,
    gated: bool,
    #[module(skip)]
    activation: Activation,
}

impl Mlp {
    pub(super) fn new(config: &EncoderConfig, device: &Device) -> Self {
        Self {
            fc1: LinearConfig::new(config.width, config.hidden * (1 + usize::from(config.gated))).init(device),
            fc2: LinearConfig::new(config.hidden, config.width).init(device),
            gated: config.gated,
            activation: config.activation,
        }
    }

    /// `[batch, tokens, width]` → the same shape.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        if self.gated {
            let both = dense(&self.fc1, x, Activation::Identity);
            let hidden = both.dims()[2] / 2;
            let gate = activation::silu(both.clone().narrow(2, 0, hidden));
            return dense(&self.fc2, gate * both.narrow(2, hidden, hidden), Activation::Identity);
        }
        dense(&self.fc2, dense(&self.fc1, x, self.activation), Activation::Identity)
    }
}

/// One pre-norm block.
#[derive(Module, Debug)]
pub struct Block {
    /// Depth-wise 3×3 over the patch grid (Chu et al. 2021, "Conditional Positional Encodings for Vision Transformers").
    pub position: Option<Conv2d>,
    pub norm1: LayerNorm,
    pub attention: Attention,
    /// `[width]`: LayerScale of the attention (Touvron et al. 2021, "Going deeper with Image Transformers").
    pub scale1: Option<Param<Tensor<1>>>,
    pub norm2: LayerNorm,
    pub mlp: Mlp,
    /// `[width]`: LayerScale of the two linear layers.
    pub scale2: Option<Param<Tensor<1>>>,
}

impl Block {
    fn new(config: &EncoderConfig, device: &Device) -> Self {
        let norm = || LayerNorm::new(config.width, config.epsilon, device);
        let position = config.conditional_positions.then(|| {
            Conv2dConfig::new([config.width, config.width], [3, 3])
                .with_groups(config.width)
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(device)
        });
        let scale = || config.layer_scale.then(|| Initializer::Ones.init([config.width], device));
        Self {
            position,
            norm1: norm(),
            attention: Attention::new(config, device),
            scale1: scale(),
            norm2: norm(),
            mlp: Mlp::new(config, device),
            scale2: scale(),
        }
    }

    /// `[batch, tokens, width]` → the same shape. `grid` is the patch grid (rows, columns); tokens in front of the
    /// patches are left out of the depth-wise convolution.
    pub fn forward(&self, x: Tensor<3>, grid: (usize, usize)) -> Tensor<3> {
        let x = match &self.position {
            Some(conv) => with_positions(conv, x, grid),
            None => x,
        };
        let x = x.clone() + scaled(self.attention.forward(self.norm1.forward(x)), self.scale1.as_ref());
        x.clone() + scaled(self.mlp.forward(self.norm2.forward(x)), self.scale2.as_ref())
    }
}

/// A branch times its LayerScale, if there is one.
fn scaled(x: Tensor<3>, scale: Option<&Param<Tensor<1>>>) -> Tensor<3> {
    match scale {
        Some(scale) => x * scale.val().unsqueeze::<3>(),
        None => x,
    }
}

/// x + depth-wise convolution of x over the patch grid.
fn with_positions(conv: &Conv2d, x: Tensor<3>, (rows, columns): (usize, usize)) -> Tensor<3> {
    let [batch, tokens, width] = x.dims();
    let patches = rows * columns;
    let prefix = tokens - patches;
    let body = x.clone().narrow(1, prefix, patches);
    let moved = match &conv.bias {
        Some(bias) if gpu::is_cpu(&x) => {
            gpu::depthwise::add_depthwise(body, conv.weight.val(), bias.val(), (rows, columns))
        }
        _ => {
            let image = body.clone().swap_dims(1, 2).reshape([batch, width, rows, columns]);
            body + conv.forward(image).reshape([batch, width, patches]).swap_dims(1, 2)
        }
    };
    if prefix == 0 { moved } else { Tensor::cat(vec![x.narrow(1, 0, prefix), moved], 1) }
}

/// A stack of blocks.
#[derive(Module, Debug)]
pub struct Encoder {
    pub blocks: Vec<Block>,
}

impl Encoder {
    pub fn new(config: &EncoderConfig, device: &Device) -> Self {
        Self { blocks: (0..config.layers).map(|_| Block::new(config, device)).collect() }
    }

    /// `[batch, tokens, width]` → the last block's output, and the outputs of the blocks in `layers` (counted from 1, in
    /// the order asked for, repetition allowed).
    ///
    /// `grid` is the patch grid of an image; (1, tokens) for text, which has no use for it.
    ///
    /// # Panics
    /// If a layer is not between 1 and the number of blocks.
    pub fn forward(&self, mut x: Tensor<3>, grid: (usize, usize), layers: &[usize]) -> (Tensor<3>, Vec<Tensor<3>>) {
        let mut kept: Vec<Option<Tensor<3>>> = vec![None; layers.len()];
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.forward(x, grid);
            for (slot, _) in kept.iter_mut().zip(layers).filter(|(_, layer)| **layer == index + 1) {
                *slot = Some(x.clone());
            }
        }
        let outputs =
            kept.into_iter().map(|slot| slot.expect("layers are numbered from 1 to the number of blocks")).collect();
        (x, outputs)
    }
}
