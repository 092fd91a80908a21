//! The peer as most users write it: `from_fn` middleware and one `Router::layer`.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use tower_http::limit::RequestBodyLimitLayer;

use super::{
    BODY_LIMIT,
    by_key::ByKey,
    permit::Permitted,
    state::{App, KeyInfo},
    trace::{outer, record_key},
};
use crate::governor;

/// The router behind `from_fn` middleware, added with one `Router::layer`.
pub fn as_written(app: Arc<App>, router: Router) -> Router {
    let layers = outer()
        .layer(from_fn_with_state(Arc::clone(&app), bans))
        .layer(governor::unlimited())
        .layer(from_fn_with_state(Arc::clone(&app), authentication))
        .layer(governor::unlimited_by(ByKey))
        .layer(from_fn_with_state(app, concurrency))
        .layer(RequestBodyLimitLayer::new(BODY_LIMIT));
    router.layer(layers)
}

async fn bans(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if app.is_banned(peer.ip()) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let response = next.run(request).await;
    app.record_offence(peer.ip(), response.status());
    response
}

async fn authentication(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    match app.authenticate(&request) {
        Ok(key) => {
            record_key(&key.id);
            request.extensions_mut().insert(key);
            next.run(request).await
        }
        Err(status) => status.into_response(),
    }
}

async fn concurrency(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Some(key) = request.extensions().get::<Arc<KeyInfo>>() else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    match app.permit(&key.id) {
        Ok(permit) => {
            let response = next.run(request).await;
            response.map(|body| Body::new(Permitted::new(body, permit)))
        }
        Err(status) => status.into_response(),
    }
}
