//! The numbers of the recipe: weights, thresholds, and what needs the network again. Each says what it changes in the
//! verdict.

use std::ops::RangeInclusive;

use egui::{Align, Layout, Role, Sense, TextEdit, Ui, WidgetInfo, vec2};
use egui_material_icons::icons::ICON_RESTART_ALT;

use crate::Recipe;
use crate::app::action::{Action, Desk};
use crate::app::command::Command;
use crate::app::theme::{self, palette};
use crate::app::widgets::slider_row::NAME;
use crate::app::widgets::{ICON_BUTTON, SliderRow, icon_button, named, section};
use crate::recipe::{Comparison, ImageScore, MOST_NEIGHBOURS, MemoryFeatures, Method, Normalisation};

/// A section of the recipe whose fold is remembered.
pub fn titled(
    ui: &mut Ui,
    desk: &mut Desk<'_>,
    title: &'static str,
    summary: &str,
    body: impl FnOnce(&mut Ui, &mut Desk<'_>),
) {
    let open = !desk.state.look.folded.iter().any(|folded| folded == title);
    if section(ui, title, summary, open, |ui| body(ui, desk)) {
        desk.push(Action::Look(Box::new(move |look| {
            if open {
                look.folded.push(title.to_owned());
            } else {
                look.folded.retain(|folded| folded != title);
            }
        })));
    }
}

/// One number of the recipe.
fn number(
    ui: &mut Ui,
    desk: &mut Desk<'_>,
    row: SliderRow<'_>,
    what: &'static str,
    value: f32,
    set: fn(&mut Recipe, f32),
) {
    if let Some(new) = row.show(ui, f64::from(value)) {
        desk.edit(what, move |recipe| set(recipe, new as f32));
    }
}

/// Method, weights, smoothing.
pub fn weights(ui: &mut Ui, desk: &mut Desk<'_>) {
    let recipe = desk.state.recipe.clone();
    let preset = Recipe::for_method(recipe.method);
    let sum = (recipe.text_weight + recipe.memory_weight).max(1e-6);
    let summary = format!("{} · text {:.0} %", recipe.method, 100.0 * recipe.text_weight / sum);
    titled(ui, desk, "Weights", &summary, |ui, desk| {
        method(ui, desk, &recipe);
        let row =
            SliderRow::new("Text", 0.0..=1.0, "Share of the words in the score, against the share of the references.")
                .default(f64::from(preset.text_weight));
        number(ui, desk, row, "Text weight", recipe.text_weight, |recipe, value| recipe.text_weight = value);
        let row = SliderRow::new(
            "References",
            0.0..=1.0,
            "Share of the distance to the references in the score. Without references the words decide alone.",
        )
        .default(f64::from(preset.memory_weight));
        number(ui, desk, row, "Reference weight", recipe.memory_weight, |recipe, value| recipe.memory_weight = value);
        let row = SliderRow::new(
            "Smoothing",
            0.0..=24.0,
            "Width of the blur over the map. More joins neighbouring spots and weakens small ones.",
        )
        .unit(" px")
        .decimals(1)
        .default(f64::from(preset.sigma_px));
        number(ui, desk, row, "Smoothing", recipe.sigma_px, |recipe, value| recipe.sigma_px = value);
        let row = SliderRow::new("Worst share", 0.01..=20.0, "Share of the patches whose mean is the photo's score. Small: one spot decides. Large: the whole part does.")
            .unit(" %").decimals(2).logarithmic().default(100.0 * f64::from(preset.top_fraction));
        number(ui, desk, row, "Worst share", 100.0 * recipe.top_fraction, |recipe, value| {
            recipe.top_fraction = value / 100.0;
        });
        choice(
            ui,
            desk,
            "Scale by",
            "What a score is measured against: the references (the same for every photo) or the photo's own spread.",
            recipe.normalisation,
            &[
                (Normalisation::References, "references"),
                (Normalisation::Photo, "the photo itself"),
                (Normalisation::None, "nothing"),
            ],
            |recipe, value| recipe.normalisation = value,
        );
        choice(
            ui,
            desk,
            "Photo score",
            "Whether the most deviating patches decide about a photo, or what the words say of it as a whole and the one most deviating patch of the references' map.",
            recipe.image_score,
            &[(ImageScore::Patches, "worst patches"), (ImageScore::Whole, "the whole photo")],
            |recipe, value| recipe.image_score = value,
        );
    });
}

fn method(ui: &mut Ui, desk: &mut Desk<'_>, recipe: &Recipe) {
    let colours = palette(ui);
    ui.horizontal(|ui| {
        named(ui, NAME, egui::RichText::new("Method").color(colours.ink_soft));
        let combo =
            egui::ComboBox::from_id_salt("method").selected_text(recipe.method.name()).width(ui.available_width());
        let combo = combo.height(theme::ROW * (Method::ALL.len() + 1) as f32);
        let shown = combo.show_ui(ui, |ui| {
            for method in Method::ALL {
                let help = match method {
                    Method::Fused => "Words and references together, on the scale of the references. The default.",
                    Method::Memory => "Distance to the references alone; needs references.",
                    Method::Origin => "The origin system: text 0.3, references 0.7, each photo on its own scale.",
                    Method::Patchcore => "Distance of each patch with its neighbours to a tenth of the references' patches; needs references.",
                    Method::Subspace => "What the principal components of the references leave over; needs references.",
                    Method::Winclip => "Words alone, on windows of several sizes (WinCLIP). Takes many times as long.",
                    Method::WinclipPlus => "WinCLIP beside windows and patches of the references, half and half; needs references.",
                    Method::Batch => "The photos on the bench against each other (MuSc): no references, but most photos have to be good.",
                };
                if ui.selectable_label(method == recipe.method, method.name()).on_hover_text(help).clicked() {
                    desk.edit("Method", move |recipe| recipe.apply_method(method));
                }
            }
        });
        shown
            .response
            .on_hover_text("A set of weights and scales to start from. Later changes stay until you choose again.")
            .accessible_name("Method");
    });
}

fn choice<T: Copy + PartialEq + 'static>(
    ui: &mut Ui,
    desk: &mut Desk<'_>,
    name: &'static str,
    tooltip: &str,
    now: T,
    all: &[(T, &'static str)],
    set: fn(&mut Recipe, T),
) {
    let colours = palette(ui);
    ui.horizontal(|ui| {
        named(ui, NAME, egui::RichText::new(name).color(colours.ink_soft)).on_hover_text(tooltip);
        let text = all.iter().find(|(value, _)| *value == now).map_or("", |(_, text)| *text);
        let combo = egui::ComboBox::from_id_salt(name).selected_text(text).width(ui.available_width());
        let shown = combo.show_ui(ui, |ui| {
            for &(value, text) in all {
                if ui.selectable_label(value == now, text).clicked() {
                    desk.edit(name, move |recipe| set(recipe, value));
                }
            }
        });
        shown.response.on_hover_text(tooltip).accessible_name(name);
    });
}

/// Thresholds and regions.
pub fn decision(ui: &mut Ui, desk: &mut Desk<'_>) {
    let recipe = desk.state.recipe.clone();
    let summary = if recipe.image_threshold.is_some() {
        "threshold by hand"
    } else if recipe.comparison == Comparison::Mutual {
        "threshold from the batch"
    } else if recipe.references.is_empty() {
        "default threshold"
    } else {
        "threshold calibrated"
    };
    titled(ui, desk, "Decision", summary, |ui, desk| {
        // The range rests on what no slider here moves, or it would run away from the hand.
        let calibration = desk.state.view.as_ref().map(|view| view.calibration.clone());
        let around = |middle: f32, median: f32| {
            let span = 2.0 * (middle - median).abs().max(1.0);
            middle - span..=middle + span
        };
        let (image, pixel) = calibration.as_ref().map_or((-5.0..=15.0, -5.0..=15.0), |c| {
            (around(c.calibrated.0, c.image_median), around(c.calibrated.1, c.pixel_median))
        });
        let scores = desk.state.photos.iter().filter_map(|entry| entry.inspection()).map(|i| i.image_score);
        let image = scores
            .filter(|score| score.is_finite())
            .fold(image, |range, score| range.start().min(score)..=range.end().max(score));
        threshold(
            ui,
            desk,
            "Photo threshold",
            "Photos that score above it are NG. Lower finds more defects and rejects more good parts.",
            recipe.image_threshold,
            calibration.as_ref().map_or(5.0, |c| c.image_threshold),
            image,
            |recipe, value| recipe.image_threshold = value,
        );
        threshold(
            ui,
            desk,
            "Pixel threshold",
            "Places that score above it form regions, boxes and mask; it is the middle colour of the overlay.",
            recipe.pixel_threshold,
            calibration.as_ref().map_or(4.5, |c| c.pixel_threshold),
            pixel,
            |recipe, value| recipe.pixel_threshold = value,
        );
        let default = Recipe::default();
        let row = SliderRow::new(
            "Uncertain band",
            0.0..=0.3,
            "Photos this close to the threshold (0.5) are called uncertain and left to a person.",
        )
        .before("± ")
        .default(f64::from(default.uncertain_band));
        number(ui, desk, row, "Uncertain band", recipe.uncertain_band, |recipe, value| {
            recipe.uncertain_band = value.clamp(0.0, 0.49);
        });
        let row = SliderRow::new(
            "Regions",
            1.0..=50.0,
            "Regions shown and reported at most, strongest first. The verdict stays.",
        )
        .decimals(0)
        .step(1.0)
        .default(default.top_k as f64);
        number(ui, desk, row, "Regions at most", recipe.top_k as f32, |recipe, value| {
            recipe.top_k = (value.round() as usize).max(1);
        });
        let row = SliderRow::new(
            "Smallest region",
            0.0..=2000.0,
            "Regions with fewer photo pixels are left out of list, boxes and report. The verdict stays.",
        )
        .unit(" px")
        .decimals(0)
        .step(1.0)
        .default(f64::from(default.min_area_px));
        number(ui, desk, row, "Smallest region", recipe.min_area_px as f32, |recipe, value| {
            recipe.min_area_px = value.round().max(0.0) as u32;
        });
    });
}

/// A threshold: calibrated until it is moved, with a way back.
fn threshold(
    ui: &mut Ui,
    desk: &mut Desk<'_>,
    name: &'static str,
    tooltip: &str,
    by_hand: Option<f32>,
    in_force: f32,
    range: RangeInclusive<f32>,
    set: fn(&mut Recipe, Option<f32>),
) {
    let colours = palette(ui);
    let value = by_hand.unwrap_or(in_force);
    let state = if by_hand.is_some() { "by hand" } else { "calibrated on the references, or a default without them" };
    let full = format!("{tooltip}\nNow {value:.2}, {state}. The arrow calibrates it again.");
    let low = f64::from(range.start().min(value));
    let high = f64::from(range.end().max(value));
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 0.0;
        let width = ui.available_width() - ICON_BUTTON;
        ui.allocate_ui_with_layout(vec2(width, theme::ROW), Layout::top_down(Align::Min), |ui| {
            ui.set_width(width);
            if let Some(new) = SliderRow::new(name, low..=high, &full).show(ui, f64::from(value)) {
                desk.edit(name, move |recipe| set(recipe, Some(new as f32)));
            }
        });
        let again = ui.add_enabled_ui(by_hand.is_some(), |ui| {
            icon_button(ui, ICON_RESTART_ALT, &format!("Calibrate {name}"), "Take it from the references again.")
        });
        if again.inner.clicked() {
            desk.edit(name, move |recipe| set(recipe, None));
        }
    });
    if by_hand.is_none() && !desk.state.recipe.references.is_empty() && name == "Photo threshold" {
        ui.label(theme::small("Thresholds follow the references.").color(colours.ink_faint));
    }
}

