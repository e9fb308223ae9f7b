//! The same story told to both databases: verdicts, pages, corrections, exports. PostgreSQL is started here, in a folder
//! of its own, reached through a socket in that folder, and stopped at the end.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use parquet::file::reader::{FileReader, SerializedFileReader};

use super::*;
use crate::Recipe;
use crate::report::ModelIdentity;
use crate::report::testing::inspection;

/// A verdict on the photo `name`.
fn entry(name: &str, verdict: Verdict) -> NewEntry {
    let mut inspection = inspection(640, 480);
    inspection.verdict = verdict;
    let mut facts = (*inspection.photo).clone();
    facts.path = name.into();
    inspection.photo = Arc::new(facts);
    let model = ModelIdentity { id: "pocket".into(), sha256: "ab".repeat(32) };
    let memory = ModelIdentity { id: "dinov2".into(), sha256: "cd".repeat(32) };
    let memory_model = (verdict == Verdict::Ng).then_some(&memory);
    let made_with = MadeWith { model: &model, memory_model, device: "Processor" };
    NewEntry::new(&inspection, &Recipe::default(), made_with).unwrap()
}

fn names(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.path.as_str()).collect()
}

/// What every history must do, whatever its database.
fn story(open: &dyn Fn() -> History) {
    let mut history = open();
    let photos = [("a.png", Verdict::Ok), ("größe 'b\".png", Verdict::Ng), ("c.png", Verdict::Uncertain)];
    let entries: Vec<_> = photos.iter().map(|(name, verdict)| entry(name, *verdict)).collect();
    history.record(&entries[..2]).unwrap();
    history.record(&entries[2..]).unwrap();
    // A connection that was lost and repeats itself adds nothing.
    history.record(&entries).unwrap();

    // What is said already is told from what is new.
    let mut holds = |name, verdict| history.holds(&entry(name, verdict)).unwrap();
    assert!(holds("c.png", Verdict::Uncertain) && !holds("c.png", Verdict::Ok) && !holds("d.png", Verdict::Uncertain));

    // Another program sees it.
    let mut history = open();
    let all = history.list(&Filter::default()).unwrap();
    assert_eq!(names(&all), ["c.png", "größe 'b\".png", "a.png"]);
    assert_eq!(all[1].id, entries[1].id().to_string());
    let scores = |entry: &Entry| (entry.normalised_score, entry.image_score, entry.image_threshold);
    assert_eq!(scores(&all[1]), (0.83, 6.21, 4.10), "to the bit");
    let memory_models: Vec<_> = all.iter().map(|entry| entry.memory_model_id.as_deref()).collect();
    assert_eq!(memory_models, [None, Some("dinov2"), None]);
    assert_eq!(all[1].result["regions"].as_array().unwrap().len(), 2);
    assert_eq!(history.recipe(&all[1].recipe_sha256).unwrap()["object"], "part");

    // Pages, in both orders.
    let page = |history: &mut History, order, beyond: Option<&Entry>| {
        let beyond = beyond.map(|entry| entry.id.clone());
        history.list(&Filter { limit: 2, order, beyond, ..Filter::default() }).unwrap()
    };
    let first = page(&mut history, Order::NewestFirst, None);
    assert_eq!(names(&first), ["c.png", "größe 'b\".png"]);
    assert_eq!(names(&page(&mut history, Order::NewestFirst, first.last())), ["a.png"]);
    let first = page(&mut history, Order::OldestFirst, None);
    assert_eq!(names(&page(&mut history, Order::OldestFirst, first.last())), ["c.png"]);

    // Times.
    let at = |since: Option<&str>, until: Option<&str>| Filter {
        since: since.map(|text| moment(text, false).unwrap()),
        until: until.map(|text| moment(text, true).unwrap()),
        ..Filter::default()
    };
    let today = all[0].time[..10].to_owned();
    assert_eq!(history.list(&at(Some("2026-01-01"), Some(&today))).unwrap().len(), 3);
    assert_eq!(history.list(&at(None, Some("2020-01-01"))).unwrap(), []);
    assert_eq!(history.list(&at(Some("2100-01-01T00:00:00Z"), None)).unwrap(), []);

    // Corrections stand beside what was said, and filters go by what is in force.
    let correct = |history: &mut History, verdict, author: &str| {
        history.correct(&all[1].id, &Correction { verdict, author: author.into(), note: "burr, not a crack".into() })
    };
    assert!(correct(&mut history, Verdict::Ok, " ").unwrap_err().to_string().contains("--by"));
    correct(&mut history, Verdict::Uncertain, "Ada").unwrap();
    let corrected = correct(&mut history, Verdict::Ok, "Grace").unwrap();
    assert_eq!((corrected.first_verdict, corrected.verdict), (Verdict::Ng, Verdict::Ok));
    let authors: Vec<_> = corrected.revisions.iter().map(|revision| revision.author.as_str()).collect();
    assert_eq!(authors, ["Ada", "Grace"]);
    let with = |verdict| Filter { verdict: Some(verdict), ..Filter::default() };
    assert_eq!(names(&history.list(&with(Verdict::Ok)).unwrap()), ["größe 'b\".png", "a.png"]);
    assert_eq!(history.list(&with(Verdict::Ng)).unwrap(), []);

    // Ids: their beginning will do where it is unique, and nothing else gets through to the database.
    assert_eq!(history.find(&all[0].id[..30].to_uppercase()).unwrap().path, "c.png");
    assert!(history.find(&all[0].id[..8]).unwrap_err().to_string().contains("More than one"));
    assert!(history.find("ffffffff").unwrap_err().to_string().contains("no verdict ffffffff"));
    assert!(history.find("%").unwrap_err().to_string().contains("no id"));

    exports(&mut history);
}

