//! The photo with the masks over it: zoom and pan, the brush, and the box around an example.

use egui::{
    Align, Color32, CursorIcon, Event, Key, Layout, PointerButton, Pos2, Rect, Role, Sense, Stroke, StrokeKind, Ui,
    WidgetInfo, pos2, vec2,
};
use egui_material_icons::icons::{ICON_BRUSH, ICON_FIT_SCREEN, ICON_HIGHLIGHT_ALT, ICON_INK_ERASER, ICON_PAN_TOOL};

use super::{colour_of, mode};
use crate::app::action::{Action, Desk};
use crate::app::command::Command;
use crate::app::media::{LayersKey, ShownPhoto};
use crate::app::panels::canvas::{nothing_to_show, zoom_chip};
use crate::app::segmenting::decide::{self, Subject};
use crate::app::segmenting::{Prompt, Tool, Wish, correction};
use crate::app::theme::{self, palette};
use crate::app::viewport::{self, Viewport};
use crate::app::widgets::icon_toggle;

/// Smallest side of an example, in pixels of the photo.
const LEAST_EXAMPLE: f32 = 8.0;
/// Opacity inside a mask where the overlay is at its strongest.
const FILL: f32 = 0.7;
/// Width of the strip from which all of it stands in one line; below, the tools have a line of their own.
const ONE_LINE: f32 = 620.0;

/// Shows header and photo; returns where the whole photo is fitted in.
pub fn picture(ui: &mut Ui, desk: &mut Desk<'_>) -> Rect {
    strip(ui, |ui| {
        if ui.available_width() >= ONE_LINE {
            line(ui, |ui| {
                mode(ui, desk);
                ui.scope(|ui| tools(ui, desk));
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| view(ui, desk));
            });
        } else {
            line(ui, |ui| {
                mode(ui, desk);
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| view(ui, desk));
            });
            line(ui, |ui| tools(ui, desk));
        }
    });
    let canvas = ui.available_rect_before_wrap();
    ui.painter().rect_filled(canvas, 0, palette(ui).canvas);
    let framed = canvas.shrink(2.0 * theme::GAP);
    let Some(entry) = desk.state.selected.and_then(|id| desk.state.photos.get(id)).cloned() else { return framed };
    let photo = desk.media.photo(&entry.path);
    let ui = &mut ui.new_child(egui::UiBuilder::new().max_rect(canvas).id_salt("segment canvas"));
    ui.set_clip_rect(canvas.intersect(ui.clip_rect()));
    match photo {
        Some(photo) => shown(ui, desk, canvas, framed, &entry.path, &photo),
        None => nothing_to_show(ui, desk, &entry, canvas),
    }
    framed
}

/// The strip above where there are no masks: which half of the page.
pub fn header(ui: &mut Ui, desk: &mut Desk<'_>) {
    strip(ui, |ui| line(ui, |ui| mode(ui, desk)));
}

/// A line of the strip.
fn line(ui: &mut Ui, body: impl FnOnce(&mut Ui)) {
    ui.horizontal(|ui| {
        ui.set_height(7.0 * theme::GRID);
        ui.set_width(ui.available_width());
        body(ui);
    });
}

/// The strip above.
fn strip(ui: &mut Ui, body: impl FnOnce(&mut Ui)) {
    let colours = palette(ui);
    let margin = egui::Margin { left: 10, right: 10, top: 6, bottom: 6 };
    let strip = egui::Frame::new().fill(colours.panel).inner_margin(margin).show(ui, body);
    let rect = strip.response.rect;
    ui.painter().hline(rect.x_range(), rect.bottom() - 0.5, (1.0, colours.line));
    ui.add_space(-ui.spacing().item_spacing.y);
}

