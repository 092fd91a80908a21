//! `GET /v1/usage`: what a key has used, for its holder.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{Query, Request, State},
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::request::Parts;
use serde::Deserialize;
use stockade_admin::{AdminStore, OwnUsage};
use stockade_core::{
    context::RequestContext,
    refusal::{Refusal, RefusalKind},
};

use crate::api::{refusals, routes};

const DEFAULT_DAYS: u16 = 30;
const MAX_DAYS: u16 = 366;

/// The route, without the fence.
pub(crate) fn router(store: AdminStore) -> Router {
    Router::new()
        .route(routes::USAGE, get(usage))
        .with_state(store)
}

#[derive(Debug, Deserialize)]
struct Parameters {
    days: Option<u16>,
}

async fn usage(State(store): State<AdminStore>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    match own_usage(&store, &head).await {
        Ok(usage) => Json(usage).into_response(),
        Err(refusal) => refusals::respond(&refusal, &head),
    }
}

async fn own_usage(store: &AdminStore, head: &Parts) -> Result<OwnUsage, Refusal> {
    let parameters = Query::<Parameters>::try_from_uri(&head.uri);
    let days = parameters
        .ok()
        .map(|query| query.days.unwrap_or(DEFAULT_DAYS));
    let Some(days) = days.filter(|days| (1..=MAX_DAYS).contains(days)) else {
        let text = "`days` must be a number from 1 to 366";
        return Err(Refusal::new(RefusalKind::Invalid, text).with_param("days"));
    };
    let context = RequestContext::of(&head.extensions);
    let Some(principal) = context.and_then(RequestContext::principal) else {
        return Err(Refusal::new(
            RefusalKind::Unauthenticated,
            "the usage is that of a key: send one",
        ));
    };
    store.own_usage(principal, days).await.map_err(|error| {
        tracing::error!(%error, "cannot read the usage of a key");
        let text = "the usage is unavailable; try again";
        Refusal::new(RefusalKind::Unavailable, text).retry_after(Duration::from_secs(1))
    })
}
