//! Procedural parts with defects and exact ground truth: several surfaces and outlines, light, pose, print and camera,
//! eleven kinds of defect, and words for each. It trains and validates the embedded model and makes datasets to try
//! things on; it does not imitate any real product.

pub mod camera;
pub mod canvas;
pub mod chance;
pub mod defect;
pub mod folder;
pub mod material;
pub mod product;
pub mod shape;
pub mod words;

pub use defect::DefectKind;
pub use folder::{SynthOptions, SynthSummary, write_dataset};
pub use product::{Outlines, Product, Sample};
