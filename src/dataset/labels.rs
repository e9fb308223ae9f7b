//! Which photo is of which class, as somebody wrote it down: by class folders, in a CSV table, or in a COCO file. Lists
//! paths, labels and groups; photos are opened by whoever needs them.

use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use crate::photo::{Failure, find_photos};
use crate::{Error, Result};

/// A photo with what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledPhoto {
    pub path: PathBuf,
    /// Its class, where it is known.
    pub label: Option<String>,
    /// Name of what it belongs to (a part, a batch); photos of one group stay together in cross-validation.
    pub group: Option<String>,
}

/// The photos of a folder.
#[derive(Clone, Debug, Default)]
pub struct FolderLabels {
    /// Sorted by path.
    pub photos: Vec<LabelledPhoto>,
    /// Sub-folders whose name is no label, relative to the root, with their number of photos.
    pub other_folders: BTreeMap<PathBuf, usize>,
    /// What could not be looked into.
    pub failures: Vec<Failure>,
}

/// Labels by folder. With `labels`, a photo is of the class of the nearest folder above it (below `root`) that has the
/// label's name, case, spaces, `_` and `-` aside; without, of the first folder below `root`. The group is the folder
/// between class and photo, where there is one.
pub fn from_folders(root: &Path, labels: Option<&[String]>) -> FolderLabels {
    let (found, failures) = find_photos(&[root.to_owned()], true);
    let mut result = FolderLabels { failures, ..FolderLabels::default() };
    for path in found {
        let folders: Vec<String> = path
            .strip_prefix(root)
            .ok()
            .and_then(Path::parent)
            .map(|below| below.components().map(|c| c.as_os_str().to_string_lossy().into_owned()).collect())
            .unwrap_or_default();
        let at = match labels {
            Some(labels) => {
                let of = |folder: &String| labels.iter().find(|label| same_name(label, folder));
                folders.iter().enumerate().rev().find_map(|(at, folder)| Some((at, of(folder)?.clone())))
            }
            None => folders.first().map(|folder| (0, folder.clone())),
        };
        if at.is_none() && !folders.is_empty() {
            *result.other_folders.entry(folders.iter().collect()).or_default() += 1;
        }
        let group = at.as_ref().and_then(|(at, label)| {
            let rest = &folders[at + 1..];
            (!rest.is_empty()).then(|| format!("{label}/{}", rest.join("/")))
        });
        result.photos.push(LabelledPhoto { path, label: at.map(|(_, label)| label), group });
    }
    result
}

/// Whether a folder means a label: equal but for case and for spaces, `_` and `-`.
pub fn same_name(label: &str, folder: &str) -> bool {
    let plain = |name: &str| name.to_lowercase().replace(['_', '-'], " ");
    plain(label) == plain(folder)
}

/// Labels of a file: `.json` is read as COCO, anything else as CSV.
///
/// # Errors
/// As [`from_csv`] and [`from_coco`].
pub fn from_file(file: &Path, root: &Path) -> Result<Vec<LabelledPhoto>> {
    if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        from_coco(file, root)
    } else {
        from_csv(file, root)
    }
}

/// Gives photos the labels and groups that a file gives them, found by path; the others keep none.
pub fn apply(photos: &mut [LabelledPhoto], given: &[LabelledPhoto]) {
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let known: HashMap<PathBuf, &LabelledPhoto> = given.iter().map(|photo| (whole(&photo.path), photo)).collect();
    for photo in photos {
        let found = known.get(&whole(&photo.path));
        photo.label = found.and_then(|found| found.label.clone());
        photo.group = found.and_then(|found| found.group.clone());
    }
}

