//! Relays a response that is a stream of server-sent events.

use std::{
    convert::Infallible,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderValue, header::CONTENT_TYPE};
use http_body::Frame;
use stockade_core::{context::RequestContext, llm::TokenUsage, refusal::Refusal};

use super::{
    RelayApi,
    error::{invalid_response, upstream_refusal},
    final_event, headers,
    sse_scanner::SseScanner,
};
use crate::{
    api::{X_ACCEL_BUFFERING, refusals},
    upstream::{UpstreamBody, UpstreamResponse},
};

/// What the relay of a stream needs to know about its request.
pub(super) struct StreamRequest {
    pub(super) api: RelayApi,
    pub(super) context: RequestContext,
    pub(super) prompt_estimate: u64,
    /// Whether the usage event is removed, because the client did not ask for it.
    pub(super) removes_usage: bool,
    /// Resolves if the stream must end.
    pub(super) cut: BoxFuture<'static, Refusal>,
}

/// Passes the events on as they arrive. Dropping the response cancels the exchange.
///
/// # Errors
/// Returns a refusal if the response is no stream.
pub(super) fn respond(
    response: UpstreamResponse,
    request: StreamRequest,
) -> Result<Response, Refusal> {
    if !headers::has_type(&response.headers, "text/event-stream") {
        return Err(invalid_response());
    }
    let api = request.api;
    let stream = RelayStream {
        upstream: Some(response.body),
        scanner: SseScanner::new(request.removes_usage),
        request,
        last: None,
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (X_ACCEL_BUFFERING, HeaderValue::from_static("no")),
    ];
    let mut response = (headers, Body::new(stream)).into_response();
    final_event::declare(api, &mut response);
    Ok(response)
}

struct RelayStream {
    /// `None` after the end.
    upstream: Option<UpstreamBody>,
    scanner: SseScanner,
    request: StreamRequest,
    /// The error event after the last bytes of the upstream.
    last: Option<Bytes>,
}

impl RelayStream {
    fn report(&mut self) {
        let context = &self.request.context;
        if self.scanner.is_complete {
            // The first one stays.
            context.set_model_response(mem::take(&mut self.scanner.response));
        }
        match self.scanner.usage.complete() {
            Some(usage) if self.scanner.is_complete => context.set_usage(usage),
            // A token is usually an event.
            _ => context.set_estimated_usage(self.scanner.usage.or_estimate(TokenUsage {
                prompt_tokens: self.request.prompt_estimate,
                completion_tokens: self.scanner.events,
            })),
        }
    }

    /// Ends the stream with an error event and without its usual end, so that clients see that it
    /// is incomplete.
    fn fail(&mut self, refusal: &Refusal) {
        self.upstream = None;
        refusals::record(refusal, &self.request.context);
        self.last = Some(final_event::write(self.request.api, refusal));
    }

    fn end(&mut self) {
        self.upstream = None;
        if self.scanner.has_error {
            // The client has received the upstream's own error.
            refusals::record(&invalid_response(), &self.request.context);
        } else if !self.scanner.is_complete || self.scanner.has_partial_event() {
            self.fail(&invalid_response());
        }
    }
}

impl http_body::Body for RelayStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        loop {
            let Some(upstream) = &mut this.upstream else {
                return Poll::Ready(this.last.take().map(|last| Ok(Frame::data(last))));
            };
            let Poll::Ready(frame) = Pin::new(upstream).poll_frame(cx) else {
                // Only now: each look at a timer costs, and the body checks the deadline of a
                // stream that never pauses.
                let refusal = ready!(this.request.cut.as_mut().poll(cx));
                this.fail(&refusal);
                continue;
            };
            match frame {
                Some(Ok(frame)) => {
                    // Trailers of an upstream are not passed on.
                    let Ok(piece) = frame.into_data() else {
                        continue;
                    };
                    match this.scanner.push(piece) {
                        Ok(bytes) => {
                            this.report();
                            if !bytes.is_empty() {
                                return Poll::Ready(Some(Ok(Frame::data(bytes))));
                            }
                        }
                        Err(_) => this.fail(&invalid_response()),
                    }
                }
                Some(Err(error)) => this.fail(&upstream_refusal(&error)),
                None => this.end(),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.upstream.is_none() && self.last.is_none()
    }
}
