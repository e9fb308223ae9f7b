//! `hairline bench` and `metrics` from outside: files, keys, a run that goes on, and every kind of bad input.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as expected")]

mod support;

use serde_json::Value;
use support::{Place, checkout, png};

/// Small classes with masks: how many, and how many reference, good and defective photos each.
fn make(place: &Place, counts: [usize; 4]) {
    let [classes, train, good, defective] = counts;
    let arguments = format!(
        "synth --out data --classes {classes} --train {train} --good {good} --defective {defective} --size 64 --seed 3"
    );
    place.run(&arguments.split(' ').collect::<Vec<_>>()).expect(0);
}

fn dataset(place: &Place) {
    make(place, [2, 4, 3, 4]);
}

fn classes(place: &Place) -> Vec<String> {
    place.names("data").into_iter().filter(|name| place.path("data").join(name).is_dir()).collect()
}

const FIGURES: [&str; 7] =
    ["image_auroc", "image_ap", "image_f1_max", "pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro"];

#[test]
fn a_folder_of_classes_is_measured_and_the_figures_are_those_of_the_files() {
    let place = Place::new();
    dataset(&place);
    let classes = classes(&place);
    let run = place.run(&["bench", "data", "--out", "out", "--shots", "2", "--seed", "1", "--save-maps"]).expect(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{}", run.stdout);
    for title in ["Class", "Img-AUROC", "Img-AP", "Img-F1max", "Pix-AUROC", "Pix-AP", "Pix-F1max", "AUPRO", "ms/photo"]
    {
        assert!(lines[0].contains(title), "{title}: {}", lines[0]);
    }
    assert!(lines[1].starts_with(&classes[0]) && lines[3].starts_with("MEAN"), "{}", run.stdout);

    let bench = place.json("out/bench.json");
    assert_eq!(
        (&bench["protocol"], &bench["method"], &bench["model"]),
        (&"original".into(), &"fused".into(), &"pocket".into())
    );
    assert_eq!((&bench["shots"], &bench["seed"]), (&2.into(), &1.into()));
    assert_eq!(bench["model_sha256"].as_str().unwrap().len(), 64);
    for (class, name) in bench["classes"].as_array().unwrap().iter().zip(&classes) {
        assert_eq!(class["name"], name.as_str());
        assert_eq!(class["n_test"], 7);
        assert!(class["ms_per_image"].as_f64().unwrap() > 0.0);
        for key in FIGURES {
            assert!((0.0..=1.0).contains(&class[key].as_f64().unwrap()), "{key}: {class}");
        }
    }
    for key in FIGURES {
        let values: Vec<f64> =
            bench["classes"].as_array().unwrap().iter().map(|class| class[key].as_f64().unwrap()).collect();
        let mean = bench["mean"][key].as_f64().unwrap();
        assert!((mean - values.iter().sum::<f64>() / 2.0).abs() < 1e-12, "{key}");
    }
    for files in bench["files"].as_array().unwrap() {
        assert_eq!(files["references"].as_array().unwrap().len(), 2);
        assert_eq!(files["test"].as_array().unwrap().len(), 7);
    }
    assert_eq!(std::fs::read_to_string(place.path("out/bench.csv")).unwrap().lines().count(), 4);
    let scores = std::fs::read_to_string(place.path("out/scores.csv")).unwrap();
    assert!(scores.starts_with("path,label,score"), "{scores}");
    assert_eq!(scores.lines().count(), 15);
    for plot in ["roc", "pr", "pixel_roc", "pixel_pr", "pro"] {
        let picture = image::open(place.path(&format!("out/plots/{plot}.png"))).unwrap();
        assert!(picture.width() > 600 && picture.height() > 400, "{plot}");
    }
    let page = std::fs::read_to_string(place.path("out/report.html")).unwrap();
    assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("https://"));
    assert!(page.contains("MEAN") && page.contains("data:image/jpeg;base64,") && page.matches("<svg").count() > 5);

    // The same figures from the files alone, for the first class.
    let rows: Vec<&str> = scores
        .lines()
        .enumerate()
        .filter(|(i, row)| *i == 0 || row.contains(&format!(",{},", classes[0])))
        .map(|(_, row)| row)
        .collect();
    place.write("one.csv", rows.join("\n").as_bytes());
    let (maps, masks) = (format!("out/maps/{}", classes[0]), format!("data/{}/ground_truth", classes[0]));
    let run = place.run(&["metrics", "--scores", "one.csv", "--maps", &maps, "--masks", &masks, "--json"]).expect(0);
    let metrics: Value = serde_json::from_str(&run.stdout).unwrap();
    for key in FIGURES {
        let (found, wanted) = (metrics[key].as_f64().unwrap(), bench["classes"][0][key].as_f64().unwrap());
        assert!((found - wanted).abs() < 1e-6, "{key}: {found} instead of {wanted}");
    }
    let table = place.run(&["metrics", "--scores", "out/scores.csv"]).expect(0);
    assert!(table.stdout.contains("6 normal and 8 anomalous photos"), "{}", table.stdout);
}

