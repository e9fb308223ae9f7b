//! A product: materials, outline, print, light and camera drawn once; and its photos, normal or with a defect, which
//! vary in grain, pose and light as photos of one line do. Product and photo are pure functions of (seed, product,
//! photo, size).

use super::camera::Camera;
use super::canvas::{Canvas, Plane};
use super::chance::Chance;
use super::defect::{self, DefectKind, Scene};
use super::material::{Material, Pattern};
use super::shape::{Shape, ShapeKind};

/// Which outlines a product may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlines {
    /// Those of training, and surfaces that fill the photo.
    Trained,
    /// Those kept for validation; always an outline.
    HeldOut,
}

/// One photo with its ground truth.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Side in pixels; photos are square.
    pub size: usize,
    /// 8-bit RGB, row by row.
    pub rgb: Vec<u8>,
    /// Per pixel 0 for normal, else the number of the [`DefectKind`].
    pub mask: Vec<u8>,
    /// The kind with the most pixels; `None` for a normal photo.
    pub kind: Option<DefectKind>,
}

/// Everything that stays the same over the photos of one product.
#[derive(Clone, Debug)]
pub struct Product {
    seed: u64,
    index: u64,
    /// Whether the product and its photos have no colour.
    pub grey: bool,
    /// The part's surface.
    pub material: Material,
    /// The part's outline; `None` where the surface fills the photo.
    pub shape: Option<Shape>,
    second: Material,
    other: Material,
    background: Material,
    inlay: Option<Shape>,
    emboss: f32,
    shadow: bool,
    print: Option<Print>,
    seam: Option<[f32; 5]>,
    camera: Camera,
}

/// Marks like letters or bars printed on a part.
#[derive(Clone, Debug)]
struct Print {
    strokes: Vec<[(f32, f32); 2]>,
    width: f32,
    tone: f32,
}

impl Print {
    fn random(chance: &mut Chance, centre: (f32, f32)) -> Self {
        let (height, tone) = (chance.uniform(6.0, 22.0), chance.unit());
        let (x0, y0) = (centre.0 - 24.0 + 20.0 * chance.unit(), centre.1 - 14.0 + 20.0 * chance.unit());
        let glyphs = 2 + chance.below(6);
        let bars = chance.flip(0.25);
        let mut strokes = Vec::new();
        let mut x = x0;
        for _ in 0..glyphs {
            let width = height * if bars { 0.35 } else { 0.6 };
            if bars {
                strokes.push([(x, y0), (x, y0 + height)]);
            } else {
                // Strokes between the corners and middles of a 3×3 grid look like letters from a distance.
                let mut knot =
                    || (x + width * 0.5 * chance.below(3) as f32, y0 + height * 0.5 * chance.below(3) as f32);
                let mut last = knot();
                for _ in 0..4 {
                    let next = knot();
                    strokes.push([last, next]);
                    last = next;
                }
            }
            x += width * if bars { 1.0 + chance.unit() } else { 1.5 };
        }
        Self { strokes, width: chance.uniform(0.8, 3.0), tone }
    }

    fn paint(&self, size: usize, shift: (f32, f32)) -> Plane {
        let u = size as f32 / 128.0;
        let mut plane = Plane::filled(size, 0.0);
        for [a, b] in &self.strokes {
            let at = |p: &(f32, f32)| ((p.0 + shift.0) * u, (p.1 + shift.1) * u);
            plane.stroke(&[at(a), at(b)], self.width * u);
        }
        plane
    }
}

