//! Writes the true class of photos as a CSV file with the columns `path` and `label`, which [`super::labels`] reads again.
//! Photos below the file get relative paths, so that a folder can be moved with its labels.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::report::write_file;

/// Writes paths and labels; photos in or below the file's folder get a relative path.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn write(path: &Path, labels: &[(PathBuf, String)]) -> Result<PathBuf> {
    let folder = path.parent().unwrap_or(Path::new(""));
    write_file(path, |out| {
        let mut table = csv::Writer::from_writer(out);
        table.write_record(["path", "label"])?;
        for (photo, label) in labels {
            let photo = photo.strip_prefix(folder).unwrap_or(photo);
            table.write_record([photo.to_string_lossy().as_ref(), label])?;
        }
        table.flush()
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use crate::app::testing::photo;
    use crate::dataset::labels::from_csv;

    #[test]
    fn labels_survive_their_file_and_move_with_the_folder() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = dir.path().join("labels.csv");
        let rows = vec![
            (photo(dir.path(), "größe, 1.png"), "crack \"deep\"".to_owned()),
            (photo(other.path(), "b.png"), "good".to_owned()),
        ];
        write(&path, &rows).unwrap();
        let read: Vec<_> =
            from_csv(&path, dir.path()).unwrap().into_iter().map(|photo| (photo.path, photo.label.unwrap())).collect();
        assert_eq!(read, rows);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("path,label\n\"größe, 1.png\","), "{text}");
    }
}
