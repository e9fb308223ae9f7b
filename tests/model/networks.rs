//! CLIP's networks against transformers and open_clip on random weights: every naming, number type and position grid
//! that published folders have. `tests/fixtures/model/networks.py` made the numbers.

#![expect(clippy::print_stdout, reason = "differences and memory are worth seeing with --nocapture")]

use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use hairline::Error;
use hairline::model::clip::Clip;
use hairline::model::config::ClipConfig;
use hairline::model::open_clip;
use hairline::model::weights::{Precision, WeightFiles, save};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::reference::{Expected, fixture, largest_difference, pixels, unit_difference, values};

fn config(folder: &Path) -> ClipConfig {
    let path = folder.join("config.json");
    if path.is_file() {
        ClipConfig::read(&path).expect("readable")
    } else {
        open_clip::read(&folder.join("open_clip_config.json")).expect("readable").0
    }
}

fn load(folder: &Path) -> hairline::Result<Clip> {
    let device = Device::flex();
    WeightFiles::open(folder)?.load_into(Clip::new(&config(folder), &device), &device)
}

/// Compares all that the reference holds; prints the differences for `--nocapture`.
fn compare(folder: &Path) {
    let (config, clip, expected) = (config(folder), load(folder).expect("loads"), Expected::read(folder));
    let blocks = config.vision_config.num_hidden_layers;
    let layers: Vec<usize> = (1..=blocks).collect();
    let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
    for label in ["own", "other"] {
        if !expected.names().contains(&format!("{label}.size")) {
            continue;
        }
        let (size, _) = expected.ints(&format!("{label}.size"));
        let output = clip.vision.forward(pixels(2, size[0] as usize, size[1] as usize), &layers, false);
        let patch = config.vision_config.patch_size;
        assert_eq!(output.grid, (size[0] as usize / patch, size[1] as usize / patch));
        let projected = values(clip.vision.project_patches(output.layers[blocks - 2].clone()));
        let hidden = values(Tensor::cat(output.layers, 0));
        let embedding = unit_difference(
            &values(output.embedding),
            &expected.floats(&format!("{label}.embedding")),
            config.projection_dim,
        );
        let patches = largest_difference(&hidden, &expected.floats(&format!("{label}.hidden")));
        let projected = largest_difference(&projected, &expected.floats(&format!("{label}.projected")));
        println!(
            "{name} {label} {size:?}: embedding {embedding:.1e}, patches {patches:.1e}, projected {projected:.1e}"
        );
        assert!(embedding < 1e-4, "{name} {label}: embedding {embedding}");
        assert!(patches < 1e-3 && projected < 1e-3, "{name} {label}: patches {patches}, projected {projected}");
    }
    let (ids, shape) = expected.ints("ids");
    let ends: Vec<usize> = ids
        .chunks(shape[1])
        .map(|row| row.iter().map(|&id| id as u32).collect::<Vec<_>>())
        .map(|row| config.text_config.end_position(&row).expect("an end token"))
        .collect();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [shape[0], shape[1]]), &Device::flex());
    let text = values(clip.text.forward(ids, &ends));
    let text = unit_difference(&text, &expected.floats("text"), config.projection_dim);
    println!("{name} text: {text:.1e}");
    assert!(text < 1e-4, "{name}: text {text}");
}

#[test]
fn base_32_in_f32_with_a_config_of_the_older_form() {
    compare(&fixture("b32"));
}

#[test]
fn large_14_in_f16_with_gelu() {
    compare(&fixture("l14"));
}

#[test]
fn large_14_336_in_bf16_and_three_shards() {
    compare(&fixture("l14-336"));
}

#[test]
fn base_16_plus_240_in_open_clips_naming() {
    compare(&fixture("plus-240"));
}

#[test]
#[ignore = "needs 1.2 GB that networks.py --full makes; set HAIRLINE_FULL_SIZE to the folder"]
fn full_size() {
    let folder = std::env::var_os("HAIRLINE_FULL_SIZE").expect("HAIRLINE_FULL_SIZE is set");
    for name in ["b32", "b16"] {
        compare(&Path::new(&folder).join(name));
    }
}

/// A field of /proc/self/status in MB, where there is one.
fn status_mb(key: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(key))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}

