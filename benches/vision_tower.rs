//! CLIP ViT-B/16's image tower, or DINOv2-S at 448 px, on the processor against PyTorch, ONNX Runtime and OpenVINO: random
//! weights, the same number of threads, one process after the other within each round, so that both sides of a ratio saw
//! the same load.
//!
//! `cargo bench --bench vision_tower -- [--network clip-b16|dinov2-s] [--batch 1,8] [--rounds 15] [--threads N] [--precision f32|bf16] [--python PATH]`
//! The peers need a Python with torch, transformers, onnx, onnxruntime and openvino; without one only our own time is
//! printed.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![expect(clippy::unwrap_used, reason = "a benchmark may stop at the first thing that is not as expected")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor, TensorData};
use hairline::gpu::linear::{Precision, with_precision};
use hairline::model::clip::VisionTower;
use hairline::model::config::VisionConfig;
use hairline::model::dinov2;
use hairline::model::vision_transformer::VisionTransformer;

/// `benches/peers/vision_tower.py`, which measures one forward pass for every line it is sent.
struct Peers {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    names: Vec<String>,
}

impl Peers {
    /// Starts them; says why if they cannot be had.
    fn start(python: &str, network: &str, threads: usize, precision: Precision, batches: &[usize]) -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/vision_tower.py");
        let mut process = Command::new(python)
            .arg(script)
            .args([network.to_owned(), threads.to_string(), precision.to_string()])
            .args(batches.iter().map(usize::to_string))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| println!("no peers: cannot run {python}: {error}"))
            .ok()?;
        let mut answers = BufReader::new(process.stdout.take().unwrap());
        let mut names = String::new();
        answers.read_line(&mut names).unwrap();
        if names.trim().is_empty() {
            println!("no peers: {script} found none of its packages in {python}");
            return None;
        }
        let names = names.split_whitespace().map(str::to_owned).collect();
        Some(Self { requests: process.stdin.take().unwrap(), process, answers, names })
    }

    /// Milliseconds of one forward pass of peer `name`.
    fn measure(&mut self, name: &str, batch: usize) -> f64 {
        writeln!(self.requests, "{name} {batch}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim().parse().unwrap()
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A network under test: its sizes, and what runs it on pixels and gives the embedding back.
struct Network {
    name: &'static str,
    side: usize,
    patch: usize,
    width: usize,
    run: Box<dyn Fn(Tensor<4>) -> TensorData>,
}

impl Network {
    fn new(name: &str, precision: Precision, device: &Device) -> Self {
        match name {
            "clip-b16" => {
                let config = VisionConfig { patch_size: 16, ..VisionConfig::default() };
                let tower = with_precision(VisionTower::new(&config, 512, device), precision).unwrap();
                let run = move |pixels| tower.forward(pixels, &[], false).embedding.into_data();
                Self { name: "CLIP ViT-B/16 image tower", side: 224, patch: 16, width: 768, run: Box::new(run) }
            }
            "dinov2-s" => {
                let config = dinov2::parse(
                    r#"{"model_type": "dinov2", "hidden_size": 384, "num_attention_heads": 6, "image_size": 448, "patch_size": 14}"#,
                );
                let tower = with_precision(VisionTransformer::new(&config.unwrap(), device), precision).unwrap();
                let run = move |pixels| tower.forward(pixels, &[]).embedding.into_data();
                Self { name: "DINOv2-S at 448 px", side: 448, patch: 14, width: 384, run: Box::new(run) }
            }
            other => panic!("--network {other} is neither clip-b16 nor dinov2-s"),
        }
    }

    /// Arithmetic of one photo: twelve blocks and the patch embedding.
    fn gflop(&self) -> f64 {
        let patches = (self.side / self.patch).pow(2) as f64;
        let (tokens, width) = (patches + 1.0, self.width as f64);
        let per_layer = 2.0 * tokens * 12.0 * width * width + 4.0 * tokens * tokens * width;
        (12.0 * per_layer + 2.0 * patches * width * 3.0 * (self.patch * self.patch) as f64) / 1e9
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)
}

fn main() {
    let batches: Vec<usize> =
        argument("--batch").unwrap_or("1,8".into()).split(',').map(|batch| batch.parse().unwrap()).collect();
    let rounds: usize = argument("--rounds").map_or(15, |rounds| rounds.parse().unwrap());
    let threads: usize = argument("--threads")
        .map_or_else(|| std::thread::available_parallelism().unwrap().get(), |threads| threads.parse().unwrap());
    let precision: Precision = argument("--precision").map_or(Precision::F32, |precision| precision.parse().unwrap());
    let python = argument("--python").unwrap_or("python3".into());
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().unwrap();

    let network = argument("--network").unwrap_or("clip-b16".into());
    let device = Device::flex();
    let mut peers = Peers::start(&python, &network, threads, precision, &batches);
    let network = Network::new(&network, precision, &device);
    println!("{}, {precision}, {threads} threads, median of {rounds} rounds", network.name);
    for batch in batches {
        let gflop = batch as f64 * network.gflop();
        let shape = [batch, 3, network.side, network.side];
        let pixels = Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
        let ours = || {
            let start = Instant::now();
            let embedding = (network.run)(pixels.clone());
            assert!(embedding.iter::<f32>().all(f32::is_finite));
            start.elapsed().as_secs_f64() * 1e3
        };
        ours();
        let names = peers.as_ref().map_or(Vec::new(), |peers| peers.names.clone());
        let mut times = vec![Vec::new(); 1 + names.len()];
        for _ in 0..rounds {
            times[0].push(ours());
            for (times, name) in times[1..].iter_mut().zip(&names) {
                times.push(peers.as_mut().unwrap().measure(name, batch));
            }
        }
        let own = median(&times[0]);
        println!("  batch {batch}: hairline {own:.1} ms ({:.0} GFLOP/s)", gflop / own * 1e3);
        for (name, peer) in names.iter().zip(&times[1..]) {
            let ratios: Vec<f64> = peer.iter().zip(&times[0]).map(|(peer, own)| peer / own).collect();
            let (peer, ratio) = (median(peer), median(&ratios));
            println!("    {name} {peer:.1} ms ({:.0} GFLOP/s); hairline is {ratio:.2} x as fast", gflop / peer * 1e3);
        }
    }
}
