//! The one error type, sorted by who can do something about it: the inspector (a file, a value), whoever supplied the
//! model, the machine's graphics device, the file system, or us. A front turns it into an exit status or a toast;
//! nothing below a front prints.

use std::path::{Path, PathBuf};

/// Result of everything fallible in Hairline.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, whose move it is, and the file concerned.
///
/// Messages are whole sentences for people: what, and what to do next. The path comes last.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A photo, recipe, prompt or value that the user gave cannot be used.
    #[error("{}", with_path(message, path.as_deref()))]
    Input { message: String, path: Option<PathBuf> },
    /// A model folder is incomplete, damaged or of an unknown kind.
    #[error("{}", with_path(message, path.as_deref()))]
    Model { message: String, path: Option<PathBuf> },
    /// The compute device is missing, was lost, or refused work.
    #[error("{message}")]
    Device { message: String },
    /// The operating system refused a read or a write.
    #[error("{}", with_path(message, path.as_deref()))]
    Io { message: String, path: Option<PathBuf> },
    /// The user stopped the job.
    #[error("Stopped on request.")]
    Cancelled,
    /// A broken promise of our own code.
    #[error("Internal error: {message} Please report it with the steps that led here.")]
    Bug { message: String },
}

fn with_path(message: &str, path: Option<&Path>) -> String {
    match path {
        Some(path) => format!("{message} [{}]", path.display()),
        None => message.to_owned(),
    }
}

impl Error {
    /// An [`Error::Input`] without a file.
    pub fn input(message: impl Into<String>) -> Self {
        Self::Input { message: message.into(), path: None }
    }

    /// An [`Error::Model`] without a file.
    pub fn model(message: impl Into<String>) -> Self {
        Self::Model { message: message.into(), path: None }
    }

    /// An [`Error::Device`].
    pub fn device(message: impl Into<String>) -> Self {
        Self::Device { message: message.into() }
    }

    /// An [`Error::Bug`]; the message ends with a full stop.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::Bug { message: message.into() }
    }

    /// An [`Error::Io`] for a failed operation on `path`, e.g. `Error::io("Cannot write the report", path, &source)`.
    pub fn io(what: &str, path: impl Into<PathBuf>, source: &std::io::Error) -> Self {
        let path = path.into();
        let remedy = match source.kind() {
            std::io::ErrorKind::NotFound => " Check the spelling of the path.".to_owned(),
            std::io::ErrorKind::PermissionDenied => " Check the permissions, or choose another folder.".to_owned(),
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                " Free some space, or choose another disk.".to_owned()
            }
            std::io::ErrorKind::ReadOnlyFilesystem => " Choose a folder on a disk that can be written to.".to_owned(),
            std::io::ErrorKind::NotADirectory => {
                let in_the_way = path.ancestors().skip(1).find(|above| above.exists() && !above.is_dir());
                in_the_way
                    .map_or_else(String::new, |file| format!(" `{}` is a file: choose another folder.", file.display()))
            }
            _ => String::new(),
        };
        Self::Io { message: format!("{what}: {source}.{remedy}"), path: Some(path) }
    }

    /// The same error with the file it concerns, unless one is named already.
    #[must_use]
    pub fn at(mut self, file: impl AsRef<Path>) -> Self {
        if let Self::Input { path, .. } | Self::Model { path, .. } | Self::Io { path, .. } = &mut self {
            path.get_or_insert_with(|| file.as_ref().to_owned());
        }
        self
    }

    /// Exit status of the command line: 1 the user's input, 3 internal (2, usage, is clap's own).
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Input { .. } | Self::Model { .. } | Self::Io { .. } | Self::Cancelled => 1,
            Self::Device { .. } | Self::Bug { .. } => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_comes_last_and_is_not_overwritten() {
        let error = Error::input("The photo is empty (0 bytes). Export it again.").at("a/b.png").at("other.png");
        assert_eq!(error.to_string(), "The photo is empty (0 bytes). Export it again. [a/b.png]");
    }

    #[test]
    fn a_file_in_the_place_of_a_folder_is_named() {
        let source = std::io::Error::from(std::io::ErrorKind::NotADirectory);
        let said =
            Error::io("Cannot create the folder", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml/a/b"), &source);
        assert!(said.to_string().contains("Cargo.toml` is a file: choose another folder. ["), "{said}");
    }

    #[test]
    fn exit_statuses_tell_the_user_from_us() {
        assert_eq!(Error::input("x").exit_status(), 1);
        assert_eq!(Error::bug("x.").exit_status(), 3);
    }
}
