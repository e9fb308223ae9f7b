//! The side of the page: model and how it looks, a row for each layer, and the regions found.

use egui::{Align, Color32, DragValue, Layout, Rect, ScrollArea, Sense, TextEdit, Ui, pos2, vec2};
use egui_material_icons::icons::{
    ICON_ADD, ICON_CLOSE, ICON_IOS_SHARE, ICON_RESTART_ALT, ICON_STOP_CIRCLE, ICON_VISIBILITY, ICON_VISIBILITY_OFF,
    ICON_WARNING,
};

use super::{colour_of, edit};
use crate::app::action::Desk;
use crate::app::command::Command;
use crate::app::panels::classify::short;
use crate::app::panels::decision_sections::titled;
use crate::app::segmenting::decide::DecidedLayer;
use crate::app::segmenting::{DEFAULT_MODEL, LayerSetup, Prompt, Wish};
use crate::app::theme::{self, palette};
use crate::app::widgets::icon_button::text_button;
use crate::app::widgets::table::{TableRow, table};
use crate::app::widgets::{ICON_BUTTON, SliderRow, icon_button, icon_toggle, named};
use crate::count::count;
use crate::model::POCKET_SEG;

/// Width of the names on the left of a row.
const NAME: f32 = 56.0;
/// Room that the button for a folder takes.
const FOLDER: f32 = 92.0;
/// Words that are offered, after the classes of the bench.
const OFFERED: [&str; 4] = ["crack", "scratch", "hole", "stain"];

/// Said wherever the embedded model draws the masks.
const POCKET_SEG_NOTE: &str = "The embedded pocket-seg marks what looks damaged, and hardly listens to your words: it \
     does not tell a crack from a hole, and words for what is not there get a mask too. Train it on masks of your own, or \
     choose a published CLIPSeg.";

/// Shows the side.
pub fn side(ui: &mut Ui, desk: &mut Desk<'_>) {
    ScrollArea::vertical().auto_shrink(false).id_salt("segment side").show(ui, |ui| {
        let margin = egui::Margin { left: 14, right: 14, top: 8, bottom: 24 };
        egui::Frame::new().inner_margin(margin).show(ui, |ui| {
            ui.set_width(ui.available_width());
            let summary = count(desk.state.segmenting.setup.layers.len(), "layer", "layers");
            titled(ui, desk, "What to find", &summary, prompts);
            let summary = summary_of_options(desk);
            titled(ui, desk, "How to look", &summary, options);
            titled(ui, desk, "Regions found", "", regions);
            titled(ui, desk, "Masks as files", "", files);
        });
    });
}

fn prompts(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    if let Some(problem) = desk.state.segmenting.problem.clone() {
        ui.label(egui::RichText::new(problem).color(colours.ng));
        if text_button(ui, ICON_RESTART_ALT, "Try again", "Ask the network once more.").clicked() {
            desk.segment(Wish::Retry);
        }
        ui.add_space(theme::GRID);
    }
    if desk.state.segmenting.setup.model == POCKET_SEG {
        ui.horizontal_top(|ui| {
            ui.label(ICON_WARNING.rich_text().size(13.0).color(colours.uncertain));
            ui.vertical(|ui| {
                ui.set_max_width(ui.available_width());
                ui.add(egui::Label::new(theme::small(POCKET_SEG_NOTE).color(colours.uncertain)).wrap());
            });
        });
        ui.add_space(theme::GRID);
    }
    let layers = desk.state.segmenting.setup.layers.clone();
    for layer in layers.iter().rev() {
        ui.push_id(layer.id, |ui| row(ui, desk, layer));
    }
    add(ui, desk);
    if let Some(job) = desk.state.segmenting.job.clone().filter(|job| !job.stopping && job.total > 1) {
        ui.horizontal_wrapped(|ui| {
            let text = format!("{}: {} of {}", job.what, job.done, job.total);
            let bar = egui::ProgressBar::new(job.done as f32 / job.total as f32).desired_width(120.0);
            ui.add(bar.desired_height(6.0).fill(colours.accent).corner_radius(3)).accessible_name(&text);
            ui.label(theme::small(text).color(colours.ink_soft));
            let info = Command::StopSegmenting.info();
            if text_button(ui, ICON_STOP_CIRCLE, "Stop", info.help).clicked() {
                desk.run(Command::StopSegmenting);
            }
        });
    }
}

