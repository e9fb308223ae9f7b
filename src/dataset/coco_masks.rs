//! Pixel masks from a COCO annotation file (Lin et al. 2014, "Microsoft COCO"): polygons, runs and packed runs, one mask
//! for each photo and category. Boxes without an outline have no mask and are refused by name.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use image::GrayImage;
use serde::Deserialize;
use serde_json::Value;

use super::rle::RunLengths;
use crate::{Error, Result};

/// Pixels of a photo at most, so that a damaged size cannot ask for all the memory.
const MOST_PIXELS: u64 = 1 << 28;

#[derive(Debug, Deserialize)]
struct File {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

/// A photo of the file.
#[derive(Clone, Debug, Deserialize)]
pub struct Image {
    pub id: u64,
    /// Path as the file spells it, relative to the folder of photos.
    pub file_name: String,
    pub width: u32,
    pub height: u32,
}

/// A kind of thing that was outlined.
#[derive(Clone, Debug, Deserialize)]
pub struct Category {
    pub id: u64,
    pub name: String,
}

#[derive(Debug, Deserialize)]
struct Annotation {
    id: u64,
    image_id: u64,
    category_id: u64,
    #[serde(default)]
    segmentation: Outline,
    #[serde(default)]
    iscrowd: u8,
}

/// What an annotation outlines, or why it cannot be drawn: the other annotations of its file stay usable.
#[derive(Debug, Deserialize)]
#[serde(from = "Value")]
struct Outline(Result<Segmentation>);

#[derive(Debug)]
enum Segmentation {
    Polygons(Vec<Vec<f64>>),
    Runs { height: u32, width: u32, counts: Counts },
}

#[derive(Debug)]
enum Counts {
    Plain(Vec<u32>),
    Packed(String),
}

/// An annotation file. An annotation that cannot be used costs its own photo, when that photo's masks are asked for.
#[derive(Debug)]
pub struct CocoMasks {
    pub images: Vec<Image>,
    /// By name.
    pub categories: Vec<Category>,
    /// Annotations of photos that the file does not list, as errors. They belong to no mask.
    pub strays: Vec<Error>,
    annotations: HashMap<u64, Vec<Annotation>>,
    crowds: bool,
    path: PathBuf,
}

impl CocoMasks {
    /// Reads and checks `path`. Regions marked as crowds count when `crowds` says so.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Input`] for what is no annotation file, or whose photos are described wrongly.
    pub fn open(path: &Path, crowds: bool) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io("Cannot read the annotations", path, &e))?;
        Self::parse(path, &text, crowds).map_err(|error| error.at(path))
    }

    fn parse(path: &Path, text: &str, crowds: bool) -> Result<Self> {
        let File { images, annotations, mut categories } = serde_json::from_str(text)
            .map_err(|e| Error::input(format!("This is no COCO annotation file: {e}. Export it again.")))?;
        for image in &images {
            if u64::from(image.width) * u64::from(image.height) > MOST_PIXELS || image.width == 0 || image.height == 0 {
                return Err(Error::input(format!(
                    "Photo {} (`{}`) is said to have {} × {} pixels, which no photo has.",
                    image.id, image.file_name, image.width, image.height
                )));
            }
        }
        let mut seen: BTreeMap<u64, &Image> = BTreeMap::new();
        for image in &images {
            if let Some(other) = seen.insert(image.id, image) {
                let (a, b, id) = (&other.file_name, &image.file_name, image.id);
                return Err(Error::input(format!("`{a}` and `{b}` share the photo id {id}. Give each its own.")));
            }
        }
        let mut of_image: HashMap<u64, Vec<Annotation>> = HashMap::new();
        let mut strays = Vec::new();
        for annotation in annotations {
            let Annotation { id, image_id, .. } = annotation;
            if seen.contains_key(&image_id) {
                of_image.entry(image_id).or_default().push(annotation);
            } else {
                let message = format!(
                    "Annotation {id} belongs to photo {image_id}, which the file does not list. Add the photo, or remove \
                     the annotation."
                );
                strays.push(Error::input(message).at(path));
            }
        }
        categories.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { images, categories, strays, annotations: of_image, crowds, path: path.to_owned() })
    }

    /// The mask of `category` in `image`: 255 inside any of its annotations, else 0.
    ///
    /// # Errors
    /// [`Error::Input`] naming the annotation that cannot be drawn, or that fits no category or not the photo: such a one
    /// costs all masks of its photo, because nobody knows which of them it belongs to.
    pub fn mask(&self, image: &Image, category: &Category) -> Result<GrayImage> {
        let mut mask = vec![0u8; image.width as usize * image.height as usize];
        let of_image = self.annotations.get(&image.id).map_or(&[][..], Vec::as_slice);
        let counted = || of_image.iter().filter(|annotation| self.crowds || annotation.iscrowd == 0);
        for annotation in counted() {
            self.check(annotation, image).map_err(|error| error.at(&self.path))?;
        }
        for annotation in counted() {
            if annotation.category_id == category.id {
                annotation.paint(image, &mut mask).map_err(|error| {
                    Error::input(format!(
                        "Annotation {} of `{}` cannot be drawn: {error}",
                        annotation.id, image.file_name
                    ))
                    .at(&self.path)
                })?;
            }
        }
        GrayImage::from_raw(image.width, image.height, mask).ok_or_else(|| Error::bug("a mask has not its own size."))
    }

    /// Whether the annotation is of a category that there is, and of the photo's size.
    fn check(&self, annotation: &Annotation, image: &Image) -> Result<()> {
        let Annotation { id, category_id, segmentation, .. } = annotation;
        let name = &image.file_name;
        if !self.categories.iter().any(|category| category.id == *category_id) {
            return Err(Error::input(format!(
                "Annotation {id} of `{name}` has the category {category_id}, which the file does not list. Add the category, \
                 or correct the annotation."
            )));
        }
        match segmentation {
            Outline(Ok(Segmentation::Runs { height, width, .. }))
                if (*height, *width) != (image.height, image.width) =>
            {
                Err(Error::input(format!(
                    "Annotation {id} of `{name}` is a mask of {width} × {height} pixels, but the photo has {} × {}. Export \
                     the annotation again, or annotate the photo as it is.",
                    image.width, image.height
                )))
            }
            _ => Ok(()),
        }
    }
}