#[test]
fn a_second_time_finished_classes_are_taken_over_and_changed_ones_are_not() {
    let place = Place::new();
    dataset(&place);
    let classes = classes(&place);
    let arguments = ["bench", "data", "--out", "out", "--shots", "1"];
    let first = place.run(&arguments).expect(0);
    assert!(!first.stderr.contains("taken over"), "{}", first.stderr);
    let before = place.json("out/bench.json");
    let again = place.run(&arguments).expect(0);
    assert_eq!(again.stderr.matches("taken over").count(), 2, "{}", again.stderr);
    assert_eq!((before["classes"].clone(), before["mean"].clone()), {
        let after = place.json("out/bench.json");
        (after["classes"].clone(), after["mean"].clone())
    });
    // Another recipe starts anew; a lost class is measured alone.
    let other = place.run(&["bench", "data", "--out", "out", "--shots", "1", "--object", "gear"]).expect(0);
    assert!(!other.stderr.contains("taken over"), "{}", other.stderr);
    std::fs::write(place.path(&format!("out/classes/{}.json", classes[1])), "{ half").unwrap();
    let rest = place.run(&["bench", "data", "--out", "out", "--shots", "1", "--object", "gear"]).expect(0);
    assert!(rest.stderr.contains(&format!("{}: measured before, taken over", classes[0])), "{}", rest.stderr);
    assert_eq!(rest.stderr.matches("taken over").count(), 1, "{}", rest.stderr);
}

