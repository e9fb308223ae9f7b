//! One photo, several prompts: probability maps, masks and regions at photo size. Large photos go through the network in
//! overlapping tiles, whose maps are blended.

use image::imageops;
use rayon::prelude::*;

use super::guided::{self, Guided};
use crate::anomaly::map::upsample;
use crate::anomaly::region::find_regions;
use crate::anomaly::{AnomalyMap, Region};
use crate::model::ClipSegModel;
use crate::photo::Photo;
use crate::{Error, Result};

/// Smallest tile in pixels; below it a tile shows texture without context.
const LEAST_TILE: u32 = 64;

/// How a photo is segmented.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentOptions {
    /// Probability from which a pixel belongs to the mask, in (0, 1).
    pub threshold: f32,
    /// Side of the square tiles in pixels; `None` squeezes the whole photo into the network's input.
    pub tile: Option<u32>,
    /// Share of a tile's side that it has in common with its neighbour, in [0, 0.9].
    pub overlap: f32,
    /// Take the edges from the photo.
    pub guided: Option<Guided>,
    /// Regions with fewer pixels are left out of the list; the mask keeps them.
    pub min_area_px: u32,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self { threshold: 0.5, tile: None, overlap: 0.25, guided: None, min_area_px: 0 }
    }
}

impl SegmentOptions {
    /// Refuses values out of range.
    ///
    /// # Errors
    /// [`Error::Input`] naming the value.
    pub fn check(&self) -> Result<()> {
        if !(self.threshold > 0.0 && self.threshold < 1.0) {
            return Err(Error::input(format!("The threshold {} must lie between 0 and 1.", self.threshold)));
        }
        if !(0.0..=0.9).contains(&self.overlap) {
            return Err(Error::input(format!("The overlap {} must lie between 0 and 0.9.", self.overlap)));
        }
        if let Some(tile) = self.tile.filter(|tile| *tile < LEAST_TILE) {
            return Err(Error::input(format!("Tiles of {tile} pixels are too small; use at least {LEAST_TILE}.")));
        }
        match self.guided {
            Some(guided) if guided.radius == 0 || guided.epsilon.is_nan() || guided.epsilon <= 0.0 => {
                Err(Error::input("The guided filter needs a radius of at least 1 and an epsilon above 0."))
            }
            _ => Ok(()),
        }
    }
}

/// What one prompt found in one photo.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The prompt as given.
    pub prompt: String,
    /// Probabilities in [0, 1] at photo size.
    pub map: AnomalyMap,
    /// Connected parts above the threshold, however many, strongest first; `peak`, `mean` and `confidence` are probabilities.
    pub regions: Vec<Region>,
    /// Share of the photo above the threshold, in [0, 1].
    pub share: f32,
}

/// Segments `photo` by every prompt (its words, and its embedding from the model).
///
/// # Errors
/// [`Error::Input`] for options out of range; what the model reports, with the photo's path.
pub fn segment(
    model: &ClipSegModel,
    photo: &Photo,
    prompts: &[(String, Vec<f32>)],
    options: &SegmentOptions,
) -> Result<Vec<Layer>> {
    let embeddings: Vec<Vec<f32>> = prompts.iter().map(|(_, embedding)| embedding.clone()).collect();
    let mut maps = probabilities(model, photo, &embeddings, options, |_, _| true)?;
    if let Some(how) = options.guided {
        maps = sharpened(&maps, photo, how);
    }
    let (width, height) = (photo.width() as usize, photo.height() as usize);
    let layers = prompts.iter().zip(maps).map(|((prompt, _), scores)| {
        let map = AnomalyMap { width, height, photo_width: photo.width(), photo_height: photo.height(), scores };
        layer(prompt, map, options)
    });
    Ok(layers.collect())
}

/// What a map at photo size says of a prompt.
fn layer(prompt: &str, map: AnomalyMap, options: &SegmentOptions) -> Layer {
    let share = map.scores.iter().filter(|p| **p >= options.threshold).count() as f32 / map.scores.len() as f32;
    let regions = find_regions(&map, options.threshold, usize::MAX, options.min_area_px, |p| p);
    Layer { prompt: prompt.to_owned(), map, regions, share }
}

/// The network's probabilities for each prompt, `[height × width]` of the photo, row by row, in [0, 1]: whole or in tiles,
/// before edges and threshold. `progress` gets the tiles that are through and their number, and says whether to go on.
///
/// # Errors
/// As [`segment`]; [`Error::Cancelled`] when `progress` says so.
pub fn probabilities(
    model: &ClipSegModel,
    photo: &Photo,
    prompts: &[Vec<f32>],
    options: &SegmentOptions,
    progress: impl FnMut(usize, usize) -> bool,
) -> Result<Vec<Vec<f32>>> {
    options.check()?;
    match options.tile {
        Some(tile) if tile < photo.width().max(photo.height()) => {
            tiled(model, photo, prompts, tile, options.overlap, progress)
        }
        _ => whole(model, photo, prompts),
    }
}

/// Probability maps at the photo's size with their edges taken from the photo.
pub fn sharpened(maps: &[Vec<f32>], photo: &Photo, how: Guided) -> Vec<Vec<f32>> {
    let guide = brightness(photo);
    let (width, height) = (photo.width() as usize, photo.height() as usize);
    let sharpen = |map: &Vec<f32>| {
        let mut map = guided::filter(map, &guide, width, height, how);
        map.par_iter_mut().for_each(|p| *p = p.clamp(0.0, 1.0));
        map
    };
    maps.iter().map(sharpen).collect()
}

