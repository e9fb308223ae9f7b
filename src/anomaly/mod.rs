//! From features to a verdict: prompts, text map, comparison with references, fusion, calibration, regions.
//!
//! [`Detector`] makes [`Evidence`] (grid-sized component maps, medium cheap, needs features); [`judge`] turns
//! evidence and recipe into an [`Inspection`] (pure arithmetic, what a slider moves).

pub mod calibrate;
pub mod description;
pub mod detector;
pub mod evidence;
pub mod features;
pub mod foreground;
pub mod grid;
pub mod inspection;
pub mod judge;
pub mod level;
pub mod map;
pub mod memory;
pub mod mutual;
pub mod networks;
pub mod normals;
pub mod prompt;
pub mod region;
pub mod subspace;
pub mod text_map;

pub use calibrate::Calibration;
pub use detector::Detector;
pub use evidence::{Component, Evidence, NearestPatch, PhotoFacts};
pub use features::PhotoFeatures;
pub use inspection::{Inspection, Severity, Verdict};
pub use judge::{Judgement, judge};
pub use map::AnomalyMap;
pub use memory::MemoryBank;
pub use networks::Networks;
pub use normals::Reference;
pub use region::Region;
