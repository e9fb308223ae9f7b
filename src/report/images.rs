//! The annotated pictures: heatmap, boxes, mask. A heatmap is only the coloured picture of an anomaly map; its scale is
//! fixed, with the threshold at the middle, so that a good part does not glow.

use image::{GrayImage, Rgb, RgbImage, imageops};
use imageproc::drawing::draw_filled_rect_mut;
use imageproc::rect::Rect;
use rayon::prelude::*;

use super::colour::ColourMap;
use super::lettering::{Style, Weight, blend, mix};
use crate::anomaly::{AnomalyMap, Calibration, Inspection, Region, Verdict};

/// Opacity of the heatmap over the photo from the threshold upwards; below it fades to nothing.
pub const OPACITY: f32 = 0.62;

/// Photos with a shorter long side are enlarged by a whole factor, so that numbers on them can be read.
const LEGIBLE_SIDE: u32 = 640;
/// Largest factor of that kind.
const LARGEST_FACTOR: u32 = 8;

/// The outline of ground truth.
const TRUTH: [u8; 3] = [64, 160, 255];
const STRIP: [u8; 3] = [22, 24, 28];
const INK: [u8; 3] = [236, 238, 242];
const FAINT_INK: [u8; 3] = [158, 164, 174];

/// The colour of a verdict, told apart by colour-blind eyes; always shown with the word.
pub fn verdict_colour(verdict: Verdict) -> [u8; 3] {
    match verdict {
        Verdict::Ok => [32, 158, 150],
        Verdict::Uncertain => [224, 160, 32],
        Verdict::Ng => [226, 84, 44],
    }
}

/// How strongly a normalised score covers the photo, 0–1: nothing for typical pixels, all of [`OPACITY`] from the
/// threshold upwards.
pub fn overlay_opacity(normalised: f32) -> f32 {
    let t = (normalised / 0.5).clamp(0.0, 1.0);
    OPACITY * t * t * (3.0 - 2.0 * t)
}

/// The photo with the coloured map over it, at photo size.
pub fn overlay(photo: &RgbImage, map: &AnomalyMap, calibration: &Calibration, colours: ColourMap) -> RgbImage {
    let scores = at_size(map, photo.width(), photo.height());
    let table = colours.table();
    let mut picture = photo.clone();
    let width = photo.width() as usize;
    picture.par_chunks_mut(3 * width).zip(scores.par_chunks(width)).for_each(|(line, scores)| {
        for (pixel, score) in line.chunks_exact_mut(3).zip(scores) {
            let normalised = calibration.normalise_pixel(*score);
            let colour = table[(normalised * 255.0).round() as usize];
            let mixed = mix([pixel[0], pixel[1], pixel[2]], colour, overlay_opacity(normalised));
            pixel.copy_from_slice(&mixed);
        }
    });
    picture
}

/// The heatmap export: photo and map, and below them the verdict and a legend with numbers.
pub fn heatmap(
    photo: &RgbImage,
    inspection: &Inspection,
    map: &AnomalyMap,
    calibration: &Calibration,
    colours: ColourMap,
) -> RgbImage {
    let picture = overlay(&enlarged(photo), map, calibration, colours);
    let mut sheet = Sheet::new(&picture, 2);
    sheet.verdict(inspection);
    sheet.legend(colours, calibration.pixel_threshold);
    sheet.picture
}

/// The boxes export: photo with numbered boxes, and below it the verdict and how many regions there are.
pub fn boxes(photo: &RgbImage, inspection: &Inspection) -> RgbImage {
    let mut picture = enlarged(photo);
    let factor = picture.width() / photo.width().max(1);
    draw_regions(&mut picture, &inspection.regions, factor, Style { weight: Weight::SemiBold, ..text_style(photo) });
    let mut sheet = Sheet::new(&picture, 1);
    sheet.verdict(inspection);
    let count = match inspection.regions.len() {
        0 => "no region".to_owned(),
        1 => "1 region".to_owned(),
        n => format!("{n} regions"),
    };
    sheet.right(&count);
    sheet.picture
}

/// The mask at photo size: 255 where the raw score reaches `threshold`, else 0.
pub fn mask(map: &AnomalyMap, threshold: f32) -> GrayImage {
    let mut mask = GrayImage::new(map.photo_width, map.photo_height);
    for (pixel, score) in mask.iter_mut().zip(map.at_photo_size()) {
        *pixel = if score >= threshold { 255 } else { 0 };
    }
    mask
}