/// Labels of a CSV table with the columns `path` and `label` and perhaps `group`, in any order; others are ignored, and an
/// empty label means unknown. Paths that are not absolute are looked for below `root`, then beside the file.
///
/// # Errors
/// [`Error::Input`] naming the file: a column that is missing, a row that cannot be read or names no photo (with its line),
/// a photo twice with different labels.
pub fn from_csv(file: &Path, root: &Path) -> Result<Vec<LabelledPhoto>> {
    let wrong = |message: String| Error::input(message).at(file);
    let bytes = std::fs::read(file).map_err(|e| Error::io("Cannot read the table of labels", file, &e))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut table = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let header =
        table.headers().map_err(|e| wrong(format!("The table cannot be read ({e}). Save it as CSV.")))?.clone();
    let column = |name: &str| header.iter().position(|column| column.eq_ignore_ascii_case(name));
    let needed = |name: &str| {
        let there: Vec<&str> = header.iter().collect();
        column(name).ok_or_else(|| {
            wrong(format!("The table has no column `{name}` (it has: {}). Add it to the first line.", there.join(", ")))
        })
    };
    let (path_at, label_at, group_at) = (needed("path")?, needed("label")?, column("group"));
    let beside = file.parent().unwrap_or(Path::new("."));
    let mut photos = Vec::new();
    for record in table.records() {
        let record = record.map_err(|e| wrong(format!("The table cannot be read ({e}). Correct that line.")))?;
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |at: usize| record.get(at).filter(|cell| !cell.is_empty()).map(str::to_owned);
        let name = cell(path_at).ok_or_else(|| wrong(format!("Line {line} names no photo. Fill in its `path`.")))?;
        let path = located(Path::new(&name), root, beside).ok_or_else(|| {
            wrong(format!("Line {line}: there is no photo `{name}`. Correct the path, or leave the line out."))
        })?;
        photos.push((line, LabelledPhoto { path, label: cell(label_at), group: group_at.and_then(cell) }));
    }
    let mut seen: HashMap<PathBuf, (u64, Option<String>)> = HashMap::new();
    for (line, photo) in &photos {
        let (first, label) = seen.entry(photo.path.clone()).or_insert_with(|| (*line, photo.label.clone()));
        if *label != photo.label {
            return Err(wrong(format!(
                "Lines {first} and {line} give the photo {} different labels. Leave one out.",
                photo.path.display()
            )));
        }
    }
    Ok(photos.into_iter().map(|(_, photo)| photo).collect())
}

/// The photo of this name: as it stands where it is absolute, else below `root` or beside the file that names it.
fn located(name: &Path, root: &Path, beside: &Path) -> Option<PathBuf> {
    let places = if name.is_absolute() {
        vec![name.to_owned()]
    } else {
        vec![root.join(name), beside.join(name), name.to_owned()]
    };
    places.into_iter().find(|place| place.is_file()).map(|place| tidy(&place))
}

/// The path without `.` components, which compare as different otherwise.
fn tidy(path: &Path) -> PathBuf {
    path.components().filter(|component| *component != Component::CurDir).collect()
}

#[derive(Deserialize)]
struct CocoFile {
    images: Vec<CocoImage>,
    #[serde(default)]
    annotations: Vec<CocoAnnotation>,
    categories: Vec<CocoCategory>,
}

#[derive(Deserialize)]
struct CocoImage {
    id: u64,
    file_name: String,
    category_id: Option<u64>,
}

#[derive(Deserialize)]
struct CocoAnnotation {
    image_id: u64,
    category_id: u64,
    area: Option<f64>,
    bbox: Option<[f64; 4]>,
}

#[derive(Deserialize)]
struct CocoCategory {
    id: u64,
    name: String,
}