/// From the left: tools, size of the brush.
fn tools(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let segmenting = &desk.state.segmenting;
    let (tool, radius, active) = (segmenting.tool, segmenting.radius, segmenting.active);
    ui.spacing_mut().item_spacing.x = 2.0;
    let choices = [
        (Tool::Hand, ICON_PAN_TOOL, "Hand", "Move the photo. With every tool, Space or the middle button does so too."),
        (Tool::Add, ICON_BRUSH, "Brush", "Put pixels into the chosen layer's mask. The right button erases."),
        (Tool::Erase, ICON_INK_ERASER, "Eraser", "Take pixels out of the chosen layer's mask."),
        (
            Tool::Example,
            ICON_HIGHLIGHT_ALT,
            "Example",
            "Draw a box around something; everything that looks like it becomes a layer.",
        ),
    ];
    for (choice, icon, name, tooltip) in choices {
        let possible = active.is_some() || !matches!(choice, Tool::Add | Tool::Erase);
        let toggle = ui.add_enabled_ui(possible, |ui| icon_toggle(ui, tool == choice, icon, name, tooltip)).inner;
        if toggle.on_disabled_hover_text("Add a prompt first.").clicked() {
            desk.segment(Wish::Tool(choice));
        }
    }
    if matches!(tool, Tool::Add | Tool::Erase) {
        ui.add_space(theme::GAP);
        let mut radius = radius;
        let range = correction::RADII;
        let slider = egui::Slider::new(&mut radius, range).logarithmic(true).show_value(false);
        let response = small_slider(ui, slider).on_hover_text("Radius of the brush, in pixels of the photo.");
        if response.accessible_name("Brush radius").changed() {
            desk.segment(Wish::Radius(radius));
        }
        ui.add_space(theme::GRID);
        ui.label(theme::small(format!("{radius} px")).color(colours.ink_soft));
    }
}

/// From the right: fit, opacity.
fn view(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    ui.spacing_mut().item_spacing.x = theme::GAP;
    let info = Command::Fit.info();
    if icon_toggle(ui, desk.state.viewport.fit, ICON_FIT_SCREEN, info.label, info.help).clicked() {
        desk.run(Command::Fit);
    }
    let mut opacity = f64::from(desk.state.look.opacity) * 100.0;
    let slider = egui::Slider::new(&mut opacity, 0.0..=100.0).show_value(false).step_by(1.0);
    let slid = small_slider(ui, slider).on_hover_text(format!("Opacity of the masks: {opacity:.0} %. Outlines stay."));
    if slid.accessible_name("Mask opacity").changed() {
        desk.look(move |look| look.opacity = (opacity / 100.0) as f32);
    }
    ui.label(theme::small("Opacity").color(colours.ink_faint));
}

fn small_slider(ui: &mut Ui, slider: egui::Slider<'_>) -> egui::Response {
    ui.scope(|ui| {
        ui.spacing_mut().slider_width = 72.0;
        ui.spacing_mut().interact_size.y = theme::HANDLE;
        ui.add(slider)
    })
    .inner
}

fn shown(ui: &mut Ui, desk: &mut Desk<'_>, canvas: Rect, framed: Rect, path: &std::path::Path, photo: &ShownPhoto) {
    let size = viewport::size(photo.pixels.width(), photo.pixels.height());
    let mut port = desk.state.viewport;
    port.settle(framed, size);
    if port != desk.state.viewport {
        desk.push(Action::Settle(port));
    }
    let settled = port;
    let response = ui.interact(canvas, ui.scope_id().with("segmented photo"), Sense::click_and_drag());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, "Photo with masks"));
    handle(ui, desk, &response, framed, &mut port, path, photo);
    if port != settled {
        desk.push(Action::Viewport(port));
    }
    let rect = port.photo_rect(framed, size);
    let texture = photo.texture(port.zoom * ui.pixels_per_point());
    let uv = Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0));
    ui.painter().image(texture.id(), rect, uv, Color32::WHITE);
    let subjects = desk.state.segmenting.subjects(path);
    if !desk.state.bare {
        masks(ui, desk, &port, framed, rect.intersect(canvas), &subjects);
    }
    pointer(ui, desk, &response, &port, framed);
    read_out(ui, desk, canvas, &subjects);
    state_chip(ui, desk, canvas);
    zoom_chip(ui, &port, canvas);
}

