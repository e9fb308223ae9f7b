//! Training: pick the data, see what is in it, how long it will take, watch it learn, and use what came out.

use egui::{Color32, DragValue, ProgressBar, Rect, Sense, TextEdit, Ui, pos2, vec2};
use egui_material_icons::icons::{ICON_CHECK, ICON_CLOSE, ICON_FOLDER_OPEN, ICON_PLAY_ARROW, ICON_STOP_CIRCLE};

use super::{curves, photo, short};
use crate::app::action::{Action, Desk};
use crate::app::command::Command;
use crate::app::panels::classify::models;
use crate::app::panels::status_bar::time_left;
use crate::app::segmenting::DEFAULT_MODEL;
use crate::app::state::photos;
use crate::app::theme::{self, palette};
use crate::app::training::{ClassBalance, TrainData, TrainRun, TrainSetup};
use crate::app::widgets::icon_button::text_button;
use crate::app::widgets::{columns, icon_button, named_row, page, primary_button};
use crate::report::segments::COLOURS;

/// Width of the names on the left.
const NAME: f32 = 104.0;
/// Width of the page from which settings and curves stand side by side.
const WIDE: f32 = 980.0;

/// Shows the page.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    photo::header(ui, desk, |_, _| {}, |_, _| {});
    page(ui, "training", |ui| {
        ui.label(theme::title("Train the network that segments"));
        let text = "It learns from photos with masks what your words mean on your parts. The towers stay as they are; the \
                    decoder behind them learns, so that a processor is enough.";
        ui.label(egui::RichText::new(text).color(palette(ui).ink_soft));
        ui.add_space(theme::WIDE_GAP);
        let left = |ui: &mut Ui, desk: &mut Desk<'_>| {
            let running = desk.state.training.running();
            ui.add_enabled_ui(!running, |ui| setup(ui, desk));
            ui.add_space(theme::GAP);
            start(ui, desk);
        };
        if ui.available_width() >= WIDE {
            let left = |ui: &mut Ui, desk: &mut Desk<'_>| {
                left(ui, desk);
                ui.add_space(theme::WIDE_GAP);
                data(ui, desk);
            };
            columns(ui, 0.48, desk, left, outcome);
        } else {
            left(ui, desk);
            ui.add_space(theme::WIDE_GAP);
            outcome(ui, desk);
            ui.add_space(theme::WIDE_GAP);
            data(ui, desk);
        }
    });
}

fn row(ui: &mut Ui, name: &str, tooltip: &str, body: impl FnOnce(&mut Ui)) {
    named_row(ui, NAME, name, tooltip, body);
}

fn set(desk: &mut Desk<'_>, change: impl FnOnce(&mut TrainSetup) + 'static) {
    desk.push(Action::SetUpTraining(Box::new(change)));
}

/// A folder with a button to choose it.
fn folder(ui: &mut Ui, desk: &mut Desk<'_>, command: Command, chosen: Option<String>, otherwise: &str) {
    let colours = palette(ui);
    let info = command.info();
    if text_button(ui, ICON_FOLDER_OPEN, "Choose…", info.help).clicked() {
        desk.run(command);
    }
    let (text, ink) = match &chosen {
        Some(path) => (path.as_str(), colours.ink_soft),
        None => (otherwise, colours.ink_faint),
    };
    ui.add(egui::Label::new(theme::small(text).color(ink)).truncate()).on_hover_text(text);
}

