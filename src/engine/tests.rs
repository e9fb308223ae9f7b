//! The engine from outside: requests in, events out, on the embedded model and photos drawn here.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

use std::cell::RefCell;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::*;
use crate::anomaly::Inspection;
use crate::recipe::Method;

/// Name of a photo that makes the worker panic, every time it is touched.
pub(super) const KILLER: &str = "killer.png";

/// A brushed plate, slightly different for each `seed`, with a dark spot if asked for.
fn draw(dir: &Path, name: &str, seed: u32, spot: bool) -> PathBuf {
    let path = dir.join(name);
    let photo = image::RgbImage::from_fn(128, 96, |x, y| {
        let grain = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503) ^ seed.wrapping_mul(97)) >> 7 & 15;
        let dark = spot && (x as i32 - 90).pow(2) + (y as i32 - 30).pow(2) < 100;
        let value = if dark { 20 } else { 140 + grain as u8 + (y / 8) as u8 };
        image::Rgb([value, value, value + 5])
    });
    photo.save(&path).unwrap();
    path
}

struct Bench {
    engine: Engine,
    events: Receiver<Event>,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new(change: impl FnOnce(&Path, &mut Recipe)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut recipe = Recipe::default();
        recipe.input.short_side = Some(96);
        change(dir.path(), &mut recipe);
        let (engine, events) = Self::start(dir.path(), recipe);
        Self { engine, events, dir }
    }

    fn start(dir: &Path, recipe: Recipe) -> (Engine, Receiver<Event>) {
        let cache_dir = Some(dir.join("cache"));
        let options = EngineOptions { device: DevicePolicy::Cpu, cache_dir, ..EngineOptions::default() };
        Engine::start(options, recipe, || {}).unwrap()
    }

    fn with_references() -> Self {
        Self::new(|dir, recipe| {
            recipe.references = (0..3).map(|i| draw(dir, &format!("reference{i}.png"), i, false)).collect();
        })
    }

    fn inspect(&self, job: JobId, photos: &[(PhotoId, PathBuf)]) {
        let photos = photos.iter().map(|(id, path)| PhotoRef { id: *id, path: path.clone() }).collect();
        self.engine.send(Request::Inspect { job, photos, maps: false });
    }

    /// All events up to and with the first that `last` accepts.
    fn until(&self, last: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut seen = Vec::new();
        let deadline = Instant::now() + Duration::from_mins(2);
        loop {
            let event =
                self.events.recv_deadline(deadline).unwrap_or_else(|_| panic!("waited in vain after {seen:#?}"));
            let ended = last(&event);
            seen.push(event);
            if ended {
                return seen;
            }
        }
    }
}

fn finished(event: &Event) -> bool {
    matches!(event, Event::JobFinished { .. } | Event::JobCancelled { .. })
}

fn inspections(events: &[Event]) -> Vec<(PhotoId, Arc<Inspection>)> {
    let found = events.iter().filter_map(|event| match event {
        Event::PhotoInspected { id, inspection, .. } => Some((*id, inspection.clone())),
        _ => None,
    });
    found.collect()
}

#[test]
fn a_bad_photo_fails_alone_and_names_itself() {
    let bench = Bench::new(|_, _| {});
    let dir = bench.dir.path();
    std::fs::write(dir.join("b.png"), b"not a picture").unwrap();
    bench.inspect(1, &[(0, draw(dir, "a.png", 1, false)), (1, dir.join("b.png")), (2, draw(dir, "c.png", 2, true))]);
    let events = bench.until(finished);
    let failed: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::PhotoFailed { id, error, .. } => Some((*id, error.to_string())),
            _ => None,
        })
        .collect();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].0 == 1 && failed[0].1.contains("b.png"), "{failed:?}");
    assert_eq!(inspections(&events).iter().map(|(id, _)| *id).collect::<Vec<_>>(), [0, 2]);
    assert!(matches!(events.last(), Some(Event::JobFinished { job: 1, done: 3, failed: 1 })));
}