/// What needs the network, or the memory, again.
pub fn network(ui: &mut Ui, desk: &mut Desk<'_>) {
    let recipe = desk.state.recipe.clone();
    let preset = Recipe::for_method(recipe.method);
    titled(ui, desk, "Network", &recipe.model, |ui, desk| {
        model(ui, desk, &recipe);
        memory_model(ui, desk, &recipe);
        layers(ui, desk, &recipe);
        input_size(ui, desk, &recipe);
        choice(
            ui,
            desk,
            "Patch features",
            "Which features are compared with the references: the model's own patch embedding, or hidden states.",
            recipe.memory_features,
            &[
                (MemoryFeatures::Auto, "the model's choice"),
                (MemoryFeatures::Hidden, "hidden states"),
                (MemoryFeatures::Mean, "mean of the layers"),
            ],
            |recipe, value| recipe.memory_features = value,
        );
        comparison(ui, desk, &recipe);
        windows(ui, desk, &recipe);
        let row = SliderRow::new(
            "Temperature",
            0.005..=1.0,
            "Sharpness of the text score. Lower separates normal from anomalous words harder.",
        )
        .decimals(3)
        .logarithmic()
        .default(f64::from(preset.temperature));
        number(ui, desk, row, "Temperature", recipe.temperature, |recipe, value| recipe.temperature = value);
        foreground(ui, desk, &recipe);
    });
}

