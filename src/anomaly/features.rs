//! What is kept of a photo after the image towers have run: exactly what maps are made from, so that prompts, references
//! and weights can change without running them again. This is what the feature cache holds.

use super::networks::{Compared, Gaze, Networks};
use super::prompt::normalise;
use crate::model::{Backbone, VisionFeatures, Want};
use crate::photo::Photo;
use crate::recipe::Recipe;
use crate::{Error, Result};

/// Sides of windows in patches (WinCLIP's small and middle scale; the whole photo is the large one).
pub const WINDOW_SIDES: [usize; 2] = [2, 3];

/// Features of one photo. Words and memory may look at it through two networks, each with a patch grid of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PhotoFeatures {
    /// Embedding of the whole photo by the recipe's model, `[dim]`, not normalised.
    pub embedding: Vec<f32>,
    /// What the text map is made from; no layers where the recipe's model reads no words.
    pub text: TextPatches,
    /// What the memory map is made from.
    pub memory: MemoryPatches,
    /// Windows of several patches seen as photos of their own, where the recipe asks for them; one entry for each size.
    pub windows: Vec<WindowEmbeddings>,
}

/// Patches in the joint space of images and texts, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextPatches {
    /// Rows of the patch grid.
    pub rows: usize,
    /// Columns of the patch grid.
    pub cols: usize,
    /// Projected patch tokens of each layer, `[layers][rows * cols * dim]`, not normalised.
    pub layers: Vec<Vec<f32>>,
}

/// Every window of `side` × `side` patches, seen as a photo of its own: in the joint space of images and texts, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WindowEmbeddings {
    /// Patches along a window.
    pub side: usize,
    /// Rows of windows: those of the patch grid less `side` - 1.
    pub rows: usize,
    /// Columns of windows.
    pub cols: usize,
    /// Width of an embedding.
    pub dim: usize,
    /// `[rows * cols * dim]`, not normalised.
    pub values: Vec<f32>,
}

/// Patches as the memory compares them, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemoryPatches {
    /// Rows of the patch grid.
    pub rows: usize,
    /// Columns of the patch grid.
    pub cols: usize,
    /// Width of a feature.
    pub dim: usize,
    /// `[rows * cols * dim]`, each patch of length 1 unless lengths are kept ([`MemoryFeatures::Mean`]).
    ///
    /// [`MemoryFeatures::Mean`]: crate::recipe::MemoryFeatures::Mean
    pub values: Vec<f32>,
}

impl PhotoFeatures {
    /// Runs the image towers on `photo` as the recipe asks: one pass where memory and words share a network, else two.
    ///
    /// # Errors
    /// What preprocessing and the networks report; [`Error::Input`] for a layer that a network does not have.
    pub fn compute(networks: &Networks, recipe: &Recipe, photo: &Photo) -> Result<Self> {
        let compared = networks.compared(recipe);
        let words = networks.words().is_some();
        let windows = if recipe.windows { WINDOW_SIDES.to_vec() } else { Vec::new() };
        let pass = |backbone: &Backbone, gaze: Gaze, project: bool, patch_head: bool, windows: Vec<usize>| {
            let prepared = backbone.prepare(photo, gaze.geometry)?;
            let want = Want { layers: gaze.layers, project, patch_head, windows };
            let mut features = backbone.encode_images(&[prepared], &want)?;
            features.pop().ok_or_else(|| Error::bug("the image tower returned nothing for one photo."))
        };
        let (normed, head) = (compared == Compared::Normed, compared == Compared::Head);
        let gaze = networks.gaze(recipe)?;
        if let Some(memory) = networks.separate_memory() {
            let features = pass(memory, networks.memory_gaze(recipe)?, normed, head, Vec::new())?;
            let memory = MemoryPatches::new(&features, compared);
            let features = pass(networks.model(), gaze, words, false, windows)?;
            let text = TextPatches::new(&features, words);
            Ok(Self { text, windows: WindowEmbeddings::all(&features), embedding: features.embedding, memory })
        } else {
            let features = pass(networks.model(), gaze, words || normed, head, windows)?;
            Ok(Self {
                text: TextPatches::new(&features, words),
                memory: MemoryPatches::new(&features, compared),
                windows: WindowEmbeddings::all(&features),
                embedding: features.embedding,
            })
        }
    }

    /// The embedding of the whole photo alone, without patches, to be kept in the cache.
    pub fn of_embedding(embedding: Vec<f32>) -> Self {
        Self { embedding, ..Self::default() }
    }

    /// Bytes held, for the cache's budget.
    pub fn bytes(&self) -> usize {
        let text: usize = self.text.layers.iter().map(Vec::len).sum();
        let windows: usize = self.windows.iter().map(|windows| windows.values.len()).sum();
        (self.embedding.len() + text + windows + self.memory.values.len()) * size_of::<f32>() + size_of::<Self>()
    }
}

impl TextPatches {
    fn new(features: &VisionFeatures, words: bool) -> Self {
        let layers = features.layers.iter().filter(|_| words).filter_map(|layer| layer.projected.clone()).collect();
        Self { rows: features.rows, cols: features.cols, layers }
    }
}

impl WindowEmbeddings {
    fn all(features: &VisionFeatures) -> Vec<Self> {
        let of_side = |(side, values): &(usize, Vec<f32>)| Self {
            side: *side,
            rows: features.rows + 1 - side,
            cols: features.cols + 1 - side,
            dim: features.dim,
            values: values.clone(),
        };
        features.windows.iter().map(of_side).collect()
    }
}

impl MemoryPatches {
    fn new(features: &VisionFeatures, compared: Compared) -> Self {
        let (rows, cols) = (features.rows, features.cols);
        let patches = rows * cols;
        let values = match compared {
            Compared::Head => features.patch_head.clone().unwrap_or_default(),
            Compared::Normed => {
                let layers = features.layers.iter().filter_map(|layer| layer.projected.as_deref());
                side_by_side(layers, patches, features.dim)
            }
            Compared::Hidden => {
                side_by_side(features.layers.iter().map(|layer| layer.hidden.as_slice()), patches, features.width)
            }
            Compared::Mean => mean(features.layers.iter().map(|layer| layer.hidden.as_slice())),
        };
        Self { rows, cols, dim: values.len() / patches.max(1), values }
    }
}

/// The mean of the layers.
fn mean<'a>(layers: impl ExactSizeIterator<Item = &'a [f32]>) -> Vec<f32> {
    let share = 1.0 / layers.len().max(1) as f32;
    let mut sum = Vec::new();
    for layer in layers {
        sum.resize(layer.len(), 0.0);
        sum.iter_mut().zip(layer).for_each(|(sum, value)| *sum += share * value);
    }
    sum
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
        assert_eq!(mean([&a[..], &b[..]].into_iter()), [1.5, 52.0, 3.0, 2.5]);
    }
}
