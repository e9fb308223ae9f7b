//! The bundled samples for the window: unpacked into the user's data folder, so that they are files like any others.

use crate::Result;
use crate::samples;

pub use crate::samples::Samples;

/// Writes the samples where they can be opened.
pub fn unpack() -> Result<Samples> {
    samples::unpack(&samples::default_dir()?)
}
