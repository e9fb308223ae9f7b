//! The photo: overlay, contour, boxes, zoom and pan, compare line. Shows what the state says; wheel and mouse come back as
//! wishes.

use std::fmt::Write as _;

use eframe::egui_wgpu::wgpu;
use egui::{
    Align, Color32, CursorIcon, Key, Layout, PointerButton, Pos2, Rect, Role, Sense, Shape, Stroke, StrokeKind, Ui,
    Vec2, WidgetInfo, pos2, vec2,
};
use egui_material_icons::icons::{
    ICON_COMPARE, ICON_CROP_FREE, ICON_FIT_SCREEN, ICON_GRID_VIEW, ICON_LAYERS, ICON_SHAPE_LINE, ICON_TUNE,
    ICON_WARNING,
};

use super::legend;
use crate::app::action::{Action, Desk};
use crate::app::command::{Command, shortcut_text};
use crate::app::media::ShownPhoto;
use crate::app::overlay::Overlay;
use crate::app::photo_list::{Entry, Outcome};
use crate::app::theme::{self, palette};
use crate::app::viewport::{self, Viewport};
use crate::app::widgets::{badge, icon_toggle};
use crate::report::ColourMap;

/// Width of the header from which opacity and colours stand in it; below, they are behind a button.
const WIDE: f32 = 640.0;

/// Height that the legend takes below a fitted photo.
const LEGEND: f32 = 80.0;

/// Shows header and picture; returns where the whole photo is fitted in.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>, target: Option<wgpu::TextureFormat>) -> Rect {
    header(ui, desk);
    let canvas = ui.available_rect_before_wrap();
    ui.painter().rect_filled(canvas, 0, palette(ui).canvas);
    let entry = desk.state.selected.and_then(|id| desk.state.photos.get(id)).cloned();
    let Some(entry) = entry else { return frame_of(canvas) };
    let photo = desk.media.photo(&entry.path);
    prefetch(desk);
    let ui = &mut ui.new_child(egui::UiBuilder::new().max_rect(canvas).id_salt("canvas"));
    ui.set_clip_rect(canvas.intersect(ui.clip_rect()));
    match photo {
        Some(photo) => picture(ui, desk, canvas, &photo, target),
        None => nothing_to_show(ui, desk, &entry, canvas),
    }
    frame_of(canvas)
}

/// Where the whole photo is fitted in: it leaves room for the legend.
fn frame_of(canvas: Rect) -> Rect {
    let mut frame = canvas.shrink(2.0 * theme::GAP);
    frame.set_bottom(canvas.bottom() - LEGEND);
    frame
}

/// The neighbours are decoded while this one is looked at.
fn prefetch(desk: &mut Desk<'_>) {
    for step in [1, -1] {
        let near = desk.state.photos.neighbour(desk.state.selected, step);
        if let Some(path) = near.and_then(|id| desk.state.photos.get(id)).map(|entry| entry.path.clone()) {
            desk.media.photo(&path);
        }
    }
}

/// In place of a photo that is not there.
pub fn nothing_to_show(ui: &Ui, desk: &Desk<'_>, entry: &Entry, canvas: Rect) {
    let colours = palette(ui);
    let text = match &entry.outcome {
        Outcome::Failed(error) => error.to_string(),
        _ if desk.media.failed(&entry.path) => {
            format!("{} cannot be decoded. Open it in another program, or export it again.", entry.name)
        }
        _ => "Decoding…".to_owned(),
    };
    let galley = ui.painter().layout(text, theme::body_font(), colours.ink_soft, canvas.width() * 0.7);
    ui.painter().galley(canvas.center() - galley.size() / 2.0, galley, colours.ink_soft);
}

