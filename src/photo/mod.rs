//! From a file to pixels: formats, EXIF orientation, 16 bit, size limits; and what can be said of a photo without a
//! network. What a network wants of the pixels is `model::preprocess`'s business.

mod decode;
mod find;
mod quality;

pub use decode::{MAX_PIXELS, Photo, hex, thumbnail};
pub use find::{EXTENSIONS, Failure, find_photos};
pub use quality::{Quality, QualityCheck, QualityLimits, QualityProblem, quality};
