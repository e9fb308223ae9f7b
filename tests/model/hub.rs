//! Downloads from a local server that behaves as the hub does, and as it does on a bad day.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hairline::Error;
use hairline::model::catalog::{CatalogEntry, CatalogFile};
use hairline::model::hub::{Hub, Progress, verify};
use hairline::photo::hex;
use sha2::{Digest, Sha256};

/// What the server holds and how it misbehaves.
#[derive(Default)]
struct Shelf {
    /// Content by path.
    files: HashMap<String, Vec<u8>>,
    /// Closes the connection after this many bytes of a body, that many times.
    cut: Option<(usize, usize)>,
    /// States this checksum instead of the true one.
    wrong_sum: bool,
    /// Requests as `METHOD path range`.
    log: Vec<String>,
}

struct Server {
    endpoint: String,
    shelf: Arc<Mutex<Shelf>>,
}

impl Server {
    fn start(files: &[(&str, Vec<u8>)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let files = files.iter().map(|(path, body)| ((*path).to_owned(), body.clone())).collect();
        let shelf = Arc::new(Mutex::new(Shelf { files, ..Shelf::default() }));
        let shared = Arc::clone(&shelf);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that hangs up is part of the test.
                let _ = answer(&stream, &shared);
            }
        });
        Self { endpoint, shelf }
    }

    fn log(&self) -> Vec<String> {
        self.shelf.lock().expect("not poisoned").log.clone()
    }
}

/// One request: large files redirect to `/storage/…`, as the hub does, and only the hub states checksum and size.
fn answer(mut stream: &TcpStream, shelf: &Mutex<Shelf>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut words = first.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let mut start = None;
    for line in lines {
        let line = line?.to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            start = range.trim_end_matches('-').parse::<usize>().ok();
        }
    }
    let mut shelf = shelf.lock().expect("not poisoned");
    shelf.log.push(format!("{method} {path} {}", start.map_or(String::new(), |start| start.to_string())));
    let key = path.strip_prefix("/storage").unwrap_or(&path).to_owned();
    let Some(body) = shelf.files.get(&key).cloned() else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    if key.ends_with(".safetensors") && !path.starts_with("/storage") {
        let sum = if shelf.wrong_sum { hex(&Sha256::digest(b"other")) } else { hex(&Sha256::digest(&body)) };
        let head = format!(
            "HTTP/1.1 302 Found\r\nLocation: /storage{path}\r\nX-Linked-Etag: \"{sum}\"\r\nX-Linked-Size: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            body.len()
        );
        return stream.write_all(head.as_bytes());
    }
    let status = match start {
        Some(start) if start >= body.len() => "416 Range Not Satisfiable",
        Some(_) => "206 Partial Content",
        None => "200 OK",
    };
    let rest = &body[start.unwrap_or(0).min(body.len())..];
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: \"abc\"\r\nConnection: close\r\n\r\n",
        rest.len()
    )?;
    if method == "HEAD" {
        return Ok(());
    }
    let end = match &mut shelf.cut {
        Some((bytes, times)) if *times > 0 && rest.len() > *bytes => {
            *times -= 1;
            (*bytes).min(rest.len())
        }
        _ => rest.len(),
    };
    stream.write_all(&rest[..end])
}

const ROOT: &str = "/org/name/resolve/main";

