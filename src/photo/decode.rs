//! One photo from its bytes: 8-bit RGB after EXIF orientation, by rules written at [`Photo::from_bytes`]. Bad files end in
//! a sentence that says what is wrong and what to do. No resizing for networks here.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{AnimationDecoder, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, RgbImage};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Pixels of a photo at most; the header is asked before anything is decoded.
pub const MAX_PIXELS: u64 = 200_000_000;

/// Pixels that a side of a photo has at least where a network judges it. What is smaller, enlarged to the network's input,
/// is a few smooth colours that look normal everywhere.
pub const MIN_SIDE: u32 = 8;

/// Bytes that a decoder may take at most: the largest photo with four 16-bit channels, twice.
const MAX_DECODER_BYTES: u64 = MAX_PIXELS * 8 * 2;

/// A decoded photo.
#[derive(Clone, Debug)]
pub struct Photo {
    /// Where it came from; a name where there is no file.
    pub path: PathBuf,
    /// SHA-256 of the file's bytes.
    pub hash: [u8; 32],
    /// 8-bit RGB, upright.
    pub pixels: RgbImage,
    /// What the user should know, in sentences.
    pub warnings: Vec<String>,
}

impl Photo {
    /// Reads and decodes a file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let unreadable = |error: std::io::Error| Error::io("Cannot read the photo", path, &error);
        // Reading a pipe that nobody writes to would never end.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(Error::input("This is no ordinary file. Give a photo, or a folder of photos.").at(path));
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        Self::from_bytes(&bytes, path)
    }

    /// As [`Photo::open`], for a photo that a network is to judge: one with a side below [`MIN_SIDE`] is refused.
    pub fn open_to_judge(path: impl AsRef<Path>) -> Result<Self> {
        let photo = Self::open(path)?;
        let (width, height) = photo.pixels.dimensions();
        if width.min(height) < MIN_SIDE {
            return Err(Error::input(format!(
                "The photo has {width} × {height} pixels, too few to judge; each side needs {MIN_SIDE}. Take or export it \
                 larger."
            ))
            .at(&photo.path));
        }
        Ok(photo)
    }

    /// Decodes a file's bytes; `name` is its path or any name for messages.
    ///
    /// The format is told by the content, not by the name. 16-bit values keep their upper byte, as Pillow does for 16-bit
    /// RGB. Transparent places show white, as in transformers' `convert_to_rgb` (before its version 5 they showed whatever
    /// colour was stored under them). Of an animation the first picture is taken, with a warning. The EXIF orientation is
    /// applied.
    pub fn from_bytes(bytes: &[u8], name: impl AsRef<Path>) -> Result<Self> {
        let path = name.as_ref();
        decode(bytes)
            .map(|(pixels, warnings)| Self {
                path: path.to_owned(),
                hash: Sha256::digest(bytes).into(),
                pixels,
                warnings,
            })
            .map_err(|error| error.at(path))
    }

    /// A photo made in memory; its hash is over size and pixels.
    pub fn from_pixels(pixels: RgbImage, name: impl Into<PathBuf>) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(pixels.width().to_le_bytes());
        hasher.update(pixels.height().to_le_bytes());
        hasher.update(pixels.as_raw());
        Self { path: name.into(), hash: hasher.finalize().into(), pixels, warnings: Vec::new() }
    }

    /// Pixels, after orientation.
    pub fn width(&self) -> u32 {
        self.pixels.width()
    }

    /// Pixels, after orientation.
    pub fn height(&self) -> u32 {
        self.pixels.height()
    }
}

/// Bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// A small version for lists: the longer side at most `side` pixels, never enlarged.
pub fn thumbnail(photo: &Photo, side: u32) -> RgbImage {
    let (width, height) = photo.pixels.dimensions();
    let scale = (f64::from(side.max(1)) / f64::from(width.max(height))).min(1.0);
    let fit = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    image::imageops::thumbnail(&photo.pixels, fit(width), fit(height))
}

fn decode(bytes: &[u8]) -> Result<(RgbImage, Vec<String>)> {
    if bytes.is_empty() {
        return Err(Error::input("The photo is empty (0 bytes). Export or copy it again."));
    }
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| Error::input(format!("The photo cannot be read: {error}. Copy it again.")))?;
    let Some(format) = reader.format() else {
        let kind = if std::str::from_utf8(&bytes[..bytes.len().min(512)]).is_ok() {
            "text"
        } else {
            "in a format this program does not read"
        };
        return Err(Error::input(format!(
            "The file is no photo: its content is {kind}. Export it as PNG, JPEG, TIFF, BMP, WebP or GIF."
        )));
    };
    if format == ImageFormat::Jpeg && !jpeg_is_complete(bytes) {
        return Err(truncated());
    }
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| explained(&error))?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(Error::input("The photo has no pixels. Export it again."));
    }
    let count = u64::from(width) * u64::from(height);
    if count > MAX_PIXELS {
        return Err(Error::input(format!(
            "The photo has {width} × {height} pixels, {} million; at most {} million are read. Scale it down, or cut it into tiles.",
            count / 1_000_000,
            MAX_PIXELS / 1_000_000
        )));
    }
    let orientation = decoder.orientation();
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| explained(&error))?;
    let mut warnings = Vec::new();
    match orientation {
        Ok(orientation) => image.apply_orientation(orientation),
        Err(error) => {
            warnings.push(format!("The photo's EXIF orientation cannot be read ({error}); it is shown as stored."));
        }
    }
    if is_animated(bytes, format) {
        warnings.push("The file is an animation; only its first picture is inspected.".to_owned());
    }
    Ok((eight_bit(image), warnings))
}

