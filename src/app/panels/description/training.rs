//! Training on descriptions: pick the tables, see what is in them, how long it will take, watch it learn, and use what came
//! out.

use std::path::PathBuf;

use egui::{Color32, Label, RichText, Ui, vec2};
use egui_material_icons::icons::{ICON_CLOSE, ICON_FILE_OPEN, ICON_WARNING};

use super::curves;
use crate::app::action::{Action, Desk};
use crate::app::command::Command;
use crate::app::match_training::{MatchSetup, PairData, PairSample};
use crate::app::panels::classify::{choose_model, models};
use crate::app::panels::training::{Choice, chosen, count, ended, layout, picture, rate, row, start, use_button};
use crate::app::photo_list::file_name;
use crate::app::theme::{self, palette};
use crate::app::widgets::icon_button::text_button;
use crate::app::widgets::table::{TableRow, table};
use crate::app::widgets::{icon_button, path_field, segments};
use crate::train::match_settings::Tune;
use crate::train::pair_set::PairSet;

/// Rows that cannot be used, listed for each table.
const LISTED: usize = 4;
/// Size of a sample: its picture, and the two lines below it.
const SAMPLE: egui::Vec2 = vec2(132.0, 88.0);

/// What may be trained: name, and what that means.
const TUNES: [(Tune, &str, &str); 5] = [
    (
        Tune::Full,
        "Everything",
        "Both networks, for photos and for texts. Learns the most, takes the longest, and wants thousands of pairs.",
    ),
    (
        Tune::Vision,
        "Photo side",
        "The network that looks at photos; the one that reads texts stays. For parts that look like nothing it has seen.",
    ),
    (
        Tune::Text,
        "Text side",
        "The network that reads texts; the one that looks at photos stays. For words of your own for what it sees well.",
    ),
    (
        Tune::Projections,
        "Last layers",
        "Only the last layer of each network. Takes seconds once all photos were seen, and is enough for a few hundred pairs.",
    ),
    (
        Tune::Lora,
        "LoRA",
        "Small additions to both networks. Learns nearly as much as everything, with less danger of learning by heart.",
    ),
];

/// Shows settings, curves and data.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    let settings = |ui: &mut Ui, desk: &mut Desk<'_>| {
        let running = desk.state.match_training.running();
        ui.add_enabled_ui(!running, |ui| setup(ui, desk));
        ui.add_space(theme::GAP);
        let lesson = &desk.state.match_training;
        start(ui, desk, lesson, Command::StartMatchTraining, Command::StopMatchTraining);
    };
    layout(ui, desk, settings, outcome, data);
}

fn set(desk: &mut Desk<'_>, change: impl FnOnce(&mut MatchSetup) + 'static) {
    desk.push(Action::SetUpMatchTraining(Box::new(change)));
}

fn setup(ui: &mut Ui, desk: &mut Desk<'_>) {
    let setup = desk.state.match_training.setup.clone();
    let info = Command::ChooseMatchTable.info();
    row(ui, "Learn from", info.help, |ui| {
        if text_button(ui, ICON_FILE_OPEN, "Open…", info.help).clicked() {
            desk.run(Command::ChooseMatchTable);
        }
        let typed = path_field(ui, "Table to learn from", "path of a CSV file", setup.table.as_deref());
        if let Some(table) = typed {
            desk.push(Action::LearnFrom(table));
        }
    });
    let info = Command::ChooseMatchValidation.info();
    row(ui, "Judge on", info.help, |ui| {
        if text_button(ui, ICON_FILE_OPEN, "Open…", info.help).clicked() {
            desk.run(Command::ChooseMatchValidation);
        }
        let clear = setup.validation.is_some();
        if clear && icon_button(ui, ICON_CLOSE, "Judge on nothing", "Judge on no table.").clicked() {
            desk.push(Action::JudgeOn(None));
        }
        let hint = "a CSV file with other photos; may be left out";
        if let Some(table) = path_field(ui, "Table to judge on", hint, setup.validation.as_deref()) {
            desk.push(Action::JudgeOn(Some(table)));
        }
    });
    row(ui, "Photos in", Command::ChooseMatchRoot.info().help, |ui| {
        let clear = setup.root.as_ref().map(|_| ("Photos beside the tables", "Paths start beside each table."));
        let (name, now) = ("Folder of the photos to learn from", setup.root.as_deref());
        match chosen(ui, desk, Command::ChooseMatchRoot, name, now, "beside each table", clear) {
            Some(Choice::Typed(folder)) => set(desk, |setup| setup.root = Some(folder)),
            Some(Choice::Cleared) => set(desk, |setup| setup.root = None),
            None => {}
        }
    });
    let tooltip = "A CLIP model: pocket, an installed one, or a folder. It stays as it is; the trained one is another.";
    row(ui, "Start from", tooltip, |ui| {
        let names = models(desk, std::slice::from_ref(&setup.base));
        if let Some(name) = choose_model(ui, "Start training on descriptions from", &setup.base, names, tooltip) {
            set(desk, move |setup| setup.base = name);
        }
    });
    row(ui, "What learns", "Which part of the model changes.", |ui| {
        if let Some(tune) = segments(ui, setup.tune, &TUNES) {
            set(desk, move |setup| setup.tune(tune));
        }
    });
    let (_, _, meaning) = TUNES.iter().find(|(tune, _, _)| *tune == setup.tune).unwrap_or(&TUNES[0]);
    row(ui, "", "", |ui| {
        ui.add(Label::new(theme::small(*meaning).color(palette(ui).ink_faint)).wrap());
    });
    numbers(ui, desk, &setup);
    if let Some(out) = setup.out() {
        let tooltip = "Checkpoints, curves and the best model are written there; a run that was stopped goes on.";
        row(ui, "Kept in", tooltip, |ui| {
            let clear = setup.out.as_ref().map(|_| ("A folder of its own", "Keep every setup in a folder of its own."));
            match chosen(ui, desk, Command::ChooseMatchOut, "Folder of the training", Some(&out), "", clear) {
                Some(Choice::Typed(folder)) => set(desk, |setup| setup.out = Some(folder)),
                Some(Choice::Cleared) => set(desk, |setup| setup.out = None),
                None => {}
            }
        });
    }
}

