//! Test-time augmentation: a photo is looked at in several views, whose embeddings are normalised, averaged and normalised
//! again. Makes the views and joins their embeddings; networks run elsewhere.

use std::str::FromStr;

use image::{Rgb, RgbImage, imageops};
use serde::{Deserialize, Serialize};

use crate::anomaly::prompt::normalise;
use crate::photo::Photo;
use crate::{Error, Result};

/// A way of making views besides the photo as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Augmentation {
    /// Four views, moved by a sixteenth of the side to the left, right, up and down, the border mirrored.
    Shifts,
    /// Two views, mirrored left to right and upside down.
    Flips,
    /// Two views, turned by 5° either way about the centre, the border mirrored.
    Rotations,
    /// Five views of seven eighths of each side: the corners and the centre.
    Crops,
}

impl Augmentation {
    /// Every kind, in the order views are made.
    pub const ALL: [Self; 4] = [Self::Shifts, Self::Flips, Self::Rotations, Self::Crops];

    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shifts => "shifts",
            Self::Flips => "flips",
            Self::Rotations => "rotations",
            Self::Crops => "crops",
        }
    }

    /// What it does, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Shifts => "Four views, moved by a sixteenth to each side.",
            Self::Flips => "Two views, mirrored left to right and upside down.",
            Self::Rotations => "Two views, turned by 5° either way.",
            Self::Crops => "Five views of seven eighths of each side: the corners and the centre.",
        }
    }
}

impl FromStr for Augmentation {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            Error::input(format!("There is no augmentation `{name}`. Use shifts, flips, rotations or crops."))
        })
    }
}

/// Degrees that [`Augmentation::Rotations`] turns by.
const TURN_DEGREES: f32 = 5.0;

/// The photo itself and then the views of each kind. They keep path and hash of the photo.
pub fn views(photo: &Photo, kinds: &[Augmentation]) -> Vec<Photo> {
    let pixels = &photo.pixels;
    let (width, height) = pixels.dimensions();
    let mut pictures = Vec::new();
    for kind in kinds {
        match kind {
            Augmentation::Shifts => {
                let (dx, dy) = (f32::from(u16::from(width >= 16)), f32::from(u16::from(height >= 16)));
                let (dx, dy) = (dx * (width as f32 / 16.0).round(), dy * (height as f32 / 16.0).round());
                for (dx, dy) in [(-dx, 0.0), (dx, 0.0), (0.0, -dy), (0.0, dy)] {
                    pictures
                        .push(RgbImage::from_fn(width, height, |x, y| sample(pixels, x as f32 - dx, y as f32 - dy)));
                }
            }
            Augmentation::Flips => {
                pictures.push(imageops::flip_horizontal(pixels));
                pictures.push(imageops::flip_vertical(pixels));
            }
            Augmentation::Rotations => {
                for degrees in [-TURN_DEGREES, TURN_DEGREES] {
                    let (sin, cos) = degrees.to_radians().sin_cos();
                    let (mid_x, mid_y) = ((width as f32 - 1.0) / 2.0, (height as f32 - 1.0) / 2.0);
                    pictures.push(RgbImage::from_fn(width, height, |x, y| {
                        let (x, y) = (x as f32 - mid_x, y as f32 - mid_y);
                        sample(pixels, cos * x + sin * y + mid_x, cos * y - sin * x + mid_y)
                    }));
                }
            }
            Augmentation::Crops => {
                let part = |side: u32| (side * 7 / 8).max(1);
                let (w, h) = (part(width), part(height));
                let (right, low) = (width - w, height - h);
                for (x, y) in [(0, 0), (right, 0), (0, low), (right, low), (right / 2, low / 2)] {
                    pictures.push(imageops::crop_imm(pixels, x, y, w, h).to_image());
                }
            }
        }
    }
    let view = |pixels| Photo { pixels, ..photo.clone() };
    std::iter::once(photo.clone()).chain(pictures.into_iter().map(view)).collect()
}

