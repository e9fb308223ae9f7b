//! The smaller verbs from outside: `embed`, `tokens`, `synth`, help and version.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as expected")]

mod support;

use support::{Place, png};

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
    for verb in ["demo", "inspect", "embed", "tokens", "synth", "models"] {
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
