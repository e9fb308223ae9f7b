//! Batches of procedural photos for the embedded model: a few products, each with three normal photos and three defective
//! ones, cropped alike, with patch labels and sentences. A batch is a pure function of (seed, number, shape).

use crate::dataset::synth::chance::Chance;
use crate::dataset::synth::words::{self, ANOMALOUS, NORMAL};
use crate::dataset::synth::{DefectKind, Outlines, Product};

/// Normal photos per product; the last one is a query, the others are references.
pub const NORMALS: usize = 3;
/// Defective photos per product, all queries.
pub const DEFECTIVES: usize = 3;
/// Photos per product.
pub const PHOTOS: usize = NORMALS + DEFECTIVES;
/// Products of a batch at most, so that every batch has products of its own whatever its size.
pub const MOST_PRODUCTS: u64 = 64;
/// Sentences for good parts per batch.
pub const NORMAL_SENTENCES: usize = 8;
/// Sentences for damage in general per batch; one for each kind of defect follows.
pub const ANOMALOUS_SENTENCES: usize = 6;
/// Covered part of a patch from which on it is defective; below it, and above 0, it is left out.
const COVERED: f32 = 0.12;

/// Sizes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpisodeShape {
    pub products: usize,
    /// Side of the square crops in pixels.
    pub crop: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
}

/// One batch, images in the order product by product, normal ones first.
#[derive(Clone, Debug)]
pub struct Episode {
    /// `[images, 3, crop, crop]`, 0–1.
    pub pixels: Vec<f32>,
    /// `[images × patches]`: 0 normal, else the kind of defect.
    pub kinds: Vec<i32>,
    /// `[images × patches]`: false where a patch is neither clearly normal nor clearly defective.
    pub clear: Vec<bool>,
    /// `[images]`: whether the crop shows a defect.
    pub anomalous: Vec<bool>,
    /// Good parts, damage in general, one per kind of defect: see the constants.
    pub prompts: Vec<String>,
    /// One per product for its first normal photo, then one per defective photo.
    pub captions: Vec<String>,
    /// The image each caption belongs to.
    pub captioned: Vec<i32>,
}

impl EpisodeShape {
    pub fn images(&self) -> usize {
        self.products * PHOTOS
    }