fn windows(ui: &mut Ui, desk: &mut Desk<'_>, recipe: &Recipe) {
    let mut on = recipe.windows;
    let tooltip = "Look at every window of 2 × 2 and 3 × 3 patches as a photo of its own, for words and references (WinCLIP). The network runs many times as long.";
    if ui.checkbox(&mut on, "Windows of several patches").on_hover_text(tooltip).changed() {
        desk.edit("Windows of several patches", move |recipe| recipe.windows = on);
    }
}

/// How patches are compared, and what that needs.
fn comparison(ui: &mut Ui, desk: &mut Desk<'_>, recipe: &Recipe) {
    choice(
        ui,
        desk,
        "Compare by",
        "How far a patch deviates: from the nearest reference patch, from the subspace of all, or from most of the other photos.",
        recipe.comparison,
        &[
            (Comparison::Nearest, "nearest patch"),
            (Comparison::Subspace, "subspace"),
            (Comparison::Mutual, "photos with each other"),
        ],
        |recipe, value| recipe.comparison = value,
    );
    match recipe.comparison {
        Comparison::Nearest => {
            let preset = Recipe::for_method(recipe.method);
            let row = SliderRow::new(
                "Coreset",
                1.0..=100.0,
                "Share of the reference patches that is kept. Less is faster; rare normal patches may then score higher.",
            )
            .unit(" %")
            .decimals(0)
            .logarithmic()
            .default(100.0 * f64::from(preset.coreset_ratio));
            number(ui, desk, row, "Coreset", 100.0 * recipe.coreset_ratio, |recipe, value| {
                recipe.coreset_ratio = (value / 100.0).clamp(1e-4, 1.0);
            });
        }
        Comparison::Subspace => {
            let row = SliderRow::new(
                "Variance",
                50.0..=100.0,
                "Share of the references' variance that is called normal. More lets more pass, of parts and of defects.",
            )
            .unit(" %")
            .decimals(1)
            .default(100.0 * f64::from(Recipe::default().subspace_variance));
            number(ui, desk, row, "Variance", 100.0 * recipe.subspace_variance, |recipe, value| {
                recipe.subspace_variance = (value / 100.0).clamp(1e-3, 1.0);
            });
        }
        Comparison::Mutual => {}
    }
    let text = recipe.neighbourhoods.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    let tooltip = "Sides of the squares of patches whose mean is compared, odd: 1 is the patch alone, 1, 3, 5 the mean of three maps. Larger sees larger defects and blurs small ones.";
    draft(ui, desk, "Squares", tooltip, "1", text, |recipe, text| {
        let sides = text.split([',', ' ']).filter_map(|part| part.trim().parse::<usize>().ok());
        // An even side has no patch in its middle.
        let sides: Vec<usize> = sides.map(|side| (side | 1).min(MOST_NEIGHBOURS)).collect();
        recipe.neighbourhoods = if sides.is_empty() { vec![1] } else { sides };
    });
}

