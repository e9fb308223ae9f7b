//! Masks as a COCO annotation file: one annotation for each connected part, its runs packed (RLE), with box and area.
//! What a mask shows is its category. `dataset::coco_masks` and pycocotools read the file again.

use std::path::{Path, PathBuf};

use image::{GrayImage, Luma};
use imageproc::region_labelling::{Connectivity, connected_components};
use serde_json::{Value, json};

use crate::dataset::rle::RunLengths;
use crate::report::write_json;
use crate::{Error, Result};

/// A photo with the masks that were drawn in it.
#[derive(Clone, Debug)]
pub struct PhotoWithMasks {
    /// Name in the file, relative to the folder of photos.
    pub file_name: String,
    pub width: u32,
    pub height: u32,
    /// Place of the category, and its mask: not 0 inside, of the photo's size. A category may come once.
    pub masks: Vec<(usize, GrayImage)>,
}

/// The annotations of one connected part after the other.
#[derive(Debug, Default)]
pub struct CocoWriter {
    categories: Vec<String>,
    images: Vec<Value>,
    annotations: Vec<Value>,
}

impl CocoWriter {
    /// Of these categories; their ids are their places from 1 on.
    pub fn new(categories: Vec<String>) -> Self {
        Self { categories, ..Self::default() }
    }

    /// Adds a photo; one whose masks are empty is there without annotations.
    ///
    /// # Errors
    /// [`crate::Error::Bug`] for a mask of another size.
    pub fn add(&mut self, photo: &PhotoWithMasks) -> Result<()> {
        let image = self.images.len() + 1;
        let (width, height) = (photo.width, photo.height);
        self.images.push(json!({"id": image, "file_name": photo.file_name, "width": width, "height": height}));
        for (category, mask) in &photo.masks {
            let solid =
                GrayImage::from_fn(mask.width(), mask.height(), |x, y| Luma([u8::from(mask.get_pixel(x, y).0[0] > 0)]));
            let labels = connected_components(&solid, Connectivity::Eight, Luma([0]));
            let parts = labels.iter().copied().max().unwrap_or(0);
            if mask.dimensions() != (width, height) {
                return Err(Error::bug(format!("a mask of `{}` is not of its photo's size.", photo.file_name)));
            }
            let mut boxes = vec![[u32::MAX, u32::MAX, 0, 0]; parts as usize];
            for (x, y, label) in labels.enumerate_pixels() {
                if let Some(part) = (label.0[0] as usize).checked_sub(1) {
                    let [left, top, right, bottom] = &mut boxes[part];
                    (*left, *top) = ((*left).min(x), (*top).min(y));
                    (*right, *bottom) = ((*right).max(x), (*bottom).max(y));
                }
            }
            for (part, place) in boxes.into_iter().enumerate() {
                let [left, top, right, bottom] = place;
                let is_inside = |x, y| labels.get_pixel(x, y).0[0] as usize == part + 1;
                let runs = RunLengths::of_box(height, width, place, is_inside);
                self.annotations.push(json!({
                    "id": self.annotations.len() + 1, "image_id": image, "category_id": category + 1,
                    "bbox": [left, top, right - left + 1, bottom - top + 1], "area": runs.area(), "iscrowd": 0,
                    "segmentation": {"size": [height, width], "counts": runs.pack()},
                }));
            }
        }
        Ok(())
    }

    /// Writes the file; it appears whole or not at all.
    ///
    /// # Errors
    /// [`crate::Error::Io`] naming the file.
    pub fn write(&self, path: &Path) -> Result<PathBuf> {
        let categories: Vec<Value> =
            self.categories.iter().enumerate().map(|(at, name)| json!({"id": at + 1, "name": name})).collect();
        let info = json!({"description": "Masks", "contributor": format!("Hairline {}", env!("CARGO_PKG_VERSION"))});
        write_json(
            path,
            &json!({"info": info, "licenses": [], "images": self.images, "annotations": self.annotations,
                "categories": categories}),
        )
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use crate::dataset::coco_masks::CocoMasks;

    #[test]
    fn every_part_is_an_annotation_and_the_file_gives_the_masks_back() {
        let dir = tempfile::tempdir().unwrap();
        let two = GrayImage::from_fn(30, 20, |x, y| {
            let part = (3..9).contains(&x) && (4..6).contains(&y) || (20..30).contains(&x) && y > 10;
            Luma([if part { 255 } else { 0 }])
        });
        let empty = GrayImage::new(30, 20);
        let mut writer = CocoWriter::new(vec!["crack".to_owned(), "hole".to_owned()]);
        let masks = vec![(1, two.clone()), (0, empty.clone())];
        writer.add(&PhotoWithMasks { file_name: "a/ö.png".to_owned(), width: 30, height: 20, masks }).unwrap();
        let path = writer.write(&dir.path().join("masks.json")).unwrap();

        let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let annotations = json["annotations"].as_array().unwrap();
        assert_eq!(annotations.len(), 2);
        assert_eq!((&annotations[0]["bbox"], &annotations[0]["area"]), (&json!([3, 4, 6, 2]), &json!(12)));
        assert_eq!((&annotations[1]["bbox"], &annotations[1]["area"]), (&json!([20, 11, 10, 9]), &json!(90)));
        let read = CocoMasks::open(&path, true).unwrap();
        assert_eq!(read.mask(&read.images[0], &read.categories[1]).unwrap(), two);
        assert_eq!(read.mask(&read.images[0], &read.categories[0]).unwrap(), empty);
        let wrong = vec![(0, GrayImage::new(3, 3))];
        let wrong = PhotoWithMasks { file_name: "b".to_owned(), width: 30, height: 20, masks: wrong };
        let mut other = CocoWriter::new(vec!["crack".to_owned()]);
        assert!(other.add(&wrong).unwrap_err().to_string().contains("size"));
    }
}
