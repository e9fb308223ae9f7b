//! The text map: for each patch, how much closer its tokens lie to the anomalous phrases than to the normal ones,
//! averaged over layers (methods: dense CLIP tokens).

use super::features::PhotoFeatures;
use super::prompt::Anchors;

/// Anomalous share per patch, `[rows * cols]`, 0–1: the mean over the layers of a two-way softmax at `temperature`.
pub fn text_map(features: &PhotoFeatures, anchors: &Anchors, temperature: f32) -> Vec<f32> {
    let mut map = vec![0.0; features.rows * features.cols];
    for layer in &features.projected {
        for (value, patch) in map.iter_mut().zip(layer.chunks_exact(anchors.normal.len())) {
            *value += anchors.anomalous_share(patch, temperature);
        }
    }
    let layers = features.projected.len().max(1) as f32;
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
        let features = PhotoFeatures {
            rows: 1,
            cols: 2,
            embedding: vec![1.0, 0.0],
            projected: vec![vec![1.0, 0.0, 0.0, 1.0], vec![1.0, 1.0, 0.0, 2.0]],
            memory: Vec::new(),
            memory_dim: 0,
        };
        let anchors = Anchors { normal: vec![1.0, 0.0], anomalous: vec![0.0, 1.0] };
        let map = text_map(&features, &anchors, 0.01);
        assert!((map[0] - 0.25).abs() < 1e-4, "once normal, once undecided: {map:?}");
        assert!((map[1] - 1.0).abs() < 1e-4, "anomalous in both layers: {map:?}");
    }
}
