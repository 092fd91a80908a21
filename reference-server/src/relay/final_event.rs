//! The event that ends a stream with an error.

use axum::response::Response;
use bytes::Bytes;
use serde_json::json;
use stockade::FinalEvent;
use stockade_core::refusal::{Refusal, anthropic_error, openai_error};

use super::RelayApi;

/// Writes the event in the form of the API.
pub(super) fn write(api: RelayApi, refusal: &Refusal) -> Bytes {
    match api {
        RelayApi::Messages => {
            let data = anthropic_error(refusal, None);
            format!("event: error\ndata: {data}\n\n").into()
        }
        RelayApi::Responses => of_responses(refusal),
        _ => format!("data: {}\n\n", openai_error(refusal)).into(),
    }
}

/// Declares the event to the fence, which ends the stream of a client that loses access. It knows
/// those of the other APIs.
pub(crate) fn declare(api: RelayApi, response: &mut Response) {
    if api == RelayApi::Responses {
        response
            .extensions_mut()
            .insert(FinalEvent::new(of_responses));
    }
}

fn of_responses(refusal: &Refusal) -> Bytes {
    let data = json!({
        "type": "error",
        "code": refusal.code(),
        "message": refusal.message(),
        "param": refusal.param(),
    });
    format!("event: error\ndata: {data}\n\n").into()
}
