//! Results in the formats of other programs: COCO, FiftyOne, Label Studio. One neutral set of photos with labels and boxes
//! is made from a classification or from inspections; each format writes that. Reading labels is in `dataset::labels`.

mod coco;
pub mod coco_masks;
mod fiftyone;
mod label_studio;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::anomaly::{Inspection, Verdict};
use crate::classify::Classification;
use crate::{Error, Result};

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// `coco.json` with what is known, `coco_results.json` with what was predicted.
    Coco,
    /// `fiftyone/`: FiftyOneImageClassificationDataset, or FiftyOneImageDetectionDataset where there are boxes.
    FiftyOne,
    /// `label_studio/`: tasks with predictions, and the labelling configuration they go with.
    LabelStudio,
}

impl FromStr for ExportFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "coco" => Ok(Self::Coco),
            "fiftyone" => Ok(Self::FiftyOne),
            "labelstudio" => Ok(Self::LabelStudio),
            _ => Err(Error::input(format!("There is no export `{name}`. Use coco, fiftyone or labelstudio."))),
        }
    }
}

/// Photos with labels, as every format needs them.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportSet {
    pub labels: Vec<String>,
    pub photos: Vec<ExportPhoto>,
    /// Program and model, for formats that keep it.
    pub made_by: String,
}

/// One photo; labels are indices.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportPhoto {
    /// Absolute, so that another program finds it.
    pub path: PathBuf,
    /// Of the photo after EXIF orientation, in pixels.
    pub width: u32,
    pub height: u32,
    pub truth: Option<usize>,
    /// Label and score, 0–1.
    pub prediction: Option<(usize, f64)>,
    pub regions: Vec<ExportRegion>,
}

/// A box in pixels of the photo, origin top left.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportRegion {
    pub label: usize,
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
    /// 0–1
    pub score: f64,
}

impl ExportSet {
    /// Labels of whole photos.
    pub fn from_classification(classification: &Classification, made_by: &str) -> Self {
        let photo = |photo: &crate::classify::ClassifiedPhoto| ExportPhoto {
            path: absolute(&photo.path),
            width: photo.width,
            height: photo.height,
            truth: photo.truth,
            prediction: photo.prediction.map(|label| (label, photo.scores[label])),
            regions: Vec::new(),
        };
        Self {
            labels: classification.labels.clone(),
            photos: classification.photos.iter().map(photo).collect(),
            made_by: made_by.to_owned(),
        }
    }

    /// Verdicts as labels of whole photos, regions as boxes labelled `anomaly`. The score of a verdict is the normalised
    /// score of the photo (1 minus it for OK), held in 0–1.
    pub fn from_inspections<'a>(inspections: impl IntoIterator<Item = &'a Inspection>, made_by: &str) -> Self {
        let photo = |inspection: &Inspection| {
            let anomalous = f64::from(inspection.normalised_score.clamp(0.0, 1.0));
            let prediction = match inspection.verdict {
                Verdict::Ok => (0, 1.0 - anomalous),
                Verdict::Ng => (1, anomalous),
                Verdict::Uncertain => (2, anomalous),
            };
            let region = |region: &crate::anomaly::Region| ExportRegion {
                label: 3,
                x: region.x,
                y: region.y,
                width: region.width,
                height: region.height,
                score: f64::from(region.confidence.clamp(0.0, 1.0)),
            };
            ExportPhoto {
                path: absolute(&inspection.photo.path),
                width: inspection.photo.width,
                height: inspection.photo.height,
                truth: None,
                prediction: Some(prediction),
                regions: inspection.regions.iter().map(region).collect(),
            }
        };
        Self {
            labels: ["ok", "ng", "uncertain", "anomaly"].map(str::to_owned).to_vec(),
            photos: inspections.into_iter().map(photo).collect(),
            made_by: made_by.to_owned(),
        }
    }

    /// Writes the files of a format into `out`, which exists. Returns their paths.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file that cannot be written.
    pub fn write(&self, format: ExportFormat, out: &Path) -> Result<Vec<PathBuf>> {
        match format {
            ExportFormat::Coco => coco::write(self, out),
            ExportFormat::FiftyOne => fiftyone::write(self, out),
            ExportFormat::LabelStudio => label_studio::write(self, out),
        }
    }

    fn has_regions(&self) -> bool {
        self.photos.iter().any(|photo| !photo.regions.is_empty())
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod testing {
    use super::*;

    /// A photo with truth and prediction, one with neither, one with a box; a path with a space and a letter beyond ASCII.
    pub fn set() -> ExportSet {
        let photo = |name: &str, truth, prediction, regions| ExportPhoto {
            path: PathBuf::from("/photos").join(name),
            width: 200,
            height: 100,
            truth,
            prediction,
            regions,
        };
        let region = ExportRegion { label: 1, x: 20, y: 10, width: 50, height: 25, score: 0.8 };
        ExportSet {
            labels: vec!["good".into(), "crack".into()],
            photos: vec![
                photo("a.v1.png", Some(0), Some((1, 0.75)), Vec::new()),
                photo("ä b.png", None, None, Vec::new()),
                photo("c.png", None, Some((1, 0.5)), vec![region]),
            ],
            made_by: "Hairline 0.1.0, pocket".into(),
        }
    }

    pub fn read(path: &Path) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(path).expect("the file was written")).expect("it is JSON")
    }
}
