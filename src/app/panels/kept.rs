//! The history: every verdict that was kept, with what it was given on, and corrections beside it. Nothing here changes a
//! verdict; a correction is a revision with name and reason.

use std::path::Path;

use egui::text::{LayoutJob, TextWrapping};
use egui::{Align, Align2, CursorIcon, Layout, Role, ScrollArea, Sense, TextEdit, Ui, WidgetInfo, pos2, vec2};
use egui_material_icons::icons::{ICON_ADD_PHOTO_ALTERNATE, ICON_EDIT_NOTE, ICON_IOS_SHARE, ICON_TUNE};

use super::film_strip::paint_picture;
use crate::anomaly::Verdict;
use crate::app::action::{Action, Desk, HistoryWish};
use crate::app::command::Command;
use crate::app::kept::short_time;
use crate::app::photo_list::file_name;
use crate::app::theme::{self, palette};
use crate::app::widgets::badge::{paint_badge, text_at};
use crate::app::widgets::icon_button::text_button;
use crate::app::widgets::{badge, named, page, primary_button, segments};
use crate::history::Entry;
use crate::report::short_hash;

/// Width of the page from which list and details stand side by side.
const WIDE: f32 = 860.0;
const ROW: f32 = 32.0;
/// Width of the names on the left of a detail.
const NAME: f32 = 84.0;

/// Shows the page.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    page(ui, "history", |ui| {
        header(ui, desk);
        ui.add_space(theme::WIDE_GAP);
        if desk.state.kept.entries.is_empty() {
            let text = match (&desk.state.kept.place, desk.state.kept.verdict) {
                (None, _) => "Nothing is kept in this window: name a file or a database above.",
                (Some(_), None) => "No verdict is kept yet. Photos that are inspected appear here.",
                (Some(_), Some(_)) => "No kept verdict is of this kind.",
            };
            ui.label(egui::RichText::new(text).color(palette(ui).ink_faint));
            return;
        }
        if ui.available_width() < WIDE {
            list(ui, desk, 320.0);
            ui.add_space(theme::WIDE_GAP);
            details(ui, desk);
            return;
        }
        let gap = 2.0 * theme::WIDE_GAP;
        let left = (ui.available_width() - gap) * 0.56;
        let height = (ui.clip_rect().bottom() - ui.cursor().top() - 80.0).max(320.0);
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = gap;
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.x = theme::GAP;
                ui.set_width(left);
                list(ui, desk, height);
            });
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.x = theme::GAP;
                ui.set_max_width(ui.available_width().min(560.0));
                details(ui, desk);
            });
        });
    });
}

fn header(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    ui.horizontal(|ui| {
        ui.label(theme::title("History"));
        ui.add_space(theme::GAP);
        let choices = [
            (None, "All", "Every kept verdict."),
            (Some(Verdict::Ng), "× NG", "Verdicts that are NG, as corrected."),
            (Some(Verdict::Uncertain), "? uncertain", "Verdicts that are uncertain, as corrected."),
            (Some(Verdict::Ok), "✓ OK", "Verdicts that are OK, as corrected."),
        ];
        if let Some(verdict) = segments(ui, desk.state.kept.verdict, &choices) {
            desk.push(Action::History(HistoryWish::Only(verdict)));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let info = Command::ExportHistory.info();
            let allowed = desk.state.allows(Command::ExportHistory);
            let export = ui.add_enabled_ui(allowed, |ui| text_button(ui, ICON_IOS_SHARE, "Export…", info.help)).inner;
            if export.on_disabled_hover_text("Nothing is kept yet.").clicked() {
                desk.run(Command::ExportHistory);
            }
        });
    });
    let text = "A verdict is kept when a photo is inspected, and again with an export where the recipe has changed since. \
                Corrections stand beside it; nothing is overwritten.";
    ui.label(egui::RichText::new(text).color(colours.ink_soft));
    ui.add_space(theme::GAP);
    ui.horizontal(|ui| {
        let tooltip = "An SQLite file, or postgres://user@host/database for a history that several benches share.";
        named(ui, NAME, egui::RichText::new("Kept in").color(colours.ink_soft)).on_hover_text(tooltip);
        let shown = desk.state.kept.place.clone().unwrap_or_default();
        let id = ui.scope_id().with("place of the history");
        let mut text = ui.data(|data| data.get_temp::<String>(id)).unwrap_or_else(|| shown.clone());
        let before = text.clone();
        let field = TextEdit::singleline(&mut text).hint_text("a file, or postgres://user@host/database");
        let field = field.desired_width(ui.available_width().min(560.0)).margin(vec2(6.0, 4.0));
        let response = ui.add(field).on_hover_text(tooltip).accessible_name("Place of the history");
        // Taken when the field is left: half a name would make a file.
        if response.lost_focus() {
            ui.data_mut(|data| data.remove::<String>(id));
            if !text.trim().is_empty() && text != shown {
                desk.push(Action::History(HistoryWish::KeepIn(text.trim().to_owned())));
            }
        } else if text != before {
            ui.data_mut(|data| data.insert_temp(id, text));
        }
    });
    if let Some(problem) = &desk.state.kept.problem {
        ui.label(egui::RichText::new(problem).color(colours.ng));
    }
}

