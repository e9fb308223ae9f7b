//! Regions: connected parts of the thresholded map, in pixels of the original photo, with their place in words. A
//! region is what the map shows; the defect is the real thing.

use image::GrayImage;
use imageproc::region_labelling::{Connectivity, connected_components};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::inspection::Severity;
use super::map::AnomalyMap;

/// A connected part of the mask. Coordinates are pixels of the photo after EXIF orientation, origin top left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Region {
    /// Left edge of the box.
    pub x: u32,
    /// Top edge of the box.
    pub y: u32,
    /// Width of the box, ≥ 1.
    pub width: u32,
    /// Height of the box, ≥ 1.
    pub height: u32,
    /// Pixels of the photo in the region, ≥ 1.
    pub area: u32,
    /// Highest raw score in the region.
    pub peak: f32,
    /// Mean raw score over the region.
    pub mean: f32,
    /// Normalised peak, 0–1; 0.5 is the threshold.
    pub confidence: f32,
    /// Where in the photo, in words, e.g. `upper left`.
    pub location: String,
    /// What was seen, in words.
    pub description: String,
    /// How much it matters.
    pub severity: Severity,
}

/// Connected parts (8-neighbourhood) of `map ≥ threshold`, strongest first, at most `top_k`, each of at least
/// `min_area_px` photo pixels. `normalise` turns a raw pixel score into 0–1 with the threshold at 0.5.
pub fn find_regions(
    map: &AnomalyMap,
    threshold: f32,
    top_k: usize,
    min_area_px: u32,
    normalise: impl Fn(f32) -> f32,
) -> Vec<Region> {
    let mask = GrayImage::from_fn(map.width as u32, map.height as u32, |x, y| {
        image::Luma([u8::from(map.scores[y as usize * map.width + x as usize] >= threshold)])
    });
    regions_of(&mask, map, top_k, min_area_px, normalise)
}

/// As [`find_regions`], of a mask (not 0 inside) that somebody else decided; `mask` has the size of `map`.
pub fn regions_of(
    mask: &GrayImage,
    map: &AnomalyMap,
    top_k: usize,
    min_area_px: u32,
    normalise: impl Fn(f32) -> f32,
) -> Vec<Region> {
    let (width, height) = (map.width, map.height);
    let labels = connected_components(mask, Connectivity::Eight, image::Luma([0]));
    let mut parts: Vec<Part> = Vec::new();
    for (x, y, label) in labels.enumerate_pixels() {
        let Some(index) = (label.0[0] as usize).checked_sub(1) else { continue };
        if parts.len() <= index {
            parts.resize(index + 1, Part::default());
        }
        parts[index].add(x, y, map.scores[y as usize * width + x as usize]);
    }
    // Map pixels to photo pixels; the two differ by a scale per axis because sides are rounded to whole patches.
    let (sx, sy) = (map.photo_width as f32 / width as f32, map.photo_height as f32 / height as f32);
    let mut regions: Vec<Region> = parts
        .into_iter()
        .filter(|part| part.pixels > 0)
        .map(|part| {
            let x = (part.x0 as f32 * sx).floor() as u32;
            let y = (part.y0 as f32 * sy).floor() as u32;
            let right = (((part.x1 + 1) as f32 * sx).ceil() as u32).min(map.photo_width).max(x + 1);
            let bottom = (((part.y1 + 1) as f32 * sy).ceil() as u32).min(map.photo_height).max(y + 1);
            let area = ((part.pixels as f32 * sx * sy).round() as u32).max(1);
            let confidence = normalise(part.peak);
            let share = area as f32 / (map.photo_width as f32 * map.photo_height as f32);
            let centre = (part.sum_x / part.pixels as f64, part.sum_y / part.pixels as f64);
            Region {
                x,
                y,
                width: right - x,
                height: bottom - y,
                area,
                peak: part.peak,
                mean: (part.sum / part.pixels as f64) as f32,
                confidence,
                location: location_in_words(
                    (centre.0 as f32 + 0.5) / width as f32,
                    (centre.1 as f32 + 0.5) / height as f32,
                ),
                description: String::new(),
                severity: severity(confidence, share),
            }
        })
        .filter(|region| region.area >= min_area_px)
        .collect();
    regions.sort_by(|a, b| b.peak.total_cmp(&a.peak).then((a.y, a.x).cmp(&(b.y, b.x))));
    regions.truncate(top_k);
    regions
}

