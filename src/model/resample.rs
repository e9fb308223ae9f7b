//! Pillow's `Image.resize` for 8-bit RGB, to the bit: the reference preprocessing of published models was written with it
//! (reference: Pillow's `Resample.c`). Widened filter where it shrinks, 22-bit fixed-point weights, rows first, rounding to
//! 8 bit between the two passes. Which size is wanted is decided in `preprocess`.

use image::RgbImage;
use rayon::prelude::*;

use crate::{Error, Result};

/// Pillow's resampling filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    Nearest,
    Lanczos,
    Bilinear,
    Bicubic,
    Box,
    Hamming,
}

impl Filter {
    /// By the name in timm's configuration.
    pub fn from_timm(name: &str) -> Result<Self> {
        Ok(match name {
            "nearest" => Self::Nearest,
            "lanczos" => Self::Lanczos,
            "bilinear" => Self::Bilinear,
            "bicubic" => Self::Bicubic,
            "box" => Self::Box,
            "hamming" => Self::Hamming,
            _ => return Err(Error::model(format!("config.json: the interpolation `{name}` is not known."))),
        })
    }

    /// By the number in `preprocessor_config.json`.
    pub fn from_pillow(number: u8) -> Result<Self> {
        Ok(match number {
            0 => Self::Nearest,
            1 => Self::Lanczos,
            2 => Self::Bilinear,
            3 => Self::Bicubic,
            4 => Self::Box,
            5 => Self::Hamming,
            _ => {
                return Err(Error::model(format!(
                    "preprocessor_config.json: resample {number} is no Pillow filter (0 to 5)."
                )));
            }
        })
    }

    /// The number in `preprocessor_config.json`.
    pub fn pillow(self) -> u8 {
        match self {
            Self::Nearest => 0,
            Self::Lanczos => 1,
            Self::Bilinear => 2,
            Self::Bicubic => 3,
            Self::Box => 4,
            Self::Hamming => 5,
        }
    }

    /// Half width of the kernel in pixels of the target.
    fn support(self) -> f64 {
        match self {
            Self::Nearest | Self::Box => 0.5,
            Self::Bilinear | Self::Hamming => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI) };
        match self {
            Self::Nearest | Self::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            Self::Bilinear => (1.0 - x.abs()).max(0.0),
            Self::Hamming if x == 0.0 => 1.0,
            Self::Hamming if x.abs() >= 1.0 => 0.0,
            Self::Hamming => sinc(x.abs()) * (0.54 + 0.46 * (x.abs() * std::f64::consts::PI).cos()),
            Self::Bicubic => {
                const A: f64 = -0.5;
                let x = x.abs();
                if x < 1.0 {
                    ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
                } else if x < 2.0 {
                    (((x - 5.0) * x + 8.0) * x - 4.0) * A
                } else {
                    0.0
                }
            }
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Lanczos => 0.0,
        }
    }
}

/// Bits after the point of a weight.
const PRECISION: u32 = 32 - 8 - 2;

/// What one target pixel takes of a line: the first source pixel and the weights from there on.
struct Tap {
    first: usize,
    weights: Vec<i32>,
}

/// For each of `to` targets along a line of `from` sources the first source and the weights from there on, summing to 1:
/// Pillow's antialiased resize, which PyTorch's `interpolate(antialias=True)` follows.
pub(super) fn weights(from: usize, to: usize, filter: Filter) -> Vec<(usize, Vec<f64>)> {
    let scale = from as f64 / to as f64;
    let widened = scale.max(1.0);
    let support = filter.support() * widened;
    (0..to)
        .map(|target| {
            let centre = (target as f64 + 0.5) * scale;
            let first = ((centre - support + 0.5) as i64).max(0) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            let mut weights: Vec<f64> =
                (first..end).map(|at| filter.weight((at as f64 - centre + 0.5) / widened)).collect();
            let sum: f64 = weights.iter().sum();
            if sum != 0.0 {
                for weight in &mut weights {
                    *weight /= sum;
                }
            }
            (first, weights)
        })
        .collect()
}