/// What is said of the photo on view, and the switches; above the grid only the switch that leads back.
pub fn header(ui: &mut Ui, desk: &mut Desk<'_>) {
    let margin = egui::Margin { left: 14, right: 10, top: 6, bottom: 6 };
    let colours = palette(ui);
    egui::Frame::new().fill(colours.panel).inner_margin(margin).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.set_height(7.0 * theme::GRID);
            let entry = desk.state.selected.and_then(|id| desk.state.photos.get(id)).cloned();
            let wide = ui.available_width() >= WIDE;
            let tools = match desk.state.look.grid {
                true => 44.0,
                false if wide => 420.0,
                false => 216.0,
            };
            let room = (ui.available_width() - tools).max(80.0);
            ui.allocate_ui_with_layout(vec2(room, ui.available_height()), Layout::left_to_right(Align::Center), |ui| {
                ui.set_min_width(room);
                if let Some(entry) = &entry {
                    summary(ui, entry, &desk.state.photos.folder_prefix(entry));
                }
            });
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| tool_row(ui, desk, wide));
        });
    });
    let rect = ui.min_rect();
    ui.painter().hline(rect.x_range(), rect.bottom() - 0.5, (1.0, colours.line));
}

fn summary(ui: &mut Ui, entry: &Entry, folder: &str) {
    let colours = palette(ui);
    badge(ui, entry.verdict());
    if let Some(inspection) = entry.inspection() {
        ui.label(theme::strong(format!("{:.2}", inspection.normalised_score))).on_hover_text(score_tooltip(inspection));
    }
    let name = egui::Label::new(theme::strong(format!("{folder}{}", entry.name))).truncate();
    ui.add(name).on_hover_text(entry.path.display().to_string());
    if let Some(inspection) = entry.inspection() {
        if !inspection.quality.passed {
            ui.label(ICON_WARNING.rich_text().size(16.0).color(colours.uncertain));
            let reason = &inspection.quality.reason;
            let doubt = theme::strong(reason.split(':').next().unwrap_or(reason)).color(colours.uncertain);
            ui.label(doubt).on_hover_text(format!("{reason}\nThe limits stand in the recipe; they change no verdict."));
        }
        let reason = egui::Label::new(egui::RichText::new(&inspection.reason).color(colours.ink_soft)).truncate();
        ui.add(reason).on_hover_text(&inspection.reason);
    }
}

fn score_tooltip(inspection: &crate::anomaly::Inspection) -> String {
    let mut text = format!(
        "Score {:.2} of 1; the threshold is 0.5.\nRaw score {:.3}, threshold {:.3}.",
        inspection.normalised_score, inspection.image_score, inspection.image_threshold
    );
    if let Some(p) = inspection.p_value {
        let _ = write!(text, "\np-value {p:.3}: share of normal parts expected to score as high.");
    }
    text
}

fn tool_row(ui: &mut Ui, desk: &mut Desk<'_>, wide: bool) {
    ui.spacing_mut().item_spacing.x = 2.0;
    let switches = [
        (Command::ToggleGrid, ICON_GRID_VIEW),
        (Command::Fit, ICON_FIT_SCREEN),
        (Command::ToggleCompare, ICON_COMPARE),
        (Command::ToggleBoxes, ICON_CROP_FREE),
        (Command::ToggleContour, ICON_SHAPE_LINE),
        (Command::ToggleOverlay, ICON_LAYERS),
    ];
    let grid = desk.state.look.grid;
    for (command, icon) in switches.into_iter().take(if grid { 1 } else { switches.len() }) {
        let info = command.info();
        let keys =
            info.shortcut.map_or_else(String::new, |shortcut| format!(" ({})", shortcut_text(ui.ctx(), &shortcut)));
        let on = desk.state.switch(command).unwrap_or(false);
        if icon_toggle(ui, on, icon, info.label, &format!("{}{keys}", info.help)).clicked() {
            desk.run(command);
        }
    }
    if grid {
        return;
    }
    if wide {
        ui.add_space(theme::GAP);
        opacity(ui, desk);
        ui.add_space(theme::GRID);
        colour_menu(ui, desk);
        return;
    }
    let label = ICON_TUNE.rich_text().size(18.0).color(palette(ui).ink_soft);
    let button = egui::Button::new(label).frame_when_inactive(false);
    let (response, _) = egui::containers::menu::MenuButton::from_button(button).ui(ui, |ui| {
        ui.label(theme::small("Opacity of the overlay"));
        opacity(ui, desk);
        ui.separator();
        colour_choices(ui, desk);
    });
    response.on_hover_text("Opacity and colours of the overlay.").accessible_name("Opacity and colours");
}

