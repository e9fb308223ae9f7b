//! The window: photos, verdicts, recipe, keys, export, session.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/bench.rs"]
mod bench;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bench::Driver;
use egui::{Key, Modifiers};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use hairline::anomaly::Verdict;
use hairline::app::segmenting::{Prompt, Tool};
use hairline::app::session::{Restored, Session, restore};
use hairline::app::testing::{inspection, photo, view};
use hairline::app::theme;
use hairline::engine::{Event, Request};
use hairline::photo::{Quality, QualityLimits};

#[test]
fn a_new_inspector_is_told_how_to_begin() {
    let driver = Driver::new(Session::default());
    for label in ["Open photos…", "Open folder…", "Open the samples"] {
        driver.harness.get_by_label(label);
    }
    assert!(driver.has("Drop photos of parts here"));
}

#[test]
fn a_doubtful_photo_carries_a_sign_and_a_reason() {
    let mut driver = Driver::with_photos();
    assert!(driver.harness.query_by_label("Doubtful photo").is_none());
    let mut blurred = inspection("b.png", 2.0, Verdict::Ok);
    let measured = Quality { blur_score: 4.0, ..blurred.photo.quality };
    blurred.quality = QualityLimits::default().judge(640, 480, &measured);
    driver.tell(Event::PhotoInspected { id: 1, job: None, inspection: Arc::new(blurred), map: None });
    driver.harness.get_by_label("Doubtful photo");
    assert!(driver.has("b.png, OK, score 0.00, doubtful photo"), "a screen reader hears it too");
    assert!(driver.has("Photo quality"), "the limits are in the recipe panel");
}

#[test]
fn dropped_photos_are_said_back_inspected_and_judged() {
    let mut driver = Driver::with_photos();
    assert!(driver.has("a.png, NG"), "verdict and score in the film strip");
    assert!(driver.has("b.png, OK") && driver.has("c.png, uncertain"));
    assert!(driver.has("Opened 3 photos"));
    assert!(driver.has("3 photos inspected: 1 NG, 1 uncertain, 1 OK."));
    driver.engine.asked(|asked| {
        assert!(matches!(&asked.requests[..], [Request::Inspect { photos, .. }] if photos.len() == 3));
        assert_eq!(asked.views.last(), Some(&Some(0)));
    });
    driver.key(Modifiers::NONE, Key::ArrowRight);
    assert_eq!(driver.engine.asked(|asked| asked.views.last().copied()), Some(Some(1)));
    driver.click("Show NG only");
    assert!(!driver.has("b.png, OK"));
}

#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|error| error.to_string())
    }
}

#[test]
fn a_drop_counts_where_the_pointer_turns_up() {
    // While files are dragged nobody tells the window where the pointer is.
    for told in ["before", "after", "never", "never, but Alt is held"] {
        let mut driver = Driver::new(Session::default());
        let path = photo(driver.dir.path(), "part.png");
        let references = driver.harness.get_by_label("Add photos…").rect().center();
        if told == "before" {
            driver.harness.event(egui::Event::PointerMoved(references));
            driver.steps(1);
        }
        if told.ends_with("held") {
            driver.harness.event(egui::Event::ModifiersChanged(Modifiers::ALT));
            driver.steps(1);
        }
        driver.harness.input_mut().dropped_files.push(Arc::new(Dropped(path.clone())));
        driver.harness.run_steps(1);
        if told == "after" {
            driver.harness.event(egui::Event::PointerMoved(references));
            driver.steps(1);
        }
        driver.until(told, |driver| {
            let window = driver.window();
            !window.state.recipe.references.is_empty() || !window.state.photos.is_empty()
        });
        let as_reference = driver.window().state.recipe.references == [path];
        assert_eq!(as_reference, told != "never", "told {told}");
    }
}

#[test]
fn a_folder_with_a_bad_file_opens_the_rest_and_says_so() {
    let mut driver = Driver::new(Session::default());
    photo(driver.dir.path(), "good.png");
    std::fs::create_dir(driver.dir.path().join("empty")).unwrap();
    let paths = vec![driver.dir.path().to_owned(), driver.dir.path().join("empty"), driver.dir.path().join("no.png")];
    driver.window().open(paths, false);
    driver.until("opening", |d| d.has("good.png, waiting"));
    let error = hairline::Error::input("The photo is empty.").at("good.png");
    driver.tell(Event::PhotoFailed { id: 0, job: 0, path: "good.png".into(), error });
    assert!(driver.has("good.png, cannot be read"));
    driver.click("Messages");
    assert!(driver.has("The folder has no photos") && driver.has("no.png") && driver.has("The photo is empty."));
    driver.key(Modifiers::NONE, Key::Escape);
    assert!(!driver.has("Clear the list"));
}