/// A new prompt: typed, or one of those offered.
fn add(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let mut typed = desk.state.segmenting.typed.clone();
    let mut wish = None;
    ui.horizontal(|ui| {
        let width = ui.available_width() - ICON_BUTTON - 20.0;
        let field = TextEdit::singleline(&mut typed).hint_text("what to find, e.g. a crack").desired_width(width);
        let tooltip = "In plain English words. Enter adds a layer.";
        let response = ui.add(field.margin(vec2(6.0, 4.0))).on_hover_text(tooltip);
        let response = response.accessible_name("New prompt");
        let entered = response.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter));
        let pressed = icon_button(ui, ICON_ADD, "Add prompt", "Look for this, as a layer of its own.").clicked();
        if (entered || pressed) && !typed.trim().is_empty() {
            wish = Some(Wish::Add(Prompt::Words(typed.trim().to_owned())));
            if entered {
                response.request_focus();
            }
        } else if response.changed() {
            wish = Some(Wish::Typed(typed));
        }
    });
    let taken: Vec<String> = desk.state.segmenting.setup.layers.iter().map(|layer| layer.prompt.name()).collect();
    let classes = desk.state.photos.classes().iter().filter(|class| !class.normal).map(|class| class.name.to_string());
    let mut offered: Vec<String> = classes.filter(|name| name != "defect").collect();
    offered.extend(OFFERED.map(ToOwned::to_owned));
    offered.retain(|name| !taken.contains(name));
    offered.truncate(5);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = theme::GRID;
        ui.spacing_mut().button_padding = vec2(7.0, 2.0);
        for name in offered {
            let text = theme::small(format!("+ {name}")).color(colours.ink_soft);
            let button = egui::Button::new(text).fill(Color32::TRANSPARENT).stroke((1.0, colours.line));
            let response = ui.add(button.corner_radius(10)).on_hover_text("Look for this.");
            if response.accessible_name(format!("Find {name}")).clicked() {
                wish = Some(Wish::Add(Prompt::Words(name)));
            }
        }
    });
    if let Some(wish) = wish {
        desk.segment(wish);
    }
}

