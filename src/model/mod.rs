//! Networks and what feeds them: weights, configuration, tokenizer, preprocessing, catalogue. The rest of the program
//! uses [`ClipModel`]; only this module knows the names of weights.

pub mod catalog;
pub mod clip;
mod clip_model;
pub mod config;
pub mod features;
pub mod hub;
mod names;
pub mod open_clip;
pub mod patch_head;
mod pocket;
pub mod positions;
pub mod preprocess;
pub mod resample;
pub mod source;
pub mod stem;
pub mod tokenizer;
pub mod vit;
pub mod weights;

pub use clip_model::ClipModel;
pub use features::{LayerFeatures, VisionFeatures, Want};
pub use preprocess::{Geometry, PreparedImage};
pub use source::{ModelInfo, ModelSource, folder_of, models_dir};