fn setup(ui: &mut Ui, desk: &mut Desk<'_>) {
    let setup = desk.state.training.setup.clone();
    let text = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    row(ui, "Photos", "A folder with images and masks, or one class in the MVTec-AD layout.", |ui| {
        folder(ui, desk, Command::ChooseTrainData, text(&setup.data), "a folder with images/ and masks/");
    });
    row(ui, "Judged on", "Photos that are never learned from; each epoch is judged on them.", |ui| {
        if setup.validation.is_some()
            && icon_button(ui, ICON_CLOSE, "Judge on a fifth", "Judge on a fifth of the photos instead.").clicked()
        {
            set(desk, |setup| setup.validation = None);
        }
        let otherwise = "a fifth of the photos, chosen by chance";
        folder(ui, desk, Command::ChooseTrainValidation, text(&setup.validation), otherwise);
    });
    let tooltip = "pocket-seg knows the words of procedural parts already; a CLIPSeg folder goes on from its own decoder; \
                   another CLIP model gets a new one.";
    row(ui, "Start from", tooltip, |ui| {
        let combo = egui::ComboBox::from_id_salt("train base").selected_text(short(&setup.base)).width(220.0);
        let shown = combo.show_ui(ui, |ui| {
            let mut names = vec![DEFAULT_MODEL.to_owned()];
            names.extend(
                models(desk, std::slice::from_ref(&setup.base)).into_iter().filter(|name| name != DEFAULT_MODEL),
            );
            for name in names {
                if ui.selectable_label(name == setup.base, short(&name)).on_hover_text(&name).clicked() {
                    set(desk, move |setup| setup.base = name);
                }
            }
        });
        shown.response.on_hover_text(tooltip).accessible_name("Start training from");
    });
    for (class, phrases) in &setup.phrases {
        let name = if class == crate::dataset::masked::ONLY_CLASS { "Words" } else { class.as_str() };
        let tooltip = "Phrases that mean this class, with ; between them. All of them are learned.";
        row(ui, name, tooltip, |ui| {
            let (mut typed, class) = (phrases.clone(), class.clone());
            let field = TextEdit::singleline(&mut typed).desired_width(ui.available_width() - 16.0);
            let response = ui.add(field.margin(vec2(6.0, 4.0))).on_hover_text(tooltip);
            if response.accessible_name(format!("Phrases of {class}")).changed() {
                set(desk, move |setup| {
                    setup.phrases.insert(class, typed);
                });
            }
        });
    }
    numbers(ui, desk, &setup);
    if let Some(out) = setup.out() {
        row(
            ui,
            "Kept in",
            "Checkpoints, curves and the best model are written there; a run that was stopped goes on.",
            |ui| {
                folder(ui, desk, Command::ChooseTrainOut, Some(out.display().to_string()), "");
            },
        );
    }
}

fn numbers(ui: &mut Ui, desk: &mut Desk<'_>, setup: &TrainSetup) {
    let colours = palette(ui);
    let count = |ui: &mut Ui,
                 desk: &mut Desk<'_>,
                 name: &'static str,
                 tooltip: &str,
                 now: usize,
                 range: std::ops::RangeInclusive<usize>,
                 put: fn(&mut TrainSetup, usize)| {
        ui.label(egui::RichText::new(name).color(colours.ink_soft)).on_hover_text(tooltip);
        let mut value = now;
        let number = DragValue::new(&mut value).range(range).speed(0.1).update_while_editing(false);
        if ui.add(number).on_hover_text(tooltip).accessible_name(name).changed() {
            set(desk, move |setup| put(setup, value));
        }
        ui.add_space(theme::GAP);
    };
    row(ui, "Length", "How long it learns.", |ui| {
        let tooltip = "Times that every photo is learned from.";
        count(ui, desk, "epochs", tooltip, setup.epochs, 1..=1000, |setup, value| setup.epochs = value);
        let tooltip = "End after so many epochs without a better Dice; 0 runs to the end.";
        count(ui, desk, "patience", tooltip, setup.patience, 0..=1000, |setup, value| setup.patience = value);
    });
    row(ui, "Examples", "What it learns from.", |ui| {
        let tooltip =
            "Versions of each photo: mirrored, cut, in other light. More need more time and memory to begin with.";
        count(ui, desk, "versions", tooltip, setup.variants, 1..=32, |setup, value| setup.variants = value);
        let tooltip = "Examples that are learned together.";
        count(ui, desk, "batch", tooltip, setup.batch_size, 1..=128, |setup, value| setup.batch_size = value);
        let tooltip = "Share of examples with words for what is not there: the answer is empty.";
        ui.label(egui::RichText::new("negatives").color(colours.ink_soft)).on_hover_text(tooltip);
        let mut percent = setup.negatives * 100.0;
        let number = DragValue::new(&mut percent).range(0.0..=90.0).speed(0.5).fixed_decimals(0).suffix(" %");
        if ui.add(number).on_hover_text(tooltip).accessible_name("negatives").changed() {
            set(desk, move |setup| setup.negatives = (percent / 100.0).clamp(0.0, 0.9));
        }
    });
    let tooltip = "Highest learning rate. Too high and the losses jump, too low and nothing moves.";
    row(ui, "Rate", tooltip, |ui| {
        let mut rate = setup.rate;
        let number =
            DragValue::new(&mut rate).range(1e-6..=0.1).speed(1e-5).custom_formatter(|n, _| format!("{n:.0e}"));
        let number = number.custom_parser(|text| text.parse().ok()).update_while_editing(false);
        if ui.add(number).on_hover_text(tooltip).accessible_name("Learning rate").changed() {
            set(desk, move |setup| setup.rate = rate);
        }
    });
}