fn exports(history: &mut History) {
    let mut export = |format: ExportFormat, filter: Filter| {
        let mut bytes = Vec::new();
        let count = super::export(history, &filter, format, &mut bytes).unwrap();
        (count, bytes)
    };
    let (count, csv) = export(ExportFormat::Csv, Filter::default());
    let text = String::from_utf8(csv).unwrap();
    let mut lines = text.lines();
    assert!(lines.next().unwrap().starts_with("id,time,path,verdict,first_verdict,revisions,"));
    assert!(lines.next().unwrap().contains(",a.png,ok,ok,0,,,,0.83,6.21,4.1,"));
    assert!(lines.next().unwrap().contains(r#","größe 'b"".png",ok,ng,2,"#));
    assert_eq!(count, 3);

    let (_, json) = export(ExportFormat::Json, Filter { verdict: Some(Verdict::Uncertain), ..Filter::default() });
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!((json.as_array().unwrap().len(), &json[0]["path"]), (1, &serde_json::json!("c.png")));

    let (_, parquet) = export(ExportFormat::Parquet, Filter::default());
    assert_eq!((&parquet[..4], &parquet[parquet.len() - 4..]), (&b"PAR1"[..], &b"PAR1"[..]));
    let file = SerializedFileReader::new(axum::body::Bytes::from(parquet)).unwrap();
    let rows: Vec<_> = file.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 3);
    assert!(rows[1].to_string().contains("größe"), "{}", rows[1]);

    let none = Filter { since: Some("2100".into()), ..Filter::default() };
    assert_eq!(export(ExportFormat::Json, none.clone()).1, b"[\n]\n");
    assert_eq!(export(ExportFormat::Parquet, none).0, 0);
}

#[test]
fn sqlite_keeps_pages_corrects_and_exports() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    story(&|| History::open(path.to_str().unwrap()).unwrap());
}

#[test]
fn other_files_are_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    std::fs::write(&path, "no database, but long enough to be looked at by SQLite as one".repeat(20)).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = History::open(path.to_str().unwrap()).unwrap_err();
    assert!(error.to_string().contains("no SQLite database"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert!(History::open(dir.path().to_str().unwrap()).unwrap_err().to_string().contains("folder"));
    let missing = dir.path().join("missing.db");
    assert!(History::open_existing(missing.to_str().unwrap()).is_err() && !missing.exists());
}

#[test]
fn an_older_schema_is_brought_up_to_date_and_keeps_its_verdicts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let path = path.to_str().unwrap();
    let old = rusqlite::Connection::open(path).unwrap();
    old.execute_batch(MIGRATIONS[0]).unwrap();
    old.execute_batch(
        "CREATE TABLE schema_version (version BIGINT PRIMARY KEY); INSERT INTO schema_version VALUES (1);
         INSERT INTO recipes VALUES ('r', '{}');
         INSERT INTO verdicts VALUES ('01', '2026-01-01T00:00:00.000Z', 'old.png', 'p', 4, 3, 'ok', 0.1, 1.0, 2.0, 'r', \
         'pocket', 'm', 'Processor', '0.1.0', '{}');",
    )
    .unwrap();
    drop(old);
    let mut history = History::open(path).unwrap();
    history.record(&[entry("new.png", Verdict::Ng)]).unwrap();
    let all = history.list(&Filter { order: Order::OldestFirst, ..Filter::default() }).unwrap();
    assert_eq!(names(&all), ["old.png", "new.png"]);
    assert_eq!((all[0].memory_model_id.as_deref(), all[1].memory_model_id.as_deref()), (None, Some("dinov2")));
}

#[test]
fn a_newer_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let path = path.to_str().unwrap();
    drop(History::open(path).unwrap());
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute("INSERT INTO schema_version (version) VALUES (99)", []).unwrap();
    let error = History::open(path).unwrap_err().to_string();
    assert!(error.contains("version 99") && error.contains("Update Hairline"), "{error}");
}

