//! What a client is told when it cannot be served: a status, a code that programs can tell apart, and a sentence for
//! people. Internal paths never get out.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};

use crate::Error;

/// Why a request was not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Seconds after which another try makes sense.
    retry_after: Option<u32>,
}

/// The body of every answer that is no success.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorDetail {
    /// For programs; does not change between versions.
    code: String,
    /// For people: what, and what to do next.
    message: String,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    /// 400: the request is not what its headers say.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", message)
    }

    /// 401.
    pub fn unauthorised() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorised",
            "This server wants a token. Send it as `Authorization: Bearer TOKEN`.",
        )
    }

    /// 403: a web page of another site asks.
    pub fn foreign_page() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "foreign_page",
            "Requests from web pages of other sites are refused. Start the server with --cors ORIGIN to allow one.",
        )
    }

    /// 404.
    pub fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "There is nothing at this path. /openapi.json lists what there is.",
        )
    }

    /// 404: the route is there, what it shows is not.
    pub fn no_history() -> Self {
        let message = "This server keeps no history. Start it with --history FILE.";
        Self::new(StatusCode::NOT_FOUND, "no_history", message)
    }

    /// 405.
    pub fn method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "This path does not answer that method. /openapi.json lists which it does.",
        )
    }

    /// 408: the body came too slowly.
    pub fn too_slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "too_slow",
            "The request came too slowly. Send it again on a better line.",
        )
    }

    /// 413.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    /// 415: neither a form, nor a photo in it.
    pub fn type_unknown(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_type", message)
    }

    /// 422: understood, but a value cannot be used.
    pub fn unusable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unusable", message)
    }

    /// 429: this client has too many requests in hand.
    pub fn too_many() -> Self {
        let message = "This client has too many requests in hand. Wait for answers before sending more.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message).retry(1)
    }

    /// 503: the queue is full.
    pub fn busy() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "The server is busy. Try again shortly.").retry(2)
    }

    /// 503: the work took too long.
    pub fn overdue() -> Self {
        let message = "The work took longer than this server allows, because it is busy or the photo large. Try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overdue", message).retry(10)
    }

    /// 503: networks or storage do not work at present.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message).retry(30)
    }

    /// 500: a broken promise of our own code.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    fn retry(mut self, secs: u32) -> Self {
        self.retry_after = Some(secs);
        self
    }

    /// The sentence for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The error of an upload: its message under the name that the client gave, without the path it was kept at.
    pub fn of_upload(error: Error, name: &str) -> Self {
        match error {
            Error::Input { message, .. } => Self::unusable(format!("{message} [{name}]")),
            other => other.into(),
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::Input { message, .. } => Self::unusable(message),
            Error::Model { message, .. } | Error::Device { message } | Error::Io { message, .. } => {
                log::error!("{message}");
                Self::unavailable(message)
            }
            Error::Cancelled => Self::unavailable("The server is going down."),
            bug @ Error::Bug { .. } => {
                log::error!("{bug}");
                Self::bug(bug.to_string())
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorBody { error: ErrorDetail { code: self.code.to_owned(), message: self.message } };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        if let Some(secs) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The statuses of a request without a body, for the OpenAPI document.
#[derive(Debug)]
pub struct Refusals;

/// The statuses of a form, for the OpenAPI document.
#[derive(Debug)]
pub struct FormRefusals;

impl utoipa::IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        described(&[
            ("400", "The request is malformed."),
            ("401", "A token is missing or wrong."),
            ("403", "A web page of another site asks."),
            ("422", "A value cannot be used."),
            ("500", "A fault of this program."),
            ("503", "Busy or going down; see Retry-After."),
        ])
    }
}

impl utoipa::IntoResponses for FormRefusals {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let mut all = Refusals::responses();
        all.extend(described(&[
            ("408", "The body came too slowly."),
            ("413", "Too many bytes or pixels."),
            ("415", "No form, or a file in it that is no photo."),
            ("429", "This client has too many requests in hand; see Retry-After."),
        ]));
        all
    }
}

fn described(statuses: &[(&str, &str)]) -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
    let response = |description: &str| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
        ResponseBuilder::new().description(description).content("application/json", content).build().into()
    };
    statuses.iter().map(|(status, description)| ((*status).to_owned(), response(description))).collect()
}