#[test]
fn a_slider_reaches_the_engine_at_once_and_one_drag_is_one_step_back() {
    let mut driver = Driver::with_photos();
    let before = driver.window().state.recipe.clone();
    driver.harness.get_by_label("Text").set_value_accesskit(0.9);
    driver.harness.run_steps(1);
    assert!((driver.recipes().last().unwrap().text_weight - 0.9).abs() < 1e-6, "sent in the same frame");
    driver.steps(2);
    driver.key(Modifiers::COMMAND, Key::Z);
    assert_eq!(driver.window().state.recipe, before);
    assert_eq!(driver.recipes().last(), Some(&before));
    driver.key(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    assert!((driver.window().state.recipe.text_weight - 0.9).abs() < 1e-6);
}

#[test]
fn words_wait_for_a_pause_in_the_typing() {
    let mut driver = Driver::with_photos();
    let sent = driver.recipes().len();
    driver.harness.get_by_label("Normal phrase 1").focus();
    driver.harness.run_steps(1);
    driver.harness.get_by_label("Normal phrase 1").type_text("x");
    driver.harness.run_steps(1);
    assert_eq!(driver.recipes().len(), sent, "not yet");
    driver.steps(3);
    let recipes = driver.recipes();
    assert_eq!(recipes.len(), sent + 1);
    assert!(recipes.last().unwrap().prompts.normal[0].contains('x'));
}

#[test]
fn an_impossible_recipe_is_explained_and_not_sent() {
    let mut driver = Driver::with_photos();
    driver.window().state.edit("Weights", |recipe| (recipe.text_weight, recipe.memory_weight) = (0.0, 0.0));
    let sent = driver.recipes().len();
    driver.steps(3);
    assert!(driver.has("both 0"));
    assert_eq!(driver.recipes().len(), sent);
}

#[test]
fn keys_move_the_threshold_and_the_arrow_gives_it_back() {
    let mut driver = Driver::with_photos();
    driver.key(Modifiers::NONE, Key::OpenBracket);
    let lowered = driver.recipes().last().unwrap().image_threshold.unwrap();
    assert!(lowered < 5.0 && lowered > 4.5, "{lowered}");
    driver.click("Calibrate Photo threshold");
    assert_eq!(driver.recipes().last().unwrap().image_threshold, None);
}

#[test]
fn a_threshold_on_its_slider_does_not_run_away() {
    let mut driver = Driver::with_photos();
    for name in ["Photo threshold", "Pixel threshold"] {
        let range = |driver: &Driver| {
            let slider = driver.harness.get_by_label(name);
            let node = slider.accesskit_node();
            (node.min_numeric_value().unwrap(), node.max_numeric_value().unwrap())
        };
        let before = range(&driver);
        for _ in 0..5 {
            let end = range(&driver).1;
            driver.harness.get_by_label(name).set_value_accesskit(end);
            driver.steps(2);
            // What the engine answers: the threshold moved by hand is the one in force.
            let recipe = driver.window().state.recipe.clone();
            let mut view = view(0, &recipe);
            let calibration = Arc::make_mut(&mut view.calibration);
            calibration.image_threshold = recipe.image_threshold.unwrap_or(calibration.image_threshold);
            calibration.pixel_threshold = recipe.pixel_threshold.unwrap_or(calibration.pixel_threshold);
            driver.tell(Event::ViewJudged(Arc::new(view)));
            driver.steps(1);
        }
        assert_eq!(range(&driver), before, "{name}");
    }
}

#[test]
fn a_new_phrase_is_typed_at_once_and_counts_from_its_first_letter() {
    let mut driver = Driver::with_photos();
    let before = driver.window().state.recipe.prompts.anomalous.clone();
    driver.click("Add anomalous phrase");
    assert_eq!(driver.window().state.recipe.prompts.anomalous, before, "nothing yet");
    for text in ["a", "x", " dent"] {
        driver.harness.event(egui::Event::Text(text.to_owned()));
        driver.steps(2);
    }
    let now = driver.window().state.recipe.prompts.anomalous.clone();
    assert_eq!(now.last().map(String::as_str), Some("ax dent"));
    assert_eq!(now.len(), before.len() + 1);
    assert!(driver.window().state.photos.get(0).unwrap().decision.is_none(), "letters were no commands");
    // One that is left empty is gone.
    driver.click("Add anomalous phrase");
    driver.key(Modifiers::NONE, Key::Escape);
    driver.steps(2);
    assert_eq!(driver.window().state.recipe.prompts.anomalous, now);
    assert!(!driver.has(&format!("Anomalous phrase {}", now.len() + 1)));
}

#[test]
fn letters_typed_into_a_field_are_not_commands() {
    let mut driver = Driver::with_photos();
    driver.harness.get_by_label("Object").focus();
    driver.harness.run_steps(1);
    driver.key(Modifiers::NONE, Key::X);
    driver.key(Modifiers::NONE, Key::O);
    assert!(driver.window().state.look.overlay);
    assert!(driver.window().state.photos.get(0).unwrap().decision.is_none());
    driver.key(Modifiers::NONE, Key::Escape);
    driver.key(Modifiers::NONE, Key::X);
    assert!(driver.window().state.photos.get(0).unwrap().decision.is_some());
}

#[test]
fn a_slider_that_is_dragged_ends_the_typing() {
    let mut driver = Driver::with_photos();
    driver.harness.get_by_label("Object").focus();
    driver.harness.run_steps(1);
    let at = driver.harness.get_by_label("Overlay opacity").rect().center();
    let button = |pos, pressed| egui::Event::PointerButton {
        pos,
        button: egui::PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    };
    let to = at + egui::vec2(12.0, 0.0);
    for event in [egui::Event::PointerMoved(at), button(at, true), egui::Event::PointerMoved(to), button(to, false)] {
        driver.harness.event(event);
        driver.steps(1);
    }
    let object = driver.window().state.recipe.object.clone();
    driver.key(Modifiers::NONE, Key::X);
    assert!(driver.window().state.photos.get(0).unwrap().decision.is_some());
    assert_eq!(driver.window().state.recipe.object, object);
}

#[test]
fn the_palette_runs_what_was_typed_and_the_sheet_lists_the_keys() {
    let mut driver = Driver::with_photos();
    driver.key(Modifiers::COMMAND | Modifiers::SHIFT, Key::P);
    driver.harness.get_by_label("Command").type_text("histogram");
    driver.steps(2);
    driver.key(Modifiers::NONE, Key::Enter);
    assert!(!driver.window().state.look.histogram);
    driver.key(Modifiers::SHIFT, Key::Questionmark);
    assert!(driver.has("Mouse and held keys"));
    driver.click("Close");
    assert!(!driver.has("Mouse and held keys"));
}

#[test]
fn findings_list_regions_and_explain_a_place() {
    let mut driver = Driver::with_photos();
    let reference = photo(driver.dir.path(), "normal.png");
    driver.window().open(vec![reference], true);
    driver.until("adding a reference", |d| d.window().state.recipe.references.len() == 1);
    driver.judge();
    driver.click("Findings");
    driver.click("Region 1, upper right, score 0.75, medium");
    assert!(!driver.window().state.viewport.fit, "zoomed to the region");
    driver.window().state.ask(egui::pos2(440.0, 130.0));
    driver.until("decoding", |d| d.has("Nearest normal"));
    assert!(
        driver.has("This place")
            && driver.has("from normal.png")
            && driver.has("After") | driver.has("after smoothing")
    );
    driver.click("Report");
    assert!(driver.has("Hairline inspection report"));
}

#[test]
fn references_can_be_taken_away_again() {
    let mut driver = Driver::with_photos();
    driver.key(Modifiers::NONE, Key::R);
    assert_eq!(driver.window().state.recipe.references.len(), 1);
    driver.until("sending", |d| d.recipes().last().is_some_and(|recipe| recipe.references.len() == 1));
    driver.click("Remove reference a.png");
    assert!(driver.window().state.recipe.references.is_empty());
}

#[test]
fn progress_has_count_and_cancel() {
    let mut driver = Driver::new(Session::default());
    let paths: Vec<PathBuf> = (0..5).map(|n| photo(driver.dir.path(), &format!("{n}.png"))).collect();
    driver.window().open(paths, false);
    driver.until("opening", |d| d.has("4.png, waiting"));
    driver.tell(Event::JobStarted { job: 0, total: 5 });
    let inspection = Arc::new(inspection("x.png", 2.0, Verdict::Ok));
    driver.tell(Event::PhotoInspected { id: 0, job: Some(0), inspection, map: None });
    assert!(driver.has("Inspecting 1 of 5"));
    driver.click("Stop inspecting");
    let cancelled = driver.engine.asked(|asked| asked.requests.iter().any(|r| matches!(r, Request::Cancel(0))));
    assert!(cancelled);
    driver.tell(Event::JobCancelled { job: 0, done: 1 });
    assert!(driver.has("Stopped after 1 of 5 photos.") && driver.has("Inspect them"));
}

#[test]
fn everything_is_exported_with_its_tables() {
    let mut driver = Driver::with_photos();
    let out = driver.dir.path().join("out");
    driver.window().export_to(out.clone(), false);
    driver.until("the export", |d| d.has("Exported 3 photos"));
    let names = |dir: &Path| -> Vec<String> {
        let mut names: Vec<_> =
            std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    let all = names(&out);
    for name in ["a_heatmap.png", "b_report.txt", "c_mask.png", "results.csv", "results.json", "report.html"] {
        assert!(all.iter().any(|found| found == name), "{name} is missing among {all:?}");
    }
    let blocked = driver.dir.path().join("file");
    std::fs::write(&blocked, b"x").unwrap();
    driver.window().export_to(blocked, true);
    driver.until("the error", |d| d.has("output folder"));
}

#[test]
fn the_session_is_kept_while_one_works() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("session.ron");
    let mut driver = Driver::with_session_path(Session::default(), Some(path.clone()));
    let part = photo(driver.dir.path(), "part.png");
    driver.window().open(vec![part.clone()], false);
    driver.until("opening", |d| d.has("part.png, waiting"));
    driver.window().state.edit("Object", |recipe| recipe.object = "ring".into());
    driver.until("saving", |_| path.exists());
    let Restored::Session(kept) = restore(&path) else { panic!("not restored") };
    assert_eq!((kept.photos.clone(), kept.recipe.object.as_str()), (vec![part], "ring"));
    let driver = Driver::new(*kept);
    assert!(driver.has("part.png, waiting"));
}

#[test]
fn ten_thousand_photos_lay_out_only_what_is_visible() {
    let paths: Vec<PathBuf> = (0..10_000).map(|n| format!("/nowhere/part-{n:05}.png").into()).collect();
    let mut driver = Driver::new(Session { photos: paths, ..Session::default() });
    for id in 0..10_000 {
        let verdict = if id % 7 == 0 { Verdict::Ng } else { Verdict::Ok };
        let inspection = Arc::new(inspection("x.png", id as f32 / 1000.0, verdict));
        driver.events.send(Event::PhotoInspected { id, job: Some(0), inspection, map: None }).unwrap();
    }
    driver.steps(2);
    let rows = driver
        .harness
        .root()
        .children_recursive()
        .filter(|n| n.accesskit_node().role() == egui::Role::ListItem)
        .count();
    assert!((8..40).contains(&rows), "{rows} rows are laid out");
    driver.key(Modifiers::NONE, Key::End);
    assert!(driver.has("part-09999.png"), "scrolled to the last one");
    let start = Instant::now();
    driver.harness.run_steps(20);
    // A quiet machine takes a few milliseconds; laying out every row would take seconds.
    let frame_secs = start.elapsed().as_secs_f64() / 20.0;
    assert!(frame_secs < 0.25, "a frame with 10,000 photos takes {frame_secs:.3} s");
    driver.key(Modifiers::NONE, Key::G);
    let cells = driver
        .harness
        .root()
        .children_recursive()
        .filter(|n| n.accesskit_node().role() == egui::Role::GridCell)
        .count();
    assert!((8..80).contains(&cells), "{cells} cells are laid out");
    assert!(driver.window().thumbnails_kept() <= 400);
}

#[test]
fn both_themes_and_every_tab_have_names_for_all_inputs() {
    let mut driver = Driver::with_photos();
    for label in ["Findings", "Report", "Recipe"] {
        driver.click(label);
    }
    driver.click("Network");
    assert!(driver.has("Ignore the background"));
    driver.window().state.look.theme = theme::ThemeChoice::Light;
    driver.steps(3);
    driver.window().state.look.compare = true;
    driver.steps(2);
    driver.window().state.look.inspector = false;
    driver.window().state.look.film = false;
    driver.steps(2);
}

#[test]
fn every_photo_of_the_grid_has_a_place_of_its_own() {
    let mut driver = Driver::new(Session::default());
    let names: Vec<String> = (10..30).map(|number| format!("{number}.png")).collect();
    let paths: Vec<PathBuf> = names.iter().map(|name| photo(driver.dir.path(), name)).collect();
    driver.window().open(paths, false);
    driver.until("opening", |d| d.has("Opened 20 photos"));
    driver.key(Modifiers::NONE, Key::G);
    let places: Vec<egui::Rect> =
        driver.harness.query_all_by_label_contains("in the grid").map(|cell| cell.rect()).collect();
    assert!(places.len() >= 10, "{}", places.len());
    for (at, one) in places.iter().enumerate() {
        for other in &places[at + 1..] {
            assert!(!one.shrink(1.0).intersects(*other), "{one} and {other}");
        }
    }
}

#[test]
fn the_smallest_window_still_shows_the_photo_and_its_verdict() {
    let mut driver = Driver::with_photos();
    driver.harness.get_by_label("Overlay opacity");
    driver.harness.set_size(egui::vec2(880.0, 560.0));
    driver.steps(4);
    let photo = driver.harness.get_by_label("Photo").rect();
    assert!(photo.width() > 300.0 && photo.right() <= 880.0, "{photo}");
    let (overlay, grid) =
        (driver.harness.get_by_label("Opacity and colours").rect(), driver.harness.get_by_label("Grid").rect());
    assert!(overlay.left() > photo.left() + 100.0 && grid.right() <= photo.right() + 1.0, "{overlay} {grid}");
    assert!(driver.harness.query_by_label("Overlay opacity").is_none(), "behind the button");
    driver.click("Opacity and colours");
    driver.harness.get_by_label("Overlay opacity");
}

#[test]
fn tools_and_layers_of_a_small_window_stand_beside_each_other() {
    let mut driver = Driver::with_photos();
    driver.key(Modifiers::NONE, Key::F10);
    driver.window().state.edit_segment("Add", |setup| {
        setup.add(Prompt::Words("a long crack in the rim".to_owned()));
    });
    driver.window().state.segmenting.tool = Tool::Add;
    driver.until("decoding", |d| d.harness.query_by_label("Photo with masks").is_some());
    for size in [egui::vec2(900.0, 600.0), egui::vec2(880.0, 560.0), egui::vec2(1400.0, 900.0)] {
        driver.harness.set_size(size);
        driver.steps(6);
        let photo = driver.harness.get_by_label("Photo with masks").rect();
        let rect = |name: &str| driver.harness.get_by_label(name).rect();
        let names =
            ["Masks", "Training", "Hand", "Brush", "Eraser", "Example", "Brush radius", "Opacity", "Mask opacity"];
        let places: Vec<egui::Rect> = names.iter().map(|name| rect(name)).collect();
        for (at, one) in places.iter().enumerate() {
            let inside = photo.left() <= one.left() && one.right() <= photo.right() && one.bottom() <= photo.top();
            assert!(inside, "{size}: {} at {one}, photo {photo}", names[at]);
            for (other, name) in places[at + 1..].iter().zip(&names[at + 1..]) {
                assert!(!one.intersects(*other), "{size}: {} {one} and {name} {other}", names[at]);
            }
        }
        for name in [
            "Hide a long crack in the rim",
            "Words of layer 1",
            "Threshold value",
            "New prompt",
            "Add prompt",
            "Model of the masks",
            "Folder…",
        ] {
            let place = rect(name);
            let inside = photo.right() + 8.0 <= place.left() && place.right() <= size.x - 8.0;
            assert!(inside, "{size}: {name} at {place}, photo {photo}");
        }
    }
}

#[test]
fn the_sheet_of_keys_fits_the_smallest_window() {
    let mut driver = Driver::with_photos();
    for size in [egui::vec2(880.0, 560.0), egui::vec2(1400.0, 900.0)] {
        driver.harness.set_size(size);
        driver.key(Modifiers::SHIFT, Key::Questionmark);
        driver.steps(6);
        let window = egui::Rect::from_min_size(egui::Pos2::ZERO, size);
        let close = driver.harness.get_by_label("Close").rect();
        assert!(window.contains_rect(close), "{size}: {close}");
        driver.click("Close");
    }
}