fn opacity(ui: &mut Ui, desk: &mut Desk<'_>) {
    let mut opacity = f64::from(desk.state.look.opacity) * 100.0;
    let height = std::mem::replace(&mut ui.spacing_mut().interact_size.y, theme::HANDLE);
    ui.spacing_mut().slider_width = 84.0;
    let slider = egui::Slider::new(&mut opacity, 0.0..=100.0).show_value(false).step_by(1.0);
    let slid = ui.add(slider).on_hover_text(format!("Opacity of the overlay: {opacity:.0} %. The verdict stays."));
    if slid.accessible_name("Overlay opacity").changed() {
        desk.look(move |look| look.opacity = (opacity / 100.0) as f32);
    }
    ui.spacing_mut().interact_size.y = height;
}

fn colour_menu(ui: &mut Ui, desk: &mut Desk<'_>) {
    let now = desk.state.look.colours;
    let combo = egui::ComboBox::from_id_salt("colour map").selected_text(theme::small(now.name())).width(84.0);
    let shown = combo.show_ui(ui, |ui| colour_choices(ui, desk));
    shown.response.on_hover_text("Colours of the overlay. The verdict stays.").accessible_name("Colour map");
}

/// The colour maps, each with its colours.
fn colour_choices(ui: &mut Ui, desk: &mut Desk<'_>) {
    ui.set_min_width(190.0);
    for choice in ColourMap::ALL {
        let button = egui::Button::selectable(choice == desk.state.look.colours, choice.name());
        let response = ui.add(button.min_size(vec2(186.0, theme::ROW)));
        let swatch = Rect::from_min_max(
            response.rect.right_top() + vec2(-100.0, 7.0),
            response.rect.right_bottom() + vec2(-8.0, -7.0),
        );
        legend::paint_colours(ui, swatch, choice);
        if response.clicked() {
            desk.look(move |look| look.colours = choice);
            ui.close();
        }
    }
}

fn picture(ui: &mut Ui, desk: &mut Desk<'_>, canvas: Rect, photo: &ShownPhoto, target: Option<wgpu::TextureFormat>) {
    let size = viewport::size(photo.pixels.width(), photo.pixels.height());
    let mut port = desk.state.viewport;
    let framed = frame_of(canvas);
    port.settle(framed, size);
    if port != desk.state.viewport {
        desk.push(Action::Settle(port));
    }
    let settled = port;
    let response = ui.interact(canvas, ui.scope_id().with("picture"), Sense::click_and_drag());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, "Photo"));
    navigate(ui, desk, &response, framed, size, &mut port);
    if port != settled {
        desk.push(Action::Viewport(port));
    }
    let rect = port.photo_rect(framed, size);
    let texture = photo.texture(port.zoom * ui.pixels_per_point());
    let uv = Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0));
    ui.painter().image(texture.id(), rect, uv, Color32::WHITE);

    let look = &desk.state.look;
    let hidden = desk.state.bare;
    if let Some(view) = desk.state.view.clone().filter(|view| Some(view.id) == desk.state.selected) {
        if let Some(target) = target.filter(|_| !hidden && (look.overlay || look.contour)) {
            let visible = rect.intersect(canvas);
            if visible.is_positive() {
                let (low, threshold) = legend::scale(&view.calibration);
                let split = if look.compare {
                    (port.to_photo(framed, pos2(canvas.left() + canvas.width() * look.split, 0.0)).x / size.x).max(0.0)
                } else {
                    0.0
                };
                let overlay = Overlay {
                    map: view.map.clone(),
                    colours: desk.media.colour_table(look.colours),
                    uv: port.uv(framed, size, visible),
                    low,
                    threshold,
                    opacity: if look.overlay { look.opacity } else { 0.0 },
                    contour_px: if look.contour { 1.5 * ui.pixels_per_point() } else { 0.0 },
                    contour: [1.0, 1.0, 1.0, 0.85],
                    split,
                    target,
                };
                ui.painter().add(overlay.shape(visible));
            }
        }
        if look.boxes && !hidden {
            boxes(ui, desk, &port, framed, canvas);
        }
        if look.compare {
            compare_line(ui, desk, canvas);
        }
        if let Some(asked) = desk.state.asked {
            crosshair(ui, port.to_screen(framed, asked));
        }
        let cursor = desk.state.cursor.and_then(|at| view.map.at_photo(at.x, at.y));
        let cursor = cursor.map(|raw| view.calibration.normalise_pixel(raw));
        legend::paint(ui, canvas.left_bottom() + vec2(12.0, -12.0), &view.calibration, look.colours, cursor);
    } else {
        waiting(ui, desk, canvas);
    }
    zoom_chip(ui, &port, canvas);
}

