//! Labels and descriptions over HTTP are those of the command line.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as expected")]

use serde_json::Value;

use crate::client::Server;
use crate::support::{Place, png};

#[test]
fn labels_are_those_of_the_command_line() {
    let place = Place::new();
    place.write("photos/a.png", &png(200, 150));
    let arguments =
        ["classify", "photos", "--labels", "metal ring,wooden gear,bottle", "--out", "out", "--device", "cpu"];
    place.run(&arguments).expect(0);
    let table = std::fs::read_to_string(place.path("out/predictions.csv")).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    let column = |name: &str| rows[0].iter().position(|found| *found == name).unwrap();

    let server = Server::start(&place, &[]);
    let photo = png(200, 150);
    let one_part = [("file", Some("a.png"), &photo[..]), ("labels", None, b"metal ring, wooden gear,bottle")];
    let answer = server.post("/classify", &one_part).success();
    assert_eq!(answer["prediction"].as_str().unwrap(), rows[1][column("prediction")]);
    assert_eq!(answer["prediction"], answer["labels"][0]["label"]);
    let mut sum = 0.0;
    for label in answer["labels"].as_array().unwrap() {
        let expected: f64 = rows[1][column(label["label"].as_str().unwrap())].parse().unwrap();
        let probability = label["probability"].as_f64().unwrap();
        assert!((probability - expected).abs() < 1e-6, "{label} {expected}");
        sum += probability;
    }
    assert!((sum - 1.0).abs() < 1e-9);

    let parts = [("labels", None, &b"metal ring"[..]), ("labels", None, b"bottle"), ("file", Some("b.png"), &photo)];
    assert_eq!(server.post("/classify", &parts).success()["labels"].as_array().unwrap().len(), 2);
    for labels in [&b""[..], b"one", b"a,a", b" , "] {
        server.post("/classify", &[("file", Some("a.png"), &photo), ("labels", None, labels)]).refusal(422, "unusable");
    }
    server.post("/classify", &[("file", Some("a.png"), &photo)]).refusal(422, "unusable");
    server.assert_alive();
}

#[test]
fn descriptions_are_held_against_photos_as_on_the_command_line() {
    let place = Place::new();
    place.write("a.png", &png(200, 150));
    let text = "a metal ring without scratches";
    let run = place.run(&["match", "test", "--image", "a.png", "--text", text, "--json", "--device", "cpu"]).expect(0);
    let expected: Value = serde_json::from_str(&run.stdout).unwrap();

    let server = Server::start(&place, &[]);
    let photo = png(200, 150);
    let ask = |parts: &[(&str, &[u8])]| {
        let mut all = vec![("file", Some("../a.png"), &photo[..])];
        all.extend(parts.iter().map(|(name, content)| (*name, None, *content)));
        server.post("/upload", &all)
    };
    let answer = ask(&[("description", text.as_bytes())]).success();
    let keys: Vec<&str> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "id",
            "filename",
            "width",
            "height",
            "passed",
            "reason",
            "description",
            "clip_similarity_score",
            "clip_match_status",
            "clip_is_match",
            "blur_score",
            "brightness_score"
        ]
    );
    assert_eq!(answer["clip_similarity_score"], expected["similarity_score"]);
    assert_eq!(answer["clip_match_status"], expected["status"]);
    assert_eq!(answer["clip_is_match"], expected["is_match"]);
    assert_eq!((&answer["filename"], &answer["width"]), (&"a.png".into(), &200.into()));
    let strict = ask(&[("description", text.as_bytes()), ("threshold", b"1")]).success();
    assert_eq!(strict["clip_is_match"], false);
    ask(&[]).refusal(422, "unusable");
    ask(&[("description", b" ")]).refusal(422, "unusable");
    ask(&[("description", b"x"), ("threshold", b"high")]).refusal(422, "unusable");
    server.assert_alive();
}

#[test]
fn photos_and_texts_are_held_against_each_other() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let (one, two, whole) = (png(200, 150), png(90, 90), png(64, 48));
    let damaged = &whole[..whole.len() - 30];
    let parts = [
        ("files", Some("one.png"), &one[..]),
        ("texts", None, b"a metal ring"),
        ("files", Some("two.png"), &two),
        ("texts", None, b"a bottle"),
    ];
    let answer = server.post("/batch/similarity", &parts).success();
    assert_eq!(answer["texts"], serde_json::json!(["a metal ring", "a bottle"]));
    let alone = [("file", Some("two.png"), &two[..]), ("description", None, b"a bottle")];
    let alone = server.post("/upload", &alone).success();
    assert_eq!(answer["results"][1]["matches"][1]["similarity_score"], alone["clip_similarity_score"]);
    assert_eq!(answer["results"][0]["filename"], "one.png");

    // A photo that cannot be read fails alone.
    let parts = [("files", Some("cut.png"), damaged), ("files", Some("two.png"), &two), ("texts", None, b"a bottle")];
    let answer = server.post("/batch/similarity", &parts).success();
    assert!(answer["results"][0]["error"].as_str().unwrap().contains("[cut.png]"), "{answer}");
    assert_eq!(answer["results"][1]["matches"][0]["similarity_score"], alone["clip_similarity_score"]);
    let no_texts = [("files", Some("two.png"), &two[..])];
    server.post("/batch/similarity", &no_texts).refusal(422, "unusable");
}
