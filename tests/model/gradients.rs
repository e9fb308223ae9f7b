//! Training against PyTorch: the gradients of one step for each loss, and steps of the optimiser.
//! `tests/fixtures/model/gradients.py` made the numbers.

#![expect(clippy::print_stdout, reason = "differences are worth seeing with --nocapture")]

use std::path::Path;

use burn::module::{Initializer, Module, ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use hairline::model::clip::Clip;
use hairline::model::clipseg::{ClipSeg, ClipSegConfig};
use hairline::model::config::{ClipConfig, TextConfig};
use hairline::model::weights::{self, Precision, WeightFiles};
use hairline::train::loss::{binary, contrastive_pairs, dice, unit};
use hairline::train::precision;
use hairline::train::step::Stepper;
use safetensors::SafeTensors;

use super::reference::{Expected, fixture, pixels, values};

/// The fixture file of this name in `gradients/`.
fn expected(name: &str) -> Expected {
    Expected::open(&fixture("gradients").join(format!("{name}.safetensors")))
}

/// Puts each weight's gradient in its place, nothing where there is none.
struct Gradients(GradientsParams);

impl ModuleMapper for Gradients {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let gradient = self.0.remove::<D>(param.id);
        param.map(|weight| gradient.unwrap_or_else(|| weight.inner().zeros_like()))
    }
}

/// Compares a weight file that holds gradients with the reference, tensor by tensor, under the published names: the
/// largest difference over the tensor's largest gradient. Gradients that are zero but for rounding (the bias of a key
/// has no influence) are held against the largest of all.
fn compare(name: &str, file: &Path, expected: &Expected, least: usize) {
    let bytes = std::fs::read(file).expect("written");
    let ours = SafeTensors::deserialize(&bytes).expect("whole");
    let names: Vec<String> =
        expected.names().into_iter().filter(|name| name.contains('.') || name == "logit_scale").collect();
    let largest = |values: &[f32]| values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    let all = names.iter().map(|name| largest(&expected.floats(name))).fold(0.0, f32::max);
    let mut worst = (0.0f32, "");
    for tensor in &names {
        let theirs = expected.floats(tensor);
        let view = ours.tensor(tensor).unwrap_or_else(|_| panic!("{tensor} is missing"));
        let mine = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        assert_eq!(mine.len(), theirs.len(), "{tensor}");
        let difference = mine.zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let size = Some(largest(&theirs)).filter(|size| *size > 1e-5 * all).unwrap_or(all);
        if difference / size > worst.0 {
            worst = (difference / size, tensor);
        }
    }
    println!("{name}: {} tensors, worst {:.1e} at {}", names.len(), worst.0, worst.1);
    assert!(names.len() >= least, "only {} tensors", names.len());
    assert!(worst.0 < 1e-4, "{name}: {worst:?}");
}

fn tokens(expected: &Expected, config: &TextConfig, device: &Device) -> (Tensor<2, Int>, Vec<usize>) {
    let (ids, shape) = expected.ints("ids");
    let ends = ids
        .chunks(shape[1])
        .map(|row| config.end_position(&row.iter().map(|&id| id as u32).collect::<Vec<_>>()).expect("an end token"));
    let ends = ends.collect();
    (Tensor::from_data(TensorData::new(ids, [shape[0], shape[1]]), device), ends)
}

/// A plain tensor's values on another device.
fn moved<const D: usize>(tensor: Tensor<D>, device: &Device) -> Tensor<D> {
    Tensor::from_data(tensor.into_data(), device)
}

fn decoder(folder: &str, side: usize, least: usize) {
    let expected = expected(folder);
    let folder = fixture(folder);
    let config = ClipSegConfig::read(&folder.join("config.json")).expect("readable");
    let files = WeightFiles::open_clipseg(&folder).expect("there");
    let plain = Device::flex();
    let device = plain.clone().autodiff();
    let frozen = files.load_into(ClipSeg::new(&config, &plain), &plain).expect("loads");
    let network = files.load_into(ClipSeg::new(&config, &device), &device).expect("loads");

    let (ids, ends) = tokens(&expected, &config.clip.text_config, &plain);
    let prompts = moved(frozen.clip.text.forward(ids, &ends), &device);
    let layers: Vec<usize> = config.decoder.extract_layers.iter().map(|layer| layer + 1).collect();
    let (seen, grid) = frozen.clip.vision.tokens(pixels(2, side, side), &layers);
    let seen = seen.into_iter().map(|tokens| moved(tokens, &device)).collect();
    let logits = network.decoder.forward(network.decoder.reduce(seen), prompts, grid);
    let logits = logits.reshape([2, side * side]);
    let target = Tensor::from_data(TensorData::new(expected.floats("target"), [2, side * side]), &device);
    let loss = binary(logits.clone(), target.clone()) + dice(logits, target);
    assert!((loss.clone().into_scalar::<f32>() - expected.floats("loss")[0]).abs() < 1e-5);

    let gradients = GradientsParams::from_grads(loss.backward(), &network);
    let network = network.map(&mut Gradients(gradients));
    let file = tempfile::NamedTempFile::new().expect("a file");
    weights::save_clipseg(&network, file.path(), Precision::F32).expect("written");
    compare(&folder.display().to_string(), file.path(), &expected, least);
}

