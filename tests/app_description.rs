//! Descriptions in the window, over a real engine with the embedded model.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/bench.rs"]
mod bench;

use std::fmt::Write as _;
use std::path::PathBuf;

use bench::Driver;
use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use hairline::app::describing::{Against, RowFilter};
use hairline::app::session::Page;
use hairline::app::testing::photo;

fn sample(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/samples").join(name)
}

/// A gear on view, the description page open.
fn gear() -> Driver {
    let mut driver = Driver::with_real_engine();
    driver.window().open(vec![sample("parts/gear_crack.jpg"), sample("parts/gear_good.jpg")], false);
    driver.until("opening", |d| d.window().state.photos.len() == 2);
    driver.key(Modifiers::NONE, Key::F12);
    driver
}

/// A table of 4 usable rows beside its photos, with two that are not.
fn table(driver: &Driver) -> PathBuf {
    for name in ["a.png", "b.png"] {
        photo(driver.dir.path(), name);
    }
    let path = driver.dir.path().join("pairs.csv");
    let rows = "image_path,text,label\na.png,a grey part,match\na.png,a red bicycle,mismatch\nb.png,a grey part,match\n\
                none.png,a grey part,match\nb.png,a green tree,mismatch\nb.png,,match\n";
    std::fs::write(&path, rows).unwrap();
    path
}

#[test]
fn a_description_is_judged_claim_by_claim_while_it_is_typed() {
    let mut driver = gear();
    assert!(driver.has("hardly parts, colours or counts"), "the embedded model is called what it is");
    assert!(driver.has("Type what the photo is to show."));
    driver.harness.get_by_label("Description of the photo").focus();
    driver.harness.run_steps(1);
    driver.harness.get_by_label("Description of the photo").type_text("a grey gear without stains");
    driver.until("the answer", |d| d.has("Claim part gear") && d.has("Claim absence no stains"));
    let said = driver.window().state.describing.said.clone().unwrap();
    assert_eq!(said.asked.text, "a grey gear without stains");
    assert!(driver.has("clear match") && driver.has("do not fit this model"), "pocket has no bands");
    assert!(driver.has("Fails:") && driver.has("? similar, but"), "a match with a claim that fails is no plain match");

    // A threshold decides anew and asks the engine nothing.
    let asked = driver.window().state.describing.asked.clone();
    driver.window().state.edit_description("Threshold", |setup| setup.threshold = 1.0);
    driver.steps(3);
    assert!(driver.has("× mismatch") && driver.window().state.describing.job.is_none());
    assert_eq!(driver.window().state.describing.asked, asked);
    driver.click("Strict 0.30");
    assert!(driver.has("similarity: ✓ clear match"));

    // Another photo is looked at without leaving the page; the text stays.
    driver.harness.get_by_label_contains("gear_good.jpg,").click_accesskit();
    driver.until("the other photo", |d| {
        let said = d.window().state.describing.said.clone().unwrap();
        said.asked.photo.ends_with("gear_good.jpg")
    });
    assert_eq!(driver.window().state.look.page, Page::Description);

    driver.harness.get_by_label("Labels to choose between").focus();
    driver.harness.run_steps(1);
    driver.harness.get_by_label("Labels to choose between").type_text("gear, nut");
    driver.until("the labels", |d| {
        let said = d.window().state.describing.said.clone().unwrap();
        said.outcome.outcome.zero_shot_results.as_ref().is_some_and(|labels| labels.0.len() == 2)
    });
}

