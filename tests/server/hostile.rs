//! Uploads by people who mean no good, or whose line is bad: every one is answered or hung up on, none harms the server
//! or writes outside of its place.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as expected")]

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::client::{Answer, BOUNDARY, Server, form};
use crate::support::{Place, png, png_header_bomb};

fn upload(server: &Server, name: &str, content: &[u8]) -> Answer {
    server.post("/inspect", &[("file", Some(name), content)])
}

#[test]
fn files_that_are_no_photos_are_named_as_what_they_are() {
    let place = Place::new();
    let server = Server::start(&place, &["--max-body", "1MiB", "--max-megapixels", "2"]);
    upload(&server, "a.png", b"just text").refusal(415, "unsupported_type");
    upload(&server, "a.png", b"<html><script>alert(1)</script></html>").refusal(415, "unsupported_type");
    upload(&server, "a.png", b"%PDF-1.7 ...").refusal(415, "unsupported_type");
    upload(&server, "a.png", b"").refusal(422, "unusable");
    let whole = png(200, 150);
    let refused = upload(&server, "../x/cut.png", &whole[..whole.len() / 2]).refusal(422, "unusable");
    assert!(refused.contains("[cut.png]") && !refused.contains("/tmp"), "{refused}");
    upload(&server, "a.png", &whole[..20]).refusal(422, "unusable");
    let bomb = upload(&server, "bomb.png", &png_header_bomb(60_000, 60_000)).refusal(413, "too_large");
    assert!(bomb.contains("60000 × 60000"), "{bomb}");
    upload(&server, "large.png", &vec![0; 2 << 20]).refusal(413, "too_large");
    // The name does not decide: a photo called text is a photo.
    upload(&server, "notes.txt", &png(64, 48)).success();
    server.assert_alive();
}

#[test]
fn forms_that_are_none_are_refused() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let photo = png(64, 48);
    let send = |kind: &str, body: &[u8]| {
        let head = format!(
            "POST /inspect HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            server.address,
            body.len()
        );
        server.send(&head, body).unwrap()
    };
    send("application/json", b"{}").refusal(415, "unsupported_type");
    send("image/png", &photo).refusal(415, "unsupported_type");
    send("multipart/form-data", b"").refusal(400, "malformed");
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    send(&kind, b"").refusal(400, "malformed");
    send(&kind, b"no form at all").refusal(400, "malformed");
    let whole = form(&[("file", Some("a.png"), &photo)]);
    send(&kind, &whole[..whole.len() - 10]).refusal(400, "malformed");
    let endless = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{}", "x".repeat(3 << 20));
    send(&kind, endless.as_bytes()).refusal(400, "malformed");
    assert!(server.post("/inspect", &[("photo", Some("a.png"), &photo)]).refusal(422, "unusable").contains("`file`"));
    server.post("/inspect", &[("recipe", None, b"()")]).refusal(422, "unusable");
    server.post("/inspect", &[("file", Some("a"), &photo), ("file", Some("b"), &photo)]).refusal(422, "unusable");
    server.post("/inspect", &[("file", None, &photo), ("recipe", None, b"\xff\xfe")]).refusal(422, "unusable");
    server
        .post("/inspect", &[("file", None, &photo), ("recipe", None, &vec![b' '; 70 << 10])])
        .refusal(413, "too_large");
    server.assert_alive();
}

#[test]
fn slow_clients_are_hung_up_on_and_hold_up_nobody() {
    let place = Place::new();
    let server = Server::start(&place, &["--body-timeout", "6", "--queue", "4"]);
    let start = Instant::now();
    // A body that stops in its middle.
    let mut stuck = server.connect();
    let head = format!(
        "POST /inspect HTTP/1.1\r\nHost: {}\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: 5000\r\n\r\n--{BOUNDARY}\r\n",
        server.address
    );
    stuck.write_all(head.as_bytes()).unwrap();
    // A body that comes byte by byte.
    let mut dripping = server.connect();
    dripping.write_all(head.as_bytes()).unwrap();
    upload(&server, "a.png", &png(64, 48)).success();
    let answer = crate::client::read_answer(&mut stuck).unwrap();
    answer.refusal(408, "too_slow");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    dripping.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut first = [0; 12];
    while dripping.read_exact(&mut first).is_err() {
        assert!(start.elapsed() < Duration::from_secs(15), "a dripping body goes on for ever");
        if dripping.write_all(b"x").is_err() {
            break;
        }
    }
    server.assert_alive();
}

#[test]
fn a_thousand_hostile_uploads_do_no_harm() {
    let place = Place::new();
    let outside = place.path("outside.png");
    let server = Server::start(&place, &["--max-body", "256KiB", "--body-timeout", "6"]);
    let whole = png(90, 70);
    let mut refusals = 0;
    for turn in 0..1000_usize {
        let outcome = match turn % 10 {
            0 => upload_raw(&server, "../../../../outside.png", &whole[..turn % whole.len()]),
            1 => upload_raw(&server, outside.to_str().unwrap(), &png_header_bomb(65_000, 65_000)),
            2 => {
                let mut damaged = whole.clone();
                let at = 8 + turn * 7919 % (damaged.len() - 8);
                damaged[at] ^= 0x55;
                upload_raw(&server, "a\0b.png", &damaged)
            }
            3 => upload_raw(&server, "x.png", &vec![0x41; 300 << 10]),
            4 => upload_raw(&server, "x.gif", b"GIF89a\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
            5 => upload_raw(&server, "x.tif", b"II*\0\xff\xff\xff\x7f\xff\xff"),
            6 => server.send(&format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "A".repeat(100_000)), b""),
            7 => server.send(&format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-Y: z\r\n".repeat(3000)), b""),
            8 => {
                let body = form(&[("file", Some("a.png"), &whole)]);
                let cut = turn % body.len();
                let head = format!(
                    "POST /inspect HTTP/1.1\r\nHost: {}\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n\
                     Content-Length: {}\r\n\r\n",
                    server.address,
                    body.len()
                );
                // Hangs up in the middle and reads no answer.
                let mut stream = server.connect();
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body[..cut]));
                continue;
            }
            _ => server.send("\x16\x03\x01\x02\0\x01\0\x01\x7c\x03\x03 no HTTP at all\r\n\r\n", b""),
        };
        if let Ok(answer) = outcome {
            assert!((200..500).contains(&answer.status), "turn {turn}: {answer:?}");
            refusals += usize::from(answer.status >= 400);
        }
    }
    assert!(refusals > 600, "{refusals}");
    server.assert_alive();
    upload(&server, "a.png", &whole).success();
    assert!(!outside.exists());
    let mut names = place.names(".");
    names.retain(|name| name != ".home");
    assert_eq!(names, Vec::<String>::new(), "nothing was written where the server runs");
}

fn upload_raw(server: &Server, name: &str, content: &[u8]) -> std::io::Result<Answer> {
    server.post_with("/inspect", &[("file", Some(name), content)], "")
}
