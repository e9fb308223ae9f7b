//! From a moved weight to the new overlay, on the processor: everything between a slider and the map the window draws.
//! The photo has 1024 x 1024 pixels; no network runs. The aim is a frame of 16 ms.
//!
//! `cargo bench --bench live_overlay -- [--rounds 40] [--threads N]`
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![expect(clippy::unwrap_used, reason = "a benchmark may stop at the first thing that is not as expected")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use hairline::anomaly::calibrate::Calibration;
use hairline::anomaly::evidence::{Component, Evidence, NearestPatch, PhotoFacts, Timings};
use hairline::anomaly::judge::judge;
use hairline::gpu::kernels::{Term, fuse_maps, smooth_map};
use hairline::photo::Quality;
use hairline::recipe::Recipe;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Milliseconds of `run`: (median, 95th percentile) of `rounds`.
fn measure(rounds: usize, mut run: impl FnMut(usize)) -> (f64, f64) {
    run(0);
    let mut times: Vec<f64> = (0..rounds)
        .map(|round| {
            let start = Instant::now();
            run(round);
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[rounds / 2], times[rounds * 95 / 100])
}

/// Evidence of a photo of 1024 x 1024 pixels on a grid of `side` x `side` patches: noise and one defect.
fn evidence(side: usize, patch_px: usize) -> Evidence {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut component = |defect: f32| {
        let near = |at: usize| at.abs_diff(side / 3) <= side / 16;
        let values: Vec<f32> = (0..side * side)
            .map(|p| rng.random_range(0.0..1.0) + if near(p / side) && near(p % side) { defect } else { 0.0 })
            .collect();
        Component { values, median: 0.5, spread: 0.37 }
    };
    Evidence {
        photo: Arc::new(PhotoFacts {
            path: "part.png".into(),
            sha256: "00".into(),
            width: 1024,
            height: 1024,
            quality: Quality {
                blur_score: 100.0,
                brightness_score: 128.0,
                contrast: 30.0,
                black_share: 0.0,
                white_share: 0.0,
            },
            warnings: Vec::new(),
        }),
        rows: side,
        cols: side,
        patch_px,
        text: Some(component(2.0)),
        text_image: Some(0.5),
        memory: Some(component(4.0)),
        nearest: vec![NearestPatch { reference: 0, row: 0, col: 0 }; side * side],
        memory_grid: (side, side),
        foreground: vec![true; side * side],
        timings_ms: Timings::default(),
    }
}

fn argument(name: &str) -> Option<usize> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).map(|value| value.parse().unwrap())
}

fn main() {
    let rounds = argument("--rounds").unwrap_or(40);
    let threads = argument("--threads").unwrap_or(std::thread::available_parallelism().unwrap().get());
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().unwrap();
    println!("weight change -> new overlay, {threads} threads, {rounds} rounds: median (95 %)");

    let side = 1024;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let maps: Vec<Vec<f32>> = (0..3).map(|_| (0..side * side).map(|_| rng.random_range(0.0..1.0)).collect()).collect();
    let maps: Vec<&[f32]> = maps.iter().map(Vec::as_slice).collect();
    let mask: Vec<bool> = (0..side * side).map(|i| i % 7 != 0).collect();
    let terms = |round: usize| [0.3, 0.7, 0.01 * round as f32].map(|weight| Term { weight, median: 0.5, scale: 0.2 });
    let (median, late) = measure(rounds, |round| {
        black_box(fuse_maps::on_cpu(&maps, &terms(round), Some(&mask), 0.0));
    });
    println!("  fuse three maps of 1024 x 1024: {median:.2} ms ({late:.2})");
    for sigma_px in [1.0, 4.0, 16.0] {
        let (median, late) = measure(rounds, |_| {
            black_box(smooth_map::on_cpu(maps[0], side, side, sigma_px));
        });
        println!("  smooth 1024 x 1024, sigma {sigma_px} px: {median:.2} ms ({late:.2})");
    }
    for (grid, patch_px) in [(28, 8), (64, 8), (128, 8), (64, 16)] {
        let evidence = evidence(grid, patch_px);
        let calibration = Calibration::new(&[], &Recipe::default());
        let (median, late) = measure(rounds, |round| {
            let text_weight = 0.01 * (round % 100) as f32;
            let recipe = Recipe { text_weight, memory_weight: 1.0 - text_weight, ..Recipe::default() };
            black_box(judge(&evidence, &recipe, &calibration));
        });
        let input = grid * patch_px;
        println!("  judge a photo seen at {input} x {input} ({grid} x {grid} patches): {median:.2} ms ({late:.2})");
    }
}
