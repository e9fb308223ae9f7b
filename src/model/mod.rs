//! Networks and what feeds them: weights, configuration, tokenizer, preprocessing, catalogue. The rest of the program
//! uses [`Backbone`] for photos and [`ClipModel`] where texts are needed too; only this module knows the names of
//! weights.

mod backbone;
pub mod catalog;
pub mod clip;
mod clip_model;
pub mod clipseg;
mod clipseg_model;
pub mod config;
pub mod dinov2;
pub mod features;
mod fingerprint;
pub mod hub;
pub mod layer_norm;
mod names;
pub mod open_clip;
mod passes;
mod patch_grid;
pub mod patch_head;
mod pocket;
pub mod positions;
pub mod preprocess;
mod pyramid;
pub mod resample;
pub mod source;
pub mod stem;
pub mod timm;
pub mod tokenizer;
pub mod vision_transformer;
pub mod vit;
mod vit_model;
pub mod weights;

pub use backbone::Backbone;
pub use clip_model::ClipModel;
pub use clipseg_model::{ClipSegModel, ProbabilityMap};
pub use features::{LayerFeatures, VisionFeatures, Want};
pub use preprocess::{Geometry, PreparedImage};
pub use source::{ModelInfo, ModelKind, ModelSource, POCKET, POCKET_SEG, folder_of, models_dir};
pub use vit_model::VitModel;
