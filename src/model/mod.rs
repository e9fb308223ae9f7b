//! Networks and what feeds them: weights, configuration, tokenizer, preprocessing, catalogue.

pub mod clip;
pub mod config;
pub mod patch_head;
pub mod positions;
pub mod stem;
pub mod vit;
