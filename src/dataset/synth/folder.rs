//! Procedural datasets on disk, in the MVTec-AD layout: `<class>/train/good`, `<class>/test/<kind>` and
//! `<class>/ground_truth/<kind>/<stem>_mask.png`. One class is one product.

use std::path::{Path, PathBuf};

use image::{GrayImage, ImageFormat, RgbImage};

use super::product::{Outlines, Product, Sample};
use crate::{Error, Result};

/// What to write and where.
#[derive(Clone, Debug)]
pub struct SynthOptions {
    /// Created where it is missing; files of the same names are replaced.
    pub out: PathBuf,
    pub seed: u64,
    /// Products, each its own class folder.
    pub classes: usize,
    /// Normal photos for reference, per class.
    pub train: usize,
    /// Normal photos for testing, per class.
    pub good: usize,
    /// Defective photos for testing, per class.
    pub defective: usize,
    /// Side of the square photos in pixels, 32–2048.
    pub size: usize,
    /// Every second product takes an outline that the embedded model has never seen.
    pub held_out_outlines: bool,
}

impl Default for SynthOptions {
    fn default() -> Self {
        Self {
            out: PathBuf::from("synth"),
            seed: 0,
            classes: 4,
            train: 16,
            good: 10,
            defective: 20,
            size: 256,
            held_out_outlines: true,
        }
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SynthSummary {
    pub classes: usize,
    pub photos: usize,
    pub masks: usize,
}

/// Writes a dataset; `progress(done, total)` counts photos and returns false to stop.
///
/// # Errors
/// [`Error::Input`] for a size or count out of range, [`Error::Io`] naming the file that could not be written,
/// [`Error::Cancelled`] when `progress` said stop.
pub fn write_dataset(options: &SynthOptions, mut progress: impl FnMut(usize, usize) -> bool) -> Result<SynthSummary> {
    if !(32..=2048).contains(&options.size) {
        return Err(Error::input(format!("The photo size is {} px, but must lie between 32 and 2048.", options.size)));
    }
    let per_class = options.train + options.good + options.defective;
    if options.classes == 0 || per_class == 0 {
        return Err(Error::input("There is nothing to write: give at least one class and one photo."));
    }
    let total = options.classes * per_class;
    let mut summary = SynthSummary { classes: options.classes, photos: 0, masks: 0 };
    for class in 0..options.classes {
        let outlines = if options.held_out_outlines && class % 2 == 1 { Outlines::HeldOut } else { Outlines::Trained };
        let product = Product::new(options.seed, class as u64, outlines);
        let root = options.out.join(class_name(&product, class));
        for photo in 0..per_class {
            let defective = photo >= options.train + options.good;
            let sample = product.photo(photo as u64, defective, options.size);
            let stem = format!("{photo:03}");
            let folder = match sample.kind {
                None if photo < options.train => root.join("train/good"),
                None => root.join("test/good"),
                Some(kind) => root.join("test").join(kind.name()),
            };
            write_png(&folder, &format!("{stem}.png"), &picture(&sample)?)?;
            summary.photos += 1;
            if let Some(kind) = sample.kind {
                let mask = sample.mask.iter().map(|&m| if m > 0 { 255 } else { 0 }).collect();
                let side = sample.size as u32;
                let mask =
                    GrayImage::from_raw(side, side, mask).ok_or_else(|| Error::bug("a mask of the wrong size."))?;
                let folder = root.join("ground_truth").join(kind.name());
                write_png(&folder, &format!("{stem}_mask.png"), &image::DynamicImage::ImageLuma8(mask))?;
                summary.masks += 1;
            }
            if !progress(summary.photos, total) {
                return Err(Error::Cancelled);
            }
        }
    }
    Ok(summary)
}

/// `00_brushed_ring` and the like.
fn class_name(product: &Product, class: usize) -> String {
    let surface = product.material.pattern.adjectives()[0];
    let noun = product.shape.as_ref().map_or("surface", |shape| shape.kind.nouns()[0]);
    format!("{class:02}_{surface}_{noun}").replace(' ', "_")
}

fn picture(sample: &Sample) -> Result<image::DynamicImage> {
    let side = sample.size as u32;
    RgbImage::from_raw(side, side, sample.rgb.clone())
        .map(image::DynamicImage::ImageRgb8)
        .ok_or_else(|| Error::bug("a photo of the wrong size."))
}

/// Writes under a temporary name in the same folder, then renames.
fn write_png(folder: &Path, name: &str, image: &image::DynamicImage) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|e| Error::io("Cannot create the folder", folder, &e))?;
    let path = folder.join(name);
    let part = folder.join(format!("{name}.part"));
    image.save_with_format(&part, ImageFormat::Png).map_err(|e| Error::Io {
        message: format!("Cannot write the picture: {e}. Check the free space and the permissions."),
        path: Some(path.clone()),
    })?;
    std::fs::rename(&part, &path).map_err(|e| Error::io("Cannot write the picture", &path, &e))
}
