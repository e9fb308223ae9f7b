//! The gallery of normal photos: what a good part looks like. Adding or removing one works at once.

use std::path::{Path, PathBuf};

use egui::{CursorIcon, Rect, Role, Sense, StrokeKind, Ui, WidgetInfo, vec2};
use egui_material_icons::icons::{
    ICON_ADD_PHOTO_ALTERNATE, ICON_BROKEN_IMAGE, ICON_CLOSE, ICON_FOLDER_OPEN, ICON_IMAGE,
};

use super::decision_sections::titled;
use super::film_strip::paint_picture;
use crate::app::action::Desk;
use crate::app::command::Command;
use crate::app::photo_list::file_name;
use crate::app::state::references;
use crate::app::theme::{self, palette};
use crate::app::widgets::icon_button::text_button;
use crate::recipe::Comparison;

const SIDE: f32 = 56.0;
/// Thumbnails laid out at most; the rest is counted.
const SHOWN: usize = 60;

/// Where dropped files become references.
pub fn drop_zone_id() -> egui::Id {
    egui::Id::unique("references drop zone")
}

/// Shows the gallery.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    let count = desk.state.recipe.references.len();
    let summary = match desk.state.engine.memory {
        Some((_, patches, kept)) if count > 0 => format!("{} · {kept} of {patches} patches", references(count)),
        _ if count > 0 => references(count),
        _ if desk.state.recipe.comparison == Comparison::Mutual => "none: the photos judge each other".to_owned(),
        _ => "none: words alone decide".to_owned(),
    };
    let top = ui.cursor().top();
    titled(ui, desk, "References", &summary, |ui, desk| {
        gallery(ui, desk);
        ui.add_space(theme::GRID);
        ui.horizontal(|ui| {
            if text_button(ui, ICON_ADD_PHOTO_ALTERNATE, "Add photos…", Command::AddReferences.info().help).clicked()
            {
                desk.run(Command::AddReferences);
            }
            if text_button(ui, ICON_FOLDER_OPEN, "Add folder…", Command::AddReferenceFolder.info().help).clicked() {
                desk.run(Command::AddReferenceFolder);
            }
        });
    });
    let zone =
        Rect::from_min_max(egui::pos2(ui.min_rect().left(), top), egui::pos2(ui.min_rect().right(), ui.cursor().top()));
    ui.ctx().data_mut(|data| data.insert_temp(drop_zone_id(), zone));
    if ui.input(|i| !i.raw.hovered_files.is_empty()) {
        ui.painter().rect_stroke(zone, theme::RADIUS, (2.0, palette(ui).accent), StrokeKind::Inside);
    }
}

fn gallery(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let paths: Vec<PathBuf> = desk.state.recipe.references.iter().take(SHOWN).cloned().collect();
    if paths.is_empty() {
        let text = "Drop photos of good parts here. A handful makes the verdict much surer, and gives it a threshold.";
        ui.label(theme::small(text).color(colours.ink_faint));
        return;
    }
    let columns = ((ui.available_width() + theme::GRID) / (SIDE + theme::GRID)).floor().max(1.0) as usize;
    let mut removed = None;
    for (line, chunk) in paths.chunks(columns).enumerate() {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing = vec2(theme::GRID, theme::GRID);
            for (column, path) in chunk.iter().enumerate() {
                if picture(ui, desk, path) {
                    removed = Some(line * columns + column);
                }
            }
        });
    }
    let more = desk.state.recipe.references.len().saturating_sub(SHOWN);
    if more > 0 {
        ui.label(theme::small(format!("and {more} more")).color(colours.ink_faint));
    }
    if let Some(index) = removed {
        desk.edit("Remove reference", move |recipe| {
            if index < recipe.references.len() {
                recipe.references.remove(index);
            }
        });
    }
}

/// One reference; true when it is to go.
fn picture(ui: &mut Ui, desk: &mut Desk<'_>, path: &Path) -> bool {
    let colours = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(SIDE, SIDE), Sense::click());
    let name = file_name(path);
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, format!("Reference {name}")));
    if let Some(texture) = desk.media.thumbnail(path) {
        paint_picture(ui, &texture, rect);
    } else {
        ui.painter().rect_filled(rect, 4, colours.hover);
        let icon = if desk.media.failed(path) { ICON_BROKEN_IMAGE } else { ICON_IMAGE };
        let font = egui::FontId::new(18.0, icon.font_family());
        ui.painter().text(rect.center(), egui::Align2::CENTER_CENTER, icon.codepoint, font, colours.ink_faint);
    }
    let cross = Rect::from_min_size(rect.right_top() + vec2(-19.0, 2.0), vec2(17.0, 17.0));
    let over = ui.interact(cross, response.id.with("remove"), Sense::click()).on_hover_cursor(CursorIcon::PointingHand);
    over.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("Remove reference {name}")));
    if response.hovered() || over.hovered() || over.has_focus() {
        ui.painter().rect_filled(cross, 4, colours.panel.gamma_multiply(0.9));
        let font = egui::FontId::new(13.0, ICON_CLOSE.font_family());
        let ink = if over.hovered() { colours.ng } else { colours.ink };
        ui.painter().text(cross.center(), egui::Align2::CENTER_CENTER, ICON_CLOSE.codepoint, font, ink);
    }
    let tooltip = format!(
        "{}\nWithout it, parts that look like it score higher. Delete or the cross removes it.",
        path.display()
    );
    let by_key = response.has_focus() && ui.input(|i| i.key_pressed(egui::Key::Delete));
    response.on_hover_text(tooltip);
    over.clicked() || by_key
}
