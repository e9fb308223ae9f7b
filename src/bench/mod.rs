//! The benchmark: a method measured on labelled folders. Plans runs, has the engine judge every test photo, pools scores
//! and pixels, and hands out figures, curves and the photos that went worst. The command line and the window are its
//! fronts; the figures themselves are `metrics`, pages and pictures are `report`.

mod class;
pub mod external;
pub mod files;
pub mod plan;
pub mod protocol;
pub mod results;
mod run;
mod store;

pub use plan::{Matrix, Plan, RunPlan, Shots};
pub use protocol::{Protocol, ScoredMap};
pub use results::{ClassResult, FigureSet, Group, RunResult};
pub use run::{BenchEvent, Outcome, run};