/// One layer: visible or not, its words, threshold and outcome.
fn row(ui: &mut Ui, desk: &mut Desk<'_>, layer: &LayerSetup) {
    let colours = palette(ui);
    let name = layer.prompt.name();
    let active = desk.state.segmenting.active == Some(layer.id);
    let id = layer.id;
    let fill = if active { colours.raised } else { Color32::TRANSPARENT };
    let margin = egui::Margin { left: 8, right: 6, top: 4, bottom: 4 };
    let card = egui::Frame::new().fill(fill).corner_radius(theme::RADIUS).inner_margin(margin).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = theme::GRID;
            let (icon, what) = if layer.visible { (ICON_VISIBILITY, "Hide") } else { (ICON_VISIBILITY_OFF, "Show") };
            let tooltip = format!("{what} this layer. The mask stays.");
            if icon_toggle(ui, layer.visible, icon, &format!("{what} {name}"), &tooltip).clicked() {
                edit(desk, format!("{what} {name}"), move |setup| {
                    if let Some(layer) = setup.layer_mut(id) {
                        layer.visible = !layer.visible;
                    }
                });
            }
            swatch(ui, desk, layer, active);
            let width = ui.available_width() - ICON_BUTTON - 16.0;
            match &layer.prompt {
                Prompt::Words(words) => {
                    let mut words = words.clone();
                    let field = TextEdit::singleline(&mut words).desired_width(width).margin(vec2(6.0, 4.0));
                    let response = ui.add(field).accessible_name(format!("Words of layer {}", id + 1));
                    if response.gained_focus() {
                        desk.segment(Wish::Activate(id));
                    }
                    if response.changed() {
                        edit(desk, format!("Words of layer {}", id + 1), move |setup| {
                            if let Some(layer) = setup.layer_mut(id) {
                                layer.prompt = Prompt::Words(words);
                            }
                        });
                    }
                }
                Prompt::Example { photo, x, y, width: w, height: h } => {
                    example(
                        ui,
                        desk,
                        photo,
                        Rect::from_min_size(pos2(*x as f32, *y as f32), vec2(*w as f32, *h as f32)),
                    );
                    ui.allocate_ui_with_layout(
                        vec2(width - 34.0, theme::ROW),
                        Layout::left_to_right(Align::Center),
                        |ui| {
                            ui.set_min_width(width - 34.0);
                            let file = crate::app::photo_list::file_name(photo);
                            ui.add(egui::Label::new(theme::small(format!("like in {file}"))).truncate())
                                .on_hover_text(format!("{w} × {h} pixels at {x}, {y} of {}", photo.display()));
                        },
                    );
                }
            }
            if icon_button(ui, ICON_CLOSE, &format!("Remove {name}"), "Take this layer away; Ctrl+Z brings it back.")
                .clicked()
            {
                edit(desk, format!("Remove {name}"), move |setup| setup.layers.retain(|layer| layer.id != id));
            }
        });
        let tooltip = "Probability from which a pixel belongs to the mask. Lower takes in more. No network runs.";
        let threshold = SliderRow::new("Threshold", 0.01..=0.99, tooltip).default(0.5);
        ui.push_id(("threshold", id), |ui| {
            // On a card a track in the colour of cards would not be seen.
            ui.visuals_mut().widgets.inactive.bg_fill = colours.raised.lerp_to_gamma(colours.ink_faint, 0.35);
            // An f32 at the end of the slider lies beyond it by a hair, which would count as a change in every frame.
            let now = (f64::from(layer.threshold) * 1e4).round() / 1e4;
            if let Some(value) = threshold.show(ui, now) {
                edit(desk, format!("Threshold of {name}"), move |setup| {
                    if let Some(layer) = setup.layer_mut(id) {
                        layer.threshold = value as f32;
                    }
                });
                desk.segment(Wish::Activate(id));
            }
        });
        outcome(ui, desk, layer);
    });
    let whole = card.response.rect;
    if active {
        let [r, g, b] = colour_of(layer);
        let bar = Rect::from_min_size(whole.min, vec2(3.0, whole.height()));
        ui.painter().rect_filled(bar, 2, Color32::from_rgb(r, g, b));
    }
    ui.add_space(theme::GRID);
}

/// The layer's colour; a click makes it the one that the brush corrects.
fn swatch(ui: &mut Ui, desk: &mut Desk<'_>, layer: &LayerSetup, active: bool) {
    let colours = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(18.0, theme::ROW), Sense::click());
    let [r, g, b] = colour_of(layer);
    ui.painter().rect_filled(Rect::from_center_size(rect.center(), vec2(13.0, 13.0)), 3, Color32::from_rgb(r, g, b));
    if active || response.hovered() || response.has_focus() {
        let ring = Rect::from_center_size(rect.center(), vec2(17.0, 17.0));
        ui.painter().rect_stroke(ring, 5, (1.5, colours.accent), egui::StrokeKind::Middle);
    }
    let name = format!("Correct {}", layer.prompt.name());
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, active, &name));
    if response.on_hover_text("Choose this layer: the brush corrects it.").clicked() {
        desk.segment(Wish::Activate(layer.id));
    }
}

/// A part of a photo, small.
fn example(ui: &mut Ui, desk: &mut Desk<'_>, photo: &std::path::Path, part: Rect) {
    let (rect, _) = ui.allocate_exact_size(vec2(30.0, theme::ROW), Sense::hover());
    let Some(shown) = desk.media.photo(photo) else {
        ui.painter().rect_filled(rect, 3, palette(ui).hover);
        return;
    };
    let size = vec2(shown.pixels.width() as f32, shown.pixels.height() as f32);
    let uv = Rect::from_min_max((part.min.to_vec2() / size).to_pos2(), (part.max.to_vec2() / size).to_pos2());
    let scale = (rect.size() / part.size()).min_elem();
    let fitted = Rect::from_center_size(rect.center(), part.size() * scale);
    ui.painter().image(shown.texture(f32::INFINITY).id(), fitted, uv, Color32::WHITE);
}