fn weights() -> Vec<u8> {
    (0..300_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

fn entry(names: &[&str]) -> CatalogEntry {
    let file = |name: &&str| CatalogFile { name: (*name).to_owned(), revisions: vec!["main".to_owned()], sha256: None };
    CatalogEntry { files: names.iter().map(file).collect(), ..CatalogEntry::unlisted("org/name") }
}

struct Setting {
    server: Server,
    models: tempfile::TempDir,
    hub: Hub,
    entry: CatalogEntry,
}

fn setting() -> Setting {
    let server = Server::start(&[
        (&format!("{ROOT}/config.json"), b"{}".to_vec()),
        (&format!("{ROOT}/model.safetensors"), weights()),
    ]);
    let models = tempfile::tempdir().expect("a temporary folder");
    let hub = Hub::new(&server.endpoint, models.path()).with_pause(Duration::ZERO);
    Setting { server, models, hub, entry: entry(&["config.json", "model.safetensors"]) }
}

fn quietly(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn a_model_arrives_whole_with_progress_and_a_note_to_verify_it_by() {
    let Setting { server, models, hub, entry } = setting();
    let mut seen = Vec::new();
    let folder = hub
        .pull(&entry, &mut |progress| {
            seen.push(progress.clone());
            ControlFlow::Continue(())
        })
        .expect("downloads");
    assert_eq!(folder, models.path().join("org--name"));
    assert!(std::fs::read(folder.join("model.safetensors")).expect("there") == weights());
    let last = seen.last().expect("progress");
    assert_eq!((last.file.as_str(), last.done, last.total), ("model.safetensors", 1_200_000, Some(1_200_000)));
    assert_eq!(verify(&folder).expect("unchanged"), 2);
    let names: Vec<_> =
        std::fs::read_dir(models.path()).expect("lists").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["org--name"], "nothing else is left");

    let before = server.log().len();
    hub.pull(&entry, &mut quietly).expect("is there already");
    assert_eq!(server.log().len(), before, "nothing is fetched twice");

    std::fs::write(folder.join("model.safetensors"), b"changed").expect("writes");
    assert!(verify(&folder).expect_err("changed").to_string().contains("has changed"));
}

#[test]
fn a_cut_connection_is_resumed_where_it_broke() {
    let Setting { server, hub, entry, .. } = setting();
    hub.pull(&CatalogEntry { files: vec![entry.files[1].clone()], ..entry.clone() }, &mut |progress| {
        if progress.done > 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .expect_err("stopped at the first piece");
    server.shelf.lock().expect("not poisoned").cut = Some((400_000, 1));
    let folder = hub.pull(&entry, &mut quietly).expect("downloads");
    assert!(std::fs::read(folder.join("model.safetensors")).expect("there") == weights());
    let starts: Vec<usize> = server
        .log()
        .iter()
        .filter_map(|line| line.strip_prefix("GET /storage")?.split(' ').nth(1)?.parse().ok())
        .collect();
    assert_eq!(starts.len(), 2, "{:?}", server.log());
    assert!(starts[0] > 0 && starts[1] == starts[0] + 400_000, "{starts:?}");
}

#[test]
fn a_connection_that_keeps_breaking_ends_with_advice_and_keeps_the_part() {
    let Setting { server, models, hub, entry } = setting();
    server.shelf.lock().expect("not poisoned").cut = Some((1, 100));
    let message = hub.pull(&entry, &mut quietly).expect_err("broken").to_string();
    assert!(message.contains("goes on from there"), "{message}");
    assert!(!models.path().join("org--name").exists(), "no half model");
    server.shelf.lock().expect("not poisoned").cut = None;
    hub.pull(&entry, &mut quietly).expect("goes on");
}

#[test]
fn stopping_is_no_failure_and_leaves_no_half_model() {
    let Setting { models, hub, entry, .. } = setting();
    let error = hub.pull(&entry, &mut |_| ControlFlow::Break(())).expect_err("stopped");
    assert!(matches!(error, Error::Cancelled), "{error:?}");
    assert!(!models.path().join("org--name").exists());
}

#[test]
fn a_wrong_checksum_is_refused_and_the_file_removed() {
    let Setting { server, models, hub, mut entry } = setting();
    server.shelf.lock().expect("not poisoned").wrong_sum = true;
    let message = hub.pull(&entry, &mut quietly).expect_err("damaged").to_string();
    assert!(message.contains("arrived damaged"), "{message}");
    let left: Vec<_> = std::fs::read_dir(models.path().join(".org--name.download")).expect("lists").flatten().collect();
    assert_eq!(left.len(), 1, "only config.json is left");
    server.shelf.lock().expect("not poisoned").wrong_sum = false;
    entry.files[1].sha256 = Some(hex(&Sha256::digest(b"the catalogue knows better")));
    let message = hub.pull(&entry, &mut quietly).expect_err("damaged").to_string();
    assert!(message.contains("arrived damaged"), "{message}");
}

#[test]
fn absent_files_and_servers_are_named_with_a_remedy() {
    let Setting { server, models, hub, .. } = setting();
    let message = hub.pull(&entry(&["config.json", "tokenizer.json"]), &mut quietly).expect_err("404").to_string();
    assert!(message.contains("no tokenizer.json of org/name (HTTP 404"), "{message}");
    // A file that lies on another branch only.
    let body = b"on the branch".to_vec();
    let path = "/org/name/resolve/refs%2Fpr%2F15/tokenizer.json".to_owned();
    server.shelf.lock().expect("not poisoned").files.insert(path, body);
    let mut both = entry(&["config.json", "tokenizer.json"]);
    both.files[1].revisions.push("refs/pr/15".to_owned());
    hub.pull(&both, &mut quietly).expect("found on the second branch");
    let nobody = Hub::new("http://127.0.0.1:9", models.path()).with_pause(Duration::ZERO);
    let other = CatalogEntry { id: "org/other".to_owned(), ..entry(&["config.json"]) };
    let message = nobody.pull(&other, &mut quietly).expect_err("no server").to_string();
    assert!(message.contains("cannot be reached") && message.contains("HF_ENDPOINT"), "{message}");
    assert!(hub.pull(&CatalogEntry::unlisted("../../etc"), &mut quietly).is_err());
}
