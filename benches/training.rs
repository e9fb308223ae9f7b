//! One training step on the processor against PyTorch: CLIPSeg's decoder (rd64, tokens of a frozen tower at 352 px) and a
//! small CLIP (6 + 4 blocks of width 256, photos of 224 px, texts of 16 tokens). Forward, backward, clipping, AdamW; random
//! weights, the same number of threads, one side after the other within each round, so that both saw the same load.
//!
//! `cargo bench --bench training -- [--batch 8] [--rounds 9] [--threads N] [--python PATH]`
//! The peer needs a Python with torch and transformers; without one only our own time is printed.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![expect(clippy::unwrap_used, reason = "a benchmark may stop at the first thing that is not as expected")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use hairline::model::clip::Clip;
use hairline::model::clipseg::{ClipSegConfig, Decoder};
use hairline::model::config::{ClipConfig, TextConfig, VisionConfig};
use hairline::train::loss::{binary, contrastive_pairs, dice, unit};
use hairline::train::precision::Precision;
use hairline::train::step::Stepper;

/// `benches/peers/training.py`, which makes one step for every line it is sent.
struct Peer {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts it; says why if it cannot be had.
    fn start(python: &str, threads: usize, batch: usize) -> Option<Self> {
        let mut process = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/training.py"))
            .args([threads.to_string(), batch.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| println!("no peer: cannot run {python}: {error}"))
            .ok()?;
        let mut answers = BufReader::new(process.stdout.take().unwrap());
        let mut greeting = String::new();
        answers.read_line(&mut greeting).unwrap();
        if greeting.trim() != "ready" {
            println!("no peer: {python} has no torch and transformers");
            return None;
        }
        Some(Self { requests: process.stdin.take().unwrap(), process, answers })
    }

    /// Milliseconds of one step.
    fn measure(&mut self, name: &str) -> f64 {
        writeln!(self.requests, "{name}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim().parse().unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn normal<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// A step of CLIPSeg's decoder.
fn decoder_step(batch: usize, device: &Device) -> impl FnMut() {
    let config = ClipSegConfig::parse(r#"{"model_type": "clipseg", "vision_config": {"patch_size": 16}}"#).unwrap();
    let tokens: Vec<Tensor<3>> = (0..3).map(|_| normal([batch, 485, 768], device)).collect();
    let prompts = normal([batch, 512], device);
    let target: Tensor<2> = Tensor::random([batch, 352 * 352], Distribution::Bernoulli(0.1), device);
    let mut decoder = Some(Decoder::new(&config, device));
    let mut stepper = Stepper::new(Precision::F32, 1.0);
    move || {
        let now = decoder.take().unwrap();
        let logits = now.forward(now.reduce(tokens.clone()), prompts.clone(), (22, 22)).reshape([batch, 352 * 352]);
        let loss = binary(logits.clone(), target.clone()) + dice(logits, target.clone());
        stepper.add(loss, &now);
        decoder = Some(stepper.step(1e-3, now).unwrap());
    }
}

/// A step of a small CLIP.
fn clip_step(batch: usize, device: &Device) -> impl FnMut() {
    let (width, vocabulary) = (256, 8192);
    let config = ClipConfig {
        text_config: TextConfig {
            vocab_size: vocabulary,
            hidden_size: width,
            intermediate_size: 4 * width,
            num_hidden_layers: 4,
            num_attention_heads: 4,
            eos_token_id: vocabulary as u32 - 1,
            ..TextConfig::default()
        },
        vision_config: VisionConfig {
            hidden_size: width,
            intermediate_size: 4 * width,
            num_hidden_layers: 6,
            num_attention_heads: 4,
            patch_size: 16,
            ..VisionConfig::default()
        },
        projection_dim: width,
        ..ClipConfig::default()
    };
    let pixels = normal([batch, 3, 224, 224], device);
    let ids: Vec<i32> = (0..batch * 16).map(|index| 1 + (index * 7919 % 8000) as i32).collect();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [batch, 16]), device);
    let pairs: Vec<(usize, usize)> = (0..batch).map(|index| (index, index)).collect();
    let mut clip = Some(Clip::new(&config, device));
    let mut stepper = Stepper::new(Precision::F32, 1.0);
    move || {
        let now = clip.take().unwrap();
        let photos = unit(now.vision.forward(pixels.clone(), &[], false).embedding);
        let texts = unit(now.text.forward(ids.clone(), &vec![15; batch]));
        let similarity = photos.matmul(texts.transpose()) * now.logit_scale.val().exp().unsqueeze::<2>();
        stepper.add(contrastive_pairs(similarity, &pairs, |photo, text| photo == text), &now);
        clip = Some(stepper.step(1e-5, now).unwrap());
    }
}

fn main() {
    let batch: usize = argument("--batch").map_or(8, |batch| batch.parse().unwrap());
    let rounds: usize = argument("--rounds").map_or(9, |rounds| rounds.parse().unwrap());
    let threads: usize = argument("--threads")
        .map_or_else(|| std::thread::available_parallelism().unwrap().get(), |threads| threads.parse().unwrap());
    let python = argument("--python").unwrap_or("python3".into());
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().unwrap();
    let device = Device::flex().autodiff();
    let mut peer = Peer::start(&python, threads, batch);
    println!("one training step of {batch} examples, f32, {threads} threads, median of {rounds} rounds");
    let steps: [Box<dyn FnMut()>; 2] = [Box::new(decoder_step(batch, &device)), Box::new(clip_step(batch, &device))];
    let names = [("decoder", "CLIPSeg's decoder (rd64, 352 px)"), ("clip", "small CLIP (224 px)")];
    for ((name, words), mut step) in names.into_iter().zip(steps) {
        let mut ours = || {
            let start = Instant::now();
            step();
            start.elapsed().as_secs_f64() * 1e3
        };
        ours();
        ours();
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            own.push(ours());
            others.extend(peer.as_mut().map(|peer| peer.measure(name)));
        }
        let per_second = |ms: f64| batch as f64 / ms * 1e3;
        println!("  {words}: hairline {:.0} ms, {:.1} examples/s", median(&own), per_second(median(&own)));
        if !others.is_empty() {
            let other = median(&others);
            let ratio = other / median(&own);
            println!(
                "    pytorch {other:.0} ms, {:.1} examples/s; hairline is {ratio:.2} x as fast",
                per_second(other)
            );
        }
    }
}
