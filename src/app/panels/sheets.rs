//! What lies over the window for a moment: command palette, key sheet, list of messages. Esc closes it.

use egui::{Id, Key, Modal, Modifiers, Role, ScrollArea, Sense, TextEdit, Ui, WidgetInfo, pos2, vec2};

use super::toasts;
use crate::app::action::{Action, Desk};
use crate::app::command::{self, COMMANDS, Command, HELD_KEYS, Menu, shortcut_text};
use crate::app::state::Sheet;
use crate::app::theme::{self, palette};
use crate::app::widgets::named;

/// Shows the sheet that is open, if any.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    let closes = match desk.state.sheet.clone() {
        Sheet::None => false,
        Sheet::Palette { query, row } => command_palette(ui, desk, query, row),
        Sheet::Keys => keys(ui, desk),
        Sheet::Messages => messages(ui, desk),
        Sheet::Classes { new } => super::classes_sheet::show(ui, desk, new),
    };
    if desk.state.sheet != Sheet::None {
        // What was measured in this frame is centred in the next.
        ui.ctx().request_repaint_after(std::time::Duration::from_millis(100));
    }
    if closes {
        desk.push(Action::Sheet(Sheet::None));
    }
}

fn command_palette(ui: &mut Ui, desk: &mut Desk<'_>, mut query: String, mut row: usize) -> bool {
    let colours = palette(ui);
    let before = (query.clone(), row);
    let mut chosen = None;
    let area = Modal::default_area(Id::unique("palette")).anchor(egui::Align2::CENTER_TOP, vec2(0.0, 72.0));
    let modal = Modal::new(Id::unique("palette")).area(area).show(ui.ctx(), |ui| {
        ui.set_width(520.0);
        let (down, up, enter) = ui.input_mut(|i| {
            (
                i.consume_key(Modifiers::NONE, Key::ArrowDown),
                i.consume_key(Modifiers::NONE, Key::ArrowUp),
                i.consume_key(Modifiers::NONE, Key::Enter),
            )
        });
        let field = TextEdit::singleline(&mut query).hint_text("Type a command").desired_width(f32::INFINITY);
        let response = ui.add(field.margin(vec2(8.0, 7.0))).accessible_name("Command");
        if !response.has_focus() {
            response.request_focus();
        }
        if response.changed() {
            row = 0;
        }
        let found = command::search(&query, |info| desk.state.name_of(info));
        row = (row + usize::from(down)).saturating_sub(usize::from(up)).min(found.len().saturating_sub(1));
        ui.add_space(theme::GRID);
        if found.is_empty() {
            ui.label(egui::RichText::new("No command has these letters.").color(colours.ink_faint));
        }
        ScrollArea::vertical().max_height(380.0).auto_shrink([false, true]).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            for (index, info) in found.iter().enumerate() {
                if palette_row(ui, desk, info, index == row, index == row && (down || up)) {
                    chosen = Some(info.command);
                }
            }
        });
        if enter {
            chosen = found.get(row).map(|info| info.command);
        }
    });
    if let Some(command) = chosen.filter(|command| desk.state.allows(*command)) {
        desk.push(Action::Sheet(Sheet::None));
        desk.run(command);
        return false;
    }
    if (query.clone(), row) != before {
        desk.push(Action::Sheet(Sheet::Palette { query, row }));
    }
    modal.should_close()
}

fn palette_row(ui: &mut Ui, desk: &Desk<'_>, info: &'static command::Info, on: bool, follow: bool) -> bool {
    let colours = palette(ui);
    let allowed = desk.state.allows(info.command);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 40.0), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::MenuItem, allowed, on, format!("Run {}", info.label)));
    if on || response.hovered() {
        ui.painter().rect_filled(rect, theme::RADIUS, if on { colours.selected } else { colours.raised });
    }
    if follow {
        response.scroll_to_me(None);
    }
    let ink = if allowed { colours.ink } else { colours.ink_faint };
    let painter = ui.painter();
    painter.text(
        pos2(rect.left() + 10.0, rect.center().y - 8.0),
        egui::Align2::LEFT_CENTER,
        desk.state.name_of(info),
        theme::body_font(),
        ink,
    );
    let mut job =
        egui::text::LayoutJob::simple_singleline(info.help.to_owned(), theme::small_font(), colours.ink_faint);
    job.wrap = egui::text::TextWrapping::truncate_at_width(rect.width() - 130.0);
    let galley = painter.layout_job(job);
    painter.galley(pos2(rect.left() + 10.0, rect.center().y + 8.0 - galley.size().y / 2.0), galley, ink);
    if let Some(shortcut) = &info.shortcut {
        let text = shortcut_text(ui.ctx(), shortcut);
        painter.text(
            pos2(rect.right() - 10.0, rect.center().y),
            egui::Align2::RIGHT_CENTER,
            text,
            theme::small_font(),
            colours.ink_soft,
        );
    }
    response.clicked()
}

