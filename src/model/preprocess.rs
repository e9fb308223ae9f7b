//! Photos to the pixels a network wants: resize, crop, scale, mean and standard deviation, equal to transformers'
//! `CLIPImageProcessorPil` (Pillow's antialiased resize on 8-bit values). Also the two geometries that keep the whole part
//! in view, which detectors use instead of the crop. Decoding and orientation happened before.

use std::path::{Path, PathBuf};

use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::resample::{Filter, resized};
use crate::photo::Photo;
use crate::{Error, Result};

/// A photo may be at most this many times longer than wide before [`Geometry::KeepAspect`] squeezes its long side:
/// attention over more patches grows quadratically and says little about a sliver.
const LONGEST: u32 = 6;

/// How a photo becomes the network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Geometry {
    /// The model's own preprocessing: as a rule the short side to the input size, then the central square.
    Reference,
    /// The whole photo, aspect ratio kept but for rounding both sides to whole patches.
    KeepAspect { short_side: u32 },
    /// The whole photo squeezed into a square, its side rounded to whole patches.
    Squash { size: u32 },
}

/// Target of a resize.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    ShortestEdge(u32),
    Exact { height: u32, width: u32 },
}

/// `size` and `crop_size` as files spell them: a number in old ones, an object since.
#[derive(Deserialize)]
#[serde(untagged)]
enum SizeField {
    Number(u32),
    Sides { height: u32, width: u32 },
    Edge { shortest_edge: u32 },
}

#[derive(Deserialize)]
struct PreprocessorFile {
    do_resize: Option<bool>,
    size: Option<SizeField>,
    resample: Option<u8>,
    do_center_crop: Option<bool>,
    crop_size: Option<SizeField>,
    do_rescale: Option<bool>,
    rescale_factor: Option<f64>,
    do_normalize: Option<bool>,
    image_mean: Option<[f32; 3]>,
    image_std: Option<[f32; 3]>,
}

/// `preprocessor_config.json` of a model folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocessor {
    resize: Option<Size>,
    filter: Filter,
    /// (height, width)
    crop: Option<(u32, u32)>,
    scale: f64,
    /// Red, green, blue, after scaling.
    mean: [f32; 3],
    std: [f32; 3],
}

/// Mean and standard deviation of CLIP's training photos, per channel, of values in [0, 1].
pub const CLIP_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// See [`CLIP_MEAN`].
pub const CLIP_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

impl Preprocessor {
    /// CLIP's published preprocessing for inputs of this side.
    pub fn published(size: u32) -> Self {
        Self {
            resize: Some(Size::ShortestEdge(size)),
            filter: Filter::Bicubic,
            crop: Some((size, size)),
            scale: 1.0 / 255.0,
            mean: CLIP_MEAN,
            std: CLIP_STD,
        }
    }

    /// The same with another mean and standard deviation.
    #[must_use]
    pub fn with_statistics(self, mean: [f32; 3], std: [f32; 3]) -> Self {
        Self { mean, std, ..self }
    }

    /// Parses `preprocessor_config.json`; what it leaves out is as in [`Preprocessor::published`].
    pub fn parse(json: &str, image_size: u32) -> Result<Self> {
        let file: PreprocessorFile = serde_json::from_str(json).map_err(|error| {
            Error::model(format!("preprocessor_config.json cannot be read: {error}. Download the model again."))
        })?;
        let published = Self::published(image_size);
        let yes = |flag: Option<bool>| flag.unwrap_or(true);
        let size = match file.size {
            Some(SizeField::Number(edge) | SizeField::Edge { shortest_edge: edge }) => Size::ShortestEdge(edge),
            Some(SizeField::Sides { height, width }) => Size::Exact { height, width },
            None => Size::ShortestEdge(image_size),
        };
        let crop = match file.crop_size {
            Some(SizeField::Number(side) | SizeField::Edge { shortest_edge: side }) => (side, side),
            Some(SizeField::Sides { height, width }) => (height, width),
            None => (image_size, image_size),
        };
        let sides = match size {
            Size::ShortestEdge(edge) => (edge, edge),
            Size::Exact { height, width } => (height, width),
        };
        if [sides.0, sides.1, crop.0, crop.1].iter().any(|side| !(1..=8192).contains(side)) {
            return Err(Error::model("preprocessor_config.json: size and crop_size must lie between 1 and 8192."));
        }
        let config = Self {
            resize: yes(file.do_resize).then_some(size),
            filter: file.resample.map_or(Ok(published.filter), Filter::from_pillow)?,
            crop: yes(file.do_center_crop).then_some(crop),
            scale: if yes(file.do_rescale) { file.rescale_factor.unwrap_or(published.scale) } else { 1.0 },
            mean: if yes(file.do_normalize) { file.image_mean.unwrap_or(published.mean) } else { [0.0; 3] },
            std: if yes(file.do_normalize) { file.image_std.unwrap_or(published.std) } else { [1.0; 3] },
        };
        if config.std.iter().any(|std| *std <= 0.0 || !std.is_finite()) {
            return Err(Error::model("preprocessor_config.json: image_std must be above 0."));
        }
        Ok(config)
    }

