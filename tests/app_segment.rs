//! Segmentation and its training from the window, over a real engine with the embedded model.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/bench.rs"]
mod bench;

use std::path::{Path, PathBuf};

use bench::Driver;
use egui::{Event, Key, Modifiers, PointerButton, Pos2};
use egui_kittest::kittest::Queryable as _;
use hairline::app::segmenting::{Prompt, decide};
use hairline::app::testing::photo;
use hairline::dataset::coco_masks::CocoMasks;
use hairline::gpu::Compute;
use hairline::model::clipseg::DecoderConfig;
use hairline::model::{ClipModel, ClipSegModel, ModelSource};
use image::{GrayImage, Luma, Rgb, RgbImage};

/// A decoder with random weights behind the towers of `pocket`, for small inputs: quick, and as good as any where only the
/// window is looked at.
fn small_model(dir: &Path) -> String {
    let clip = ClipModel::load(&ModelSource::Pocket, &Compute::cpu().device).unwrap();
    let blocks = clip.config().vision_config.num_hidden_layers;
    let decoder = DecoderConfig {
        reduce_dim: 32,
        extract_layers: vec![blocks / 2, blocks - 1],
        decoder_num_attention_heads: 4,
        decoder_intermediate_size: 64,
        ..DecoderConfig::default()
    };
    let model = ClipSegModel::untrained(&clip, decoder, 64).unwrap();
    model.save_with(model.network(), &dir.join("small")).unwrap();
    dir.join("small").display().to_string()
}

/// Two photos on the bench, the page of masks open.
fn on_the_page() -> Driver {
    let mut driver = Driver::with_real_engine();
    let model = small_model(driver.dir.path());
    driver.window().state.segmenting.setup.model = model;
    let paths: Vec<PathBuf> = ["a.png", "b.png"].iter().map(|name| photo(driver.dir.path(), name)).collect();
    driver.window().open(paths, false);
    driver.until("opening", |d| d.window().state.photos.len() == 2);
    driver.key(Modifiers::NONE, Key::F10);
    driver
}

/// The share inside a layer's mask, once what is on view is decided.
fn share(driver: &mut Driver, layer: usize) -> Option<f32> {
    let state = &driver.window().state;
    let photo = state.photos.get(state.selected?)?.path.clone();
    let now = decide::key(&state.segmenting.subjects(&photo));
    state.segmenting.decided_of(&now)?.layers.get(layer).map(|layer| layer.share)
}

/// Drags over the middle of the photo on view.
fn drag(driver: &mut Driver, from: Pos2, to: Pos2) {
    driver.harness.hover_at(from);
    driver.harness.run_steps(1);
    driver.harness.drag_at(from);
    driver.harness.run_steps(2);
    for step in 1..=4 {
        driver.harness.hover_at(from + (to - from) * (step as f32 / 4.0));
        driver.harness.run_steps(1);
    }
    driver.harness.drop_at(to);
    driver.steps(3);
}

#[test]
fn words_become_layers_with_thresholds_of_their_own() {
    let mut driver = on_the_page();
    assert!(driver.has("What to find"));
    driver.click("Find crack");
    driver.until("the first map", |d| d.has("% of the photo"));
    driver.click("Find hole");
    driver.until("the second map", |d| share(d, 1).is_some());
    assert!(driver.has("Regions found") && driver.has("Correct crack") && driver.has("Correct hole"));
    let asked = driver.window().state.segmenting.maps.len();
    assert_eq!(asked, 2);

    // A threshold decides without the network.
    driver.window().state.edit_segment("Threshold", |setup| setup.layers[0].threshold = 0.99);
    driver.until("deciding again", |d| share(d, 0) == Some(0.0) && d.has("0.00 % of the photo · 0 regions"));
    driver.window().state.edit_segment("Threshold", |setup| setup.layers[0].threshold = 0.01);
    driver.until("deciding once more", |d| share(d, 0) == Some(1.0));
    assert!(driver.has("100.00 % of the photo · 1 region"));
    assert_eq!(driver.window().state.segmenting.maps.len(), 2);
    driver.key(Modifiers::COMMAND, Key::Z);
    driver.until("undo", |d| share(d, 0) == Some(0.0));

    driver.click("Hide crack");
    assert!(driver.has("Show crack"));
    driver.click("Remove hole");
    assert!(!driver.has("Correct hole"));
    // The next photo is asked about by itself.
    driver.key(Modifiers::NONE, Key::ArrowRight);
    driver.until("the next photo", |d| d.window().state.segmenting.maps.len() == 3);

    // Edges of the photo need no network, an unknown model says what to do.
    driver.window().state.edit_segment("Edges", |setup| setup.guided = true);
    driver.until("edges", |d| d.window().state.segmenting.maps.len() == 4);
    driver.window().state.edit_segment("Model", |setup| setup.model = "nobody/nothing".to_owned());
    driver.until("refusing", |d| d.has("There is no model `nobody/nothing`") && d.has("Try again"));
}

