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

/// Which of the two middle places a crop takes when an odd number of pixels is left over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Centre {
    /// The upper or left one, as transformers does.
    #[default]
    Down,
    /// The one with an even offset, as torchvision (and so timm) does.
    Even,
}

/// `preprocessor_config.json` of a model folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocessor {
    resize: Option<Size>,
    filter: Filter,
    /// (height, width)
    crop: Option<(u32, u32)>,
    centre: Centre,
    scale: f64,
    /// Red, green, blue, after scaling.
    mean: [f32; 3],
    std: [f32; 3],
}

/// Mean and standard deviation of CLIP's training photos, per channel, of values in [0, 1].
pub const CLIP_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// See [`CLIP_MEAN`].
pub const CLIP_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];
/// Mean and standard deviation of ImageNet, what DINOv2 was trained with.
pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// See [`IMAGENET_MEAN`].
pub const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

impl Preprocessor {
    /// CLIP's published preprocessing for inputs of this side.
    pub fn published(size: u32) -> Self {
        Self {
            resize: Some(Size::ShortestEdge(size)),
            filter: Filter::Bicubic,
            crop: Some((size, size)),
            centre: Centre::Down,
            scale: 1.0 / 255.0,
            mean: CLIP_MEAN,
            std: CLIP_STD,
        }
    }

    /// DINOv2's published preprocessing: short side to 256, central square of 224, ImageNet's statistics.
    pub fn dinov2() -> Self {
        Self { resize: Some(Size::ShortestEdge(256)), ..Self::published(224) }
            .with_statistics(IMAGENET_MEAN, IMAGENET_STD)
    }

    /// CLIPSeg's published preprocessing: both sides to `size`, bilinear, ImageNet's statistics.
    pub fn clipseg(size: u32) -> Self {
        Self {
            resize: Some(Size::Exact { height: size, width: size }),
            filter: Filter::Bilinear,
            crop: None,
            ..Self::published(size)
        }
        .with_statistics(IMAGENET_MEAN, IMAGENET_STD)
    }

    /// timm's evaluation transform: short side (or, to `squash`, both sides) to `resize`, then the central square of
    /// `crop` pixels.
    pub fn timm(resize: u32, squash: bool, crop: u32, filter: Filter) -> Self {
        let size = if squash { Size::Exact { height: resize, width: resize } } else { Size::ShortestEdge(resize) };
        Self { resize: Some(size), filter, centre: Centre::Even, ..Self::published(crop) }
    }

    /// The same statistics and filter, but the whole photo squeezed into a square of `side` pixels.
    #[must_use]
    pub fn squashed(self, side: u32) -> Self {
        Self { resize: Some(Size::Exact { height: side, width: side }), crop: None, ..self }
    }

    /// As `preprocessor_config.json`, for a model folder that is written here.
    pub fn to_json(&self) -> serde_json::Value {
        let sides = |(height, width): (u32, u32)| serde_json::json!({"height": height, "width": width});
        let mut json = serde_json::json!({
            "do_resize": self.resize.is_some(), "do_center_crop": self.crop.is_some(), "resample": self.filter.pillow(),
            "do_rescale": true, "rescale_factor": self.scale, "do_convert_rgb": true,
            "do_normalize": true, "image_mean": self.mean, "image_std": self.std,
        });
        match self.resize {
            Some(Size::ShortestEdge(edge)) => json["size"] = serde_json::json!({"shortest_edge": edge}),
            Some(Size::Exact { height, width }) => json["size"] = sides((height, width)),
            None => {}
        }
        if let Some(crop) = self.crop {
            json["crop_size"] = sides(crop);
        }
        json
    }

    /// The same with another mean and standard deviation.
    #[must_use]
    pub fn with_statistics(self, mean: [f32; 3], std: [f32; 3]) -> Self {
        Self { mean, std, ..self }
    }

    /// Parses `preprocessor_config.json`; what it leaves out is as in [`Preprocessor::published`].
    pub fn parse(json: &str, image_size: u32) -> Result<Self> {
        Self::parse_over(json, &Self::published(image_size))
    }