fn list(ui: &mut Ui, desk: &mut Desk<'_>, height: f32) {
    let colours = palette(ui);
    let state = desk.state;
    let entries = &state.kept.entries;
    let width = ui.available_width();
    ui.spacing_mut().item_spacing.y = 0.0;
    let (head, _) = ui.allocate_exact_size(vec2(width, 22.0), Sense::hover());
    let score = width - 56.0;
    for (x, text) in [(8.0, "time (UTC)"), (132.0, "verdict"), (236.0, "photo")] {
        text_at(ui, pos2(head.left() + x, head.center().y), text, theme::small_font(), colours.ink_faint);
    }
    let at = pos2(head.left() + width - 8.0, head.center().y);
    ui.painter().text(at, Align2::RIGHT_CENTER, "score", theme::small_font(), colours.ink_faint);
    ui.painter().hline(head.x_range(), head.bottom(), (1.0, colours.line));
    let area = ScrollArea::vertical().id_salt("kept verdicts").max_height(height).min_scrolled_height(height);
    area.auto_shrink([false, true]).show_rows(ui, ROW, entries.len(), |ui, rows| {
        for entry in &entries[rows] {
            one(ui, desk, entry, score);
        }
    });
    if desk.state.kept.more {
        ui.add_space(theme::GAP);
        let older = ui.button("Show older ones").on_hover_text("Read the next hundred verdicts of the history.");
        if older.clicked() {
            desk.push(Action::History(HistoryWish::Older));
        }
    }
}

fn one(ui: &mut Ui, desk: &mut Desk<'_>, entry: &Entry, score: f32) {
    let colours = palette(ui);
    let on = desk.state.kept.chosen.as_ref() == Some(&entry.id);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    let name = file_name(Path::new(&entry.path));
    let time = short_time(&entry.time);
    response.widget_info(|| {
        let spoken = format!("{time}, {name}, {}, score {:.2}", entry.verdict.word(), entry.normalised_score);
        WidgetInfo::selected(Role::ListItem, true, on, spoken)
    });
    if on {
        ui.painter().rect_filled(rect, theme::RADIUS, colours.selected);
    } else if response.hovered() || response.has_focus() {
        ui.painter().rect_filled(rect, theme::RADIUS, colours.raised);
    }
    let middle = |x: f32| pos2(rect.left() + x, rect.center().y);
    text_at(ui, middle(8.0), time, theme::small_font(), colours.ink_soft);
    let drawn = paint_badge(ui, middle(132.0), entry.verdict);
    if entry.verdict != entry.first_verdict {
        let text = format!("was {}", entry.first_verdict.word());
        text_at(ui, pos2(drawn.right() + 6.0, rect.center().y), text, theme::small_font(), colours.ink_faint);
    }
    let left = (drawn.right() - rect.left() + 6.0).max(236.0).max(if entry.verdict == entry.first_verdict {
        0.0
    } else {
        drawn.right() - rect.left() + 90.0
    });
    let mut job = LayoutJob::simple_singleline(name, theme::body_font(), colours.ink);
    job.wrap = TextWrapping::truncate_at_width((score - left - 8.0).max(24.0));
    let galley = ui.painter().layout_job(job);
    ui.painter().galley(middle(left) - vec2(0.0, galley.size().y / 2.0), galley, colours.ink);
    let at = pos2(rect.right() - 8.0, rect.center().y);
    let text = format!("{:.2}", entry.normalised_score);
    ui.painter().text(at, Align2::RIGHT_CENTER, text, theme::small_font(), colours.ink_soft);
    if response.on_hover_cursor(CursorIcon::PointingHand).on_hover_text(&entry.path).clicked() {
        desk.push(Action::History(HistoryWish::Choose(entry.id.clone())));
    }
}