/// Draws a line around the defective places of a mask (not 0), which may be larger than the picture.
pub fn outline(picture: &mut RgbImage, mask: &GrayImage) {
    let (width, height) = picture.dimensions();
    let mut inside = GrayImage::new(width, height);
    // However small a place is, it keeps a pixel.
    for (x, y, _) in mask.enumerate_pixels().filter(|(.., pixel)| pixel.0[0] > 0) {
        let fit = |at: u32, from: u32, to: u32| (u64::from(at) * u64::from(to) / u64::from(from)) as u32;
        inside.put_pixel(fit(x, mask.width(), width), fit(y, mask.height(), height), image::Luma([255]));
    }
    let grown = imageproc::morphology::dilate(&inside, imageproc::distance_transform::Norm::LInf, 2);
    for ((pixel, inside), grown) in picture.pixels_mut().zip(inside.pixels()).zip(grown.pixels()) {
        if grown.0[0] > 0 && inside.0[0] == 0 {
            *pixel = Rgb(TRUTH);
        }
    }
}

/// Photo and overlay side by side in one row of the report, `side` pixels high and wide at most.
pub fn thumbnail(picture: &RgbImage, side: u32) -> RgbImage {
    let scale = (f64::from(side) / f64::from(picture.width().max(picture.height()).max(1))).min(1.0);
    let size = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    let (width, height) = (size(picture.width()), size(picture.height()));
    imageops::resize(picture, width, height, imageops::FilterType::Triangle)
}

fn at_size(map: &AnomalyMap, width: u32, height: u32) -> Vec<f32> {
    crate::anomaly::map::upsample(&map.scores, map.height, map.width, height as usize, width as usize)
}

fn factor(photo: &RgbImage) -> u32 {
    let long = photo.width().max(photo.height()).max(1);
    LEGIBLE_SIDE.div_ceil(long).clamp(1, LARGEST_FACTOR)
}

fn enlarged(photo: &RgbImage) -> RgbImage {
    match factor(photo) {
        1 => photo.clone(),
        n => imageops::resize(photo, photo.width() * n, photo.height() * n, imageops::FilterType::CatmullRom),
    }
}

/// Lettering that suits the size of the picture.
fn text_style(photo: &RgbImage) -> Style {
    let long = (photo.width().max(photo.height()) * factor(photo)) as f32;
    Style { weight: Weight::Regular, px: (long / 44.0).clamp(14.0, 60.0).round(), colour: INK }
}

fn draw_regions(picture: &mut RgbImage, regions: &[Region], factor: u32, style: Style) {
    let line = (style.px / 7.0).round().max(2.0) as i64;
    let colour = verdict_colour(Verdict::Ng);
    // Weakest first, so that the strongest lies on top.
    for region in regions.iter().rev() {
        let frame = Frame::of(region, factor);
        frame.outline(picture, line + 1, [0, 0, 0], 0.55);
        frame.outline(picture, line, colour, 1.0);
    }
    let mut taken: Vec<Frame> = Vec::new();
    for (index, region) in regions.iter().enumerate() {
        let text = format!("{} · {:.2}", index + 1, region.confidence);
        let (width, height) = ((style.width(&text) + 0.9 * style.px) as i64, (1.5 * style.px) as i64);
        let frame = Frame::of(region, factor);
        let bounds = (i64::from(picture.width()), i64::from(picture.height()));
        let tag = frame.place_for(width, height, line, bounds, &taken);
        fill(picture, tag, colour);
        let middle = (tag.top + tag.bottom) as f32 / 2.0;
        style.draw(picture, tag.left as f32 + 0.45 * style.px, middle, &text);
        taken.push(tag);
    }
}

fn fill(picture: &mut RgbImage, frame: Frame, colour: [u8; 3]) {
    let (width, height) = ((frame.right - frame.left) as u32, (frame.bottom - frame.top) as u32);
    let rect = Rect::at(frame.left as i32, frame.top as i32).of_size(width.max(1), height.max(1));
    draw_filled_rect_mut(picture, rect, Rgb(colour));
}

/// A rectangle in pixels of the picture, right and bottom exclusive.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Frame {
    left: i64,
    top: i64,
    right: i64,
    bottom: i64,
}

