//! Size, sharpness, brightness, contrast and clipping of a photo, and whether they are within limits: a warning of a
//! photo that no detector can judge. The grey values and the Laplacian are OpenCV's, so that limits found with it carry
//! over. The verdict on the part itself is made elsewhere and never depends on this.

use std::fmt::Write as _;

use image::RgbImage;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Error, Result};

/// A grey value up to this counts as clipped to black; JPEG leaves black at 0 or 1.
const BLACK: u8 = 1;
/// A grey value from this on counts as clipped to white.
const WHITE: u8 = 254;

/// What can be measured of a photo without a network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Quality {
    /// Variance of the Laplacian of the grey photo (`cv2.Laplacian(grey, cv2.CV_64F).var()`), ≥ 0. Larger is sharper;
    /// it also grows with texture, so compare photos of one product only. Below about 100 is often called blurred.
    pub blur_score: f64,
    /// Mean grey value, 0 (black) to 255 (white).
    pub brightness_score: f64,
    /// Standard deviation of the grey values, 0 to 127.5.
    pub contrast: f64,
    /// Share of pixels with a grey value of 0 or 1, 0–1: detail lost in the dark.
    pub black_share: f64,
    /// Share of pixels with a grey value of 254 or 255, 0–1: detail lost in glare.
    pub white_share: f64,
}

/// Measures a photo at full size: `cv2.cvtColor(…, COLOR_RGB2GRAY)`, then `cv2.Laplacian` with `ksize = 1`, whose kernel
/// is `[0 1 0; 1 −4 1; 0 1 0]`, the border mirrored without repeating the edge (`BORDER_REFLECT_101`).
pub fn quality(pixels: &RgbImage) -> Quality {
    let (width, height) = (pixels.width() as usize, pixels.height() as usize);
    let grey: Vec<u8> = pixels.as_raw().chunks_exact(3).map(|pixel| grey(pixel[0], pixel[1], pixel[2])).collect();
    let (mut sum, mut square, mut black, mut white) = (0_u64, 0_u64, 0_u64, 0_u64);
    for &value in &grey {
        sum += u64::from(value);
        square += u64::from(value).pow(2);
        black += u64::from(value <= BLACK);
        white += u64::from(value >= WHITE);
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
        black_share: black as f64 / count,
        white_share: white as f64 / count,
    }
}

/// 0.299 R + 0.587 G + 0.114 B in OpenCV's fixed point of 15 bits, rounded.
fn grey(red: u8, green: u8, blue: u8) -> u8 {
    ((u32::from(red) * 9798 + u32::from(green) * 19_235 + u32::from(blue) * 3735 + (1 << 14)) >> 15) as u8
}

/// What a photo must keep to: the `quality` block of the recipe. A value equal to its limit passes.
///
/// The defaults are wide, so that they name only photos that are surely spoiled; narrow them for one product and camera.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QualityLimits {
    /// Pixels of the shorter side, at least.
    pub min_side_px: u32,
    /// Variance of the Laplacian, at least.
    pub min_blur_score: f64,
    /// Mean grey value, 0–255, at least.
    pub min_brightness: f64,
    /// Mean grey value, 0–255, at most.
    pub max_brightness: f64,
    /// Standard deviation of the grey values, at least.
    pub min_contrast: f64,
    /// Share of black pixels, 0–1, at most.
    pub max_black_share: f64,
    /// Share of white pixels, 0–1, at most.
    pub max_white_share: f64,
}

impl Default for QualityLimits {
    fn default() -> Self {
        Self {
            min_side_px: 64,
            min_blur_score: 30.0,
            min_brightness: 25.0,
            max_brightness: 235.0,
            min_contrast: 5.0,
            max_black_share: 0.75,
            max_white_share: 0.75,
        }
    }
}

/// What a photo fails by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QualityProblem {
    TooSmall,
    Blurred,
    TooDark,
    TooBright,
    LowContrast,
    ClippedBlack,
    ClippedWhite,
}

/// Whether a photo keeps to its limits, and why not.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct QualityCheck {
    pub passed: bool,
    /// One sentence for each limit that is not kept; a sentence that says so where all are.
    pub reason: String,
    /// Empty when passed.
    pub problems: Vec<QualityProblem>,
}