fn details(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let Some(entry) = desk.state.kept.shown().cloned() else {
        ui.label(
            egui::RichText::new("Choose a verdict to see what it was given on, and to correct it.")
                .color(colours.ink_faint),
        );
        return;
    };
    let path = Path::new(&entry.path);
    ui.horizontal_top(|ui| {
        if let Some(texture) = desk.media.thumbnail(path) {
            let (rect, _) = ui.allocate_exact_size(vec2(96.0, 96.0), Sense::hover());
            paint_picture(ui, &texture, rect);
        }
        ui.vertical(|ui| {
            ui.add(egui::Label::new(theme::title(file_name(path))).truncate());
            ui.horizontal(|ui| {
                badge(ui, Some(entry.verdict));
                if entry.verdict != entry.first_verdict {
                    let text = format!("the program said {}", entry.first_verdict.word());
                    ui.label(theme::small(text).color(colours.ink_soft));
                }
            });
            ui.add_space(theme::GRID);
            ui.horizontal(|ui| {
                let tooltip = "Put the photo on the bench.";
                if text_button(ui, ICON_ADD_PHOTO_ALTERNATE, "Open the photo", tooltip).clicked() {
                    desk.push(Action::History(HistoryWish::OpenPhoto(path.to_owned())));
                }
                let tooltip = "Judge with the recipe that this verdict was given with. Ctrl+Z gives yours back.";
                if text_button(ui, ICON_TUNE, "Use its recipe", tooltip).clicked() {
                    desk.push(Action::History(HistoryWish::UseRecipe(entry.recipe_sha256.clone())));
                }
            });
        });
    });
    ui.add_space(theme::GAP);
    let models = entry.memory_model_id.as_ref().map_or_else(
        || format!("{} ({}…)", entry.model_id, short_hash(&entry.model_sha256)),
        |memory| format!("{} + {memory}", entry.model_id),
    );
    let lines = [
        (
            "Given",
            format!("{} UTC by Hairline {}", entry.time.replace('T', " ").trim_end_matches('Z'), entry.program_version),
        ),
        ("Photo", entry.path.clone()),
        ("File", format!("{} × {} px, SHA-256 {}…", entry.width, entry.height, short_hash(&entry.photo_sha256))),
        (
            "Score",
            format!(
                "{:.2} of 1, threshold 0.5 (raw {:.3} against {:.3})",
                entry.normalised_score, entry.image_score, entry.image_threshold
            ),
        ),
        ("Model", models),
        ("Device", entry.device.clone()),
        ("Recipe", format!("SHA-256 {}…", short_hash(&entry.recipe_sha256))),
    ];
    for (name, text) in lines {
        ui.horizontal(|ui| {
            named(ui, NAME, theme::small(name).color(colours.ink_faint));
            ui.add(egui::Label::new(theme::small(&text).color(colours.ink_soft)).truncate()).on_hover_text(text);
        });
    }
    ui.add_space(theme::WIDE_GAP);
    revisions(ui, &entry);
    correction(ui, desk, &entry);
}

fn revisions(ui: &mut Ui, entry: &Entry) {
    let colours = palette(ui);
    ui.label(theme::strong("Corrections"));
    if entry.revisions.is_empty() {
        ui.label(theme::small("None.").color(colours.ink_faint));
    }
    for revision in &entry.revisions {
        ui.horizontal(|ui| {
            badge(ui, Some(revision.verdict));
            let text = format!("{} by {}", short_time(&revision.time), revision.author);
            ui.label(theme::small(text).color(colours.ink_soft));
            ui.add(egui::Label::new(theme::small(&revision.note)).truncate()).on_hover_text(&revision.note);
        });
    }
    ui.add_space(theme::GAP);
}

fn correction(ui: &mut Ui, desk: &mut Desk<'_>, entry: &Entry) {
    let colours = palette(ui);
    let kept = &desk.state.kept;
    let (mut draft, mut inspector) = (kept.draft.clone(), desk.state.inspector.clone());
    let before = (draft.clone(), inspector.clone());
    ui.horizontal(|ui| {
        named(ui, NAME, egui::RichText::new("Should be").color(colours.ink_soft));
        for verdict in [Verdict::Ok, Verdict::Uncertain, Verdict::Ng] {
            if verdict == entry.verdict {
                continue;
            }
            let on = draft.verdict == Some(verdict);
            let text = format!("{} {}", theme::sign(verdict), verdict.word());
            let (fill, line) = if on { (colours.selected, colours.accent) } else { (colours.raised, colours.line) };
            let button = egui::Button::new(theme::small(text).color(colours.verdict(Some(verdict)))).fill(fill);
            let response = ui.add(button.stroke((1.0, line))).on_hover_text("What the verdict should be.");
            let name = format!("Should be {}", verdict.word());
            response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, on, &name));
            if response.clicked() {
                draft.verdict = (!on).then_some(verdict);
            }
        }
    });
    let field = |ui: &mut Ui, name: &str, hint: &str, text: &mut String| {
        ui.horizontal(|ui| {
            named(ui, NAME, egui::RichText::new(name).color(colours.ink_soft));
            let field = TextEdit::singleline(text).hint_text(hint).margin(vec2(6.0, 4.0));
            ui.add(field.desired_width(ui.available_width().min(320.0))).accessible_name(name);
        });
    };
    field(ui, "By", "who corrects", &mut inspector);
    field(ui, "Because", "the reason", &mut draft.note);
    let ready = kept.correction(&inspector).is_some();
    ui.add_space(theme::GRID);
    ui.horizontal(|ui| {
        ui.add_space(NAME + theme::GAP);
        let tooltip = "Add a revision; the verdict as it was given stays.";
        let add =
            ui.add_enabled_ui(ready, |ui| primary_button(ui, Some(ICON_EDIT_NOTE), "Add the correction", tooltip));
        if add.inner.on_disabled_hover_text("Say what the verdict should be, and who corrects.").clicked() {
            desk.push(Action::History(HistoryWish::Correct));
        }
    });
    if (&draft, &inspector) != (&before.0, &before.1) {
        desk.push(Action::History(HistoryWish::Draft(draft, inspector)));
    }
}
