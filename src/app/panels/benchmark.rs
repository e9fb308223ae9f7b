//! The benchmark: choose a labelled folder, methods, models and numbers of references; watch the tables fill; open the
//! photos that went worst.

use egui::{Align, DragValue, Layout, ProgressBar, TextEdit, Ui, vec2};
use egui_material_icons::icons::{ICON_ADD, ICON_FOLDER_OPEN, ICON_OPEN_IN_NEW, ICON_PLAY_ARROW, ICON_STOP_CIRCLE};

use super::status_bar::time_left;
use crate::app::action::{Action, Desk};
use crate::app::benchmark::{BenchRun, BenchSetup, BenchTable};
use crate::app::command::Command;
use crate::app::state::photos;
use crate::app::theme::{self, palette};
use crate::app::widgets::icon_button::text_button;
use crate::app::widgets::table::{TableRow, table};
use crate::app::widgets::{named_row, page, path_field, primary_button};
use crate::bench::{FigureSet, Protocol, results};
use crate::recipe::Method;

/// Width of the names on the left.
const NAME: f32 = 104.0;

/// Shows the page.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>) {
    page(ui, "benchmark", |ui| {
        ui.label(theme::title("Benchmark"));
        let text = "How well a method finds defects, measured on photos whose truth is known: AUROC, average precision, \
                    best F1 and per-region overlap, per class and on average.";
        ui.label(egui::RichText::new(text).color(palette(ui).ink_soft));
        ui.add_space(theme::WIDE_GAP);
        let running = desk.state.bench.as_ref().is_some_and(BenchRun::running);
        ui.add_enabled_ui(!running, |ui| setup(ui, desk));
        ui.add_space(theme::GAP);
        start(ui, desk, running);
        let Some(bench) = desk.state.bench.clone() else {
            ui.add_space(theme::WIDE_GAP);
            let text = "Tables appear here, class by class. A run that was stopped goes on where it was.";
            ui.label(theme::small(text).color(palette(ui).ink_faint));
            return;
        };
        ui.add_space(theme::WIDE_GAP);
        ended(ui, desk, &bench);
        comparison(ui, &bench);
        for (place, run) in bench.tables.iter().enumerate().rev() {
            ui.push_id(place, |ui| run_table(ui, desk, run, bench.tables.len() > 1));
        }
    });
}

fn row(ui: &mut Ui, name: &str, tooltip: &str, body: impl FnOnce(&mut Ui)) {
    named_row(ui, NAME, name, tooltip, body);
}

fn set(desk: &mut Desk<'_>, change: impl FnOnce(&mut BenchSetup) + 'static) {
    desk.push(Action::SetUpBench(Box::new(change)));
}