impl Annotation {
    fn paint(&self, image: &Image, mask: &mut [u8]) -> Result<()> {
        let (height, width) = (image.height, image.width);
        match &self.segmentation.0 {
            Err(error) => return Err(error.clone()),
            Ok(Segmentation::Polygons(polygons)) => {
                for corners in polygons {
                    RunLengths::polygon(height, width, corners)?.paint(mask);
                }
            }
            Ok(Segmentation::Runs { counts: Counts::Plain(counts), .. }) => {
                RunLengths::new(height, width, counts.clone())?.paint(mask);
            }
            Ok(Segmentation::Runs { counts: Counts::Packed(text), .. }) => {
                RunLengths::unpack(height, width, text)?.paint(mask);
            }
        }
        Ok(())
    }
}

impl Default for Outline {
    fn default() -> Self {
        Self::from(Value::Null)
    }
}

impl From<Value> for Outline {
    fn from(value: Value) -> Self {
        Self(Segmentation::of(&value))
    }
}

impl Segmentation {
    /// From the `segmentation` of an annotation. A list without a polygon stands beside a mere box, as nothing does.
    fn of(value: &Value) -> Result<Self> {
        match value {
            Value::Null => Err(Error::input("it has no outline, only a box. Annotate outlines.")),
            Value::Array(polygons) if polygons.is_empty() => Self::of(&Value::Null),
            Value::Array(polygons) => {
                let corners = |(index, polygon): (usize, &Value)| {
                    let numbers: Option<Vec<f64>> =
                        polygon.as_array().and_then(|list| list.iter().map(Value::as_f64).collect());
                    numbers.ok_or_else(|| damaged(&format!("its polygon {} is no list of numbers", index + 1)))
                };
                Ok(Self::Polygons(polygons.iter().enumerate().map(corners).collect::<Result<_>>()?))
            }
            Value::Object(runs) => {
                let size = match runs.get("size").and_then(Value::as_array).map(Vec::as_slice) {
                    Some([height, width]) => whole(height).zip(whole(width)),
                    _ => None,
                };
                let (height, width) =
                    size.ok_or_else(|| damaged("its `size` is not height and width in whole pixels"))?;
                let counts = match runs.get("counts") {
                    Some(Value::String(text)) => Counts::Packed(text.clone()),
                    Some(Value::Array(list)) => {
                        let count = |(index, count): (usize, &Value)| {
                            whole(count).ok_or_else(|| {
                                damaged(&format!("entry {} of its `counts` is no whole number of pixels", index + 1))
                            })
                        };
                        Counts::Plain(list.iter().enumerate().map(count).collect::<Result<_>>()?)
                    }
                    _ => return Err(damaged("its `counts` are neither a list of numbers nor packed text")),
                };
                Ok(Self::Runs { height, width, counts })
            }
            _ => Err(damaged("its `segmentation` is neither a list of polygons nor a mask of runs")),
        }
    }
}

