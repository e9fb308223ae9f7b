//! Figures for Prometheus: requests, times, queue, verdicts. Counted here, read at `/metrics`.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::anomaly::Verdict;

/// Content type of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram>,
    verdicts: Family<VerdictLabels, Counter>,
    places: Gauge,
    pub batch: Histogram,
    pub engine_restarts: Counter,
    pub received: Counter<u64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabels {
    verdict: String,
}

impl Metrics {
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("hairline"),
            requests: Family::default(),
            // From a millisecond to about half a minute.
            seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.0, 16))),
            verdicts: Family::default(),
            places: Gauge::default(),
            batch: Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0]),
            engine_restarts: Counter::default(),
            received: Counter::default(),
        };
        let Self { registry, requests, seconds, verdicts, places, batch, engine_restarts, received } = &mut metrics;
        registry.register("requests", "Requests answered", requests.clone());
        registry.register("request_seconds", "Time from a request's head to its answer", seconds.clone());
        registry.register("verdicts", "Photos inspected", verdicts.clone());
        registry.register("places_taken", "Requests with work in hand", places.clone());
        registry.register("batch_photos", "Photos inspected in one go", batch.clone());
        registry.register("engine_restarts", "Times the engine died and was started again", engine_restarts.clone());
        registry.register("upload_bytes", "Bytes of photos received", received.clone());
        metrics
    }

    /// A request was answered. `route` is the pattern, never the path, or foreign paths would fill the memory.
    pub fn answered(&self, method: &str, route: &str, status: u16, time: Duration) {
        // Any other method is made up by the client.
        let method = if ["GET", "POST", "HEAD", "OPTIONS"].contains(&method) { method } else { "other" };
        let labels = RequestLabels { method: method.to_owned(), route: route.to_owned(), status };
        self.requests.get_or_create(&labels).inc();
        self.seconds.get_or_create(&RouteLabels { route: route.to_owned() }).observe(time.as_secs_f64());
    }

    /// A photo was inspected.
    pub fn inspected(&self, verdict: Verdict) {
        self.verdicts.get_or_create(&VerdictLabels { verdict: verdict.name().to_owned() }).inc();
    }

    /// The figures as text.
    ///
    /// # Errors
    /// Never in practice: a string takes everything.
    pub fn text(&self, places_taken: usize) -> Result<String, std::fmt::Error> {
        self.places.set(places_taken as i64);
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let metrics = Metrics::new();
        metrics.answered("POST", "/inspect", 200, Duration::from_millis(30));
        metrics.answered("BREW", "/inspect", 405, Duration::ZERO);
        metrics.inspected(Verdict::Ng);
        let text = metrics.text(3).expect("a string takes everything");
        for line in [
            "# TYPE hairline_requests counter",
            "hairline_requests_total{method=\"POST\",route=\"/inspect\",status=\"200\"} 1",
            "hairline_requests_total{method=\"other\",route=\"/inspect\",status=\"405\"} 1",
            "hairline_verdicts_total{verdict=\"ng\"} 1",
            "hairline_places_taken 3",
            "hairline_request_seconds_count{route=\"/inspect\"} 2",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