fn setup(ui: &mut Ui, desk: &mut Desk<'_>) {
    let colours = palette(ui);
    let setup = desk.state.bench_setup.clone();
    row(
        ui,
        "Folder",
        "One class in the MVTec-AD layout (train/good, test/…, ground_truth/…), or a folder of classes.",
        |ui| {
            let info = Command::ChooseBenchFolder.info();
            if text_button(ui, ICON_FOLDER_OPEN, info.label, info.help).clicked() {
                desk.run(Command::ChooseBenchFolder);
            }
            let hint = "with train/good, test/<type> and, for pixel figures, ground_truth/<type>";
            if let Some(folder) = path_field(ui, "Folder of the benchmark", hint, setup.root.as_deref()) {
                desk.push(Action::BenchOn(folder));
            }
        },
    );
    if let Some(understood) = &desk.state.bench_folder {
        row(ui, "", "", |ui| {
            let (text, ink) = match understood {
                Ok(text) => (text, colours.ink_soft),
                Err(text) => (text, colours.ng),
            };
            ui.add(egui::Label::new(theme::small(text).color(ink)).truncate()).on_hover_text(text);
        });
    }
    row(ui, "Methods", "Each method is a run of its own.", |ui| {
        for method in Method::ALL {
            let mut on = setup.methods.contains(&method);
            if ui.checkbox(&mut on, method.name()).changed() {
                set(desk, move |setup| toggle(&mut setup.methods, method, on));
            }
        }
    });
    row(ui, "Models", "Each model is a run of its own.", |ui| {
        ui.horizontal_wrapped(|ui| {
            for name in super::classify::models(desk, &setup.models) {
                let mut on = setup.models.contains(&name);
                let response = ui.checkbox(&mut on, super::classify::short(&name)).on_hover_text(&name);
                if response.accessible_name(format!("Measure {name}")).changed() {
                    set(desk, move |setup| toggle(&mut setup.models, name, on));
                }
            }
            let info = Command::AddModelFolder.info();
            if text_button(ui, ICON_ADD, "Folder…", info.help).clicked() {
                desk.run(Command::AddModelFolder);
            }
        });
    });
    let tooltip = "Networks whose patches are compared with the references, while words stay with the model. Each is a run \
                   of its own.";
    row(ui, "Memory models", tooltip, |ui| {
        ui.horizontal_wrapped(|ui| {
            let mut same = setup.memory_models.contains(&None);
            let response =
                ui.checkbox(&mut same, "the same model").on_hover_text("Compare patches of the model itself.");
            if response.changed() {
                set(desk, move |setup| toggle(&mut setup.memory_models, None, same));
            }
            let chosen: Vec<String> = setup.memory_models.iter().flatten().cloned().collect();
            for name in super::classify::models(desk, &chosen) {
                let mut on = chosen.contains(&name);
                let response = ui.checkbox(&mut on, super::classify::short(&name)).on_hover_text(&name);
                if response.accessible_name(format!("Remember with {name}")).changed() {
                    set(desk, move |setup| toggle(&mut setup.memory_models, Some(name), on));
                }
            }
            let info = Command::AddModelFile.info();
            if text_button(ui, ICON_ADD, "File…", info.help).clicked() {
                desk.run(Command::AddModelFile);
            }
        });
    });
    let tooltip = "How many photos of train/good are references: numbers, or all. 0 judges by words alone. Each is a run \
                   of its own.";
    row(ui, "References", tooltip, |ui| {
        let mut shots = setup.shots.clone();
        let field = TextEdit::singleline(&mut shots).desired_width(110.0).hint_text("0, 4, all").margin(vec2(6.0, 4.0));
        if ui.add(field).on_hover_text(tooltip).accessible_name("References per run").changed() {
            set(desk, move |setup| setup.shots = shots);
        }
        ui.add_space(theme::WIDE_GAP);
        let tooltip = "References are drawn by chance; several draws show how much that matters.";
        ui.label(egui::RichText::new("Draws").color(colours.ink_soft)).on_hover_text(tooltip);
        let mut seeds = setup.seeds;
        let number = DragValue::new(&mut seeds).range(1..=20).speed(0.1);
        if ui.add(number).on_hover_text(tooltip).accessible_name("Draws").changed() {
            set(desk, move |setup| setup.seeds = seeds);
        }
        ui.add_space(theme::WIDE_GAP);
        ui.label(egui::RichText::new("Protocol").color(colours.ink_soft)).on_hover_text(setup.protocol.words());
        let combo = egui::ComboBox::from_id_salt("protocol").selected_text(setup.protocol.name()).width(130.0);
        let shown = combo.show_ui(ui, |ui| {
            for protocol in Protocol::ALL {
                let choice = ui.selectable_label(protocol == setup.protocol, protocol.name());
                if choice.on_hover_text(protocol.words()).clicked() {
                    set(desk, move |setup| setup.protocol = protocol);
                }
            }
        });
        shown.response.on_hover_text(setup.protocol.words()).accessible_name("Protocol");
    });
    if let Some(out) = setup.out() {
        row(ui, "Results", "Tables, scores, curves and a page to read are written there.", |ui| {
            let info = Command::ChooseBenchOut.info();
            if text_button(ui, ICON_FOLDER_OPEN, "Change…", info.help).clicked() {
                desk.run(Command::ChooseBenchOut);
            }
            if let Some(folder) = path_field(ui, "Folder of the results", "", Some(&out)) {
                set(desk, |setup| setup.out = Some(folder));
            }
        });
    }
}

fn toggle<T: PartialEq>(list: &mut Vec<T>, value: T, on: bool) {
    list.retain(|known| *known != value);
    if on {
        list.push(value);
    }
}

/// The button, or how far it is.
fn start(ui: &mut Ui, desk: &mut Desk<'_>, running: bool) {
    let colours = palette(ui);
    ui.horizontal(|ui| {
        ui.add_space(NAME + theme::GAP);
        if !running {
            let problem = desk.state.bench_setup.problem();
            let info = Command::RunBenchmark.info();
            let button = ui.add_enabled_ui(problem.is_none(), |ui| {
                primary_button(ui, Some(ICON_PLAY_ARROW), info.label, info.help)
            });
            if button.inner.clicked() {
                desk.run(Command::RunBenchmark);
            }
            if let Some(problem) = problem {
                ui.label(theme::small(problem).color(colours.ink_faint));
            }
            return;
        }
        let Some(bench) = desk.state.bench.clone() else { return };
        let share = bench.photos as f32 / bench.all_photos.max(1) as f32;
        let left = time_left(bench.seconds_left(desk.state.notices.now));
        let text = if bench.stopping() {
            "Stopping after the photos in hand…".to_owned()
        } else if bench.all_photos == 0 {
            bench.doing.clone()
        } else {
            let run = if bench.total > 1 {
                format!("run {} of {} · ", bench.tables.len(), bench.total)
            } else {
                String::new()
            };
            format!("{} of {} · {run}{}{left}", bench.photos, photos(bench.all_photos), bench.doing)
        };
        let bar =
            ProgressBar::new(share).desired_width(220.0).desired_height(6.0).fill(colours.accent).corner_radius(3);
        ui.add(bar).accessible_name(&text);
        ui.label(egui::RichText::new(text).color(colours.ink_soft));
        if !bench.stopping() && text_button(ui, ICON_STOP_CIRCLE, "Stop", Command::StopBenchmark.info().help).clicked()
        {
            desk.run(Command::StopBenchmark);
        }
    });
}

