//! What the networks found in one photo, before any weight or threshold: the component maps on the patch grid. Small
//! (a few kilobytes), so that thousands of photos stay judgeable at once; the features it came from are not kept here.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use crate::photo::Quality;

/// One photo's component maps on the patch grid, row by row.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Which photo, and what is known of it without a network.
    pub photo: Arc<PhotoFacts>,
    /// Rows of the patch grid: where words and memory have two networks, of the finer grid, onto which the other
    /// component is interpolated.
    pub rows: usize,
    /// Columns of the patch grid.
    pub cols: usize,
    /// Side of a patch in pixels of its network's input.
    pub patch_px: usize,
    /// Anomalous share of the text softmax per patch, `[rows * cols]`, 0–1; `None` where no network reads words.
    pub text: Option<Component>,
    /// Anomalous share of the text softmax of the whole photo's embedding, 0–1.
    pub text_image: Option<f32>,
    /// How far each patch deviates from the references, `[rows * cols]`, ≥ 0: what distance that is, the recipe's comparison
    /// says. `None` without references.
    pub memory: Option<Component>,
    /// The nearest reference patch of each patch; empty where no single one decides.
    pub nearest: Vec<NearestPatch>,
    /// Rows and columns that the memory's network makes of this photo; what `nearest` counts on in the references'.
    pub memory_grid: (usize, usize),
    /// True where the patch shows the part, `[rows * cols]`.
    pub foreground: Vec<bool>,
    /// Time spent per stage, in milliseconds.
    pub timings_ms: Timings,
}

/// One component map with the robust statistics of its own foreground.
#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    /// Values per patch, `[rows * cols]`.
    pub values: Vec<f32>,
    /// Median over the photo's foreground.
    pub median: f32,
    /// 1.4826 · median absolute deviation over the photo's foreground, > 0.
    pub spread: f32,
}

/// Where the nearest normal patch lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NearestPatch {
    /// Index into the recipe's references.
    pub reference: u32,
    /// Row of the patch in that photo's grid.
    pub row: u16,
    /// Column of the patch in that photo's grid.
    pub col: u16,
}

/// What is known of a photo without a network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhotoFacts {
    /// The path as it was given.
    pub path: PathBuf,
    /// SHA-256 of the file's bytes, in hexadecimal.
    pub sha256: String,
    /// Width in pixels after EXIF orientation.
    pub width: u32,
    /// Height in pixels after EXIF orientation.
    pub height: u32,
    /// Sharpness, brightness, contrast, clipping.
    pub quality: Quality,
    /// Remarks of the decoder, e.g. that only the first frame of an animation was read.
    pub warnings: Vec<String>,
}

/// Time per stage, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Timings {
    /// Reading and decoding the file.
    pub decode: f32,
    /// The image tower (0 when its features came from the cache).
    pub features: f32,
    /// Text and memory maps, foreground.
    pub maps: f32,
    /// Fusion, smoothing, threshold, regions.
    pub judge: f32,
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::anomaly::prompt::median_and_spread;

    /// Evidence of a photo of 10 pixels a patch, from a value per patch for each component.
    pub fn evidence(rows: usize, cols: usize, text: impl Fn(usize) -> f32, memory: impl Fn(usize) -> f32) -> Evidence {
        let component = |values: Vec<f32>| {
            let (median, spread) = median_and_spread(&mut values.clone());
            Component { values, median, spread }
        };
        let patches = rows * cols;
        Evidence {
            photo: Arc::new(PhotoFacts {
                path: "part.png".into(),
                sha256: "00".into(),
                width: cols as u32 * 10,
                height: rows as u32 * 10,
                quality: Quality {
                    blur_score: 100.0,
                    brightness_score: 128.0,
                    contrast: 30.0,
                    black_share: 0.0,
                    white_share: 0.0,
                },
                warnings: Vec::new(),
            }),
            rows,
            cols,
            patch_px: 8,
            text: Some(component((0..patches).map(text).collect())),
            text_image: Some(0.5),
            memory: Some(component((0..patches).map(memory).collect())),
            nearest: vec![NearestPatch { reference: 0, row: 0, col: 0 }; patches],
            memory_grid: (rows, cols),
            foreground: vec![true; patches],
            timings_ms: Timings::default(),
        }
    }
}
