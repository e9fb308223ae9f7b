//! From a listening socket to the router: HTTP/1.1 with bounded headers and times, a bounded number of connections, and
//! an end that lets accepted requests finish.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::ServiceExt;

/// Connections at once at most; more wait in the system's queue.
const CONNECTIONS: usize = 1024;
/// Time for a request's head, which is also how long an idle connection is kept.
const HEAD_TIME: Duration = Duration::from_secs(15);
/// Header lines of a request at most.
const HEADERS: usize = 64;
/// Bytes of a request's head at most.
const HEAD_BYTES: usize = 64 << 10;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Serves until `stop`, then finishes what was accepted, for at most `farewell`.
pub async fn run(listener: TcpListener, router: Router, stop: impl Future<Output = ()>, farewell: Duration) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_headers(HEADERS).max_buf_size(HEAD_BYTES);
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &connections) => accepted,
            () = &mut stop => break,
        };
        let Some((stream, peer, permit)) = accepted else { continue };
        let router = router.clone();
        let service = service_fn(move |request| answer(router.clone(), request, peer));
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // A client that went away or spoke no HTTP; what it was told, hyper told it.
                log::debug!(client = peer.to_string(); "connection ended: {error}");
            }
            drop(permit);
        });
    }
    // From here on the system refuses new connections.
    drop(listener);
    log::info!(connections = graceful.count(); "stopping: accepted requests are finished");
    if tokio::time::timeout(farewell, graceful.shutdown()).await.is_err() {
        log::warn!("some requests were not finished in time");
    }
}

type Accepted = (tokio::net::TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, connections: &Arc<Semaphore>) -> Option<Accepted> {
    let permit = connections.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Answers are small and whole; waiting for more to send only delays them.
            let _ = stream.set_nodelay(true);
            Some((stream, peer, permit))
        }
        Err(error) => {
            // Out of file handles, most likely: give some back before the next try.
            log::error!("a connection cannot be accepted: {error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

async fn answer(router: Router, request: Request<Incoming>, peer: SocketAddr) -> Result<Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(Peer(peer));
    router.oneshot(request).await
}
