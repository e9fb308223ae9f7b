//! The middle of the window where it is no photo: a page that scrolls, with margins.

use egui::{Frame, Margin, ScrollArea, Ui};

use crate::app::theme::palette;

/// Shows a page; `name` tells its scroll position from that of others.
pub fn page(ui: &mut Ui, name: &str, body: impl FnOnce(&mut Ui)) {
    let all = ui.available_rect_before_wrap();
    ui.painter().rect_filled(all, 0, palette(ui).panel);
    ScrollArea::vertical().auto_shrink(false).id_salt(name).show(ui, |ui| {
        Frame::new().inner_margin(Margin { left: 24, right: 24, top: 16, bottom: 32 }).show(ui, |ui| {
            ui.set_width(ui.available_width());
            body(ui);
        });
    });
}
