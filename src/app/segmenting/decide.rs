//! From probabilities, thresholds and strokes to masks: areas and regions for the lists, and the picture over the photo.
//! No network; a threshold that moves ends here. What takes the whole photo runs in the background.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::{Color32, ColorImage, Rect};
use image::{GrayImage, Luma};
use rayon::prelude::*;

use super::LayerId;
use super::correction::{ADDED, LEFT};
use crate::Result;
use crate::anomaly::region::regions_of;
use crate::anomaly::{AnomalyMap, Region};
use crate::photo::Photo;
use crate::report::{self, segments};

/// Regions listed for each layer.
const MOST_REGIONS: usize = 200;
/// Points looked at along each side of a screen pixel that shows several of the photo, so that fine lines stay.
const FINE: usize = 4;

/// One layer of one photo with all that decides its mask.
#[derive(Clone, Debug)]
pub struct Subject {
    pub id: LayerId,
    /// Probabilities at photo size.
    pub map: Arc<AnomalyMap>,
    pub threshold: f32,
    /// Of the corrections, to see whether they changed.
    pub version: u64,
    pub cells: Option<Arc<Vec<u8>>>,
}

impl Subject {
    /// Whether a pixel, by its place row by row, belongs to the mask.
    pub fn is_inside(&self, at: usize) -> bool {
        match self.cells.as_ref().map_or(LEFT, |cells| cells[at]) {
            LEFT => self.map.scores[at] >= self.threshold,
            cell => cell == ADDED,
        }
    }

    /// The whole mask, 255 inside.
    pub fn mask(&self) -> GrayImage {
        let mut mask = GrayImage::new(self.map.width as u32, self.map.height as u32);
        mask.par_iter_mut().enumerate().for_each(|(at, value)| *value = if self.is_inside(at) { 255 } else { 0 });
        mask
    }
}

/// Tells one decision from every other: layer, map, threshold and version of the corrections.
pub type DecisionKey = Vec<(LayerId, usize, u32, u64)>;

/// The key of these layers.
pub fn key(subjects: &[Subject]) -> DecisionKey {
    let entry = |s: &Subject| (s.id, Arc::as_ptr(&s.map).addr(), s.threshold.to_bits(), s.version);
    subjects.iter().map(entry).collect()
}

/// What the mask of one layer holds.
#[derive(Clone, Debug)]
pub struct DecidedLayer {
    pub id: LayerId,
    /// Share of the photo inside, in [0, 1].
    pub share: f32,
    /// Connected parts, the largest ones first; `peak` and `mean` are probabilities.
    pub regions: Vec<Region>,
    /// How many parts there are.
    pub count: usize,
}

/// Areas and regions of all layers.
#[derive(Clone, Debug)]
pub struct Decided {
    pub key: DecisionKey,
    pub layers: Vec<DecidedLayer>,
}

impl Decided {
    /// Works them out; some ten milliseconds for each megapixel.
    pub fn new(subjects: &[Subject]) -> Self {
        let layer = |subject: &Subject| {
            let mask = subject.mask();
            let inside = mask.par_iter().filter(|value| **value > 0).count();
            let ones =
                GrayImage::from_fn(mask.width(), mask.height(), |x, y| Luma([u8::from(mask.get_pixel(x, y).0[0] > 0)]));
            let mut regions = regions_of(&ones, &subject.map, usize::MAX, 0, |p| p);
            regions.sort_by_key(|region| std::cmp::Reverse(region.area));
            let count = regions.len();
            regions.truncate(MOST_REGIONS);
            DecidedLayer { id: subject.id, share: inside as f32 / mask.len().max(1) as f32, regions, count }
        };
        Self { key: key(subjects), layers: subjects.iter().map(layer).collect() }
    }

