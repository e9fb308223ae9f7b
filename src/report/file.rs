//! Writing files so that a reader never sees half of one: into a temporary file beside the target, then renamed.
//! Every error names the path and what to do.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Creates a folder for results, with its parents.
///
/// # Errors
/// [`Error::Io`] naming the folder, also where a file stands in its place.
pub fn create_folder(dir: &Path) -> Result<()> {
    if dir.exists() && !dir.is_dir() {
        return Err(
            Error::input("The output folder cannot be created: a file has that name. Choose another --out.").at(dir)
        );
    }
    // Parents are made as well, so one that is missing is no misspelling: nothing can be made there, as in /proc.
    std::fs::create_dir_all(dir).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::Io {
            message: format!("Cannot create the output folder: {e}. Choose another folder."),
            path: Some(dir.to_owned()),
        },
        _ => Error::io("Cannot create the output folder", dir, &e),
    })
}

/// Writes `path` through `body`; the file appears whole or not at all. A link stays one: what it leads to is written.
///
/// # Errors
/// [`Error::Io`] naming `path`; an error of `body` that is no I/O error passes through as one. [`Error::Input`] where a
/// folder, a device or a pipe has that name, which renaming would replace.
pub fn write_file(path: &Path, body: impl FnOnce(&mut (dyn Write + Send)) -> std::io::Result<()>) -> Result<PathBuf> {
    let failed = |e: &std::io::Error| Error::io("Cannot write the file", path, e);
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if target.exists() && !target.is_file() {
        return Err(Error::input(
            "The file cannot be written: a folder, a device or a pipe has that name. Choose another name.",
        )
        .at(path));
    }
    let dir = target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".hairline-").suffix(".part").tempfile_in(dir).map_err(|e| {
        // The kind alone: the error itself names the temporary file, which nobody has heard of.
        match e.kind() {
            std::io::ErrorKind::NotFound if dir.is_dir() => Error::Io {
                message: "Cannot write the file: no file can be made there. Choose another folder.".to_owned(),
                path: Some(path.to_owned()),
            },
            kind => failed(&kind.into()),
        }
    })?;
    {
        let mut writer = BufWriter::with_capacity(1 << 16, file.as_file_mut());
        body(&mut writer).and_then(|()| writer.flush()).map_err(|e| failed(&e))?;
    }
    open_to_readers(&file).map_err(|e| failed(&e))?;
    file.persist(&target).map_err(|e| failed(&e.error))?;
    Ok(path.to_owned())
}

/// Temporary files are private to their owner; results get the usual permissions.
#[cfg(unix)]
fn open_to_readers(file: &tempfile::NamedTempFile) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn open_to_readers(_file: &tempfile::NamedTempFile) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_litter() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.txt");
        write_file(&path, |w| w.write_all(b"old")).unwrap();
        let error = write_file(&path, |w| {
            w.write_all(b"half of the n")?;
            Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
        })
        .unwrap_err()
        .to_string();
        assert!(error.contains("report.txt") && error.contains("Free some space"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_not_replaced_and_a_link_stays_one() {
        let dir = tempfile::tempdir().unwrap();
        let error = write_file(dir.path(), |w| w.write_all(b"x")).unwrap_err().to_string();
        assert!(error.contains("has that name"), "{error}");
        let device = Path::new("/dev/null");
        assert!(write_file(device, |w| w.write_all(b"x")).is_err() && !device.is_file());

        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        write_file(&file, |w| w.write_all(b"old")).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_file(&link, |w| w.write_all(b"new")).unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn where_nothing_can_be_made_another_folder_is_advised() {
        let absent = tempfile::tempdir().unwrap().path().join("absent/report.txt");
        for (error, words) in [
            (write_file(Path::new("/proc/report.txt"), |_| Ok(())).unwrap_err(), "Choose another folder. [/proc/"),
            (create_folder(Path::new("/proc/out")).unwrap_err(), "Choose another folder. [/proc/out]"),
            (write_file(&absent, |_| Ok(())).unwrap_err(), "Check the spelling of the path. ["),
        ] {
            let said = error.to_string();
            assert!(said.contains(words) && !said.contains(".part") && !said.contains("at path"), "{said}");
        }
    }

    #[test]
    fn a_file_in_place_of_the_folder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        std::fs::write(&path, "x").unwrap();
        let error = create_folder(&path).unwrap_err();
        assert_eq!(error.exit_status(), 1);
        assert!(error.to_string().contains("a file has that name"), "{error}");
    }
}
