//! Protocols: what happens to photo and mask before figures are computed, and at which size. Published numbers differ by
//! points for this alone, so a figure is worth nothing without the name of its protocol.

use std::str::FromStr;

use image::GrayImage;
use image::buffer::ConvertBuffer as _;
use serde::{Deserialize, Serialize};

use crate::anomaly::judge::fuse_grid;
use crate::anomaly::map::upsample;
use crate::engine::View;
use crate::gpu::kernels::smooth_map;
use crate::model::resample::{Filter, resized};
use crate::recipe::Input;
use crate::{Error, Recipe, Result};

/// A protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Photo as the recipe has it; the map is enlarged to the photo's own size, where the untouched mask is.
    #[default]
    Original,
    /// Everything at 224 × 224.
    #[serde(rename = "origin-224")]
    Origin224,
    /// Everything at 240 × 240, no smoothing.
    #[serde(rename = "winclip-240")]
    Winclip240,
    /// Everything at 518 × 518.
    #[serde(rename = "clip-518")]
    Clip518,
    /// Short side 448; smoothed at the photo's own size, where the untouched mask is.
    DinoOriginal,
}

/// Raw scores at the size where a protocol measures.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredMap {
    pub width: u32,
    pub height: u32,
    /// `[height * width]`, row by row.
    pub scores: Vec<f32>,
}

/// Standard deviation of the Gaussian of [`Protocol::DinoOriginal`], in pixels of the photo.
const DINO_SIGMA_PX: f32 = 4.0;

impl Protocol {
    /// Every protocol, in the order of the help.
    pub const ALL: [Self; 5] = [Self::Original, Self::Origin224, Self::Winclip240, Self::Clip518, Self::DinoOriginal];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Origin224 => "origin-224",
            Self::Winclip240 => "winclip-240",
            Self::Clip518 => "clip-518",
            Self::DinoOriginal => "dino-original",
        }
    }

    /// What it does, for reports.
    pub fn words(self) -> &'static str {
        match self {
            Self::Original => {
                "Network input as in the recipe. Raw maps enlarged (bilinear) to each photo's own size and compared with \
                 the untouched mask there."
            }
            Self::Origin224 => {
                "Photos squeezed to 224 × 224, masks to the same (nearest pixel). Raw maps measured at 224 × 224."
            }
            Self::Winclip240 => {
                "Photos squeezed to 240 × 240, masks to the same (bilinear, above one half). Raw maps measured at \
                 240 × 240, not smoothed. As WinCLIP's open reproduction."
            }
            Self::Clip518 => {
                "Photos squeezed to 518 × 518, masks to the same (bilinear, above one half). Raw maps smoothed with a \
                 Gaussian of 4 px and measured at 518 × 518. As AnomalyCLIP."
            }
            Self::DinoOriginal => {
                "Short side of the network input 448, aspect ratio kept. Raw maps enlarged (bilinear) to each photo's \
                 own size, smoothed there with a Gaussian of 4 px, and compared with the untouched mask. As AnomalyDINO."
            }
        }
    }

    /// Side of the square in which everything is measured; `None` for the photo's own size.
    pub fn side(self) -> Option<u32> {
        match self {
            Self::Original | Self::DinoOriginal => None,
            Self::Origin224 => Some(224),
            Self::Winclip240 => Some(240),
            Self::Clip518 => Some(518),
        }
    }

    /// Sets the recipe's input size, of the memory's network too, and smoothing; [`Protocol::Original`] leaves them.
    pub fn apply(self, recipe: &mut Recipe) {
        if let Some(side) = self.side() {
            recipe.input = Input { short_side: Some(side), keep_aspect: false };
        }
        match self {
            Self::Original | Self::Origin224 => {}
            Self::Winclip240 => recipe.sigma_px = 0.0,
            Self::Clip518 => recipe.sigma_px = 4.0,
            Self::DinoOriginal => {
                recipe.input = Input { short_side: Some(448), keep_aspect: true };
                recipe.sigma_px = 0.0;
            }
        }
        if self != Self::Original && recipe.memory_model.is_some() {
            recipe.memory_input = Some(recipe.input);
        }
    }

    /// The map of a judged photo, raw scores, where this protocol measures.
    pub fn map(self, view: &View) -> ScoredMap {
        let map = &view.map;
        let (width, height) = self.side().map_or((map.photo_width, map.photo_height), |side| (side, side));
        let enlarged = |values: &[f32], rows, cols| upsample(values, rows, cols, height as usize, width as usize);
        let scores = if self == Self::DinoOriginal {
            let evidence = &view.evidence;
            let grid = fuse_grid(evidence, &view.recipe, &view.calibration);
            let large = enlarged(&grid, evidence.rows, evidence.cols);
            smooth_map::on_cpu(&large, height as usize, width as usize, DINO_SIGMA_PX)
        } else {
            enlarged(&map.scores, map.height, map.width)
        };
        ScoredMap { width, height, scores }
    }

    /// A mask of the photo's own size (255 defective, 0 normal), where this protocol measures.
    pub fn mask(self, mask: GrayImage) -> GrayImage {
        let Some(side) = self.side() else { return mask };
        let filter = if self == Self::Origin224 { Filter::Nearest } else { Filter::Bilinear };
        let small = resized(&mask.convert(), side, side, filter);
        GrayImage::from_fn(side, side, |x, y| image::Luma([if small.get_pixel(x, y).0[0] > 127 { 255 } else { 0 }]))
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Protocol {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|protocol| protocol.name()).collect();
            Error::input(format!("There is no protocol `{name}`. Use one of: {}.", known.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn names_are_the_same_everywhere() {
        for protocol in Protocol::ALL {
            assert_eq!(protocol.name().parse::<Protocol>().unwrap(), protocol);
            assert_eq!(serde_json::to_value(protocol).unwrap(), protocol.name());
        }
        assert!("mvtec".parse::<Protocol>().unwrap_err().to_string().contains("origin-224"));
    }

    #[test]
    fn a_mask_keeps_its_share_and_stays_black_and_white() {
        let mask = GrayImage::from_fn(100, 60, |x, _| image::Luma([if x < 25 { 255 } else { 0 }]));
        for protocol in [Protocol::Origin224, Protocol::Winclip240, Protocol::Clip518] {
            let side = protocol.side().unwrap();
            let small = protocol.mask(mask.clone());
            assert_eq!(small.dimensions(), (side, side));
            let share = small.iter().map(|pixel| f64::from(*pixel) / 255.0).sum::<f64>() / f64::from(side * side);
            assert!((share - 0.25).abs() < 0.01, "{protocol}: {share}");
            assert!(small.iter().all(|pixel| *pixel == 0 || *pixel == 255));
        }
        assert_eq!(Protocol::Original.mask(mask.clone()), mask);
    }
}