#[test]
fn gradients_of_the_plain_decoder() {
    decoder("clipseg", 96, 60);
}

#[test]
fn gradients_of_the_refined_decoder() {
    decoder("clipseg-refined", 64, 64);
}

/// The network of `b32` and the loss of its batch in that number type.
fn contrast(precision: precision::Precision) -> (Clip, Tensor<1>) {
    let expected = expected("match");
    let folder = fixture("b32");
    let config = ClipConfig::read(&folder.join("config.json")).expect("readable");
    let device = Device::flex().autodiff();
    let files = WeightFiles::open(&folder).expect("there");
    let clip = files.load_into(Clip::new(&config, &device), &device).expect("loads");
    let computing = precision::computing(&clip, precision);
    let wide = burn::tensor::FloatDType::F32;
    let (ids, ends) = tokens(&expected, &config.text_config, &device);
    let photos = computing.vision.forward(moved(pixels(3, 96, 96), &device), &[], false).embedding;
    let texts = computing.text.forward(ids, &ends);
    let scale = clip.logit_scale.val().exp().unsqueeze::<2>();
    let similarity = unit(photos.cast(wide)).matmul(unit(texts.cast(wide)).transpose()) * scale;
    let fits = |photo, text| photo == text || (photo, text) == (0, 1);
    let loss = contrastive_pairs(similarity, &[(0, 0), (1, 1), (2, 2)], fits);
    (clip, loss)
}

#[test]
fn gradients_of_the_contrast_with_hard_negatives() {
    let expected = expected("match");
    let (clip, loss) = contrast(precision::Precision::F32);
    assert!((loss.clone().into_scalar::<f32>() - expected.floats("loss")[0]).abs() < 1e-5);
    let gradients = GradientsParams::from_grads(loss.backward(), &clip);
    let clip = clip.map(&mut Gradients(gradients));
    let file = tempfile::NamedTempFile::new().expect("a file");
    weights::save(&clip, file.path(), Precision::F32).expect("written");
    compare("match", file.path(), &expected, 90);
}

#[test]
fn f16_passes_with_a_scaled_loss_have_nearly_the_same_gradients() {
    let (clip, loss) = contrast(precision::Precision::F16);
    let gradients = GradientsParams::from_grads((loss * 1024.0).backward(), &clip);
    let (other, loss) = contrast(precision::Precision::F32);
    let exact = GradientsParams::from_grads(loss.backward(), &other);
    // The image projection's: every value that passes through the tower and back has a part in it.
    let half = values(gradients.get::<2>(clip.vision.projection.weight.id).expect("trained") / 1024.0);
    let whole = values(exact.get::<2>(other.vision.projection.weight.id).expect("trained"));
    let length = |values: &[f32]| values.iter().map(|v| v * v).sum::<f32>().sqrt();
    let difference: Vec<f32> = half.iter().zip(&whole).map(|(a, b)| a - b).collect();
    let off = length(&difference) / length(&whole);
    println!("f16: off by {off:.1e}");
    assert!(off > 0.0 && off < 2e-2, "{off}");
}

/// A linear layer written out, as the script has it.
#[derive(Module, Debug)]
struct Line {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

#[test]
fn steps_of_the_optimiser_with_clipping() {
    let expected = expected("adamw");
    let device = Device::flex().autodiff();
    let zeros = Initializer::Zeros;
    let mut line = Line { weight: zeros.init([2, 3], &device), bias: zeros.init([3], &device) };
    let weight = Tensor::<2>::from_data(TensorData::new(expected.floats("weight.0"), [2, 3]), &device);
    let bias = Tensor::<1>::from_data(TensorData::new(expected.floats("bias.0"), [3]), &device);
    line.weight = line.weight.map(|_| weight.require_grad());
    line.bias = line.bias.map(|_| bias.require_grad());
    let mut stepper = Stepper::new(precision::Precision::F32, 1.0);
    for (step, rate) in [(1, 0.1), (2, 0.05), (3, 0.01)] {
        let x = Tensor::<2>::from_data(TensorData::new(expected.floats(&format!("x.{step}")), [5, 2]), &device);
        let out = x.matmul(line.weight.val()) + line.bias.val().unsqueeze::<2>();
        stepper.add(out.powi_scalar(2).mean(), &line);
        line = stepper.step(rate, line).expect("finite");
        for (ours, name) in [(values(line.weight.val()), "weight"), (values(line.bias.val()), "bias")] {
            let theirs = expected.floats(&format!("{name}.{step}"));
            let off = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1e-5, "{name} after step {step}: off by {off}");
        }
    }
}
