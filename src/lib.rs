//! Hairline: a desktop inspection bench.
//!
//! ```text
//! file ─ photo ─▶ Photo ─ model ─▶ Features ─ anomaly ─▶ AnomalyMap ─ anomaly ─▶ Region, Verdict ─ report ─▶ files
//! ```
//!
//! Left of `AnomalyMap` is expensive, runs once per photo on the engine thread and is cached; right of it are pure
//! functions of (maps, recipe), recomputed while a slider moves. `ARCHITECTURE.md` has the rest.

pub mod anomaly;
pub mod app;
pub mod bench;
pub mod classify;
pub mod cli;
mod count;
pub mod dataset;
pub mod engine;
pub mod error;
pub mod explain;
pub mod gpu;
pub mod history;
pub mod matching;
pub mod metrics;
pub mod model;
pub mod photo;
pub mod recipe;
pub mod report;
pub mod samples;
pub mod segment;
pub mod server;
pub mod train;

pub use error::{Error, Result};
pub use recipe::Recipe;
