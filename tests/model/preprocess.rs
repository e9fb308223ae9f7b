//! Preprocessing against transformers' and Pillow's on photos of every kind: `tests/fixtures/photo/photos.py` made both.

use std::path::{Path, PathBuf};

use hairline::model::Geometry;
use hairline::model::preprocess::Preprocessor;
use hairline::model::resample::{Filter, resized};
use hairline::photo::Photo;
use image::RgbImage;
use safetensors::SafeTensors;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/photo")
}

/// Largest difference and the share of differing values.
fn difference(ours: &[u8], theirs: &[u8]) -> (u8, f64) {
    assert_eq!(ours.len(), theirs.len());
    let differing = ours.iter().zip(theirs).filter(|(a, b)| a != b).count();
    (ours.iter().zip(theirs).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0), differing as f64 / ours.len() as f64)
}

#[test]
fn every_photo_is_within_one_step_of_the_reference() {
    let bytes = std::fs::read(folder().join("expected.safetensors")).expect("run photos.py");
    let expected = SafeTensors::deserialize(&bytes).expect("whole");
    // Eight-bit values as they come out of resize and crop: scale and normalisation are left out to compare whole steps.
    let json = r#"{"size": {"shortest_edge": 48}, "crop_size": {"height": 48, "width": 40}, "do_rescale": false, "do_normalize": false}"#;
    let preprocessor = Preprocessor::parse(json, 48).expect("valid");
    let mut compared = 0;
    for name in expected.names() {
        let Some(file) = name.strip_suffix(":reference") else { continue };
        let photo = Photo::open(folder().join("photos").join(file)).expect(file);
        let image = preprocessor.prepare(&photo, Geometry::Reference, 1).expect(file);
        assert_eq!((image.height, image.width), (48, 40));
        let ours: Vec<u8> = image.pixels.iter().map(|value| *value as u8).collect();
        let (largest, share) = difference(&ours, expected.tensor(name).expect(name).data());
        // Everything is exact but for JPEG, whose decoders round differently, by up to three steps in the photo itself, and
        // enlarge subsampled colour planes differently, by up to four.
        let allowed = match file {
            "subsampled-210x141.jpg" => (2, 0.2),
            _ if Path::new(file).extension().is_some_and(|kind| kind == "jpg") => (1, 0.1),
            _ => (0, 0.0),
        };
        assert!(largest <= allowed.0 && share <= allowed.1, "{file}: {largest}, {share}");
        compared += 1;
    }
    assert!(compared >= 30, "{compared}");
}

#[test]
fn normalised_values_are_the_references() {
    let bytes = std::fs::read(folder().join("expected.safetensors")).expect("run photos.py");
    let expected = SafeTensors::deserialize(&bytes).expect("whole");
    let theirs = expected.tensor("normalised").expect("there").data();
    let theirs: Vec<f32> = theirs.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let photo = Photo::open(folder().join("photos/rgb-200x131.bmp")).expect("decodes");
    let ours = Preprocessor::published(48).prepare(&photo, Geometry::Reference, 16).expect("prepares").pixels;
    assert_eq!(ours.len(), theirs.len());
    let largest = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // One step of 1/255 over the smallest standard deviation.
    assert!(largest <= 1.0 / 255.0 / 0.261 + 1e-5, "{largest}");
}

#[test]
fn every_filter_is_pillows() {
    let bytes = std::fs::read(folder().join("expected.safetensors")).expect("run photos.py");
    let expected = SafeTensors::deserialize(&bytes).expect("whole");
    let filters = [Filter::Nearest, Filter::Lanczos, Filter::Bilinear, Filter::Bicubic, Filter::Box, Filter::Hamming];
    for (source, kind, width, height) in
        [("rgb-200x131.bmp", "filter", 61, 50), ("rgb-17x23-small.png", "enlarged", 40, 35)]
    {
        let photo: RgbImage = Photo::open(folder().join("photos").join(source)).expect("decodes").pixels;
        for (number, filter) in filters.into_iter().enumerate() {
            let ours = resized(&photo, width, height, filter);
            let theirs = expected.tensor(&format!("{kind}:{number}")).expect("there");
            assert_eq!(difference(ours.as_raw(), theirs.data()), (0, 0.0), "{kind} {filter:?}");
        }
    }
}
