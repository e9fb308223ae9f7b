//! The smaller verbs from outside: `embed`, `tokens`, `synth`, help and version.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as expected")]

mod support;

use support::{Place, checkout, png};

fn npy(place: &Place, name: &str) -> (Vec<u64>, Vec<f32>) {
    let bytes = std::fs::read(place.path(name)).unwrap();
    let file = npyz::NpyFile::new(&bytes[..]).unwrap();
    let shape = file.shape().to_vec();
    (shape, file.into_vec().unwrap())
}

fn length(row: &[f32]) -> f32 {
    row.iter().map(|v| v * v).sum::<f32>().sqrt()
}

#[test]
fn help_and_version_are_data() {
    let place = Place::new();
    let run = place.run(&["--version"]).expect(0);
    assert_eq!(run.stdout, format!("hairline {}\n", env!("CARGO_PKG_VERSION")));
    let run = place.run(&["--help"]).expect(0);
    for verb in ["demo", "inspect", "embed", "tokens", "synth", "segment", "models"] {
        assert!(run.stdout.contains(verb), "{}", run.stdout);
        place.run(&[verb, "--help"]).expect(0);
    }
    assert_eq!(run.stderr, "");
    place.run(&["frobnicate"]).expect(2);
}

#[test]
fn image_embeddings_come_in_the_order_given_and_have_length_one() {
    let place = Place::new();
    place.write("b.png", &png(80, 60));
    place.write("a.png", &png(50, 90));
    let run = place.run(&["embed", "image", "b.png", "a.png", "--out", "e.npy"]).expect(0);
    assert_eq!(run.stdout, "b.png\na.png\n");
    let (shape, values) = npy(&place, "e.npy");
    assert_eq!((shape.len(), shape[0]), (2, 2));
    let dim = shape[1] as usize;
    assert!(values.chunks(dim).all(|row| (length(row) - 1.0).abs() < 1e-5));

    place.run(&["embed", "image", "b.png", "a.png", "--out", "raw.npy", "--raw"]).expect(0);
    let (_, raw) = npy(&place, "raw.npy");
    for (raw, unit) in raw.chunks(dim).zip(values.chunks(dim)) {
        let scale = length(raw);
        assert!(raw.iter().zip(unit).all(|(r, u)| (r / scale - u).abs() < 1e-5));
    }

    place.run(&["embed", "image", "a.png", "--out", "p.npy", "--patches", "1,2"]).expect(0);
    let (shape, values) = npy(&place, "p.npy");
    assert_eq!((shape.len(), shape[0], shape[1]), (4, 1, 2));
    assert!(values.chunks(shape[3] as usize).all(|patch| (length(patch) - 1.0).abs() < 1e-4));
}

#[test]
fn embedding_goes_on_after_a_bad_photo_and_refuses_layers_that_do_not_exist() {
    let place = Place::new();
    place.write("a.png", &png(50, 90));
    place.write("empty.png", b"");
    let run = place.run(&["embed", "image", "a.png", "empty.png", "--out", "e.npy"]).expect(1);
    assert!(run.stderr.contains("empty.png"), "{}", run.stderr);
    assert_eq!(npy(&place, "e.npy").0[0], 1);
    let run = place.run(&["embed", "image", "a.png", "--out", "x.npy", "--patches", "99"]).expect(1);
    assert!(run.stderr.contains("99") && !place.path("x.npy").exists(), "{}", run.stderr);
}

#[test]
fn a_model_without_text_embeds_photos_and_refuses_words() {
    let place = Place::new();
    place.write("a.png", &png(90, 60));
    let folder = checkout("tests/fixtures/model/dinov2").to_string_lossy().into_owned();
    let file = checkout("tests/fixtures/model/vit-file/model.safetensors").to_string_lossy().into_owned();
    place.run(&["embed", "image", "a.png", "--out", "e.npy", "--model", &folder]).expect(0);
    assert_eq!(npy(&place, "e.npy").0, [1, 24]);
    place.run(&["embed", "image", "a.png", "--out", "p.npy", "--patches", "2,3", "--model", &file]).expect(1);
    place.run(&["embed", "image", "a.png", "--out", "p.npy", "--patches", "1,2", "--model", &file]).expect(0);
    assert_eq!(npy(&place, "p.npy").0, [1, 2, 25, 64]);
    let run = place.run(&["embed", "text", "a part", "--out", "t.npy", "--model", &folder]).expect(1);
    assert!(run.stderr.contains("dinov2 sees photos only") && !place.path("t.npy").exists(), "{}", run.stderr);
    let run = place.run(&["models", "info", &folder, "--json"]).expect(0);
    let info: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&info["kind"], &info["has_text"]), (&"dinov2".into(), &false.into()));
}

