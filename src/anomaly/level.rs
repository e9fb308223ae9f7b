//! What of a photo is compared with the references, on one or several levels: patches, patches averaged with their
//! neighbours, windows of several patches. Each level's distances end on the patch grid.

use std::borrow::Cow;

use super::features::{MemoryPatches, PhotoFeatures, WindowEmbeddings};
use super::prompt::normalise;
use crate::recipe::Recipe;

/// Vectors at the places of a grid. A place spans `side` × `side` patches from the patch of the same row and column on.
#[derive(Clone, Debug)]
pub struct Level<'a> {
    /// Patches along a place: 1, or more for windows.
    pub side: usize,
    /// Rows of places.
    pub rows: usize,
    /// Columns of places.
    pub cols: usize,
    /// Width of a vector.
    pub dim: usize,
    /// `[rows * cols * dim]`.
    pub values: Cow<'a, [f32]>,
}

impl<'a> Level<'a> {
    /// The levels that the recipe compares: windows where it asks for them, then a level for each neighbourhood.
    pub fn all(features: &'a PhotoFeatures, recipe: &Recipe) -> Vec<Self> {
        let windows = features.windows.iter().filter(|_| recipe.windows).map(Self::of_windows);
        let patches = recipe.neighbourhoods.iter().map(|side| Self::of_patches(&features.memory, *side));
        windows.chain(patches).collect()
    }

    fn of_windows(windows: &WindowEmbeddings) -> Self {
        let &WindowEmbeddings { side, rows, cols, dim, ref values } = windows;
        let mut values = values.clone();
        for window in values.chunks_exact_mut(dim.max(1)) {
            normalise(window);
        }
        Self { side, rows, cols, dim, values: Cow::Owned(values) }
    }

    /// Each patch as the mean of those in the `side` × `side` square around it that lie inside the photo (PatchCore,
    /// Roth et al. 2022).
    fn of_patches(patches: &'a MemoryPatches, side: usize) -> Self {
        let &MemoryPatches { rows, cols, dim, ref values } = patches;
        let values = match side {
            1 => Cow::Borrowed(values.as_slice()),
            _ => Cow::Owned(averaged(values, rows, cols, dim, side / 2)),
        };
        Self { side: 1, rows, cols, dim, values }
    }

    /// A score per place on the patch grid: windows by [`harmonic_mean`].
    pub fn on_patches(&self, scores: Vec<f32>) -> Vec<f32> {
        if self.side == 1 { scores } else { harmonic_mean(&scores, self.rows, self.cols, self.side) }
    }
}

/// Means over squares of `2 * reach + 1` places, cut at the border; rows first, then columns.
fn averaged(values: &[f32], rows: usize, cols: usize, dim: usize, reach: usize) -> Vec<f32> {
    let along = |values: &[f32], length: usize, stride: usize| -> Vec<f32> {
        let mut out = vec![0.0; values.len()];
        for (place, out) in out.chunks_exact_mut(dim).enumerate() {
            let at = place / stride % length;
            let (first, last) = (at.saturating_sub(reach), (at + reach).min(length - 1));
            let scale = 1.0 / (last - first + 1) as f32;
            for other in first..=last {
                let other = place + other * stride - at * stride;
                let other = &values[other * dim..(other + 1) * dim];
                out.iter_mut().zip(other).for_each(|(sum, value)| *sum += value * scale);
            }
        }
        out
    };
    along(&along(values, cols, 1), rows, cols)
}

/// For each patch the harmonic mean of the scores of the windows over it, so that one window that finds nothing wrong
/// weighs more than one that does (WinCLIP, Jeong et al. 2023, §4.2): `[rows * cols]` windows of `side` patches →
/// `[(rows + side - 1) * (cols + side - 1)]`. A score of 0 makes the mean 0.
pub fn harmonic_mean(scores: &[f32], rows: usize, cols: usize, side: usize) -> Vec<f32> {
    let (patch_rows, patch_cols) = (rows + side - 1, cols + side - 1);
    let mut inverse = vec![0.0_f32; patch_rows * patch_cols];
    let mut count = vec![0.0_f32; patch_rows * patch_cols];
    for (window, score) in scores.iter().enumerate() {
        for row in window / cols..window / cols + side {
            for col in window % cols..window % cols + side {
                inverse[row * patch_cols + col] += 1.0 / score.max(0.0);
                count[row * patch_cols + col] += 1.0;
            }
        }
    }
    count.iter().zip(inverse).map(|(count, inverse)| count / inverse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_averaged_with_those_around_it_and_none_beyond_the_border() {
        let patches = MemoryPatches { rows: 2, cols: 3, dim: 1, values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] };
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near(&Level::of_patches(&patches, 1).values, &patches.values));
        assert!(near(&Level::of_patches(&patches, 3).values, &[3.0, 3.5, 4.0, 3.0, 3.5, 4.0]));
        assert!(near(&Level::of_patches(&patches, 9).values, &[3.5; 6]));
    }

    #[test]
    fn a_patch_takes_the_harmonic_mean_of_its_windows() {
        // Two windows of 2 × 2 patches side by side: the middle column lies in both.
        let map = harmonic_mean(&[0.2, 0.6], 1, 2, 2);
        let row = [0.2, 2.0 / (1.0 / 0.2 + 1.0 / 0.6), 0.6];
        assert!(map.iter().zip([row, row].concat()).all(|(a, b)| (a - b).abs() < 1e-6), "{map:?}");
        assert_eq!(harmonic_mean(&[0.0, 0.6], 1, 2, 2)[1], 0.0);
    }
}