/// One layer whose mask is empty, the brush in hand; and the middle of the photo.
fn about_to_brush() -> (Driver, Pos2) {
    let mut driver = on_the_page();
    driver.click("Find crack");
    driver.until("the map", |d| d.has("% of the photo"));
    driver.window().state.edit_segment("Threshold", |setup| setup.layers[0].threshold = 0.99);
    driver.until("nothing inside", |d| share(d, 0) == Some(0.0));
    driver.click("Brush");
    let middle = driver.harness.get_by_label("Photo with masks").rect().center();
    (driver, middle)
}

#[test]
fn the_brush_corrects_a_mask_and_the_files_tell() {
    let (mut driver, middle) = about_to_brush();
    drag(&mut driver, middle, middle + egui::vec2(60.0, 0.0));
    driver.until("painting", |d| d.has("· 1 stroke") && share(d, 0).is_some_and(|share| share > 0.0));
    let painted = share(&mut driver, 0).unwrap();
    driver.click("Eraser");
    drag(&mut driver, middle, middle + egui::vec2(20.0, 0.0));
    driver.until("erasing", |d| d.has("· 2 strokes") && share(d, 0).is_some_and(|share| share < painted));
    driver.key(Modifiers::COMMAND, Key::Z);
    driver.until("undo of a stroke", |d| share(d, 0) == Some(painted));
    let state = &mut driver.window().state;
    assert_eq!((state.session().corrections.len(), state.segmenting.corrected().len()), (1, 1));

    let out = driver.dir.path().join("masks");
    driver.window().export_masks_to(out.clone());
    driver.until("PNG", |d| d.has("Saved") && out.join("a_overlay.png").is_file());
    let png = image::open(out.join("a_crack_mask.png")).unwrap().into_luma8();
    let inside = png.iter().filter(|value| **value > 0).count();
    assert!((inside as f32 / png.len() as f32 - painted).abs() < 1e-6);
    assert!(out.join("a_crack_probability.png").is_file());

    driver.window().export_coco_to(&out);
    driver.until("COCO", |d| d.has("Saved the masks of 1 photo"));
    let coco = CocoMasks::open(&out.join("masks.json"), true).unwrap();
    assert_eq!((coco.images.len(), coco.images[0].file_name.as_str()), (1, "a.png"));
    assert_eq!(coco.mask(&coco.images[0], &coco.categories[0]).unwrap(), png);
}

#[test]
fn a_click_within_one_frame_paints() {
    let (mut driver, middle) = about_to_brush();
    let button = |pos: Pos2, pressed: bool| Event::PointerButton {
        pos,
        button: PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    };
    // Two clicks at one place, and a stroke that goes on while its button is let go.
    let away = middle + egui::vec2(60.0, 40.0);
    for events in [
        vec![Event::PointerMoved(middle), button(middle, true), button(middle, false)],
        vec![button(middle, true), button(middle, false)],
        vec![Event::PointerMoved(away), button(away, true)],
        vec![Event::PointerMoved(away + egui::vec2(10.0, 0.0)), button(away + egui::vec2(30.0, 0.0), false)],
    ] {
        driver.harness.input_mut().events = events;
        driver.harness.run_steps(1);
    }
    driver.until("painting", |d| d.has("· 3 strokes") && share(d, 0).is_some_and(|share| share > 0.0));
    let state = &driver.window().state;
    let strokes = state.segmenting.kept().remove(0).2;
    assert_eq!(strokes[0], strokes[1], "both clicks paint the same");
    assert_eq!(strokes[0].points.len(), 1);
    let per_pixel = state.viewport.zoom;
    let run = (strokes[2].points.last().unwrap()[0] - strokes[2].points[0][0]) as f32;
    assert!((run * per_pixel - 30.0).abs() <= 2.0 * per_pixel, "{run} pixels at {per_pixel}");
}