    /// What was found on a layer with this map; `None` where another photo's or an older one was decided.
    pub fn layer(&self, id: LayerId, map: &Arc<AnomalyMap>) -> Option<&DecidedLayer> {
        let map = Arc::as_ptr(map).addr();
        let known = self.key.iter().any(|(layer, of, ..)| (*layer, *of) == (id, map));
        self.layers.iter().find(|layer| known && layer.id == id)
    }
}

/// The masks of one photo as files.
#[derive(Clone, Debug)]
pub struct MaskFiles {
    pub photo: PathBuf,
    /// Name, colour and what decides each mask.
    pub layers: Vec<(String, [u8; 3], Subject)>,
}

impl MaskFiles {
    /// Writes `<stem>_<name>_mask.png` and `<stem>_<name>_probability.png` for each layer, and `<stem>_overlay.png`.
    ///
    /// # Errors
    /// [`crate::Error::Io`] naming the file; those of the photo.
    pub fn write(&self, folder: &Path) -> Result<()> {
        report::create_folder(folder)?;
        let photo = Photo::open(&self.photo)?;
        let stem = self.photo.file_stem().unwrap_or_default().to_string_lossy();
        let mut taken: Vec<String> = Vec::new();
        let mut shown = Vec::new();
        for (name, colour, subject) in &self.layers {
            let mut plain: String =
                name.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
            // File systems take 255 bytes, of which the photo's name needs some.
            plain.truncate(plain.floor_char_boundary(80));
            let mut file = plain.clone();
            for number in 2.. {
                if !taken.contains(&file) {
                    break;
                }
                file = format!("{plain}_{number}");
            }
            taken.push(file.clone());
            let mask = subject.mask();
            report::write_png(&folder.join(format!("{stem}_{file}_mask.png")), &mask.clone().into())?;
            let probability = segments::probability(&subject.map);
            report::write_png(&folder.join(format!("{stem}_{file}_probability.png")), &probability.into())?;
            shown.push(segments::Masked { words: name, colour: *colour, mask });
        }
        let overlay = segments::overlay_of(&photo.pixels, &shown);
        report::write_png(&folder.join(format!("{stem}_overlay.png")), &overlay.into())?;
        Ok(())
    }
}

/// The masks as a picture of `size` screen pixels over the part `window` of the photo (in its pixels): each layer in its
/// colour, the later on top, its outline strong. `fill` is the opacity inside, 0–1.
pub fn picture(subjects: &[(Subject, [u8; 3])], window: Rect, size: [usize; 2], fill: f32) -> ColorImage {
    let [width, height] = size;
    let mut pixels = vec![Color32::TRANSPARENT; width * height];
    for (subject, [r, g, b]) in subjects {
        let inside = sampled(subject, window, size);
        let outline = Color32::from_rgba_unmultiplied(*r, *g, *b, 245);
        let body = Color32::from_rgba_unmultiplied(*r, *g, *b, (fill.clamp(0.0, 1.0) * 255.0) as u8);
        pixels.par_chunks_mut(width.max(1)).enumerate().for_each(|(y, row)| {
            for (x, pixel) in row.iter_mut().enumerate() {
                let at = y * width + x;
                if !inside[at] {
                    continue;
                }
                let edge = x > 0 && !inside[at - 1]
                    || x + 1 < width && !inside[at + 1]
                    || y > 0 && !inside[at - width]
                    || y + 1 < height && !inside[at + width];
                *pixel = over(*pixel, if edge { outline } else { body });
            }
        });
    }
    ColorImage::new(size, pixels)
}

