//! Corrections of masks by brush: strokes as they were drawn, and the pixels they cover. Strokes are kept (with the session
//! too), pixels are made from them again; a threshold that moves later changes only what no stroke covers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::LayerId;

/// Smallest and largest brush, as radius in pixels of the photo.
pub const RADII: std::ops::RangeInclusive<u32> = 1..=200;

/// One stroke of the brush.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stroke {
    /// Takes pixels out of the mask; else puts them in.
    pub erase: bool,
    /// In pixels of the photo.
    pub radius: u32,
    /// Where the brush went, in pixels of the photo.
    pub points: Vec<[i32; 2]>,
}

/// The strokes on one layer of one photo, the oldest first.
pub type Strokes = Arc<Vec<Stroke>>;

/// All corrections, by photo and layer; no entry is empty.
pub type Corrections = BTreeMap<(PathBuf, LayerId), Strokes>;

/// What corrections say of a pixel.
pub const LEFT: u8 = 0;
pub const ADDED: u8 = 1;
pub const ERASED: u8 = 2;

/// The pixels that strokes cover.
#[derive(Clone, Debug)]
pub struct Raster {
    pub width: usize,
    pub height: usize,
    /// The strokes that are painted.
    pub strokes: Strokes,
    /// Told apart from every other state of any raster.
    pub version: u64,
    /// [`LEFT`], [`ADDED`] or [`ERASED`] for each pixel, row by row.
    pub cells: Arc<Vec<u8>>,
}

impl Raster {
    /// Paints all strokes.
    pub fn new(width: usize, height: usize, strokes: Strokes, version: u64) -> Self {
        let mut cells = vec![LEFT; width * height];
        for stroke in strokes.iter() {
            paint(&mut cells, width, height, stroke, 0);
        }
        Self { width, height, strokes, version, cells: Arc::new(cells) }
    }

    /// Paints the part of a growing stroke from its point `from` on.
    pub fn extend(&mut self, stroke: &Stroke, from: usize, version: u64) {
        let cells: &mut Vec<u8> = Arc::make_mut(&mut self.cells);
        paint(cells, self.width, self.height, stroke, from);
        self.version = version;
    }
}

/// Paints a stroke from the way to its point `from` on.
fn paint(cells: &mut [u8], width: usize, height: usize, stroke: &Stroke, from: usize) {
    let value = if stroke.erase { ERASED } else { ADDED };
    let points = &stroke.points;
    for at in from..points.len() {
        capsule(cells, width, height, points[at.saturating_sub(1)], points[at], stroke.radius, value);
    }
}

/// Every pixel at most `radius` (and a half, so that radius 0 is a pixel) from the way between two points.
fn capsule(
    cells: &mut [u8],
    width: usize,
    height: usize,
    [x0, y0]: [i32; 2],
    [x1, y1]: [i32; 2],
    radius: u32,
    value: u8,
) {
    let reach = radius as i32;
    let clamp = |v: i32, length: usize| v.clamp(0, length as i32) as usize;
    let (left, right) = (clamp(x0.min(x1) - reach, width), clamp(x0.max(x1) + reach + 1, width));
    let (top, bottom) = (clamp(y0.min(y1) - reach, height), clamp(y0.max(y1) + reach + 1, height));
    let (dx, dy) = ((x1 - x0) as f32, (y1 - y0) as f32);
    let length = dx * dx + dy * dy;
    let limit = (radius as f32 + 0.5).powi(2);
    for y in top..bottom {
        for x in left..right {
            let (px, py) = ((x as i32 - x0) as f32, (y as i32 - y0) as f32);
            let along = if length > 0.0 { ((px * dx + py * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
            let (ex, ey) = (px - along * dx, py - along * dy);
            if ex * ex + ey * ey <= limit {
                cells[y * width + x] = value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stroke(erase: bool, radius: u32, points: &[[i32; 2]]) -> Stroke {
        Stroke { erase, radius, points: points.to_vec() }
    }

    #[test]
    fn a_growing_stroke_covers_what_the_whole_one_does() {
        let whole = stroke(false, 3, &[[5, 5], [20, 8], [2, 18], [40, 40]]);
        let after = stroke(true, 1, &[[5, 5], [12, 7]]);
        let all = Raster::new(32, 24, Arc::new(vec![whole.clone(), after.clone()]), 1);
        let mut growing = Raster::new(32, 24, Arc::default(), 2);
        for part in [&whole, &after] {
            for count in 1..=part.points.len() {
                let so_far = Stroke { points: part.points[..count].to_vec(), ..part.clone() };
                growing.extend(&so_far, count - 1, 3);
            }
        }
        assert_eq!(all.cells, growing.cells);
        assert_eq!((all.cells[5 * 32 + 5], all.cells[8 * 32 + 5], all.cells[0]), (ERASED, ADDED, LEFT));
    }

    #[test]
    fn strokes_beyond_the_photo_do_no_harm() {
        let out = Raster::new(8, 8, Arc::new(vec![stroke(false, 2, &[[-50, -50], [-3, 4], [900, 4]])]), 1);
        let added = (0..64).filter(|at| out.cells[*at] == ADDED);
        assert!(added.eq(16..56), "a bar of five rows");
    }
}
