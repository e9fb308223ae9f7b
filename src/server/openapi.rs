//! The OpenAPI document, made from the routes and the types themselves.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::error::ErrorBody;
use super::{labels, routes, segments, words};

/// The document of every route.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Hairline",
        description = "Inspection of part photos: the same engine and recipe as window and command line.",
    ),
    paths(
        routes::health,
        routes::models,
        routes::inspect,
        labels::classify,
        words::upload,
        words::batch_similarity,
        segments::segment,
        routes::history,
        routes::figures,
    ),
    components(schemas(ErrorBody)),
    modifiers(&TokenScheme),
    security((), ("token" = [])),
)]
struct Document;

/// The token, for servers that want one.
struct TokenScheme;

impl Modify for TokenScheme {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme =
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("The content of --token-file."));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme.build()));
    }
}
