//! Vision networks without text against transformers (DINOv2) and timm (plain ViT) on random weights: registers, gated
//! layers, other input sizes, every kind of folder. `tests/fixtures/model/vision.py` made the numbers.

#![expect(clippy::print_stdout, reason = "differences are worth seeing with --nocapture")]

use std::path::Path;

use burn::tensor::{Device, Tensor};
use hairline::Error;
use hairline::model::preprocess::Preprocessor;
use hairline::model::resample::Filter;
use hairline::model::{Backbone, Geometry, ModelKind, ModelSource, VitModel, Want};
use hairline::photo::Photo;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::reference::{Expected, fixture, largest_difference, pixels, unit_difference, values};

fn load(folder: &Path) -> hairline::Result<Backbone> {
    Backbone::load(&ModelSource::Folder(folder.to_owned()), &Device::flex())
}

fn vit(folder: &Path) -> VitModel {
    match load(folder).expect("loads") {
        Backbone::Vit(model) => *model,
        Backbone::Clip(_) => panic!("taken for a CLIP"),
    }
}

/// Compares every layer's tokens, the last ones' normed, and the embedding; prints the differences for `--nocapture`.
fn compare(folder: &Path) {
    let (model, expected) = (vit(folder), Expected::read(folder));
    let layers: Vec<usize> = (1..=model.info().layers).collect();
    let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
    for label in ["own", "other"] {
        let (size, _) = expected.ints(&format!("{label}.size"));
        let (height, width) = (size[0] as usize, size[1] as usize);
        let output = model.network().forward(pixels(2, height, width), &layers);
        let patch = model.info().patch_size;
        assert_eq!(output.grid, (height / patch, width / patch));
        let normed = values(model.network().normed(output.layers[layers.len() - 1].clone()));
        let hidden = values(Tensor::cat(output.layers, 0));
        let embedding = expected.floats(&format!("{label}.embedding"));
        let embedding = unit_difference(&values(output.embedding), &embedding, model.info().embedding_dim);
        let theirs = expected.floats(&format!("{label}.hidden"));
        let largest = theirs.iter().map(|value| value.abs()).fold(0.0, f32::max);
        let hidden = largest_difference(&hidden, &theirs);
        let normed = largest_difference(&normed, &expected.floats(&format!("{label}.normed")));
        println!("{name} {label} {size:?}: embedding {embedding:.1e}, tokens {hidden:.1e}, normed {normed:.1e}");
        assert!(embedding < 1e-4, "{name} {label}: embedding {embedding}");
        // A trained ViT-Tiny has a few raw values around 500, where f32 itself (PyTorch against its f64) is off by 9e-4.
        assert!(hidden < (1e-5 * largest).max(1e-3), "{name} {label}: tokens {hidden} of up to {largest}");
        assert!(normed < 1e-3, "{name} {label}: normed {normed}");
    }
}

#[test]
fn dinov2_in_f32() {
    compare(&fixture("dinov2"));
}

#[test]
fn dinov2_giant_in_f16() {
    compare(&fixture("dinov2-giant"));
}

#[test]
fn dinov2_with_registers() {
    compare(&fixture("dinov2-registers"));
}

#[test]
fn dinov2_giant_with_registers_in_bf16() {
    compare(&fixture("dinov2-giant-registers"));
}

#[test]
fn timm_with_a_configuration() {
    compare(&fixture("vit"));
}

#[test]
fn timm_from_a_lone_file_with_layer_scale() {
    compare(&fixture("vit-file"));
    let file = ModelSource::resolve(&fixture("vit-file/model.safetensors").to_string_lossy()).expect("is a file");
    let model = Backbone::load(&file, &Device::flex()).expect("loads");
    let info = model.info();
    assert_eq!((info.id.as_str(), info.kind, info.has_text, info.image_size), ("model", ModelKind::Vit, false, 40));
}

#[test]
#[ignore = "needs 1.5 GB that vision.py --full makes; set HAIRLINE_FULL_SIZE to the folder"]
fn full_size() {
    let folder = std::env::var_os("HAIRLINE_FULL_SIZE").expect("HAIRLINE_FULL_SIZE is set");
    for name in ["dinov2-small", "dinov2-with-registers-small", "dinov2-base", "vit-base", "vit-tiny-trained"] {
        compare(&Path::new(&folder).join(name));
    }
}

/// A copy of a small f32 folder with its tensors changed.
fn changed(folder: &str, change: impl Fn(&mut Vec<(String, Vec<usize>, Vec<u8>)>)) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a temporary folder");
    std::fs::copy(fixture(folder).join("config.json"), copy.path().join("config.json")).expect("copies");
    let bytes = std::fs::read(fixture(folder).join("model.safetensors")).expect("there");
    let file = SafeTensors::deserialize(&bytes).expect("whole");
    let mut tensors: Vec<_> =
        file.tensors().into_iter().map(|(name, view)| (name, view.shape().to_vec(), view.data().to_vec())).collect();
    change(&mut tensors);
    let views = tensors.iter().map(|(name, shape, data)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data).expect("shape and data agree"))
    });
    safetensors::serialize_to_file(views, None, &copy.path().join("model.safetensors")).expect("writes");
    copy
}

