//! What was acknowledged is kept, also when the process is killed in the middle of its work.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as expected")]

use std::collections::HashSet;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::Server;
use crate::support::{Place, png};

fn kept(place: &Place, key: &str) -> HashSet<String> {
    let run = place.run(&["history", "list", "--history", "history.db", "--limit", "100000", "--json"]).expect(0);
    let entries: Value = serde_json::from_str(&run.stdout).unwrap();
    entries.as_array().unwrap().iter().map(|entry| entry[key].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_killed_server_loses_no_acknowledged_verdict() {
    let place = Place::new();
    for round in 0..3_u64 {
        let mut server = Server::start(&place, &["--history", "history.db"]);
        let acknowledged = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for client in 0..4 {
                let (server, acknowledged) = (&server, &acknowledged);
                scope.spawn(move || {
                    for photo in 0.. {
                        let photo = png(40 + client * 8 + photo % 7, 40);
                        match server.post_with("/inspect", &[("file", Some("a.png"), &photo)], "") {
                            Ok(answer) => {
                                let id = answer.success()["history_id"].as_str().unwrap().to_owned();
                                acknowledged.lock().unwrap().push(id);
                            }
                            Err(_) => return,
                        }
                    }
                });
            }
            while acknowledged.lock().unwrap().len() < 10 + 7 * round as usize {
                std::thread::sleep(Duration::from_millis(1));
            }
            let killed = std::process::Command::new("kill").args(["-KILL", &server.id().to_string()]).status().unwrap();
            assert!(killed.success());
        });
        server.kill();
        let kept = kept(&place, "id");
        let acknowledged = acknowledged.into_inner().unwrap();
        let lost: Vec<_> = acknowledged.iter().filter(|id| !kept.contains(*id)).collect();
        assert_eq!(lost, Vec::<&String>::new(), "of {} acknowledged", acknowledged.len());
    }
}

#[test]
fn a_killed_batch_keeps_every_verdict_that_has_its_report() {
    let place = Place::new();
    for index in 0..60 {
        place.write(&format!("photos/{index:02}.png"), &png(64 + index, 48));
    }
    let arguments = ["inspect", "photos", "--out", "out", "--history", "history.db", "--device", "cpu", "--quiet"];
    let mut child = place.command(&arguments).stdout(Stdio::null()).spawn().unwrap();
    let reports = || {
        let files = std::fs::read_dir(place.path("out")).into_iter().flatten().flatten().map(|file| file.path());
        files.filter(|path| path.to_string_lossy().ends_with("_report.json")).collect::<Vec<_>>()
    };
    let start = Instant::now();
    while reports().len() < 5 {
        assert!(start.elapsed() < Duration::from_mins(1));
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let told: HashSet<String> = reports()
        .iter()
        .map(|path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap())
        .map(|report| report["photo"]["sha256"].as_str().unwrap().to_owned())
        .collect();
    let kept = kept(&place, "photo_sha256");
    assert!(told.len() >= 5 && told.is_subset(&kept), "{} told, {} kept", told.len(), kept.len());
}

#[test]
fn the_history_is_paged_corrected_and_exported() {
    let place = Place::new();
    let server = Server::start(&place, &["--history", "history.db"]);
    for width in [50, 60, 70] {
        server.post("/inspect", &[("file", Some(&format!("{width}.png")), &png(width, 40))]).success();
    }
    let page = server.get("/history?limit=2").success();
    let names = |page: &Value| -> Vec<String> {
        page["verdicts"].as_array().unwrap().iter().map(|v| v["path"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&page), ["70.png", "60.png"]);
    let rest = server.get(&format!("/history?limit=2&before={}", page["next"].as_str().unwrap())).success();
    assert_eq!((names(&rest), &rest["next"]), (vec!["50.png".to_owned()], &Value::Null));
    for wrong in ["limit=0", "limit=x", "limit=501", "before=%27--", "verdict=maybe", "since=yesterday", "order=up"] {
        server.get(&format!("/history?{wrong}")).refusal(422, "unusable");
    }

    // Another program corrects while the server runs.
    let id = rest["verdicts"][0]["id"].as_str().unwrap();
    let correct =
        ["history", "correct", id, "--history", "history.db", "--verdict", "ok", "--by", "Ada", "--note", "dust"];
    place.run(&correct).expect(0);
    let corrected = server.get("/history?verdict=ok&limit=500").success();
    let corrected = corrected["verdicts"].as_array().unwrap().iter().find(|v| v["id"] == id).unwrap().clone();
    assert_eq!(
        (&corrected["revisions"][0]["author"], &corrected["revisions"][0]["note"]),
        (&"Ada".into(), &"dust".into())
    );

    for format in ["csv", "json", "parquet"] {
        let run =
            place.run(&["history", "export", "--history", "history.db", "--format", format, "--out", format]).expect(0);
        assert!(run.stderr.contains("3 verdicts"), "{}", run.stderr);
    }
    assert_eq!(place.json("json").as_array().unwrap().len(), 3);
    assert_eq!(std::fs::read_to_string(place.path("csv")).unwrap().lines().count(), 4);
    let show = place.run(&["history", "show", id, "--history", "history.db"]).expect(0);
    let show: Value = serde_json::from_str(&show.stdout).unwrap();
    assert_eq!((&show["recipe"]["object"], &show["path"]), (&"part".into(), &"50.png".into()));
    let run = place.run(&["history", "list", "--history", "missing.db"]).expect(1);
    assert!(run.stderr.contains("missing.db") && !place.path("missing.db").exists(), "{}", run.stderr);
    place.run(&["history", "list", "--history", "history.db", "--since", "yesterday"]).expect(2);
}
