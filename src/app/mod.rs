//! The window: state (plain data) ← commands (every action once, as data) ← view (panels that read and wish).
//!
//! [`run`] opens it. Everything slow happens in [`background`] or in the engine, so a frame never waits.

mod action;
mod background;
mod benchmark;
mod classifying;
pub mod command;
pub mod describing;
mod evaluation;
mod evaluation_files;
mod export;
mod history;
mod intake;
pub mod kept;
mod labelling;
pub mod labels;
pub mod lesson;
pub mod match_training;
mod media;
mod notice;
pub mod overlay;
mod panels;
mod permission;
mod photo_list;
mod photo_order;
mod port;
mod recorder;
mod run;
pub mod segmenting;
pub mod session;
pub mod state;
#[doc(hidden)]
pub mod testing;
pub mod theme;
pub mod training;
mod viewport;
mod widgets;
pub mod window;

pub use photo_list::{Decision, Filter, Focus, Rule, Sort};
pub use port::EnginePort;
pub use run::{Options, run};
