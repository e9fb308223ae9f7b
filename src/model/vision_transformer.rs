//! The plain vision transformer (Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words"): class token, table of
//! positions, pre-norm blocks, last layer norm, no projection and no text. DINOv2 (Oquab et al. 2023; with registers,
//! Darcet et al. 2024) and timm's ViTs are this network; `dinov2` and `timm` read their configurations. The embedding of
//! an image is its layer-normed class token.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

use super::config::{Activation, check_sizes};
use super::layer_norm::LayerNorm;
use super::positions::{self, Bicubic};
use super::source::ModelKind;
use super::stem::Stem;
use super::vit::{Encoder, EncoderConfig};
use crate::{Error, Result};

/// Sizes of a plain vision transformer.
#[derive(Clone, Debug, PartialEq)]
pub struct VitConfig {
    pub kind: ModelKind,
    pub width: usize,
    /// Width between the two linear layers of a block.
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    /// Pixels along a patch.
    pub patch_size: usize,
    /// Side of the square input that the positions were trained for, in pixels.
    pub image_size: usize,
    /// Shorter side of the input that detectors use unless told otherwise, in pixels.
    pub short_side: usize,
    /// Tokens between class token and patches that have no position.
    pub registers: usize,
    pub activation: Activation,
    pub epsilon: f64,
    /// SwiGLU instead of an activation.
    pub gated: bool,
    pub layer_scale: bool,
    /// How positions are brought to another grid.
    pub bicubic: Bicubic,
}

impl VitConfig {
    /// Refuses numbers from which no network can be built.
    pub fn check(&self) -> Result<()> {
        check_sizes(&[
            ("the width", self.width),
            ("the hidden width of a block", self.hidden),
            ("the number of blocks", self.layers),
            ("the number of heads", self.heads),
            ("the patch size", self.patch_size),
            ("the image size", self.image_size),
        ])?;
        if !self.width.is_multiple_of(self.heads) {
            return Err(Error::model(format!(
                "config.json: the width {} is not a multiple of the number of heads {}.",
                self.width, self.heads
            )));
        }
        if self.image_size < self.patch_size {
            return Err(Error::model(format!(
                "config.json: the image size {} is below the patch size {}.",
                self.image_size, self.patch_size
            )));
        }
        Ok(())
    }

    /// Patches along a side of the square grid that the positions were trained for.
    pub fn trained_grid(&self) -> usize {
        self.image_size / self.patch_size
    }
}

/// What the network says of a batch of images.
#[derive(Debug, Clone)]
pub struct VitOutput {
    /// `[batch, width]`: the class token after the last layer norm, not L2-normalised.
    pub embedding: Tensor<2>,
    /// Raw outputs of the blocks asked for, patches only: `[batch, patches, width]` each, row by row.
    pub layers: Vec<Tensor<3>>,
    /// Patch grid (rows, columns).
    pub grid: (usize, usize),
}

/// Images to an embedding and patch tokens.
#[derive(Module, Debug)]
pub struct VisionTransformer {
    pub stem: Stem,
    /// `[width]`
    pub class_token: Param<Tensor<1>>,
    /// `[registers, width]`
    pub registers: Option<Param<Tensor<2>>>,
    /// `[1 + trained grid², width]`, the class token's first.
    pub positions: Param<Tensor<2>>,
    pub encoder: Encoder,
    pub norm: LayerNorm,
    trained_grid: usize,
    #[module(skip)]
    bicubic: Bicubic,
}

impl VisionTransformer {
    /// A network with random weights of the sizes in `config`, which must have passed [`VitConfig::check`].
    pub fn new(config: &VitConfig, device: &Device) -> Self {
        let (width, trained_grid) = (config.width, config.trained_grid());
        let small = Initializer::Normal { mean: 0.0, std: 0.02 };
        let encoder = EncoderConfig {
            layers: config.layers,
            width,
            heads: config.heads,
            hidden: config.hidden,
            activation: config.activation,
            epsilon: config.epsilon,
            gated: config.gated,
            layer_scale: config.layer_scale,
            causal: false,
            conditional_positions: false,
        };
        Self {
            stem: Stem::plain(width, config.patch_size, device),
            class_token: small.init([width], device),
            registers: (config.registers > 0).then(|| small.init([config.registers, width], device)),
            positions: small.init([1 + trained_grid * trained_grid, width], device),
            encoder: Encoder::new(&encoder, device),
            norm: LayerNorm::new(width, config.epsilon, device),
            trained_grid,
            bicubic: config.bicubic,
        }
    }

    /// Pixels `[batch, 3, height, width]`, normalised, both sides multiples of the patch; `layers` are block numbers from
    /// 1 whose hidden patches are wanted.
    pub fn forward(&self, pixels: Tensor<4>, layers: &[usize]) -> VitOutput {
        let (patches, grid) = self.stem.forward(pixels);
        let [batch, count, width] = patches.dims();
        let each = |tokens: Tensor<2>| {
            let [count, _] = tokens.dims();
            tokens.unsqueeze::<3>().expand([batch, count, width])
        };
        let positions = positions::on_grid(self.positions.val(), self.trained_grid, grid, self.bicubic);
        let class_token = self.class_token.val().unsqueeze::<2>() + positions.clone().narrow(0, 0, 1);
        let mut tokens = vec![each(class_token)];
        tokens.extend(self.registers.as_ref().map(|registers| each(registers.val())));
        tokens.push(patches + positions.narrow(0, 1, count).unsqueeze::<3>());
        let x = Tensor::cat(tokens, 1);
        let prefix = x.dims()[1] - count;

        let (last, hidden) = self.encoder.forward(x, grid, layers);
        VitOutput {
            embedding: self.norm.forward(last.narrow(1, 0, 1)).reshape([batch, width]),
            layers: hidden.into_iter().map(|x| x.narrow(1, prefix, count)).collect(),
            grid,
        }
    }

    /// Hidden patches of any layer through the last layer norm, the same shape. Of the last layer these are the patch
    /// tokens that DINOv2's authors use (`x_norm_patchtokens`).
    pub fn normed(&self, hidden: Tensor<3>) -> Tensor<3> {
        self.norm.forward(hidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    #[test]
    fn shapes_with_registers_on_a_grid_that_is_not_square() {
        let device = Device::flex();
        let config = VitConfig {
            kind: ModelKind::Dinov2,
            width: 24,
            hidden: 40,
            layers: 3,
            heads: 3,
            patch_size: 8,
            image_size: 32,
            short_side: 32,
            registers: 4,
            activation: Activation::Gelu,
            epsilon: 1e-6,
            gated: true,
            layer_scale: true,
            bicubic: Bicubic::Antialiased,
        };
        config.check().expect("fits");
        let network = VisionTransformer::new(&config, &device);
        let pixels = Tensor::random([2, 3, 24, 40], Distribution::Normal(0.0, 1.0), &device);
        let out = network.forward(pixels, &[3, 1]);
        assert_eq!((out.grid, out.embedding.dims()), ((3, 5), [2, 24]));
        assert_eq!(out.layers.iter().map(Tensor::dims).collect::<Vec<_>>(), [[2, 15, 24]; 2]);
        assert_eq!(network.normed(out.layers[0].clone()).dims(), [2, 15, 24]);
        assert!(VitConfig { heads: 5, ..config.clone() }.check().is_err());
        assert!(VitConfig { patch_size: 0, ..config }.check().is_err());
    }
}
