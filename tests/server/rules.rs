//! Who may ask, how much at once, and how a server ends.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as expected")]

use std::io::Write;
use std::time::Duration;

use crate::client::{BOUNDARY, Server, form, read_answer};
use crate::support::{Place, png};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn token_file(place: &Place, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    let path = place.write("token", format!("{SECRET}\n").as_bytes());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_token_is_asked_for_where_there_is_one() {
    let place = Place::new();
    token_file(&place, 0o600);
    let server = Server::start(&place, &["--token-file", "token"]);
    let ask = |path: &str, headers: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{headers}Connection: close\r\n\r\n", server.address);
        server.send(&head, b"").unwrap()
    };
    let refused = ask("/models", "");
    refused.refusal(401, "unauthorised");
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    ask("/models", "Authorization: Bearer wrong-wrong-wrong-wrong\r\n").refusal(401, "unauthorised");
    ask("/models", &format!("Authorization: Bearer {SECRET}\r\n")).success();
    ask("/health", "").success();
    // The photo of a stranger is not even read.
    server.post("/inspect", &[("file", Some("a.png"), &png(64, 48))]).refusal(401, "unauthorised");
    assert!(!server.log().contains(SECRET));
}

#[test]
fn an_address_that_others_reach_needs_a_token_that_others_cannot_read() {
    let place = Place::new();
    let run = place.run(&["serve", "--listen", "0.0.0.0:0"]).expect(1);
    assert!(run.stderr.contains("--token-file"), "{}", run.stderr);
    token_file(&place, 0o644);
    let run = place.run(&["serve", "--listen", "0.0.0.0:0", "--token-file", "token"]).expect(1);
    assert!(run.stderr.contains("chmod 600"), "{}", run.stderr);
    let run = place.run(&["serve", "--listen", "nowhere"]).expect(2);
    assert!(run.stderr.contains("127.0.0.1:8000"), "{}", run.stderr);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = place.run(&["serve", "--listen", &address]).expect(1);
    assert!(run.stderr.contains("--listen"), "{}", run.stderr);
    let run = place.run(&["serve", "--recipe", "missing.ron", "--listen", "127.0.0.1:0"]).expect(1);
    assert!(run.stderr.contains("missing.ron"), "{}", run.stderr);
    let run = place.run(&["serve", "--model", "no/such", "--listen", "127.0.0.1:0"]).expect(1);
    assert!(run.stderr.contains("no/such"), "{}", run.stderr);
}

#[test]
fn pages_of_other_sites_get_nothing_unless_allowed() {
    let place = Place::new();
    let server = Server::start(&place, &["--cors", "https://line3.example"]);
    let ask = |method: &str, host: &str, headers: &str| {
        let head = format!("{method} /models HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n");
        server.send(&head, b"").unwrap()
    };
    ask("GET", &server.address, "Origin: https://evil.example\r\n").refusal(403, "foreign_page");
    ask("GET", "evil.example", "").refusal(403, "foreign_page");
    let allowed = ask("GET", &server.address, "Origin: https://line3.example\r\n");
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, Some("https://line3.example")));
    let preflight = "Origin: https://line3.example\r\nAccess-Control-Request-Method: POST\r\n";
    let preflight = ask("OPTIONS", &server.address, preflight);
    assert_eq!((preflight.status, preflight.header("access-control-allow-methods")), (204, Some("GET, POST")));
}

#[test]
fn unknown_paths_and_methods_are_told_so() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    assert!(server.get("/nowhere").refusal(404, "not_found").contains("/openapi.json"));
    server.get("/inspect").refusal(405, "method_not_allowed");
    server.get("/../../etc/passwd").refusal(404, "not_found");
}

#[test]
fn a_full_server_says_when_to_come_again() {
    let place = Place::new();
    let server = Server::start(&place, &["--queue", "2"]);
    // One place is left to others: this client may hold two of two, since three quarters are rounded up.
    let body = form(&[("file", Some("a.png"), &png(64, 48))]);
    let head = format!(
        "POST /inspect HTTP/1.1\r\nHost: {}\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        server.address,
        body.len()
    );
    let mut holding: Vec<_> = (0..2)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&body[..body.len() / 2]).unwrap();
            stream
        })
        .collect();
    while server.get("/health").json()["places_taken"] != 2 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let full = server.post("/inspect", &[("file", Some("a.png"), &png(64, 48))]);
    full.refusal(503, "busy");
    assert_eq!(full.header("retry-after"), Some("2"));
    for stream in &mut holding {
        stream.write_all(&body[body.len() / 2..]).unwrap();
        assert_eq!(read_answer(stream).unwrap().status, 200);
    }
    server.post("/inspect", &[("file", Some("a.png"), &png(64, 48))]).success();
}

#[test]
fn accepted_work_is_finished_before_the_end() {
    let place = Place::new();
    let mut server = Server::start(&place, &["--history", "history.db"]);
    let idle = server.connect();
    std::thread::scope(|scope| {
        let server = &server;
        let asking: Vec<_> = (0..8)
            .map(|turn| scope.spawn(move || server.post("/inspect", &[("file", Some("a.png"), &png(600 + turn, 400))])))
            .collect();
        while server.get("/health").json()["places_taken"].as_u64() < Some(8) {
            std::thread::sleep(Duration::from_millis(5));
        }
        server.terminate();
        for answer in asking {
            answer.join().unwrap().success();
        }
    });
    assert_eq!(server.wait(), 0, "{}", server.log());
    drop(idle);
    let run = place.run(&["history", "list", "--history", "history.db"]).expect(0);
    assert_eq!(run.stdout.lines().count(), 8, "{}", run.stdout);
}
