//! What is kept of a photo after the image tower has run: exactly what maps are made from, so that prompts, references
//! and weights can change without running it again. This is what the feature cache holds.

use super::prompt::normalise;
use crate::model::{ClipModel, Geometry, VisionFeatures, Want};
use crate::photo::Photo;
use crate::recipe::{MemoryFeatures, Recipe};
use crate::{Error, Result};

/// Features of one photo on the patch grid (row by row).
#[derive(Clone, Debug, PartialEq)]
pub struct PhotoFeatures {
    /// Rows of the patch grid.
    pub rows: usize,
    /// Columns of the patch grid.
    pub cols: usize,
    /// Embedding of the whole photo, `[dim]`, not normalised.
    pub embedding: Vec<f32>,
    /// Projected patch tokens of each layer, `[layers][rows * cols * dim]`, not normalised.
    pub projected: Vec<Vec<f32>>,
    /// Features compared with the memory bank, `[rows * cols * memory_dim]`, each patch of length 1.
    pub memory: Vec<f32>,
    /// Width of a memory feature.
    pub memory_dim: usize,
}

impl PhotoFeatures {
    /// Runs the image tower on `photo` as the recipe asks.
    ///
    /// # Errors
    /// What preprocessing and the network report; [`Error::Input`] for a layer that the model does not have.
    pub fn compute(model: &ClipModel, recipe: &Recipe, photo: &Photo) -> Result<Self> {
        let prepared = model.prepare(photo, geometry(model, recipe))?;
        let want = Want { layers: layers(model, recipe)?, project: true, patch_head: uses_patch_head(model, recipe) };
        let mut features = model.encode_images(&[prepared], &want)?;
        match features.pop() {
            Some(features) => Ok(Self::from_vision(features)),
            None => Err(Error::bug("the image tower returned nothing for one photo.")),
        }
    }

    fn from_vision(features: VisionFeatures) -> Self {
        let VisionFeatures { rows, cols, embedding, layers, patch_head, width, .. } = features;
        let patches = rows * cols;
        let (memory, memory_dim) = match patch_head {
            Some(memory) => {
                let dim = memory.len() / patches.max(1);
                (memory, dim)
            }
            None => {
                (side_by_side(layers.iter().map(|layer| layer.hidden.as_slice()), patches, width), layers.len() * width)
            }
        };
        let projected = layers.into_iter().filter_map(|layer| layer.projected).collect();
        Self { rows, cols, embedding, projected, memory, memory_dim }
    }

    /// Bytes held, for the cache's budget.
    pub fn bytes(&self) -> usize {
        let floats = self.embedding.len() + self.memory.len() + self.projected.iter().map(Vec::len).sum::<usize>();
        floats * size_of::<f32>() + size_of::<Self>()
    }
}

/// Each layer L2-normalised per patch, side by side, scaled so that the whole patch has length 1.
fn side_by_side<'a>(layers: impl Iterator<Item = &'a [f32]>, patches: usize, width: usize) -> Vec<f32> {
    let layers: Vec<&[f32]> = layers.collect();
    let mut out = Vec::with_capacity(layers.len() * patches * width);
    let scale = 1.0 / (layers.len().max(1) as f32).sqrt();
    for patch in 0..patches {
        for layer in &layers {
            let start = out.len();
            out.extend_from_slice(&layer[patch * width..(patch + 1) * width]);
            normalise(&mut out[start..]);
            for x in &mut out[start..] {
                *x *= scale;
            }
        }
    }
    out
}

/// The layers that the recipe or else the model chooses.
///
/// # Errors
/// [`Error::Input`] for a layer that the model does not have.
pub fn layers(model: &ClipModel, recipe: &Recipe) -> Result<Vec<usize>> {
    let layers = recipe.layers.clone().unwrap_or_else(|| model.default_layers());
    let info = model.info();
    match layers.iter().find(|layer| **layer == 0 || **layer > info.layers) {
        None => Ok(layers),
        Some(layer) => Err(Error::input(format!(
            "The recipe asks for layer {layer}, but the model `{}` has layers 1 to {}. Change `layers`.",
            info.id, info.layers
        ))),
    }
}

/// Side of the network's input in pixels of its shorter side.
pub fn short_side(model: &ClipModel, recipe: &Recipe) -> u32 {
    recipe.input.short_side.unwrap_or(model.info().image_size as u32)
}

fn geometry(model: &ClipModel, recipe: &Recipe) -> Geometry {
    let short_side = short_side(model, recipe);
    if recipe.input.keep_aspect { Geometry::KeepAspect { short_side } } else { Geometry::Squash { size: short_side } }
}

fn uses_patch_head(model: &ClipModel, recipe: &Recipe) -> bool {
    recipe.memory_features == MemoryFeatures::Auto && model.info().has_patch_head
}

/// What distinguishes features of one photo under one model: the cache's key beside photo and model.
///
/// # Errors
/// As [`layers`].
pub fn variant(model: &ClipModel, recipe: &Recipe) -> Result<String> {
    let layers: Vec<String> = layers(model, recipe)?.iter().map(ToString::to_string).collect();
    let shape = if recipe.input.keep_aspect { "aspect" } else { "squash" };
    let memory = if uses_patch_head(model, recipe) { "head" } else { "hidden" };
    Ok(format!("{shape}{}-l{}-{memory}", short_side(model, recipe), layers.join("_")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_side_by_side_have_equal_say_and_length_one() {
        let (a, b) = ([3.0, 4.0, 1.0, 0.0], [0.0, 100.0, 5.0, 5.0]);
        let out = side_by_side([&a[..], &b[..]].into_iter(), 2, 2);
        let half = 0.5f32.sqrt();
        let expected = [0.6 * half, 0.8 * half, 0.0, half, half, 0.0, 0.5, 0.5];
        assert!(out.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{out:?}");
    }
}