/// How long it will take, and the button; or how far it is.
fn start(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    if let Some(run) = desk.state.training.run.clone().filter(TrainRun::running) {
        let text = if run.stopping() { "Stopping…".to_owned() } else { run.doing() };
        ui.horizontal(|ui| {
            let bar = ProgressBar::new(run.share()).desired_width(220.0).desired_height(6.0);
            ui.add(bar.fill(colours.accent).corner_radius(3)).accessible_name("Training progress");
            if !run.stopping() && text_button(ui, ICON_STOP_CIRCLE, "Stop", Command::StopTraining.info().help).clicked()
            {
                desk.run(Command::StopTraining);
            }
        });
        let left = if run.stopping() { String::new() } else { time_left(run.seconds_left()) };
        ui.label(egui::RichText::new(format!("{text}{left}")).color(colours.ink_soft));
        return;
    }
    let problem = desk.state.training.problem();
    ui.horizontal(|ui| {
        let info = Command::StartTraining.info();
        let goes_on = desk.state.training.run.as_ref().is_some_and(|run| run.stopped);
        let label = if goes_on { "Go on training" } else { info.label };
        let button =
            ui.add_enabled_ui(problem.is_none(), |ui| primary_button(ui, Some(ICON_PLAY_ARROW), label, info.help));
        if button.inner.clicked() {
            desk.run(Command::StartTraining);
        }
        let (text, ink) = match problem {
            Some(problem) => (problem, colours.ink_faint),
            None => (duration(desk), colours.ink_soft),
        };
        ui.add(egui::Label::new(theme::small(text).color(ink)).wrap());
    });
}

/// The estimate in words.
fn duration(desk: &Desk<'_>) -> String {
    let training = &desk.state.training;
    if let Some(forecast) = training.forecast() {
        let text = format!(
            "About {}: {} to read the photos, then {} for each of {} epochs. Measured here on a few photos and steps.",
            time(forecast.total),
            time(forecast.reading),
            time(forecast.epoch),
            training.setup.epochs
        );
        return text;
    }
    match &training.pace {
        Some((_, Err(error))) if training.measuring.is_none() => error.clone(),
        _ => "Measuring how long it will take…".to_owned(),
    }
}

/// Seconds in units that fit.
fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{s:.1} s"),
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// Curves and figures, and the way to use what was learned.
fn outcome(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let Some(run) = desk.state.training.run.clone() else {
        ui.label(theme::strong("Curves"));
        let text = "Losses, and IoU and Dice on the photos judged on, appear here epoch by epoch, beside what the network \
                    gave before.";
        ui.label(theme::small(text).color(colours.ink_faint));
        return;
    };
    match &run.ended {
        Some(Err(error)) => {
            let ink = if run.stopped { colours.uncertain } else { colours.ng };
            ui.label(egui::RichText::new(error).color(ink));
        }
        Some(Ok(())) if run.early => {
            let text = format!("Ended early: no better Dice within {} epochs.", run.setup.patience);
            ui.label(egui::RichText::new(text).color(colours.ink_soft));
        }
        _ => {}
    }
    curves::show(ui, &run);
    ui.add_space(theme::GAP);
    ui.horizontal(|ui| {
        let info = Command::UseTrained.info();
        let allowed = desk.state.allows(Command::UseTrained);
        let button = ui.add_enabled_ui(allowed, |ui| text_button(ui, ICON_CHECK, info.label, info.help)).inner;
        if button.on_disabled_hover_text("The first epoch is not through yet.").clicked() {
            desk.run(Command::UseTrained);
        }
        if let Some(model) = run.model() {
            let text = theme::small(model.display().to_string()).color(colours.ink_faint);
            ui.add(egui::Label::new(text).truncate());
        }
    });
}

