//! Relays a request to the upstreams of its model, if they have the API of the request.

use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use stockade_core::{
    context::RequestContext,
    refusal::{Refusal, RefusalKind},
};

use super::{Api, models, refusals};
use crate::{
    config::UnknownFields,
    fence::Deadline,
    models::Model,
    relay::{RelayApi, RelayRequest, RequestScan},
};

/// Larger bodies are scanned off the async threads, in bytes.
const INLINE_SCAN_LIMIT: usize = 64 * 1024;

/// Relays a request, if the upstreams of its model have this API; `None` if they do not, or the
/// model runs in this process.
///
/// # Errors
/// Returns a refusal if the model is not served, the request is invalid, or the relay fails.
pub(super) async fn try_relay(
    api: &Api,
    head: &Parts,
    body: &Bytes,
    relay_api: RelayApi,
) -> Result<Option<Response>, Refusal> {
    let (context, deadline) = request_state(head)?;
    // The guard of the body has read the name.
    let request = context.model_request();
    let Some(name) = request.and_then(|request| request.model.as_deref()) else {
        return Ok(None);
    };
    let model = api.models.get(name);
    let model = model.ok_or_else(|| models::model_not_found(&api.models))?;
    let Some(group) = model.backend.relay(relay_api) else {
        return Ok(None);
    };
    check_max_tokens(context, model)?;
    let scan = scan(api, body, relay_api).await?;
    if scan.model != name {
        return Err(refusals::internal("the fence has read another model name"));
    }
    let request = RelayRequest {
        api: relay_api,
        headers: &head.headers,
        context,
        deadline,
        body: body.clone(),
        scan,
    };
    request.send(group).await.map(Some)
}

/// The request context and the deadline, which layers of the server have set.
pub(super) fn request_state(head: &Parts) -> Result<(&RequestContext, &Deadline), Refusal> {
    let context = RequestContext::of(&head.extensions)
        .ok_or_else(|| refusals::internal("no request context in this handler"))?;
    let deadline = head.extensions.get::<Deadline>();
    let deadline =
        deadline.ok_or_else(|| refusals::internal("no deadline layer wraps this handler"))?;
    Ok((context, deadline))
}

// B07
fn check_max_tokens(context: &RequestContext, model: &Model) -> Result<(), Refusal> {
    let asked = context
        .model_request()
        .and_then(|request| request.max_tokens);
    let limit = model.limits.max_tokens;
    match asked {
        Some(asked) if usize::try_from(asked).map_or(true, |asked| asked > limit) => {
            let text = format!("`max_tokens`: it must be from 1 to {limit}");
            Err(Refusal::new(RefusalKind::Invalid, text)
                .with_code("VALUE_OUT_OF_RANGE")
                .with_param("max_tokens"))
        }
        _ => Ok(()),
    }
}

async fn scan(api: &Api, body: &Bytes, relay_api: RelayApi) -> Result<RequestScan, Refusal> {
    let is_strict = api.limits.unknown_fields == UnknownFields::Refuse;
    if body.len() <= INLINE_SCAN_LIMIT {
        return RequestScan::new(body, relay_api, is_strict);
    }
    let body = body.clone();
    let job = api
        .parse_pool
        .run(move || RequestScan::new(&body, relay_api, is_strict));
    let scanned = job.await;
    scanned.unwrap_or_else(|| Err(refusals::internal("scanning the body panicked")))
}
