//! The text map: for each patch, how much closer its tokens lie to the anomalous phrases than to the normal ones,
//! averaged over layers (methods: dense CLIP tokens).

use super::features::TextPatches;
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
}