#[test]
fn several_runs_have_folders_and_a_joint_table() {
    let place = Place::new();
    dataset(&place);
    let root = format!("data/{}", classes(&place)[0]);
    let run = place
        .run(&[
            "bench", &root, "--out", "out", "--method", "fused", "--method", "memory", "--shots", "0", "--shots", "2",
            "--seed", "1", "--seed", "2", "--json",
        ])
        .expect(0);
    assert!(run.stderr.contains("`memory` needs reference photos"), "{}", run.stderr);
    let joint = place.json("out/bench.json");
    assert_eq!(joint, serde_json::from_str::<Value>(&run.stdout).unwrap(), "--json prints bench.json");
    assert_eq!(joint["runs"].as_array().unwrap().len(), 5);
    let groups = joint["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 3);
    assert_eq!((&groups[0]["shots"], &groups[0]["deviation"]["image_auroc"]), (&0.into(), &Value::Null));
    assert_eq!(groups[2]["seeds"], serde_json::json!([1, 2]));
    assert!(groups[2]["deviation"]["image_auroc"].is_number());
    for folder in ["fused_pocket_0-shot", "fused_pocket_2-shot_seed-1", "memory_pocket_2-shot_seed-2"] {
        assert!(place.path("out").join(folder).join("scores.csv").is_file(), "{folder}");
    }
    let one = place.json("out/memory_pocket_2-shot_seed-2/bench.json");
    assert_eq!(one["classes"], joint["runs"][4]["classes"]);
    assert_eq!(std::fs::read_to_string(place.path("out/bench.csv")).unwrap().lines().count(), 11);
    let page = std::fs::read_to_string(place.path("out/report.html")).unwrap();
    assert!(page.contains("memory_pocket_2-shot_seed-1/report.html"));
    let (_, curves) = page.split_once("<h2>Curves</h2>").expect("the curves of all methods over each other");
    let roc = &curves[curves.find("aria-label=\"ROC, photos\"").unwrap()..];
    let roc = &roc[..roc.find("</svg>").unwrap()];
    for method in ["fused · pocket · no references", "fused · pocket · 2 references", "memory · pocket · 2 references"]
    {
        assert!(roc.contains(method), "{method}");
    }
    assert!(place.path("out/plots/roc.png").is_file());
}

#[test]
fn a_memory_of_its_own_and_a_model_without_words_are_measured_beside_the_rest() {
    let place = Place::new();
    make(&place, [1, 2, 2, 2]);
    let dino = checkout("tests/fixtures/model/dinov2");
    let dino = dino.to_str().unwrap();
    let always = ["bench", "data", "--shots", "2", "--out"];
    let run = place.run(&[&always[..], &["out", "--memory-model", "none", "--memory-model", dino]].concat()).expect(0);
    assert!(run.stdout.contains("fused · pocket + dinov2 · 2 references"), "{}", run.stdout);
    let joint = place.json("out/bench.json");
    assert_eq!(
        (&joint["runs"][0]["memory_model"], &joint["runs"][1]["memory_model"]),
        (&Value::Null, &"dinov2".into())
    );
    assert_eq!(joint["runs"][1]["memory_model_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(joint["groups"][1]["memory_model"], "dinov2");
    assert!(std::fs::read_to_string(place.path("out/bench.csv")).unwrap().contains("fused,pocket,dinov2,2,0,original"));
    let page = std::fs::read_to_string(place.path("out/fused_pocket_dinov2_2-shot_seed-0/report.html")).unwrap();
    assert!(page.contains("Memory model"), "the page names both");
    place.run(&[&always[..], &["alone", "--model", dino, "--method", "memory"]].concat()).expect(0);
    assert_eq!(place.json("alone/bench.json")["model"], "dinov2");
}

#[test]
fn every_method_is_measured() {
    let place = Place::new();
    make(&place, [1, 3, 2, 2]);
    let mut arguments = vec!["bench", "data", "--out", "out", "--shots", "2"];
    for method in ["patchcore", "subspace", "winclip", "winclip-plus", "batch"] {
        arguments.extend(["--method", method]);
    }
    place.run(&arguments).expect(0);
    let document = place.json("out/bench.json");
    let runs = document["runs"].as_array().unwrap();
    let methods: Vec<_> = runs.iter().map(|run| (run["method"].as_str().unwrap(), run["shots"].clone())).collect();
    let two = Value::from(2);
    assert_eq!(
        methods,
        [
            ("patchcore", two.clone()),
            ("subspace", two.clone()),
            ("winclip", two.clone()),
            ("winclip-plus", two),
            ("batch", 0.into())
        ]
    );
    for run in runs {
        for key in FIGURES {
            assert!((0.0..=1.0).contains(&run["mean"][key].as_f64().unwrap()), "{}: {key}", run["method"]);
        }
    }
}

#[test]
fn protocols_measure_at_their_size() {
    let place = Place::new();
    make(&place, [1, 1, 1, 1]);
    let root = format!("data/{}", classes(&place)[0]);
    for (protocol, side) in [("origin-224", 224), ("winclip-240", 240), ("clip-518", 518), ("dino-original", 64)] {
        let out = format!("out-{protocol}");
        place.run(&["bench", &root, "--out", &out, "--shots", "1", "--protocol", protocol, "--save-maps"]).expect(0);
        assert_eq!(place.json(&format!("{out}/bench.json"))["protocol"], protocol);
        let maps = place.path(&out).join("maps").join(&classes(&place)[0]).join("good");
        let map = std::fs::read_dir(maps).unwrap().next().unwrap().unwrap().path();
        let npy = npyz::NpyFile::new(std::fs::File::open(map).unwrap()).unwrap();
        assert_eq!(npy.shape(), [side, side], "{protocol}");
    }
}

#[test]
fn one_bad_photo_is_listed_and_the_rest_is_measured() {
    let place = Place::new();
    dataset(&place);
    let class = classes(&place)[0].clone();
    let root = format!("data/{class}");
    place.write(&format!("{root}/test/good/broken.png"), b"not a photo");
    let kinds = place.names(&format!("{root}/ground_truth"));
    let masks = place.names(&format!("{root}/ground_truth/{}", kinds[0]));
    let mask = format!("{root}/ground_truth/{}/{}", kinds[0], masks[0]);
    place.write(&mask, &png(10, 10));
    let run = place.run(&["bench", &root, "--out", "out", "--shots", "2"]).expect(1);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    let bench = place.json("out/bench.json");
    let failures: Vec<String> = bench["failures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failure| failure["error"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(failures.len(), 2, "{failures:?}");
    let about_mask = failures.iter().find(|error| error.contains("10 × 10")).unwrap();
    assert!(
        about_mask.contains(&masks[0]) && about_mask.contains("64 × 64") && about_mask.contains("/test/"),
        "{about_mask}"
    );
    for failure in &failures {
        assert!(run.stderr.contains(failure), "stderr names {failure}:\n{}", run.stderr);
    }
    assert_eq!(bench["classes"][0]["n_test"], 6);
    assert!(bench["classes"][0]["image_auroc"].is_number());
}

#[test]
fn without_masks_or_without_defects_figures_are_absent_and_never_made_up() {
    let place = Place::new();
    dataset(&place);
    let class = classes(&place)[0].clone();
    std::fs::remove_dir_all(place.path(&format!("data/{class}/ground_truth"))).unwrap();
    let run = place.run(&["bench", &format!("data/{class}"), "--out", "out", "--shots", "0"]).expect(0);
    let figures = place.json("out/bench.json")["classes"][0].clone();
    assert!(figures["image_auroc"].is_number());
    for key in ["pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro"] {
        assert_eq!(figures[key], Value::Null, "{key}");
    }
    assert!(run.stdout.contains('—'), "{}", run.stdout);
    for name in place.names(&format!("data/{class}/test")).iter().filter(|name| *name != "good") {
        std::fs::remove_dir_all(place.path(&format!("data/{class}/test/{name}"))).unwrap();
    }
    place.run(&["bench", &format!("data/{class}"), "--out", "none", "--shots", "0"]).expect(0);
    assert_eq!(place.json("none/bench.json")["mean"]["image_auroc"], Value::Null);
}

#[test]
fn wrong_values_say_what_and_the_remedy() {
    let place = Place::new();
    place.write("ring/train/good/0.png", &png(40, 40));
    place.write("empty/test/good/0.png", &png(40, 40));
    for (arguments, status, said) in [
        (vec!["bench", "ring"], 2, "--out"),
        (vec!["bench", "ring", "--out", "out"], 1, "no folder `test`"),
        (vec!["bench", ".", "--out", "out", "--shots", "some"], 2, "neither a number nor `all`"),
        (vec!["bench", "absent", "--out", "out"], 1, "absent"),
        (vec!["bench", "empty", "--out", "out"], 1, "--shots 0"),
        (vec!["bench", "empty", "--out", "out", "--method", "memory", "--shots", "0"], 1, "needs reference photos"),
        (vec!["bench", "empty", "--out", "out", "--shots", "0", "--model", "org/absent"], 1, "models pull org/absent"),
        (vec!["bench", "empty", "--out", "out", "--protocol", "mvtec"], 2, "origin-224"),
        (vec!["bench", "empty", "--out", "out", "--layout", "coco"], 2, "mvtec"),
        (vec!["metrics"], 2, "--scores"),
        (vec!["metrics", "--scores", "absent.csv"], 1, "absent.csv"),
        (vec!["metrics", "--scores", "s.csv", "--maps", "m"], 2, "--masks"),
    ] {
        let run = place.run(&arguments);
        assert_eq!(run.status, status, "{arguments:?}\n{}", run.stderr);
        assert!(run.stderr.contains(said), "{arguments:?} should say {said}:\n{}", run.stderr);
        assert_eq!(run.stdout, "", "{arguments:?}");
    }
}

#[test]
fn bad_tables_and_maps_are_named_by_file_and_line() {
    let place = Place::new();
    let say = |table: &str, more: &[&str]| {
        place.write("s.csv", table.as_bytes());
        let run = place.run(&[&["metrics", "--scores", "s.csv"], more].concat()).expect(1);
        assert!(run.stderr.contains('[') && !run.stderr.contains("panicked"), "{}", run.stderr);
        run.stderr
    };
    for (table, words) in [
        ("path,score\na.png,1\n", vec!["Line 1", "`label`", "s.csv"]),
        ("path,label,score\na.png,normal,1\nb.png,broken,2\n", vec!["Line 3", "`broken`", "s.csv"]),
        ("path,label,score\na.png,normal,NaN\n", vec!["Line 2", "NaN", "s.csv"]),
        ("path,label,score\na.png,normal,inf\n", vec!["Line 2", "inf"]),
        ("path,label,score\na.png,normal,\n", vec!["Line 2", "no finite number"]),
        ("path,label,score\na.png,normal,1\na.png,normal,2\n", vec!["Line 3", "listed twice"]),
        ("path,label,score\na.png,normal\n", vec!["s.csv"]),
        ("path,label,score\n", vec!["no row"]),
        ("", vec!["`path`"]),
    ] {
        let said = say(table, &[]);
        assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
    }
    let npy = |name: &str, shape: &[u64], values: &[f32]| {
        use npyz::WriterBuilder as _;
        let mut bytes = Vec::new();
        let options = npyz::WriteOptions::<f32>::new().default_dtype().shape(shape);
        let mut npy = options.writer(&mut bytes).begin_nd().unwrap();
        npy.extend(values.iter().copied()).unwrap();
        npy.finish().unwrap();
        place.write(name, &bytes);
    };
    let table = "path,label,score\nx/a.png,normal,1\nx/b.png,anomalous,2\n";
    let folders = ["--maps", "maps", "--masks", "masks"];
    assert!(say(table, &folders).contains("[maps]"));
    std::fs::create_dir_all(place.path("masks")).unwrap();
    npy("maps/a_map.npy", &[2, 3], &[0.0; 6]);
    assert!(say(table, &folders).contains("Line 3 of s.csv: there is no map b_map.npy"));
    npy("maps/b_map.npy", &[2, 3], &[0.0, 0.0, 0.0, 0.0, f32::NAN, 0.0]);
    let said = say(table, &folders);
    assert!(said.contains("NaN at column 1, row 1") && said.contains("b_map.npy"), "{said}");
    npy("maps/b_map.npy", &[2, 3], &[0.0, 0.0, 0.0, 0.0, 5.0, 0.0]);
    place.write("masks/b_mask.png", &png(4, 2));
    let said = say(table, &folders);
    assert!(said.contains("4 × 2") && said.contains("b_map.npy") && said.contains("b_mask.png"), "{said}");
    let mask = image::GrayImage::from_fn(3, 2, |x, y| image::Luma([if (x, y) == (1, 1) { 255 } else { 0 }]));
    mask.save(place.path("masks/b_mask.png")).unwrap();
    let run = place.run(&[&["metrics", "--scores", "s.csv", "--json"], &folders[..]].concat()).expect(0);
    let found: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&found["pixel_auroc"], &found["aupro"], &found["image_ap"]), (&1.0.into(), &1.0.into(), &1.0.into()));
    mask.save(place.path("masks/a_mask.png")).unwrap();
    assert!(say(table, &folders).contains("labelled normal"));
    // Grey pictures are maps too; a missing mask means all normal, and that is said.
    std::fs::remove_dir_all(place.path("masks")).unwrap();
    std::fs::create_dir_all(place.path("masks")).unwrap();
    std::fs::remove_file(place.path("maps/b_map.npy")).unwrap();
    mask.save(place.path("maps/b_map.png")).unwrap();
    let run = place.run(&[&["metrics", "--scores", "s.csv", "--json"], &folders[..]].concat()).expect(0);
    assert!(run.stderr.contains("1 anomalous photo has no mask"), "{}", run.stderr);
    assert_eq!(serde_json::from_str::<Value>(&run.stdout).unwrap()["pixel_auroc"], Value::Null);
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_is_finished() {
    let place = Place::new();
    make(&place, [2, 1, 10, 40]);
    let arguments = ["bench", "data", "--out", "out", "--shots", "all"];
    let child = place
        .command(&arguments)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let first = place.path(&format!("out/classes/{}.json", classes(&place)[0]));
    let started = std::time::Instant::now();
    while !first.exists() && started.elapsed().as_secs() < 300 {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("the same command goes on from there"), "{stderr}");
    assert!(!place.path("out/bench.json").exists());
    let rest = place.run(&arguments).expect(0);
    assert_eq!(rest.stderr.matches("taken over").count(), 1, "{}", rest.stderr);
    assert!(place.path("out/bench.json").is_file());
}