    /// Batch number `index`, whose products no other number has.
    ///
    /// # Panics
    /// If it has more than [`MOST_PRODUCTS`].
    pub fn episode(&self, seed: u64, index: usize) -> Episode {
        assert!(self.products as u64 <= MOST_PRODUCTS, "a batch has at most {MOST_PRODUCTS} products");
        let side = self.crop / self.patch;
        let plane = self.crop * self.crop;
        let mut episode = Episode {
            pixels: vec![0.0; self.images() * 3 * plane],
            kinds: Vec::with_capacity(self.images() * side * side),
            clear: Vec::with_capacity(self.images() * side * side),
            anomalous: Vec::with_capacity(self.images()),
            prompts: Vec::new(),
            captions: Vec::new(),
            captioned: Vec::new(),
        };
        let chance = &mut Chance::new(seed, index as u64, 0, 99);
        let mut late = Vec::new();
        for slot in 0..self.products {
            let product = Product::new(seed, index as u64 * MOST_PRODUCTS + slot as u64, Outlines::Trained);
            // Scale: the whole part in a crop at one end, a detail of it at the other.
            let size = chance.log_uniform(self.crop as f32, self.crop as f32 * 1.75) as usize;
            let samples: Vec<_> =
                (0..PHOTOS).map(|photo| product.photo(photo as u64, photo >= NORMALS, size)).collect();
            let room = (size - self.crop) as f32;
            let mut corner = (chance.uniform(0.0, room + 1.0), chance.uniform(0.0, room + 1.0));
            // Mostly where the first defect is, or there would often be none in the crop.
            let marked: Vec<usize> = (0..size * size).filter(|&i| samples[NORMALS].mask[i] > 0).collect();
            if chance.flip(0.85) && !marked.is_empty() {
                let at = chance.choose(&marked);
                let half = self.crop as f32 * chance.uniform(0.25, 0.75);
                corner = ((at % size) as f32 - half, (at / size) as f32 - half);
            }
            let grey = !product.grey && chance.flip(0.3);
            let (flip_x, flip_y) = (chance.flip(0.5), chance.flip(0.5));
            for (photo, sample) in samples.iter().enumerate() {
                let jitter = chance.uniform(-5.0, 5.0);
                let left = (corner.0 + jitter).clamp(0.0, room) as usize;
                let top = (corner.1 + chance.uniform(-5.0, 5.0)).clamp(0.0, room) as usize;
                let image = slot * PHOTOS + photo;
                let from = |x: usize, y: usize| {
                    let x = if flip_x { self.crop - 1 - x } else { x };
                    let y = if flip_y { self.crop - 1 - y } else { y };
                    (top + y) * size + left + x
                };
                let out = &mut episode.pixels[image * 3 * plane..(image + 1) * 3 * plane];
                for y in 0..self.crop {
                    for x in 0..self.crop {
                        let at = from(x, y) * 3;
                        let mut rgb = [0, 1, 2].map(|c| f32::from(sample.rgb[at + c]) / 255.0);
                        if grey {
                            rgb = [0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]; 3];
                        }
                        for (c, value) in rgb.into_iter().enumerate() {
                            out[c * plane + y * self.crop + x] = value;
                        }
                    }
                }
                let mut any = false;
                for row in 0..side {
                    for column in 0..side {
                        let (mut marked, mut kind) = (0_usize, 0_u8);
                        for y in row * self.patch..(row + 1) * self.patch {
                            for x in column * self.patch..(column + 1) * self.patch {
                                let m = sample.mask[from(x, y)];
                                marked += usize::from(m > 0);
                                kind = kind.max(m);
                            }
                        }
                        let covered = marked as f32 / (self.patch * self.patch) as f32;
                        let defective = covered > COVERED;
                        any |= defective;
                        episode.kinds.push(if defective { i32::from(kind) } else { 0 });
                        episode.clear.push(defective || marked == 0);
                    }
                }
                episode.anomalous.push(any);
                if photo == 0 {
                    episode.captions.push(words::caption(&product, sample, chance));
                    episode.captioned.push(image as i32);
                } else if any {
                    late.push((words::caption(&product, sample, chance), image as i32));
                }
            }
        }
        for (caption, image) in late {
            episode.captions.push(caption);
            episode.captioned.push(image);
        }
        episode.prompts.extend((0..NORMAL_SENTENCES).map(|_| words::sentence(chance, NORMAL)));
        episode.prompts.extend((0..ANOMALOUS_SENTENCES).map(|_| words::sentence(chance, ANOMALOUS)));
        episode.prompts.extend(DefectKind::ALL.map(|kind| words::sentence(chance, words::phrases(kind))));
        episode
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_a_function_of_seed_and_number() {
        let shape = EpisodeShape { products: 2, crop: 48, patch: 8 };
        let (a, b, c) = (shape.episode(1, 5), shape.episode(1, 5), shape.episode(1, 6));
        assert!(a.pixels == b.pixels && a.prompts == b.prompts && a.captions == b.captions);
        assert_ne!(a.pixels, c.pixels);
        assert_eq!((a.kinds.len(), a.prompts.len()), (2 * PHOTOS * 36, NORMAL_SENTENCES + ANOMALOUS_SENTENCES + 11));
    }

    #[test]
    fn normal_photos_have_normal_patches_and_most_defects_are_in_sight() {
        let shape = EpisodeShape { products: 20, crop: 48, patch: 8 };
        let episode = shape.episode(3, 0);
        let mut seen = 0;
        for image in 0..shape.images() {
            let kinds = &episode.kinds[image * 36..(image + 1) * 36];
            let any = kinds.iter().any(|&kind| kind > 0);
            assert_eq!(any, episode.anomalous[image]);
            if image % PHOTOS < NORMALS {
                assert!(!any);
            } else {
                seen += usize::from(any);
            }
        }
        let defective = 20 * DEFECTIVES;
        assert!(seen * 10 > defective * 6, "{seen} of {defective} defective crops show a defect");
    }
}