/// The masks of visible layers, at the screen's resolution.
fn masks(ui: &Ui, desk: &mut Desk<'_>, port: &Viewport, framed: Rect, visible: Rect, subjects: &[Subject]) {
    if !visible.is_positive() {
        return;
    }
    let setup = &desk.state.segmenting.setup;
    let layers: Vec<(Subject, [u8; 3])> = subjects
        .iter()
        .filter_map(|subject| {
            let layer = setup.layer(subject.id).filter(|layer| layer.visible)?;
            Some((subject.clone(), colour_of(layer)))
        })
        .collect();
    if layers.is_empty() {
        return;
    }
    let window = Rect::from_min_max(port.to_photo(framed, visible.min), port.to_photo(framed, visible.max));
    let pixels = visible.size() * ui.pixels_per_point();
    let size = [pixels.x.round().max(1.0) as usize, pixels.y.round().max(1.0) as usize];
    let fill = desk.state.look.opacity * FILL;
    let shown: Vec<Subject> = layers.iter().map(|(subject, _)| subject.clone()).collect();
    let key = LayersKey {
        decision: decide::key(&shown),
        colours: layers.iter().map(|(_, colour)| *colour).collect(),
        window: [window.left(), window.top(), window.right(), window.bottom()],
        size,
        fill,
    };
    let texture = desk.media.layers(ui.ctx(), key, || decide::picture(&layers, window, size, fill));
    let uv = Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0));
    ui.painter().image(texture.id(), visible, uv, Color32::WHITE);
}

/// Wheel, pan, brush and box.
fn handle(
    ui: &Ui,
    desk: &mut Desk<'_>,
    response: &egui::Response,
    framed: Rect,
    port: &mut Viewport,
    path: &std::path::Path,
    photo: &ShownPhoto,
) {
    let size = viewport::size(photo.pixels.width(), photo.pixels.height());
    let inside = |point: Pos2| Rect::from_min_size(Pos2::ZERO, size).contains(point);
    if let Some(at) = response.hover_pos() {
        let (wheel, pinch) = ui.input(|i| (i.smooth_scroll_delta().y, i.zoom_delta()));
        let factor = if pinch == 1.0 { (wheel / 240.0).exp() } else { pinch };
        if factor != 1.0 {
            port.zoom_about(framed, at, factor);
        }
        let point = port.to_photo(framed, at);
        desk.push(Action::Cursor(inside(point).then_some(point)));
    } else if desk.state.cursor.is_some() {
        desk.push(Action::Cursor(None));
    }
    let segmenting = &desk.state.segmenting;
    let brushing = segmenting.brushing();
    let space = ui.input(|i| i.key_down(Key::Space)) && !ui.ctx().text_edit_focused() && brushing.is_none();
    let tool = if space { Tool::Hand } else { segmenting.tool };
    let hand = tool == Tool::Hand && response.dragged_by(PointerButton::Primary);
    if hand || response.dragged_by(PointerButton::Middle) {
        port.pan(response.drag_delta());
    }
    match tool {
        Tool::Hand if response.double_clicked() => port.fit = true,
        Tool::Hand => {}
        Tool::Add | Tool::Erase => {
            let ready = segmenting.can_brush(path);
            // The edges belong to the panels beside, which are dragged there.
            let paper = response.rect.shrink(ui.style().interaction.resize_grab_radius_side);
            let (ctx, layer) = (ui.ctx(), ui.layer_id());
            let begins =
                |at: Pos2| ready && paper.contains(at) && ctx.layer_id_at(at).is_none_or(|above| above == layer);
            let pixel = |at: Pos2| {
                let point = port.to_photo(framed, at);
                [point.x.floor() as i32, point.y.floor() as i32]
            };
            let events = ui.input(|i| i.events.clone());
            for wish in strokes(&events, tool == Tool::Erase, brushing, begins, pixel) {
                desk.segment(wish);
            }
        }
        Tool::Example => {
            if response.drag_stopped_by(PointerButton::Primary)
                && let Some(part) = boxed(ui, response, framed, port, size)
                && part.size().min_elem() >= LEAST_EXAMPLE
            {
                desk.segment(Wish::Add(Prompt::Example {
                    photo: path.to_owned(),
                    x: part.left() as u32,
                    y: part.top() as u32,
                    width: part.width() as u32,
                    height: part.height() as u32,
                }));
            }
        }
    }
}