/// Labels of a COCO file: an image's own `category_id` where it has one, else the category that covers most of it
/// (the sum of `area`, or of the boxes' areas). An image without annotations has no label. Paths as in [`from_csv`].
///
/// # Errors
/// [`Error::Input`] naming the file: no COCO, a category or image that is not listed, a photo that is not there.
pub fn from_coco(file: &Path, root: &Path) -> Result<Vec<LabelledPhoto>> {
    let wrong = |message: String| Error::input(message).at(file);
    let bytes = std::fs::read(file).map_err(|e| Error::io("Cannot read the COCO file", file, &e))?;
    let coco: CocoFile = serde_json::from_slice(&bytes).map_err(|e| {
        wrong(format!("This is no COCO file ({e}). It needs `images`, `annotations` and `categories`."))
    })?;
    let names: HashMap<u64, &str> =
        coco.categories.iter().map(|category| (category.id, category.name.as_str())).collect();
    let name = |id: u64, what: &str| {
        names
            .get(&id)
            .copied()
            .ok_or_else(|| wrong(format!("{what} is of category {id}, which is not in `categories`.")))
    };
    let mut areas: HashMap<u64, BTreeMap<u64, f64>> =
        coco.images.iter().map(|image| (image.id, BTreeMap::new())).collect();
    for (at, annotation) in coco.annotations.iter().enumerate() {
        name(annotation.category_id, &format!("Annotation number {}", at + 1))?;
        let of_image = areas.get_mut(&annotation.image_id).ok_or_else(|| {
            wrong(format!(
                "Annotation number {} is of image {}, which is not in `images`.",
                at + 1,
                annotation.image_id
            ))
        })?;
        let area = annotation.area.or(annotation.bbox.map(|[_, _, width, height]| width * height)).unwrap_or(1.0);
        *of_image.entry(annotation.category_id).or_default() += area;
    }
    let beside = file.parent().unwrap_or(Path::new("."));
    let mut photos = Vec::new();
    for image in &coco.images {
        // Of equal areas the lower id, because the map is sorted and only a larger one replaces it.
        let largest = areas[&image.id]
            .iter()
            .fold(None, |best: Option<(u64, f64)>, (&id, &area)| match best {
                Some((_, most)) if area <= most => best,
                _ => Some((id, area)),
            })
            .map(|(id, _)| id);
        let label = image
            .category_id
            .or(largest)
            .map(|id| name(id, &format!("The image {}", image.file_name)).map(str::to_owned))
            .transpose()?;
        let path = located(Path::new(&image.file_name), root, beside).ok_or_else(|| {
            wrong(format!("There is no photo `{}` below {} or beside the file.", image.file_name, root.display()))
        })?;
        photos.push(LabelledPhoto { path, label, group: None });
    }
    Ok(photos)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    /// A folder with these (empty) files.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        dir
    }

    fn pairs<'a>(photos: &'a [LabelledPhoto], root: &Path) -> Vec<(String, Option<&'a str>, Option<&'a str>)> {
        let short = |path: &Path| path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        photos.iter().map(|p| (short(&p.path), p.label.as_deref(), p.group.as_deref())).collect()
    }

    #[test]
    fn folders_are_labels_where_they_have_their_names() {
        let dir = folder(&["good/1.png", "Cut-Edge/part 7/2.png", "odd/3.png", "4.png", "test/good/5.png"]);
        let labels = ["good".to_owned(), "cut_edge".to_owned()];
        let found = from_folders(dir.path(), Some(&labels));
        assert_eq!(
            pairs(&found.photos, dir.path()),
            [
                ("4.png".into(), None, None),
                ("Cut-Edge/part 7/2.png".into(), Some("cut_edge"), Some("cut_edge/part 7")),
                ("good/1.png".into(), Some("good"), None),
                ("odd/3.png".into(), None, None),
                ("test/good/5.png".into(), Some("good"), None),
            ]
        );
        assert_eq!(found.other_folders.into_iter().collect::<Vec<_>>(), [(PathBuf::from("odd"), 1)]);
        let all = from_folders(dir.path(), None);
        assert_eq!(pairs(&all.photos, dir.path())[4].1, Some("test"));
    }

    #[test]
    fn a_table_gives_labels_and_groups_and_its_errors_name_the_line() {
        let dir = folder(&["a.png", "sub/b.png"]);
        let table = dir.path().join("labels.csv");
        std::fs::write(&table, "\u{feff}Group, path ,label\np1,a.png,good\np2,./sub/b.png,\n").unwrap();
        let photos = from_csv(&table, dir.path()).unwrap();
        assert_eq!(
            pairs(&photos, dir.path()),
            [("a.png".into(), Some("good"), Some("p1")), ("sub/b.png".into(), None, Some("p2"))]
        );
        let mut found = from_folders(dir.path(), None).photos;
        apply(&mut found, &photos);
        assert_eq!(pairs(&found, dir.path())[0], ("a.png".into(), Some("good"), Some("p1")));
        for (text, said) in [
            ("path,class\na.png,good\n", "no column `label` (it has: path, class)"),
            ("path,label\na.png,good\nz.png,good\n", "Line 3: there is no photo `z.png`"),
            ("path,label\n,good\n", "Line 2 names no photo"),
            ("path,label\na.png,good\na.png,bad\n", "Lines 2 and 3"),
            ("path,label\na.png\n", "Correct that line"),
        ] {
            std::fs::write(&table, text).unwrap();
            let error = from_csv(&table, dir.path()).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains("labels.csv"), "{error}");
        }
    }

    #[test]
    fn a_coco_file_gives_the_category_that_covers_most() {
        let dir = folder(&["a.png", "b.png", "c.png"]);
        let file = dir.path().join("coco.json");
        let json = r#"{"images": [{"id": 1, "file_name": "a.png", "width": 9, "height": 9}, {"id": 2, "file_name": "b.png"},
            {"id": 3, "file_name": "c.png", "category_id": 5}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 5, "area": 4}, {"id": 2, "image_id": 1, "category_id": 6, "bbox": [0, 0, 2, 3]}],
            "categories": [{"id": 5, "name": "hole"}, {"id": 6, "name": "crack"}]}"#;
        std::fs::write(&file, json).unwrap();
        let labels: Vec<_> = from_file(&file, dir.path()).unwrap().into_iter().map(|photo| photo.label).collect();
        assert_eq!(labels, [Some("crack".into()), None, Some("hole".into())]);
        for (from, to, said) in [
            (r#""category_id": 6"#, r#""category_id": 7"#, "category 7"),
            (r#""image_id": 1"#, r#""image_id": 8"#, "image 8"),
            ("c.png", "z.png", "no photo `z.png`"),
            ("\"images\"", "\"pictures\"", "no COCO file"),
        ] {
            std::fs::write(&file, json.replace(from, to)).unwrap();
            let error = from_coco(&file, dir.path()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
