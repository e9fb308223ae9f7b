//! A server that replays the protocol, on good days and on bad ones.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::sync::Arc;
use std::time::Instant;

use super::*;
use crate::report::testing::inspection;

/// What the server does with a request.
#[derive(Clone)]
enum Reply {
    /// A completion with this content.
    Says(String),
    /// This status and body.
    Raw(u16, String),
    /// Nothing for two seconds.
    Sleeps,
}

struct Server {
    address: String,
    /// Bodies of the requests, with the Authorization header.
    requests: Arc<Mutex<Vec<Value>>>,
}

impl Server {
    /// Gives the replies in turn, the last one for ever.
    fn start(replies: Vec<Reply>) -> Self {
        let http = tiny_http::Server::http("127.0.0.1:0").unwrap();
        let address = format!("http://{}/v1", http.server_addr());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        std::thread::spawn(move || {
            for (at, mut request) in http.incoming_requests().enumerate() {
                let mut body = String::new();
                request.as_reader().read_to_string(&mut body).unwrap();
                assert_eq!(request.url(), "/v1/chat/completions");
                seen.lock().unwrap().push(serde_json::from_str(&body).unwrap());
                let (status, text) = match replies[at.min(replies.len() - 1)].clone() {
                    Reply::Says(content) => {
                        (200, json!({"choices": [{"message": {"role": "assistant", "content": content}}]}).to_string())
                    }
                    Reply::Raw(status, text) => (status, text),
                    Reply::Sleeps => {
                        std::thread::sleep(Duration::from_secs(2));
                        continue;
                    }
                };
                // A client that gave up is part of the test.
                let _ = request.respond(tiny_http::Response::from_string(text).with_status_code(status));
            }
        });
        Self { address, requests }
    }

    fn recipe(&self) -> Recipe {
        let vlm = Vlm { address: self.address.clone(), model: "eyes".into(), timeout_s: 0.5, ..Vlm::default() };
        Recipe { object: "metal_ring".into(), vlm: Some(vlm), ..Recipe::default() }
    }

    fn explain(&self) -> Explanation {
        let recipe = self.recipe();
        let client = VlmClient::new(&recipe).unwrap();
        client.explain(&RgbImage::new(640, 480), &inspection(640, 480), &recipe)
    }
}

const GOOD: &str = r#"{"location": "outer edge", "description": "a burr", "severity": "medium"}"#;