/// What the events of one frame do with the brush: every press paints, even one that ends in the same frame, and a stroke
/// goes to where its button is let go. `under_way` is whether a stroke from before erases, `begins` whether one may begin
/// at a place.
fn strokes(
    events: &[Event],
    eraser: bool,
    mut under_way: Option<bool>,
    begins: impl Fn(Pos2) -> bool,
    pixel: impl Fn(Pos2) -> [i32; 2],
) -> Vec<Wish> {
    let mut wishes = Vec::new();
    for event in events {
        match *event {
            Event::PointerMoved(pos) => {
                if let Some(erase) = under_way {
                    wishes.push(Wish::Brush { erase, at: pixel(pos) });
                }
            }
            Event::PointerButton { pos, button, pressed, .. }
                if matches!(button, PointerButton::Primary | PointerButton::Secondary) =>
            {
                let erase = eraser || button == PointerButton::Secondary;
                if pressed && under_way.is_none() && begins(pos) {
                    wishes.push(Wish::Brush { erase, at: pixel(pos) });
                    under_way = Some(erase);
                } else if !pressed && under_way == Some(erase) {
                    wishes.push(Wish::Brush { erase, at: pixel(pos) });
                    wishes.push(Wish::Lift);
                    under_way = None;
                }
            }
            _ => {}
        }
    }
    wishes
}

/// The box being drawn, in whole pixels of the photo.
fn boxed(ui: &Ui, response: &egui::Response, framed: Rect, port: &Viewport, size: egui::Vec2) -> Option<Rect> {
    let (from, to) = (ui.input(|i| i.pointer.press_origin()), response.interact_pointer_pos());
    let from = from.or_else(|| ui.data(|data| data.get_temp::<Pos2>(response.id)))?;
    ui.data_mut(|data| data.insert_temp(response.id, from));
    let part = Rect::from_two_pos(port.to_photo(framed, from), port.to_photo(framed, to?));
    let part = part.intersect(Rect::from_min_size(Pos2::ZERO, size));
    part.is_positive().then(|| Rect::from_min_max(part.min.floor(), part.max.floor()))
}

/// What is under the pointer: the brush as a circle, the box.
fn pointer(ui: &Ui, desk: &Desk<'_>, response: &egui::Response, port: &Viewport, framed: Rect) {
    let segmenting = &desk.state.segmenting;
    let Some(at) = response.hover_pos().or_else(|| response.interact_pointer_pos()) else { return };
    let space = ui.input(|i| i.key_down(Key::Space));
    match segmenting.tool {
        _ if space => ui.ctx().set_cursor_icon(CursorIcon::Grab),
        Tool::Hand if response.dragged() => ui.ctx().set_cursor_icon(CursorIcon::Grabbing),
        Tool::Hand => ui.ctx().set_cursor_icon(CursorIcon::Grab),
        Tool::Add | Tool::Erase => {
            ui.ctx().set_cursor_icon(CursorIcon::None);
            let radius = (segmenting.radius as f32 + 0.5) * port.zoom;
            let layer = segmenting.active.and_then(|id| segmenting.setup.layer(id));
            let [r, g, b] = layer.map_or([255; 3], colour_of);
            let ink = if segmenting.tool == Tool::Erase { Color32::WHITE } else { Color32::from_rgb(r, g, b) };
            ui.painter().circle_stroke(at, radius, Stroke::new(3.0, Color32::from_black_alpha(140)));
            ui.painter().circle_stroke(at, radius, Stroke::new(1.4, ink));
            ui.painter().circle_filled(at, 1.5, ink);
        }
        Tool::Example => {
            ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
            let size = egui::Vec2::splat(f32::INFINITY);
            if response.dragged_by(PointerButton::Primary)
                && let Some(part) = boxed(ui, response, framed, port, size)
            {
                let rect = Rect::from_min_max(port.to_screen(framed, part.min), port.to_screen(framed, part.max));
                for (width, ink) in [(3.0, Color32::from_black_alpha(140)), (1.4, Color32::WHITE)] {
                    ui.painter().rect_stroke(rect, 1, (width, ink), StrokeKind::Middle);
                }
            }
        }
    }
}