    /// Parses `preprocessor_config.json`; what it leaves out is as in `published`.
    fn parse_over(json: &str, published: &Self) -> Result<Self> {
        let file: PreprocessorFile = serde_json::from_str(json).map_err(|error| {
            Error::model(format!("preprocessor_config.json cannot be read: {error}. Download the model again."))
        })?;
        let yes = |flag: Option<bool>| flag.unwrap_or(true);
        let size = match file.size {
            // A single number is the short side, but both sides where the published preprocessing squashes.
            Some(SizeField::Number(side)) if matches!(published.resize, Some(Size::Exact { .. })) => {
                Some(Size::Exact { height: side, width: side })
            }
            Some(SizeField::Number(edge) | SizeField::Edge { shortest_edge: edge }) => Some(Size::ShortestEdge(edge)),
            Some(SizeField::Sides { height, width }) => Some(Size::Exact { height, width }),
            None => published.resize,
        };
        let crop = match file.crop_size {
            Some(SizeField::Number(side) | SizeField::Edge { shortest_edge: side }) => Some((side, side)),
            Some(SizeField::Sides { height, width }) => Some((height, width)),
            None => published.crop,
        };
        let sides = size.map(|size| match size {
            Size::ShortestEdge(edge) => (edge, edge),
            Size::Exact { height, width } => (height, width),
        });
        if sides.iter().chain(&crop).any(|(a, b)| !(1..=8192).contains(a) || !(1..=8192).contains(b)) {
            return Err(Error::model("preprocessor_config.json: size and crop_size must lie between 1 and 8192."));
        }
        let config = Self {
            resize: size.filter(|_| yes(file.do_resize)),
            filter: file.resample.map_or(Ok(published.filter), Filter::from_pillow)?,
            crop: crop.filter(|_| file.do_center_crop.unwrap_or(published.crop.is_some())),
            centre: published.centre,
            scale: if yes(file.do_rescale) { file.rescale_factor.unwrap_or(published.scale) } else { 1.0 },
            mean: if yes(file.do_normalize) { file.image_mean.unwrap_or(published.mean) } else { [0.0; 3] },
            std: if yes(file.do_normalize) { file.image_std.unwrap_or(published.std) } else { [1.0; 3] },
        };
        if config.std.iter().any(|std| *std <= 0.0 || !std.is_finite()) {
            return Err(Error::model("preprocessor_config.json: image_std must be above 0."));
        }
        Ok(config)
    }

    /// Reads `preprocessor_config.json` of a folder; what it leaves out, or all where there is none, is as in `published`.
    pub fn open(folder: &Path, published: Self) -> Result<Self> {
        let path = folder.join("preprocessor_config.json");
        if !path.is_file() {
            return Ok(published);
        }
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Error::io("Cannot read the preprocessing", &path, &error))?;
        Self::parse_over(&text, &published).map_err(|error| error.at(&path))
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
            Some((height, width)) => centre_crop(&resized, height, width, self.centre),
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
fn centre_crop(image: &RgbImage, height: u32, width: u32, centre: Centre) -> RgbImage {
    // Offsets of the crop in the image, negative where padding is needed; the reference rounds both ways downwards.
    let offset = |have: u32, want: u32| {
        let rest = i64::from(have) - i64::from(want);
        let down = rest.div_euclid(2);
        let up = centre == Centre::Even && rest > 0 && rest % 2 == 1 && down % 2 == 1;
        down + i64::from(up)
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
        let padded = centre_crop(&image, 5, 4, Centre::Down);
        assert_eq!(padded.dimensions(), (4, 5));
        assert_eq!((padded.get_pixel(1, 2)[0], padded.get_pixel(2, 3)[0], padded.get_pixel(0, 0)[0]), (9, 9, 0));
    }

    #[test]
    fn torchvision_rounds_the_centre_to_an_even_offset() {
        let image = RgbImage::from_fn(9, 1, |x, _| image::Rgb([x as u8; 3]));
        let first = |width, centre| centre_crop(&image, 1, width, centre).get_pixel(0, 0)[0];
        // Python: round(0.5) is 0, round(1.5) is 2, round(2.5) is 2.
        assert_eq!([8, 6, 4].map(|width| first(width, Centre::Even)), [0, 2, 2]);
        assert_eq!([8, 6, 4].map(|width| first(width, Centre::Down)), [0, 1, 2]);
    }
}