#[test]
fn with_references_a_spot_scores_higher_than_a_clean_plate() {
    let bench = Bench::with_references();
    let dir = bench.dir.path();
    bench.inspect(1, &[(0, draw(dir, "clean.png", 9, false)), (1, draw(dir, "spot.png", 10, true))]);
    let found = inspections(&bench.until(finished));
    assert!(found[1].1.image_score > found[0].1.image_score);
    assert!(found[1].1.p_value.unwrap() <= 0.25);
    let map = bench.engine.judged(1).unwrap().map;
    let highest = (0..map.scores.len()).max_by(|&a, &b| map.scores[a].total_cmp(&map.scores[b])).unwrap();
    let (x, y) = (highest % map.width * 128 / map.width, highest / map.width * 96 / map.height);
    assert!(x.abs_diff(90) < 20 && y.abs_diff(30) < 20, "highest at {x}, {y}, the spot at 90, 30");
}

#[test]
fn a_text_weight_without_words_is_refused_and_the_former_recipe_holds() {
    let vision = format!("{}/tests/fixtures/model/vit", env!("CARGO_MANIFEST_DIR"));
    let bench = Bench::new(|dir, recipe| {
        recipe.apply_method(Method::Memory);
        recipe.model = vision;
        recipe.references = (0..3).map(|i| draw(dir, &format!("reference{i}.png"), i, false)).collect();
    });
    bench.inspect(1, &[(0, draw(bench.dir.path(), "spot.png", 7, true))]);
    bench.until(finished);
    let before = bench.engine.judged(0).unwrap();
    assert_eq!((before.evidence.text.as_ref(), before.evidence.text_image), (None, None));
    assert!(before.evidence.memory.is_some());
    let mut recipe = (*bench.engine.recipe()).clone();
    recipe.text_weight = 0.5;
    bench.engine.set_recipe(recipe);
    let refused = bench.until(|event| matches!(event, Event::RecipeRefused(_)));
    let Some(Event::RecipeRefused(error)) = refused.last() else { panic!("no refusal") };
    assert!(error.to_string().contains("sees photos only"), "{error}");
    assert_eq!(bench.engine.recipe().text_weight, 0.0);
}

#[test]
fn words_and_memory_through_two_networks_share_the_finer_grid() {
    let dino = format!("{}/tests/fixtures/model/dinov2", env!("CARGO_MANIFEST_DIR"));
    let bench = Bench::new(|dir, recipe| {
        recipe.memory_model = Some(dino);
        recipe.references = (0..3).map(|i| draw(dir, &format!("reference{i}.png"), i, false)).collect();
    });
    bench.inspect(1, &[(0, draw(bench.dir.path(), "spot.png", 7, true))]);
    let events = bench.until(finished);
    let names = events.iter().find_map(|event| match event {
        Event::ModelLoaded { model, memory_model, .. } => Some((model.id.clone(), memory_model.as_ref()?.id.clone())),
        _ => None,
    });
    assert_eq!(names, Some(("pocket".to_owned(), "dinov2".to_owned())));
    // 448 px in patches of 14 on the short side, where pocket makes 96 / 8 of it.
    let evidence = bench.engine.judged(0).unwrap().evidence;
    assert_eq!((evidence.rows, evidence.cols, evidence.patch_px, evidence.memory_grid), (32, 43, 14, (32, 43)));
    let patches = evidence.rows * evidence.cols;
    assert_eq!(evidence.text.as_ref().map(|text| text.values.len()), Some(patches));
    assert_eq!((evidence.nearest.len(), evidence.foreground.len()), (patches, patches));
}

