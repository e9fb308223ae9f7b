//! Windows, and what they say beside references, against anomalib's WinCLIP on random weights
//! (`tests/fixtures/model/winclip.py`); the subspace of normal patches against scikit-learn's PCA
//! (`tests/fixtures/anomaly/subspace.py`).

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use hairline::Recipe;
use hairline::anomaly::Reference;
use hairline::anomaly::features::{MemoryPatches, PhotoFeatures, WindowEmbeddings};
use hairline::anomaly::normals::Normals;
use hairline::anomaly::prompt::{Anchors, normalise};
use hairline::anomaly::subspace::Subspaces;
use hairline::anomaly::text_map::window_map;
use hairline::model::clip::Clip;
use hairline::model::open_clip;
use hairline::model::weights::WeightFiles;
use hairline::recipe::Method;

use super::reference::{Expected, fixture, largest_difference, pixels, unit_difference, values};

const GRID: usize = 15;
const DIM: usize = 24;
const WIDTH: usize = 32;

/// Features of one of the two images, from the reference's arrays.
fn features(expected: &Expected, image: usize) -> PhotoFeatures {
    let part = |name: &str| {
        let all = expected.floats(name);
        let each = all.len() / 2;
        all[image * each..(image + 1) * each].to_vec()
    };
    let windows = |side: usize| WindowEmbeddings {
        side,
        rows: GRID + 1 - side,
        cols: GRID + 1 - side,
        dim: DIM,
        values: part(&format!("windows.{side}")),
    };
    let mut patches = part("patches");
    patches.chunks_exact_mut(WIDTH).for_each(|patch| {
        normalise(patch);
    });
    PhotoFeatures {
        embedding: part("images"),
        windows: vec![windows(2), windows(3)],
        memory: MemoryPatches { rows: GRID, cols: GRID, dim: WIDTH, values: patches },
        ..PhotoFeatures::default()
    }
}

#[test]
fn windows_are_seen_as_anomalib_sees_them() {
    let folder = fixture("plus-240");
    let (device, expected) = (Device::flex(), Expected::open(&folder.join("winclip.safetensors")));
    let (config, _) = open_clip::read(&folder.join("open_clip_config.json")).expect("readable");
    let files = WeightFiles::open(&folder).expect("there");
    let clip = files.load_into(Clip::new(&config, &device), &device).expect("loads");
    for side in [2, 3] {
        let windows = clip.vision.windows(pixels(2, 240, 240), side);
        assert_eq!(windows.dims(), [2, (GRID + 1 - side).pow(2), DIM]);
        let difference = unit_difference(&values(windows), &expected.floats(&format!("windows.{side}")), DIM);
        assert!(difference < 1e-4, "{side}: {difference}");
    }
}

#[test]
fn maps_of_windows_equal_those_of_anomalib() {
    let expected = Expected::open(&fixture("plus-240").join("winclip.safetensors"));
    let texts = expected.floats("texts");
    let anchors = Anchors { normal: texts[..DIM].to_vec(), anomalous: texts[DIM..].to_vec() };
    let (photo, reference) = (features(&expected, 0), features(&expected, 1));
    let share = anchors.anomalous_share(&photo.embedding, 0.07);
    assert!((share - expected.floats("share")[0]).abs() < 1e-5);
    let map = window_map(&photo.windows, share, &anchors, 0.07);
    let difference = largest_difference(&map, &expected.floats("zero_shot"));
    assert!(difference < 1e-5, "without references: {difference}");

    let recipe = Recipe::for_method(Method::WinclipPlus);
    let reference = Reference { index: 0, sha256: "reference".into(), features: Arc::new(reference) };
    let normals = Normals::build(&[reference], &recipe, None, |_, _| true).expect("one reference is enough");
    let deviation = normals.deviation("photo", &photo, &recipe).expect("there is a reference");
    let difference = largest_difference(&deviation.distances, &expected.floats("few_shot"));
    assert!(difference < 1e-5, "beside a reference: {difference}");
    assert_eq!(deviation.nearest.len(), GRID * GRID, "the patches' own nearest ones");
}

#[test]
fn residuals_of_the_subspace_equal_those_of_scikit_learn() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/anomaly/subspace.safetensors");
    let expected = Expected::open(&file);
    let (patches, query) = (expected.floats("references"), expected.floats("query"));
    let each = patches.len() / 3;
    let references: Vec<(u32, &[f32])> = patches.chunks_exact(each).zip(0..).map(|(values, i)| (i, values)).collect();
    for variance in ["0.9", "0.99"] {
        let share = variance.parse().expect("a number");
        let subspaces = Subspaces::build(&references, 12, share, |_, _| true).expect("three references");
        assert_eq!(subspaces.kept() as i32, expected.ints(&format!("kept.{variance}")).0[0]);
        for (name, found) in
            [("residuals", subspaces.residuals(&query)), ("left_out", subspaces.left_out(0, references[0].1))]
        {
            let expected = expected.floats(&format!("{name}.{variance}"));
            let largest = expected.iter().copied().fold(0.0, f32::max);
            let difference = largest_difference(&found, &expected);
            assert!(difference < 1e-5 * largest, "{name} at {variance}: {difference} of {largest}");
        }
    }
    // A single reference: each half of its patches by the other's subspace, whatever lies in it is not 0 by itself.
    let alone = Subspaces::build(&references[..1], 12, 0.9, |_, _| true).expect("one reference");
    let left_out = alone.left_out(0, references[0].1);
    assert_eq!(left_out.len(), 40);
    let own: f32 = alone.residuals(references[0].1).iter().sum();
    assert!(left_out.iter().sum::<f32>() > own, "judged by the other half, patches lie farther out");
    assert!(Subspaces::build(&references, 12, 0.9, |_, _| false).is_err(), "it can be stopped");
}
