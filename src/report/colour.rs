//! Colour maps from a normalised score to a colour, the same for the window, the exported pictures and the report.
//! Perceptual ones only; turbo is there for those who ask for it.

use colorous::Gradient;
use serde::{Deserialize, Serialize};

/// A colour map. The scale is fixed: 0 is a typical normal pixel, 0.5 the threshold, 1 twice as far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColourMap {
    /// Black, purple, orange, pale yellow.
    #[default]
    Inferno,
    /// Purple, teal, yellow.
    Viridis,
    /// Blue, grey, yellow; made for colour-blind eyes.
    Cividis,
    /// A smooth rainbow; its lightness is not monotonic.
    Turbo,
}

impl ColourMap {
    /// Every colour map, in the order menus show them.
    pub const ALL: [Self; 4] = [Self::Inferno, Self::Viridis, Self::Cividis, Self::Turbo];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inferno => "inferno",
            Self::Viridis => "viridis",
            Self::Cividis => "cividis",
            Self::Turbo => "turbo",
        }
    }

    /// The colour of a normalised score; values outside of 0–1 take the nearest end.
    pub fn at(self, normalised: f32) -> [u8; 3] {
        let colour = self.gradient().eval_continuous(f64::from(normalised.clamp(0.0, 1.0)));
        [colour.r, colour.g, colour.b]
    }

    /// 256 colours from 0 to 1, for look-ups per pixel and for textures.
    pub fn table(self) -> [[u8; 3]; 256] {
        std::array::from_fn(|index| self.at(index as f32 / 255.0))
    }

    fn gradient(self) -> Gradient {
        match self {
            Self::Inferno => colorous::INFERNO,
            Self::Viridis => colorous::VIRIDIS,
            Self::Cividis => colorous::CIVIDIS,
            Self::Turbo => colorous::TURBO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_the_published_ones_and_values_outside_are_clamped() {
        assert_eq!(ColourMap::Inferno.at(0.0), [0, 0, 4]);
        assert_eq!(ColourMap::Inferno.at(-3.0), ColourMap::Inferno.at(0.0));
        assert_eq!(ColourMap::Viridis.at(7.0), ColourMap::Viridis.at(1.0));
        assert_eq!(ColourMap::Cividis.table()[255], ColourMap::Cividis.at(1.0));
    }

    #[test]
    fn perceptual_maps_grow_lighter_all_the_way() {
        for map in [ColourMap::Inferno, ColourMap::Viridis, ColourMap::Cividis] {
            let lightness =
                |c: &[u8; 3]| 0.2126 * f32::from(c[0]) + 0.7152 * f32::from(c[1]) + 0.0722 * f32::from(c[2]);
            let table = map.table();
            assert!(table.windows(9).all(|w| lightness(&w[8]) > lightness(&w[0])), "{}", map.name());
        }
    }
}