#[test]
fn many_programs_open_and_write_one_file() {
    let dir = tempfile::tempdir().unwrap();
    // All of them find the file new at the same moment; SQLite makes some of them wait by asking, not by itself.
    for round in 0..20 {
        let path = dir.path().join(format!("{round}.db"));
        let start = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    let mut history = History::open(path.to_str().unwrap()).unwrap();
                    for _ in 0..2 {
                        history.record(&[entry("a.png", Verdict::Ok)]).unwrap();
                    }
                });
            }
        });
        assert_eq!(History::open(path.to_str().unwrap()).unwrap().list(&Filter::default()).unwrap().len(), 8);
    }
}

#[test]
fn times_are_read_as_people_write_them() {
    assert_eq!(moment("2026-03-01", false).unwrap(), "2026-03-01T00:00:00.000Z");
    assert_eq!(moment("2026-02-28", true).unwrap(), "2026-03-01T00:00:00.000Z");
    assert_eq!(moment("2026-03-01T12:00:00+01:00", true).unwrap(), "2026-03-01T11:00:00.000Z");
    for wrong in ["", "yesterday", "2026-13-01", "2026-03-01T12", "-2026-03-01", "12:00"] {
        assert!(moment(wrong, false).unwrap_err().to_string().contains("2026-03-01"), "{wrong}");
    }
}

#[test]
fn postgres_keeps_pages_corrects_exports_and_comes_back() {
    let Some(server) = Postgres::start() else { return };
    story(&|| History::open(&server.address()).unwrap());

    let mut history = History::open(&server.address()).unwrap();
    server.control(&["restart", "--mode=immediate"]);
    history.record(&[entry("after.png", Verdict::Ok)]).unwrap();
    assert_eq!(history.list(&Filter::default()).unwrap()[0].path, "after.png");

    let wrong = server.address().replace("/postgres?", "/nowhere?");
    let error = History::open(&wrong).unwrap_err().to_string();
    assert!(error.contains("nowhere") && error.contains("PGPASSWORD"), "{error}");
}

#[test]
fn an_address_never_shows_its_password() {
    let error = History::open("postgres://ada:sesame@127.0.0.1:1/parts").unwrap_err().to_string();
    assert!(error.contains("127.0.0.1/parts") && !error.contains("sesame"), "{error}");
}

/// A server of this test's own. Its programs refuse to run as root, so root becomes the user `postgres`.
struct Postgres {
    dir: tempfile::TempDir,
    programs: PathBuf,
    as_user: Vec<String>,
}

impl Postgres {
    /// `None`, and said so, where PostgreSQL is not installed; under CI that is a failure.
    #[expect(clippy::print_stderr, reason = "a test that cannot run must say so")]
    fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            let message = "PostgreSQL is not installed (Debian: postgresql), so it was NOT tested.";
            assert!(std::env::var_os("CI").is_none(), "{message}");
            eprintln!("{message}");
            return None;
        };
        let dir = tempfile::Builder::new().prefix("hairline-pg").tempdir_in("/tmp").unwrap();
        let root = output(Command::new("id").arg("-u")).trim() == "0";
        let mut as_user = Vec::new();
        if root {
            output(Command::new("chown").arg("postgres").arg(dir.path()));
            as_user = ["runuser", "-u", "postgres", "--"].map(str::to_owned).to_vec();
        }
        let server = Self { dir, programs, as_user };
        let data = server.data();
        output(server.program("initdb").args(["--auth=trust", "--username=hairline", "--no-sync", "-D"]).arg(&data));
        let options = format!("-k {} -c listen_addresses=''", server.dir.path().display());
        server.control(&["start", "-o", &options]);
        Some(server)
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A program of the server's, as a user it accepts.
    fn program(&self, name: &str) -> Command {
        let path = self.programs.join(name);
        let mut command = match self.as_user.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(path);
                command
            }
            None => Command::new(path),
        };
        command.current_dir(self.dir.path());
        command
    }

    fn control(&self, arguments: &[&str]) {
        let log = self.dir.path().join("log");
        // The server would hold the pipe of a captured output open for ever.
        let status = self
            .program("pg_ctl")
            .args(["--wait", "--silent", "-D"])
            .arg(self.data())
            .arg("-l")
            .arg(&log)
            .args(arguments)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{arguments:?}: {}", std::fs::read_to_string(&log).unwrap_or_default());
    }

    fn address(&self) -> String {
        format!("postgresql://hairline@/postgres?host={}", self.dir.path().display())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Also after a failed test; a server that is not there is fine.
        let _ = self.program("pg_ctl").args(["stop", "--mode=immediate", "--silent", "-D"]).arg(self.data()).status();
    }
}

/// The folder of the newest server's programs.
fn programs() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    folders.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let elsewhere = std::env::split_paths(&path);
    folders.into_iter().rev().chain(elsewhere).find(|folder| is_complete(folder))
}

fn is_complete(folder: &Path) -> bool {
    ["initdb", "pg_ctl", "postgres"].iter().all(|program| folder.join(program).is_file())
}

/// Runs a program that has to succeed.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