fn taps(from: usize, to: usize, filter: Filter) -> Vec<Tap> {
    let fixed = |weight: f64| {
        let scaled = weight * f64::from(1 << PRECISION);
        (scaled + 0.5_f64.copysign(scaled)) as i32
    };
    weights(from, to, filter)
        .into_iter()
        .map(|(first, weights)| Tap { first, weights: weights.into_iter().map(fixed).collect() })
        .collect()
}

/// Fixed point to a byte, rounded and clipped.
fn byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// `image` at another size, at least 1 × 1.
pub fn resized(image: &RgbImage, width: u32, height: u32, filter: Filter) -> RgbImage {
    if image.dimensions() == (width, height) {
        return image.clone();
    }
    if filter == Filter::Nearest {
        return nearest(image, width, height);
    }
    let wide = if width == image.width() { image.clone() } else { horizontally(image, width as usize, filter) };
    if height == wide.height() { wide } else { vertically(&wide, height as usize, filter) }
}

fn horizontally(image: &RgbImage, width: usize, filter: Filter) -> RgbImage {
    let taps = taps(image.width() as usize, width, filter);
    let mut out = RgbImage::new(width as u32, image.height());
    let lines = image.as_raw().par_chunks_exact(image.width() as usize * 3);
    out.as_flat_samples_mut().samples.par_chunks_exact_mut(width * 3).zip(lines).for_each(|(target, source)| {
        let (pixels, _) = source.as_chunks::<3>();
        for (tap, target) in taps.iter().zip(target.as_chunks_mut::<3>().0) {
            let mut sums = [1 << (PRECISION - 1); 3];
            for (pixel, weight) in pixels[tap.first..].iter().zip(&tap.weights) {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(*value) * weight;
                }
            }
            *target = sums.map(byte);
        }
    });
    out
}

fn vertically(image: &RgbImage, height: usize, filter: Filter) -> RgbImage {
    let stride = image.width() as usize * 3;
    let taps = taps(image.height() as usize, height, filter);
    let source = image.as_raw();
    let mut out = RgbImage::new(image.width(), height as u32);
    out.as_flat_samples_mut().samples.par_chunks_exact_mut(stride).zip(&taps).for_each(|(target, tap)| {
        let mut sums = vec![1 << (PRECISION - 1); stride];
        for (line, weight) in source.chunks_exact(stride).skip(tap.first).zip(&tap.weights) {
            for (sum, value) in sums.iter_mut().zip(line) {
                *sum += i32::from(*value) * weight;
            }
        }
        for (target, sum) in target.iter_mut().zip(&sums) {
            *target = byte(*sum);
        }
    });
    out
}

/// Pillow's affine transform with nearest sampling: the source pixel under the target pixel's centre.
fn nearest(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    let under = |at: u32, from: u32, to: u32| {
        (((f64::from(at) + 0.5) * (f64::from(from) / f64::from(to))) as u32).min(from - 1)
    };
    RgbImage::from_fn(width, height, |x, y| {
        *image.get_pixel(under(x, image.width(), width), under(y, image.height(), height))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_and_stay_inside() {
        for filter in [Filter::Lanczos, Filter::Bilinear, Filter::Bicubic, Filter::Box, Filter::Hamming] {
            for (from, to) in [(200, 61), (17, 40), (1, 5), (5, 1), (3, 3)] {
                for tap in taps(from, to, filter) {
                    let sum: i32 = tap.weights.iter().sum();
                    assert!((sum - (1 << PRECISION)).abs() < 64, "{filter:?} {from} to {to}: {sum}");
                    assert!(tap.first + tap.weights.len() <= from);
                }
            }
        }
    }

    #[test]
    fn a_flat_image_stays_flat_at_every_size() {
        let image = RgbImage::from_pixel(13, 7, image::Rgb([3, 130, 255]));
        for (width, height) in [(1, 1), (40, 3), (5, 60)] {
            let out = resized(&image, width, height, Filter::Bicubic);
            assert_eq!(out.dimensions(), (width, height));
            assert!(out.pixels().all(|pixel| pixel.0 == [3, 130, 255]));
        }
    }
}