/// Severity from the normalised peak (0.5 is the threshold) and the share of the photo that the region covers.
fn severity(confidence: f32, share: f32) -> Severity {
    if confidence >= 0.85 || share >= 0.10 && confidence >= 0.6 {
        Severity::High
    } else if confidence >= 0.65 || share >= 0.05 {
        Severity::Medium
    } else {
        Severity::Low
    }
}

/// The place of a point in words, from its coordinates as fractions of width and height.
pub fn location_in_words(x: f32, y: f32) -> String {
    let third = |v: f32| (v * 3.0).clamp(0.0, 2.0) as usize;
    let row = ["upper", "middle", "lower"][third(y)];
    let col = ["left", "centre", "right"][third(x)];
    match (row, col) {
        ("middle", "centre") => "centre".to_owned(),
        ("middle", side) => format!("{side} side"),
        (edge, "centre") => format!("{edge} centre"),
        (edge, side) => format!("{edge} {side}"),
    }
}

#[derive(Clone)]
struct Part {
    x0: u32,
    y0: u32,
    x1: u32,
    y1: u32,
    pixels: u32,
    peak: f32,
    sum: f64,
    sum_x: f64,
    sum_y: f64,
}

impl Default for Part {
    fn default() -> Self {
        Self {
            x0: u32::MAX,
            y0: u32::MAX,
            x1: 0,
            y1: 0,
            pixels: 0,
            peak: f32::NEG_INFINITY,
            sum: 0.0,
            sum_x: 0.0,
            sum_y: 0.0,
        }
    }
}

impl Part {
    fn add(&mut self, x: u32, y: u32, score: f32) {
        self.x0 = self.x0.min(x);
        self.y0 = self.y0.min(y);
        self.x1 = self.x1.max(x);
        self.y1 = self.y1.max(y);
        self.pixels += 1;
        self.peak = self.peak.max(score);
        self.sum += f64::from(score);
        self.sum_x += f64::from(x);
        self.sum_y += f64::from(y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(width: usize, height: usize, photo: (u32, u32), spots: &[(usize, usize, f32)]) -> AnomalyMap {
        let mut scores = vec![0.0; width * height];
        for &(x, y, score) in spots {
            scores[y * width + x] = score;
        }
        AnomalyMap { width, height, photo_width: photo.0, photo_height: photo.1, scores }
    }

    #[test]
    fn diagonal_neighbours_are_one_region_and_boxes_are_in_photo_pixels() {
        let map = map(10, 10, (100, 50), &[(1, 1, 2.0), (2, 2, 4.0), (8, 8, 3.0)]);
        let regions = find_regions(&map, 1.0, 5, 0, |s| s / 8.0);
        assert_eq!(regions.len(), 2);
        let first = &regions[0];
        assert_eq!((first.x, first.y, first.width, first.height), (10, 5, 20, 10));
        assert_eq!(first.area, 100);
        assert_eq!(first.peak, 4.0);
        assert_eq!(first.mean, 3.0);
        assert_eq!(first.confidence, 0.5);
        assert_eq!(first.location, "upper left");
        assert_eq!(regions[1].location, "lower right");
    }

    #[test]
    fn top_k_keeps_the_strongest_and_small_ones_can_be_left_out() {
        let map = map(10, 10, (10, 10), &[(0, 0, 2.0), (5, 5, 5.0), (6, 5, 5.0), (9, 9, 3.0)]);
        let peaks = |regions: Vec<Region>| regions.iter().map(|r| r.peak).collect::<Vec<_>>();
        assert_eq!(peaks(find_regions(&map, 1.0, 2, 0, |s| s)), [5.0, 3.0]);
        assert_eq!(peaks(find_regions(&map, 1.0, 9, 2, |s| s)), [5.0]);
    }

    #[test]
    fn places_have_names() {
        assert_eq!(location_in_words(0.5, 0.5), "centre");
        assert_eq!(location_in_words(0.0, 0.5), "left side");
        assert_eq!(location_in_words(0.5, 1.0), "lower centre");
    }
}
