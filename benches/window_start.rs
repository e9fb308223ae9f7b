//! From starting the program to its first frame, and to the first verdict on a bundled sample, in a real window; and how
//! much memory the process has needed by then. The aim for the first frame is 1.5 s.
//!
//! `cargo bench --bench window_start -- [--rounds 9]`, where there is a display (`xvfb-run` makes one).
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![expect(clippy::unwrap_used, reason = "a benchmark may stop at the first thing that is not as expected")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

/// One start.
struct Start {
    /// Seconds.
    first_frame: f64,
    first_verdict: f64,
    /// MiB; only Linux tells.
    peak: Option<f64>,
}

fn start() -> Start {
    let begun = Instant::now();
    let mut process = Command::new(env!("CARGO_BIN_EXE_hairline"))
        .args(["-v", "demo"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first_frame = None;
    let mut heard = String::new();
    let log = BufReader::new(process.stderr.take().unwrap());
    let first_verdict = log.lines().map_while(Result::ok).find_map(|line| {
        let now = begun.elapsed().as_secs_f64();
        if line.ends_with("first frame") {
            first_frame = Some(now);
        }
        heard.push_str(&line);
        heard.push('\n');
        line.ends_with("first verdict").then_some(now)
    });
    let peak = std::fs::read_to_string(format!("/proc/{}/status", process.id())).ok().and_then(|status| {
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
    });
    // The demo leaves nothing behind that a kill could harm.
    let _ = process.kill();
    let _ = process.wait();
    let (Some(first_frame), Some(first_verdict)) = (first_frame, first_verdict) else {
        panic!("no window opened; the program said:\n{heard}");
    };
    Start { first_frame, first_verdict, peak }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--rounds");
    let rounds: usize = arguments.nth(1).map_or(9, |rounds| rounds.parse().unwrap());
    // Whatever is read from the disk for the first time does not count.
    start();
    let starts: Vec<Start> = (0..rounds).map(|_| start()).collect();
    println!("from starting the program, median of {rounds}");
    println!("  first frame: {:.2} s", median(starts.iter().map(|start| start.first_frame)));
    println!("  first verdict: {:.2} s", median(starts.iter().map(|start| start.first_verdict)));
    if starts.iter().all(|start| start.peak.is_some()) {
        println!("  peak memory by then: {:.0} MiB", median(starts.iter().filter_map(|start| start.peak)));
    }
}
