//! Ground-truth masks: pictures in which every pixel that is not black is defective. Read at their full depth, so that a
//! faint value is no normal pixel by rounding.

use std::path::Path;

use image::{GrayImage, ImageReader};

use crate::{Error, Result};

/// Reads a mask: 255 where the file has anything but black, else 0. Transparency is not looked at.
///
/// # Errors
/// [`Error::Io`] and [`Error::Input`] naming the file.
pub fn read_mask(path: &Path) -> Result<GrayImage> {
    let failed = |e: std::io::Error| Error::io("Cannot read the mask", path, &e);
    let reader = ImageReader::open(path).map_err(failed)?.with_guessed_format().map_err(failed)?;
    let picture = reader
        .decode()
        .map_err(|e| Error::input(format!("The mask cannot be decoded: {e}. Export it again as PNG.")).at(path))?;
    let deep = picture.into_luma16();
    let mut mask = GrayImage::new(deep.width(), deep.height());
    for (pixel, value) in mask.iter_mut().zip(deep.iter()) {
        *pixel = if *value == 0 { 0 } else { 255 };
    }
    Ok(mask)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use image::{ImageBuffer, Luma, Rgb};

    #[test]
    fn whatever_is_not_black_is_defective() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.png");
        let deep: ImageBuffer<Luma<u16>, Vec<u16>> =
            ImageBuffer::from_fn(3, 1, |x, _| Luma([[0, 1, 65535][x as usize]]));
        deep.save(&path).unwrap();
        assert_eq!(read_mask(&path).unwrap().into_raw(), [0, 255, 255]);
        let colour: ImageBuffer<Rgb<u8>, Vec<u8>> = ImageBuffer::from_fn(2, 1, |x, _| Rgb([0, 0, x as u8]));
        colour.save(&path).unwrap();
        assert_eq!(read_mask(&path).unwrap().into_raw(), [0, 255]);
    }

    #[test]
    fn a_file_that_is_no_picture_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.png");
        std::fs::write(&path, "text").unwrap();
        assert!(read_mask(&path).unwrap_err().to_string().contains("m.png"));
        assert!(read_mask(&dir.path().join("absent.png")).unwrap_err().to_string().contains("absent.png"));
    }
}
