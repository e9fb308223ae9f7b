//! Training loops in burn.

pub mod adamw;
pub mod average;
pub mod checkpoint;
pub mod episode;
pub mod forecast;
pub mod loss;
pub mod match_figures;
pub mod match_inputs;
pub mod match_news;
pub mod match_pace;
pub mod match_settings;
pub mod matching;
pub mod pair_set;
pub mod pocket;
pub mod precision;
pub mod schedule;
pub mod segmentation;
pub mod step;
pub mod vocabulary;
