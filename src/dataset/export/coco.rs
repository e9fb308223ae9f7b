//! COCO's object detection format (cocodataset.org, "Data format"): `coco.json` holds images, categories and the true
//! labels, `coco_results.json` the predictions in the results format that `COCO.loadRes` reads. A label of a whole photo is
//! a box around all of it, because COCO knows no other.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{ExportPhoto, ExportSet};
use crate::Result;
use crate::report::write_json;

pub(super) fn write(set: &ExportSet, out: &Path) -> Result<Vec<PathBuf>> {
    let images: Vec<Value> = set
        .photos
        .iter()
        .enumerate()
        .map(|(at, photo)| {
            let name = photo.path.to_string_lossy();
            json!({"id": at + 1, "file_name": name, "width": photo.width, "height": photo.height})
        })
        .collect();
    let categories: Vec<Value> =
        set.labels.iter().enumerate().map(|(at, label)| json!({"id": at + 1, "name": label})).collect();
    let truths = set.photos.iter().enumerate().filter_map(|(at, photo)| Some((at, photo, photo.truth?)));
    let annotations: Vec<Value> = truths
        .enumerate()
        .map(|(id, (at, photo, label))| {
            json!({
                "id": id + 1, "image_id": at + 1, "category_id": label + 1, "bbox": whole(photo),
                "area": u64::from(photo.width) * u64::from(photo.height), "iscrowd": 0, "segmentation": [],
            })
        })
        .collect();
    let mut results = Vec::new();
    for (at, photo) in set.photos.iter().enumerate() {
        let mut push = |label: usize, bbox: Value, score: f64| {
            results.push(json!({"image_id": at + 1, "category_id": label + 1, "bbox": bbox, "score": score}));
        };
        for region in &photo.regions {
            push(region.label, json!([region.x, region.y, region.width, region.height]), region.score);
        }
        if let Some((label, score)) = photo.prediction {
            push(label, whole(photo), score);
        }
    }
    let info = json!({"description": "Labels and predictions", "contributor": set.made_by});
    let document =
        json!({"info": info, "licenses": [], "images": images, "annotations": annotations, "categories": categories});
    Ok(vec![write_json(&out.join("coco.json"), &document)?, write_json(&out.join("coco_results.json"), &results)?])
}

/// The box around the whole photo: x, y, width, height.
fn whole(photo: &ExportPhoto) -> Value {
    json!([0, 0, photo.width, photo.height])
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use crate::dataset::export::testing::{read, set};
    use crate::dataset::labels::from_coco;

    #[test]
    fn truth_and_predictions_stand_in_their_files() {
        let dir = tempfile::tempdir().unwrap();
        let files = super::write(&set(), dir.path()).unwrap();
        let coco = read(&files[0]);
        assert_eq!(coco["images"].as_array().unwrap().len(), 3);
        assert_eq!(coco["annotations"].as_array().unwrap().len(), 1);
        assert_eq!(coco["annotations"][0]["bbox"], serde_json::json!([0, 0, 200, 100]));
        let results = read(&files[1]);
        assert_eq!(results[0]["category_id"], 2);
        assert_eq!(results[1]["bbox"], serde_json::json!([20, 10, 50, 25]));
        assert_eq!(results[2]["score"], 0.5);
    }

    #[test]
    fn what_is_written_can_be_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut set = set();
        for (at, photo) in set.photos.iter_mut().enumerate() {
            photo.path = dir.path().join(format!("{at}.png"));
            std::fs::write(&photo.path, "").unwrap();
        }
        let files = super::write(&set, dir.path()).unwrap();
        let labels: Vec<_> = from_coco(&files[0], dir.path()).unwrap().into_iter().map(|photo| photo.label).collect();
        assert_eq!(labels, [Some("good".to_owned()), None, None]);
    }
}
