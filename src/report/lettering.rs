//! Lettering on pictures with the bundled Inter, for the annotated exports. Left-to-right single lines only: verdicts,
//! numbers and scale marks, never file names, so no glyph can be missing.

use std::sync::OnceLock;

use ab_glyph::{Font as _, FontRef, PxScale, ScaleFont as _, point};
use image::{Rgb, RgbImage};

/// The two weights that pictures use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Inter Regular.
    Regular,
    /// Inter SemiBold.
    SemiBold,
}

impl Weight {
    fn font(self) -> &'static FontRef<'static> {
        static REGULAR: OnceLock<FontRef<'static>> = OnceLock::new();
        static SEMI_BOLD: OnceLock<FontRef<'static>> = OnceLock::new();
        let load = |bytes| FontRef::try_from_slice(bytes).expect("the bundled font is checked by a test");
        match self {
            Self::Regular => REGULAR.get_or_init(|| load(include_bytes!("../../assets/fonts/Inter-Regular.otf"))),
            Self::SemiBold => SEMI_BOLD.get_or_init(|| load(include_bytes!("../../assets/fonts/Inter-SemiBold.otf"))),
        }
    }
}

/// A style of lettering: weight, height of a line in pixels, colour.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Font weight.
    pub weight: Weight,
    /// Font size in pixels.
    pub px: f32,
    /// Colour of the letters.
    pub colour: [u8; 3],
}

impl Style {
    /// Width of `text` in pixels.
    pub fn width(self, text: &str) -> f32 {
        let font = self.weight.font().as_scaled(self.scale());
        let mut width = 0.0;
        let mut previous = None;
        for c in text.chars() {
            let glyph = font.glyph_id(c);
            width += previous.map_or(0.0, |previous| font.kern(previous, glyph)) + font.h_advance(glyph);
            previous = Some(glyph);
        }
        width
    }

    /// Height of a capital letter in pixels; text is centred on it.
    pub fn cap_height(self) -> f32 {
        let font = self.weight.font();
        let glyph = font.glyph_id('H').with_scale_and_position(self.scale(), point(0.0, 0.0));
        font.outline_glyph(glyph).map_or(self.px * 0.7, |outline| outline.px_bounds().height())
    }

    /// Draws `text` with its left edge at `x` and its capitals centred on `middle`. Pixels outside of the picture are
    /// left out.
    pub fn draw(self, picture: &mut RgbImage, x: f32, middle: f32, text: &str) {
        let font = self.weight.font();
        let scaled = font.as_scaled(self.scale());
        let baseline = (middle + self.cap_height() / 2.0).round();
        let (mut pen, mut previous) = (x, None);
        for c in text.chars() {
            let id = scaled.glyph_id(c);
            pen += previous.map_or(0.0, |previous| scaled.kern(previous, id));
            if let Some(outline) = font.outline_glyph(id.with_scale_and_position(self.scale(), point(pen, baseline))) {
                let corner = outline.px_bounds().min;
                outline.draw(|dx, dy, cover| {
                    blend(
                        picture,
                        corner.x as i64 + i64::from(dx),
                        corner.y as i64 + i64::from(dy),
                        self.colour,
                        cover,
                    );
                });
            }
            pen += scaled.h_advance(id);
            previous = Some(id);
        }
    }

    fn scale(self) -> PxScale {
        // PxScale counts from ascent to descent; designers and CSS count the em square.
        let font = self.weight.font();
        let em = font.units_per_em().unwrap_or(1000.0);
        PxScale::from(self.px * font.height_unscaled() / em)
    }
}

/// Mixes `colour` into a pixel, `cover` 0–1; nothing happens outside of the picture.
pub fn blend(picture: &mut RgbImage, x: i64, y: i64, colour: [u8; 3], cover: f32) {
    if x < 0 || y < 0 || x >= i64::from(picture.width()) || y >= i64::from(picture.height()) {
        return;
    }
    let Rgb(pixel) = picture.get_pixel_mut(x as u32, y as u32);
    *pixel = mix(*pixel, colour, cover);
}

/// `a` and `b` mixed, `share` of `b` in 0–1.
pub fn mix(a: [u8; 3], b: [u8; 3], share: f32) -> [u8; 3] {
    let share = share.clamp(0.0, 1.0);
    std::array::from_fn(|i| (f32::from(a[i]) + (f32::from(b[i]) - f32::from(a[i])) * share).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_fonts_have_what_pictures_say() {
        for weight in [Weight::Regular, Weight::SemiBold] {
            for c in "OK NG uncertain 0123456789.·×–+−≥ threshold normal".chars() {
                assert_ne!(weight.font().glyph_id(c).0, 0, "{weight:?} lacks {c:?}");
            }
        }
    }

    #[test]
    fn letters_are_drawn_where_asked_and_nothing_spills_over_the_edge() {
        let style = Style { weight: Weight::SemiBold, px: 20.0, colour: [255; 3] };
        let mut picture = RgbImage::new(60, 40);
        style.draw(&mut picture, 5.0, 20.0, "NG");
        let lit: Vec<(u32, u32)> =
            picture.enumerate_pixels().filter(|(.., p)| p.0[0] > 128).map(|(x, y, _)| (x, y)).collect();
        let width = style.width("NG");
        assert!(lit.iter().all(|(x, y)| (5.0..=6.0 + width).contains(&(*x as f32)) && (10..=30).contains(y)));
        assert!(lit.len() > 50, "{}", lit.len());
        style.draw(&mut picture, 50.0, 39.0, "outside of the picture");
        style.draw(&mut picture, -30.0, 1.0, "outside");
    }
}