fn numbers(ui: &mut Ui, desk: &mut Desk<'_>, setup: &MatchSetup) {
    row(ui, "Length", "How long it learns.", |ui| {
        let tooltip = "Times that every pair is learned from.";
        if let Some(value) = count(ui, "epochs", tooltip, setup.epochs, 1..=1000) {
            set(desk, move |setup| setup.epochs = value);
        }
        let tooltip = "Pairs that are learned together: each photo is told from the texts of the others. More tell more \
                       apart, and need more memory.";
        if let Some(value) = count(ui, "batch", tooltip, setup.batch_size, 2..=1024) {
            set(desk, move |setup| setup.batch_size = value);
        }
    });
    row(ui, "Mismatches", "Rows with the label mismatch teach what must not be taken for the photo.", |ui| {
        let tooltip = "Mismatch rows that each pair brings along at most; 0 leaves them out.";
        if let Some(value) = count(ui, "for each pair", tooltip, setup.hard_negatives, 0..=64) {
            set(desk, move |setup| setup.hard_negatives = value);
        }
    });
    let tooltip = "Highest learning rate. Too high and the losses jump, too low and nothing moves.";
    row(ui, "Rate", tooltip, |ui| {
        if let Some(value) = rate(ui, setup.rate, tooltip) {
            set(desk, move |setup| setup.rate = value);
        }
        let usual = setup.tune.usual_rate();
        if setup.rate != usual && ui.button(theme::small(format!("{usual:.0e} is usual"))).clicked() {
            set(desk, move |setup| setup.rate = usual);
        }
        if setup.tune == Tune::Lora {
            ui.add_space(theme::GAP);
            let tooltip = "Size of the additions: more can learn more, and more by heart.";
            if let Some(value) = count(ui, "LoRA rank", tooltip, setup.lora_rank, 1..=256) {
                set(desk, move |setup| setup.lora_rank = value);
            }
        }
    });
}

/// Curves and figures, and the way to use what was learned.
fn outcome(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let Some(run) = &desk.state.match_training.run else {
        ui.label(theme::strong("Curves"));
        let text = "Losses, and how well photos and texts of the table judged on find each other, appear here epoch by \
                    epoch, beside what the model did before.";
        ui.label(theme::small(text).color(colours.ink_faint));
        return;
    };
    curves::show(ui, run);
    ui.add_space(theme::GAP);
    ended(ui, run, "");
    // What the tables themselves are warned of stands beside them.
    let known = desk.state.match_training.data().map_or(&[][..], |data| data.leakage.as_slice());
    for text in run.warnings.iter().filter(|text| !known.contains(text)) {
        warning(ui, text);
    }
    if run.setup.validation.is_none() {
        let text =
            "Without a table to judge on nothing says whether the model got better; the one kept is the last epoch's.";
        warning(ui, text);
    }
    ui.add_space(theme::GRID);
    use_button(ui, desk, Command::UseMatchTrained, run.model());
    if run.model().is_some() && run.setup.base == crate::model::POCKET {
        let text = "A trained pocket opens in Hairline only: other programs do not know its first layers.";
        ui.label(theme::small(text).color(colours.ink_faint));
    }
}

