//! The side panel: what decides (recipe), what was found (findings), what is kept (report).

use egui::{Button, Margin, ScrollArea, Stroke, Ui, vec2};
use egui_material_icons::icons::{ICON_CONTENT_COPY, ICON_ERROR, ICON_IOS_SHARE};

use super::{decision_sections, findings_tab, prompt_section, quality_section, references_section};
use crate::app::action::Desk;
use crate::app::command::Command;
use crate::app::session::Tab;
use crate::app::theme::{self, palette};
use crate::app::widgets::icon_button::text_button;

/// Shows the panel.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    tabs(ui, desk);
    let frame = egui::Frame::new().inner_margin(Margin { left: 14, right: 14, top: 0, bottom: 12 });
    let tab = desk.state.look.tab;
    ScrollArea::vertical().auto_shrink(false).id_salt(("inspector", tab as u8)).show(ui, |ui| {
        frame.show(ui, |ui| {
            ui.set_width(ui.available_width());
            match tab {
                Tab::Recipe => recipe(ui, desk),
                Tab::Findings => findings_tab::show(ui, desk),
                Tab::Report => report(ui, desk),
            }
        });
    });
}

fn tabs(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let regions = desk.state.view.as_ref().map_or(0, |view| view.inspection.regions.len());
    let findings = if regions == 0 { "Findings".to_owned() } else { format!("Findings {regions}") };
    egui::Frame::new().inner_margin(Margin { left: 10, right: 10, top: 7, bottom: 5 }).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            let width = (ui.available_width() - 4.0) / 3.0;
            let all = [
                (
                    Tab::Recipe,
                    "Recipe".to_owned(),
                    "Recipe",
                    "What decides the verdict: words, references, weights, thresholds.",
                ),
                (Tab::Findings, findings, "Findings", "Regions of this photo, and why a place is scored as it is."),
                (Tab::Report, "Report".to_owned(), "Report", "The report of this photo."),
            ];
            for (tab, text, name, tooltip) in all {
                let on = desk.state.look.tab == tab;
                let (ink, fill) =
                    if on { (colours.ink, colours.raised) } else { (colours.ink_faint, egui::Color32::TRANSPARENT) };
                let button = Button::new(theme::strong(text).color(ink)).fill(fill).stroke(Stroke::NONE);
                let response = ui.add(button.min_size(vec2(width, 7.0 * theme::GRID))).on_hover_text(tooltip);
                response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Tab, true, on, name));
                if on {
                    let line = response.rect.shrink2(vec2(theme::GAP, 0.0));
                    ui.painter().hline(line.x_range(), line.bottom() + 1.0, (2.0, colours.accent));
                }
                if response.clicked() {
                    desk.look(move |look| look.tab = tab);
                }
            }
        });
    });
    let rect = ui.min_rect();
    ui.painter().hline(rect.x_range(), rect.bottom() - 0.5, (1.0, colours.line));
}

fn recipe(ui: &mut Ui, desk: &mut Desk<'_>) {
    if let Some(problem) = &desk.state.recipe_problem {
        let colours = palette(ui);
        ui.add_space(theme::GAP);
        ui.horizontal_top(|ui| {
            ui.label(ICON_ERROR.rich_text().size(16.0).color(colours.ng));
            ui.label(egui::RichText::new(problem).color(colours.ng));
        });
        ui.label(theme::small("The last recipe that could be used stays in force.").color(colours.ink_faint));
    }
    prompt_section::show(ui, desk);
    references_section::show(ui, desk);
    decision_sections::weights(ui, desk);
    decision_sections::decision(ui, desk);
    quality_section::show(ui, desk);
    decision_sections::network(ui, desk);
}

fn report(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    ui.add_space(theme::GAP);
    if desk.state.report.is_empty() {
        ui.label(egui::RichText::new("The report appears when the photo is inspected.").color(colours.ink_faint));
        return;
    }
    ui.horizontal(|ui| {
        if text_button(ui, ICON_CONTENT_COPY, "Copy", Command::CopyReport.info().help).clicked() {
            desk.run(Command::CopyReport);
        }
        if text_button(ui, ICON_IOS_SHARE, "Export this photo…", Command::ExportPhoto.info().help).clicked() {
            desk.run(Command::ExportPhoto);
        }
    });
    ui.add_space(theme::GAP);
    // What is copied and exported has the width of a page, this that of the panel.
    let font = egui::FontId::monospace(theme::SMALL - 0.5);
    let each = ui.painter().fonts_mut(|fonts| fonts.glyph_width(&font, '0'));
    let columns = (ui.available_width() / each.max(1.0)) as usize;
    let text = match &desk.state.view {
        Some(view) => crate::report::narrow_report_text(&view.inspection, &view.recipe, columns.max(40)),
        None => desk.state.report.clone(),
    };
    let text = egui::RichText::new(text).font(font).color(colours.ink);
    ui.add(egui::Label::new(text).selectable(true).wrap_mode(egui::TextWrapMode::Extend));
}