impl Product {
    /// Product number `index` of the world `seed`.
    pub fn new(seed: u64, index: u64, outlines: Outlines) -> Self {
        let chance = &mut Chance::new(seed, index, 0, 1 + outlines as u64);
        let grey = chance.flip(0.45);
        let framed = outlines == Outlines::HeldOut || chance.flip(0.55);
        let kinds: &[ShapeKind] =
            if outlines == Outlines::HeldOut { &ShapeKind::HELD_OUT } else { &ShapeKind::TRAINED };
        let material = Material::random(chance, grey, &Pattern::ALL);
        let second = Material::random(chance, grey, &Pattern::ALL);
        let other = Material::random(chance, grey, &Pattern::ALL);
        let background =
            if chance.flip(0.75) { Material::random(chance, grey, &Pattern::CALM) } else { second.clone() };
        let shape = framed.then(|| Shape::random(chance, kinds));
        let inlay = chance.flip(0.3).then(|| Shape::random(chance, kinds)).filter(|_| framed);
        let centre = shape.as_ref().map_or((64.0, 64.0), Shape::centre);
        Self {
            seed,
            index,
            grey,
            material,
            second,
            other,
            background,
            inlay,
            emboss: chance.uniform(-1.2, 1.2),
            shadow: chance.flip(0.4),
            print: chance.flip(0.22).then(|| Print::random(chance, centre)),
            seam: chance.flip(0.25).then(|| chance.units()),
            camera: Camera::random(chance, grey),
            shape,
        }
    }

    /// Photo number `photo`, `size` pixels a side, with a defect of a random kind where `defective`. A defective photo
    /// always has at least six pixels of defect.
    pub fn photo(&self, photo: u64, defective: bool, size: usize) -> Sample {
        let chance = &mut Chance::new(self.seed, self.index, photo, 8 + u64::from(defective));
        let (mut canvas, part, background) = self.scene(size, chance);
        let mut mask = vec![0_u8; size * size];
        let mut kind = None;
        if defective {
            let other = self.other.paint(size, chance);
            let wanted = 1 + usize::from(chance.flip(0.2));
            let mut done = 0;
            // A defect may fall where nothing shows; chance is asked until one does.
            while done < wanted {
                let next = chance.choose(&DefectKind::ALL);
                let scene = Scene { part: part.as_ref(), background: background.as_ref(), other: &other };
                let (painted, marks) = defect::paint(&canvas, &scene, next, chance);
                if marks.data.iter().filter(|&&m| m > 0.5).count() < (6 * size * size / (128 * 128)).max(6) {
                    continue;
                }
                canvas = painted;
                mask.iter_mut().zip(&marks.data).filter(|(_, m)| **m > 0.5).for_each(|(k, _)| *k = next as u8);
                kind = kind.or(Some(next));
                done += 1;
            }
        }
        Sample { size, rgb: self.camera.take(canvas, chance), mask, kind }
    }