fn waiting(ui: &Ui, desk: &Desk<'_>, canvas: Rect) {
    let colours = palette(ui);
    let text = match &desk.state.engine.preparing {
        Some((step, done, total)) => super::status_bar::step_text(*step, *done, *total),
        None => "Inspecting…".to_owned(),
    };
    let galley = ui.painter().layout_no_wrap(text, theme::body_font(), colours.ink_soft);
    let at = canvas.left_bottom() + vec2(26.0, -28.0 - galley.size().y / 2.0);
    ui.painter().rect_filled(
        Rect::from_min_size(at, galley.size()).expand2(vec2(14.0, 8.0)),
        theme::WIDE_RADIUS,
        colours.panel.gamma_multiply(0.94),
    );
    ui.painter().galley(at, galley, colours.ink_soft);
}

/// Wheel, drag, double click, click and cursor.
fn navigate(ui: &Ui, desk: &mut Desk<'_>, response: &egui::Response, canvas: Rect, size: Vec2, port: &mut Viewport) {
    let hover = response.hover_pos();
    if let Some(at) = hover {
        let (wheel, pinch) = ui.input(|i| (i.smooth_scroll_delta().y, i.zoom_delta()));
        let factor = if pinch == 1.0 { (wheel / 240.0).exp() } else { pinch };
        if factor != 1.0 {
            port.zoom_about(canvas, at, factor);
        }
        let point = port.to_photo(canvas, at);
        let inside = Rect::from_min_size(Pos2::ZERO, size).contains(point);
        desk.push(Action::Cursor(inside.then_some(point)));
    } else if desk.state.cursor.is_some() {
        desk.push(Action::Cursor(None));
    }
    let space = ui.input(|i| i.key_down(Key::Space)) && !ui.ctx().text_edit_focused();
    if response.dragged_by(PointerButton::Primary) || response.dragged_by(PointerButton::Middle) {
        port.pan(response.drag_delta());
        ui.ctx().set_cursor_icon(CursorIcon::Grabbing);
    } else if space && hover.is_some() {
        ui.ctx().set_cursor_icon(CursorIcon::Grab);
    } else if hover.is_some() {
        ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
    }
    let Some(at) = response.interact_pointer_pos() else { return };
    if response.double_clicked() {
        if port.fit {
            let point = port.to_photo(canvas, at);
            *port = Viewport { fit: false, zoom: 1.0 / ui.pixels_per_point(), centre: point.to_vec2() };
        } else {
            port.fit = true;
        }
    } else if response.clicked() && !space {
        let point = port.to_photo(canvas, at);
        if Rect::from_min_size(Pos2::ZERO, size).contains(point) {
            desk.push(Action::Ask(point));
        }
    }
}

