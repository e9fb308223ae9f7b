//! Training: pick the data, see what is in it, how long it will take, watch it learn, and use what came out.

use egui::{Color32, DragValue, Rect, Sense, TextEdit, Ui, pos2, vec2};

use super::{curves, photo};
use crate::app::action::{Action, Desk};
use crate::app::command::Command;
use crate::app::panels::classify::{choose_model, models};
use crate::app::panels::training::{Choice, chosen, count, ended, layout, picture, rate, row, start, use_button};
use crate::app::segmenting::DEFAULT_MODEL;
use crate::app::state::photos;
use crate::app::theme::{self, palette};
use crate::app::training::{ClassBalance, TrainData, TrainSetup};
use crate::app::widgets::page;
use crate::report::segments::COLOURS;

/// Shows the page.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    photo::header(ui, desk);
    page(ui, "training", |ui| {
        ui.label(theme::title("Train the network that segments"));
        let text = "It learns from photos with masks what your words mean on your parts. The tower of words stays as it is; the \
                    decoder behind them learns, so that a processor is enough.";
        ui.label(egui::RichText::new(text).color(palette(ui).ink_soft));
        ui.add_space(theme::WIDE_GAP);
        let settings = |ui: &mut Ui, desk: &mut Desk<'_>| {
            let running = desk.state.training.running();
            ui.add_enabled_ui(!running, |ui| setup(ui, desk));
            ui.add_space(theme::GAP);
            let lesson = &desk.state.training;
            start(ui, desk, lesson, Command::StartTraining, Command::StopTraining);
        };
        layout(ui, desk, settings, outcome, data);
    });
}

fn set(desk: &mut Desk<'_>, change: impl FnOnce(&mut TrainSetup) + 'static) {
    desk.push(Action::SetUpTraining(Box::new(change)));
}

fn setup(ui: &mut Ui, desk: &mut Desk<'_>) {
    let setup = desk.state.training.setup.clone();
    row(ui, "Photos", "A folder with images and masks, or one class in the MVTec-AD layout.", |ui| {
        let otherwise = "a folder with images/ and masks/";
        let name = "Folder of photos with masks";
        let choice = chosen(ui, desk, Command::ChooseTrainData, name, setup.data.as_deref(), otherwise, None);
        if let Some(Choice::Typed(folder)) = choice {
            desk.push(Action::TrainOn(folder));
        }
    });
    row(ui, "Judged on", "Photos that are never learned from; each epoch is judged on them.", |ui| {
        let clear = setup.validation.as_ref().map(|_| ("Judge on a fifth", "Judge on a fifth of the photos instead."));
        let otherwise = "a fifth of the photos, chosen by chance";
        let (name, now) = ("Folder of photos to judge on", setup.validation.as_deref());
        match chosen(ui, desk, Command::ChooseTrainValidation, name, now, otherwise, clear) {
            Some(Choice::Typed(folder)) => set(desk, |setup| setup.validation = Some(folder)),
            Some(Choice::Cleared) => set(desk, |setup| setup.validation = None),
            None => {}
        }
    });
    let tooltip = "pocket-seg marks damage of procedural parts, but hardly tells its words apart; a CLIPSeg folder goes on \
                   from its own decoder; another CLIP model gets a new one.";
    row(ui, "Start from", tooltip, |ui| {
        let others = models(desk, std::slice::from_ref(&setup.base)).into_iter().filter(|name| name != DEFAULT_MODEL);
        let names = std::iter::once(DEFAULT_MODEL.to_owned()).chain(others);
        if let Some(name) = choose_model(ui, "Start training from", &setup.base, names, tooltip) {
            set(desk, move |setup| setup.base = name);
        }
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
                let choice = chosen(ui, desk, Command::ChooseTrainOut, "Folder of the training", Some(&out), "", None);
                if let Some(Choice::Typed(folder)) = choice {
                    set(desk, |setup| setup.out = Some(folder));
                }
            },
        );
    }
}

fn numbers(ui: &mut Ui, desk: &mut Desk<'_>, setup: &TrainSetup) {
    row(ui, "Length", "How long it learns.", |ui| {
        let tooltip = "Times that every photo is learned from.";
        if let Some(value) = count(ui, "epochs", tooltip, setup.epochs, 1..=1000) {
            set(desk, move |setup| setup.epochs = value);
        }
        let tooltip = "End after so many epochs without a better Dice; 0 runs to the end.";
        if let Some(value) = count(ui, "patience", tooltip, setup.patience, 0..=1000) {
            set(desk, move |setup| setup.patience = value);
        }
    });
    row(ui, "Examples", "What it learns from.", |ui| {
        let tooltip =
            "Versions of each photo: mirrored, cut, in other light. More need more time and memory to begin with.";
        if let Some(value) = count(ui, "versions", tooltip, setup.variants, 1..=32) {
            set(desk, move |setup| setup.variants = value);
        }
        if let Some(value) = count(ui, "batch", "Examples that are learned together.", setup.batch_size, 1..=128) {
            set(desk, move |setup| setup.batch_size = value);
        }
        let tooltip = "Share of examples with words for what is not there: the answer is empty.";
        ui.label(egui::RichText::new("negatives").color(palette(ui).ink_soft)).on_hover_text(tooltip);
        let mut percent = setup.negatives * 100.0;
        let number = DragValue::new(&mut percent).range(0.0..=90.0).speed(0.5).fixed_decimals(0).suffix(" %");
        if ui.add(number).on_hover_text(tooltip).accessible_name("negatives").changed() {
            set(desk, move |setup| setup.negatives = (percent / 100.0).clamp(0.0, 0.9));
        }
    });
    let tooltip = "Blocks of the vision tower below the decoder that learn as well, at a tenth of the rate. Slower, and \
                   easily too much for few photos; 0 leaves the tower as it is.";
    row(ui, "Deeper", tooltip, |ui| {
        if let Some(value) = count(ui, "blocks of the tower", tooltip, setup.deeper, 0..=48) {
            set(desk, move |setup| setup.deeper = value);
        }
    });
    let tooltip = "Highest learning rate. Too high and the losses jump, too low and nothing moves.";
    row(ui, "Rate", tooltip, |ui| {
        if let Some(value) = rate(ui, setup.rate, tooltip) {
            set(desk, move |setup| setup.rate = value);
        }
    });
}

/// Curves and figures, and the way to use what was learned.
fn outcome(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let Some(run) = &desk.state.training.run else {
        ui.label(theme::strong("Curves"));
        let text = "Losses, and IoU and Dice on the photos judged on, appear here epoch by epoch, beside what the network \
                    gave before.";
        ui.label(theme::small(text).color(colours.ink_faint));
        return;
    };
    curves::show(ui, run);
    ui.add_space(theme::GAP);
    ended(ui, run, &format!("Ended early: no better Dice within {} epochs.", run.setup.patience));
    use_button(ui, desk, Command::UseTrained, run.model());
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
            let says = format!("{}: {}", sample.name, sample.classes.join(", "));
            picture(ui, desk, &sample.picture, vec2(170.0, 96.0), &says);
        }
    });
}
