//! Where in a photo a sentence fits best: the cosines of its patches with the sentence, against those with a neutral one,
//! as a map and a box. A hint for the eye, no measurement: CLIP was trained on whole photos.

use serde::Serialize;

use super::similarity::cosine;
use crate::Result;
use crate::anomaly::AnomalyMap;
use crate::anomaly::map::upsample;
use crate::anomaly::prompt::median_and_spread;
use crate::anomaly::region::find_regions;

/// Robust standard deviations by which a place must stand out to be shown.
const STANDS_OUT: f32 = 3.0;
/// The box holds what reaches this part of the peak.
const BOX_LEVEL: f32 = 0.6;
/// Pixels per patch of the map from which boxes are cut.
const PATCH_PX: usize = 8;

/// A box in pixels of the photo, origin top left.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Place {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
    /// In words, e.g. `upper left`.
    pub location: String,
    /// Robust standard deviations of the peak above the photo's median.
    pub strength: f32,
}

/// Patch features of one photo in the joint space.
#[derive(Clone, Debug)]
pub struct PlaceMap {
    pub rows: usize,
    pub cols: usize,
    /// Per layer `[rows × cols × dim]`.
    pub layers: Vec<Vec<f32>>,
    /// Size of the photo in pixels.
    pub photo: (u32, u32),
}

/// The place where `sentence` fits better than `neutral` (embeddings, `[dim]`); `None` where nothing stands out.
///
/// # Errors
/// As [`super::similarity`].
pub fn locate(patches: &PlaceMap, sentence: &[f32], neutral: &[f32]) -> Result<Option<Place>> {
    let count = patches.rows * patches.cols;
    let mut scores = vec![0.0; count];
    for layer in &patches.layers {
        for (score, patch) in scores.iter_mut().zip(layer.chunks_exact(sentence.len().max(1))) {
            *score += cosine(patch, sentence)? - cosine(patch, neutral)?;
        }
    }
    let (median, spread) = median_and_spread(&mut scores.clone());
    for score in &mut scores {
        *score = (*score - median) / spread;
    }
    let peak = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if peak < STANDS_OUT {
        return Ok(None);
    }
    let (height, width) = (patches.rows * PATCH_PX, patches.cols * PATCH_PX);
    let (photo_width, photo_height) = patches.photo;
    let scores = upsample(&scores, patches.rows, patches.cols, height, width);
    let map = AnomalyMap { width, height, photo_width, photo_height, scores };
    let region = find_regions(&map, BOX_LEVEL * peak, 1, 0, |score| score / peak).into_iter().next();
    Ok(region.map(|region| Place {
        x: region.x,
        y: region.y,
        width: region.width,
        height: region.height,
        location: region.location,
        strength: peak,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grid of 10 × 10 patches of which those in `hot` look like the sentence `[1, 0]`.
    fn grid(hot: impl Fn(usize, usize) -> bool) -> PlaceMap {
        let patch = |at: usize| {
            let noise = (at * 37 % 11) as f32 / 100.0;
            if hot(at % 10, at / 10) { [1.0, noise] } else { [noise, 1.0] }
        };
        PlaceMap { rows: 10, cols: 10, layers: vec![(0..100).flat_map(patch).collect()], photo: (200, 100) }
    }

    #[test]
    fn the_box_lies_around_the_patches_that_fit() {
        let place = locate(&grid(|x, y| (7..9).contains(&x) && (1..3).contains(&y)), &[1.0, 0.0], &[0.0, 1.0]);
        let place = place.expect("numbers").expect("stands out");
        assert_eq!(place.location, "upper right");
        assert!((130..=145).contains(&place.x) && (175..=190).contains(&(place.x + place.width)), "{place:?}");
        assert!((5..=12).contains(&place.y) && (28..=35).contains(&(place.y + place.height)), "{place:?}");
    }

    #[test]
    fn a_photo_that_is_alike_everywhere_has_no_place() {
        assert_eq!(locate(&grid(|_, _| false), &[1.0, 0.0], &[0.0, 1.0]).expect("numbers"), None);
    }
}