#[test]
fn text_embeddings_and_tokens() {
    let place = Place::new();
    let texts = ["a photo of a part.", "a photo of a part with a scratch."];
    place.run(&["embed", "text", texts[0], texts[1], texts[0], "--out", "t.npy"]).expect(0);
    let (shape, values) = npy(&place, "t.npy");
    assert_eq!(shape[0], 3);
    let rows: Vec<&[f32]> = values.chunks(shape[1] as usize).collect();
    assert_eq!(rows[0], rows[2]);
    assert_ne!(rows[0], rows[1]);

    let run = place.run(&["tokens", texts[0], texts[1]]).expect(0);
    let ids: Vec<Vec<u32>> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!((ids[0].first(), ids[0].last()), (ids[1].first(), ids[1].last()), "begin and end token");
}

#[test]
fn synth_is_the_same_for_the_same_seed() {
    let place = Place::new();
    let make = |out: &str, seed: &str| {
        place
            .run(&[
                "synth",
                "--out",
                out,
                "--seed",
                seed,
                "--classes",
                "1",
                "--train",
                "2",
                "--good",
                "1",
                "--defective",
                "2",
                "--size",
                "64",
            ])
            .expect(0)
    };
    let run = make("one", "5");
    assert!(run.stderr.contains("5 photos, 2 masks"), "{}", run.stderr);
    make("two", "5");
    make("three", "6");
    let class = place.names("one").remove(0);
    let photo = |out: &str, class: &str| std::fs::read(place.path(out).join(class).join("train/good/000.png")).unwrap();
    assert_eq!(photo("one", &class), photo("two", &class));
    assert_ne!(photo("one", &class), photo("three", &place.names("three").remove(0)));
    let run = place.run(&["synth", "--out", "x", "--size", "7"]).expect(1);
    assert!(run.stderr.contains("between 32 and 2048"), "{}", run.stderr);
}

/// Where the annotations of `tests/fixtures/coco` and their photos are.
fn coco_place() -> Place {
    let place = Place::new();
    place.write("annotations.json", include_bytes!("fixtures/coco/annotations.json"));
    for i in 0..20 {
        place.write(&format!("photos/line{}/{i}.png", i % 2), &png(53, 37));
    }
    place
}

#[test]
fn coco_masks_are_those_of_pycocotools() {
    let place = coco_place();
    place.run(&["segment", "masks", "--coco", "annotations.json", "--images", "photos", "--out", "masks"]).expect(0);
    let expected = image::load_from_memory(include_bytes!("fixtures/coco/expected.png")).unwrap().to_luma8();
    let (mut row, mut filled) = (0, 0);
    for category in ["dent", "scratch"] {
        for i in 0..20 {
            let mask = image::open(place.path(&format!("masks/{category}/{i}_mask.png"))).unwrap().to_luma8();
            assert_eq!(mask.dimensions(), (53, 37));
            for (x, y, pixel) in mask.enumerate_pixels() {
                assert_eq!(pixel.0, expected.get_pixel(x, row + y).0, "{category}, photo {i}, x {x}, y {y}");
                filled += usize::from(pixel.0[0] > 0);
            }
            row += 37;
        }
    }
    assert_eq!(row, expected.height());
    assert!(filled > 5_000, "{filled}");
}

#[test]
fn a_photo_of_another_size_fails_alone() {
    let place = coco_place();
    place.write("photos/line1/3.png", &png(53, 38));
    place.write("photos/line0/4.png", b"no photo");
    let run = place
        .run(&["segment", "masks", "--coco", "annotations.json", "--images", "photos", "--out", "masks"])
        .expect(1);
    assert!(run.stderr.contains("53 × 38") && run.stderr.contains("3.png"), "{}", run.stderr);
    assert!(run.stderr.contains("4.png") && run.stderr.contains("2 of 20 photos"), "{}", run.stderr);
    assert!(place.path("masks/dent/5_mask.png").is_file() && !place.path("masks/dent/3_mask.png").exists());
}

