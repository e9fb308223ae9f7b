//! What all requests share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::admission::Places;
use super::auth::Guard;
use super::batcher::Batcher;
use super::body::BodyLimits;
use super::inspector::{Identity, Inspector};
use super::metrics::Metrics;
use super::recorder::Recorder;
use crate::Recipe;

/// Bounds of what a server takes on.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes and times of a body.
    pub body: BodyLimits,
    /// Pixels of a photo at most; asked of its header before anything is decoded.
    pub pixels: u64,
    /// Requests with work in hand at most.
    pub places: usize,
    /// Time from the last byte of a request to its answer.
    pub work: Duration,
    /// Time that accepted work gets after the server was told to stop.
    pub farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: BodyLimits { bytes: 32 << 20, pause: Duration::from_secs(10), whole: Duration::from_mins(1) },
            pixels: 50_000_000,
            places: 64,
            work: Duration::from_mins(1),
            farewell: Duration::from_mins(1),
        }
    }
}

/// The state of a server.
#[derive(Debug)]
pub struct App {
    pub limits: Limits,
    pub places: Arc<Places>,
    pub guard: Guard,
    pub metrics: Arc<Metrics>,
    pub uploads: Uploads,
    /// The server's recipe.
    pub recipe: Arc<Recipe>,
    pub identity: Identity,
    pub recorder: Option<Recorder>,
    pub inspector: Inspector,
    pub batcher: Batcher,
    /// The model of `/segment`.
    pub segment_model: String,
}

/// The folder of the files in hand; removed with all that is in it when the server ends.
#[derive(Debug)]
pub struct Uploads(TempDir);

impl Uploads {
    pub fn new() -> crate::Result<Self> {
        let folder: PathBuf = std::env::temp_dir();
        tempfile::Builder::new()
            .prefix("hairline-serve-")
            .tempdir()
            .map(Self)
            .map_err(|e| crate::Error::io("Cannot create a folder for uploads", folder, &e))
    }

    /// A new file, named by chance.
    pub fn new_file(&self) -> std::io::Result<tempfile::NamedTempFile> {
        tempfile::NamedTempFile::new_in(self.0.path())
    }
}