#[test]
fn a_weight_runs_no_network_and_a_prompt_only_the_text_tower() {
    let bench = Bench::with_references();
    let photo = draw(bench.dir.path(), "spot.png", 7, true);
    bench.engine.view(Some(0));
    bench.inspect(1, &[(0, photo)]);
    bench.until(finished);
    let before = bench.engine.judged(0).unwrap();

    let mut recipe = (*bench.engine.recipe()).clone();
    recipe.text_weight = 0.9;
    bench.engine.set_recipe(recipe.clone());
    let judged = |event: &Event| matches!(event, Event::ViewJudged(view) if view.recipe.text_weight == 0.9);
    let events = bench.until(judged);
    assert!(
        !events.iter().any(|event| matches!(event, Event::Preparing { .. } | Event::ModelLoaded { .. })),
        "{events:?}"
    );
    let weighted = bench.engine.judged(0).unwrap();
    assert!(Arc::ptr_eq(&before.evidence, &weighted.evidence));
    assert_ne!(before.map.scores, weighted.map.scores);

    recipe.prompts.anomalous = vec!["{} with a hole".into()];
    bench.engine.set_recipe(recipe);
    let remade = |_: &Event| !Arc::ptr_eq(&bench.engine.judged(0).unwrap().evidence, &weighted.evidence);
    let events = bench.until(remade);
    let network = |event: &Event| {
        matches!(event, Event::Preparing { stage: Stage::ReadingReferences | Stage::LoadingModel, .. })
            || matches!(event, Event::MemoryBuilt { .. })
    };
    assert!(!events.iter().any(network), "{events:?}");
    let after = bench.engine.judged(0).unwrap();
    assert_ne!(after.evidence.text, before.evidence.text);
    assert_eq!(after.evidence.memory, before.evidence.memory);
    assert_eq!(after.inspection.timings_ms.features, 0.0, "the image tower did not run");
}

#[test]
fn references_can_be_added_and_taken_away_while_photos_are_open() {
    let bench = Bench::new(|_, _| {});
    let dir = bench.dir.path();
    bench.inspect(1, &[(0, draw(dir, "spot.png", 7, true))]);
    bench.until(finished);
    assert!(bench.engine.judged(0).unwrap().evidence.memory.is_none());
    let mut recipe = (*bench.engine.recipe()).clone();
    recipe.references = vec![draw(dir, "r0.png", 1, false), draw(dir, "r1.png", 2, false)];
    bench.engine.set_recipe(recipe.clone());
    let anew = |event: &Event| matches!(event, Event::PhotoInspected { id: 0, job: None, .. });
    bench.until(|event| anew(event) && bench.engine.judged(0).unwrap().evidence.memory.is_some());
    recipe.references.clear();
    bench.engine.set_recipe(recipe);
    bench.until(|event| matches!(event, Event::MemoryBuilt { references: 0, .. }));
    bench.until(|_| bench.engine.judged(0).unwrap().evidence.memory.is_none());
}

#[test]
fn a_photo_is_never_judged_by_references_that_its_evidence_does_not_know() {
    let bench = Bench::new(|_, _| {});
    let dir = bench.dir.path();
    let photos: Vec<_> = (0..6).map(|i| (i, draw(dir, &format!("{i}.png"), i as u32, i % 2 == 1))).collect();
    bench.engine.view(Some(5));
    bench.inspect(1, &photos);
    let before = inspections(&bench.until(finished));
    let mut recipe = (*bench.engine.recipe()).clone();
    recipe.references = (10..13).map(|i| draw(dir, &format!("r{i}.png"), i, false)).collect();
    bench.engine.set_recipe(recipe.clone());
    let mut events = bench.until(|event| matches!(event, Event::MemoryBuilt { .. }));
    // An eager hand: all photos are judged again while most still wait for their new evidence.
    recipe.top_k += 1;
    bench.engine.set_recipe(recipe);
    let waiting: RefCell<HashSet<PhotoId>> = RefCell::new(photos.iter().map(|(id, _)| *id).collect());
    events.extend(bench.until(|event| {
        if let Event::PhotoInspected { id, inspection, .. } = event
            && inspection.p_value.is_some()
        {
            waiting.borrow_mut().remove(id);
        }
        waiting.borrow().is_empty()
    }));
    let known = |id| bench.engine.judged(id).unwrap();
    let told = inspections(&events);
    for (id, inspection) in told {
        let was = &before.iter().find(|(other, _)| *other == id).unwrap().1;
        let score = if inspection.p_value.is_some() { known(id).inspection.image_score } else { was.image_score };
        assert_eq!(inspection.image_score, score, "photo {id} was judged by a mixture: {inspection:?}");
    }
}

