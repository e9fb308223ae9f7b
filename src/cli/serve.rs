//! `hairline serve`: the HTTP API. The address goes to stdout once requests are taken; everything else is one JSON line
//! of log each on stderr.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use axum::http::HeaderValue;
use clap::Args;

use super::console::Console;
use super::{Common, absolute, interrupt};
use crate::engine::EngineOptions;
use crate::gpu::linear::Precision;
use crate::history::History;
use crate::model::POCKET_SEG;
use crate::photo::find_photos;
use crate::recipe::{Comparison, Recipe};
use crate::server::{self, BodyLimits, Guard, Limits, ServerOptions, Token};
use crate::{Error, Result};

/// Features kept in memory: parts differ from photo to photo, so a large store would only fill up.
const FEATURE_BYTES: usize = 128 << 20;

/// Arguments of `hairline serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Address and port; port 0 lets the system choose. One that others can reach needs a token
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000", value_parser = address)]
    listen: SocketAddr,
    /// File with the token that requests must bring (`Authorization: Bearer …`); only its owner may read it
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Start from this recipe
    #[arg(long, value_name = "FILE.ron")]
    recipe: Option<PathBuf>,
    /// Photos of normal parts for reference: a folder or a photo; may be repeated
    #[arg(long, value_name = "DIR")]
    normal: Vec<PathBuf>,
    /// Keep every verdict: an SQLite file, or postgres://user@host/database
    #[arg(long, value_name = "FILE|URL")]
    history: Option<String>,
    /// The model that /segment uses: pocket-seg, a catalogue id or a folder
    #[arg(long, value_name = "ID|DIR", default_value = POCKET_SEG)]
    segment_model: String,
    /// Bytes of a request at most, e.g. 32MiB
    #[arg(long, value_name = "SIZE", default_value = "32MiB", value_parser = bytes)]
    max_body: u64,
    /// Million pixels of a photo at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=200))]
    max_megapixels: u64,
    /// Requests with work in hand at most; others are told to come again
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    queue: u16,
    /// Seconds from a whole request to its answer at most
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Seconds for a request's body at most; a pause in it may take a sixth of that
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    body_timeout: u64,
    /// Let web pages of this origin ask, e.g. https://line3.example
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    cors: Option<HeaderValue>,
    /// How networks multiply on the processor: f32, or bf16, about twice as fast with AVX-512 BF16; scores move a little
    #[arg(long, value_name = "P", default_value_t)]
    precision: Precision,
    /// Compute everything anew: neither read nor fill the cache of features on disk
    #[arg(long)]
    no_cache: bool,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let found = text.to_socket_addrs().ok().and_then(|mut all| all.next());
    found.ok_or_else(|| "Write address and port, e.g. 127.0.0.1:8000 or [::1]:8000.".to_owned())
}

fn origin(text: &str) -> Result<HeaderValue, String> {
    let whole = text.split_once("://").is_some_and(|(scheme, host)| {
        ["http", "https"].contains(&scheme) && !host.is_empty() && !host.contains(['/', '*', ' '])
    });
    let value = HeaderValue::from_str(text).ok().filter(|_| whole);
    value.ok_or_else(|| {
        "Write scheme and host, and the port if it is not the usual one: https://line3.example".to_owned()
    })
}

/// `32MiB`, `500kB`, `1048576`: decimal and binary units.
fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim().trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit: u64 = match text.trim()[digits.len()..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" | "k" => 1000,
        "mb" | "m" => 1_000_000,
        "gb" | "g" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => 0,
    };
    let size = digits.trim().parse::<u64>().ok().and_then(|count| count.checked_mul(unit));
    size.filter(|size| (1 << 10..=4 << 30).contains(size))
        .ok_or_else(|| "Write a size between 1KiB and 4GiB, e.g. 32MiB.".to_owned())
}

/// Serves until Ctrl-C.
pub fn run(args: ServeArgs, common: &Common) -> Result<()> {
    interrupt::listen()?;
    let mut recipe = match &args.recipe {
        Some(path) => Recipe::open(path)?,
        None => Recipe::default(),
    };
    if let Some(model) = &common.model {
        recipe.model.clone_from(model);
    }
    recipe.seed = common.seed.unwrap_or(recipe.seed);
    if !args.normal.is_empty() {
        let (references, unusable) = find_photos(&absolute(args.normal), true);
        if let Some(failure) = unusable.into_iter().next() {
            return Err(failure.error);
        }
        recipe.references = references;
    }
    if recipe.comparison == Comparison::Mutual && recipe.references.is_empty() {
        return Err(Error::input(
            "The recipe compares photos with each other, but the server sees one at a time. Give a folder of photos, most of them normal, with --normal.",
        ));
    }
    let body_time = Duration::from_secs(args.body_timeout);
    let options = ServerOptions {
        listen: args.listen,
        guard: Guard { token: args.token_file.as_deref().map(Token::open).transpose()?, cors: args.cors },
        limits: Limits {
            body: BodyLimits { bytes: args.max_body, pause: body_time.div_f64(6.0), whole: body_time },
            pixels: args.max_megapixels * 1_000_000,
            places: usize::from(args.queue),
            work: Duration::from_secs(args.timeout),
            ..Limits::default()
        },
        history: args.history.as_deref().map(History::open).transpose()?,
        segment_model: args.segment_model,
    };
    let mut engine = EngineOptions {
        device: common.device,
        precision: args.precision,
        memory_budget: FEATURE_BYTES,
        ..EngineOptions::default()
    };
    if args.no_cache {
        engine.cache_dir = None;
    }
    server::serve(engine, recipe, options, interrupt::wanted, |address| {
        Console::print(&format!("http://{address}"));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_origins_are_read_as_people_write_them() {
        assert_eq!(bytes("32MiB"), Ok(32 << 20));
        assert_eq!(bytes("500 kB"), Ok(500_000));
        assert_eq!(bytes("1048576"), Ok(1 << 20));
        for wrong in ["", "MiB", "-1MiB", "3 parsecs", "99999999999GiB", "1", "1.5MiB", "9GiB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
        assert!(origin("https://line3.example:8443").is_ok());
        for wrong in ["*", "line3.example", "https://", "https://a/b", "ftp://a"] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }
}
