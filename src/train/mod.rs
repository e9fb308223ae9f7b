//! Training loops in burn.

pub mod average;
pub mod episode;
pub mod loss;
pub mod pocket;
pub mod schedule;
pub mod segmentation;
pub mod vocabulary;