    /// Reads `preprocessor_config.json` of a folder; CLIP's published values where there is none.
    pub fn open(folder: &Path, image_size: u32) -> Result<Self> {
        let path = folder.join("preprocessor_config.json");
        if !path.is_file() {
            return Ok(Self::published(image_size));
        }
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Error::io("Cannot read the preprocessing", &path, &error))?;
        Self::parse(&text, image_size).map_err(|error| error.at(&path))
    }

    /// One photo as the network's input. `patch` is the patch size in pixels, to which both sides are multiples in the
    /// result (with [`Geometry::Reference`] a crop that is no multiple loses its right and lower rest).
    pub fn prepare(&self, photo: &Photo, geometry: Geometry, patch: u32) -> Result<PreparedImage> {
        let pixels = &photo.pixels;
        let (width, height) = pixels.dimensions();
        let whole = |side: f64| ((side / f64::from(patch)).round() as u32).max(1) * patch;
        let image = match geometry {
            Geometry::Reference => self.reference(pixels)?,
            Geometry::KeepAspect { short_side } => {
                let short = whole(f64::from(short_side));
                let (shorter, longer) = (width.min(height), width.max(height));
                let ratio = (f64::from(longer) / f64::from(shorter)).min(f64::from(LONGEST));
                let long = whole(f64::from(short) * ratio);
                let (new_width, new_height) = if width <= height { (short, long) } else { (long, short) };
                resized(pixels, new_width, new_height, self.filter)
            }
            Geometry::Squash { size } => {
                let side = whole(f64::from(size));
                resized(pixels, side, side, self.filter)
            }
        };
        let (rows, columns) = (image.height() / patch * patch, image.width() / patch * patch);
        if rows == 0 || columns == 0 {
            return Err(Error::model(format!(
                "The model's preprocessing gives {} × {} pixels, less than one patch of {patch}.",
                image.width(),
                image.height()
            )));
        }
        Ok(PreparedImage {
            path: photo.path.clone(),
            height: rows,
            width: columns,
            pixels: self.normalised(&image, rows, columns),
        })
    }

    /// Resize and central crop of the file, 8 bit.
    fn reference(&self, pixels: &RgbImage) -> Result<RgbImage> {
        let (width, height) = pixels.dimensions();
        let resized = match self.resize {
            None => pixels.clone(),
            Some(Size::Exact { height, width }) => resized(pixels, width, height, self.filter),
            Some(Size::ShortestEdge(edge)) => {
                let long = |long: u32, short: u32| {
                    let side = u64::from(edge) * u64::from(long) / u64::from(short);
                    u32::try_from(side).ok().filter(|side| *side <= 1 << 20).ok_or_else(|| {
                        Error::input(format!(
                            "The photo ({width} × {height}) is too narrow for the model's own preprocessing. Crop it, or inspect it whole."
                        ))
                    })
                };
                let (new_width, new_height) =
                    if width <= height { (edge, long(height, width)?) } else { (long(width, height)?, edge) };
                resized(pixels, new_width, new_height, self.filter)
            }
        };
        Ok(match self.crop {
            Some((height, width)) => centre_crop(&resized, height, width),
            None => resized,
        })
    }

    /// Channel by channel, (value × scale − mean) / std of the upper left `rows × columns`.
    fn normalised(&self, image: &RgbImage, rows: u32, columns: u32) -> Vec<f32> {
        let mut out = Vec::with_capacity((3 * rows * columns) as usize);
        let stride = image.width() as usize * 3;
        for channel in 0..3 {
            let table: Vec<f32> = (0..256)
                .map(|value| ((f64::from(value) * self.scale) as f32 - self.mean[channel]) / self.std[channel])
                .collect();
            for line in image.as_raw().chunks_exact(stride).take(rows as usize) {
                out.extend(line.chunks_exact(3).take(columns as usize).map(|pixel| table[pixel[channel] as usize]));
            }
        }
        out
    }
}

