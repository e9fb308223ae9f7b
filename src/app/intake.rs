//! What was dropped or opened, understood: photos, and in a folder of the MVTec-AD layout their true classes. There the
//! test photos go on the bench, the photos of normal parts are references, and masks are neither.

use std::path::{Path, PathBuf};

use super::background::Purpose;
use super::labels::Label;
use super::state::photos;
use crate::count::count;
use crate::dataset::mvtec::{Role, role};
use crate::photo::{Failure, find_photos};

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    pub photos: Vec<PathBuf>,
    /// True classes by the folders of a dataset.
    pub labels: Vec<(PathBuf, Label)>,
    /// Photos of normal parts that were left out.
    pub train: usize,
    /// Test photos that were left out.
    pub test: usize,
    /// Masks that were left out.
    pub masks: usize,
    pub failures: Vec<Failure>,
}

impl Found {
    /// Looks through files and folders, at any depth.
    pub fn among(given: &[PathBuf], purpose: Purpose) -> Self {
        let (paths, failures) = find_photos(given, true);
        let mut found = Self { failures, ..Self::default() };
        for path in paths {
            match (role(&path), purpose) {
                // Whoever names the folder, or the file, wants what is in it.
                (Some(Role::Mask), _) if !meant(given, &path) => found.masks += 1,
                (Some(Role::Train), Purpose::Photos) if !meant(given, &path) => found.train += 1,
                (Some(Role::Test(_)), Purpose::References) if !meant(given, &path) => found.test += 1,
                (Some(Role::Train), Purpose::Photos) => found.keep(path, Some("good".to_owned())),
                (Some(Role::Test(kind)), Purpose::Photos) => found.keep(path, Some(kind)),
                _ => found.keep(path, None),
            }
        }
        found
    }

    fn keep(&mut self, path: PathBuf, label: Option<String>) {
        if let Some(label) = label {
            self.labels.push((path.clone(), Label::from(label)));
        }
        self.photos.push(path);
    }

    /// One sentence about what was left out; nothing if nothing was.
    pub fn left_out(&self) -> Option<String> {
        let mut parts = Vec::new();
        if self.train > 0 {
            parts.push(format!("{} of train/good (drop that folder on the references)", photos(self.train)));
        }
        if self.test > 0 {
            parts.push(format!("{} of test", photos(self.test)));
        }
        if self.masks > 0 {
            parts.push(count(self.masks, "mask", "masks"));
        }
        (!parts.is_empty()).then(|| format!("Left out: {}.", parts.join(", ")))
    }
}

/// The file, or a folder inside its part of the dataset, was named itself.
fn meant(given: &[PathBuf], path: &Path) -> bool {
    let part = path.parent().and_then(Path::parent);
    part.is_some_and(|part| given.iter().any(|given| path.starts_with(given) && given.starts_with(part)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testing::photo;

    #[test]
    fn a_dataset_gives_test_photos_with_labels_and_references_from_train() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = dir.path().join("ring");
        for (folder, name) in [
            ("train/good", "1.png"),
            ("test/good", "2.png"),
            ("test/crack", "3.png"),
            ("ground_truth/crack", "3_mask.png"),
        ] {
            let folder = root.join(folder);
            std::fs::create_dir_all(&folder).expect("a folder");
            photo(&folder, name);
        }
        let found = Found::among(&[dir.path().to_owned()], Purpose::Photos);
        let labels: Vec<&str> = found.labels.iter().map(|(_, label)| &**label).collect();
        assert_eq!((found.photos.len(), labels), (2, vec!["crack", "good"]));
        let said = found.left_out().expect("something was");
        assert!(said.contains("1 photo of train/good") && said.contains("1 mask"), "{said}");

        let named = Found::among(&[root.join("train")], Purpose::Photos);
        assert_eq!((named.photos.len(), named.labels.len(), named.left_out()), (1, 1, None));
        let references = Found::among(&[root], Purpose::References);
        assert_eq!((references.photos.len(), references.test, references.masks), (1, 2, 1));
    }

    #[test]
    fn other_folders_are_taken_as_they_are() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        photo(dir.path(), "a.png");
        let found = Found::among(&[dir.path().to_owned()], Purpose::Photos);
        assert_eq!((found.photos.len(), found.labels.len(), found.left_out()), (1, 0, None));
    }
}