fn field_row(ui: &mut Ui, name: &str, tooltip: &str, text: &mut String, hint: &str) -> bool {
    let colours = palette(ui);
    ui.horizontal(|ui| {
        named(ui, NAME, egui::RichText::new(name).color(colours.ink_soft)).on_hover_text(tooltip);
        let field = TextEdit::singleline(text).hint_text(hint).margin(vec2(6.0, 4.0)).desired_width(f32::INFINITY);
        let response = ui.add(field).accessible_name(name).on_hover_text(tooltip);
        // Taken when the field is left: a half-typed name would load half a model.
        response.lost_focus()
    })
    .inner
}

/// A field whose text is kept while it is edited.
fn draft(
    ui: &mut Ui,
    desk: &mut Desk<'_>,
    name: &'static str,
    tooltip: &str,
    hint: &str,
    now: String,
    take: fn(&mut Recipe, &str),
) {
    let id = ui.scope_id().with(("draft", name));
    let mut text = ui.data(|data| data.get_temp::<String>(id)).unwrap_or_else(|| now.clone());
    let before = text.clone();
    let left = field_row(ui, name, tooltip, &mut text, hint);
    if left {
        ui.data_mut(|data| data.remove::<String>(id));
        if text != now {
            desk.edit(name, move |recipe| take(recipe, text.trim()));
        }
    } else if text != before {
        ui.data_mut(|data| data.insert_temp(id, text));
    }
}

