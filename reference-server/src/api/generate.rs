//! The routes that generate text, in all dialects.
//!
//! 1. The body is read. If the model has upstreams with the API of the request, it is relayed.
//! 2. Otherwise it is validated; images are not decoded yet. The backend's phase is checked.
//! 3. The backend starts the generation. Up to here, every failure has its own status.
//! 4. The completion is sent as one object or as a stream. If the client disconnects, the handler
//!    or the stream is dropped, and with it the [`Generation`](crate::backend::Generation).

mod buffered;
mod image_headers;
mod response_report;
mod stream;

use std::{sync::Arc, time::SystemTime};

use axum::{
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use futures_util::FutureExt;
use http::request::Parts;
use stockade_core::{
    context::RequestContext,
    refusal::{Refusal, RefusalKind},
};

use super::{Api, models, relay, unix_seconds};
use crate::{
    backend::{Backend, BackendError, Generation, Phase, UsageMeter},
    chat::{ChatRequest, Usage},
    dialect::{Dialect, DialectRequest, IGNORED_HEADER, ReadContext, ResponseHead},
    fence::Deadline,
    models::Model,
    relay::{declare_final_event, trace_headers},
};
use response_report::ResponseReport;

/// `POST /v1/chat/completions`.
pub(super) async fn chat(State(api): State<Arc<Api>>, request: Request) -> Response {
    handle(Dialect::Chat, &api, request).await
}

/// `POST /v1/completions`.
pub(super) async fn completions(State(api): State<Arc<Api>>, request: Request) -> Response {
    handle(Dialect::Completions, &api, request).await
}

/// `POST /v1/responses`.
pub(super) async fn responses(State(api): State<Arc<Api>>, request: Request) -> Response {
    handle(Dialect::Responses, &api, request).await
}

/// Handles a request of a dialect.
pub(super) async fn handle(dialect: Dialect, api: &Api, request: Request) -> Response {
    relay::serve(
        api,
        request,
        dialect.relay_api(),
        |api, head, bytes, model| generate(dialect, api, head, bytes, model).boxed(),
    )
    .await
}

/// Generates the response in this process, or translates the request for an upstream.
async fn generate(
    dialect: Dialect,
    api: &Api,
    head: &Parts,
    bytes: &Bytes,
    model: &Model,
) -> Result<Response, Refusal> {
    let (context, deadline) = relay::request_state(head)?;
    // Starts at zero. However the request ends, the charge is what the meter reports.
    let meter = UsageMeter::start(context);
    let mut request = read(dialect, api, bytes.clone(), context, model).await?;
    request.chat.trace_headers = trace_headers(&head.headers);
    let ignored = request.unknown.header();
    let started = start(&*model.backend, request.chat, &meter, deadline).await?;
    let generation = started.map_err(|error| refusal(dialect, api, error))?;
    let (images, generation) = image_headers::peek(generation);
    let report = ResponseReport::new(context, dialect, model);
    let mut response = if request.is_stream {
        let mut response = stream::respond(
            generation,
            request.writer,
            deadline.clone(),
            (report, meter),
        );
        declare_final_event(dialect.relay_api(), &mut response);
        response
    } else {
        buffered::respond(generation, request.writer, deadline, (report, &meter)).await?
    };
    if let Some(images) = images {
        image_headers::insert(&images, response.headers_mut());
    }
    if let Some(names) = ignored {
        response.headers_mut().insert(IGNORED_HEADER, names);
    }
    Ok(response)
}

/// Refuses requests while the model is not ready.
pub(super) fn check_phase(backend: &dyn Backend) -> Result<(), BackendError> {
    match backend.status().phase {
        Phase::Ready => Ok(()),
        Phase::Loading(_) => Err(BackendError::Loading),
        Phase::Failed(_) => Err(BackendError::Failed),
        Phase::Unloaded => Err(BackendError::Unloaded),
    }
}

/// The refusal for an error of a model, with the names of the dialect, and of models that support
/// what it does not.
pub(super) fn refusal(dialect: Dialect, api: &Api, error: BackendError) -> Refusal {
    match error {
        BackendError::Unsupported { param } => {
            let able = || {
                let supports = |model: &&Model| model.backend.supports(&param);
                api.models.iter().filter(supports)
            };
            let able = able().next().map(|_| models::names(able()));
            let hint = able.map_or(String::new(), |names| format!(": use {names}"));
            let param = dialect.param(param);
            let text = format!("this model does not support `{param}`{hint}");
            Refusal::new(RefusalKind::Invalid, text)
                .with_param(param)
                .with_code("UNSUPPORTED_PARAMETER")
        }
        BackendError::UnsupportedApi => relay::unsupported_api(api, dialect.relay_api()),
        BackendError::Invalid { param, message } => BackendError::Invalid {
            param: dialect.param(param),
            message,
        }
        .into(),
        error => error.into(),
    }
}

/// Starts the generation before the deadline.
///
/// # Errors
/// Returns a refusal if the deadline passes.
async fn start(
    backend: &dyn Backend,
    chat: ChatRequest,
    meter: &UsageMeter,
    deadline: &Deadline,
) -> Result<Result<Generation, BackendError>, Refusal> {
    tokio::select! {
        biased;
        started = backend.chat(chat, meter.clone()) => {
            // Another model may still answer, so the meter is only reset.
            Ok(started.inspect_err(|_| meter.report(Usage::default())))
        }
        passed = deadline.passed() => Err(passed.refusal()),
    }
}

/// Reads a request for this model, which must be ready.
pub(super) async fn read(
    dialect: Dialect,
    api: &Api,
    bytes: Bytes,
    context: &RequestContext,
    model: &Model,
) -> Result<DialectRequest, Refusal> {
    let head = ResponseHead {
        request_id: context.id().to_string(),
        created: unix_seconds(SystemTime::now()),
    };
    let mut request = parse(dialect, api, bytes, head).await?;
    relay::check_name(context, &request.model)?;
    check_phase(&*model.backend)?;
    request.retain_extensions(|name| model.backend.accepts_extension(name));
    if model.backend.images().is_some() {
        request.read_image_pixels()?;
    }
    Ok(request)
}

async fn parse(
    dialect: Dialect,
    api: &Api,
    bytes: Bytes,
    head: ResponseHead,
) -> Result<DialectRequest, Refusal> {
    let size = bytes.len();
    let (models, unknown_fields) = (api.models.clone(), api.limits.unknown_fields);
    let parse = move || {
        let limits = |name: &str| match models.get(name) {
            Some(model) => Ok(model.limits),
            None => Err(models::model_not_found(&models)),
        };
        let context = ReadContext {
            limits: &limits,
            unknown_fields,
            head,
        };
        dialect.read(&bytes, context)
    };
    api.compute(size, parse).await
}