/// A photo as the network's input.
#[derive(Clone, Debug)]
pub struct PreparedImage {
    /// The photo, for messages.
    pub path: PathBuf,
    /// Pixels; a multiple of the patch size.
    pub height: u32,
    /// Pixels; a multiple of the patch size.
    pub width: u32,
    /// `[3, height, width]`, scaled, minus mean, over standard deviation.
    pub pixels: Vec<f32>,
}

/// The central part; where the image is smaller it is padded with black, as the reference does.
fn centre_crop(image: &RgbImage, height: u32, width: u32) -> RgbImage {
    // Offsets of the crop in the image, negative where padding is needed; the reference rounds both ways downwards.
    let offset = |have: u32, want: u32| {
        let (have, want) = (i64::from(have), i64::from(want));
        if have >= want { (have - want).div_euclid(2) } else { -((want - have + 1).div_euclid(2)) }
    };
    let (top, left) = (offset(image.height(), height), offset(image.width(), width));
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (i64::from(x) + left, i64::from(y) + top);
        let inside = x >= 0 && y >= 0 && x < i64::from(image.width()) && y < i64::from(image.height());
        if inside { *image.get_pixel(x as u32, y as u32) } else { image::Rgb([0, 0, 0]) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo(width: u32, height: u32) -> Photo {
        let pixels = RgbImage::from_fn(width, height, |x, y| image::Rgb([(x % 256) as u8, (y % 256) as u8, 7]));
        Photo::from_pixels(pixels, "made.png")
    }

    #[test]
    fn old_and_new_spellings_mean_the_same() {
        let old = r#"{"size": 224, "crop_size": 224, "do_resize": true, "resample": 3, "feature_extractor_type": "CLIPFeatureExtractor"}"#;
        let new = r#"{"size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}}"#;
        let parse = |json| Preprocessor::parse(json, 224).expect("valid");
        assert_eq!(parse(old), parse(new));
        assert_eq!(parse("{}"), Preprocessor::published(224));
        let square =
            parse(r#"{"size": {"height": 352, "width": 336}, "do_center_crop": false, "do_normalize": false}"#);
        assert_eq!(square.resize, Some(Size::Exact { height: 352, width: 336 }));
        assert_eq!((square.crop, square.std), (None, [1.0; 3]));
    }

    #[test]
    fn impossible_files_are_refused() {
        for json in ["[]", r#"{"resample": 9}"#, r#"{"size": 0}"#, r#"{"image_std": [0, 1, 1]}"#] {
            assert!(Preprocessor::parse(json, 224).is_err(), "{json}");
        }
    }

    #[test]
    fn kept_aspect_gives_whole_patches_and_squeezes_slivers() {
        let preprocessor = Preprocessor::published(224);
        let sides = |width, height, short_side| {
            let image =
                preprocessor.prepare(&photo(width, height), Geometry::KeepAspect { short_side }, 16).expect("fits");
            assert_eq!(image.pixels.len(), (3 * image.width * image.height) as usize);
            (image.width, image.height)
        };
        assert_eq!(sides(400, 300, 224), (304, 224));
        assert_eq!(sides(300, 400, 230), (224, 304));
        assert_eq!(sides(2000, 1, 32), (192, 32));
        assert_eq!(sides(1, 1, 224), (224, 224));
    }

    #[test]
    fn a_crop_larger_than_the_photo_is_padded() {
        let image = RgbImage::from_pixel(2, 2, image::Rgb([9, 9, 9]));
        let padded = centre_crop(&image, 5, 4);
        assert_eq!(padded.dimensions(), (4, 5));
        assert_eq!((padded.get_pixel(1, 2)[0], padded.get_pixel(2, 3)[0], padded.get_pixel(0, 0)[0]), (9, 9, 0));
    }
}