/// How it ended, what was left out, and the way to the files.
fn ended(ui: &mut Ui, desk: &mut Desk<'_>, bench: &BenchRun) {
    let colours = palette(ui);
    match &bench.ended {
        Some(Err(error)) => {
            ui.label(egui::RichText::new(error).color(colours.ng));
        }
        Some(Ok(())) => {
            ui.horizontal(|ui| {
                ui.label(egui::RichText::new(format!("Written to {}.", bench.out.display())).color(colours.ink_soft));
                let info = Command::OpenBenchReport.info();
                if text_button(ui, ICON_OPEN_IN_NEW, info.label, info.help).clicked() {
                    desk.run(Command::OpenBenchReport);
                }
            });
        }
        None => {}
    }
    for warning in bench.warnings.iter().take(6) {
        ui.label(theme::small(warning).color(colours.uncertain));
    }
    if bench.warnings.len() > 6 {
        let more = format!("and {} more; the files have all of them.", bench.warnings.len() - 6);
        ui.label(theme::small(more).color(colours.uncertain));
    }
}

fn headings() -> Vec<&'static str> {
    FigureSet::COLUMNS.iter().map(|(_, heading)| *heading).collect()
}

fn texts(set: &FigureSet) -> Vec<String> {
    set.values().iter().enumerate().map(|(column, value)| FigureSet::text(column, *value)).collect()
}

/// Complete runs side by side, seeds taken together.
fn comparison(ui: &mut Ui, bench: &BenchRun) {
    let complete: Vec<_> = bench.tables.iter().filter_map(|run| run.result.as_deref().cloned()).collect();
    if complete.len() < 2 {
        return;
    }
    ui.add_space(theme::GAP);
    ui.label(theme::strong("Comparison"));
    let rows: Vec<TableRow> = results::groups(&complete)
        .into_iter()
        .map(|group| {
            let deviation = group.deviation.values();
            let values = texts(&group.mean).into_iter().enumerate().map(|(column, mean)| match deviation[column] {
                Some(deviation) => format!("{mean} ± {}", FigureSet::text(column, Some(deviation))),
                None => mean,
            });
            TableRow { values: values.collect(), name: group.title, ..TableRow::default() }
        })
        .collect();
    table(ui, "mean over classes", &headings(), &rows);
    ui.add_space(theme::WIDE_GAP);
}

fn run_table(ui: &mut Ui, desk: &mut Desk<'_>, run: &BenchTable, several: bool) {
    let colours = palette(ui);
    ui.add_space(theme::GAP);
    ui.horizontal(|ui| {
        ui.label(theme::strong(&run.title));
        let mut text = if several { format!("seed {}", run.seed) } else { String::new() };
        if run.result.is_none() {
            text.push_str(if several { " · not complete" } else { "not complete" });
        }
        ui.label(theme::small(text).color(colours.ink_faint));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if !run.classes.is_empty() {
                ui.label(theme::small("% · click a class for its worst photos").color(colours.ink_faint));
            }
        });
    });
    if run.classes.is_empty() {
        ui.label(theme::small("The first class is being measured.").color(colours.ink_faint));
        return;
    }
    let tooltip = |worst: usize| {
        format!(
            "Put the {} that went worst on the bench, judged as in this run. Ctrl+Z gives your recipe back.",
            photos(worst)
        )
    };
    let mut rows: Vec<TableRow> = run
        .classes
        .iter()
        .map(|class| TableRow {
            name: class.figures.name.clone(),
            values: texts(&class.figures.figures),
            strong: false,
            tooltip: Some(tooltip(class.worst_normal.len() + class.worst_anomalous.len())),
        })
        .collect();
    if let Some(result) = &run.result {
        rows.push(TableRow { name: "MEAN".to_owned(), values: texts(&result.mean), strong: true, tooltip: None });
    }
    if let Some(class) = table(ui, "class", &headings(), &rows).and_then(|row| run.classes.get(row)) {
        desk.push(Action::OpenWorst(class.clone()));
    }
    ui.add_space(theme::GAP);
}