impl QualityLimits {
    /// Compares the measures of a photo of `width` × `height` pixels with these limits.
    pub fn judge(&self, width: u32, height: u32, measured: &Quality) -> QualityCheck {
        let (mut problems, mut reason) = (Vec::new(), String::new());
        let mut fail = |problem, sentence: std::fmt::Arguments<'_>| {
            problems.push(problem);
            let gap = if reason.is_empty() { "" } else { " " };
            let _ = write!(reason, "{gap}{sentence}");
        };
        let Quality { blur_score, brightness_score, contrast, black_share, white_share } = *measured;
        if width.min(height) < self.min_side_px {
            let least = self.min_side_px;
            fail(
                QualityProblem::TooSmall,
                format_args!("Too small: {width} × {height} pixels, the shorter side must have at least {least}."),
            );
        }
        if blur_score < self.min_blur_score {
            let least = self.min_blur_score;
            fail(
                QualityProblem::Blurred,
                format_args!("Blurred: sharpness {blur_score:.1}, at least {least} is wanted."),
            );
        }
        if brightness_score < self.min_brightness {
            let least = self.min_brightness;
            fail(
                QualityProblem::TooDark,
                format_args!("Too dark: brightness {brightness_score:.1} of 255, at least {least} is wanted."),
            );
        }
        if brightness_score > self.max_brightness {
            let most = self.max_brightness;
            fail(
                QualityProblem::TooBright,
                format_args!("Too bright: brightness {brightness_score:.1} of 255, at most {most} is wanted."),
            );
        }
        if contrast < self.min_contrast {
            let least = self.min_contrast;
            fail(
                QualityProblem::LowContrast,
                format_args!("Too little contrast: {contrast:.1}, at least {least} is wanted."),
            );
        }
        if black_share > self.max_black_share {
            let (share, most) = (100.0 * black_share, 100.0 * self.max_black_share);
            fail(
                QualityProblem::ClippedBlack,
                format_args!("Underexposed: {share:.1} % of the pixels are black, at most {most:.0} % is wanted."),
            );
        }
        if white_share > self.max_white_share {
            let (share, most) = (100.0 * white_share, 100.0 * self.max_white_share);
            fail(
                QualityProblem::ClippedWhite,
                format_args!("Overexposed: {share:.1} % of the pixels are white, at most {most:.0} % is wanted."),
            );
        }
        if problems.is_empty() {
            "Size, sharpness, brightness, contrast and clipping are within their limits.".clone_into(&mut reason);
        }
        QualityCheck { passed: problems.is_empty(), reason, problems }
    }

    /// Refuses limits that no photo can be compared with.
    ///
    /// # Errors
    /// [`Error::Input`] naming the limit, its value and the range.
    pub fn check(&self) -> Result<()> {
        for (name, value, high) in [
            ("min_blur_score", self.min_blur_score, 1e9),
            ("min_brightness", self.min_brightness, 255.0),
            ("max_brightness", self.max_brightness, 255.0),
            ("min_contrast", self.min_contrast, 127.5),
            ("max_black_share", self.max_black_share, 1.0),
            ("max_white_share", self.max_white_share, 1.0),
        ] {
            if !(0.0..=high).contains(&value) {
                return Err(Error::input(format!("`quality.{name}` is {value}, but must lie between 0 and {high}.")));
            }
        }
        if self.min_brightness > self.max_brightness {
            return Err(Error::input(format!(
                "`quality.min_brightness` is {}, above `quality.max_brightness`, {}. No photo could pass.",
                self.min_brightness, self.max_brightness
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Quality =
        Quality { blur_score: 200.0, brightness_score: 120.0, contrast: 40.0, black_share: 0.0, white_share: 0.0 };

    #[test]
    fn a_photo_at_its_limits_passes_and_one_beyond_each_is_named() {
        let limits = QualityLimits::default();
        let edge = Quality {
            blur_score: limits.min_blur_score,
            brightness_score: limits.min_brightness,
            contrast: limits.min_contrast,
            black_share: limits.max_black_share,
            white_share: limits.max_white_share,
        };
        assert!(limits.judge(limits.min_side_px, 5000, &edge).passed);
        let failing = |width, change: fn(&mut Quality)| {
            let mut measured = GOOD;
            change(&mut measured);
            let check = limits.judge(width, 640, &measured);
            assert!(!check.passed);
            check
        };
        for (check, problem, word) in [
            (failing(63, |_| {}), QualityProblem::TooSmall, "63 × 640"),
            (failing(640, |q| q.blur_score = 29.9), QualityProblem::Blurred, "29.9"),
            (failing(640, |q| q.brightness_score = 24.9), QualityProblem::TooDark, "at least 25"),
            (failing(640, |q| q.brightness_score = 235.1), QualityProblem::TooBright, "at most 235"),
            (failing(640, |q| q.contrast = 4.9), QualityProblem::LowContrast, "at least 5"),
            (failing(640, |q| q.black_share = 0.751), QualityProblem::ClippedBlack, "75.1 %"),
            (failing(640, |q| q.white_share = 0.9), QualityProblem::ClippedWhite, "90.0 %"),
        ] {
            assert_eq!(check.problems, [problem]);
            assert!(check.reason.contains(word), "{}", check.reason);
        }
    }

    #[test]
    fn several_faults_are_all_named_in_whole_sentences() {
        let dark =
            Quality { blur_score: 0.0, brightness_score: 0.0, contrast: 0.0, black_share: 1.0, white_share: 0.0 };
        let check = QualityLimits::default().judge(640, 480, &dark);
        let wanted = [
            QualityProblem::Blurred,
            QualityProblem::TooDark,
            QualityProblem::LowContrast,
            QualityProblem::ClippedBlack,
        ];
        assert_eq!(check.problems, wanted);
        assert_eq!(check.reason.matches(" is wanted.").count(), 4, "{}", check.reason);
        let passed = QualityLimits::default().judge(640, 480, &GOOD);
        assert!(passed.passed && passed.reason.contains("within their limits"));
    }

    #[test]
    fn limits_that_mean_nothing_are_refused_by_name() {
        let refused = |change: fn(&mut QualityLimits)| {
            let mut limits = QualityLimits::default();
            change(&mut limits);
            limits.check().expect_err("must be refused").to_string()
        };
        assert!(refused(|l| l.min_blur_score = f64::NAN).contains("quality.min_blur_score"));
        assert!(refused(|l| l.max_white_share = 1.5).contains("quality.max_white_share"));
        assert!(refused(|l| l.min_brightness = 240.0).contains("No photo could pass"));
        assert!(QualityLimits::default().check().is_ok());
    }
}