    /// The normal part: picture, coverage of the part and what lies behind it.
    fn scene(&self, size: usize, chance: &mut Chance) -> (Canvas, Option<Plane>, Option<Canvas>) {
        let u = size as f32 / 128.0;
        let Some(shape) = &self.shape else {
            let mut canvas = self.material.paint(size, chance);
            if let Some([at, side, flip, ragged, soft]) = self.seam {
                let at = (10.0 + 40.0 * at + chance.normal() * 4.0) * u;
                let edge = Plane::noise(chance, size, 10.0, 10.0);
                let n = size as f32;
                let joint = Plane::from_fn(size, |x, y| {
                    let along = if side < 0.5 { y } else { x };
                    let along = if flip < 0.5 { along } else { n - along };
                    let wander = edge.data[y as usize * size + x as usize] * ragged * 2.0 * u;
                    ((at - along - wander) / ((1.0 + 6.0 * soft) * u)).clamp(0.0, 1.0)
                });
                canvas = canvas.covered(&self.second.paint(size, chance), &joint);
            }
            if let Some(print) = &self.print {
                let ink = print.paint(size, (chance.normal() * 2.0, chance.normal() * 2.0));
                canvas = canvas.tinted([print.tone; 3], &ink);
            }
            return (canvas.map(|v| v.clamp(0.0, 1.0)), None, None);
        };
        let mut background = self.background.paint(size, chance);
        let mut part = shape.paint(size, chance);
        let mut front = self.material.paint(size, chance);
        let (gx, gy) = part.blurred(2.5 * u).gradient();
        let (s, c) = (super::chance::sin(self.camera.light), super::chance::cos(self.camera.light));
        let slope = gx.zip(&gy, |x, y| (x * c + y * s) * self.emboss * u);
        front = front.zip(&slope, |v, e| v + e);
        if self.shadow {
            let (dx, dy) = (c * 4.0 * u, s * 4.0 * u);
            let dark = part.blurred(3.0 * u);
            let dark = Plane::from_fn(size, |x, y| dark.sample((x - dx).max(0.0), (y - dy).max(0.0)));
            background = background.zip(&dark, |v, d| v * (1.0 - 0.5 * d));
        }
        let mut canvas = background.clone().covered(&front, &part);
        if let Some(inlay) = &self.inlay {
            let inside = inlay.paint(size, chance).zip(&part, |a, b| a * b);
            canvas = canvas.covered(&self.second.paint(size, chance), &inside);
            part = part.zip(&inside, f32::max);
        }
        if let Some(print) = &self.print {
            let ink = print.paint(size, (chance.normal() * 2.0, chance.normal() * 2.0)).zip(&part, |a, b| a * b);
            canvas = canvas.tinted([print.tone; 3], &ink);
        }
        (canvas.map(|v| v.clamp(0.0, 1.0)), Some(part), Some(background))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_photo_is_a_function_of_its_numbers() {
        let photo = |seed, product, number| Product::new(seed, product, Outlines::Trained).photo(number, true, 64);
        assert_eq!(photo(1, 2, 3).rgb, photo(1, 2, 3).rgb);
        assert_ne!(photo(1, 2, 3).rgb, photo(1, 2, 4).rgb);
        assert_ne!(photo(1, 2, 3).rgb, photo(1, 3, 3).rgb);
        assert_ne!(photo(1, 2, 3).rgb, photo(2, 2, 3).rgb);
    }

    #[test]
    fn defective_photos_have_marked_pixels_and_normal_ones_none() {
        for index in 0..60 {
            let outlines = if index % 2 == 0 { Outlines::Trained } else { Outlines::HeldOut };
            let product = Product::new(5, index, outlines);
            let (good, bad) = (product.photo(0, false, 64), product.photo(1, true, 64));
            assert!(good.kind.is_none() && good.mask.iter().all(|&m| m == 0));
            assert!(bad.kind.is_some() && bad.mask.iter().filter(|&&m| m > 0).count() >= 6);
        }
    }

    #[test]
    fn every_kind_of_defect_occurs_and_large_ones_are_large() {
        let mut largest = [0_usize; 12];
        for index in 0..300 {
            let sample = Product::new(9, index, Outlines::Trained).photo(0, true, 64);
            let mut count = [0_usize; 12];
            sample.mask.iter().for_each(|&m| count[m as usize] += 1);
            (1..12).for_each(|k| largest[k] = largest[k].max(count[k]));
        }
        assert!(largest[1..].iter().all(|&n| n > 0), "{largest:?}");
        for kind in [DefectKind::Rough, DefectKind::Uneven] {
            assert!(largest[kind as usize] > 64 * 64 / 5, "{kind:?}: {largest:?}");
        }
    }

    /// The world itself is part of the recipe of the embedded model: a change of it must be seen.
    #[test]
    fn the_first_photo_of_the_world_has_not_changed() {
        let sample = Product::new(0, 0, Outlines::Trained).photo(0, true, 64);
        let sum: u64 = sample.rgb.iter().enumerate().map(|(i, &v)| (i as u64 % 251 + 1) * u64::from(v)).sum();
        assert_eq!((sum, sample.kind), (136_084_804, Some(DefectKind::Missing)));
    }
}
