//! Photos among the paths that a user gave: files as they are, folders by the extensions of their files. Nothing is
//! opened here, so a file with a wrong extension is noticed when it is decoded.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::ser::SerializeStruct;

use crate::Error;

/// Extensions of photos in folders, lower case.
pub const EXTENSIONS: [&str; 12] =
    ["png", "jpg", "jpeg", "jpe", "bmp", "tif", "tiff", "webp", "gif", "pnm", "ppm", "pgm"];

/// A file that could not be used, while the rest of the batch went on.
#[derive(Clone, Debug)]
pub struct Failure {
    pub path: PathBuf,
    pub error: Error,
}

impl Serialize for Failure {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Failure", 2)?;
        object.serialize_field("path", &self.path.to_string_lossy())?;
        object.serialize_field("error", &self.error.to_string())?;
        object.end()
    }
}

/// The photos of `paths`, sorted and each once, and what could not be looked into.
///
/// A file is taken whatever its name; of a folder the files with one of [`EXTENSIONS`], hidden ones left out, with
/// `recursive` those of its sub-folders too (links to folders are not followed, so there are no circles). A folder without
/// photos is a failure, because it is surely a mistake.
pub fn find_photos(paths: &[PathBuf], recursive: bool) -> (Vec<PathBuf>, Vec<Failure>) {
    let (mut photos, mut failures) = (BTreeSet::new(), Vec::new());
    for path in paths {
        match std::fs::metadata(path) {
            Ok(kind) if kind.is_dir() => {
                let mut found = Vec::new();
                let before = failures.len();
                list(path, recursive, &mut found, &mut failures);
                if found.is_empty() && failures.len() == before {
                    let below = if recursive { "" } else { " Sub-folders are not searched." };
                    let message = format!("The folder has no photos ({}).{below}", EXTENSIONS.join(", "));
                    failures.push(Failure { path: path.clone(), error: Error::input(message).at(path) });
                }
                photos.extend(found);
            }
            Ok(_) => {
                photos.insert(path.clone());
            }
            Err(error) => {
                failures.push(Failure { path: path.clone(), error: Error::io("Cannot find the photo", path, &error) });
            }
        }
    }
    (photos.into_iter().collect(), failures)
}

fn list(folder: &Path, recursive: bool, found: &mut Vec<PathBuf>, failures: &mut Vec<Failure>) {
    let mut fail = |error: &std::io::Error| {
        failures
            .push(Failure { path: folder.to_owned(), error: Error::io("Cannot look into the folder", folder, error) });
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return fail(&error),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let (path, kind) = match entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))) {
            Ok(both) => both,
            Err(error) => {
                fail(&error);
                continue;
            }
        };
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        if kind.is_dir() {
            folders.push(path);
        } else if is_photo_name(&path) && path.is_file() {
            found.push(path);
        }
    }
    if recursive {
        for folder in folders {
            list(&folder, recursive, found, failures);
        }
    }
}

fn is_photo_name(path: &Path) -> bool {
    path.extension().is_some_and(|extension| EXTENSIONS.contains(&extension.to_string_lossy().to_lowercase().as_str()))
}