#[test]
fn a_recipe_that_cannot_be_followed_is_refused_and_the_former_holds() {
    let bench = Bench::new(|_, _| {});
    bench.until(|event| matches!(event, Event::ModelLoaded { .. }));
    let good = bench.engine.recipe();
    for change in [
        (|r: &mut Recipe| r.layers = Some(vec![99])) as fn(&mut Recipe),
        |r| r.model = "/nowhere/at/all".into(),
        |r| r.references = vec!["/nowhere/at/all.png".into()],
        |r| r.temperature = f32::NAN,
    ] {
        let mut recipe = (*good).clone();
        change(&mut recipe);
        bench.engine.set_recipe(recipe);
        bench.until(|event| matches!(event, Event::RecipeRefused(_)));
    }
    bench.inspect(1, &[(0, draw(bench.dir.path(), "a.png", 1, false))]);
    let events = bench.until(finished);
    assert_eq!(inspections(&events).len(), 1, "the engine still works");
    assert_eq!(bench.engine.recipe(), good);
}

#[test]
fn a_cancelled_job_stops_early_and_the_next_one_runs() {
    let bench = Bench::new(|_, _| {});
    let dir = bench.dir.path();
    let photo = draw(dir, "a.png", 1, false);
    let many: Vec<_> = (0..500).map(|id| (id, photo.clone())).collect();
    bench.inspect(1, &many);
    bench.until(|event| matches!(event, Event::PhotoInspected { .. }));
    bench.engine.send(Request::Cancel(1));
    let events = bench.until(finished);
    assert!(matches!(events.last(), Some(Event::JobCancelled { job: 1, done }) if *done < 500), "{:?}", events.last());
    bench.inspect(2, &[(900, photo)]);
    assert!(matches!(bench.until(finished).last(), Some(Event::JobFinished { job: 2, done: 1, failed: 0 })));
}

#[test]
fn the_photo_on_view_goes_first() {
    let bench = Bench::new(|_, _| {});
    let dir = bench.dir.path();
    let photos: Vec<_> = (0..40).map(|id| (id, draw(dir, &format!("{id}.png"), id as u32, false))).collect();
    bench.engine.view(Some(39));
    bench.inspect(1, &photos);
    let order: Vec<_> = inspections(&bench.until(finished)).into_iter().map(|(id, _)| id).collect();
    assert_eq!(order.iter().position(|id| *id == 39), Some(0), "{order:?}");
    assert_eq!(order.len(), 40);
}

#[test]
fn a_second_run_reads_features_from_disk_and_agrees_to_the_bit() {
    let bench = Bench::with_references();
    let photo = draw(bench.dir.path(), "spot.png", 7, true);
    bench.inspect(1, &[(0, photo.clone())]);
    bench.until(finished);
    let first = bench.engine.judged(0).unwrap();
    let recipe = (*bench.engine.recipe()).clone();
    let Bench { engine, dir, .. } = bench;
    drop(engine);
    let (engine, events) = Bench::start(dir.path(), recipe);
    let again = Bench { engine, events, dir };
    again.inspect(1, &[(0, photo)]);
    again.until(finished);
    let second = again.engine.judged(0).unwrap();
    assert!(first.inspection.timings_ms.features > 0.0);
    assert_eq!(second.inspection.timings_ms.features, 0.0);
    assert_eq!(first.map, second.map);
    assert_eq!(first.inspection.regions, second.inspection.regions);
}

#[test]
fn a_dying_worker_says_so_comes_back_and_loses_only_the_photo_that_kills_it() {
    let bench = Bench::with_references();
    let dir = bench.dir.path();
    bench.inspect(
        1,
        &[(0, draw(dir, "a.png", 1, false)), (1, draw(dir, KILLER, 2, false)), (2, draw(dir, "c.png", 3, true))],
    );
    let events = bench.until(finished);
    let restarts = events.iter().filter(|event| matches!(event, Event::EngineRestarted { .. })).count();
    assert_eq!(restarts, 2, "tried twice: {events:#?}");
    assert!(events.iter().any(|event| matches!(event, Event::PhotoFailed { id: 1, .. })));
    assert_eq!(
        inspections(&events).iter().map(|(id, _)| *id).filter(|id| *id != 1).collect::<Vec<_>>().last(),
        Some(&2)
    );
    assert!(matches!(events.last(), Some(Event::JobFinished { job: 1, done: 3, failed: 1 })));
}

