//! Descriptions in the window, over a real engine with the embedded model.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/bench.rs"]
mod bench;

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
    assert!(driver.has("near chance"), "the embedded model is called what it is");
    assert!(driver.has("Type what the photo is to show."));
    driver.harness.get_by_label("Description of the photo").focus();
    driver.harness.run_steps(1);
    driver.harness.get_by_label("Description of the photo").type_text("a grey gear without stains");
    driver.until("the answer", |d| d.has("Claim part gear") && d.has("Claim absence no stains"));
    let said = driver.window().state.describing.said.clone().unwrap();
    assert_eq!(said.asked.text, "a grey gear without stains");
    assert!(driver.has("clear match") && driver.has("do not fit this model"), "pocket has no bands");

    // A threshold decides anew and asks the engine nothing.
    let asked = driver.window().state.describing.asked.clone();
    driver.window().state.edit_description("Threshold", |setup| setup.threshold = 1.0);
    driver.steps(3);
    assert!(driver.has("× mismatch") && driver.window().state.describing.job.is_none());
    assert_eq!(driver.window().state.describing.asked, asked);
    driver.click("Strict 0.30");
    assert!(driver.has("✓ clear match"));

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
