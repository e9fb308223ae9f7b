//! Small things that several panels are made of. They take values and return responses; none of them knows the state.

pub mod badge;
pub mod bars;
pub mod columns;
pub mod figure;
pub mod icon_button;
pub mod matrix;
pub mod named_row;
pub mod page;
pub mod path_field;
pub mod section;
pub mod segments;
pub mod slider_row;
pub mod still_plot;
pub mod table;

pub use badge::badge;
pub use bars::bars;
pub use columns::columns;
pub use figure::{figure, share_bar};
pub use icon_button::{ICON_BUTTON, icon_button, icon_toggle, primary_button};
pub use named_row::{named, named_row};
pub use page::page;
pub use path_field::path_field;
pub use section::section;
pub use segments::segments;
pub use slider_row::SliderRow;
pub use still_plot::still_plot;
