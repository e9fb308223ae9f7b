//! From inspections to files that people and programs read: annotated pictures, text, JSON, CSV and one HTML page that
//! stands alone. Judges nothing; every file appears whole or not at all.

pub mod bench_page;
mod chart;
pub mod classification;
mod colour;
mod comparison;
mod confusion_picture;
mod csv;
mod file;
mod html;
pub mod images;
pub mod json;
mod lettering;
mod matrix;
pub mod segments;
mod stem;
#[cfg(test)]
pub(crate) mod testing;
mod text;
mod time;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use image::{GrayImage, ImageFormat, RgbImage};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use classification::{ClassificationRun, metrics_json, read_predictions, write_classification};
pub use colour::ColourMap;
pub use comparison::{ComparedRun, write_comparison};
pub use confusion_picture::confusion_picture;
pub use file::{create_folder, write_file};
pub use images::verdict_colour;
pub use matrix::{CellKind, MatrixPicture};
pub use stem::unique_stems;
pub use text::{narrow_report_text, report_text, short_hash};
pub use time::utc;

use crate::anomaly::judge::region_threshold;
use crate::anomaly::{AnomalyMap, Calibration, Inspection};
use crate::engine::View;
use crate::explain::{Explanation, explain};
use crate::model::ModelInfo;
use crate::{Error, Recipe, Result};

/// Which weights made a result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelIdentity {
    /// Catalogue id or folder.
    pub id: String,
    /// SHA-256 of the weights, in hexadecimal.
    pub sha256: String,
}

impl ModelIdentity {
    /// Of a loaded model.
    pub fn of(model: &ModelInfo) -> Self {
        Self { id: model.id.clone(), sha256: model.sha256.clone() }
    }
}

/// What goes into the files of one photo besides its inspection.
#[derive(Clone, Debug)]
pub struct ReportOptions {
    /// The model, for the reports.
    pub model: ModelIdentity,
    /// The memory's model, where it is another one.
    pub memory_model: Option<ModelIdentity>,
    /// The device in words, for the reports.
    pub device: String,
    /// Colours of the heatmap.
    pub colours: ColourMap,
    /// Write `<stem>_map.npy`, the raw scores at photo size.
    pub save_map: bool,
}

/// Everything that the files of one photo are made of.
#[derive(Clone, Copy, Debug)]
pub struct PhotoResult<'a> {
    /// Pixels after EXIF orientation.
    pub photo: &'a RgbImage,
    /// The outcome.
    pub inspection: &'a Inspection,
    /// Its anomaly map.
    pub map: &'a AnomalyMap,
    /// Thresholds and scale in force.
    pub calibration: &'a Calibration,
    /// The recipe it was judged with.
    pub recipe: &'a Recipe,
    /// The words for it; `None` leaves them to the rules.
    pub explanation: Option<&'a Explanation>,
}

impl<'a> PhotoResult<'a> {
    /// A photo and what the engine knows of it.
    pub fn new(photo: &'a RgbImage, view: &'a View) -> Self {
        Self {
            photo,
            inspection: &view.inspection,
            map: &view.map,
            calibration: &view.calibration,
            recipe: &view.recipe,
            explanation: None,
        }
    }
}

/// Writes `<stem>_heatmap.png`, `_boxes.png`, `_mask.png`, `_report.txt`, `_report.json` and on request `_map.npy` into
/// `dir`, which is created. Returns the paths.
///
/// # Errors
/// [`Error::Io`] naming the file that cannot be written.
pub fn write_photo(dir: &Path, stem: &str, result: PhotoResult<'_>, options: &ReportOptions) -> Result<Vec<PathBuf>> {
    create_folder(dir)?;
    let PhotoResult { photo, inspection, map, calibration, recipe, explanation } = result;
    let by_rules;
    let explanation = if let Some(explanation) = explanation {
        explanation
    } else {
        by_rules = explain(inspection, recipe);
        &by_rules
    };
    let path = |suffix: &str| dir.join(format!("{stem}_{suffix}"));
    let heatmap = images::heatmap(photo, inspection, map, calibration, options.colours);
    let mask = images::mask(map, region_threshold(map, calibration, !inspection.regions.is_empty()));
    let mut written = vec![
        write_png(&path("heatmap.png"), &heatmap.into())?,
        write_png(&path("boxes.png"), &images::boxes(photo, inspection).into())?,
        write_png(&path("mask.png"), &mask.into())?,
        write_file(&path("report.txt"), |out| {
            out.write_all(text::explained_text(inspection, explanation, recipe).as_bytes())?;
            out.write_all(text::provenance_text(inspection, recipe, options).as_bytes())
        })?,
        write_json(&path("report.json"), &json::ReportDocument::new(inspection, explanation, recipe, options))?,
    ];
    if options.save_map {
        let shape = [u64::from(map.photo_height), u64::from(map.photo_width)];
        written.push(write_npy(&path("map.npy"), &shape, &map.at_photo_size())?);
    }
    Ok(written)
}