#[test]
fn an_example_is_drawn_and_corrections_survive_the_session() {
    let mut driver = on_the_page();
    driver.until("decoding", |d| d.harness.query_by_label("Photo with masks").is_some());
    driver.click("Example");
    let middle = driver.harness.get_by_label("Photo with masks").rect().center();
    drag(&mut driver, middle, middle + egui::vec2(80.0, 60.0));
    driver.until("the map", |d| d.has("like in a.png") && d.has("% of the photo"));
    let state = &driver.window().state;
    let Prompt::Example { width, height, .. } = state.segmenting.setup.layers[0].prompt else { panic!("no example") };
    assert!(width > 20 && height > 20, "{width} × {height}");
    driver.click("Brush");
    drag(&mut driver, middle, middle + egui::vec2(30.0, 0.0));
    let session = driver.window().state.session();
    assert_eq!(session.corrections.len(), 1);
    let restored = hairline::app::state::State::restore(session.clone());
    assert_eq!(restored.session(), session);
    driver.harness.get_by_label_contains("Undo strokes of").click_accesskit();
    driver.until("restoring", |d| d.window().state.segmenting.corrected().is_empty());
}

/// Bright plates with a dark bar, and the bar as mask.
fn training_data(dir: &Path) -> PathBuf {
    let root = dir.join("plates");
    for folder in ["images", "masks"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    for n in 0..5u32 {
        let inside = move |x: u32, y: u32| (20 + 10 * n..40 + 10 * n).contains(&x) && (30..70).contains(&y);
        let name = format!("{n}.png");
        let grey = |x, y| if inside(x, y) { 30 } else { 180 + (x * 7 + y * 3) as u8 % 20 };
        RgbImage::from_fn(96, 96, |x, y| Rgb([grey(x, y); 3])).save(root.join("images").join(&name)).unwrap();
        let mask = GrayImage::from_fn(96, 96, |x, y| Luma([if inside(x, y) { 255 } else { 0 }]));
        mask.save(root.join("masks").join(&name)).unwrap();
    }
    root
}

#[test]
fn training_is_forecast_watched_stopped_resumed_and_used() {
    let mut driver = Driver::with_real_engine();
    driver.key(Modifiers::NONE, Key::F10);
    driver.click("Training");
    assert!(driver.has("Choose photos with masks first."));
    let (nothing, base) = (driver.dir.path().join("nothing"), small_model(driver.dir.path()));
    driver.window().state.training.setup.base = base;
    driver.harness.get_by_label("Folder of photos with masks").focus();
    driver.harness.run_steps(1);
    driver.harness.get_by_label("Folder of photos with masks").type_text(nothing.to_str().unwrap());
    driver.key(Modifiers::NONE, Key::Enter);
    driver.until("refusing", |d| d.has("neither `images` and `masks`"));
    let (data, out) = (training_data(driver.dir.path()), driver.dir.path().join("run"));
    driver.window().choose_training_data(data);
    {
        let setup = &mut driver.window().state.training.setup;
        (setup.out, setup.epochs, setup.variants, setup.batch_size) = (Some(out.clone()), 60, 1, 2);
    }
    driver.until("understanding", |d| d.has("4 photos to learn from, 1 to judge on") && d.has("Class mask: 4 photos"));
    assert!(driver.has("Sample "));
    driver.until("measuring", |d| d.has("Measured here on a few photos and steps"));
    driver.click("Start training");
    driver.until("two epochs", |d| d.window().state.training.run.as_ref().unwrap().epochs.len() >= 2);
    assert!(driver.has("before training: IoU") && driver.has("Losses while learning, last epoch"));
    driver.click("Stop");
    driver.until("stopping", |d| d.has("The same training goes on"));
    let kept = driver.window().state.training.run.as_ref().unwrap().epochs.len();
    driver.click("Go on training");
    driver.until("going on", |d| {
        let run = d.window().state.training.run.as_ref().unwrap();
        run.resumed >= kept && run.epochs.len() > run.resumed
    });
    driver.click("Stop");
    driver.until("stopping again", |d| d.has("The same training goes on"));
    driver.click("Use the trained network");
    driver.until("segmenting", |d| d.window().state.photos.len() == 1 && d.has("% of the photo"));
    let state = &driver.window().state;
    assert_eq!(state.segmenting.setup.model, out.join("model").display().to_string());
    assert_eq!(state.segmenting.setup.layers[0].prompt, Prompt::Words("a defect".to_owned()));
    assert!(out.join("curves.csv").is_file());
}