#[test]
fn a_table_is_matched_decided_and_written() {
    let mut driver = gear();
    let path = table(&driver);
    driver.click("Table");
    assert!(driver.has("Open a CSV file"));
    let wrong = driver.dir.path().join("wrong.csv");
    std::fs::write(&wrong, "photo,words\na,b\n").unwrap();
    driver.window().open(vec![wrong], false);
    driver.until("refusing", |d| d.has("but its first line is"));
    driver.window().open(vec![path], false);
    driver.until("reading", |d| d.has("5 rows, labelled 3 match and 2 mismatch"));
    assert!(driver.has("1 row cannot be used; the first: line 7"));
    driver.click("Match the table");
    driver.until("matching", |d| d.window().state.describing.matched.is_some());
    driver.steps(2);
    let state = &driver.window().state.describing;
    let matching = state.matched.as_ref().unwrap().matching(state.setup.threshold);
    let said = [format!("match {matching}"), format!("mismatch {}", 4 - matching), "not usable 2".to_owned()];
    assert!(said.iter().all(|said| driver.harness.query_all_by_label(said).next().is_some()), "{said:?}");
    assert!(driver.has("Line 5: ") && driver.has("Line 7: "), "bad rows with their lines");
    driver.click("Threshold of the best F1");
    let state = &driver.window().state;
    let (matched, threshold) = (state.describing.matched.clone().unwrap(), state.describing.setup.threshold);
    let best = matched.evaluation.unwrap().best_f1;
    assert_eq!((threshold, matched.figures(threshold).unwrap()), (best.threshold, best));
    driver.click("Not usable");
    assert_eq!(driver.window().state.describing.filter, RowFilter::Bad);
    assert!(!driver.has("a red bicycle"));
    driver.click("All");
    let out = driver.dir.path().join("matches.json");
    driver.window().export_matches_to(out.clone());
    driver.until("saving", |d| d.has("Saved"));
    let written: serde_json::Value = serde_json::from_slice(&std::fs::read(out).unwrap()).unwrap();
    assert_eq!((written["results"].as_array().unwrap().len(), written["failed"].as_u64()), (4, Some(2)));
    assert_eq!(written["threshold"].as_f64().map(|value| value as f32), Some(threshold));

    // A row is looked at claim by claim.
    driver.harness.get_by_label_contains("Line 3: a red bicycle").click_accesskit();
    driver.until("the row's photo", |d| d.has("Claim part bicycle"));
    let state = &driver.window().state;
    assert_eq!((state.describing.against, state.describing.setup.text.as_str()), (Against::Photo, "a red bicycle"));
    driver.key(Modifiers::COMMAND, Key::Z);
    assert_eq!(driver.window().state.describing.setup.text, "", "one step takes the text back");
}

#[test]
fn a_model_that_cannot_be_had_says_why_and_is_asked_once() {
    let mut driver = gear();
    driver.window().state.edit_description("Description", |setup| {
        setup.model = "no/such".into();
        setup.text = "a gear".into();
    });
    driver.until("refusing", |d| d.window().state.describing.problem.is_some());
    let asked = driver.window().state.job_id();
    driver.steps(10);
    assert_eq!(driver.window().state.job_id(), asked + 1, "nothing was asked in between");
    assert!(driver.has("models pull"));
}

/// Plates of four colours with a text that fits and one that does not; two tables beside them.
fn plates(driver: &Driver) -> (PathBuf, PathBuf) {
    let colours = [("red", [200, 40, 40]), ("green", [40, 180, 60]), ("blue", [40, 60, 200]), ("white", [230; 3])];
    let (mut learn, mut judge) = ("image_path,text,label\n".to_owned(), "image_path,text,label\n".to_owned());
    for (place, (name, ink)) in colours.into_iter().enumerate() {
        let wrong = colours[(place + 1) % 4].0;
        for (table, size, kind) in [(&mut learn, 60, "plate"), (&mut judge, 70, "tile")] {
            let inside = |x, y| (8..40).contains(&x) && (8..40).contains(&y);
            let plate =
                image::RgbImage::from_fn(size, size, |x, y| image::Rgb(if inside(x, y) { ink } else { [90; 3] }));
            let file = format!("{name}_{kind}.png");
            plate.save(driver.dir.path().join(&file)).unwrap();
            let _ = write!(table, "{file},a {name} {kind},match\n{file},a {wrong} {kind},mismatch\n");
        }
    }
    learn.push_str("none.png,a red plate,match\n");
    let path = |name: &str| driver.dir.path().join(name);
    std::fs::write(path("learn.csv"), learn).unwrap();
    std::fs::write(path("judge.csv"), judge).unwrap();
    (path("learn.csv"), path("judge.csv"))
}

