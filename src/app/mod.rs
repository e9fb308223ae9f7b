//! The window: state (plain data) ← commands (every action once, as data) ← view (panels that read and wish).
//!
//! [`run`] opens it. Everything slow happens in [`background`] or in the engine, so a frame never waits.

mod action;
mod background;
pub mod command;
mod export;
mod history;
mod media;
mod notice;
pub mod overlay;
mod panels;
mod photo_list;
mod port;
mod run;
pub mod session;
pub mod state;
#[doc(hidden)]
pub mod testing;
pub mod theme;
mod viewport;
mod widgets;
pub mod window;

pub use photo_list::{Decision, Filter, Sort};
pub use port::EnginePort;
pub use run::{Options, run};