fn refusal(folder: &Path) -> String {
    let error = load(folder).expect_err("must be refused");
    assert!(matches!(error, Error::Model { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn missing_extra_and_misshapen_tensors_are_named() {
    let folder = changed("dinov2", |tensors| {
        tensors.retain(|(name, ..)| name != "encoder.layer.1.layer_scale1.lambda1");
        tensors.push(("embeddings.register_tokens".to_owned(), vec![1, 1, 24], vec![0; 96]));
        for (name, shape, data) in tensors.iter_mut() {
            if name == "encoder.layer.0.attention.attention.key.weight" {
                (*shape, *data) = (vec![24], vec![0; 96]);
            }
        }
    });
    let message = refusal(folder.path());
    for part in [
        "Missing: encoder.layer.1.layer_scale1.lambda1.",
        "Not part of this model: embeddings.register_tokens.",
        "encoder.layer.0.attention.attention.key.weight (is [24], should be [24, 24])",
    ] {
        assert!(message.contains(part), "{part} | {message}");
    }
    let folder = changed("vit", |tensors| {
        tensors.push(("dist_token".to_owned(), vec![1, 1, 24], vec![0; 96]));
    });
    assert!(refusal(folder.path()).contains("a distilled model"), "named for what it is");
    let folder = changed("vit", |tensors| tensors.retain(|(name, ..)| !name.starts_with("blocks.1.")));
    assert!(refusal(folder.path()).contains("Missing: blocks.1."), "a gap between the blocks");
}

#[test]
fn folders_of_unknown_kinds_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("config.json");
    std::fs::write(&config, r#"{"model_type": "siglip"}"#).expect("writes");
    let message = refusal(folder.path());
    assert!(message.contains("`siglip`") && message.contains("`dinov2`"), "{message}");
    std::fs::remove_file(&config).expect("removes");
    assert!(refusal(folder.path()).contains("no config.json"), "an empty folder");
    let not_a_model = folder.path().join("notes.txt");
    std::fs::write(&not_a_model, "hello").expect("writes");
    assert!(ModelSource::resolve(&not_a_model.to_string_lossy()).is_err());
}

#[test]
fn pixels_are_those_of_transformers_and_timm() {
    let bytes = std::fs::read(fixture("vision-pixels.safetensors")).expect("run vision.py");
    let expected = SafeTensors::deserialize(&bytes).expect("whole");
    let photo = Photo::open(fixture("../photo/photos/rgb-200x131.bmp")).expect("decodes");
    let folder = Preprocessor::open(&fixture("dinov2"), Preprocessor::dinov2()).expect("readable");
    let timm = Preprocessor::timm(33, false, 30, Filter::Bicubic).with_statistics([0.5; 3], [0.5; 3]);
    for (name, preprocessor, std) in [("dinov2", folder, 0.224), ("timm", timm, 0.5)] {
        let ours = preprocessor.prepare(&photo, Geometry::Reference, 1).expect("prepares").pixels;
        let theirs = expected.tensor(name).expect(name).data().as_chunks::<4>().0;
        let theirs: Vec<f32> = theirs.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let difference = largest_difference(&ours, &theirs);
        assert!(difference <= 1.0 / 255.0 / std + 1e-5, "{name}: {difference}");
    }
}

#[test]
fn a_photo_goes_through_a_vision_only_model() {
    let model = load(&fixture("dinov2")).expect("loads");
    let photo = Photo::open(fixture("../photo/photos/rgb-200x131.bmp")).expect("decodes");
    let image = model.prepare(&photo, Geometry::KeepAspect { short_side: 70 }).expect("prepares");
    let want = Want { layers: vec![3, 1], project: true, ..Want::default() };
    let features = model.encode_images(std::slice::from_ref(&image), &want).expect("encodes").remove(0);
    assert_eq!((features.rows, features.cols, features.embedding.len()), (5, 8, 24));
    for layer in &features.layers {
        assert_eq!((layer.hidden.len(), layer.projected.as_ref().map(Vec::len)), (40 * 24, Some(40 * 24)));
    }
    assert_eq!(model.default_layers(), [3]);
    assert_eq!(load(&fixture("vit")).expect("loads").default_layers(), [1, 2]);
    assert!(model.as_clip().is_none());
    let message = model.text_tower().expect_err("no texts").to_string();
    assert!(message.contains("dinov2 sees photos only"), "{message}");
    let want = Want { patch_head: true, ..Want::default() };
    assert!(model.encode_images(&[image], &want).is_err(), "there is no patch head");
}
