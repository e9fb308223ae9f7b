//! `hairline inspect` and `demo` from outside: files, keys, exit statuses, and every kind of bad input.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as expected")]

mod support;

use serde_json::Value;
use support::{Place, checkout, png, png_header_bomb};

fn samples() -> (String, String) {
    let folder = |name| checkout("assets/samples").join(name).to_str().unwrap().to_owned();
    (folder("parts"), folder("normal"))
}

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

fn assert_has(object: &Value, wanted: &[&str]) {
    let present = keys(object);
    for key in wanted {
        assert!(present.contains(key), "`{key}` is missing among {present:?}");
    }
}

#[test]
fn the_samples_are_inspected_end_to_end() {
    let place = Place::new();
    let (parts, normal) = samples();
    let run = place
        .run(&[
            "inspect",
            &parts,
            "--normal",
            &normal,
            "--out",
            "out",
            "--save-maps",
            "--save-recipe",
            "part.ron",
            "--json",
        ])
        .expect(0);
    assert!(run.stderr.contains("report.html"), "{}", run.stderr);
    let results = place.json("out/results.json");
    assert_eq!(results, serde_json::from_str::<Value>(&run.stdout).unwrap(), "--json prints results.json");

    assert_has(&results, &["version", "recipe", "model", "device", "photos", "failures"]);
    assert_eq!(results["model"]["id"], "pocket");
    assert_eq!(results["model"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(results["failures"], Value::Array(Vec::new()));
    let photos = results["photos"].as_array().unwrap();
    assert_eq!(photos.len(), std::fs::read_dir(&parts).unwrap().count());
    let mut regions = 0;
    for photo in photos {
        assert_has(
            photo,
            &[
                "path",
                "width",
                "height",
                "image_score",
                "normalised_score",
                "verdict",
                "regions",
                "quality",
                "timings_ms",
            ],
        );
        assert_has(&photo["quality"], &["blur_score", "brightness_score", "passed", "reason"]);
        assert!(["ok", "ng", "uncertain"].contains(&photo["verdict"].as_str().unwrap()));
        assert!((0.0..=1.0).contains(&photo["normalised_score"].as_f64().unwrap()));
        let (width, height) = (photo["width"].as_u64().unwrap(), photo["height"].as_u64().unwrap());
        for region in photo["regions"].as_array().unwrap() {
            regions += 1;
            let wanted = "x y width height area peak mean confidence location description severity";
            assert_has(region, &wanted.split(' ').collect::<Vec<_>>());
            let of = |key: &str| region[key].as_u64().unwrap();
            assert!(of("x") + of("width") <= width && of("y") + of("height") <= height, "{region}");
            assert!(of("area") <= of("width") * of("height"), "{region}");
        }
    }
    assert!(regions > 0, "some sample shows a defect");

    let stem = std::path::Path::new(photos[0]["path"].as_str().unwrap()).file_stem().unwrap().to_str().unwrap();
    for suffix in ["heatmap.png", "boxes.png", "mask.png", "report.txt", "report.json", "map.npy"] {
        assert!(place.path("out").join(format!("{stem}_{suffix}")).is_file(), "{stem}_{suffix}");
    }
    let size = (photos[0]["width"].as_u64().unwrap() as u32, photos[0]["height"].as_u64().unwrap() as u32);
    let mask = image::open(place.path("out").join(format!("{stem}_mask.png"))).unwrap();
    assert_eq!((mask.width(), mask.height()), size);
    assert!(mask.to_luma8().iter().all(|value| *value == 0 || *value == 255));
    let map = std::fs::read(place.path("out").join(format!("{stem}_map.npy"))).unwrap();
    let npy = npyz::NpyFile::new(&map[..]).unwrap();
    assert_eq!(npy.shape(), [u64::from(size.1), u64::from(size.0)]);
    assert!(npy.into_vec::<f32>().unwrap().iter().all(|score| score.is_finite()));
    let report = place.json(&format!("out/{stem}_report.json"));
    assert_has(&report, &["image", "class", "score", "regions", "summary", "recommendation", "photo", "model"]);
    let rows = std::fs::read_to_string(place.path("out/results.csv")).unwrap();
    assert_eq!(rows.lines().count(), photos.len() + 1);
    let page = std::fs::read_to_string(place.path("out/report.html")).unwrap();
    assert!(page.contains("data:image/jpeg;base64,") && !page.contains("<script"));

    // The saved recipe alone repeats the run, from another folder too; only times differ.
    place.run(&["inspect", &parts, "--recipe", "part.ron", "--out", "again", "--no-cache"]).expect(0);
    let without_times = |mut results: Value| {
        results["created"] = Value::Null;
        for photo in results["photos"].as_array_mut().unwrap() {
            photo["timings_ms"] = Value::Null;
        }
        results
    };
    assert_eq!(without_times(results), without_times(place.json("again/results.json")));
    for name in place.names("again").iter().filter(|name| name.ends_with("map.png") || name.ends_with("boxes.png")) {
        let read = |folder: &str| std::fs::read(place.path(folder).join(name)).unwrap();
        assert!(read("out") == read("again"), "{name} differs between two runs");
    }
}

#[test]
fn without_references_the_words_decide_and_the_report_says_so() {
    let place = Place::new();
    let photo = place.write("p.png", &png(96, 64));
    let run = place.run(&["inspect", photo.to_str().unwrap(), "--out", "out", "--object", "metal ring"]).expect(0);
    assert!(run.stdout.contains("p.png"), "{}", run.stdout);
    let report = std::fs::read_to_string(place.path("out/p_report.txt")).unwrap();
    assert!(report.contains("default") && report.contains("metal ring"), "{report}");
    let results = place.json("out/results.json");
    assert_eq!(results["photos"][0]["p_value"], Value::Null);
}

#[test]
fn a_photo_of_a_few_pixels_is_neither_judged_nor_a_reference() {
    let place = Place::new();
    place.write("least.png", &png(8, 8));
    place.write("flat.png", &png(300, 7));
    let run = place.run(&["inspect", "least.png", "flat.png", "--out", "out"]).expect(1);
    assert!(run.stderr.contains("300 × 7 pixels") && run.stderr.contains("flat.png"), "{}", run.stderr);
    assert!(place.path("out/least_heatmap.png").is_file() && !place.path("out/flat_heatmap.png").exists());
    let run = place.run(&["inspect", "least.png", "--normal", "flat.png", "--out", "none"]).expect(1);
    assert!(run.stderr.contains("300 × 7 pixels") && run.stderr.contains("flat.png"), "{}", run.stderr);
    assert!(!place.path("none/least_heatmap.png").exists());
}

#[test]
fn one_bad_photo_never_stops_a_batch() {
    let place = Place::new();
    let whole = png(64, 64);
    place.write("in/good.png", &whole);
    place.write("in/truncated.png", &whole[..whole.len() / 2]);
    place.write("in/empty.png", b"");
    place.write("in/text.png", b"This is a shopping list.\n");
    place.write("in/one.png", &png(1, 1));
    place.write("in/bomb.png", &png_header_bomb(30_000, 30_000));
    for name in ["cmyk-60x40.jpg", "animated-60x40.gif"] {
        place.write(&format!("in/{name}"), &std::fs::read(checkout("tests/fixtures/photo/photos").join(name)).unwrap());
    }
    let run = place.run(&["inspect", "in", "absent.png", "--out", "out"]).expect(1);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    let results = place.json("out/results.json");
    let failed: Vec<&str> =
        results["failures"].as_array().unwrap().iter().map(|failure| failure["path"].as_str().unwrap()).collect();
    for name in ["truncated.png", "empty.png", "text.png", "one.png", "bomb.png", "absent.png"] {
        assert!(failed.iter().any(|path| path.ends_with(name)), "{name} is missing among {failed:?}");
        assert!(run.stderr.contains(name), "stderr names {name}:\n{}", run.stderr);
    }
    assert_eq!(failed.len(), 6, "{failed:?}");
    assert!(run.stderr.contains("1 × 1 pixels, too few to judge; each side needs 8."), "{}", run.stderr);
    let photos = results["photos"].as_array().unwrap();
    assert_eq!(photos.len(), 3, "good, CMYK and the animation: {}", run.stdout);
    let animation = photos.iter().find(|photo| photo["path"].as_str().unwrap().ends_with("40.gif")).unwrap();
    assert!(!animation["warnings"].as_array().unwrap().is_empty(), "only the first picture was read, and it says so");
    for stem in ["good", "cmyk-60x40", "animated-60x40"] {
        assert!(place.path("out").join(format!("{stem}_heatmap.png")).is_file(), "{stem}");
    }
    assert!(place.names("out").iter().all(|name| !name.contains(".part")), "no litter");
}

#[test]
fn equal_stems_never_overwrite_each_other() {
    let place = Place::new();
    for name in ["a/000.png", "b/000.png", "b/000.jpg"] {
        place.write(name, &png(40, 40));
    }
    place.run(&["inspect", "a", "b", "--out", "out"]).expect(0);
    let masks = place.names("out").into_iter().filter(|name| name.ends_with("_mask.png")).count();
    assert_eq!(masks, 3, "{:?}", place.names("out"));
    // The results of the first run lie inside a searched folder now and are no photos of parts.
    place.run(&["inspect", ".", "--out", "out"]).expect(0);
    assert_eq!(place.json("out/results.json")["photos"].as_array().unwrap().len(), 3);
}

#[test]
fn a_file_in_place_of_the_folder_is_named() {
    let place = Place::new();
    place.write("p.png", &png(40, 40));
    place.write("out", b"a file");
    let run = place.run(&["inspect", "p.png", "--out", "out"]).expect(1);
    assert!(run.stderr.contains("a file has that name") && run.stderr.contains("[out]"), "{}", run.stderr);
    assert_eq!(run.stdout, "");
}

#[test]
fn wrong_values_say_what_and_the_remedy() {
    let place = Place::new();
    place.write("p.png", &png(40, 40));
    place.write("bad.ron", b"(treshold: 1.0)");
    for (arguments, status, said) in [
        (vec!["inspect", "p.png"], 2, "--out"),
        (vec!["inspect", "--out", "out"], 2, "<PATH>"),
        (vec!["inspect", "p.png", "--out", "out", "--frobnicate"], 2, "--frobnicate"),
        (vec!["inspect", "p.png", "--out", "out", "--device", "tpu"], 2, "auto, cpu or gpu"),
        (vec!["inspect", "p.png", "--out", "out", "--method", "winking"], 2, "fused, origin, memory"),
        (vec!["inspect", "absent", "--out", "out"], 1, "absent"),
        (vec!["inspect", "p.png", "--out", "out", "--method", "memory"], 1, "--normal"),
        (vec!["inspect", "p.png", "--out", "out", "--method", "winclip-plus"], 1, "--normal"),
        (vec!["inspect", "p.png", "--out", "out", "--shots", "4"], 1, "--normal"),
        (vec!["inspect", "p.png", "--out", "out", "--recipe", "bad.ron"], 1, "treshold"),
        (vec!["inspect", "p.png", "--out", "out", "--recipe", "absent.ron"], 1, "absent.ron"),
        (vec!["inspect", "p.png", "--out", "out", "--top-k", "0"], 1, "top_k"),
        (vec!["inspect", "p.png", "--out", "out", "--text-weight", "-1"], 1, "text_weight"),
        (vec!["inspect", "p.png", "--out", "out", "--model", "org/absent"], 1, "models pull org/absent"),
        (vec!["inspect", "p.png", "--out", "out", "--model", "."], 1, "config.json"),
    ] {
        let run = place.run(&arguments);
        assert_eq!(run.status, status, "{arguments:?}\n{}", run.stderr);
        assert!(run.stderr.contains(said), "{arguments:?} should say {said}:\n{}", run.stderr);
        assert_eq!(run.stdout, "", "{arguments:?}");
    }
}

#[test]
fn quiet_says_nothing_and_a_closed_pipe_is_no_error() {
    let place = Place::new();
    place.write("p.png", &png(40, 40));
    let run = place.run(&["inspect", "p.png", "--out", "out", "--quiet"]).expect(0);
    assert_eq!(run.stderr, "");
    let mut child = place
        .command(&["inspect", "p.png", "--out", "out"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[cfg(unix)]
#[test]
fn ctrl_c_writes_what_is_done_and_exits_1() {
    // With few photos the engine is through before it is told; what is then not written must not count as done.
    for count in [400, 30] {
        let place = Place::new();
        for number in 0..count {
            place.write(&format!("in/{number:03}.png"), &png(300, 200));
        }
        let child = place
            .command(&["inspect", "in", "--out", "out", "--no-cache"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let first = place.path("out/000_mask.png");
        let started = std::time::Instant::now();
        while !first.exists() && started.elapsed().as_secs() < 120 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let results = place.json("out/results.json");
        let done = results["photos"].as_array().unwrap().len();
        assert!(done >= 1 && (done < count || count < 400), "{done} of {count} photos");
        assert_eq!(results["cancelled"], done < count, "{done} of {count} photos");
        assert_eq!(output.status.code(), Some(i32::from(done < count)), "{done} of {count} photos: {stderr}");
        assert_eq!(stderr.contains("Stopped on request"), done < count, "{stderr}");
        assert_eq!(place.names("out").iter().filter(|name| name.ends_with("_mask.png")).count(), done);
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_is_heard_while_references_are_read() {
    let place = Place::new();
    place.write("in/a.png", &png(300, 200));
    for number in 0..400 {
        place.write(&format!("good/{number:03}.png"), &png(300, 200 + number % 50));
    }
    let mut child = place
        .command(&["inspect", "in", "--out", "out", "--normal", "good", "--no-cache", "-q"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert!(child.try_wait().unwrap().is_none(), "references take longer than that");
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let results = place.path("out/results.json");
    if results.exists() {
        assert_eq!(place.json("out/results.json")["cancelled"], true);
        assert!(place.json("out/results.json")["photos"].as_array().unwrap().is_empty());
    }
}

#[test]
fn the_demo_works_from_any_folder_without_a_display() {
    let place = Place::new();
    let run = place.run(&["demo"]).expect(0);
    assert!(run.stderr.contains("hairline-demo"), "{}", run.stderr);
    assert!(place.path("hairline-demo/report.html").is_file());
    let verdicts: Vec<String> = place.json("hairline-demo/results.json")["photos"]
        .as_array()
        .unwrap()
        .iter()
        .map(|photo| photo["verdict"].as_str().unwrap().to_owned())
        .collect();
    assert!(verdicts.iter().any(|verdict| verdict == "ng"), "{verdicts:?}");
    place.run(&["demo", "--out", "elsewhere"]).expect(0);
    assert!(place.path("elsewhere/results.json").is_file());
}

#[test]
fn without_a_display_the_window_says_how_to_go_on() {
    let place = Place::new();
    let run = place.run::<&str>(&[]).expect(1);
    assert_eq!(run.stdout, "");
    for words in ["display", "hairline demo", "hairline inspect"] {
        assert!(run.stderr.contains(words), "{words}:\n{}", run.stderr);
    }
}

#[test]
fn the_memory_may_have_a_network_of_its_own() {
    let place = Place::new();
    let (parts, normal) = samples();
    let (dino, vit) = (checkout("tests/fixtures/model/dinov2"), checkout("tests/fixtures/model/vit"));
    let (dino, vit) = (dino.to_str().unwrap(), vit.to_str().unwrap());
    let inspect = |out: &str, flags: &[&str], status: i32| {
        let always = ["inspect", &parts, "--normal", &normal, "--shots", "2", "--out", out];
        place.run(&[&always, flags].concat()).expect(status)
    };
    inspect("both", &["--memory-model", dino, "--save-recipe", "both.ron"], 0);
    let results = place.json("both/results.json");
    assert_eq!((&results["model"]["id"], &results["memory_model"]["id"]), (&"pocket".into(), &"dinov2".into()));
    assert_ne!(results["model"]["sha256"], results["memory_model"]["sha256"]);
    assert_eq!(results["recipe"]["memory_model"], dino);
    let report = std::fs::read_to_string(place.path("both/report.html")).unwrap();
    assert!(report.contains("Memory model"), "the page names both");
    let scores = |out: &str| -> Vec<Value> {
        let photos = place.json(&format!("{out}/results.json"))["photos"].clone();
        photos.as_array().unwrap().iter().map(|photo| photo["image_score"].clone()).collect()
    };
    inspect("again", &["--recipe", "both.ron"], 0);
    assert_eq!(scores("both"), scores("again"), "the recipe repeats it");
    inspect("pocket", &[], 0);
    assert_ne!(scores("both"), scores("pocket"));
    assert_eq!(place.json("pocket/results.json").get("memory_model"), None);

    // Without words: memory alone, and never a text map.
    inspect("alone", &["--model", vit, "--method", "memory"], 0);
    assert_eq!(place.json("alone/results.json")["model"]["id"], "vit");
    let run = inspect("refused", &["--model", vit], 1);
    assert!(run.stderr.contains("reads no words") && run.stderr.contains("--text-weight 0"), "{}", run.stderr);
    let run = inspect("refused", &["--model", vit, "--memory-model", dino, "--text-weight", "0"], 1);
    assert!(run.stderr.contains("nothing is left for it to do"), "{}", run.stderr);
    let run = inspect("refused", &["--memory-model", "no/such-model"], 1);
    assert!(run.stderr.contains("models pull no/such-model"), "{}", run.stderr);
}

#[test]
fn photos_judge_each_other_without_references_and_results_name_them() {
    let place = Place::new();
    place
        .run(&["synth", "--out", "data", "--classes", "1", "--good", "5", "--defective", "1", "--size", "64"])
        .expect(0);
    let class = place.names("data").into_iter().find(|name| place.path("data").join(name).is_dir()).unwrap();
    let test = format!("data/{class}/test");
    place.write(&format!("{test}/good/broken.png"), b"nothing");
    let run =
        place.run(&["inspect", &test, "--out", "out", "--method", "batch", "--save-recipe", "batch.ron"]).expect(1);
    assert!(run.stderr.matches("broken.png").count() <= 2, "it fails once:\n{}", run.stderr);
    let results = place.json("out/results.json");
    assert_eq!((results["photos"].as_array().unwrap().len(), results["failures"].as_array().unwrap().len()), (6, 1));
    assert_eq!(results["recipe"]["references"].as_array().unwrap().len(), 7, "the photos themselves");
    let recipe = std::fs::read_to_string(place.path("batch.ron")).unwrap();
    assert!(recipe.contains("comparison: mutual") && recipe.contains("references: []"), "{recipe}");
    let stem = place.names("out").into_iter().find(|name| name.ends_with("_report.txt")).unwrap();
    let report = std::fs::read_to_string(place.path("out").join(stem)).unwrap();
    assert!(report.contains("7 photos, with each other"), "{report}");

    let name = place.names(&format!("{test}/good")).into_iter().find(|name| name != "broken.png").unwrap();
    let one = place.path(&test).join("good").join(name);
    let alone = place.run(&["inspect", one.to_str().unwrap(), "--out", "alone", "--method", "batch"]).expect(1);
    assert!(alone.stderr.contains("there is no other one"), "{}", alone.stderr);
}

#[test]
fn a_vision_language_model_lends_its_words_and_the_report_says_so() {
    let place = Place::new();
    let answer = r#"{"location": "rim", "description": "a chipped tooth", "severity": "low"}"#;
    let completion = serde_json::json!({"choices": [{"message": {"content": answer}}]}).to_string();
    let http = tiny_http::Server::http("127.0.0.1:0").unwrap();
    let address = http.server_addr();
    std::thread::spawn(move || {
        for request in http.incoming_requests() {
            // A client that gave up is none of this server's business.
            let _ = request.respond(tiny_http::Response::from_string(completion.clone()));
        }
    });
    let recipe = |address: &str| format!("(vlm: Some((address: \"{address}\", model: \"eyes\", timeout_s: 20.0)))");
    place.write("eyes.ron", recipe(&format!("http://{address}/v1")).as_bytes());
    let (parts, normal) = samples();
    let crack = format!("{parts}/gear_crack.jpg");
    let inspect = |recipe: &str, out: &str| {
        place.run(&["inspect", &crack, "--normal", &normal, "--recipe", recipe, "--explain", "vlm", "--out", out])
    };
    inspect("eyes.ron", "out").expect(0);
    let report = place.json("out/gear_crack_report.json");
    assert_eq!((&report["explained_by"], &report["explainer"]), (&"vlm".into(), &"eyes".into()));
    assert_eq!(report["regions"][0]["description"], "a chipped tooth");
    assert_ne!(report["photo"]["regions"][0]["description"], "a chipped tooth", "what was measured stays");
    let text = |path: &str| {
        let whole = std::fs::read_to_string(place.path(path)).unwrap();
        // Words wrap where the line ends.
        whole.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let told = text("out/gear_crack_report.txt");
    assert!(
        told.contains("rim: a chipped tooth") && told.contains("words of the vision-language model eyes"),
        "{told}"
    );

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    place.write("blind.ron", recipe(&format!("http://{free}/v1")).as_bytes());
    let run = inspect("blind.ron", "alone").expect(0);
    assert!(run.stderr.contains("does not answer"), "{}", run.stderr);
    let report = place.json("alone/gear_crack_report.json");
    assert_eq!(report["explained_by"], "rules");
    let told = text("alone/gear_crack_report.txt");
    assert!(told.contains("Words by rules stand in"), "{told}");

    place.write("none.ron", b"()");
    let run = inspect("none.ron", "none").expect(1);
    assert!(run.stderr.contains("vlm: Some("), "{}", run.stderr);
}
