//! `GET /openapi.json` and `GET /docs/`: the description, and the page that shows it.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

use super::document;
use crate::api::routes;

/// Scripts and styles come from the page itself; Swagger UI sets styles inline, and its images are
/// data URLs.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
     form-action 'none'",
);

#[derive(Clone)]
struct Docs {
    document: Arc<OpenApi>,
    config: Arc<Config<'static>>,
}

/// The routes of the description and the page.
pub(crate) fn router() -> Router {
    let docs = Docs {
        document: Arc::new(document()),
        config: Arc::new(Config::from(routes::OPENAPI)),
    };
    Router::new()
        .route(routes::OPENAPI, get(description))
        .route(
            routes::DOCS,
            get(|| async { Redirect::permanent(routes::DOCS_PAGE) }),
        )
        .route(routes::DOCS_PAGE, get(index))
        .route(routes::DOCS_FILES, get(file))
        .with_state(docs)
}

async fn description(State(docs): State<Docs>) -> Response {
    Json(&*docs.document).into_response()
}

async fn index(State(docs): State<Docs>) -> Response {
    serve("index.html", docs.config)
}

async fn file(State(docs): State<Docs>, Path(path): Path<String>) -> Response {
    serve(&path, docs.config)
}

/// Serves a file that is embedded in the program. M10: nothing is read from disk.
fn serve(path: &str, config: Arc<Config<'static>>) -> Response {
    let Ok(Some(file)) = utoipa_swagger_ui::serve(path, config) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Ok(content_type) = HeaderValue::try_from(file.content_type) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (CONTENT_TYPE, content_type),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, file.bytes.into_owned()).into_response()
}
