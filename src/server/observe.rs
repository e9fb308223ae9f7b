//! What happens around every request: its body comes under guard, the rules are checked, a panic becomes an answer, and
//! one line of log and the figures are written.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::body::{Allowance, GuardedBody};
use super::error::ApiError;
use super::form::too_large;
use super::listen::Peer;
use super::state::App;

/// The outermost layer.
pub async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let id = Uuid::now_v7();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let client = request.extensions().get::<Peer>().map_or_else(String::new, |peer| peer.0.ip().to_string());
    let request = guarded(request, &app);
    let mut response = match admit(&app, &request) {
        Err(refused) => refused.into_response(),
        Ok(Some(preflight)) => preflight,
        Ok(None) => {
            // A task of its own, so that a panic ends only this request; it ends with the client that went away.
            let mut task = JoinSet::new();
            task.spawn(next.run(request));
            match task.join_next().await {
                Some(Ok(response)) => response,
                _ => ApiError::bug("a request's handler failed. Its id is in the log.").into_response(),
            }
        }
    };
    app.guard.finish(&mut response);
    let (status, time) = (response.status().as_u16(), start.elapsed());
    app.metrics.answered(method.as_str(), &route, status, time);
    log::info!(
        id = id.to_string(), client = client, method = method.as_str(), path = path, status = status,
        ms = (time.as_secs_f64() * 1e4).round() / 10.0;
        "request"
    );
    response
}

fn guarded(request: Request, app: &App) -> Request {
    let expects_continue = request.headers().contains_key(header::EXPECT);
    let allowance = Allowance::default();
    let (mut head, body) = request.into_parts();
    head.extensions.insert(allowance.clone());
    let body = GuardedBody::new(body, app.limits.body, allowance, expects_continue);
    Request::from_parts(head, Body::new(body))
}

fn admit(app: &App, request: &Request) -> Result<Option<Response>, ApiError> {
    let (method, headers) = (request.method(), request.headers());
    app.guard.check_origin(headers)?;
    if let Some(preflight) = app.guard.preflight(method, headers) {
        return Ok(Some(preflight));
    }
    app.guard.check(method, request.uri().path(), headers)?;
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > app.limits.body.bytes) {
        return Err(too_large(&app.limits));
    }
    Ok(None)
}