/// What is in the data: balance of classes, and photos with their masks.
fn data(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let Some(data) = desk.state.training.data().cloned() else {
        if let Some(Err(error)) = &desk.state.training.data {
            ui.label(egui::RichText::new(error).color(colours.ng));
        }
        return;
    };
    ui.label(theme::strong("What there is to learn from"));
    let text = format!(
        "{} to learn from, {} to judge on{}.",
        photos(data.train.photos.len()),
        data.validation.photos.len(),
        if data.plain > 0 { format!("; {} show nothing", data.plain) } else { String::new() }
    );
    ui.label(theme::small(text).color(colours.ink_soft));
    ui.add_space(theme::GRID);
    for (place, balance) in data.balance.iter().enumerate() {
        class(ui, &data, place, balance);
    }
    let text = if data.read < data.train.photos.len() {
        format!("Shares of pixels from {} of the photos.", data.read)
    } else {
        "Bars: photos that show the class. Shares: its pixels in those photos.".to_owned()
    };
    ui.label(theme::small(text).color(colours.ink_faint));
    ui.add_space(theme::GAP);
    samples(ui, desk, &data);
}

fn class(ui: &mut Ui, data: &TrainData, place: usize, balance: &ClassBalance) {
    let colours = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width().min(520.0), 22.0), Sense::hover());
    let share = balance.share.map_or_else(String::new, |share| format!(" · {:.2} % of pixels", share * 100.0));
    let text = format!("{}{share}", photos(balance.photos));
    let spoken = format!("Class {}: {text}", balance.class);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, &spoken));
    let painter = ui.painter();
    let [r, g, b] = COLOURS[place % COLOURS.len()];
    let ink = Color32::from_rgb(r, g, b);
    let name = |at: f32| pos2(at, rect.center().y);
    painter.circle_filled(name(rect.left() + 6.0), 4.0, ink);
    let font = theme::small_font();
    painter.text(name(rect.left() + 16.0), egui::Align2::LEFT_CENTER, &balance.class, font.clone(), colours.ink);
    let track = Rect::from_min_max(
        pos2(rect.left() + 110.0, rect.center().y - 3.0),
        pos2(rect.right() - 190.0, rect.center().y + 3.0),
    );
    painter.rect_filled(track, 2, colours.hover);
    let part = balance.photos as f32 / data.train.photos.len().max(1) as f32;
    painter.rect_filled(Rect::from_min_size(track.min, vec2(track.width() * part, track.height())), 2, ink);
    painter.text(name(rect.right()), egui::Align2::RIGHT_CENTER, text, font, colours.ink_soft);
}

fn samples(ui: &mut Ui, desk: &mut Desk<'_>, data: &TrainData) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(theme::GRID, theme::GRID);
        for sample in &data.samples {
            let [width, height] = sample.picture.size;
            let size = vec2(width as f32, height as f32);
            let shown = size * (96.0 / size.y).min(170.0 / size.x);
            let (rect, response) = ui.allocate_exact_size(shown, Sense::hover());
            let texture = desk.media.picture(ui.ctx(), &sample.picture);
            let uv = Rect::from_min_max(egui::Pos2::ZERO, pos2(1.0, 1.0));
            let shape = egui::epaint::RectShape::filled(rect, 4, Color32::WHITE).with_texture(texture.id(), uv);
            ui.painter().add(shape);
            let text = format!("{}: {}", sample.name, sample.classes.join(", "));
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, format!("Sample {text}")));
            response.on_hover_text(text);
        }
    });
}
