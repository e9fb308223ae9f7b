//! Pixel AUROC, AP, F1max and AUPRO of many maps against scikit-learn with the arithmetic of MVTec's evaluation in NumPy
//! and against anomalib, from arrays in memory to figures; and the peak of this program's memory. The figures are compared
//! too.
//!
//! `cargo bench --bench pixel_metrics -- [--maps 100] [--side 1024] [--threads N] [--python PATH] [--anomalib PATH]`
//! The peers need a Python with numpy, scipy and scikit-learn, and one with anomalib; without them only our own time is
//! printed.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![expect(clippy::unwrap_used, reason = "a benchmark may stop at the first thing that is not as expected")]

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use hairline::metrics::{PixelPool, measure};
use hairline::report::write_npy;
use image::{GrayImage, Luma};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)
}

fn number(name: &str, default: usize) -> usize {
    argument(name).map_or(default, |value| value.parse().unwrap())
}

/// The most memory that this process has held, in MiB, where the system says so.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

fn main() {
    let (maps, side) = (number("--maps", 100), number("--side", 1024));
    let threads = number("--threads", std::thread::available_parallelism().unwrap().get());
    let python = argument("--python").unwrap_or("python3".into());
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().unwrap();

    // Every second map has three square defects, where scores are higher.
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut scores = vec![0.0_f32; maps * side * side];
    let mut masks = vec![0_u8; scores.len()];
    for (mask, _) in masks.chunks_mut(side * side).zip(0..).filter(|(_, index)| index % 2 == 1) {
        for _ in 0..3 {
            let (size, end) = (random.random_range(1..side / 10), side - side / 10);
            let (x0, y0) = (random.random_range(0..end), random.random_range(0..end));
            (y0..y0 + size).for_each(|y| mask[y * side + x0..y * side + x0 + size].fill(255));
        }
    }
    for (score, mask) in scores.iter_mut().zip(&masks) {
        let noise: f32 = (0..4).map(|_| random.random_range(-1.0..1.0_f32)).sum();
        *score = noise + f32::from(u8::from(*mask > 0));
    }
    let dir = tempfile::tempdir().unwrap();
    let (scores_path, masks_path) = (dir.path().join("scores.npy"), dir.path().join("masks"));
    let sides = [maps, side, side].map(|length| length as u64);
    write_npy(&scores_path, &sides, &scores).unwrap();
    std::fs::write(&masks_path, &masks).unwrap();

    println!("{maps} maps of {side} × {side}, {threads} threads");
    let before = peak_mib();
    let start = Instant::now();
    let mut pool = PixelPool::default();
    for (scores, mask) in scores.chunks(side * side).zip(masks.chunks(side * side)) {
        let mask = GrayImage::from_fn(side as u32, side as u32, |x, y| Luma([mask[y as usize * side + x as usize]]));
        pool.add(scores, side as u32, side as u32, Some(&mask)).unwrap();
    }
    let (figures, _) = measure(&pool.ranking());
    let own = start.elapsed().as_secs_f64();
    let own_figures =
        [figures.auroc, figures.ap, figures.f1_max.map(|best| best.value), figures.aupro].map(Option::unwrap);
    println!(
        "  hairline: {own:.2} s, AUROC {:.6} AP {:.6} F1max {:.6} AUPRO {:.6}",
        own_figures[0], own_figures[1], own_figures[2], own_figures[3]
    );
    if let (Some(before), Some(after)) = (before, peak_mib()) {
        println!("  its memory at the peak: {} MiB beside the arrays", after - before);
    }
    drop((scores, masks));
    let peers = [
        ("scikit-learn and NumPy", python, "pixel_metrics.py", 1e-6),
        ("anomalib", argument("--anomalib").unwrap_or_default(), "pixel_metrics_anomalib.py", 1e-2),
    ];
    for (name, python, script, tolerance) in peers.into_iter().filter(|(_, python, ..)| !python.is_empty()) {
        let peer = Command::new(&python)
            .arg(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers")).join(script))
            .args([&scores_path, &masks_path])
            .env("OMP_NUM_THREADS", threads.to_string())
            .output();
        let said = peer.ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let numbers: Vec<f64> = said.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let [time, ref theirs @ ..] = numbers[..] else {
            println!("  no {name}: {python} lacks something that {script} needs");
            continue;
        };
        println!("  {name}: {time:.2} s, {:.1} times as long", time / own);
        for (own, theirs) in own_figures.iter().zip(theirs) {
            assert!((own - theirs).abs() < tolerance, "{own} is not {theirs}");
        }
    }
}