#[test]
fn the_models_words_replace_the_rules_and_the_figures_stay() {
    let fenced = format!("```json\n{GOOD}\n```");
    let server = Server::start(vec![Reply::Says(GOOD.into()), Reply::Says(fenced)]);
    let explanation = server.explain();
    assert_eq!((explanation.explained_by, explanation.explainer.as_deref()), (Source::Vlm, Some("eyes")));
    assert_eq!(explanation.fallback, None);
    for (region, confidence) in explanation.regions.iter().zip([0.91, 0.62]) {
        assert_eq!((region.location.as_str(), region.description.as_str()), ("outer edge", "a burr"));
        assert_eq!((region.severity, region.confidence), (Severity::Medium, confidence));
        assert_eq!(region.explained_by, Source::Vlm);
    }

    let requests = server.requests.lock().unwrap();
    assert_eq!((requests.len(), &requests[0]["model"]), (2, &json!("eyes")));
    let content = &requests[0]["messages"][0]["content"];
    let prompt = content[0]["text"].as_str().unwrap();
    assert!(prompt.contains("metal ring") && prompt.contains("upper left") && !prompt.contains("{object}"), "{prompt}");
    let url = content[1]["image_url"]["url"].as_str().unwrap();
    let picture = BASE64.decode(url.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
    // The region is 128 × 32; half its longer side is shown around it, as far as the photo goes.
    let picture = image::load_from_memory(&picture).unwrap();
    assert_eq!((picture.width(), picture.height()), (256, 160));
}

#[test]
fn answers_that_are_not_what_was_asked_leave_the_rules_words_and_say_so() {
    let says = |content: &str| Reply::Says(content.to_owned());
    for (reply, sign) in [
        (says("There is a burr at the edge."), "There is a burr"),
        (says(r#"{"location": "edge", "description": "a burr"}"#), "severity"),
        (says(r#"{"location": "edge", "description": "a burr", "severity": "severe"}"#), "severe"),
        (says(r#"{"location": "edge", "description": "a burr", "severity": "low", "verdict": "ok"}"#), "verdict"),
        (says(r#"{"location": "edge", "description": 3, "severity": "low"}"#), "string"),
        (says(r#"{"location": "edge", "description": "  ", "severity": "low"}"#), "`description` is empty"),
        (says(&GOOD.replace("a burr", &"x".repeat(301))), "longer than 300"),
        (Reply::Raw(200, "{\"choices\": []}".into()), "no completion"),
        (Reply::Raw(200, "<html>".into()), "no JSON"),
        (Reply::Raw(400, "{\"error\": \"no such model\"}".into()), "no such model"),
    ] {
        let explanation = Server::start(vec![reply]).explain();
        let fallback = explanation.fallback.clone().unwrap();
        assert!(fallback.contains("no usable answer") && fallback.contains(sign), "{fallback}");
        assert_eq!((explanation.explained_by, explanation.explainer), (Source::Rules, None));
        let rules =
            super::super::explain(&inspection(640, 480), &Recipe { object: "metal_ring".into(), ..Recipe::default() });
        assert_eq!(explanation.regions, rules.regions);
    }
}

#[test]
fn one_bad_answer_spoils_only_its_region() {
    let explanation = Server::start(vec![Reply::Says("?".into()), Reply::Says(GOOD.into())]).explain();
    assert_eq!(explanation.explained_by, Source::Vlm);
    let sources: Vec<_> = explanation.regions.iter().map(|region| region.explained_by).collect();
    assert_eq!(sources, [Source::Rules, Source::Vlm]);
    assert!(explanation.fallback.is_some());
}

#[test]
fn a_server_that_is_slow_broken_or_absent_is_left_alone_after_a_while() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let absent = Server { address: format!("http://{free}/v1"), requests: Arc::default() };
    let broken = Server::start(vec![Reply::Raw(500, "out of memory".into())]);
    let slow = Server::start(vec![Reply::Sleeps]);
    for (server, sign) in [(&absent, "does not answer"), (&broken, "out of memory"), (&slow, "within 0.5 s")] {
        let recipe = server.recipe();
        let client = VlmClient::new(&recipe).unwrap();
        let (photo, inspection) = (RgbImage::new(640, 480), inspection(640, 480));
        let start = Instant::now();
        for round in 0..5 {
            let explanation = client.explain(&photo, &inspection, &recipe);
            let fallback = explanation.fallback.unwrap();
            assert_eq!(explanation.explained_by, Source::Rules);
            let sign = if round < 3 { sign } else { "asked no more" };
            assert!(fallback.contains(sign), "{fallback}");
        }
        assert!(start.elapsed() < Duration::from_secs(5));
        assert!(server.requests.lock().unwrap().len() <= 3);
    }
}

#[test]
fn a_photo_without_regions_asks_nothing_and_a_recipe_without_server_is_refused() {
    let server = Server::start(vec![Reply::Says(GOOD.into())]);
    let recipe = server.recipe();
    let mut good = inspection(640, 480);
    good.regions.clear();
    let explanation = VlmClient::new(&recipe).unwrap().explain(&RgbImage::new(640, 480), &good, &recipe);
    assert_eq!((explanation.explained_by, explanation.fallback), (Source::Rules, None));
    assert!(server.requests.lock().unwrap().is_empty());
    assert!(VlmClient::new(&Recipe::default()).unwrap_err().to_string().contains("vlm: Some("));
}

#[test]
fn crops_stay_inside_of_the_photo() {
    let mut region = inspection(640, 480).regions.remove(0);
    for (photo, place, size) in [
        ((640, 480), (0, 0, 4, 4), (64, 64)),
        ((640, 480), (636, 476, 4, 4), (64, 64)),
        ((30, 20), (0, 0, 30, 20), (30, 20)),
        ((4000, 2000), (0, 0, 4000, 2000), (768, 384)),
    ] {
        (region.x, region.y, region.width, region.height) = place;
        assert_eq!(crop(&RgbImage::new(photo.0, photo.1), &region).dimensions(), size);
    }
}
