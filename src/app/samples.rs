//! The bundled samples for the window: unpacked into the user's data folder, so that they are files like any others.

use std::path::PathBuf;

use crate::{Error, Result};

/// What to put on the bench.
#[derive(Clone, Debug)]
pub struct Samples {
    pub object: String,
    pub photos: Vec<PathBuf>,
    pub references: Vec<PathBuf>,
}

/// Writes the samples where they can be opened.
pub fn unpack() -> Result<Samples> {
    Err(Error::input("This build carries no samples. Drop photos of your own."))
}
