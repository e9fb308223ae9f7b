//! The way from pixels to patch vectors: one convolution with the patch as its kernel (the published ViT), or a few
//! 3×3 convolutions with stride 2 (Xiao et al. 2021, "Early Convolutions Help Transformers See Better"), which clearly
//! wins for networks of a few million parameters. No positions and no class token here.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, PaddingConfig2d};
use burn::tensor::{Device, FloatDType, Tensor, activation};

use super::config::{Activation, InputNormalisation, VisionConfig};
use crate::gpu;

/// Groups of the stem's group norm.
const GROUPS: usize = 4;

/// Conv 3×3 stride 2 → group norm → GELU.
#[derive(Module, Debug)]
pub struct StemStage {
    pub conv: Conv2d,
    pub norm: GroupNorm,
}

/// Pixels `[batch, 3, height, width]` to patch vectors.
#[derive(Module, Debug)]
pub struct Stem {
    /// Empty for a plain patch embedding.
    pub stages: Vec<StemStage>,
    pub projection: Conv2d,
    #[module(skip)]
    normalisation: InputNormalisation,
}

fn halving(from: usize, to: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([from, to], [3, 3])
        .with_stride([2, 2])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .init(device)
}

/// One convolution with the patch as its kernel.
fn patches(channels: usize, width: usize, patch: usize, bias: bool, device: &Device) -> Conv2d {
    Conv2dConfig::new([channels, width], [patch, patch]).with_stride([patch, patch]).with_bias(bias).init(device)
}

impl Stem {
    pub fn new(config: &VisionConfig, device: &Device) -> Self {
        let (channels, width, patch) = (config.num_channels, config.hidden_size, config.patch_size);
        let mut stages = Vec::new();
        let projection = if let Some(widths) = &config.stem_channels {
            let mut from = channels;
            for &to in widths {
                stages.push(StemStage {
                    conv: halving(from, to, device),
                    norm: GroupNormConfig::new(GROUPS, to).init(device),
                });
                from = to;
            }
            halving(from, width, device)
        } else {
            patches(channels, width, patch, false, device)
        };
        Self { stages, projection, normalisation: config.input_normalisation }
    }

    /// A plain patch embedding with bias, as ViTs outside CLIP have it.
    pub fn plain(width: usize, patch: usize, device: &Device) -> Self {
        let projection = patches(3, width, patch, true, device);
        Self { stages: Vec::new(), projection, normalisation: InputNormalisation::None }
    }

    /// Pixels `[batch, 3, height, width]`, both sides multiples of the patch → patch vectors `[batch, rows × columns, width]`
    /// row by row, and the grid (rows, columns).
    pub fn forward(&self, pixels: Tensor<4>) -> (Tensor<3>, (usize, usize)) {
        let mut x = match self.normalisation {
            InputNormalisation::None => pixels,
            InputNormalisation::PerImage => standardised(pixels),
        };
        // Weights may be rounded to another number type; pixels and their statistics are f32.
        let weights = FloatDType::from(self.projection.weight.val().dtype());
        if x.dtype() != weights.into() {
            x = x.cast(weights);
        }
        if gpu::is_cpu(&x) {
            return self.on_cpu(x);
        }
        for stage in &self.stages {
            x = activation::gelu(stage.norm.forward(stage.conv.forward(x)));
        }
        let x = self.projection.forward(x);
        let [batch, width, rows, columns] = x.dims();
        (x.reshape([batch, width, rows * columns]).swap_dims(1, 2), (rows, columns))
    }

    /// The same with the channels last and every convolution a linear layer, which is how the processor is quick.
    fn on_cpu(&self, pixels: Tensor<4>) -> (Tensor<3>, (usize, usize)) {
        let mut x = pixels.permute([0, 2, 3, 1]);
        let batch = x.dims()[0];
        for stage in &self.stages {
            let (rows, grid) = gpu::unfold::convolve(&stage.conv, x);
            let channels = rows.dims()[2];
            let rows = gpu::activate(gpu::norm::group_norm(&stage.norm, rows), Activation::Gelu);
            x = rows.reshape([batch, grid.0, grid.1, channels]);
        }
        gpu::unfold::convolve(&self.projection, x)
    }
}

/// Each image `[batch, c, h, w]` minus its mean, over its standard deviation; a flat image becomes 0.
fn standardised(pixels: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = pixels.dims();
    let flat = pixels.reshape([batch, channels * height * width]);
    let centred = flat.clone() - flat.mean_dim(1);
    let variance = centred.clone().powi_scalar(2).mean_dim(1);
    (centred / (variance + 1e-4).sqrt()).reshape([batch, channels, height, width])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, TensorData};

    #[test]
    fn a_stem_of_two_widths_has_patches_of_eight_pixels() {
        let config = VisionConfig {
            stem_channels: Some(vec![8, 16]),
            patch_size: 8,
            hidden_size: 32,
            ..VisionConfig::default()
        };
        let device = Device::flex();
        let stem = Stem::new(&config, &device);
        let pixels = Tensor::random([2, 3, 40, 24], Distribution::Normal(0.0, 1.0), &device);
        let (patches, grid) = stem.forward(pixels);
        assert_eq!((patches.dims(), grid), ([2, 15, 32], (5, 3)));
    }

    #[test]
    fn standardising_forgets_gain_and_offset_and_survives_a_flat_image() {
        let device = Device::flex();
        let pixels = Tensor::<4>::random([1, 3, 8, 8], Distribution::Uniform(0.0, 1.0), &device);
        let brighter = pixels.clone() * 3.0 + 0.5;
        let difference = (standardised(pixels) - standardised(brighter)).abs().max().into_scalar::<f32>();
        assert!(difference < 5e-3, "{difference}");
        let flat = Tensor::<4>::from_data(TensorData::new(vec![0.7_f32; 192], [1, 3, 8, 8]), &device);
        let largest = standardised(flat).abs().max().into_scalar::<f32>();
        assert!(largest < 1e-3, "{largest}");
    }
}