/// The probabilities under the cursor.
fn read_out(ui: &Ui, desk: &Desk<'_>, canvas: Rect, subjects: &[Subject]) {
    let Some(at) = desk.state.cursor else { return };
    let colours = palette(ui);
    let mut job = egui::text::LayoutJob::default();
    let format = |ink| egui::TextFormat::simple(theme::small_font(), ink);
    job.append(&format!("{:.0}, {:.0}", at.x.floor(), at.y.floor()), 0.0, format(colours.ink_faint));
    for subject in subjects.iter().rev().take(6) {
        let Some(layer) = desk.state.segmenting.setup.layer(subject.id) else { continue };
        let (x, y) = (at.x as usize, at.y as usize);
        if x >= subject.map.width || y >= subject.map.height {
            continue;
        }
        let place = y * subject.map.width + x;
        let [r, g, b] = colour_of(layer);
        let mut name = layer.prompt.name();
        if name.chars().count() > 20 {
            name = name.chars().take(19).chain(['…']).collect();
        }
        job.append("●", 12.0, format(Color32::from_rgb(r, g, b)));
        let inside = if subject.is_inside(place) { "" } else { " (outside)" };
        let text = format!(" {name} {:.2}{inside}", subject.map.scores[place]);
        job.append(&text, 0.0, format(colours.ink_soft));
    }
    let galley = ui.painter().layout_job(job);
    let rect = Rect::from_min_size(canvas.left_bottom() + vec2(20.0, -20.0 - galley.size().y), galley.size());
    chip(ui, rect);
    ui.painter().galley(rect.min, galley, colours.ink_soft);
}

fn chip(ui: &Ui, rect: Rect) {
    let fill = palette(ui).panel.gamma_multiply(0.94);
    ui.painter().rect_filled(rect.expand2(vec2(8.0, 4.0)), theme::RADIUS, fill);
}

/// What the network is doing, and what to do where there is nothing to see.
fn state_chip(ui: &Ui, desk: &Desk<'_>, canvas: Rect) {
    let colours = palette(ui);
    let segmenting = &desk.state.segmenting;
    let (text, ink) = if let Some(job) = &segmenting.job {
        let tiles = if job.total > 1 { format!(" {} of {}", job.done, job.total) } else { String::new() };
        (format!("{}{tiles}…", if job.stopping { "Stopping" } else { job.what }), colours.ink_soft)
    } else if segmenting.setup.asking().next().is_none() {
        ("Say on the right what to find, or draw a box around an example.".to_owned(), colours.ink_soft)
    } else {
        return;
    };
    let galley = ui.painter().layout(text, theme::body_font(), ink, canvas.width() - 40.0);
    let at = pos2(canvas.center().x - galley.size().x / 2.0, canvas.top() + 14.0);
    let rect = Rect::from_min_size(at, galley.size());
    chip(ui, rect);
    ui.painter().galley(rect.min, galley, ink);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn button(at: f32, button: PointerButton, pressed: bool) -> Event {
        Event::PointerButton { pos: pos2(at, at), button, pressed, modifiers: egui::Modifiers::NONE }
    }

    /// The wishes in short: a place painted, or one erased, or the brush lifted.
    fn said(events: &[Event], eraser: bool, under_way: Option<bool>) -> String {
        let wishes = strokes(events, eraser, under_way, |at| at.x < 100.0, |at| [at.x as i32, at.y as i32]);
        let words = wishes.iter().map(|wish| match wish {
            Wish::Brush { erase, at } => format!("{}{}", if *erase { "-" } else { "+" }, at[0]),
            Wish::Lift => "lift".to_owned(),
            _ => "?".to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_press_paints_and_a_stroke_goes_to_where_it_is_let_go() {
        use PointerButton::{Middle, Primary, Secondary};
        let moved = |at: f32| Event::PointerMoved(pos2(at, at));
        let click = [button(5.0, Primary, true), button(5.0, Primary, false)];
        assert_eq!(said(&click, false, None), "+5 +5 lift");
        let twice = [click.to_vec(), vec![moved(9.0)], vec![button(9.0, Secondary, true)]].concat();
        assert_eq!(said(&twice, false, None), "+5 +5 lift -9");
        let end = [moved(7.0), moved(8.0), button(12.0, Primary, false), moved(20.0)];
        assert_eq!(said(&end, false, Some(false)), "+7 +8 +12 lift");
        let other = [button(5.0, Secondary, true), button(5.0, Secondary, false), moved(6.0)];
        assert_eq!(said(&other, false, Some(false)), "+6", "the other button ends no stroke");
        assert_eq!(said(&[button(200.0, Primary, true), moved(50.0)], false, None), "", "begun elsewhere");
        assert_eq!(said(&[button(5.0, Middle, true), moved(6.0)], false, None), "", "the photo is moved");
        assert_eq!(said(&click, true, None), "-5 -5 lift");
    }
}
