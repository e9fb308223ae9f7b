//! Classification and benchmark from the window, over a real engine with the embedded model.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/bench.rs"]
mod bench;

use std::path::PathBuf;

use bench::Driver;
use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use hairline::app::session::{Page, Session};
use hairline::app::testing::photo;
use hairline::classify::Augmentation;
use image::{Rgb, RgbImage};

/// Eight photos on the bench: four dark ones labelled good, four bright ones labelled defect.
fn labelled() -> Driver {
    let mut driver = Driver::with_real_engine();
    let paths: Vec<PathBuf> = (0..8)
        .map(|n| {
            let path = driver.dir.path().join(format!("{n}.png"));
            let level = if n < 4 { 40 + 4 * n } else { 190 + 4 * n } as u8;
            RgbImage::from_fn(96, 96, |x, y| Rgb([level, level, (x * y % 40) as u8 + level / 2])).save(&path).unwrap();
            path
        })
        .collect();
    driver.window().open(paths, false);
    driver.until("opening", |d| d.window().state.photos.len() == 8);
    for id in 0..8 {
        let class = if id < 4 { "good" } else { "defect" };
        driver.window().state.label_photo(id, Some(class.into()));
    }
    driver.steps(2);
    driver
}

#[test]
fn words_classify_and_every_edit_is_followed() {
    let mut driver = labelled();
    driver.key(Modifiers::NONE, Key::F7);
    driver.click("Labels from the classes");
    driver.click("Classify by words");
    driver.until("classifying", |d| d.has("Predicted classes") && d.has("accuracy"));
    assert!(driver.has("Accuracy") && driver.has("good, phrase 1: alone"), "the x-ray is beside the words");
    let asked = driver.window().state.classifying_words().unwrap();
    driver.harness.get_by_label("good, phrase 1").focus();
    driver.harness.run_steps(1);
    driver.harness.get_by_label("good, phrase 1").type_text(" dark");
    driver.until("following the edit", |d| {
        let now = d.window().state.classifying_words();
        now.is_some_and(|now| now != asked && now.contains("dark"))
    });
    driver.key(Modifiers::NONE, Key::Escape);
    driver.key(Modifiers::COMMAND, Key::Z);
    driver.until("following the undo", |d| d.window().state.classifying_words().is_some_and(|now| now == asked));
    let out = driver.dir.path().join("classification");
    driver.window().export_classification_to(out.clone());
    driver.until("the export", |d| d.has("Saved"));
    assert!(out.join("predictions.csv").is_file() && out.join("confusion.png").is_file());
    driver.key(Modifiers::NONE, Key::F6);
    assert!(driver.has("Predicted classes"), "the evaluation shows them too");
}

#[test]
fn runs_are_compared_and_follow_the_labels() {
    let mut driver = labelled();
    driver.click("Classify");
    driver.click("Labels from the classes");
    driver.click("Classify by words");
    driver.until("classifying", |d| d.has("Compare with this"));
    driver.click("Compare with this");
    assert!(driver.has("Pinned: Words · pocket, accuracy"));
    assert!(driver.has("Each view runs the network"));
    driver.click("flips");
    driver.until("looking at more views", |d| {
        let embedded = d.window().state.classifying.embedded.clone();
        embedded.is_some_and(|embedded| embedded.augmentations == [Augmentation::Flips])
    });
    driver.click("Temperature as trained");
    assert!(driver.window().state.classifying.setup.temperature.is_some());
    driver.until("classifying again", |d| {
        let classifying = &d.window().state.classifying;
        let asked = classifying.asked.as_ref().is_some_and(|(setup, _)| setup.temperature.is_some());
        asked && classifying.job.is_none()
    });
    assert!(driver.has("Only the pinned one right"));
    driver.click("By examples");
    driver.click("Cross-validate");
    driver.until("cross-validating", |d| d.has("Fold 3") && d.has("Only the pinned one right"));
    driver.window().state.label_photo(0, Some("defect".into()));
    driver.steps(2);
    assert!(driver.has("defect taken for good: 1 photo,") && driver.has("Labels have changed since"));
    driver.key(Modifiers::COMMAND, Key::Z);
    assert!(!driver.has("defect taken for good: 1 photo,") && !driver.has("Labels have changed since"));
    driver.click("Stop comparing");
    assert!(!driver.has("Pinned:"));
}