#[test]
fn a_front_that_reads_no_events_does_not_keep_the_engine_from_stopping() {
    let bench = Bench::new(|_, _| {});
    let photo = draw(bench.dir.path(), "a.png", 1, false);
    let many: Vec<_> = (0..5000).map(|id| (id, photo.clone())).collect();
    bench.inspect(1, &many);
    let start = Instant::now();
    drop(bench.engine);
    assert!(start.elapsed() < Duration::from_mins(1));
}

#[test]
fn an_embedding_does_not_depend_on_what_is_asked_for_together() {
    let bench = Bench::new(|_, _| {});
    let paths: Vec<PathBuf> =
        (0..5).map(|i| draw(bench.dir.path(), &format!("{i}.png"), i as u32, i % 2 == 0)).collect();
    let missing = bench.dir.path().join("missing.png");
    let asked: Vec<PathBuf> = paths.iter().cloned().chain([missing]).collect();
    let together = bench.engine.run_lab(7, move |lab| lab.embed_all("pocket", &asked, Lab::progress));
    let together = lab::wait(&together).unwrap();
    assert!(together[5].as_ref().unwrap_err().to_string().contains("missing.png"));

    // An engine without that cache, one photo at a time.
    let recipe = Recipe::default();
    let options = EngineOptions { device: DevicePolicy::Cpu, cache_dir: None, ..EngineOptions::default() };
    let (alone, _events) = Engine::start(options, recipe, || {}).unwrap();
    for (path, together) in paths.into_iter().zip(&together) {
        let single = lab::wait(&alone.run_lab(1, move |lab| lab.embed("pocket", &path))).unwrap();
        assert_eq!(single.embedding, together.as_ref().unwrap().embedding);
        assert_eq!(single.embedding.len(), 96);
    }
    let texts = vec!["a good part".to_owned(), "a bad part".to_owned(), "a good part".to_owned()];
    let texts = lab::wait(&alone.run_lab(2, move |lab| lab.texts("pocket", &texts))).unwrap();
    assert_eq!(texts[0], texts[2]);
    assert_ne!(texts[0], texts[1]);
}

#[test]
fn work_of_the_lab_can_be_stopped_and_may_die_without_taking_the_engine_along() {
    let bench = Bench::new(|_, _| {});
    let (ready, started) = crossbeam_channel::bounded(1);
    let endless = bench.engine.run_lab(1, move |lab| -> Result<()> {
        ready.send(()).unwrap();
        while !lab.cancelled() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(Error::Cancelled)
    });
    let behind = bench.engine.run_lab(2, |_| Ok(5));
    started.recv().unwrap();
    bench.engine.send(Request::Cancel(2));
    bench.engine.send(Request::Cancel(1));
    assert!(matches!(lab::wait(&endless), Err(Error::Cancelled)));
    assert!(matches!(lab::wait(&behind), Err(Error::Cancelled)));

    let dying = bench.engine.run_lab(3, |_| -> Result<()> { panic!("killed on purpose") });
    assert!(lab::wait(&dying).unwrap_err().to_string().contains("engine failed"));
    bench.until(|event| matches!(event, Event::JobCancelled { job: 3, .. }));
    assert_eq!(lab::wait(&bench.engine.run_lab(4, |_| Ok(8))).unwrap(), 8);
}

