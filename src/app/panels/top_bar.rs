//! The bar at the top: menus made from the command list, the way to every command, model and device, export.

use egui::{Align, Button, Layout, RichText, Sense, Ui, vec2};
use egui_material_icons::icons::{ICON_IOS_SHARE, ICON_MEMORY, ICON_MENU, ICON_SEARCH};

use crate::app::action::Desk;
use crate::app::command::{COMMANDS, Command, Menu, shortcut_text};
use crate::app::session::Page;
use crate::app::theme::{self, palette};
use crate::app::widgets::primary_button;
use crate::model::ModelInfo;

/// Room from which the button of the palette says what it is for, and from which there is a chip for the model.
const SPELT_OUT: f32 = 250.0;
const CHIP: f32 = 150.0;
/// Room right of the name from which all menus stand side by side.
const ALL_MENUS: f32 = 1130.0;

/// Shows the bar.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    ui.horizontal_centered(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        mark(ui);
        ui.add_space(theme::GRID);
        ui.label(theme::strong("Hairline"));
        ui.add_space(theme::GAP);
        menus(ui, desk);
        ui.add_space(theme::WIDE_GAP);
        pages(ui, desk);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = theme::GAP;
            let info = Command::ExportAll.info();
            let inspected = desk.state.photos.counts();
            let ready = inspected.ok + inspected.ng + inspected.uncertain > 0;
            let tooltip = format!("{} {}", info.help, shortcut(ui, Command::ExportAll));
            let export = ui.add_enabled_ui(ready, |ui| primary_button(ui, Some(ICON_IOS_SHARE), "Export", &tooltip));
            if export.inner.on_disabled_hover_text("Nothing is inspected yet.").clicked() {
                desk.run(Command::ExportAll);
            }
            palette_button(ui, desk);
            if ui.available_width() > CHIP {
                model_chip(ui, desk);
            }
        });
    });
}

/// All menus side by side, or behind one button where the bar is narrow.
fn menus(ui: &mut Ui, desk: &mut Desk<'_>) {
    let ink = palette(ui).ink_soft;
    let menu_button = |label: RichText| {
        let button = Button::new(label.color(ink)).frame_when_inactive(false);
        egui::containers::menu::MenuButton::from_button(button)
    };
    if ui.available_width() >= ALL_MENUS {
        for menu in Menu::ALL {
            menu_button(RichText::new(menu.label())).ui(ui, |ui| menu_items(ui, desk, menu));
        }
        return;
    }
    let (response, _) = menu_button(ICON_MENU.rich_text().size(18.0)).ui(ui, |ui| {
        ui.set_min_width(140.0);
        for menu in Menu::ALL {
            ui.menu_button(menu.label(), |ui| menu_items(ui, desk, menu));
        }
    });
    response.on_hover_text("All commands by menu.").accessible_name("Menu");
}

/// The program's mark: a fine crack through a square.
fn mark(ui: &mut Ui) {
    let colours = palette(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(20.0, 20.0), Sense::hover());
    let painter = ui.painter();
    painter.rect_filled(rect, 5, colours.accent);
    let at = |x: f32, y: f32| rect.min + vec2(x, y) * (20.0 / 24.0);
    let crack = vec![at(15.0, 2.0), at(11.5, 8.5), at(14.0, 11.5), at(9.5, 16.0), at(10.5, 22.0)];
    painter.line(crack, (1.7, colours.on_accent));
}

/// What fills the middle of the window.
fn pages(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    for page in Page::ALL {
        let command = Command::Page(page);
        let on = desk.state.look.page == page;
        let (ink, fill) =
            if on { (colours.ink, colours.raised) } else { (colours.ink_faint, egui::Color32::TRANSPARENT) };
        let button = Button::new(theme::strong(page.label()).color(ink)).fill(fill).stroke(egui::Stroke::NONE);
        let response = ui.add(button.min_size(vec2(0.0, 7.0 * theme::GRID)));
        let response = response.on_hover_text(format!("{} {}", command.info().help, shortcut(ui, command)));
        response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Tab, true, on, page.label()));
        if on {
            let line = response.rect.shrink2(vec2(theme::GAP, 0.0));
            ui.painter().hline(line.x_range(), line.bottom() + 1.0, (2.0, colours.accent));
        }
        if response.clicked() {
            desk.run(command);
        }
    }
}