impl Frame {
    fn of(region: &Region, factor: u32) -> Self {
        let scaled = |v: u32| i64::from(v) * i64::from(factor);
        Self {
            left: scaled(region.x),
            top: scaled(region.y),
            right: scaled(region.x + region.width),
            bottom: scaled(region.y + region.height),
        }
    }

    /// Draws the frame outwards, `line` pixels thick; what lies outside of the picture is left out.
    fn outline(self, picture: &mut RgbImage, line: i64, colour: [u8; 3], cover: f32) {
        for y in self.top - line..self.bottom + line {
            let edge = y < self.top || y >= self.bottom;
            // An edge runs through; between the edges only the two sides are drawn.
            let (left_end, right_start) = if edge { (self.right, self.right) } else { (self.left, self.right) };
            for x in (self.left - line..left_end).chain(right_start..self.right + line) {
                blend(picture, x, y, colour, cover);
            }
        }
    }

    fn overlaps(self, other: &Self) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    /// Where a tag of this size fits: above, below, inside at the top, then right and left of the frame; the first
    /// place inside the picture that no other tag holds.
    fn place_for(self, width: i64, height: i64, line: i64, picture: (i64, i64), taken: &[Self]) -> Self {
        let at = |left: i64, top: i64| {
            let left = left.clamp(0, (picture.0 - width).max(0));
            let top = top.clamp(0, (picture.1 - height).max(0));
            Self { left, top, right: (left + width).min(picture.0), bottom: (top + height).min(picture.1) }
        };
        let edge = self.left - line;
        let places = [
            (edge, self.top - line - height, self.top - line - height >= 0),
            (edge, self.bottom + line, self.bottom + line + height <= picture.1),
            (self.right + line, self.top - line, self.right + line + width <= picture.0),
            (edge - width, self.top - line, edge - width >= 0),
            (edge, self.top, true),
        ];
        let free = |frame: &Self| !taken.iter().any(|other| frame.overlaps(other));
        places
            .iter()
            .filter(|(.., fits)| *fits)
            .map(|&(left, top, _)| at(left, top))
            .find(free)
            .or_else(|| {
                // Crowded: slide down the picture from the frame's top.
                let step = height + 1;
                (0..picture.1 / step.max(1)).map(|n| at(edge, self.top + n * step)).find(free)
            })
            .unwrap_or_else(|| at(edge, self.top))
    }
}

/// A picture with a strip below it for words and legend.
struct Sheet {
    picture: RgbImage,
    /// Top of the strip.
    top: f32,
    style: Style,
    rows: u32,
}

impl Sheet {
    /// Puts `content` on a sheet with a strip of `rows` lines below it. Narrow pictures are centred on a sheet wide
    /// enough for the words.
    fn new(content: &RgbImage, rows: u32) -> Self {
        let style = text_style(content);
        let width = content.width().max((24.0 * style.px) as u32);
        let strip = (style.px * (1.3 + 1.5 * rows as f32)).round() as u32;
        let mut picture = RgbImage::from_pixel(width, content.height() + strip, Rgb(STRIP));
        imageops::replace(&mut picture, content, i64::from((width - content.width()) / 2), 0);
        Self { picture, top: content.height() as f32, style, rows }
    }

    fn row(&self, row: u32) -> f32 {
        self.top + self.style.px * (0.65 + 0.75 + 1.5 * row as f32)
    }

    /// A badge in the verdict's colour with its word, and the normalised score.
    fn verdict(&mut self, inspection: &Inspection) {
        let px = self.style.px;
        let word = inspection.verdict.word();
        let bold = Style { weight: Weight::SemiBold, ..self.style };
        let ink = if inspection.verdict == Verdict::Uncertain { [30, 22, 0] } else { [255; 3] };
        let middle = if self.rows == 1 { self.row(0) } else { f32::midpoint(self.row(0), self.row(1)) };
        let badge = Frame {
            left: (0.8 * px) as i64,
            top: (middle - 0.85 * px) as i64,
            right: (0.8 * px + bold.width(word) + 1.2 * px) as i64,
            bottom: (middle + 0.85 * px) as i64,
        };
        fill(&mut self.picture, badge, verdict_colour(inspection.verdict));
        Style { colour: ink, ..bold }.draw(&mut self.picture, 1.4 * px, middle, word);
        let faint = Style { colour: FAINT_INK, ..self.style };
        let left = badge.right as f32 + 0.7 * px;
        faint.draw(&mut self.picture, left, middle, "score");
        let score = format!("{:.2}", inspection.normalised_score);
        bold.draw(&mut self.picture, left + faint.width("score "), middle, &score);
    }

