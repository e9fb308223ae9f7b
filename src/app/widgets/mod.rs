//! Small things that several panels are made of. They take values and return responses; none of them knows the state.

pub mod badge;
pub mod bars;
pub mod figure;
pub mod icon_button;
pub mod matrix;
pub mod page;
pub mod section;
pub mod segments;
pub mod slider_row;
pub mod table;

pub use badge::badge;
pub use bars::bars;
pub use figure::{figure, share_bar};
pub use icon_button::{ICON_BUTTON, icon_button, icon_toggle, primary_button};
pub use page::page;
pub use section::section;
pub use segments::segments;
pub use slider_row::SliderRow;