fn shortcut(ui: &Ui, command: Command) -> String {
    command.info().shortcut.map_or_else(String::new, |shortcut| format!("({})", shortcut_text(ui.ctx(), &shortcut)))
}

fn menu_items(ui: &mut Ui, desk: &mut Desk<'_>, menu: Menu) {
    ui.set_min_width(250.0);
    let classes = desk.state.photos.classes().len();
    let missing = |command| matches!(command, Command::Label(place) if place >= classes);
    for info in COMMANDS.iter().filter(|info| info.menu == menu && !missing(info.command)) {
        let label = desk.state.name_of(info);
        let mut button = Button::new(label_in_menu(desk, info.command, &label));
        if let Some(shortcut) = &info.shortcut {
            button = button.shortcut_text(shortcut_text(ui.ctx(), shortcut));
        }
        let enabled = desk.state.allows(info.command);
        if ui.add_enabled(enabled, button).on_hover_text(info.help).accessible_name(label.as_ref()).clicked() {
            desk.run(info.command);
            ui.close();
        }
        let group_ends = matches!(
            info.command,
            Command::OpenSamples
                | Command::AddReferenceFolder
                | Command::SaveRecipe
                | Command::ExportCoco
                | Command::CopyReport
                | Command::LastPhoto
                | Command::Undecide
                | Command::ZoomOut
                | Command::ToggleAdvance
                | Command::LabelByDecision
                | Command::ExportEvaluation
                | Command::LabelsFromClasses
                | Command::StopLab
                | Command::StopSegmenting
                | Command::UseTrained
                | Command::AddModelFile
                | Command::ClearFocus
                | Command::OpenBenchReport
                | Command::ExportMatches
                | Command::Page(Page::History)
                | Command::ToggleGrid
                | Command::ToggleLabels
        );
        if group_ends {
            ui.separator();
        }
    }
}

/// Undo and redo say what; switches show whether they are on.
fn label_in_menu(desk: &Desk<'_>, command: Command, label: &str) -> String {
    let history = &desk.state.history;
    let named = match command {
        Command::Undo => history.undo_name(),
        Command::Redo => history.redo_name(),
        _ => None,
    };
    match (named, desk.state.switch(command)) {
        (Some(what), _) => format!("{label} “{what}”"),
        (None, Some(true)) => format!("✓ {label}"),
        (None, _) => label.to_owned(),
    }
}

fn palette_button(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let info = Command::Palette.info();
    let keys = info.shortcut.map_or_else(String::new, |shortcut| shortcut_text(ui.ctx(), &shortcut));
    let button = Button::new((
        ICON_SEARCH.rich_text().size(15.0).color(colours.ink_faint),
        RichText::new("Find a command").color(colours.ink_faint),
    ))
    .shortcut_text(theme::small(keys).color(colours.ink_faint))
    .min_size(vec2(240.0, 7.0 * theme::GRID));
    let button = if ui.available_width() < SPELT_OUT {
        Button::new(ICON_SEARCH.rich_text().size(15.0).color(colours.ink_faint)).min_size(vec2(0.0, 7.0 * theme::GRID))
    } else {
        button
    };
    if ui.add(button).on_hover_text(info.help).accessible_name("Find a command").clicked() {
        desk.run(Command::Palette);
    }
}

fn model_chip(ui: &mut Ui, desk: &Desk<'_>) {
    let colours = palette(ui);
    let engine = &desk.state.engine;
    let Some(model) = &engine.model else { return };
    let memory = engine.memory_model.as_ref();
    let name = memory.map_or_else(|| model.id.clone(), |memory| format!("{} + {}", model.id, memory.id));
    let text = format!("{name} · {}", engine.device.split(" (").next().unwrap_or(&engine.device));
    let describe = |title: &str, model: &ModelInfo| {
        format!(
            "{title} {}: {} blocks, width {}, patches of {} px, input {} px, SHA-256 {}….\n",
            model.id,
            model.layers,
            model.width,
            model.patch_size,
            model.image_size,
            model.sha256.get(..16).unwrap_or(&model.sha256)
        )
    };
    let memory = memory.map_or_else(String::new, |memory| describe("Memory model", memory));
    let details = format!("{}{memory}Device: {}.", describe("Model", model), engine.device);
    ui.label(theme::small(text).color(colours.ink_faint)).on_hover_text(&details);
    ui.label(ICON_MEMORY.rich_text().size(15.0).color(colours.ink_faint)).on_hover_text(details);
}