#[test]
fn a_box_without_an_outline_is_no_empty_mask() {
    let place = Place::new();
    place.write("photos/a.png", &png(53, 37));
    place.write("photos/b.png", &png(53, 37));
    let annotations = r#"{"categories": [{"id": 1, "name": "dent"}],
        "images": [{"id": 1, "file_name": "a.png", "width": 53, "height": 37},
                   {"id": 2, "file_name": "b.png", "width": 53, "height": 37}],
        "annotations": [{"id": 5, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "segmentation": []},
                        {"id": 6, "image_id": 2, "category_id": 1, "segmentation": [[1, 1, 9, 1, 9, 9]]}]}"#;
    place.write("boxes.json", annotations.as_bytes());
    let run =
        place.run(&["segment", "masks", "--coco", "boxes.json", "--images", "photos", "--out", "masks"]).expect(1);
    for words in ["Annotation 5 of `a.png`", "only a box", "boxes.json", "1 of 2 photos"] {
        assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
    }
    assert!(place.path("masks/b_mask.png").is_file() && !place.path("masks/a_mask.png").exists());
}

#[test]
fn an_annotation_that_fits_nothing_costs_its_own_photo() {
    let place = Place::new();
    let names = ["a.png", "b.png", "c.png"];
    for name in names {
        place.write(&format!("photos/{name}"), &png(53, 37));
    }
    let photo = |at: usize| serde_json::json!({"id": at, "file_name": names[at], "width": 53, "height": 37});
    let annotation = |id: usize, photo: usize, category: usize, segmentation: serde_json::Value| serde_json::json!({"id": id, "image_id": photo, "category_id": category, "segmentation": segmentation});
    let outline = serde_json::json!([[1, 1, 9, 1, 9, 9]]);
    let write = |annotations: Vec<serde_json::Value>| {
        let file = serde_json::json!({
            "categories": [{"id": 1, "name": "dent"}, {"id": 2, "name": "scratch"}],
            "images": [photo(0), photo(1), photo(2)],
            "annotations": annotations,
        });
        place.write("coco.json", file.to_string().as_bytes());
    };
    let masks = |out: &str| {
        place.run(&["segment", "masks", "--coco", "coco.json", "--images", "photos", "--out", out]).expect(1)
    };
    write(vec![
        annotation(5, 0, 1, serde_json::json!({"size": [53, 37], "counts": [1961]})),
        annotation(6, 1, 7, outline.clone()),
        annotation(7, 9, 1, outline.clone()),
        annotation(8, 2, 2, outline.clone()),
    ]);
    let run = masks("masks");
    for words in [
        "Annotation 5 of `a.png` is a mask of 37 × 53 pixels",
        "Annotation 6 of `b.png` has the category 7",
        "Annotation 7 belongs to photo 9",
        "2 of 3 photos have no mask",
        "2 masks written",
    ] {
        assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
    }
    assert_eq!(
        (place.names("masks/dent"), place.names("masks/scratch")),
        (vec!["c_mask.png".into()], vec!["c_mask.png".into()])
    );

    write(vec![annotation(7, 9, 1, outline.clone()), annotation(8, 2, 2, outline)]);
    let run = masks("more");
    assert!(run.stderr.contains("1 annotation belongs to no photo"), "{}", run.stderr);
    assert_eq!(place.names("more/dent").len(), 3);
}

#[test]
fn a_model_is_refused_where_no_network_runs() {
    let place = coco_place();
    place.write("s.csv", b"path,label,score\na.png,normal,0.1\nb.png,anomalous,nan\n");
    let masks = ["segment", "masks", "--coco", "annotations.json", "--images", "photos", "--out", "masks"];
    for (arguments, verb) in [
        (&masks[..], "segment masks"),
        (&["metrics", "--scores", "s.csv"], "metrics"),
        (&["synth", "--out", "parts"], "synth"),
        (&["history", "list", "--history", "h.sqlite"], "history"),
    ] {
        let run = place.run(&[arguments, &["--model", "pocket"]].concat()).expect(1);
        assert!(run.stderr.contains(&format!("`hairline {verb}` uses no network")), "{}", run.stderr);
    }
    assert!(!place.path("masks").exists() && !place.path("parts").exists());
    let run = place.run(&["metrics", "--scores", "s.csv"]).expect(1);
    assert!(run.stderr.contains("Line 3: the score is `nan`, no finite number. Correct it, or"), "{}", run.stderr);
}