/// How much of the photo on view the mask covers, and what the brush did to it.
fn outcome(ui: &mut Ui, desk: &mut Desk<'_>, layer: &LayerSetup) {
    let colours = palette(ui);
    let Some(photo) = desk.state.selected.and_then(|id| desk.state.photos.get(id)).map(|entry| entry.path.clone())
    else {
        return;
    };
    let segmenting = &desk.state.segmenting;
    let strokes = segmenting.strokes(&photo, layer.id).map_or(0, |strokes| strokes.len());
    let map = segmenting.maps.get(&segmenting.setup.key(&photo, &layer.prompt));
    let decided = segmenting.decided.as_ref().zip(map);
    let text = match decided.and_then(|(decided, map)| decided.layer(layer.id, map)) {
        Some(DecidedLayer { share, count: regions, .. }) => {
            format!("{:.2} % of the photo · {}", share * 100.0, count(*regions, "region", "regions"))
        }
        None if layer.prompt.is_empty() => "Write what to find.".to_owned(),
        None if segmenting.problem.is_some() => "no mask".to_owned(),
        None => "…".to_owned(),
    };
    ui.horizontal_wrapped(|ui| {
        ui.label(theme::small(text).color(colours.ink_faint));
        if strokes > 0 {
            let text = count(strokes, "stroke", "strokes");
            ui.label(theme::small(format!("· {text}")).color(colours.ink_soft));
            let tooltip = "Take all strokes on this photo and layer away; Ctrl+Z brings them back.";
            let name = format!("Undo strokes of {}", layer.prompt.name());
            if icon_button(ui, ICON_RESTART_ALT, &name, tooltip).clicked() {
                desk.segment(Wish::Restore(layer.id));
            }
        }
    });
}

fn summary_of_options(desk: &Desk<'_>) -> String {
    let setup = &desk.state.segmenting.setup;
    let mut summary = short(&setup.model);
    if setup.tiled {
        summary.push_str(" · tiles");
    }
    if setup.guided {
        summary.push_str(" · edges");
    }
    summary
}

