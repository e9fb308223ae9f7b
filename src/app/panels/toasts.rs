//! Short messages over the lower right corner. They never take the focus; the list behind them keeps what was said.

use egui::{Align2, Area, Id, Margin, Order, Ui, vec2};
use egui_material_icons::icons::{ICON_CHECK_CIRCLE, ICON_CLOSE, ICON_ERROR, ICON_INFO, ICON_WARNING};

use crate::app::action::{Action, Desk};
use crate::app::notice::{Level, Notice};
use crate::app::theme::{self, Palette, palette};
use crate::app::widgets::icon_button;

/// Shows the toasts of this moment.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    let toasts: Vec<(usize, Notice)> =
        desk.state.notices.toasts().map(|(place, notice)| (place, notice.clone())).collect();
    if toasts.is_empty() {
        return;
    }
    let colours = palette(ui);
    let area =
        Area::new(Id::unique("toasts")).order(Order::Foreground).anchor(Align2::RIGHT_BOTTOM, vec2(-16.0, -44.0));
    area.interactable(true).show(ui.ctx(), |ui| {
        // Newest at the bottom, where the eye goes first.
        for (place, notice) in toasts.into_iter().rev() {
            let frame = egui::Frame::new()
                .fill(colours.raised)
                .stroke((1.0, colours.line))
                .corner_radius(theme::WIDE_RADIUS)
                .shadow(ui.visuals().popup_shadow)
                .inner_margin(Margin::symmetric(12, 8));
            frame.show(ui, |ui| {
                ui.horizontal_top(|ui| {
                    line(ui, &notice, colours, 320.0);
                    let tooltip = "Take the message off the screen; the list keeps it.";
                    if icon_button(ui, ICON_CLOSE, "Dismiss", tooltip).clicked() {
                        desk.push(Action::DismissNotice(place));
                    }
                });
            });
            ui.add_space(theme::GRID);
        }
    });
    // Toasts go by themselves.
    ui.ctx().request_repaint_after(std::time::Duration::from_millis(500));
}

/// One message with its sign.
pub fn line(ui: &mut Ui, notice: &Notice, colours: &Palette, width: f32) {
    let (icon, ink) = match notice.level {
        Level::Info => (ICON_INFO, colours.accent),
        Level::Done => (ICON_CHECK_CIRCLE, colours.ok),
        Level::Warning => (ICON_WARNING, colours.uncertain),
        Level::Error => (ICON_ERROR, colours.ng),
    };
    ui.label(icon.rich_text().size(16.0).color(ink));
    let text = if notice.times > 1 { format!("{} (×{})", notice.text, notice.times) } else { notice.text.clone() };
    ui.allocate_ui_with_layout(vec2(width, 0.0), egui::Layout::top_down(egui::Align::Min), |ui| {
        ui.set_width(width);
        ui.add(egui::Label::new(text).wrap());
    });
}