#[test]
#[ignore = "needs 0.6 GB that networks.py --full makes; set HAIRLINE_FULL_SIZE to the folder, run this test alone"]
fn peak_memory_while_loading() {
    let folder = Path::new(&std::env::var_os("HAIRLINE_FULL_SIZE").expect("HAIRLINE_FULL_SIZE is set")).join("b16");
    let start = std::time::Instant::now();
    let size = std::fs::metadata(folder.join("model.safetensors")).expect("there").len() as f64 / 1048576.0;
    let before = status_mb("VmRSS:").expect("Linux");
    let clip = load(&folder).expect("loads");
    let elapsed = start.elapsed();
    // RssAnon leaves out the pages of the mapped file.
    let (peak, after) = (status_mb("VmHWM:").expect("Linux"), status_mb("VmRSS:").expect("Linux"));
    println!(
        "file {size:.0} MB, loaded in {elapsed:.2?}; resident before {before:.0}, peak with the mapped file {peak:.0}, after {after:.0} MB"
    );
    assert!(peak - before < size * 2.3, "the weights, at most 0.3 of them more, and the mapped file");
    assert!(after - before < size * 1.1, "the mapped file is let go");
    drop(clip);
}

/// A copy of the small f32 folder with its tensors changed.
fn changed(change: impl Fn(&mut Vec<(String, Vec<usize>, Vec<u8>)>)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::copy(fixture("b32").join("config.json"), folder.path().join("config.json")).expect("copies");
    let bytes = std::fs::read(fixture("b32").join("model.safetensors")).expect("there");
    let file = SafeTensors::deserialize(&bytes).expect("whole");
    let mut tensors: Vec<_> =
        file.tensors().into_iter().map(|(name, view)| (name, view.shape().to_vec(), view.data().to_vec())).collect();
    change(&mut tensors);
    let views = tensors.iter().map(|(name, shape, data)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data).expect("shape and data agree"))
    });
    safetensors::serialize_to_file(views, None, &folder.path().join("model.safetensors")).expect("writes");
    folder
}

fn refusal(folder: &Path) -> String {
    let error = load(folder).expect_err("must be refused");
    assert!(matches!(error, Error::Model { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn missing_extra_misshapen_and_infinite_tensors_are_named() {
    let folder = changed(|tensors| {
        tensors.retain(|(name, ..)| name != "vision_model.encoder.layers.1.self_attn.k_proj.bias");
        tensors.push(("vision_model.head.weight".to_owned(), vec![1], vec![0; 4]));
        tensors.push(("text_model.embeddings.position_ids".to_owned(), vec![1], vec![0; 4]));
        for (name, shape, data) in tensors.iter_mut() {
            match name.as_str() {
                "text_model.final_layer_norm.bias" => (*shape, *data) = (vec![2], vec![0; 8]),
                "text_projection.weight" => data[4..8].copy_from_slice(&f32::NAN.to_le_bytes()),
                _ => {}
            }
        }
    });
    let message = refusal(folder.path());
    for part in [
        "Missing: vision_model.encoder.layers.1.self_attn.k_proj.bias.",
        "Not part of this model: vision_model.head.weight.",
        "text_model.final_layer_norm.bias (is [2], should be [32])",
        "not finite: text_projection.weight",
    ] {
        assert!(message.contains(part), "{part} | {message}");
    }
    assert!(!message.contains("position_ids"), "{message}");
}

#[test]
fn damaged_and_absent_files_are_refused() {
    let folder = changed(|_| ());
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).expect("there");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("writes");
    assert!(refusal(folder.path()).contains("damaged or cut off"));
    std::fs::remove_file(&path).expect("removes");
    assert!(refusal(folder.path()).contains("no model.safetensors"));
    std::fs::write(folder.path().join("pytorch_model.bin"), b"pickle").expect("writes");
    assert!(refusal(folder.path()).contains("pytorch_model.bin"));
    let index = r#"{"weight_map": {"logit_scale": "../../etc/passwd"}}"#;
    std::fs::write(folder.path().join("model.safetensors.index.json"), index).expect("writes");
    assert!(refusal(folder.path()).contains("not in the folder"));
}

#[test]
fn a_saved_model_has_the_published_names_and_loads_equal() {
    let clip = load(&fixture("b32")).expect("loads");
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::copy(fixture("b32").join("config.json"), folder.path().join("config.json")).expect("copies");
    let path = folder.path().join("model.safetensors");
    save(&clip, &path, Precision::F32).expect("saves");
    let tensors = |path: &Path| {
        let bytes = std::fs::read(path).expect("there");
        let file = SafeTensors::deserialize(&bytes).expect("whole");
        let mut all: Vec<_> = file
            .tensors()
            .into_iter()
            .map(|(name, view)| (name, view.shape().to_vec(), view.data().to_vec()))
            .collect();
        all.sort();
        all
    };
    assert!(tensors(&path) == tensors(&fixture("b32").join("model.safetensors")), "every tensor is as it was");
    save(&clip, &path, Precision::F16).expect("saves");
    let halved = load(folder.path()).expect("loads");
    let (a, b) =
        (clip.vision.forward(pixels(1, 96, 96), &[], false), halved.vision.forward(pixels(1, 96, 96), &[], false));
    assert!(unit_difference(&values(a.embedding), &values(b.embedding), 24) < 1e-2);
}