#[test]
fn the_photo_on_view_is_inspected_in_the_middle_of_other_work() {
    let bench = Bench::new(|_, _| {});
    bench.until(|event| matches!(event, Event::ModelLoaded { .. }));
    let path = draw(bench.dir.path(), "viewed.png", 1, true);
    let seen = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stop = seen.clone();
    let work = bench.engine.run_lab(1, move |lab| {
        let mut rounds = 0;
        while !stop.load(std::sync::atomic::Ordering::Relaxed) && !lab.cancelled() {
            rounds += 1;
            lab.progress(rounds, 1000);
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(rounds)
    });
    bench.until(|event| matches!(event, Event::JobProgressed { job: 1, .. }));
    bench.engine.view(Some(3));
    bench.inspect(2, &[(3, path)]);
    bench.until(|event| matches!(event, Event::PhotoInspected { id: 3, .. }));
    seen.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(lab::wait(&work).unwrap() > 0);
}

#[test]
fn every_method_finds_the_spot() {
    for method in Method::ALL {
        let bench = Bench::new(|dir, recipe| {
            recipe.references = (0..3).map(|i| draw(dir, &format!("reference{i}.png"), i, false)).collect();
            recipe.apply_method(method);
            if method == Method::Batch {
                recipe.references = (0..6).map(|i| draw(dir, &format!("{i}.png"), 10 + i, i == 5)).collect();
            }
        });
        let dir = bench.dir.path();
        let photos = [(0, draw(dir, "0.png", 10, false)), (1, draw(dir, "5.png", 15, true))];
        bench.inspect(1, &photos);
        bench.until(|event| matches!(event, Event::JobFinished { failed: 0, .. }));
        let [good, spot] = [0, 1].map(|id| bench.engine.judged(id).unwrap());
        let (good, score) = (good.inspection.image_score, spot.inspection.image_score);
        assert!(score.is_finite() && good.is_finite(), "{method}: {good} {score}");
        // Words about a plain spot on a drawn plate decide nothing.
        assert!(method == Method::Winclip || score > good, "{method}: {score} with the spot, {good} without");
        // The spot's middle, on the grid of 12 × 16 patches.
        let values = &spot.evidence.memory.as_ref().expect("references").values;
        let at = (0..values.len()).max_by(|a, b| values[*a].total_cmp(&values[*b])).unwrap();
        let (row, col) = ((at / spot.evidence.cols) as i32, (at % spot.evidence.cols) as i32);
        assert!((row - 3).abs() <= 2 && (col - 11).abs() <= 2, "{method}: highest at row {row}, column {col}");
    }
}

#[test]
fn photos_are_compared_with_each_other_and_a_lone_one_is_refused() {
    let bench = Bench::new(|_, recipe| recipe.apply_method(Method::Batch));
    let dir = bench.dir.path();
    let photos: Vec<_> = (0..6).map(|i| (i, draw(dir, &format!("{i}.png"), i as u32, i == 5))).collect();
    let among = |photos: &[(PhotoId, PathBuf)]| {
        bench.engine.recipe().as_ref().clone().among(photos.iter().map(|(_, path)| path.clone()))
    };
    let alone = among(&photos[..1]);
    assert_eq!(alone.references.len(), 1);
    bench.engine.set_recipe(alone);
    bench.inspect(1, &photos[..1]);
    let refusal =
        |event: &Event| matches!(event, Event::PhotoFailed { error, .. } if error.to_string().contains("no other one"));
    bench.until(refusal);
    let mut together = bench.engine.recipe().as_ref().clone();
    together.references.clear();
    bench.engine.set_recipe(together.among(photos.iter().map(|(_, path)| path.clone())));
    bench.inspect(2, &photos);
    bench.until(|event| matches!(event, Event::JobFinished { job: 2, failed: 0, .. }));
    let views: Vec<_> = (0..6).map(|id| bench.engine.judged(id).unwrap()).collect();
    let highest = views.iter().max_by(|a, b| a.inspection.image_score.total_cmp(&b.inspection.image_score)).unwrap();
    assert!(highest.inspection.photo.path.ends_with("5.png"));
    let reason = &highest.inspection.reason;
    assert!(reason.contains("from 6 photos") && reason.contains("taken to be normal"), "{reason}");
    assert_eq!(highest.inspection.p_value, None, "photos of a batch are no known normals");
    assert!(highest.evidence.nearest.is_empty());
}
