//! Cross-validated fusion against scikit-learn: 1,800 photos, 1,000 features, 6 classes, 3 folds; standard scaler and
//! logistic regression in each fold. One side after the other within each round, so that both saw the same load.
//!
//! `cargo bench --bench fusion -- [--rounds 5] [--threads N] [--python PATH]`
//! The peer needs a Python with numpy and scikit-learn; without one only our own time is printed.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![expect(clippy::unwrap_used, reason = "a benchmark may stop at the first thing that is not as expected")]

use std::process::Command;
use std::time::Instant;

use hairline::classify::{Features, FoldOptions, HeadOptions, assign_folds, cross_validate};
use hairline::report::write_npy;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const PHOTOS: usize = 1800;
const WIDTH: usize = 1000;
const CLASSES: usize = 6;

fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// About normally distributed: the sum of twelve even draws, less six.
fn normal(random: &mut ChaCha8Rng) -> f32 {
    (0..12).map(|_| random.random_range(0.0..1.0_f32)).sum::<f32>() - 6.0
}

fn main() {
    let rounds: usize = argument("--rounds").map_or(5, |rounds| rounds.parse().unwrap());
    let threads: usize = argument("--threads")
        .map_or_else(|| std::thread::available_parallelism().unwrap().get(), |threads| threads.parse().unwrap());
    let python = argument("--python").unwrap_or("python3".into());
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().unwrap();

    // Classes overlap, and features go together in groups of ten, as those of networks do.
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let centres: Vec<f32> = (0..CLASSES * WIDTH / 10).map(|_| 0.3 * normal(&mut random)).collect();
    let truth: Vec<usize> = (0..PHOTOS).map(|photo| photo % CLASSES).collect();
    let mut values = Vec::with_capacity(PHOTOS * WIDTH);
    for &class in &truth {
        for group in 0..WIDTH / 10 {
            let common = centres[class * WIDTH / 10 + group] + normal(&mut random);
            values.extend((0..10).map(|_| common + normal(&mut random)));
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let (features_path, truth_path) = (dir.path().join("features.npy"), dir.path().join("truth.npy"));
    write_npy(&features_path, &[PHOTOS as u64, WIDTH as u64], &values).unwrap();
    let labels: Vec<f32> = truth.iter().map(|&class| class as f32).collect();
    write_npy(&truth_path, &[PHOTOS as u64], &labels).unwrap();
    let features = Features::from_rows(values.chunks(WIDTH)).unwrap();

    println!("{PHOTOS} × {WIDTH}, {CLASSES} classes, 3 folds, {threads} threads, median of {rounds} rounds");
    let (mut own, mut default, mut exact) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let start = Instant::now();
        let folds = assign_folds(&truth, None, &FoldOptions { folds: 3, seed: None }).unwrap();
        let outcome = cross_validate(&features, &truth, CLASSES, &folds, HeadOptions::default(), |_| true).unwrap();
        assert!(outcome.scores.iter().all(|row| row.len() == CLASSES));
        own.push(start.elapsed().as_secs_f64() * 1e3);
        let peer = Command::new(&python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/fusion.py"))
            .args([&features_path, &truth_path])
            .env("OMP_NUM_THREADS", threads.to_string())
            .env("OPENBLAS_NUM_THREADS", threads.to_string())
            .output();
        let said = peer.ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let times: Vec<f64> = said.split_whitespace().filter_map(|time| time.parse().ok()).collect();
        if let [as_it_comes, tight] = times[..] {
            default.push(as_it_comes);
            exact.push(tight);
        }
    }
    println!("  hairline, to 1e-4 in every weight: {:.0} ms", median(&own));
    for (name, peer) in [("as it comes (tol 1e-4, 100 steps)", &default), ("to the same accuracy (tol 1e-8)", &exact)] {
        if peer.len() == own.len() {
            let ratios: Vec<f64> = own.iter().zip(peer).map(|(own, peer)| own / peer).collect();
            println!("  scikit-learn {name}: {:.0} ms; hairline takes {:.2} of that", median(peer), median(&ratios));
        } else {
            println!("  no peer: {python} has no scikit-learn");
        }
    }
}
