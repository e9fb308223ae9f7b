//! What a region looks like, in words, by rules: its shape from box and area, its cause from the share that text and
//! memory have in its score. Says what was measured, never what kind of defect it "is".

use super::calibrate::Calibration;
use super::evidence::Evidence;
use super::judge::shares;
use super::region::Region;
use crate::recipe::{Comparison, Recipe};

/// One phrase, e.g. `thin mark, unlike any reference photo`.
pub fn describe(region: &Region, evidence: &Evidence, recipe: &Recipe, calibration: &Calibration) -> String {
    format!("{}, {}", shape(region, evidence), cause(region, evidence, recipe, calibration))
}

fn shape(region: &Region, evidence: &Evidence) -> &'static str {
    let photo = evidence.photo.width as f32 * evidence.photo.height as f32;
    let (long, short) = (region.width.max(region.height) as f32, region.width.min(region.height).max(1) as f32);
    let filled = region.area as f32 / (long * short);
    if region.area as f32 >= 0.15 * photo {
        "large area"
    } else if long / short >= 3.0 || filled < 0.3 {
        "thin mark"
    } else if region.area as f32 <= 0.01 * photo {
        "small spot"
    } else {
        "patch"
    }
}

fn cause(region: &Region, evidence: &Evidence, recipe: &Recipe, calibration: &Calibration) -> &'static str {
    let cell = |position: u32, photo: u32, cells: usize| {
        ((position as f32 + 0.5) * cells as f32 / photo as f32).clamp(0.0, (cells - 1) as f32) as usize
    };
    let rows = cell(region.y, evidence.photo.height, evidence.rows)
        ..=cell(region.y + region.height - 1, evidence.photo.height, evidence.rows);
    let (left, right) = (
        cell(region.x, evidence.photo.width, evidence.cols),
        cell(region.x + region.width - 1, evidence.photo.width, evidence.cols),
    );
    let mut strongest = (0.0f32, 0.0f32);
    for row in rows {
        for col in left..=right {
            let (text, memory) = shares(evidence, recipe, calibration, row * evidence.cols + col);
            if text + memory > strongest.0 + strongest.1 {
                strongest = (text, memory);
            }
        }
    }
    let (text, memory) = strongest;
    if evidence.memory.is_none() {
        "closer to the anomalous phrases than to the normal ones"
    } else if recipe.comparison == Comparison::Mutual && memory >= 2.0 * text {
        "unlike most of the other photos"
    } else if memory >= 2.0 * text {
        "unlike any reference photo"
    } else if text >= 2.0 * memory {
        "closer to the anomalous phrases than in the reference photos"
    } else {
        "unlike the reference photos and close to the anomalous phrases"
    }
}
