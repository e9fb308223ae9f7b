//! `hairline serve` under more load than it can take: 200 clients that each upload one photo after the other for a minute.
//! Prints what was answered, how fast, and how much memory the server held; fails on an answer that no client deserves.
//! Seconds and clients can be given: `cargo bench --bench serve_load -- 10 50`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, run by hand")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const BOUNDARY: &str = "----hairline-load";

/// Status and time of every answer; status 0 is none.
type Answers = Mutex<Vec<(u16, Duration)>>;

fn main() {
    let given: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let (seconds, clients) = (given.first().copied().unwrap_or(60), given.get(1).copied().unwrap_or(200));
    let place = tempfile::tempdir().unwrap();
    let (mut server, address) = start(place.path());
    let photo = photo();
    let (stop, counter) = (AtomicBool::new(false), AtomicU64::new(0));
    let answers = Answers::default();
    let (mut first, mut peak) = (0, 0);
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    let status = upload(&address, &photo, counter.fetch_add(1, Ordering::Relaxed)).unwrap_or(0);
                    answers.lock().unwrap().push((status, begun.elapsed()));
                    if status != 200 {
                        // Retry-After says a second or two.
                        std::thread::sleep(Duration::from_secs(1));
                    }
                }
            });
        }
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(seconds) {
            std::thread::sleep(Duration::from_millis(500));
            let resident = resident_mib(server.id());
            peak = peak.max(resident);
            if begun.elapsed() > Duration::from_secs(seconds) / 6 && first == 0 {
                first = resident;
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    let alive = server.try_wait().unwrap().is_none();
    server.kill().unwrap();
    let answers = answers.into_inner().unwrap();
    let mut by_status: BTreeMap<u16, Vec<Duration>> = BTreeMap::new();
    for (status, time) in answers {
        by_status.entry(status).or_default().push(time);
    }
    println!("{clients} clients, {seconds} s");
    println!("status   answers   per s    p50 ms    p99 ms");
    for (status, times) in &mut by_status {
        times.sort_unstable();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        let rate = times.len() as f64 / seconds as f64;
        println!("{status:>6} {:>9} {rate:>7.1} {:>9.0} {:>9.0}", times.len(), at(0.5), at(0.99));
    }
    println!("resident memory: {first} MiB after a sixth of the time, {peak} MiB at most");
    assert!(alive, "the server went down");
    let bad: Vec<_> = by_status.keys().filter(|status| ![200, 429, 503].contains(status)).collect();
    assert!(bad.is_empty(), "answers that no client deserves: {bad:?}");
    assert!(by_status.contains_key(&200), "nobody was served");
}

fn start(place: &std::path::Path) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hairline"))
        .args(["serve", "--listen", "127.0.0.1:0", "--no-cache", "--quiet", "--history", "history.db"])
        .current_dir(place)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim().trim_start_matches("http://").to_owned())
}

fn photo() -> Vec<u8> {
    let picture = image::RgbImage::from_fn(640, 480, |x, y| image::Rgb([(x * 7) as u8, (y * 5) as u8, (x ^ y) as u8]));
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Uploads the photo with a tail of its own, so that no cache knows it.
fn upload(address: &str, photo: &[u8], number: u64) -> std::io::Result<u16> {
    let mut body =
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{number}.png\"\r\n\r\n")
            .into_bytes();
    body.extend_from_slice(photo);
    body.extend_from_slice(&number.to_le_bytes());
    write!(body, "\r\n--{BOUNDARY}--\r\n")?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(90)))?;
    write!(
        stream,
        "POST /inspect HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let status = answer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    status.ok_or_else(|| std::io::Error::other("no answer"))
}

/// MiB in memory, where the system tells.
fn resident_mib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
