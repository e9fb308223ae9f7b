//! The HTTP API: a thin front of the engine, like window and command line. Only this folder knows HTTP. A request comes
//! in through `listen`, is looked over by `observe` and `auth`, its form read by `form`, its photo inspected by
//! `inspector`, its verdict kept by `recorder`; `routes` ties them together and `openapi` describes them. Nothing
//! here judges.

mod admission;
mod auth;
mod batcher;
mod body;
mod error;
mod form;
mod inspector;
mod labels;
mod listen;
pub mod log;
mod metrics;
mod observe;
mod openapi;
mod overlay;
mod recorder;
mod routes;
mod schema;
mod segments;
mod state;
mod words;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

pub use auth::{Guard, Token};
pub use body::BodyLimits;
pub use openapi::document;
pub use state::Limits;

use crate::engine::{Engine, EngineOptions};
use crate::history::History;
use crate::model::ModelSource;
use crate::{Error, Recipe, Result};

/// How often the wish to stop is looked for.
const STOP_INTERVAL: Duration = Duration::from_millis(50);

/// Everything that a server is started with.
#[derive(Debug)]
pub struct ServerOptions {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Who may ask.
    pub guard: Guard,
    /// What is taken on.
    pub limits: Limits,
    /// Where verdicts are kept.
    pub history: Option<History>,
    /// The model that segments; loaded when it is first asked for.
    pub segment_model: String,
}

/// Serves until `stop` says so, and finishes what was accepted. `ready` is told the address once requests are taken.
///
/// # Errors
/// [`Error::Input`] for an address that others can reach without a token, [`Error::Io`] for one that cannot be listened
/// on, and whatever keeps the engine from following the recipe.
pub fn serve(
    engine: EngineOptions,
    recipe: Recipe,
    options: ServerOptions,
    stop: impl Fn() -> bool,
    ready: impl FnOnce(SocketAddr),
) -> Result<()> {
    let ServerOptions { listen: address, guard, limits, history, segment_model } = options;
    // A name that means nothing should not wait for the first request.
    ModelSource::resolve(&segment_model)?;
    if !address.ip().is_loopback() && guard.token.is_none() {
        return Err(Error::input(format!(
            "{address} can be reached from other machines, so a token is needed: give --token-file FILE, or listen on 127.0.0.1."
        )));
    }
    // The port first: a second server on it should not load a model before it says so.
    let socket = std::net::TcpListener::bind(address)
        .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
        .map_err(|e| Error::input(format!("Cannot listen on {address}: {e}. Choose another address with --listen.")))?;
    let uploads = state::Uploads::new()?;
    let metrics = Arc::new(metrics::Metrics::new());
    let jobs = Arc::new(AtomicU64::new(1));
    let recorder = history.map(recorder::Recorder::start).transpose()?;
    let (engine, events) = Engine::start(engine, recipe.clone(), || {})?;
    let engine = Arc::new(engine);
    let (inspector, identity) =
        inspector::Inspector::start(engine.clone(), events, jobs.clone(), limits.places, metrics.clone())?;
    let batcher = batcher::Batcher::start(engine, recipe.model.clone(), jobs, limits.places, metrics.clone())?;
    let app = Arc::new(state::App {
        places: admission::Places::new(limits.places),
        limits,
        guard,
        metrics,
        uploads,
        recipe: Arc::new(recipe),
        identity,
        recorder,
        inspector,
        batcher,
        segment_model,
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("hairline-http")
        .enable_all()
        .build()
        .map_err(|e| Error::bug(format!("the HTTP threads cannot be started ({e}).")))?;
    runtime.block_on(async {
        let fail = |e: std::io::Error| Error::bug(format!("the socket cannot be used ({e})."));
        let listener = tokio::net::TcpListener::from_std(socket).map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        ::log::info!(address = address.to_string(), model = app.identity.model.id, device = app.identity.device; "listening");
        ready(address);
        let stopped = async {
            while !stop() {
                tokio::time::sleep(STOP_INTERVAL).await;
            }
        };
        listen::run(listener, routes::router(app.clone()), stopped, app.limits.farewell).await;
        Ok(())
    })
}
