//! Sends a completion as one object.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use http::{HeaderName, HeaderValue, header::CONTENT_TYPE};
use stockade_core::refusal::Refusal;

use super::ResponseReport;
use crate::{
    backend::{BackendError, Generation, UsageMeter},
    chat::{Completion, FinishReason},
    dialect::ResponseWriter,
    fence::{Deadline, DeadlinePassed},
};

/// Set if the completion was cut by the timeout of the server.
const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-stockade-timeout");

/// Collects the completion.
///
/// If the response times out, the completion has what the model has generated so far, and ends
/// like one that is too long: SDKs repeat requests that fail, and with them the work.
///
/// # Errors
/// Returns a refusal if the model fails, the response times out before the model has generated
/// anything, or the server is stopping: an incomplete completion is not sent.
pub(super) async fn respond(
    generation: Generation,
    mut writer: Box<dyn ResponseWriter>,
    deadline: &Deadline,
    (mut report, meter): (ResponseReport, &UsageMeter),
) -> Result<Response, Refusal> {
    let (completion, is_cut) = collect(generation, deadline, meter).await?;
    for choice in &completion.choices {
        // As the response is written.
        report.add(choice.finish.as_ref().unwrap_or(&FinishReason::Stop));
    }
    report.send();
    let json = HeaderValue::from_static("application/json");
    let body = Body::from(writer.object(&completion));
    let mut response = ([(CONTENT_TYPE, json)], body).into_response();
    if is_cut {
        let headers = response.headers_mut();
        headers.insert(TIMEOUT_HEADER, HeaderValue::from_static("1"));
    }
    Ok(response)
}

/// The completion, and whether the timeout has cut it.
async fn collect(
    mut generation: Generation,
    deadline: &Deadline,
    meter: &UsageMeter,
) -> Result<(Completion, bool), Refusal> {
    let mut completion = Completion::default();
    // Nothing is delivered if the model fails, so nothing is charged.
    let failed = |error: BackendError| {
        meter.fail(0);
        Refusal::from(error)
    };
    while completion.usage.is_none() {
        let event = tokio::select! {
            biased;
            event = generation.next() => event,
            passed = deadline.passed() => {
                drop(generation);
                return match passed {
                    DeadlinePassed::Timeout if !completion.is_empty() => {
                        Ok((cut(completion, meter), true))
                    }
                    passed => Err(passed.refusal()),
                };
            }
        };
        let event = event.ok_or(BackendError::Engine).flatten();
        completion.push(event.map_err(failed)?);
    }
    match completion.usage {
        Some(usage) if !completion.choices.is_empty() => meter.report(usage),
        _ => return Err(failed(BackendError::Engine)),
    }
    Ok((completion, false))
}

/// Ends the choices that have not ended.
fn cut(mut completion: Completion, meter: &UsageMeter) -> Completion {
    for choice in &mut completion.choices {
        choice.finish.get_or_insert(FinishReason::Length);
    }
    completion.usage = Some(meter.usage());
    completion
}
