//! Relays a request to the upstreams of its model, if they have the API of the request.

use std::{future, sync::Arc};

use axum::{
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderName, HeaderValue, request::Parts};
use metrics::counter;
use stockade_core::{
    context::RequestContext,
    refusal::{Refusal, RefusalKind},
};

use super::{Api, body as request_body, models, refusals};
use crate::{
    config::UnknownFields,
    fence::Deadline,
    models::Model,
    relay::{RelayApi, RelayRequest, RequestScan},
    upstream::UpstreamGroup,
};

/// The response header with the name of the model that has answered in place of the requested one.
const FALLBACK_HEADER: HeaderName = HeaderName::from_static("x-stockade-fallback");

/// Reads a request, and relays it or serves it `here`, see [`relay_or`].
pub(super) async fn serve<F>(api: &Api, request: Request, relay_api: RelayApi, here: F) -> Response
where
    F: for<'a> Fn(
        &'a Api,
        &'a Parts,
        &'a Bytes,
        &'a Model,
    ) -> BoxFuture<'a, Result<Response, Refusal>>,
{
    let (head, body) = request.into_parts();
    let served = async {
        let bytes = request_body::read(&head, body, api.limits.body_timeout).await?;
        let here = |model| here(api, &head, &bytes, model);
        relay_or(api, &head, &bytes, relay_api, here).await
    };
    let served: Result<Response, Refusal> = served.await;
    served.unwrap_or_else(|refusal| refusals::respond(&refusal, &head))
}

/// Relays a request to the upstreams of its model, or serves it `here` if they do not have this
/// API or the model runs in this process. If the model is unavailable, its fallbacks are tried.
///
/// # Errors
/// Returns a refusal if the model is not served, the request is invalid, or no model has answered.
async fn relay_or<'a, F>(
    api: &'a Api,
    head: &'a Parts,
    body: &'a Bytes,
    relay_api: RelayApi,
    here: F,
) -> Result<Response, Refusal>
where
    F: Fn(&'a Model) -> BoxFuture<'a, Result<Response, Refusal>>,
{
    let (context, _) = request_state(head)?;
    // The guard of the body has read the name, unless the routes of the configuration have none.
    let request = context.model_request();
    let name = match request.and_then(|request| request.model.as_deref()) {
        Some(name) => name.to_owned(),
        None => RequestScan::new(body, relay_api, false)?.model,
    };
    let model = api.models.get(&name);
    let model = model.ok_or_else(|| models::model_not_found(&api.models))?;
    let mut fallbacks = model
        .fallbacks
        .iter()
        .filter_map(|name| api.models.get(name));
    let mut candidate = model;
    loop {
        let result = match candidate.backend.relay(relay_api) {
            Some(group) => relay(api, head, body, relay_api, candidate, group).await,
            None => here(candidate).await,
        };
        let refusal = match result {
            Ok(response) => return Ok(name_fallback(response, model, candidate)),
            Err(refusal) => refusal,
        };
        let next = fallbacks.next().filter(|_| may_fall_back(&refusal));
        candidate = next.ok_or(refusal)?;
        counter!(
            FALLBACKS,
            "model" => model.name.clone(),
            "fallback" => candidate.name.clone()
        )
        .increment(1);
    }
}

/// The counter of attempts with another model.
pub(crate) const FALLBACKS: &str = "stockade_model_fallbacks_total";

/// Whether another model may answer: this one has not begun to.
fn may_fall_back(refusal: &Refusal) -> bool {
    matches!(
        refusal.code(),
        "MODEL_FAILED"
            | "MODEL_LOADING"
            | "MODEL_STUCK"
            | "MODEL_UNLOADED"
            | "QUEUE_FULL"
            | "QUEUE_TIMEOUT"
            | "UPSTREAM_BUSY"
            | "UPSTREAM_FAILED"
            | "UPSTREAM_TIMEOUT"
            | "UPSTREAM_UNAVAILABLE"
            | "UPSTREAM_UNREACHABLE"
    )
}

fn name_fallback(mut response: Response, model: &Model, answered: &Model) -> Response {
    // A name with other characters than a header may have is not shown.
    if model.name != answered.name
        && let Ok(name) = HeaderValue::try_from(&answered.name)
    {
        response.headers_mut().insert(FALLBACK_HEADER, name);
    }
    response
}

async fn relay(
    api: &Api,
    head: &Parts,
    body: &Bytes,
    relay_api: RelayApi,
    model: &Model,
    group: &UpstreamGroup,
) -> Result<Response, Refusal> {
    let (context, deadline) = request_state(head)?;
    check_max_tokens(context, model)?;
    let is_strict = api.limits.unknown_fields == UnknownFields::Refuse;
    let scanned = body.clone();
    let scan = move || RequestScan::new(&scanned, relay_api, is_strict);
    let scan = api.compute(body.len(), scan).await?;
    check_name(context, &scan.model)?;
    let request = RelayRequest {
        api: relay_api,
        headers: &head.headers,
        context,
        deadline,
        body: body.clone(),
        scan,
    };
    request.send(group).await
}

/// The refusal of a request whose model does not have the API.
pub(super) fn unsupported_api(api: &Api, relay_api: RelayApi) -> Refusal {
    let able = || {
        let has_api = |model: &&Model| model.backend.has_api(relay_api);
        api.models.iter().filter(has_api)
    };
    let others = match able().next() {
        None => "no model of this server does".to_owned(),
        Some(_) => format!("use {}", models::names(able())),
    };
    let text = format!("this model does not support {}: {others}", relay_api.path());
    Refusal::new(RefusalKind::Invalid, text)
        .with_code("UNSUPPORTED_PARAMETER")
        .with_param("model")
}

/// `POST /v1/rerank`.
pub(super) async fn rerank(State(api): State<Arc<Api>>, request: Request) -> Response {
    // Only upstreams have it.
    serve(&api, request, RelayApi::Rerank, |api, _, _, _| {
        future::ready(Err(unsupported_api(api, RelayApi::Rerank))).boxed()
    })
    .await
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

/// Checks that the fence has validated the model that a handler has read.
pub(super) fn check_name(context: &RequestContext, name: &str) -> Result<(), Refusal> {
    let validated = context
        .model_request()
        .and_then(|request| request.model.as_deref());
    match validated {
        Some(validated) if validated != name => {
            Err(refusals::internal("the fence has read another model name"))
        }
        _ => Ok(()),
    }
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