fn model(ui: &mut Ui, desk: &mut Desk<'_>, recipe: &Recipe) {
    let tooltip = "Catalogue id or folder of the network; pocket is built in. Everything is computed again.";
    draft(ui, desk, "Model", tooltip, "pocket", recipe.model.clone(), |recipe, text| {
        recipe.model = if text.is_empty() { "pocket".to_owned() } else { text.to_owned() };
    });
}

fn memory_model(ui: &mut Ui, desk: &mut Desk<'_>, recipe: &Recipe) {
    let tooltip = "Another network whose patches are compared with the references, e.g. DINOv2; empty compares those of the model.";
    let now = recipe.memory_model.clone().unwrap_or_default();
    draft(ui, desk, "Memory model", tooltip, "the same model", now, |recipe, text| {
        recipe.memory_model = (!text.is_empty()).then(|| text.to_owned());
        // Layers and input of another network would not fit this one.
        recipe.memory_layers = None;
        recipe.memory_input = None;
    });
}

fn layers(ui: &mut Ui, desk: &mut Desk<'_>, recipe: &Recipe) {
    let text = recipe
        .layers
        .as_ref()
        .map_or_else(String::new, |layers| layers.iter().map(usize::to_string).collect::<Vec<_>>().join(", "));
    let tooltip = "Blocks whose patches are compared, counted from 1, e.g. 9, 10, 11; empty lets the model choose. The network runs again.";
    draft(ui, desk, "Layers", tooltip, "the model's choice", text, |recipe, text| {
        let layers: Vec<usize> = text.split([',', ' ']).filter_map(|part| part.trim().parse().ok()).collect();
        recipe.layers = (!layers.is_empty()).then_some(layers);
    });
}

fn input_size(ui: &mut Ui, desk: &mut Desk<'_>, recipe: &Recipe) {
    let text = recipe.input.short_side.map_or_else(String::new, |side| side.to_string());
    let tooltip = "Pixels of the network's shorter side; empty takes the model's own. Larger sees finer defects and takes longer.";
    draft(ui, desk, "Input", tooltip, "the model's size", text, |recipe, text| {
        recipe.input.short_side = text.trim_end_matches("px").trim().parse().ok();
    });
}

fn foreground(ui: &mut Ui, desk: &mut Desk<'_>, recipe: &Recipe) {
    let tooltip = "Leave the background out of the score. Right for parts on a plain ground, wrong for textures that fill the photo.";
    let mut enabled = recipe.foreground.enabled;
    let response = ui.checkbox(&mut enabled, "Ignore the background").on_hover_text(tooltip);
    if response.changed() {
        desk.edit("Ignore the background", move |recipe| recipe.foreground.enabled = enabled);
    }
    if enabled {
        let row = SliderRow::new("Background", -3.0..=3.0, "Where the part ends: higher takes more for background.")
            .unit(" σ")
            .default(0.0);
        number(ui, desk, row, "Background", recipe.foreground.threshold, |recipe, value| {
            recipe.foreground.threshold = value;
        });
    }
    let info = Command::CalibrateThreshold.info();
    let reset = ui.add(egui::Button::new(theme::small(info.label)).sense(Sense::click())).on_hover_text(info.help);
    reset.widget_info(|| WidgetInfo::labeled(Role::Button, true, info.label));
    if reset.clicked() {
        desk.run(Command::CalibrateThreshold);
    }
}