/// The picture between four pixels (bilinear), mirrored beyond the border.
fn sample(pixels: &RgbImage, x: f32, y: f32) -> Rgb<u8> {
    let mirrored = |at: i64, side: u32| {
        let (at, side) = (at.rem_euclid(2 * i64::from(side)), i64::from(side));
        if at < side { at as u32 } else { (2 * side - 1 - at) as u32 }
    };
    let (x0, y0) = (x.floor(), y.floor());
    let (part_x, part_y) = (x - x0, y - y0);
    let pixel = |dx: i64, dy: i64| {
        pixels.get_pixel(mirrored(x0 as i64 + dx, pixels.width()), mirrored(y0 as i64 + dy, pixels.height())).0
    };
    let (a, b, c, d) = (pixel(0, 0), pixel(1, 0), pixel(0, 1), pixel(1, 1));
    Rgb(std::array::from_fn(|channel| {
        let mix = |left: u8, right: u8| f32::from(left) + (f32::from(right) - f32::from(left)) * part_x;
        let (upper, lower) = (mix(a[channel], b[channel]), mix(c[channel], d[channel]));
        (upper + (lower - upper) * part_y).round() as u8
    }))
}

/// One embedding of several: each normalised, averaged, normalised again.
///
/// # Errors
/// [`Error::Bug`] without an embedding; [`Error::Model`] when they cancel out.
pub fn joined(embeddings: impl IntoIterator<Item = Vec<f32>>) -> Result<Vec<f32>> {
    let mut sum: Vec<f32> = Vec::new();
    for mut embedding in embeddings {
        normalise(&mut embedding);
        sum.resize(embedding.len(), 0.0);
        sum.iter_mut().zip(&embedding).for_each(|(sum, x)| *sum += x);
    }
    if sum.is_empty() {
        return Err(Error::bug("there is no view whose embedding could be taken."));
    }
    if normalise(&mut sum) < 1e-6 {
        return Err(Error::model("The embeddings of a photo's views cancel each other out. Use fewer augmentations."));
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn photo(width: u32, height: u32) -> Photo {
        let pixels = RgbImage::from_fn(width, height, |x, y| Rgb([(x * 5 % 256) as u8, (y * 3 % 256) as u8, 9]));
        Photo::from_pixels(pixels, "made.png")
    }

    #[test]
    fn every_kind_has_its_views_and_the_photo_comes_first() {
        let photo = photo(48, 32);
        for (kind, count) in Augmentation::ALL.into_iter().zip([4, 2, 2, 5]) {
            let views = views(&photo, &[kind]);
            assert_eq!(views.len(), count + 1, "{}", kind.name());
            assert_eq!(views[0].pixels, photo.pixels);
            assert!(views[1..].iter().all(|view| view.pixels != photo.pixels && view.path == photo.path));
            assert_eq!(kind.name().parse::<Augmentation>().unwrap(), kind);
        }
        assert_eq!(views(&photo, &Augmentation::ALL).len(), 14);
        assert!("winks".parse::<Augmentation>().is_err());
    }

    #[test]
    fn shifts_move_whole_pixels_and_mirror_the_border() {
        let photo = photo(48, 32);
        let moved = &views(&photo, &[Augmentation::Shifts])[2].pixels;
        assert_eq!(moved.get_pixel(10, 5), photo.pixels.get_pixel(7, 5));
        assert_eq!(moved.get_pixel(0, 5), photo.pixels.get_pixel(2, 5));
    }

    #[test]
    fn tiny_photos_have_views_too() {
        assert_eq!(views(&photo(1, 1), &Augmentation::ALL).len(), 14);
    }

    #[test]
    fn embeddings_are_joined_as_clips_authors_join_sentences() {
        let joined_up = joined([vec![3.0, 0.0], vec![0.0, 0.5]]).unwrap();
        assert!(
            (joined_up[0] - joined_up[1]).abs() < 1e-6 && (joined_up[0] - std::f32::consts::FRAC_1_SQRT_2).abs() < 1e-6
        );
        assert!(joined([]).is_err() && joined([vec![1.0], vec![-1.0]]).is_err());
    }
}
