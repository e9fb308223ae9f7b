//! FiftyOne's own dataset formats (docs.voxel51.com, "Loading datasets from disk"): a manifest of the photos, which stay
//! where they are, and labels by entry of the manifest. Whole photos make a FiftyOneImageClassificationDataset, boxes a
//! FiftyOneImageDetectionDataset.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{ExportPhoto, ExportSet};
use crate::Result;
use crate::report::{create_folder, write_json};

/// `fiftyone/data.json`, `labels.json` with the predictions, `ground_truth.json` where truth is known, and `boxes.json`
/// where there are boxes; each labels file goes with the same manifest.
pub(super) fn write(set: &ExportSet, out: &Path) -> Result<Vec<PathBuf>> {
    let dir = out.join("fiftyone");
    create_folder(&dir)?;
    // Numbers, because FiftyOne cuts everything from the last full stop off a key.
    let keyed = |value: &dyn Fn(&ExportPhoto) -> Option<Value>| -> Map<String, Value> {
        let entries = set.photos.iter().enumerate();
        entries.filter_map(|(at, photo)| Some((format!("{at:06}"), value(photo)?))).collect()
    };
    let document = |labels: Map<String, Value>| json!({"classes": set.labels, "labels": labels});
    let manifest = keyed(&|photo| Some(json!(photo.path.to_string_lossy())));
    let predictions =
        keyed(&|photo| photo.prediction.map(|(label, score)| json!({"label": set.labels[label], "confidence": score})));
    let mut written = vec![
        write_json(&dir.join("data.json"), &manifest)?,
        write_json(&dir.join("labels.json"), &document(predictions))?,
    ];
    if set.photos.iter().any(|photo| photo.truth.is_some()) {
        let truths = keyed(&|photo| photo.truth.map(|label| json!({"label": set.labels[label]})));
        written.push(write_json(&dir.join("ground_truth.json"), &document(truths))?);
    }
    if set.has_regions() {
        let boxes = keyed(&|photo| {
            let relative = |pixels: u32, side: u32| f64::from(pixels) / f64::from(side.max(1));
            let boxes = photo.regions.iter().map(|region| {
                let (width, height) = (photo.width, photo.height);
                json!({
                    "label": set.labels[region.label],
                    "bounding_box": [
                        relative(region.x, width), relative(region.y, height),
                        relative(region.width, width), relative(region.height, height),
                    ],
                    "confidence": region.score,
                })
            });
            Some(boxes.collect())
        });
        written.push(write_json(&dir.join("boxes.json"), &document(boxes))?);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use serde_json::json;

    use crate::dataset::export::testing::{read, set};

    #[test]
    fn every_labels_file_goes_with_the_manifest() {
        let dir = tempfile::tempdir().unwrap();
        let files = super::write(&set(), dir.path()).unwrap();
        assert_eq!(files.len(), 4);
        let manifest = read(&files[0]);
        assert_eq!(manifest["000001"], "/photos/ä b.png");
        let predictions = read(&files[1]);
        assert_eq!(predictions["classes"], json!(["good", "crack"]));
        assert_eq!(
            predictions["labels"],
            json!({"000000": {"label": "crack", "confidence": 0.75}, "000002": {"label": "crack", "confidence": 0.5}})
        );
        assert_eq!(read(&files[2])["labels"], json!({"000000": {"label": "good"}}));
        let boxes = read(&files[3]);
        assert_eq!(boxes["labels"]["000002"][0]["bounding_box"], json!([0.1, 0.1, 0.25, 0.25]));
        assert_eq!(boxes["labels"]["000001"], json!([]));
    }
}