fn boxes(ui: &Ui, desk: &Desk<'_>, port: &Viewport, framed: Rect, canvas: Rect) {
    let colours = palette(ui);
    let Some(view) = &desk.state.view else { return };
    for (index, region) in view.inspection.regions.iter().enumerate().rev() {
        let min = port.to_screen(framed, pos2(region.x as f32, region.y as f32));
        let max = port.to_screen(framed, pos2((region.x + region.width) as f32, (region.y + region.height) as f32));
        let rect = Rect::from_min_max(min, max).expand(1.0);
        let pointed = desk.state.region == Some(index);
        let width = if pointed { 2.5 } else { 1.5 };
        let ink = theme::DARK.ng;
        ui.painter().rect_stroke(rect, 2, (width + 2.0, Color32::from_black_alpha(110)), StrokeKind::Middle);
        ui.painter().rect_stroke(rect, 2, (width, ink), StrokeKind::Middle);
        let text = format!("{} · {:.2}", index + 1, region.confidence);
        let galley = ui.painter().layout_no_wrap(text, theme::strong_font(theme::SMALL), theme::DARK.on_verdict);
        let size = galley.size() + vec2(10.0, 3.0);
        let above = rect.top() - size.y - 1.0 >= canvas.top();
        let corner =
            if above { rect.left_top() - vec2(1.0, size.y + 1.0) } else { rect.left_bottom() + vec2(-1.0, 1.0) };
        let tag = Rect::from_min_size(corner, size);
        ui.painter().rect_filled(tag, 3, if pointed { colours.ink } else { ink });
        let ink = if pointed { colours.panel } else { theme::DARK.on_verdict };
        ui.painter().galley_with_override_text_color(tag.center() - galley.size() / 2.0, galley, ink);
    }
}

fn compare_line(ui: &Ui, desk: &mut Desk<'_>, canvas: Rect) {
    let x = canvas.left() + canvas.width() * desk.state.look.split;
    let line = Rect::from_center_size(pos2(x, canvas.center().y), vec2(12.0, canvas.height()));
    let response =
        ui.interact(line, ui.scope_id().with("compare"), Sense::drag()).on_hover_cursor(CursorIcon::ResizeHorizontal);
    response.widget_info(|| WidgetInfo::labeled(Role::Splitter, true, "Compare line"));
    if response.dragged() {
        let split = ((x + response.drag_delta().x - canvas.left()) / canvas.width()).clamp(0.02, 0.98);
        desk.look(move |look| look.split = split);
    }
    let ink = Color32::WHITE;
    ui.painter().vline(x, canvas.y_range(), Stroke::new(3.0, Color32::from_black_alpha(120)));
    ui.painter().vline(x, canvas.y_range(), Stroke::new(1.0, ink));
    let knob = pos2(x, canvas.center().y);
    ui.painter().circle(knob, 9.0, ink, (1.0, Color32::from_black_alpha(120)));
    for side in [-1.0, 1.0] {
        let tip = knob + vec2(side * 6.0, 0.0);
        let arrow = vec![tip, tip + vec2(-side * 4.0, -3.5), tip + vec2(-side * 4.0, 3.5)];
        ui.painter().add(Shape::convex_polygon(arrow, Color32::from_gray(40), Stroke::NONE));
    }
}

fn crosshair(ui: &Ui, at: Pos2) {
    for (width, ink) in [(3.0, Color32::from_black_alpha(140)), (1.2, Color32::WHITE)] {
        let stroke = Stroke::new(width, ink);
        ui.painter().circle_stroke(at, 7.0, stroke);
        for direction in [vec2(1.0, 0.0), vec2(-1.0, 0.0), vec2(0.0, 1.0), vec2(0.0, -1.0)] {
            ui.painter().line_segment([at + direction * 7.0, at + direction * 13.0], stroke);
        }
    }
}

/// How large the photo is shown.
pub fn zoom_chip(ui: &Ui, port: &Viewport, canvas: Rect) {
    let colours = palette(ui);
    let text = format!("{:.0} %", port.zoom * ui.pixels_per_point() * 100.0);
    let galley = ui.painter().layout_no_wrap(text, theme::small_font(), colours.ink_soft);
    let rect = Rect::from_min_size(canvas.right_bottom() - galley.size() - vec2(28.0, 20.0), galley.size());
    ui.painter().rect_filled(rect.expand2(vec2(8.0, 4.0)), theme::RADIUS, colours.panel.gamma_multiply(0.94));
    ui.painter().galley(rect.min, galley, colours.ink_soft);
}