#[test]
fn a_folder_of_photos_that_is_not_there_is_named_before_training() {
    let place = Place::new();
    place.write("train.csv", b"image_path,text\na.png,a cap\n");
    let train = ["match", "train", "--train-csv", "train.csv", "--root-dir", "nowhere", "--output", "run"];
    let run = place.run(&train).expect(1);
    assert!(run.stderr.contains("--root-dir") && run.stderr.contains("[nowhere]"), "{}", run.stderr);
    assert!(!place.path("run").exists());
}

#[test]
fn segmenting_needs_a_model_that_can_and_prompts_that_fit() {
    let place = coco_place();
    let predict = ["segment", "predict", "photos", "--prompt", "a crack", "--out", "o"];
    let run = place.run(&[&predict[..], &["--model", "pocket"]].concat()).expect(1);
    assert!(run.stderr.contains("clipseg-rd64-refined") && run.stderr.contains("pocket-seg"), "{}", run.stderr);
    place.run(&["segment", "predict", "photos", "--out", "o"]).expect(2);
    let run = place.run(&["segment", "evaluate", "photos", "--prompts", "a crack", "--out", "o"]).expect(1);
    assert!(run.stderr.contains("`images` and `masks`"), "{}", run.stderr);
}

#[test]
fn a_trained_model_predicts_and_is_measured() {
    let place = Place::new();
    for i in 0..5u32 {
        let inside = move |x: u32, y: u32| (8 * i..8 * i + 24).contains(&x) && (8..40).contains(&y);
        let photo = image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([if inside(x, y) { 20 } else { 180 }; 3]));
        let mask = image::GrayImage::from_fn(64, 48, |x, y| image::Luma([if inside(x, y) { 255 } else { 0 }]));
        std::fs::create_dir_all(place.path("data/images")).unwrap();
        std::fs::create_dir_all(place.path("data/masks")).unwrap();
        photo.save(place.path(&format!("data/images/{i}.png"))).unwrap();
        mask.save(place.path(&format!("data/masks/{i}.png"))).unwrap();
    }
    let train = ["segment", "train", "data", "--prompts", "a hole", "--out", "run", "--input", "64", "--epochs", "2"];
    let run = place.run(&train).expect(0);
    assert!(run.stdout.starts_with("best epoch"), "{}", run.stdout);
    let curves = std::fs::read_to_string(place.path("run/curves.csv")).unwrap();
    assert_eq!(curves.lines().count(), 3, "{curves}");

    let model = ["--model", "run/model"];
    let predict = ["segment", "predict", "data/images", "--prompt", "a hole", "--prompt", "rust", "--out", "found"];
    place.run(&[&predict[..], &model].concat()).expect(0);
    let found = place.json("found/segments.json");
    assert_eq!(found["photos"].as_array().unwrap().len(), 5);
    assert_eq!(found["photos"][0]["layers"][1]["mask"], "0_rust_mask.png");
    let mask = image::open(place.path("found/0_a hole_mask.png")).unwrap().to_luma8();
    assert_eq!(mask.dimensions(), (64, 48));
    let share = mask.pixels().filter(|p| p.0[0] > 0).count() as f64 / (64.0 * 48.0);
    assert!((share - found["photos"][0]["layers"][0]["share"].as_f64().unwrap()).abs() < 1e-6);
    // Prompts longer than any file name make files as well, each its own.
    let words = "a hole beside a hole, ".repeat(28);
    let other = format!("{words}at last");
    let predict = ["segment", "predict", "data/images/0.png", "--prompt", &words, "--prompt", &other, "--out", "long"];
    place.run(&[&predict[..], &model].concat()).expect(0);
    let long = place.json("long/segments.json");
    let file = |layer: usize| long["photos"][0]["layers"][layer]["mask"].as_str().unwrap();
    assert_ne!(file(0), file(1));
    for name in [file(0), file(1)] {
        assert!(name.len() < 100 && place.path("long").join(name).is_file(), "{name}");
    }

    let evaluate = ["segment", "evaluate", "data", "--prompts", "a hole", "--out", "measured"];
    place.run(&[&evaluate[..], &model].concat()).expect(0);
    let measured = place.json("measured/evaluation.json");
    assert_eq!(measured["photos"].as_array().unwrap().len(), 5);
    assert!(measured["overall"]["best_dice"].as_f64().unwrap() > 0.2, "{measured}");
    assert!(place.path("measured/report.html").is_file() && place.path("measured/photos.csv").is_file());
}
