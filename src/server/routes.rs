//! What each route does. Every one that brings work takes a place first, and has its time.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use tokio::sync::oneshot;

use super::admission::Place;
use super::error::{ApiError, FormRefusals, Refusals};
use super::form::{Form, Parts};
use super::inspector::Work;
use super::labels;
use super::listen::Peer;
use super::metrics;
use super::observe::observe;
use super::overlay::overlay;
use super::schema::{Health, HistoryPage, HistoryQuery, InspectForm, Inspected, Models};
use super::segments;
use super::state::App;
use super::words;
use crate::history::{Filter, NewEntry, moment};
use crate::model::catalog;
use crate::report::json::{PhotoDocument, VERSION};

pub type Answer<T> = Result<T, ApiError>;

/// All routes, with everything that goes around them.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/openapi.json", get(openapi))
        .route("/health", get(health))
        .route("/metrics", get(figures))
        .route("/models", get(models))
        .route("/inspect", post(inspect))
        .route("/classify", post(labels::classify))
        .route("/upload", post(words::upload))
        .route("/batch/similarity", post(words::batch_similarity))
        .route("/segment", post(segments::segment))
        .route("/history", get(history))
        .fallback(async || ApiError::not_found())
        .method_not_allowed_fallback(async || ApiError::method())
        .layer(middleware::from_fn_with_state(app.clone(), observe))
        .with_state(app)
}

/// Takes a place for the request's client; it is held until the answer is made.
pub fn enter(app: &App, request: &Request) -> Answer<Place> {
    let peer = request.extensions().get::<Peer>().ok_or_else(|| ApiError::bug("a request came from nowhere."))?;
    app.places.enter(peer.0.ip())
}

/// Waits for an answer of the engine, as long as work may take.
pub async fn within_time<T>(app: &App, outcome: oneshot::Receiver<Answer<T>>) -> Answer<T> {
    match tokio::time::timeout(app.limits.work, outcome).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(ApiError::unavailable("The engine has stopped. Start the server again.")),
        Err(_) => Err(ApiError::overdue()),
    }
}

async fn page() -> Html<&'static str> {
    Html(include_str!("page.html"))
}

async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(super::document())
}

/// Whether the server can work
#[utoipa::path(get, path = "/health", security(()), responses(
    (status = 200, description = "It can.", body = Health),
    (status = 503, description = "It cannot; the reason says why.", body = Health),
    (status = 403, description = "A web page of another site asks.", body = super::error::ErrorBody),
))]
async fn health(State(app): State<Arc<App>>) -> Response {
    let reason = app.inspector.broken();
    let (places_taken, places) = app.places.taken();
    let (status, word) = match reason {
        None => (StatusCode::OK, "ok"),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "failed"),
    };
    let health = Health {
        status: word,
        reason,
        version: VERSION,
        model: app.identity.model.clone(),
        device: app.identity.device.clone(),
        places_taken,
        places,
    };
    (status, Json(health)).into_response()
}

/// Figures in Prometheus' text
#[utoipa::path(get, path = "/metrics", responses(
    (status = 200, description = "OpenMetrics text.", body = String, content_type = "application/openmetrics-text"),
    Refusals
))]
async fn figures(State(app): State<Arc<App>>) -> Answer<Response> {
    let text = app.metrics.text(app.places.taken().0).map_err(|_| ApiError::bug("the figures are no text."))?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

/// The models that this server knows of
#[utoipa::path(get, path = "/models", responses((status = 200, description = "The models.", body = Models), Refusals))]
async fn models(State(app): State<Arc<App>>) -> Answer<Json<Models>> {
    let listed = tokio::task::spawn_blocking(catalog::listed);
    let models = listed.await.map_err(|_| ApiError::bug("listing the models failed."))??;
    Ok(Json(Models { loaded: (*app.identity.info).clone(), models }))
}

/// Inspect a photo
#[utoipa::path(post, path = "/inspect",
    request_body(content = InspectForm, content_type = "multipart/form-data"),
    responses((status = 200, description = "The photo object of `results.json`.", body = Inspected), FormRefusals)
)]
async fn inspect(State(app): State<Arc<App>>, request: Request) -> Answer<Response> {
    const PARTS: Parts = Parts { file: "file", max_files: 1, texts: &["recipe"], max_texts: 1 };
    let place = enter(&app, &request)?;
    let mut form = Form::read(request, &app, PARTS).await?;
    let recipe = match form.text("recipe")? {
        Some(text) => Arc::new(overlay(&app.recipe, text)?),
        None => app.recipe.clone(),
    };
    let (answer, outcome) = oneshot::channel();
    app.inspector.submit(Work { upload: form.only_file()?, recipe: recipe.clone(), answer })?;
    let inspection = within_time(&app, outcome).await?;
    let mut history_id = None;
    if let Some(recorder) = &app.recorder {
        let entry = NewEntry::new(&inspection, &recipe, app.identity.made_with())?;
        history_id = Some(entry.id().to_string());
        recorder.record(entry).await?;
    }
    drop(place);
    Ok(Json(Inspected { history_id, photo: PhotoDocument::new(&inspection) }).into_response())
}

/// The kept verdicts, newest first
#[utoipa::path(get, path = "/history", params(HistoryQuery), responses(
    (status = 200, description = "A page of verdicts.", body = HistoryPage),
    (status = 404, description = "This server keeps no history.", body = super::error::ErrorBody),
    Refusals
))]
async fn history(
    State(app): State<Arc<App>>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Answer<Json<HistoryPage>> {
    let Some(recorder) = &app.recorder else {
        return Err(ApiError::no_history());
    };
    let Query(query) = query.map_err(|e| ApiError::unusable(format!("{}.", e.body_text())))?;
    let limit = usize::from(query.limit.unwrap_or(50));
    if !(1..=500).contains(&limit) {
        return Err(ApiError::unusable("`limit` must lie between 1 and 500."));
    }
    if query.before.as_deref().is_some_and(|id| uuid::Uuid::try_parse(id).is_err()) {
        return Err(ApiError::unusable("`before` is no id of a verdict. Take it from `next` of a page."));
    }
    let filter = Filter {
        since: query.since.map(|text| moment(&text, false)).transpose()?,
        until: query.until.map(|text| moment(&text, true)).transpose()?,
        verdict: query.verdict,
        beyond: query.before.map(|id| id.to_ascii_lowercase()),
        // One more than asked for tells whether there is another page.
        limit: limit + 1,
        ..Filter::default()
    };
    let mut verdicts = recorder.list(filter).await?;
    let more = verdicts.len() > limit;
    verdicts.truncate(limit);
    let next = verdicts.last().filter(|_| more).map(|entry| entry.id.clone());
    Ok(Json(HistoryPage { verdicts, next }))
}
