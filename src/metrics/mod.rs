//! Figures of merit, exact: sorted scores, no thresholds chosen, no binning.

pub mod bootstrap;
pub mod classification;
pub mod confusion;
pub mod figures;
pub mod mcnemar;
pub mod pixels;
pub mod pro;
pub mod ranking;
pub mod reliability;
pub mod roc;
pub mod segmentation;
pub mod threshold;

pub use bootstrap::{Bootstrap, Interval};
pub use classification::{ClassFigures, ClassReport, top_k_accuracy};
pub use confusion::Confusion;
pub use figures::{Curve, Curves, Figures, measure};
pub use mcnemar::McNemar;
pub use pixels::PixelPool;
pub use ranking::Ranking;
pub use reliability::Reliability;
pub use roc::{average_precision, roc_auc};
pub use threshold::F1Max;