fn whole(model: &ClipSegModel, photo: &Photo, prompts: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
    let maps = model.predict(&model.prepare(photo)?, prompts)?;
    let size = (photo.height() as usize, photo.width() as usize);
    Ok(maps.iter().map(|map| upsample(&map.values, map.height, map.width, size.0, size.1)).collect())
}

/// Each tile weighs most in its middle, so that its borders, where the network sees least, hardly count.
fn tiled(
    model: &ClipSegModel,
    photo: &Photo,
    prompts: &[Vec<f32>],
    tile: u32,
    overlap: f32,
    mut progress: impl FnMut(usize, usize) -> bool,
) -> Result<Vec<Vec<f32>>> {
    let (width, height) = (photo.width(), photo.height());
    let mut sums = vec![vec![0.0f32; (width * height) as usize]; prompts.len()];
    let mut weights = vec![0.0f32; (width * height) as usize];
    let (down, across) = (places(height, tile, overlap), places(width, tile, overlap));
    for (row, &(y, tile_height)) in down.iter().enumerate() {
        for (column, &(x, tile_width)) in across.iter().enumerate() {
            if !progress(row * across.len() + column, down.len() * across.len()) {
                return Err(Error::Cancelled);
            }
            let crop = imageops::crop_imm(&photo.pixels, x, y, tile_width, tile_height).to_image();
            let maps = whole(model, &Photo::from_pixels(crop, &photo.path), prompts)?;
            for row in 0..tile_height {
                for column in 0..tile_width {
                    let weight = hill(row, tile_height) * hill(column, tile_width);
                    let (at, from) = ((y + row) * width + x + column, row * tile_width + column);
                    weights[at as usize] += weight;
                    for (sum, map) in sums.iter_mut().zip(&maps) {
                        sum[at as usize] += weight * map[from as usize];
                    }
                }
            }
        }
    }
    for sum in &mut sums {
        sum.iter_mut().zip(&weights).for_each(|(sum, weight)| *sum /= weight);
    }
    Ok(sums)
}

/// Starts and lengths of tiles that cover `length` evenly, overlapping at least as asked.
fn places(length: u32, tile: u32, overlap: f32) -> Vec<(u32, u32)> {
    if length <= tile {
        return vec![(0, length)];
    }
    let step = ((tile as f32 * (1.0 - overlap)) as u32).max(1);
    let count = (length - tile).div_ceil(step) + 1;
    (0..count).map(|i| (((length - tile) as u64 * u64::from(i) / u64::from(count - 1)) as u32, tile)).collect()
}

/// A raised cosine over a tile's side, above 0 everywhere.
fn hill(at: u32, length: u32) -> f32 {
    let phase = (at as f32 + 0.5) / length as f32 * std::f32::consts::TAU;
    0.5 - 0.5 * phase.cos() + 1e-3
}

/// Brightness in [0, 1], row by row (Rec. 601).
fn brightness(photo: &Photo) -> Vec<f32> {
    let weigh = |p: &image::Rgb<u8>| {
        (0.299 * f32::from(p.0[0]) + 0.587 * f32::from(p.0[1]) + 0.114 * f32::from(p.0[2])) / 255.0
    };
    photo.pixels.pixels().map(weigh).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_everything_and_overlap_as_asked() {
        for (length, tile, overlap) in [(1000, 300, 0.25), (301, 300, 0.0), (4000, 352, 0.5), (200, 300, 0.2)] {
            let places = places(length, tile, overlap);
            assert_eq!(places[0].0, 0);
            assert_eq!(places.last().map(|(start, side)| start + side), Some(length));
            for pair in places.windows(2) {
                let common = (pair[0].0 + pair[0].1) as f32 - pair[1].0 as f32;
                assert!(common >= overlap * tile as f32 - 1.0, "{places:?}");
            }
        }
    }

    #[test]
    fn every_region_is_listed() {
        let scores = (0..60 * 40).map(|at| if at % 60 % 2 == 0 && at / 60 % 2 == 0 { 0.9 } else { 0.1 }).collect();
        let map = AnomalyMap { width: 60, height: 40, photo_width: 60, photo_height: 40, scores };
        let Layer { prompt, regions, share, .. } = layer("a hole", map, &SegmentOptions::default());
        assert_eq!((prompt.as_str(), regions.len(), share), ("a hole", 600, 0.25));
    }

    #[test]
    fn options_out_of_range_are_named() {
        let refuse = |options: SegmentOptions, word: &str| {
            let error = options.check().expect_err("out of range").to_string();
            assert!(error.contains(word), "{error}");
        };
        let fine = SegmentOptions::default;
        refuse(SegmentOptions { threshold: 1.0, ..fine() }, "threshold");
        refuse(SegmentOptions { threshold: f32::NAN, ..fine() }, "threshold");
        refuse(SegmentOptions { overlap: 0.95, ..fine() }, "overlap");
        refuse(SegmentOptions { tile: Some(10), ..fine() }, "Tiles of 10");
        refuse(SegmentOptions { guided: Some(Guided { radius: 0, epsilon: 0.1 }), ..fine() }, "radius");
        assert!(fine().check().is_ok());
    }
}
