//! Verdicts over HTTP are those of the command line, whatever else is asked at the same time.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as expected")]

use serde_json::Value;

use crate::client::Server;
use crate::support::{Place, checkout, png};

/// Everything of a photo object that does not tell where and how fast.
fn comparable(mut photo: Value) -> Value {
    let fields = photo.as_object_mut().unwrap();
    for name in ["path", "timings_ms", "history_id"] {
        fields.remove(name);
    }
    photo
}

/// The bundled samples in one of their folders.
fn samples(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(checkout("assets/samples").join(folder)).unwrap();
    let mut found: Vec<String> = entries.map(|entry| entry.unwrap().path().to_str().unwrap().to_owned()).collect();
    found.sort();
    found
}

/// Reference photos, and photos to inspect.
fn sample_photos() -> (Vec<String>, Vec<String>) {
    (samples("normal").into_iter().take(4).collect(), samples("parts").into_iter().take(4).collect())
}

#[test]
fn verdicts_are_those_of_the_command_line_to_the_bit() {
    let place = Place::new();
    let (normal, parts) = sample_photos();
    let recipe = "(object: \"ring\", image_threshold: None, top_k: 3)";
    place.write("ring.ron", recipe.as_bytes());
    let paths: Vec<&str> = parts.iter().map(String::as_str).collect();
    let mut arguments = vec!["inspect", "--recipe", "ring.ron", "--out", "out", "--device", "cpu", "--threads", "2"];
    for path in &normal {
        arguments.extend(["--normal", path]);
    }
    arguments.extend(&paths);
    place.run(&arguments).expect(0);
    let expected = place.json("out/results.json");

    let mut arguments = vec!["--recipe", "ring.ron"];
    for path in &normal {
        arguments.extend(["--normal", path]);
    }
    let server = Server::start(&place, &arguments);
    for (path, expected) in paths.iter().zip(expected["photos"].as_array().unwrap()) {
        let answer = server.post("/inspect", &[("file", Some("../../part 7.jpg"), &std::fs::read(path).unwrap())]);
        let answer = answer.success();
        assert_eq!(answer["path"], "part 7.jpg");
        assert_eq!(comparable(answer), comparable(expected.clone()));
    }
}

#[test]
fn requests_with_their_own_recipes_do_not_disturb_each_other() {
    let place = Place::new();
    let (normal, parts) = sample_photos();
    let photo = std::fs::read(&parts[0]).unwrap();
    let mut arguments = Vec::new();
    for path in &normal {
        arguments.extend(["--normal", path.as_str()]);
    }
    // What each recipe gives alone, by the command line.
    let recipes = [
        "(object: \"part\")",
        "(image_threshold: Some(0.5))",
        "(object: \"metal ring\")",
        "(text_weight: 2.0, sigma_px: 2.0)",
    ];
    let expected: Vec<Value> = recipes
        .iter()
        .enumerate()
        .map(|(at, recipe)| {
            let (file, out) = (format!("{at}.ron"), format!("out{at}"));
            place.write(&file, recipe.as_bytes());
            let mut all =
                vec!["inspect", &parts[0], "--recipe", &file, "--out", &out, "--device", "cpu", "--threads", "2"];
            all.extend(&arguments);
            place.run(&all).expect(0);
            comparable(place.json(&format!("{out}/results.json"))["photos"][0].clone())
        })
        .collect();
    assert_ne!(expected[0], expected[2], "the words must matter for this test to say something");

    let server = Server::start(&place, &arguments);
    std::thread::scope(|scope| {
        for turn in 0..12 {
            let (server, photo, expected, recipes) = (&server, &photo, &expected, &recipes);
            scope.spawn(move || {
                let which = turn % recipes.len();
                let answer = server
                    .post("/inspect", &[("file", Some("a.jpg"), photo), ("recipe", None, recipes[which].as_bytes())]);
                assert_eq!(comparable(answer.success()), expected[which], "{}", recipes[which]);
            });
        }
    });
    server.assert_alive();
}

#[test]
fn recipes_that_are_the_servers_or_wrong_are_refused_by_name() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let photo = png(64, 48);
    let ask =
        |recipe: &str| server.post("/inspect", &[("file", Some("a.png"), &photo), ("recipe", None, recipe.as_bytes())]);
    assert!(ask("(references: [\"/etc/passwd\"])").refusal(422, "unusable").contains("`references`"));
    assert!(ask("{\"model\": \"/etc\"}").refusal(422, "unusable").contains("`model`"));
    assert!(ask("(treshold: 1.0)").refusal(422, "unusable").contains("treshold"));
    assert!(ask("(temperature: 0.0)").refusal(422, "unusable").contains("temperature"));
    ask("{\"top_k\": 1}").success();
    server.assert_alive();
}

#[test]
fn the_other_routes_answer_and_the_document_names_them_all() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let health = server.get("/health").success();
    assert_eq!((&health["version"], &health["model"]["id"]), (&env!("CARGO_PKG_VERSION").into(), &"pocket".into()));
    let models = server.get("/models").success();
    assert_eq!(models["loaded"]["sha256"], health["model"]["sha256"]);
    assert_eq!(models["models"][0]["installed"], true);
    server.post("/inspect", &[("file", Some("a.png"), &png(64, 48))]).success();
    let figures = server.get("/metrics");
    assert!(figures.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let figures = String::from_utf8(figures.body).unwrap();
    assert!(
        figures.contains("hairline_requests_total{method=\"POST\",route=\"/inspect\",status=\"200\"} 1"),
        "{figures}"
    );
    let received = figures.lines().find_map(|line| line.strip_prefix("hairline_upload_bytes_total "));
    assert_eq!(received.unwrap().parse::<usize>().unwrap(), png(64, 48).len());
    server.get("/history").refusal(404, "no_history");

    let document = server.get("/openapi.json").success();
    for route in [
        "/health",
        "/models",
        "/inspect",
        "/classify",
        "/upload",
        "/batch/similarity",
        "/segment",
        "/history",
        "/metrics",
    ] {
        assert!(document["paths"][route].is_object(), "{route}");
    }
    // Every reference leads somewhere.
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
    let page = server.get("/");
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    let page = String::from_utf8(page.body).unwrap();
    assert!(!page.contains("https://") && page.contains("/openapi.json"), "the page stands alone");
    for line in server.log().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["time"].is_string() && line["level"].is_string(), "{line}");
    }
}