#[test]
fn a_long_name_of_the_order_leaves_the_film_strip_as_wide_as_it_is() {
    let mut driver = Driver::with_photos();
    driver.click("Sort photos");
    driver.click("Mistakes first");
    driver.steps(3);
    let right = driver.harness.get_by_label("Sort photos").rect().right();
    driver.steps(20);
    assert!((driver.harness.get_by_label("Sort photos").rect().right() - right).abs() < 0.5);
}

#[test]
fn words_that_cannot_be_used_say_why() {
    let mut driver = labelled();
    driver.click("Classify");
    driver.click("Labels from the classes");
    driver.click("Remove label defect");
    assert!(driver.has("at least two labels"));
}

#[test]
fn a_classifier_is_tested_trained_saved_opened_and_applied() {
    let mut driver = labelled();
    driver.click("Classify");
    driver.click("By examples");
    assert!(driver.has("8 photos with a label"));
    driver.click("Cross-validate");
    driver.until("cross-validating", |d| d.has("Fold 3"));
    let cell = "defect taken for defect: 4 photos, 100.0 % of the row";
    driver.click(cell);
    assert_eq!(driver.window().state.photos.shown_len(), 4, "bright and dark are told apart");
    driver.click(cell);
    assert_eq!(driver.window().state.photos.shown_len(), 8);
    driver.click("Train a classifier");
    driver.until("training", |d| d.has("not saved yet"));
    let file = driver.dir.path().join("classifier.safetensors");
    driver.window().save_classifier_to(file.clone());
    driver.until("saving", |_| file.is_file());
    driver.window().open_classifier(file);
    driver.until("opening", |d| d.has("Opened classifier.safetensors"));
    driver.click("Apply to all photos");
    driver.until("applying", |d| d.has("Classifier · pocket"));
}

#[test]
fn a_benchmark_runs_and_opens_its_worst_photos() {
    let mut driver = Driver::new(Session::default());
    driver.key(Modifiers::NONE, Key::F8);
    assert!(driver.has("Choose a folder first."));
    let root = driver.dir.path().join("ring");
    for (folder, names) in
        [("train/good", ["a.png", "b.png"]), ("test/good", ["c.png", "d.png"]), ("test/crack", ["e.png", "f.png"])]
    {
        std::fs::create_dir_all(root.join(folder)).unwrap();
        for name in names {
            photo(&root.join(folder), name);
        }
    }
    let nowhere = driver.dir.path().join("nothing");
    driver.window().choose_bench_folder(nowhere);
    driver.until("refusing", |d| d.has("Check the spelling") || d.has("not in the MVTec-AD layout"));
    driver.window().choose_bench_folder(root);
    driver.until("reading", |d| d.has("Class ring: 4 test photos, 2 normal photos for reference, no masks"));
    let out = driver.dir.path().join("out");
    driver.window().state.bench_setup.out = Some(out);
    driver.steps(1);
    driver.click("Run benchmark");
    driver.until("measuring", |d| d.has("MEAN: Img-AUROC") && d.has("Written to"));
    assert!(driver.dir.path().join("out").join("bench.json").is_file());
    driver.harness.get_by_label_contains("ring: Img-AUROC").click_accesskit();
    driver.steps(3);
    let state = &driver.window().state;
    assert_eq!(state.look.page, Page::Inspect);
    assert_eq!(state.recipe.references.len(), 2, "judged as it was measured");
    assert!(state.photos.shown_len() > 0 && driver.has("worst in ring") | driver.has("went worst in ring"));
    driver.key(Modifiers::COMMAND, Key::Z);
    let state = &driver.window().state;
    assert_eq!(state.recipe.references.len(), 0, "the first undo gives the recipe back, as the message says");
    assert!(state.photos.counts().labelled > 0, "and leaves the labels");
}