    /// Words at the right end of the first row.
    fn right(&mut self, text: &str) {
        let x = self.picture.width() as f32 - 0.8 * self.style.px - self.style.width(text);
        let middle = self.row(0);
        Style { colour: FAINT_INK, ..self.style }.draw(&mut self.picture, x, middle, text);
    }

    /// The colour scale from 0 to 1 with the threshold at its middle, and the raw score that the threshold stands for.
    fn legend(&mut self, colours: ColourMap, raw_threshold: f32) {
        let px = self.style.px;
        let small = Style { px: (0.8 * px).round(), colour: FAINT_INK, ..self.style };
        let right = self.picture.width() as f32 - 0.9 * px;
        let width = (0.5 * self.picture.width() as f32).clamp(11.0 * px, 20.0 * px);
        let left = right - width;
        let (top, bottom) = (self.row(0) - 0.45 * px, self.row(0) + 0.35 * px);
        for x in left as i64..right as i64 {
            let colour = colours.at((x as f32 + 0.5 - left) / width);
            for y in top as i64..bottom as i64 {
                blend(&mut self.picture, x, y, colour, 1.0);
            }
        }
        let middle = f32::midpoint(left, right);
        for x in [left, middle, right - 1.0] {
            for y in bottom as i64..(bottom + 0.3 * px) as i64 {
                blend(&mut self.picture, x as i64, y, FAINT_INK, 1.0);
            }
        }
        let line = self.row(1) + 0.1 * px;
        let threshold = format!("pixel threshold {raw_threshold:.2}");
        small.draw(&mut self.picture, left, line, "0");
        small.draw(&mut self.picture, middle - small.width(&threshold) / 2.0, line, &threshold);
        small.draw(&mut self.picture, right - small.width("1"), line, "1");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::{calibration, inspection, map};

    #[test]
    fn a_good_part_stays_as_photographed_and_a_defect_does_not() {
        let photo = RgbImage::from_pixel(64, 48, Rgb([120, 130, 140]));
        let map = map(64, 48, &[(40, 20)]);
        let picture = overlay(&photo, &map, &calibration(), ColourMap::Inferno);
        assert_eq!(picture.get_pixel(5, 5), photo.get_pixel(5, 5));
        let hot = picture.get_pixel(40, 20).0;
        assert_eq!(hot, mix([120, 130, 140], ColourMap::Inferno.at(1.0), OPACITY));
    }

    #[test]
    fn the_mask_has_the_size_of_the_photo_and_two_values() {
        let mut map = map(8, 6, &[(4, 3)]);
        (map.photo_width, map.photo_height) = (80, 60);
        let mask = mask(&map, calibration().pixel_threshold);
        assert_eq!(mask.dimensions(), (80, 60));
        assert_eq!((mask.get_pixel(45, 35).0, mask.get_pixel(0, 0).0), ([255], [0]));
        assert!(mask.iter().all(|v| *v == 0 || *v == 255));
    }

    #[test]
    fn every_size_of_photo_can_be_drawn() {
        for (width, height) in [(1, 1), (2, 300), (300, 2), (64, 48), (1500, 900)] {
            let photo = RgbImage::from_pixel(width, height, Rgb([90, 90, 90]));
            let map = map(16, 16, &[(3, 3)]);
            let inspection = inspection(width, height);
            let heat = heatmap(&photo, &inspection, &map, &calibration(), ColourMap::Viridis);
            assert!(heat.height() > height && heat.width() >= width, "{width}×{height}");
            assert!(boxes(&photo, &inspection).height() > height);
        }
    }

    #[test]
    fn tags_never_cover_each_other_while_there_is_room() {
        let frame = Frame { left: 100, top: 100, right: 140, bottom: 140 };
        let mut taken = Vec::new();
        for _ in 0..8 {
            let place = frame.place_for(60, 20, 2, (400, 400), &taken);
            assert!(!taken.iter().any(|other| place.overlaps(other)));
            taken.push(place);
        }
        let corner = Frame { left: 0, top: 0, right: 10, bottom: 10 }.place_for(60, 20, 2, (400, 400), &[]);
        assert!(corner.left >= 0 && corner.top >= 0);
    }
}
