//! `POST /v1/embeddings`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderValue, header::CONTENT_TYPE, request::Parts};
use stockade_core::refusal::Refusal;

use super::{Api, generate, relay};
use crate::{
    backend::{BackendError, RelayApi, UsageMeter},
    chat::Usage,
    dialect::{IGNORED_HEADER, embeddings as dialect},
    models::Model,
};

pub(super) async fn embeddings(State(api): State<Arc<Api>>, request: Request) -> Response {
    relay::serve(
        &api,
        request,
        RelayApi::Embeddings,
        |api, head, bytes, model| embed_here(api, head, bytes, model).boxed(),
    )
    .await
}

/// Embeds the texts in this process.
async fn embed_here(
    api: &Api,
    head: &Parts,
    bytes: &Bytes,
    model: &Model,
) -> Result<Response, Refusal> {
    let (context, deadline) = relay::request_state(head)?;
    // Starts at zero. However the request ends, the charge is what the meter reports.
    let meter = UsageMeter::start(context);
    let (body, unknown_fields) = (bytes.clone(), api.limits.unknown_fields);
    let read = move || dialect::read(&body, unknown_fields);
    let read = api.compute(bytes.len(), read).await?;
    relay::check_name(context, &read.model)?;
    generate::check_phase(&*model.backend)?;

    let embedded = tokio::select! {
        biased;
        embedded = model.backend.embed(read.request, meter.clone()) => embedded,
        passed = deadline.passed() => return Err(passed.refusal()),
    };
    let embeddings = embedded.map_err(|error| {
        // Nothing is delivered, and another model may still answer.
        meter.report(Usage::default());
        match error {
            BackendError::UnsupportedApi => relay::unsupported_api(api, RelayApi::Embeddings),
            error => error.into(),
        }
    })?;
    meter.report(Usage::new(embeddings.prompt_tokens, 0));

    let numbers = embeddings.vectors.iter().map(Vec::len).sum::<usize>();
    let write = move || Ok(dialect::write(&embeddings, &read.model, read.format));
    let body = api.compute(numbers * size_of::<f32>(), write).await?;
    let json = HeaderValue::from_static("application/json");
    let mut response = ([(CONTENT_TYPE, json)], body).into_response();
    if let Some(names) = read.unknown.header() {
        response.headers_mut().insert(IGNORED_HEADER, names);
    }
    Ok(response)
}