#[test]
fn a_model_is_trained_watched_stopped_resumed_and_used() {
    let mut driver = gear();
    let (learn, judge) = plates(&driver);
    driver.click("Training");
    assert!(driver.has("Choose a table of photos and texts first."));
    let wrong = driver.dir.path().join("wrong.csv");
    std::fs::write(&wrong, "photo,words\na,b\n").unwrap();
    driver.window().open(vec![wrong], false);
    driver.until("refusing", |d| d.has("but its first line is"));

    // The table to learn from, judged on itself at first: that is said.
    driver.window().open(vec![learn.clone()], false);
    driver.window().choose_match_validation(Some(learn));
    driver.until("understanding", |d| d.has("to learn from: photos 4, texts 4, match 4, mismatch 4, not usable 1"));
    assert!(driver.has("learn.csv, line 10") && driver.has("Sample red_plate.png, match: a red plate"));
    assert!(driver.has("Sample red_plate.png, mismatch: a green plate"));
    assert!(driver.has("4 of 4 validation photos are learned from too"));
    driver.window().choose_match_validation(Some(judge));
    driver.until("understanding anew", |d| d.has("to judge on: photos 4") && !d.has("are learned from too"));

    driver.click("Last layers");
    assert_eq!(driver.window().state.match_training.setup.rate, 1e-3, "the usual rate of what learns");
    let out = driver.dir.path().join("run");
    {
        let setup = &mut driver.window().state.match_training.setup;
        (setup.out, setup.epochs, setup.batch_size, setup.rate) = (Some(out.clone()), 100, 2, 1e-2);
    }
    driver.until("measuring", |d| d.has("Measured here on a few photos and steps"));
    driver.click("Train on descriptions");
    let epochs = |d: &mut Driver| d.window().state.match_training.run.as_ref().unwrap().epochs.len();
    driver.until("two epochs", |d| epochs(d) >= 2);
    assert!(driver.has("AUROC: before") && driver.has("Losses, last epoch"));
    driver.click("Stop");
    driver.until("stopping", |d| d.has("The same training goes on"));
    let kept = epochs(&mut driver);
    assert!(kept < 100 && driver.has("Go on training"));

    // Another length is another run; a folder that holds this one says so, by a message that names it.
    driver.window().state.match_training.setup.epochs = kept + 2;
    driver.steps(2);
    driver.click("Train on descriptions");
    driver.until("refusing", |d| {
        d.has("another folder") && d.window().state.notices.iter().any(|n| n.text.contains("run]"))
    });
    driver.window().state.match_training.setup.epochs = 100;
    driver.steps(2);
    driver.click("Train on descriptions");
    driver.until("going on", |d| {
        let run = d.window().state.match_training.run.as_ref().unwrap();
        run.resumed >= kept && run.epochs.len() > run.resumed
    });
    driver.until("the end", |d| d.has("Training on descriptions is through"));
    let run = driver.window().state.match_training.run.clone().unwrap();
    let best = run.best().unwrap().validation.unwrap();
    assert!(best.loss < run.base.unwrap().loss, "{best:?}");
    assert!(driver.has("learned by heart"), "100 epochs over four plates: {:?}", run.warnings);

    driver.click("Use the trained model");
    let state = &driver.window().state;
    assert_eq!(state.describing.setup.model, out.join("best_model").display().to_string());
    assert_eq!((state.look.page, state.describing.against), (Page::Description, Against::Photo));
    assert_eq!(state.session().match_train, run.setup, "the setup is kept");
    driver.harness.get_by_label("Description of the photo").focus();
    driver.harness.run_steps(1);
    driver.harness.get_by_label("Description of the photo").type_text("a red plate");
    driver.until("the answer", |d| d.window().state.describing.said.is_some());
    let said = driver.window().state.describing.said.clone().unwrap();
    assert_ne!(said.made.model.id, hairline::model::POCKET);
    // The words, then the model.
    driver.window().state.undo();
    driver.window().state.undo();
    assert_eq!(driver.window().state.describing.setup.model, hairline::model::POCKET);
}
