//! A small learned embedding per patch: layer-normed hidden states of several blocks, concatenated, through one linear
//! layer to a unit vector. Trained on pairs of normal and defective photos of one product, it is what the memory bank
//! compares; published CLIP folders have none and compare hidden states.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::config::{PatchHeadConfig, VisionConfig};
use super::layer_norm::LayerNorm;

/// Hidden states of some blocks to one unit vector per patch.
#[derive(Module, Debug)]
pub struct PatchHead {
    /// One per layer of the configuration, in its order.
    pub norms: Vec<LayerNorm>,
    pub projection: Linear,
    layers: Vec<usize>,
}

impl PatchHead {
    pub fn new(head: &PatchHeadConfig, vision: &VisionConfig, device: &Device) -> Self {
        let norm = || LayerNorm::new(vision.hidden_size, vision.layer_norm_eps, device);
        Self {
            norms: head.layers.iter().map(|_| norm()).collect(),
            projection: LinearConfig::new(head.layers.len() * vision.hidden_size, head.dim).init(device),
            layers: head.layers.clone(),
        }
    }

    /// Blocks (from 1) whose patches [`PatchHead::forward`] wants, in this order.
    pub fn layers(&self) -> &[usize] {
        &self.layers
    }

    /// Hidden patches `[batch, patches, width]`, one tensor per layer of [`PatchHead::layers`] → unit vectors
    /// `[batch, patches, dim]`.
    pub fn forward(&self, hidden: Vec<Tensor<3>>) -> Tensor<3> {
        let normed = self.norms.iter().zip(hidden).map(|(norm, x)| norm.forward(x)).collect();
        let x = self.projection.forward(Tensor::cat(normed, 2));
        let length = (x.clone().powi_scalar(2).sum_dim(2) + 1e-12).sqrt();
        x / length
    }
}