/// A batch of inspections and what it was made with.
#[derive(Clone, Debug)]
pub struct Run {
    /// UTC, RFC 3339; see [`utc`].
    pub created: String,
    /// The recipe of all photos.
    pub recipe: Recipe,
    /// The model.
    pub model: ModelIdentity,
    /// The memory's model, where it is another one.
    pub memory_model: Option<ModelIdentity>,
    /// The device in words.
    pub device: String,
    /// Outcomes, in the order the photos were given.
    pub photos: Vec<RunPhoto>,
    /// Photos without an outcome, and why.
    pub failures: Vec<(PathBuf, Error)>,
    /// The run was stopped before all photos were through.
    pub cancelled: bool,
}

/// One photo of a [`Run`].
#[derive(Clone, Debug)]
pub struct RunPhoto {
    /// Stem of its files beside the report.
    pub stem: String,
    /// The outcome.
    pub inspection: Arc<Inspection>,
    /// Small pictures for the HTML report.
    pub thumbnails: Thumbnails,
}

/// JPEG files for the HTML report, kept compressed because a run may have thousands.
#[derive(Clone, Debug, Default)]
pub struct Thumbnails {
    /// The photo.
    pub photo: Vec<u8>,
    /// The photo under its heatmap.
    pub heatmap: Vec<u8>,
}

impl Thumbnails {
    /// Longer side in pixels.
    pub const SIDE: u32 = 320;

    /// Makes both pictures.
    pub fn new(result: PhotoResult<'_>, colours: ColourMap) -> Result<Self> {
        let small = images::thumbnail(result.photo, Self::SIDE);
        let overlaid = images::overlay(&small, result.map, result.calibration, colours);
        Ok(Self { photo: jpeg(&small)?, heatmap: jpeg(&overlaid)? })
    }
}

/// Pictures of a photo that a benchmark shows among its worst: JPEG in Base 64, ready for a page.
#[derive(Clone, Debug, Default)]
pub struct WorstPictures {
    /// The photo, its ground truth outlined.
    pub photo: String,
    /// The photo under its heatmap.
    pub heatmap: String,
}

impl WorstPictures {
    /// Makes both pictures; `mask` is the ground truth at the photo's size.
    pub fn new(result: PhotoResult<'_>, mask: Option<&GrayImage>, colours: ColourMap) -> Result<Self> {
        let mut small = images::thumbnail(result.photo, Thumbnails::SIDE);
        let overlaid = images::overlay(&small, result.map, result.calibration, colours);
        if let Some(mask) = mask {
            images::outline(&mut small, mask);
        }
        Ok(Self { photo: base64(&jpeg(&small)?), heatmap: base64(&jpeg(&overlaid)?) })
    }
}

/// Writes `results.json`, `results.csv` and `report.html` into `dir`, which is created.
///
/// # Errors
/// [`Error::Io`] naming the file that cannot be written.
pub fn write_run(dir: &Path, run: &Run) -> Result<Vec<PathBuf>> {
    create_folder(dir)?;
    Ok(vec![
        write_json(&dir.join("results.json"), &json::ResultsDocument::new(run))?,
        write_file(&dir.join("results.csv"), |out| csv::write(run, out))?,
        write_file(&dir.join("report.html"), |out| html::write(run, out))?,
    ])
}

/// Writes float32 values as a NumPy file of this shape.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn write_npy(path: &Path, shape: &[u64], values: &[f32]) -> Result<PathBuf> {
    use npyz::WriterBuilder as _;
    write_file(path, |out| {
        let mut npy = npyz::WriteOptions::<f32>::new().default_dtype().shape(shape).writer(out).begin_nd()?;
        npy.extend(values.iter().copied())?;
        npy.finish()
    })
}

/// Writes a document as indented JSON.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn write_json(path: &Path, document: &impl Serialize) -> Result<PathBuf> {
    write_file(path, |out| {
        serde_json::to_writer_pretty(&mut *out, document)?;
        out.write_all(b"\n")
    })
}

/// Writes a picture as PNG.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn write_png(path: &Path, picture: &image::DynamicImage) -> Result<PathBuf> {
    let bytes = png(picture)?;
    write_file(path, |out| out.write_all(&bytes))
}

/// A picture as the bytes of a PNG.
///
/// # Errors
/// [`Error::Bug`] for a kind of pixel that PNG does not know.
pub fn png(picture: &image::DynamicImage) -> Result<Vec<u8>> {
    // PNG needs a writer that can seek; pictures are small beside the networks' memory.
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).map_err(|e| Error::bug(format!("a picture is no PNG ({e}).")))?;
    Ok(bytes.into_inner())
}

/// Bytes as text for pages and JSON (RFC 4648, with padding).
pub fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

fn jpeg(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 82)
        .encode_image(picture)
        .map_err(|e| Error::bug(format!("a thumbnail is no JPEG ({e}).")))?;
    Ok(bytes)
}
