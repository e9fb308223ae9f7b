//! `hairline match` from outside: keys, exit statuses, tables with bad rows, and runs that were killed.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as expected")]

mod support;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Place, checkout, png};

fn sample(name: &str) -> PathBuf {
    checkout("assets/samples").join(name)
}

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn info_names_model_thresholds_bands_and_device() {
    let place = Place::new();
    let run = place.run(&["match", "info", "--json", "--device", "cpu"]).expect(0);
    let info: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(info["model"]["id"], "pocket");
    assert_eq!(info["thresholds"]["default"].as_f64().map(|t| (t * 100.0).round()), Some(25.0));
    assert_eq!(info["bands"].as_array().unwrap().len(), 5);
    assert!(!info["device"].as_str().unwrap().is_empty());
    assert_eq!(info["claims"].as_array().unwrap().len(), 6);
    let talk = place.run(&["match", "info", "--device", "cpu"]).expect(0);
    for word in ["Model", "Device", "lenient 0.20, default 0.25, strict 0.30", "unrelated", "presence"] {
        assert!(talk.stdout.contains(word), "{word} is missing in:\n{}", talk.stdout);
    }
}

#[test]
fn a_pair_is_judged_with_the_keys_of_the_contract() {
    let place = Place::new();
    let photo = sample("parts/gear_crack.jpg");
    let photo = photo.to_str().unwrap();
    let test = |more: &[&str]| {
        let mut arguments = vec!["match", "test", "--image", photo, "--text", "a gear with a crack", "--device", "cpu"];
        arguments.extend(more);
        place.run(&arguments)
    };
    let json = |more: &[&str]| serde_json::from_str::<Value>(&test(more).expect(0).stdout).unwrap();
    let plain = json(&["--json"]);
    for key in ["similarity_score", "is_match", "status", "threshold"] {
        assert!(keys(&plain).contains(&key), "{key} is missing in {plain}");
    }
    assert!(!keys(&plain).contains(&"zero_shot_results") && !keys(&plain).contains(&"claims"));
    let score = plain["similarity_score"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&score));
    assert_eq!(json(&["--json", "--threshold", "0"])["is_match"], true, "0 lets everything in");
    assert_eq!(json(&["--json", "--threshold", "1"])["is_match"], false);

    let full = json(&["--json", "--labels", "gear,nut, bottle", "--claims"]);
    let labels: Vec<f64> =
        full["zero_shot_results"].as_object().unwrap().values().map(|p| p.as_f64().unwrap()).collect();
    assert!(labels.is_sorted_by(|a, b| a >= b) && (labels.iter().sum::<f64>() - 1.0).abs() < 1e-4, "{labels:?}");
    assert_eq!(full["zero_shot_results"].as_object().unwrap().len(), 3);
    let claims = full["claims"].as_array().unwrap();
    let kinds: Vec<&str> = claims.iter().map(|claim| claim["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["part", "presence"]);
    for key in ["kind", "claim", "holds", "score", "instead", "separation"] {
        assert!(keys(&claims[1]).contains(&key), "{key} is missing in {}", claims[1]);
    }
    assert_eq!(full["similarity_score"], plain["similarity_score"]);
    let talk = test(&["--claims"]).expect(0);
    assert!(talk.stdout.contains("presence") && talk.stdout.contains("crack"), "{}", talk.stdout);
}

#[test]
fn bad_input_is_refused_with_its_name_and_remedy() {
    let place = Place::new();
    let photo = sample("parts/gear_good.jpg");
    let photo = photo.to_str().unwrap();
    place.write("empty.png", b"");
    place.write("odd.csv", b"photo,words\na,b\n");
    for (arguments, status, word) in [
        (vec!["match", "test", "--image", "none.png", "--text", "x"], 1, "none.png"),
        (vec!["match", "test", "--image", "empty.png", "--text", "x"], 1, "0 bytes"),
        (vec!["match", "test", "--image", photo, "--text", "  "], 1, "description is empty"),
        (vec!["match", "test", "--image", photo, "--text", "x", "--threshold", "NaN"], 2, "lenient"),
        (vec!["match", "test", "--image", photo, "--text", "x", "--threshold", "-0.5"], 2, "lenient"),
        (vec!["match", "test", "--image", photo, "--text", "x", "--labels", "a,,b"], 1, "empty label"),
        (vec!["match", "test", "--image", photo, "--text", "x", "--model", "no/such"], 1, "models pull"),
        (vec!["match", "batch-test", "--csv", "none.csv", "--output", "o.json"], 1, "none.csv"),
        (vec!["match", "batch-test", "--csv", "odd.csv", "--output", "o.json"], 1, "image_path"),
        (vec!["match", "batch-test", "--csv", "odd.csv", "--output", "o.txt"], 1, ".csv or .json"),
    ] {
        let run = place.run(&arguments).expect(status);
        assert!(run.stderr.contains(word), "{arguments:?}: {}", run.stderr);
        assert!(run.stdout.is_empty(), "{arguments:?}: {}", run.stdout);
    }
}

#[test]
fn a_table_is_done_but_for_its_bad_rows() {
    let place = Place::new();
    for name in ["gear_good", "gear_crack", "nut_good"] {
        std::fs::create_dir_all(place.path("photos")).unwrap();
        std::fs::copy(sample(&format!("parts/{name}.jpg")), place.path(&format!("photos/{name}.jpg"))).unwrap();
    }
    let table = "image_path,text,label\n\
                 gear_good.jpg,a photo of a gear.,match\n\
                 gear_good.jpg,a photo of a wooden plank.,mismatch\n\
                 missing.jpg,a photo of a gear.,match\n\
                 nut_good.jpg,,match\n\
                 nut_good.jpg,a photo of a gear.,mismatch\n\
                 gear_crack.jpg,a photo of a gear.,match\n";
    place.write("pairs.csv", table.as_bytes());
    let run = |output: &str, more: &[&str]| {
        let mut arguments = vec![
            "match",
            "batch-test",
            "--csv",
            "pairs.csv",
            "--root-dir",
            "photos",
            "--output",
            output,
            "--device",
            "cpu",
        ];
        arguments.extend(more);
        place.run(&arguments)
    };
    let outcome = run("results/out.json", &["--threshold", "best-f1", "--json"]).expect(1);
    for word in ["line 4", "missing.jpg", "line 5", "`text` is empty", "3 photos"] {
        assert!(outcome.stderr.contains(word), "{word} is missing in:\n{}", outcome.stderr);
    }
    let document = place.json("results/out.json");
    assert_eq!(document["results"].as_array().unwrap().len(), 4);
    let lines: Vec<u64> =
        document["failures"].as_array().unwrap().iter().map(|row| row["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [4, 5]);
    let first = &document["results"][0];
    for key in ["line", "image_path", "text", "label", "similarity_score", "is_match", "status", "threshold"] {
        assert!(keys(first).contains(&key), "{key} is missing in {first}");
    }
    assert!(document["evaluation"]["auroc"].as_f64().is_some());
    let counted: u64 = document["histogram"]["match"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(counted, 2);
    assert_eq!(serde_json::from_str::<Value>(&outcome.stdout).unwrap()["threshold"], document["threshold"]);
    assert_eq!(place.names("results"), ["out.json", "out_histogram.png"], "no part file is left");

    run("results/out.csv", &["--threshold", "lenient"]).expect(1);
    let rows = std::fs::read_to_string(place.path("results/out.csv")).unwrap();
    let numbers: Vec<&str> = rows.lines().skip(1).map(|row| row.split(',').next().unwrap()).collect();
    assert_eq!(numbers, ["2", "3", "4", "5", "6", "7"], "every row of the table, in its order");
    assert!(rows.contains("\n4,missing.jpg,a photo of a gear.,match,,,,"), "a failed row says which one it is: {rows}");
    assert!(rows.contains("\n5,nut_good.jpg,,match,,,,"), "{rows}");
    assert!(place.path("results/out_summary.json").is_file());
    // The same scores, whatever the format.
    let score = rows.lines().nth(1).unwrap().split(',').nth(4).unwrap().parse::<f32>().unwrap();
    assert_eq!(score, first["similarity_score"].as_f64().unwrap() as f32);
    let pair = place.run(&[
        "match",
        "test",
        "--image",
        "photos/gear_good.jpg",
        "--text",
        "a photo of a gear.",
        "--json",
        "--device",
        "cpu",
    ]);
    let pair: Value = serde_json::from_str(&pair.expect(0).stdout).unwrap();
    assert_eq!(pair["similarity_score"].as_f64().unwrap() as f32, score, "one pair alone scores the same");
}

#[test]
fn a_killed_run_goes_on_where_it_was() {
    let place = Place::new();
    let mut table = String::from("image_path,text\n");
    for photo in 0..160 {
        place.write(&format!("p{photo}.png"), &png(64 + photo % 50, 64 + photo % 37));
        let _ = writeln!(table, "p{photo}.png,a photo of part number {photo}.");
    }
    place.write("pairs.csv", table.as_bytes());
    let arguments = |output| ["match", "batch-test", "--csv", "pairs.csv", "--output", output, "--device", "cpu"];
    let mut child = place.command(&arguments("out.json")).spawn().unwrap();
    let start = Instant::now();
    let part = place.path("out.json.part");
    // Killed as soon as the first stretch is on the disk.
    while std::fs::metadata(&part).map_or(0, |meta| meta.len()) < 500 {
        assert!(start.elapsed() < Duration::from_mins(5), "no part file was written");
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it could be killed");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!place.path("out.json").exists());
    let second = place.run(&arguments("out.json")).expect(0);
    assert!(second.stderr.contains("rows were done already"), "{}", second.stderr);
    assert!(!part.exists());
    let resumed = place.json("out.json");
    place.run(&arguments("whole.json")).expect(0);
    assert_eq!(resumed["results"], place.json("whole.json")["results"], "to the last bit");
}

/// Plates of several colours and shapes in `photos/`, with a table to learn from and one to judge on.
fn plates(place: &Place) {
    let mut tables = [String::from("image_path,text,label\n"), String::from("image_path,text,label\n")];
    let colours = [("red", [200, 40, 40]), ("green", [40, 180, 60]), ("blue", [40, 60, 200])];
    for (number, (colour, pixel)) in colours.iter().cycle().take(12).enumerate() {
        let photo = image::RgbImage::from_fn(40, 40, |x, y| {
            let edge = 4 + (number as u32) % 5;
            let inside = (edge..36).contains(&x) && (edge..36).contains(&y);
            image::Rgb(if inside { *pixel } else { [90 + number as u8; 3] })
        });
        let name = format!("{number}.png");
        std::fs::create_dir_all(place.path("photos")).unwrap();
        photo.save(place.path("photos").join(&name)).unwrap();
        let table = &mut tables[usize::from(number >= 9)];
        let wrong = colours[(number + 1) % 3].0;
        let _ = writeln!(table, "{name},a {colour} plate,match\n{name},a {wrong} plate,mismatch");
    }
    place.write("train.csv", tables[0].as_bytes());
    place.write("val.csv", tables[1].as_bytes());
}

const TRAIN: [&str; 17] = [
    "match",
    "train",
    "--train-csv",
    "train.csv",
    "--val-csv",
    "val.csv",
    "--root-dir",
    "photos",
    "--batch-size",
    "3",
    "--lr",
    "3e-4",
    "--save-steps",
    "2",
    "--device",
    "cpu",
    "--output",
];

#[test]
fn a_model_is_trained_and_its_worth_told() {
    let place = Place::new();
    plates(&place);
    let train = |output: &str, more: &[&str]| place.run(&[&TRAIN[..], &[output], more].concat());
    let run = train("run", &["--json", "--epochs", "2"]).expect(0);
    let summary: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(summary["model"]["id"], "pocket");
    assert_eq!((summary["train"]["matches"].as_u64(), summary["train"]["mismatches"].as_u64()), (Some(9), Some(9)));
    assert_eq!(
        (summary["settings"]["tune"].as_str(), summary["settings"]["precision"].as_str()),
        (Some("full"), Some("f32"))
    );
    let (before, after) = (&summary["base"]["loss"], &summary["epochs"][1]["validation"]["loss"]);
    assert!(after.as_f64().unwrap() < before.as_f64().unwrap(), "{before} {after}");
    // The same few words are on both tables, which is said; the photos are not.
    assert!(run.stderr.contains("validation texts are learned from too"), "{}", run.stderr);
    assert!(!run.stderr.contains("validation photos are"), "{}", run.stderr);
    assert_eq!(place.json("run/summary.json"), summary);
    assert_eq!(
        place.names("run/best_model"),
        ["config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"]
    );
    // The model is used at once.
    place
        .run(&["match", "test", "--image", "photos/0.png", "--text", "a red plate", "--model", "run/best_model"])
        .expect(0);

    // A second call finds everything done.
    let talk = train("run", &["--epochs", "2"]).expect(0);
    assert!(
        talk.stdout.contains("photo finds its text") && talk.stderr.contains("Going on after step 6"),
        "{}",
        talk.stderr
    );
    let lora = train("lora", &["--epochs", "1", "--tune", "lora", "--lora-rank", "2"]).expect(0);
    assert!(lora.stderr.contains("weights were trained"), "{}", lora.stderr);
}

#[test]
fn bad_rows_are_named_and_wrong_values_refused() {
    let place = Place::new();
    plates(&place);
    let table = std::fs::read_to_string(place.path("train.csv")).unwrap();
    let table = format!("{table}none.png,a red plate,match\n0.png,a red plate,mismatch\n1.png,,match\n");
    place.write("train.csv", table.as_bytes());
    let train = |output: &str, more: &[&str]| place.run(&[&TRAIN[..], &[output], more].concat());
    let run = train("run", &["--epochs", "1", "--tune", "projections"]).expect(1);
    for word in ["train.csv, line 20", "none.png", "line 21", "says `match`", "line 22", "3 rows could not be used"] {
        assert!(run.stderr.contains(word), "{word} is missing in:\n{}", run.stderr);
    }
    assert!(run.stdout.contains("photo finds its text"), "the others were learned from");
    assert_eq!(place.json("run/summary.json")["train"]["failures"].as_array().unwrap().len(), 3);
    for (more, status, word) in [
        (&["--precision", "f16"][..], 1, "no f16 arithmetic"),
        (&["--precision", "f64"], 2, "auto, f32 or f16"),
        (&["--tune", "all"], 2, "projections"),
        (&["--epochs", "0"], 1, "--epochs"),
        (&["--batch-size", "1"], 2, "cannot be used multiple times"),
        (&["--seed", "4", "--epochs", "1", "--tune", "projections"], 1, "another folder (--output)"),
    ] {
        let run = train("run", more).expect(status);
        assert!(run.stderr.contains(word), "{more:?}: {}", run.stderr);
    }
}

#[test]
fn a_killed_training_goes_on_to_the_same_weights() {
    let place = Place::new();
    plates(&place);
    let arguments = |output: &'static str| [&TRAIN[..], &[output, "--epochs", "4"]].concat();
    let mut child = place.command(&arguments("killed")).spawn().unwrap();
    let start = Instant::now();
    // Killed as soon as the first state is on the disk.
    while !place.path("killed/last.safetensors").exists() {
        assert!(start.elapsed() < Duration::from_mins(5), "no state was written");
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it could be killed");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let second = place.run(&arguments("killed")).expect(0);
    assert!(second.stderr.contains("Going on after step"), "{}", second.stderr);
    place.run(&arguments("whole")).expect(0);
    let weights = |run: &str| std::fs::read(place.path(run).join("best_model/model.safetensors")).unwrap();
    assert_eq!(weights("killed"), weights("whole"), "to the last bit");
}
