//! Small things that several panels are made of. They take values and return responses; none of them knows the state.

pub mod badge;
pub mod icon_button;
pub mod section;
pub mod slider_row;

pub use badge::badge;
pub use icon_button::{ICON_BUTTON, icon_button, icon_toggle, primary_button};
pub use section::section;
pub use slider_row::SliderRow;