/// Widest that the sheet of keys is, and the room around it and around its list, in points.
const KEYS: f32 = 1080.0;
const AROUND: egui::Vec2 = vec2(80.0, 160.0);
/// Narrowest column in which keys and what they do stand in one line.
const KEYS_COLUMN: f32 = 330.0;

fn keys(ui: &mut Ui, _desk: &mut Desk<'_>) -> bool {
    let room = ui.ctx().content_rect().size() - AROUND;
    let modal = Modal::new(Id::unique("keys")).show(ui.ctx(), |ui| {
        ui.set_width(room.x.min(KEYS));
        ui.label(theme::title("Keys"));
        ui.add_space(theme::GAP);
        let height = room.y.max(120.0);
        ScrollArea::vertical().max_height(height).min_scrolled_height(height).auto_shrink([false, true]).show(
            ui,
            |ui| {
                // Beside the bar.
                ui.set_width(ui.available_width() - 12.0);
                all_keys(ui);
            },
        );
        ui.add_space(theme::GAP);
        ui.button("Close").clicked()
    });
    modal.inner || modal.should_close()
}

fn all_keys(ui: &mut Ui) {
    let colours = palette(ui);
    let width = |text: String| ui.painter().layout_no_wrap(text, theme::small_font(), colours.ink).size().x;
    let shortcuts = COMMANDS.iter().filter_map(|info| info.shortcut.as_ref());
    let names = shortcuts.map(|shortcut| shortcut_text(ui.ctx(), shortcut));
    let names = names.chain(HELD_KEYS.iter().map(|(keys, _)| (*keys).to_owned()));
    let name = names.map(width).fold(0.0, f32::max).ceil() + theme::GRID;
    let count = ((ui.available_width() / KEYS_COLUMN) as usize).clamp(1, 3);
    ui.columns(count, |columns| {
        let row = |ui: &mut Ui, keys: &str, what: &str| {
            ui.horizontal(|ui| {
                named(ui, name, theme::small(keys).color(colours.ink));
                ui.add(egui::Label::new(theme::small(what).color(colours.ink_soft)).wrap());
            });
        };
        let places = [
            (Menu::File, 0),
            (Menu::Edit, 0),
            (Menu::Help, 0),
            (Menu::Photo, 1),
            (Menu::Label, 1),
            (Menu::Measure, 1),
            (Menu::View, 2),
        ];
        for (menu, column) in places {
            let ui = &mut columns[column % count];
            ui.label(theme::strong(menu.label()));
            for info in COMMANDS.iter().filter(|info| info.menu == menu) {
                match (info.command, &info.shortcut) {
                    // Nine keys, one line.
                    (Command::Label(0), _) => row(ui, "1 – 9", "Label as class 1 – 9"),
                    (Command::Label(_), _) | (_, None) => {}
                    (_, Some(shortcut)) => row(ui, &shortcut_text(ui.ctx(), shortcut), info.label),
                }
            }
            ui.add_space(theme::GAP);
        }
        let ui = &mut columns[2 % count];
        ui.label(theme::strong("Mouse and held keys"));
        for (keys, what) in HELD_KEYS {
            row(ui, keys, what);
        }
    });
}

fn messages(ui: &mut Ui, desk: &mut Desk<'_>) -> bool {
    let colours = palette(ui);
    let modal = Modal::new(Id::unique("messages")).show(ui.ctx(), |ui| {
        ui.set_width(560.0);
        ui.label(theme::title("Messages"));
        ui.add_space(theme::GAP);
        ScrollArea::vertical().max_height(420.0).auto_shrink([false, true]).show(ui, |ui| {
            let mut none = true;
            for notice in desk.state.notices.iter() {
                none = false;
                ui.horizontal_top(|ui| {
                    toasts::line(ui, notice, colours, 440.0);
                    let ago = desk.state.notices.now - notice.at;
                    let ago = if ago < 60.0 { "now".to_owned() } else { format!("{:.0} min", ago / 60.0) };
                    ui.label(theme::small(ago).color(colours.ink_faint));
                });
                ui.add_space(theme::GRID);
            }
            if none {
                ui.label(egui::RichText::new("Nothing to report.").color(colours.ink_faint));
            }
        });
        ui.add_space(theme::GAP);
        ui.horizontal(|ui| {
            let close = ui.button("Close").clicked();
            if ui.button("Clear the list").on_hover_text("Forget these messages.").clicked() {
                desk.push(Action::ClearNotices);
            }
            close
        })
        .inner
    });
    modal.inner || modal.should_close()
}
