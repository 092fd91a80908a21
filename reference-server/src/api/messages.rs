//! `POST /v1/messages` and `POST /v1/messages/count_tokens`: Anthropic's API.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, request::Parts};
use serde::Serialize;
use stockade_core::refusal::{Refusal, RefusalKind};

use super::{Api, generate, refusals, relay};
use crate::{
    backend::UsageMeter,
    dialect::{Dialect, IGNORED_HEADER},
    models::Model,
};

/// The version of the API, which Anthropic's SDKs send. Other clients need not.
pub(crate) const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// The dialect of a count.
const DIALECT: Dialect = Dialect::CountTokens;

/// The first version. Later ones extend it: the current SDKs send a version of 2026.
const FIRST_VERSION: &[u8] = b"2023-01-01";

/// `POST /v1/messages`.
pub(super) async fn create(State(api): State<Arc<Api>>, request: Request) -> Response {
    if let Err(refusal) = check_version(request.headers()) {
        return refusals::respond(&refusal, &request.into_parts().0);
    }
    generate::handle(Dialect::Messages, &api, request).await
}

/// `POST /v1/messages/count_tokens`.
pub(super) async fn count_tokens(State(api): State<Arc<Api>>, request: Request) -> Response {
    if let Err(refusal) = check_version(request.headers()) {
        return refusals::respond(&refusal, &request.into_parts().0);
    }
    relay::serve(
        &api,
        request,
        DIALECT.relay_api(),
        |api, head, bytes, model| count_here(api, head, bytes, model).boxed(),
    )
    .await
}

#[derive(Serialize)]
struct TokenCount {
    input_tokens: usize,
}

/// Counts the tokens in this process, or by a translation for an upstream.
async fn count_here(
    api: &Api,
    head: &Parts,
    bytes: &Bytes,
    model: &Model,
) -> Result<Response, Refusal> {
    let (context, deadline) = relay::request_state(head)?;
    // The model generates nothing, so nothing is charged.
    UsageMeter::start(context);
    let request = generate::read(DIALECT, api, bytes.clone(), context, model).await?;
    let ignored = request.unknown.header();
    let input_tokens = tokio::select! {
        biased;
        counted = model.backend.count_tokens(request.chat) => {
            counted.map_err(|error| generate::refusal(DIALECT, api, error))?
        }
        passed = deadline.passed() => return Err(passed.refusal()),
    };
    let mut response = Json(TokenCount { input_tokens }).into_response();
    if let Some(names) = ignored {
        response.headers_mut().insert(IGNORED_HEADER, names);
    }
    Ok(response)
}

fn check_version(headers: &HeaderMap) -> Result<(), Refusal> {
    let is_known =
        |value: &HeaderValue| is_date(value.as_bytes()) && value.as_bytes() >= FIRST_VERSION;
    if headers.get_all(ANTHROPIC_VERSION).iter().all(is_known) {
        return Ok(());
    }
    let text = "`anthropic-version`: it must be a date such as 2023-06-01";
    Err(Refusal::new(RefusalKind::Invalid, text).with_param("anthropic-version"))
}

/// Whether this has the form `YYYY-MM-DD`.
fn is_date(value: &[u8]) -> bool {
    let has_form = |(index, byte): (usize, &u8)| match index {
        4 | 7 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    value.len() == FIRST_VERSION.len() && value.iter().enumerate().all(has_form)
}
