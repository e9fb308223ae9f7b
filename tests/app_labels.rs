//! Labels and the evaluation: true classes by key, from folders and files, and the matrix that opens its photos.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/bench.rs"]
mod bench;

use std::path::PathBuf;
use std::sync::Arc;

use bench::Driver;
use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use hairline::anomaly::Verdict;
use hairline::app::session::{Page, Restored, Session, restore};
use hairline::app::testing::{inspection, photo};
use hairline::engine::Event;

/// Six photos of a dataset on the bench, labelled by its folders: two good, two cracks, two holes; one of each is judged
/// wrong.
fn dataset() -> Driver {
    let mut driver = Driver::new(Session::default());
    let root = driver.dir.path().join("ring");
    for (folder, names) in [
        ("train/good", vec!["t.png"]),
        ("test/crack", vec!["c1.png", "c2.png"]),
        ("test/good", vec!["g1.png", "g2.png"]),
        ("test/hole", vec!["h1.png", "h2.png"]),
        ("ground_truth/crack", vec!["c1_mask.png"]),
    ] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
        for name in names {
            photo(&root.join(folder), name);
        }
    }
    driver.window().open(vec![root], false);
    driver.until("opening", |d| d.has("h2.png, waiting"));
    let judged = [("c1", Verdict::Ng), ("c2", Verdict::Ok), ("g1", Verdict::Ok), ("g2", Verdict::Ng)];
    for (name, verdict) in judged.into_iter().chain([("h1", Verdict::Ng), ("h2", Verdict::Uncertain)]) {
        let photos = &driver.window().state.photos;
        let id = photos.iter().find(|entry| entry.name.starts_with(name)).unwrap().id;
        let score = match verdict {
            Verdict::Ok => 2.0,
            Verdict::Uncertain => 5.0,
            Verdict::Ng => 7.0,
        };
        let inspection = Arc::new(inspection("x.png", score, verdict));
        driver.tell(Event::PhotoInspected { id, job: Some(0), inspection, map: None });
    }
    driver
}

fn label_of(driver: &mut Driver, name: &str) -> Option<String> {
    let photos = &driver.window().state.photos;
    photos.iter().find(|entry| entry.name == name).unwrap().label.as_ref().map(ToString::to_string)
}

#[test]
fn keys_label_the_photo_on_view_and_undo_takes_it_back() {
    let mut driver = Driver::with_photos();
    driver.key(Modifiers::NONE, Key::Num1);
    assert!(driver.has("a.png, NG, score 0.83, truly good, false alarm") || driver.has("truly good, false alarm"));
    assert!(driver.has("× false alarm"));
    driver.key(Modifiers::NONE, Key::Num2);
    assert_eq!(label_of(&mut driver, "a.png").as_deref(), Some("defect"));
    assert!(driver.has("✓ verdict right"));
    driver.key(Modifiers::COMMAND, Key::Z);
    assert_eq!(label_of(&mut driver, "a.png").as_deref(), Some("good"));
    driver.key(Modifiers::NONE, Key::Num0);
    assert_eq!(label_of(&mut driver, "a.png"), None);
    driver.click("Label defect");
    assert_eq!(label_of(&mut driver, "a.png").as_deref(), Some("defect"));
    driver.key(Modifiers::NONE, Key::Num7);
    assert_eq!(label_of(&mut driver, "a.png").as_deref(), Some("defect"), "there is no seventh class");
    let entry = driver.window().state.photos.get(0).unwrap().clone();
    assert!(entry.decision.is_none() && entry.verdict() == Some(Verdict::Ng), "a label decides nothing");
}

#[test]
fn classes_are_edited_in_their_sheet() {
    let mut driver = Driver::with_photos();
    driver.key(Modifiers::NONE, Key::Num2);
    driver.key(Modifiers::NONE, Key::K);
    driver.harness.get_by_label("New class").focus();
    driver.harness.run_steps(1);
    driver.harness.get_by_label("New class").type_text("crack");
    driver.steps(2);
    driver.click("Add class");
    driver.harness.get_by_label("Name of class defect").focus();
    driver.harness.run_steps(1);
    driver.harness.get_by_label("Name of class defect").type_text(" dent");
    driver.steps(1);
    driver.key(Modifiers::NONE, Key::Enter);
    driver.click("Close");
    let names: Vec<String> =
        driver.window().state.photos.classes().iter().map(|class| class.name.to_string()).collect();
    assert_eq!(names, ["good", "defect dent", "crack"]);
    assert_eq!(label_of(&mut driver, "a.png").as_deref(), Some("defect dent"));
    driver.key(Modifiers::NONE, Key::Num3);
    assert_eq!(label_of(&mut driver, "a.png").as_deref(), Some("crack"));
    driver.key(Modifiers::COMMAND | Modifiers::SHIFT, Key::P);
    driver.harness.get_by_label("Command").type_text("label as crack");
    driver.steps(2);
    assert!(driver.has("Run Label as class 3") || driver.has("Run Label as crack"));
}

#[test]
fn a_dropped_dataset_brings_its_labels_and_says_what_it_left_out() {
    let mut driver = dataset();
    assert!(driver.has("Labelled by the dataset's folders") && driver.has("1 photo of train/good"));
    assert_eq!(label_of(&mut driver, "c2.png").as_deref(), Some("crack"));
    assert!(driver.has("c2.png, OK, score 0.00, truly crack, miss") || driver.has("truly crack, miss"));
    driver.key(Modifiers::COMMAND, Key::Z);
    assert_eq!(label_of(&mut driver, "c2.png"), None);
    assert_eq!(driver.window().state.photos.classes().len(), 2, "the classes went too");
}

