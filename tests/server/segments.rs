//! Masks over HTTP are those of the command line.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as expected")]

use base64::Engine as _;

use crate::client::Server;
use crate::support::{Place, png};

#[test]
fn masks_are_those_of_the_command_line() {
    let place = Place::new();
    place.write("photos/a.png", &png(200, 150));
    let predict = ["segment", "predict", "photos", "--prompt", "a hole", "--prompt", "rust", "--threshold", "0.2"];
    place.run(&[&predict[..], &["--out", "out", "--device", "cpu"]].concat()).expect(0);
    let expected = &place.json("out/segments.json")["photos"][0]["layers"];

    let server = Server::start(&place, &[]);
    let photo = png(200, 150);
    let ask = |texts: &[(&str, &str)]| {
        let mut parts = vec![("file", Some("../a.png"), &photo[..])];
        parts.extend(texts.iter().map(|(name, text)| (*name, None, text.as_bytes())));
        server.post("/segment", &parts)
    };
    let answer = ask(&[("prompts", "a hole"), ("prompts", "rust"), ("threshold", "0.2")]).success();
    assert_eq!((&answer["filename"], &answer["width"], &answer["height"]), (&"a.png".into(), &200.into(), &150.into()));
    assert_eq!(answer["model"]["id"], "pocket-seg");
    assert_eq!(answer["layers"].as_array().unwrap().len(), 2);
    for (layer, expected) in answer["layers"].as_array().unwrap().iter().zip(expected.as_array().unwrap()) {
        for key in ["prompt", "share", "regions"] {
            assert_eq!(layer[key], expected[key], "{key}");
        }
        let mask = base64::engine::general_purpose::STANDARD.decode(layer["mask_png"].as_str().unwrap()).unwrap();
        let mask = image::load_from_memory(&mask).unwrap().to_luma8();
        let file = image::open(place.path("out").join(expected["mask"].as_str().unwrap())).unwrap().to_luma8();
        assert_eq!(mask, file);
    }

    ask(&[]).refusal(422, "unusable");
    ask(&[("prompts", " ")]).refusal(422, "unusable");
    for (name, wrong) in [("threshold", "high"), ("threshold", "1"), ("threshold", "NaN"), ("tile", "3"), ("tile", "x")]
    {
        ask(&[("prompts", "rust"), (name, wrong)]).refusal(422, "unusable");
    }
    server
        .post("/segment", &[("file", Some("a.png"), b"no photo"), ("prompts", None, b"rust")])
        .refusal(415, "unsupported_type");
    server.assert_alive();
}