/// A sentence with a sign before it.
fn warning(ui: &mut Ui, text: &str) {
    let ink = palette(ui).uncertain;
    ui.horizontal_top(|ui| {
        ui.label(ICON_WARNING.rich_text().size(13.0).color(ink));
        ui.vertical(|ui| {
            ui.set_max_width(ui.available_width());
            ui.add(Label::new(theme::small(text).color(ink)).wrap());
        });
    });
}

/// What is in the tables: counts, what is wrong with them, and some rows.
fn data(ui: &mut Ui, desk: &mut Desk<'_>) {
    let Some(data) = desk.state.match_training.data().cloned() else {
        if let Some(Err(error)) = &desk.state.match_training.data {
            ui.add(Label::new(RichText::new(error).color(palette(ui).ng)).wrap());
        }
        return;
    };
    let setup = &desk.state.match_training.setup;
    let name = |path: &Option<PathBuf>| path.as_deref().map(file_name).unwrap_or_default();
    let tables = [
        (Some(&data.train), "to learn from", name(&setup.table)),
        (data.validation.as_ref(), "to judge on", name(&setup.validation)),
    ];
    ui.label(theme::strong("What there is to learn from"));
    ui.add_space(theme::GRID);
    let counts = |(set, what, _): &(Option<&PairSet>, &str, String)| {
        let set = (*set)?;
        let values = [set.photos.len(), set.texts.len(), set.matches.len(), set.mismatches.len(), set.bad.len()];
        let values = values.iter().map(ToString::to_string).collect();
        Some(TableRow { name: (*what).to_owned(), values, ..TableRow::default() })
    };
    let rows: Vec<TableRow> = tables.iter().filter_map(counts).collect();
    table(ui, "rows", &["photos", "texts", "match", "mismatch", "not usable"], &rows);
    ui.add_space(theme::GRID);
    for (set, _, name) in &tables {
        if let Some(set) = set {
            remarks(ui, set, name);
        }
    }
    for text in &data.leakage {
        warning(ui, text);
    }
    ui.add_space(theme::GAP);
    samples(ui, desk, &data);
}

/// Rows of a table that cannot be used, teach nothing, or say a thing twice.
fn remarks(ui: &mut Ui, set: &PairSet, name: &str) {
    let colours = palette(ui);
    let line = |ui: &mut Ui, text: String, ink: Color32| {
        ui.add(Label::new(theme::small(text).color(ink)).wrap());
    };
    for bad in set.bad.iter().take(LISTED) {
        line(ui, format!("{name}, line {}: {}", bad.line, bad.error), colours.uncertain);
    }
    if set.bad.len() > LISTED {
        line(ui, format!("{name}: {} more rows cannot be used.", set.bad.len() - LISTED), colours.uncertain);
    }
    if set.idle() > 0 {
        let text = "mismatch rows teach nothing: neither their photo nor their text is in a row that fits.";
        line(ui, format!("{name}: {} {text}", set.idle()), colours.uncertain);
    }
    if set.repeated > 0 {
        line(ui, format!("{name}: {} rows repeat another one and count once.", set.repeated), colours.ink_faint);
    }
}

fn samples(ui: &mut Ui, desk: &mut Desk<'_>, data: &PairData) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(theme::GAP, theme::GAP);
        for sample in &data.samples {
            let size = SAMPLE + vec2(0.0, 36.0);
            ui.allocate_ui_with_layout(size, egui::Layout::top_down(egui::Align::Min), |ui| {
                ui.set_min_size(size);
                one(ui, desk, sample);
            });
        }
    });
}

/// A photo with its text below it, and a sign before one that does not fit.
fn one(ui: &mut Ui, desk: &mut Desk<'_>, sample: &PairSample) {
    let colours = palette(ui);
    ui.spacing_mut().item_spacing.y = 2.0;
    let verdict = if sample.fits { "match" } else { "mismatch" };
    let says = format!("{}, {verdict}: {}", sample.name, sample.text);
    let (sign, ink) = if sample.fits { ("✓", colours.ok) } else { ("×", colours.ng) };
    ui.allocate_ui_with_layout(SAMPLE, egui::Layout::bottom_up(egui::Align::Min), |ui| {
        ui.set_min_size(SAMPLE);
        picture(ui, desk, &sample.picture, SAMPLE, &says);
    });
    let mut job = egui::text::LayoutJob::default();
    let format = |color| egui::TextFormat { font_id: theme::small_font(), color, ..egui::TextFormat::default() };
    job.append(&format!("{sign} "), 0.0, format(ink));
    job.append(&sample.text, 0.0, format(colours.ink_soft));
    job.wrap = egui::text::TextWrapping { max_rows: 2, max_width: SAMPLE.x, ..egui::text::TextWrapping::default() };
    ui.label(job).on_hover_text(says);
}
