//! A plot to look at.

use egui_plot::Plot;

/// A plot on the page's own background that always shows the whole: it neither zooms nor moves under the pointer.
pub fn still_plot<'a>(id: &str) -> Plot<'a> {
    Plot::new(id)
        .allow_zoom(false)
        .allow_drag(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .allow_axis_zoom_drag(false)
        .show_background(false)
}