fn whole(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}

fn damaged(what: &str) -> Error {
    Error::input(format!("{what}. Export the annotation again."))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn file(annotations: &str) -> String {
        format!(
            r#"{{"images": [{{"id": 1, "file_name": "a.jpg", "width": 6, "height": 4}}],
                "categories": [{{"id": 9, "name": "hole"}}, {{"id": 3, "name": "crack"}}], "annotations": [{annotations}]}}"#
        )
    }

    fn refusal(annotations: &str) -> String {
        let masks = CocoMasks::parse(Path::new("coco.json"), &file(annotations), true);
        let outcome = masks.and_then(|masks| {
            masks.strays.first().map_or(Ok(()), |stray| Err(stray.clone()))?;
            for category in &masks.categories {
                masks.mask(&masks.images[0], category)?;
            }
            Ok(())
        });
        outcome.unwrap_err().to_string()
    }

    #[test]
    fn wrong_annotations_are_refused_by_their_id() {
        let square = "[[1,1,3,1,3,3,1,3]]";
        assert!(
            refusal(&format!(r#"{{"id": 77, "image_id": 2, "category_id": 3, "segmentation": {square}}}"#))
                .contains("Annotation 77")
        );
        let unlisted = refusal(&format!(r#"{{"id": 78, "image_id": 1, "category_id": 4, "segmentation": {square}}}"#));
        assert!(unlisted.starts_with("Annotation 78 of `a.jpg` has the category 4,"), "{unlisted}");
        let wrong_size =
            r#"{"id": 79, "image_id": 1, "category_id": 3, "segmentation": {"size": [6, 4], "counts": [24]}}"#;
        assert!(refusal(wrong_size).contains("mask of 4 × 6 pixels"), "{}", refusal(wrong_size));
        let short =
            r#"{"id": 80, "image_id": 1, "category_id": 3, "segmentation": {"size": [4, 6], "counts": [3, 4]}}"#;
        assert!(refusal(short).contains("Annotation 80") && refusal(short).contains("cover 7 pixels"));
        assert!(refusal(r#"{"id": 81, "image_id": 1, "category_id": 3}"#).contains("only a box"));
        assert!(
            refusal(r#"{"id": 82, "image_id": 1, "category_id": 3, "segmentation": [[1, 2]]}"#)
                .contains("Annotation 82")
        );
    }

    #[test]
    fn what_cannot_be_drawn_is_said_in_words_with_file_and_id() {
        for (segmentation, what) in [
            ("null", "only a box. Annotate outlines."),
            ("[]", "only a box. Annotate outlines."),
            ("[[]]", "has 0 numbers"),
            ("7", "neither a list of polygons nor a mask of runs. Export the annotation again."),
            ("[[1,1,3,1,3,3], 4]", "polygon 2 is no list of numbers. Export the annotation again."),
            (r#"[["1","1","3","1","3","3"]]"#, "polygon 1 is no list of numbers"),
            ("[1,1,3,1,3,3]", "polygon 1 is no list of numbers"),
            (r#"{"size": [4, 6], "counts": [4, 8.5, 11.5]}"#, "entry 2 of its `counts` is no whole number"),
            (r#"{"size": [4, 6], "counts": [-4, 8, 20]}"#, "entry 1 of its `counts` is no whole number"),
            (r#"{"size": [4, 6], "counts": [4, 8, 99999999999]}"#, "entry 3 of its `counts`"),
            (r#"{"size": [4, 6]}"#, "neither a list of numbers nor packed text"),
            (r#"{"size": [4, 6], "counts": "~"}"#, "damaged. Export the annotation again."),
            (r#"{"size": [4.5, 6], "counts": [24]}"#, "`size` is not height and width"),
            (r#"{"counts": [24]}"#, "`size` is not height and width"),
        ] {
            let said = refusal(&format!(
                r#"{{"id": 83, "image_id": 1, "category_id": 3, "bbox": [1, 1, 2, 2], "segmentation": {segmentation}}}"#
            ));
            assert!(said.starts_with("Annotation 83 of `a.jpg` cannot be drawn: "), "{segmentation}: {said}");
            assert!(said.contains(what) && said.ends_with("[coco.json]"), "{segmentation}: {said}");
            assert!(!said.contains("untagged"), "{segmentation}: {said}");
        }
    }

    #[test]
    fn a_wrong_annotation_costs_its_own_photo_alone() {
        let text = r#"{"images": [{"id": 1, "file_name": "a.jpg", "width": 6, "height": 4},
                                  {"id": 2, "file_name": "b.jpg", "width": 6, "height": 4},
                                  {"id": 3, "file_name": "c.jpg", "width": 6, "height": 4}],
            "categories": [{"id": 9, "name": "hole"}, {"id": 3, "name": "crack"}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "segmentation": {"size": [6, 4], "counts": [24]}},
                            {"id": 2, "image_id": 2, "category_id": 8, "segmentation": [[1,1,3,1,3,3]]},
                            {"id": 3, "image_id": 4, "category_id": 3, "segmentation": [[1,1,3,1,3,3]]},
                            {"id": 4, "image_id": 3, "category_id": 3, "segmentation": [[1,1,3,1,3,3,1,3]]}]}"#;
        let masks = CocoMasks::parse(Path::new("coco.json"), text, true).unwrap();
        for (image, id) in masks.images.iter().zip(["Annotation 1 ", "Annotation 2 "]) {
            for category in &masks.categories {
                let said = masks.mask(image, category).unwrap_err().to_string();
                assert!(
                    said.contains(id) && said.contains(&image.file_name) && said.ends_with("[coco.json]"),
                    "{said}"
                );
            }
        }
        assert!(masks.mask(&masks.images[2], &masks.categories[0]).unwrap().pixels().any(|pixel| pixel.0[0] > 0));
        let [stray] = &masks.strays[..] else { panic!("{:?}", masks.strays) };
        assert!(stray.to_string().contains("Annotation 3 belongs to photo 4"), "{stray}");
        // Crowds that are left out cannot be wrong.
        let crowd = text.replace(r#""category_id": 8,"#, r#""category_id": 8, "iscrowd": 1,"#);
        let masks = CocoMasks::parse(Path::new("coco.json"), &crowd, false).unwrap();
        assert!(masks.mask(&masks.images[1], &masks.categories[0]).is_ok());
    }

    #[test]
    fn crowds_count_only_when_asked_for() {
        let text = file(
            r#"{"id": 1, "image_id": 1, "category_id": 3, "iscrowd": 1, "segmentation": {"size": [4, 6], "counts": [4, 8, 12]}}"#,
        );
        let area = |crowds| {
            let masks = CocoMasks::parse(Path::new("coco.json"), &text, crowds).unwrap();
            let mask = masks.mask(&masks.images[0], &masks.categories[0]).unwrap();
            mask.pixels().filter(|p| p.0[0] > 0).count()
        };
        assert_eq!((area(true), area(false)), (8, 0));
    }
}