#[test]
fn a_cell_of_the_matrix_opens_its_photos() {
    let mut driver = dataset();
    driver.key(Modifiers::NONE, Key::F6);
    assert!(driver.has("accuracy 50.0 %") && driver.has("misses 1") && driver.has("false alarms 1"));
    assert!(driver.has("ROC curve") && driver.has("Precision-recall curve"));
    driver.click("crack judged OK: 1 photo, 50.0 % of the row");
    assert!(driver.has("c2.png") && !driver.has("c1.png"));
    assert_eq!(driver.window().state.look.page, Page::Evaluate, "the matrix stays");
    driver.click("Show all photos again");
    assert!(driver.has("c1.png"));
    driver.click("Good and defective");
    driver.click("defective judged uncertain: 1 photo, 25.0 % of the row");
    assert!(driver.has("h2.png") && !driver.has("h1.png"));
    driver.harness.get_by_label_contains("h2.png, uncertain").click_accesskit();
    driver.steps(2);
    assert_eq!(driver.window().state.look.page, Page::Inspect, "a photo of the strip is shown");
    driver.key(Modifiers::NONE, Key::Escape);
    assert!(driver.has("h1.png"), "Esc leaves the closer look");
}

#[test]
fn mistakes_are_reviewed_worst_first() {
    let mut driver = dataset();
    driver.key(Modifiers::NONE, Key::M);
    assert!(driver.has("c2.png") && driver.has("g2.png") && !driver.has("g1.png"));
    let state = &driver.window().state;
    assert_eq!(state.photos.get(state.selected.unwrap()).unwrap().name, "c2.png", "3 below comes before 2 above");
    // A label that makes the verdict right takes the photo out of the review, and the next one is on view.
    let good = state.photos.classes().iter().position(|class| &*class.name == "good").unwrap();
    assert_eq!(good, 0);
    driver.key(Modifiers::NONE, Key::Num1);
    let state = &driver.window().state;
    assert_eq!(state.photos.get(state.selected.unwrap()).unwrap().name, "g2.png");
    driver.key(Modifiers::NONE, Key::Backspace);
    assert!(driver.has("g1.png"));
}

#[test]
fn an_evaluation_without_labels_says_how_to_begin() {
    let mut driver = Driver::with_photos();
    driver.click("Evaluate");
    assert!(driver.has("No photo has a label yet"));
    driver.click("Labels from folders");
    assert!(!driver.has("No photo has a label yet") && driver.has("accuracy"));
    assert!(driver.has("The curves need labelled photos"));
}

#[test]
fn labels_come_from_a_file_and_stay_with_the_session() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("session.ron");
    let mut driver = Driver::with_session_path(Session::default(), Some(path.clone()));
    let photos: Vec<PathBuf> = ["a.png", "b.png"].iter().map(|name| photo(driver.dir.path(), name)).collect();
    let table = driver.dir.path().join("labels.csv");
    photo(driver.dir.path(), "elsewhere.png");
    std::fs::write(&table, "path,label\na.png,scratch\nelsewhere.png,good\n").unwrap();
    driver.window().open(photos, false);
    driver.until("opening", |d| d.has("b.png, waiting"));
    driver.window().open(vec![table], false);
    driver.until("importing", |d| d.has("a.png, waiting, truly scratch"));
    assert!(driver.has("Took the labels of 1 photo from labels.csv; 1 changed. 1 photo of the file"));
    driver.until("saving", |_| path.exists());
    let Restored::Session(kept) = restore(&path) else { panic!("not restored") };
    assert_eq!(kept.labels.len(), 1);
    let driver = Driver::new(*kept);
    assert!(driver.has("a.png, waiting, truly scratch"));
}

#[test]
fn the_evaluation_is_exported() {
    let mut driver = dataset();
    let out = driver.dir.path().join("evaluation");
    driver.window().export_evaluation_to(out.clone());
    driver.until("the export", |d| d.has("Saved"));
    for name in ["confusion.png", "confusion.csv", "verdicts.csv", "metrics.json", "report.txt"] {
        assert!(out.join(name).is_file(), "{name}");
    }
}

#[test]
fn twenty_classes_have_a_name_for_every_cell() {
    let mut driver = Driver::with_photos();
    let text: String = (0..20).fold("path,label\n".to_owned(), |text, n| format!("{text}x{n}.png,class number {n}\n"));
    let table = driver.dir.path().join("labels.csv");
    let paths: Vec<PathBuf> = (0..20).map(|n| photo(driver.dir.path(), &format!("x{n}.png"))).collect();
    std::fs::write(&table, text).unwrap();
    driver.window().open(paths, false);
    driver.until("opening", |d| d.window().state.photos.len() == 23);
    driver.window().import_labels(table);
    driver.until("importing", |d| d.window().state.photos.classes().len() >= 20);
    for id in 3..23 {
        let inspection = Arc::new(inspection("x.png", id as f32 / 3.0, Verdict::Ng));
        driver.tell(Event::PhotoInspected { id, job: Some(0), inspection, map: None });
    }
    driver.click("Evaluate");
    assert!(driver.has("class number 19 judged NG: 1 photo, 100.0 % of the row"));
}