/// 8-bit RGB: upper bytes of 16-bit values, transparency onto white.
fn eight_bit(image: DynamicImage) -> RgbImage {
    let upper = |value: u16| (value >> 8) as u8;
    let (width, height) = (image.width(), image.height());
    let raw: Vec<u8> = match image {
        DynamicImage::ImageLuma16(grey) => grey.as_raw().iter().flat_map(|value| [upper(*value); 3]).collect(),
        DynamicImage::ImageRgb16(rgb) => rgb.as_raw().iter().map(|value| upper(*value)).collect(),
        DynamicImage::ImageLumaA8(grey) => {
            grey.pixels().flat_map(|pixel| onto_white([pixel[0]; 3], pixel[1])).collect()
        }
        DynamicImage::ImageLumaA16(grey) => {
            grey.pixels().flat_map(|pixel| onto_white([upper(pixel[0]); 3], upper(pixel[1]))).collect()
        }
        DynamicImage::ImageRgba8(rgba) => {
            rgba.pixels().flat_map(|pixel| onto_white([pixel[0], pixel[1], pixel[2]], pixel[3])).collect()
        }
        DynamicImage::ImageRgba16(rgba) => rgba
            .pixels()
            .flat_map(|pixel| onto_white([upper(pixel[0]), upper(pixel[1]), upper(pixel[2])], upper(pixel[3])))
            .collect(),
        other => return other.into_rgb8(),
    };
    RgbImage::from_raw(width, height, raw).unwrap_or_else(|| unreachable!("three bytes were made of each pixel"))
}

/// Pillow's `alpha_composite` over opaque white, to the bit.
fn onto_white(colour: [u8; 3], alpha: u8) -> [u8; 3] {
    let alpha = u32::from(alpha);
    colour.map(|value| {
        let sum = ((u32::from(value) * alpha + 255 * (255 - alpha)) + 128) << 7;
        ((((sum >> 8) + sum) >> 8) >> 7) as u8
    })
}

fn truncated() -> Error {
    Error::input("The photo is cut off: its end is missing. Copy or export it again.")
}

fn explained(error: &ImageError) -> Error {
    match error {
        ImageError::IoError(source) if source.kind() == std::io::ErrorKind::UnexpectedEof => truncated(),
        ImageError::Limits(_) => {
            Error::input("Decoding the photo would take too much memory. Scale it down, or cut it into tiles.")
        }
        ImageError::Unsupported(what) => Error::input(format!(
            "The photo is of a variant that is not read ({what}). Export it as 8-bit PNG or JPEG."
        )),
        other => {
            let text = other.to_string();
            let cut_off = ["unexpected end", "unexpected eof", "failed to fill whole buffer", "not enough"]
                .iter()
                .any(|sign| text.to_lowercase().contains(sign));
            if cut_off {
                truncated()
            } else {
                Error::input(format!("The photo is damaged: {text}. Copy or export it again."))
            }
        }
    }
}

/// Whether the end marker follows the first scan. The decoder itself fills up what is missing with grey, silently.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xDA;
    const END: u8 = 0xD9;
    let mut at = 2;
    while let Some(&[prefix, marker]) = bytes.get(at..at + 2).and_then(|pair| pair.first_chunk::<2>()) {
        if prefix != 0xFF {
            // Not at a marker: leave the judgement to the decoder.
            return true;
        }
        match marker {
            0xFF => at += 1,
            START_OF_SCAN => return bytes[at..].windows(2).any(|pair| pair == [0xFF, END]),
            0x01 | 0xD0..=0xD8 => at += 2,
            _ => match bytes.get(at + 2..at + 4) {
                Some(length) => at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]])),
                None => return false,
            },
        }
    }
    false
}

/// Whether there is more than one picture. A file whose second picture is damaged still has a good first one.
fn is_animated(bytes: &[u8], format: ImageFormat) -> bool {
    let bytes = Cursor::new(bytes);
    match format {
        ImageFormat::Gif => GifDecoder::new(bytes).is_ok_and(|decoder| decoder.into_frames().nth(1).is_some()),
        ImageFormat::Png => PngDecoder::new(bytes).is_ok_and(|decoder| decoder.is_apng().unwrap_or(false)),
        ImageFormat::WebP => WebPDecoder::new(bytes).is_ok_and(|decoder| decoder.has_animation()),
        _ => false,
    }
}
