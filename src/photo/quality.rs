//! Sharpness, brightness and contrast of a photo, for warning of one that no detector can judge. The grey values and the
//! Laplacian are OpenCV's, so that thresholds found with it carry over. No verdicts here.

use image::RgbImage;
use serde::Serialize;

/// What can be said of a photo without a network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quality {
    /// Variance of the Laplacian of the grey photo (`cv2.Laplacian(grey, cv2.CV_64F).var()`), ≥ 0. Larger is sharper;
    /// it also grows with texture, so compare photos of one product only. Below about 100 is often called blurred.
    pub blur_score: f64,
    /// Mean grey value, 0 (black) to 255 (white).
    pub brightness_score: f64,
    /// Standard deviation of the grey values, 0 to 127.5.
    pub contrast: f64,
}

/// Measures a photo at full size: `cv2.cvtColor(…, COLOR_RGB2GRAY)`, then `cv2.Laplacian` with `ksize = 1`, whose kernel
/// is `[0 1 0; 1 −4 1; 0 1 0]`, the border mirrored without repeating the edge (`BORDER_REFLECT_101`).
pub fn quality(pixels: &RgbImage) -> Quality {
    let (width, height) = (pixels.width() as usize, pixels.height() as usize);
    let grey: Vec<u8> = pixels.as_raw().chunks_exact(3).map(|pixel| grey(pixel[0], pixel[1], pixel[2])).collect();
    let (mut sum, mut square) = (0_u64, 0_u64);
    for &value in &grey {
        sum += u64::from(value);
        square += u64::from(value).pow(2);
    }
    let (mut edges, mut squared_edges) = (0_i64, 0_u64);
    // An axis of one pixel has no neighbours; OpenCV then repeats the pixel.
    let mirrored = |at: usize, step: isize, length: usize| match at.checked_add_signed(step) {
        _ if length == 1 => 0,
        Some(inside) if inside < length => inside,
        _ if step < 0 => 1,
        _ => length - 2,
    };
    for y in 0..height {
        let line = |step| &grey[mirrored(y, step, height) * width..][..width];
        let (above, here, below) = (line(-1), line(0), line(1));
        for x in 0..width {
            let at = |step| i64::from(here[mirrored(x, step, width)]);
            let value = i64::from(above[x]) + i64::from(below[x]) + at(-1) + at(1) - 4 * at(0);
            edges += value;
            squared_edges += value.unsigned_abs().pow(2);
        }
    }
    let count = grey.len() as f64;
    let variance = |sum: f64, square: f64| (square / count - (sum / count).powi(2)).max(0.0);
    Quality {
        blur_score: variance(edges as f64, squared_edges as f64),
        brightness_score: sum as f64 / count,
        contrast: variance(sum as f64, square as f64).sqrt(),
    }
}

/// 0.299 R + 0.587 G + 0.114 B in OpenCV's fixed point of 15 bits, rounded.
fn grey(red: u8, green: u8, blue: u8) -> u8 {
    ((u32::from(red) * 9798 + u32::from(green) * 19_235 + u32::from(blue) * 3735 + (1 << 14)) >> 15) as u8
}
