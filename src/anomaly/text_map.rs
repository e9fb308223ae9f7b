//! The text map: for each patch, how much closer its tokens lie to the anomalous phrases than to the normal ones,
//! averaged over layers (methods: dense CLIP tokens).

use super::features::{TextPatches, WindowEmbeddings};
use super::level::harmonic_mean;
use super::prompt::Anchors;

/// Anomalous share per patch, `[rows * cols]`, 0–1: the mean over the layers of a two-way softmax at `temperature`.
pub fn text_map(patches: &TextPatches, anchors: &Anchors, temperature: f32) -> Vec<f32> {
    let mut map = vec![0.0; patches.rows * patches.cols];
    for layer in &patches.layers {
        for (value, patch) in map.iter_mut().zip(layer.chunks_exact(anchors.normal.len())) {
            *value += anchors.anomalous_share(patch, temperature);
        }
    }
    let layers = patches.layers.len().max(1) as f32;
    for value in &mut map {
        *value /= layers;
    }
    map
}

/// The same from windows (WinCLIP, Jeong et al. 2023, §4.2): per patch the harmonic mean over the sizes of windows and `whole`,
/// the share of the whole photo; each size's value is the harmonic mean over the windows that cover the patch.
pub fn window_map(windows: &[WindowEmbeddings], whole: f32, anchors: &Anchors, temperature: f32) -> Vec<f32> {
    let mut inverse = Vec::new();
    for of_side in windows {
        let shares: Vec<f32> = of_side
            .values
            .chunks_exact(anchors.normal.len())
            .map(|window| anchors.anomalous_share(window, temperature))
            .collect();
        let map = harmonic_mean(&shares, of_side.rows, of_side.cols, of_side.side);
        inverse.resize(map.len(), 1.0 / whole);
        inverse.iter_mut().zip(map).for_each(|(sum, share)| *sum += 1.0 / share);
    }
    let scales = (windows.len() + 1) as f32;
    inverse.into_iter().map(|sum| scales / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_averaged_patch_by_patch() {
        let layers = vec![vec![1.0, 0.0, 0.0, 1.0], vec![1.0, 1.0, 0.0, 2.0]];
        let patches = TextPatches { rows: 1, cols: 2, layers };
        let anchors = Anchors { normal: vec![1.0, 0.0], anomalous: vec![0.0, 1.0] };
        let map = text_map(&patches, &anchors, 0.01);
        assert!((map[0] - 0.25).abs() < 1e-4, "once normal, once undecided: {map:?}");
        assert!((map[1] - 1.0).abs() < 1e-4, "anomalous in both layers: {map:?}");
    }

    #[test]
    fn windows_and_the_whole_photo_are_averaged_harmonically() {
        let anchors = Anchors { normal: vec![1.0, 0.0], anomalous: vec![0.0, 1.0] };
        // One window of 2 × 2 patches, undecided; the whole photo says 0.25.
        let windows = [WindowEmbeddings { side: 2, rows: 1, cols: 1, dim: 2, values: vec![1.0, 1.0] }];
        let map = window_map(&windows, 0.25, &anchors, 0.07);
        assert!(map.iter().all(|share| (share - 2.0 / (1.0 / 0.5 + 1.0 / 0.25)).abs() < 1e-6), "{map:?}");
        assert_eq!(map.len(), 4);
    }
}
