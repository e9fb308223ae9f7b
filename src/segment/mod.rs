//! Segmentation by words or by an example picture: from a CLIPSeg model and a photo to maps, masks and regions at photo
//! size, and how well they meet the truth. Training is `train`'s business, files `report`'s.

pub mod evaluate;
pub mod guided;
pub mod predict;

pub use evaluate::{Evaluation, PhotoOverlap, evaluate};
pub use predict::{Layer, SegmentOptions, probabilities, segment, sharpened};
