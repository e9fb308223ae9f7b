//! Figures of merit, exact.

pub mod roc;

pub use roc::{average_precision, roc_auc};