fn options(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let setup = desk.state.segmenting.setup.clone();
    ui.horizontal(|ui| {
        let tooltip = "A CLIPSeg network: the embedded one, an installed one, or a folder, e.g. one trained here.";
        named(ui, NAME, egui::RichText::new("Model").color(colours.ink_soft)).on_hover_text(tooltip);
        // The button beside it keeps its place, however narrow the panel is.
        let width = (ui.available_width() - FOLDER - theme::GAP).clamp(60.0, 140.0);
        let combo = egui::ComboBox::from_id_salt("segment model").selected_text(short(&setup.model)).width(width);
        let choices = |ui: &mut Ui| {
            let mut names = vec![DEFAULT_MODEL.to_owned()];
            for name in desk.state.segmenting.models.iter().chain([&setup.model]) {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
            for name in names {
                if ui.selectable_label(name == setup.model, short(&name)).on_hover_text(&name).clicked() {
                    edit(desk, "Model of the masks", move |setup| setup.model = name);
                }
            }
        };
        let shown = ui.scope(|ui| {
            ui.set_max_width(width);
            combo.truncate().show_ui(ui, choices)
        });
        shown.inner.response.on_hover_text(tooltip).accessible_name("Model of the masks");
        if text_button(ui, ICON_ADD, "Folder…", Command::AddModelFolder.info().help).clicked() {
            desk.run(Command::AddModelFolder);
        }
    });
    ui.horizontal(|ui| {
        let tooltip = "Go over large photos in overlapping tiles, so that small things are seen. Takes longer.";
        let mut tiled = setup.tiled;
        if ui.checkbox(&mut tiled, "In tiles of").on_hover_text(tooltip).changed() {
            edit(desk, "Tiles", move |setup| setup.tiled = tiled);
        }
        let mut tile = setup.tile;
        let number = DragValue::new(&mut tile).range(64..=4096).speed(4.0).suffix(" px").update_while_editing(false);
        let response = ui.add_enabled(setup.tiled, number).on_hover_text(tooltip);
        if response.accessible_name("Tile side").changed() {
            edit(desk, "Tile side", move |setup| setup.tile = tile);
        }
    });
    ui.horizontal(|ui| {
        let tooltip = "Pull the masks' edges to edges of the photo (guided filter), within this many pixels.";
        let mut guided = setup.guided;
        if ui.checkbox(&mut guided, "Edges of the photo within").on_hover_text(tooltip).changed() {
            edit(desk, "Edges of the photo", move |setup| setup.guided = guided);
        }
        let mut radius = setup.radius;
        let number = DragValue::new(&mut radius).range(1..=200).speed(0.2).suffix(" px").update_while_editing(false);
        let response = ui.add_enabled(setup.guided, number).on_hover_text(tooltip);
        if response.accessible_name("Edge radius").changed() {
            edit(desk, "Edge radius", move |setup| setup.radius = radius);
        }
    });
}

/// Area and probability of each region; a click shows it.
fn regions(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let segmenting = &desk.state.segmenting;
    let setup = segmenting.setup.clone();
    let photo = desk.state.selected.and_then(|id| desk.state.photos.get(id)).map(|entry| entry.path.clone());
    let subjects = photo.map(|photo| segmenting.subjects(&photo)).unwrap_or_default();
    let Some(decided) = segmenting.decided.clone().filter(|_| !subjects.is_empty()) else {
        ui.label(theme::small("Regions of the masks are listed here.").color(colours.ink_faint));
        return;
    };
    for layer in setup.layers.iter().rev().filter(|layer| layer.visible) {
        let subject = subjects.iter().find(|subject| subject.id == layer.id);
        let Some(found) = subject.and_then(|subject| decided.layer(layer.id, &subject.map)) else { continue };
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = theme::GRID;
            let (dot, _) = ui.allocate_exact_size(vec2(12.0, theme::ROW), Sense::hover());
            let [r, g, b] = colour_of(layer);
            ui.painter().circle_filled(dot.center(), 4.0, Color32::from_rgb(r, g, b));
            ui.add(egui::Label::new(theme::strong(layer.prompt.name())).truncate());
        });
        if found.regions.is_empty() {
            ui.label(theme::small("Nothing reaches the threshold.").color(colours.ink_faint));
            continue;
        }
        let rows: Vec<TableRow> = found
            .regions
            .iter()
            .map(|region| TableRow {
                name: region.location.clone(),
                values: vec![region.area.to_string(), format!("{:.2}", region.peak), format!("{:.2}", region.mean)],
                strong: false,
                tooltip: Some(format!(
                    "{} × {} pixels at {}, {}. Click to see it large.",
                    region.width, region.height, region.x, region.y
                )),
            })
            .collect();
        ui.push_id(layer.id, |ui| {
            ui.set_max_height(240.0);
            ScrollArea::vertical().id_salt("regions").max_height(240.0).auto_shrink([false, true]).show(ui, |ui| {
                let place = format!("place of {}", layer.prompt.name());
                if found.count > found.regions.len() {
                    let text = format!("The largest {} of {} are listed.", found.regions.len(), found.count);
                    ui.label(theme::small(text).color(colours.ink_faint));
                }
                let clicked = table(ui, &place, &["area px", "highest", "mean"], &rows);
                if let Some(region) = clicked.and_then(|row| found.regions.get(row)) {
                    let min = pos2(region.x as f32, region.y as f32);
                    let part = Rect::from_min_size(min, vec2(region.width as f32, region.height as f32));
                    desk.segment(Wish::Show(part));
                }
            });
        });
        ui.add_space(theme::GRID);
    }
}

fn files(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let corrected = desk.state.segmenting.corrected().len();
    for (command, text) in [(Command::ExportMasks, "PNG of this photo…"), (Command::ExportCoco, "COCO of corrected…")]
    {
        let info = command.info();
        let allowed = desk.state.allows(command);
        let button = ui.add_enabled_ui(allowed, |ui| text_button(ui, ICON_IOS_SHARE, text, info.help)).inner;
        let why = match command {
            Command::ExportMasks => "There is no mask of this photo yet.",
            _ => "No mask was corrected by brush yet.",
        };
        if button.on_disabled_hover_text(why).clicked() {
            desk.run(command);
        }
    }
    let text = match corrected {
        0 => "Photos whose masks you correct are counted here.".to_owned(),
        count => format!("{} corrected by brush.", crate::app::state::photos(count)),
    };
    ui.label(theme::small(text).color(colours.ink_faint));
}
