//! Every request gets an answer, in time.

use std::{panic::AssertUnwindSafe, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use futures_util::FutureExt;
use http::{
    header::{ACCEPT, CONTENT_TYPE},
    request::Parts,
};
use stockade_core::RequestContext;
use tokio::time::{self, Instant};

use crate::api::refusals;

/// When the answer must have ended. Its head is held to it here; a handler that streams
/// holds its body to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    pub(crate) fn instant(self) -> Instant {
        self.0
    }
}

/// Refuses for the handler where it panics, and where its deadline passes.
pub(super) async fn always_answer(
    State(timeout): State<Duration>,
    mut request: Request,
    next: Next,
) -> Response {
    let deadline = Deadline(Instant::now() + timeout);
    request.extensions_mut().insert(deadline);
    let head = addressee(&request);
    // Whatever the handler left half-done is dropped with it.
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    match time::timeout_at(deadline.0, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => refusals::respond(&refusals::broken("a handler panicked"), &head),
        Err(_) => refusals::respond(&refusals::too_slow(), &head),
    }
}

/// As much of a request as is needed to refuse it.
fn addressee(request: &Request) -> Parts {
    let (mut head, ()) = http::Request::new(()).into_parts();
    for name in [ACCEPT, CONTENT_TYPE] {
        for value in request.headers().get_all(&name) {
            head.headers.append(&name, value.clone());
        }
    }
    if let Some(context) = RequestContext::of(request.extensions()) {
        head.extensions.insert(context.clone());
    }
    head
}
