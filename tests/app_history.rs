//! The history in the window, over a real engine with the embedded model.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/bench.rs"]
mod bench;

use std::path::PathBuf;

use bench::Driver;
use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use hairline::app::session::Page;
use hairline::history::{Filter, History};

fn sample(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/samples/parts").join(name)
}

#[test]
fn verdicts_are_kept_listed_corrected_and_exported() {
    let mut driver = Driver::with_real_engine();
    driver.click("History");
    assert!(driver.has("Nothing is kept in this window"));
    let file = driver.dir.path().join("history.sqlite").display().to_string();
    driver.harness.get_by_label("Place of the history").focus();
    driver.harness.run_steps(1);
    driver.harness.get_by_label("Place of the history").type_text(&file);
    driver.harness.run_steps(1);
    driver.key(Modifiers::NONE, Key::Enter);
    driver.until("opening the history", |d| d.has("No verdict is kept yet"));
    driver.window().open(vec![sample("gear_good.jpg"), sample("gear_crack.jpg")], false);
    driver.until("inspecting", |d| d.has("2 photos inspected"));
    driver.window().state.look.page = Page::History;
    driver.until("listing", |d| d.window().state.kept.entries.len() == 2);

    // The same again is nothing new; another recipe is, once it is exported.
    driver.window().state.edit("Object", |recipe| recipe.object = "gear".into());
    driver.until("judging anew", |d| d.window().state.view.as_ref().is_some_and(|view| view.recipe.object == "gear"));
    let out = driver.dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    driver.window().export_to(out, true);
    driver.until("the export", |d| d.has("Exported 1 photo"));
    driver.until("listing", |d| d.window().state.kept.entries.len() == 3);

    let newest = driver.window().state.kept.entries[0].clone();
    let name = PathBuf::from(&newest.path).file_name().unwrap().to_string_lossy().into_owned();
    driver
        .harness
        .get_all_by_label_contains(&format!(", {name}, {}", newest.verdict.word()))
        .next()
        .unwrap()
        .click_accesskit();
    driver.steps(2);
    assert!(driver.has("Corrections") && driver.has(&newest.device));
    let verdict = [hairline::anomaly::Verdict::Ok, hairline::anomaly::Verdict::Ng]
        .into_iter()
        .find(|verdict| *verdict != newest.verdict)
        .unwrap();
    driver.window().state.inspector = "Ada".into();
    driver.steps(1);
    driver.click(&format!("Should be {}", verdict.word()));
    driver.click("Add the correction");
    driver.until("the correction", |d| d.has("the program said"));
    let mut history = History::open_existing(&file).unwrap();
    let kept = history.list(&Filter::default()).unwrap();
    assert_eq!((kept[0].verdict, kept[0].first_verdict), (verdict, newest.verdict));
    assert_eq!((kept[0].revisions.len(), kept[0].revisions[0].author.as_str()), (1, "Ada"));
    assert_ne!(kept[0].recipe_sha256, kept[1].recipe_sha256);

    driver.window().state.edit("Object", |recipe| recipe.object = "nut".into());
    driver.click("Use its recipe");
    driver.until("the recipe", |d| d.window().state.recipe.object == "gear");
    let table = driver.dir.path().join("history.csv");
    driver.window().export_history_to(table.clone());
    driver.until("exporting", |_| table.is_file());
    assert_eq!(std::fs::read_to_string(table).unwrap().lines().count(), 4);
}

#[test]
fn a_place_that_is_no_history_is_refused_by_name() {
    let mut driver = Driver::with_real_engine();
    driver.click("History");
    let file = driver.dir.path().join("letter.txt");
    std::fs::write(&file, "Dear Ada, this is a letter and not a database at all.").unwrap();
    driver.harness.get_by_label("Place of the history").focus();
    driver.harness.run_steps(1);
    driver.harness.get_by_label("Place of the history").type_text(&file.display().to_string());
    driver.harness.run_steps(1);
    driver.key(Modifiers::NONE, Key::Enter);
    driver.until("refusing", |d| d.window().state.kept.problem.is_some());
    assert!(driver.has("letter.txt"));
}
