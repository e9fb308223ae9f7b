//! The pixels of many photos in one pool, from which the pixel figures of a class are read. A normal pixel takes 4 bytes,
//! an anomalous one 8, and they are sorted where they lie: 300 photos of a megapixel need about 1.2 GB, and no more while
//! they are measured.

use image::GrayImage;

use super::pro;
use super::ranking::{Ranking, Score as _};
use crate::{Error, Result};

/// Pixel scores of photos with their ground truth.
#[derive(Debug, Default)]
pub struct PixelPool {
    normal: Vec<u32>,
    anomalous: Vec<(u32, u32)>,
    /// Pixels of each connected defect, over all photos.
    parts: Vec<u32>,
}

impl PixelPool {
    /// Adds one photo: raw scores `[height * width]`, and its mask (not 0 where defective) of the same size; `None` is a
    /// normal photo. Nothing is added on an error.
    ///
    /// # Errors
    /// [`Error::Input`] for a score that is no finite number, naming its place; for a mask of another size.
    pub fn add(&mut self, scores: &[f32], width: u32, height: u32, mask: Option<&GrayImage>) -> Result<()> {
        if scores.len() != width as usize * height as usize {
            return Err(Error::bug(format!("a map of {width} × {height} pixels has {} scores.", scores.len())));
        }
        if let Some(at) = scores.iter().position(|score| !score.is_finite()) {
            let (x, y) = (at % width as usize, at / width as usize);
            return Err(Error::input(format!(
                "The anomaly map has {} at column {x}, row {y}. Scores must be finite numbers: write the map again.",
                scores[at]
            )));
        }
        let Some(mask) = mask else {
            self.make_room(scores.len());
            self.normal.extend(scores.iter().map(|score| score.key()));
            return Ok(());
        };
        if mask.dimensions() != (width, height) {
            return Err(Error::input(format!(
                "The mask has {} × {} pixels, the anomaly map {width} × {height}. Both must have the same size.",
                mask.width(),
                mask.height()
            )));
        }
        let (labels, sizes) = pro::parts(mask);
        let first = u32::try_from(self.parts.len()).map_err(|_| Error::input("There are too many defects."))?;
        self.make_room(scores.len());
        for (score, label) in scores.iter().zip(labels) {
            match label {
                0 => self.normal.push(score.key()),
                part => self.anomalous.push((score.key(), first + part - 1)),
            }
        }
        self.parts.extend(sizes);
        Ok(())
    }

    /// A quarter more at a time, not twice: the memory is counted in gigabytes.
    fn make_room(&mut self, pixels: usize) {
        if self.normal.capacity() - self.normal.len() < pixels {
            self.normal.reserve_exact(pixels.max(self.normal.len() / 4));
        }
    }

    /// Sorted, ready to be measured.
    pub fn ranking(self) -> Ranking<f32> {
        Ranking::sorted(self.normal, self.anomalous, &self.parts)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use image::Luma;

    #[test]
    fn parts_of_different_photos_stay_apart() {
        let mut pool = PixelPool::default();
        let mask = GrayImage::from_fn(2, 2, |x, _| Luma([if x == 0 { 255 } else { 0 }]));
        pool.add(&[0.5, 0.1, 0.6, 0.2], 2, 2, Some(&mask)).unwrap();
        pool.add(&[0.5, 0.1, 0.6, 0.2], 2, 2, Some(&mask)).unwrap();
        pool.add(&[0.5; 6], 3, 2, None).unwrap();
        let ranking = pool.ranking();
        assert_eq!((ranking.normals(), ranking.anomalies(), ranking.parts()), (10, 4, 2));
        assert!((ranking.steps().map(|step| step.overlap).sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_score_that_is_no_number_is_refused_with_its_place() {
        let mut pool = PixelPool::default();
        for bad in [f32::NAN, f32::INFINITY] {
            let error = pool.add(&[0.0, 0.0, 0.0, bad], 2, 2, None).unwrap_err().to_string();
            assert!(error.contains("column 1, row 1"), "{error}");
        }
        let error = pool.add(&[0.0; 4], 2, 2, Some(&GrayImage::new(3, 2))).unwrap_err().to_string();
        assert!(error.contains("3 × 2") && error.contains("2 × 2"), "{error}");
        assert_eq!(pool.ranking().normals(), 0);
    }
}
