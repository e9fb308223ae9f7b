//! How long a training will take, from paces measured beforehand.

/// What a run will take, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// Before the first epoch.
    pub reading: f64,
    pub epoch: f64,
    /// All of it, if no early stop ends it.
    pub total: f64,
}

impl Forecast {
    /// So many epochs after what comes before them.
    pub fn new(reading: f64, epoch: f64, epochs: usize) -> Self {
        Self { reading, epoch, total: reading + epoch * epochs as f64 }
    }
}