/// Whether a screen pixel shows a pixel of the mask.
fn sampled(subject: &Subject, window: Rect, [width, height]: [usize; 2]) -> Vec<bool> {
    let map = &subject.map;
    let step = (window.width() / width.max(1) as f32, window.height() / height.max(1) as f32);
    let points = |step: f32| (step.ceil() as usize).clamp(1, FINE);
    let (fine_x, fine_y) = (points(step.0), points(step.1));
    let place = |from: f32, step: f32, at: usize, sub: usize, fine: usize, length: usize| {
        let value = from + (at as f32 + (sub as f32 + 0.5) / fine as f32) * step;
        (value.max(0.0) as usize).min(length.saturating_sub(1))
    };
    let mut inside = vec![false; width * height];
    inside.par_chunks_mut(width.max(1)).enumerate().for_each(|(y, row)| {
        for (x, inside) in row.iter_mut().enumerate() {
            *inside = (0..fine_y).any(|sub_y| {
                let line = place(window.top(), step.1, y, sub_y, fine_y, map.height) * map.width;
                (0..fine_x)
                    .any(|sub_x| subject.is_inside(line + place(window.left(), step.0, x, sub_x, fine_x, map.width)))
            });
        }
    });
    inside
}

/// Premultiplied colours over each other.
fn over(below: Color32, above: Color32) -> Color32 {
    let rest = 255 - u16::from(above.a());
    let mix = |above: u8, below: u8| above.saturating_add((u16::from(below) * rest / 255) as u8);
    Color32::from_rgba_premultiplied(
        mix(above.r(), below.r()),
        mix(above.g(), below.g()),
        mix(above.b(), below.b()),
        mix(above.a(), below.a()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::{pos2, vec2};

    /// 20 × 10, the left half 0.2, the right half 0.8.
    fn subject(threshold: f32) -> Subject {
        let scores = (0..200).map(|at| if at % 20 < 10 { 0.2 } else { 0.8 }).collect();
        let map = Arc::new(AnomalyMap { width: 20, height: 10, photo_width: 20, photo_height: 10, scores });
        Subject { id: 3, map, threshold, version: 0, cells: None }
    }

    #[test]
    fn strokes_win_over_the_threshold_and_regions_follow() {
        let mut cells = vec![LEFT; 200];
        cells[0] = ADDED;
        (0..10).for_each(|y| cells[y * 20 + 15] = super::super::correction::ERASED);
        let corrected = Subject { cells: Some(Arc::new(cells)), version: 1, ..subject(0.5) };
        let decided = Decided::new(&[subject(0.5), corrected.clone()]);
        assert_eq!(decided.layers[0].regions.len(), 1);
        assert!((decided.layers[0].share - 0.5).abs() < 1e-6);
        let areas: Vec<u32> = decided.layers[1].regions.iter().map(|region| region.area).collect();
        assert_eq!(areas, [50, 40, 1]);
        assert_eq!(decided.layers[1].regions[2].peak, 0.2, "its probability is the network's");
        assert_ne!(key(&[subject(0.5)]), key(&[subject(0.6)]));
    }

    #[test]
    fn the_picture_shows_the_part_of_the_photo_on_view() {
        let layer = || vec![(subject(0.5), [255, 0, 0])];
        let whole = picture(&layer(), Rect::from_min_size(pos2(0.0, 0.0), vec2(20.0, 10.0)), [40, 20], 0.5);
        let opaque = |image: &ColorImage| image.pixels.iter().filter(|pixel| pixel.a() > 0).count();
        assert_eq!(opaque(&whole), 400);
        assert!(whole.pixels[20].a() > 200 && whole.pixels[25].a() < 200, "the outline is strong");
        let right = picture(&layer(), Rect::from_min_size(pos2(10.0, 0.0), vec2(10.0, 10.0)), [10, 10], 0.5);
        assert_eq!(opaque(&right), 100);
        // A line of one pixel stays where four of the photo share one of the screen.
        let mut cells = vec![super::super::correction::ERASED; 200];
        (0..10).for_each(|y| cells[y * 20 + 9] = ADDED);
        let line = Subject { cells: Some(Arc::new(cells)), ..subject(0.5) };
        let small = picture(&[(line, [0, 255, 0])], Rect::from_min_size(pos2(0.0, 0.0), vec2(20.0, 10.0)), [5, 5], 0.5);
        assert_eq!(opaque(&small), 5);
    }
}
