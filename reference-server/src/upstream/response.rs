//! Responses of upstreams.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    GroupSettings, UpstreamError, UpstreamErrorKind, breaker::Health, classify, exchange::Exchange,
};

/// The response of an upstream, whose body has not been read.
#[derive(Debug)]
pub struct UpstreamResponse {
    /// The status: any but 1xx and 3xx.
    pub status: StatusCode,
    /// The headers, as received.
    pub headers: HeaderMap,
    /// The body.
    pub body: UpstreamBody,
    /// The URL of the upstream, as in metrics and the status.
    pub upstream: Arc<str>,
    /// How often the request was sent; 1 without a retry.
    pub attempts: u32,
}

/// The body of a response. It holds the slot of the request, and ends with an error if the
/// upstream pauses for too long, sends too much, or does not finish before the deadline.
///
/// Dropping it cancels the exchange.
pub struct UpstreamBody {
    open: Option<Open>,
    timer: Pin<Box<Sleep>>,
    deadline: Instant,
    idle_timeout: Duration,
    /// Since when the upstream has been waited for; a client that does not read is no pause.
    idle_since: Option<Instant>,
    received: u64,
    max_bytes: u64,
}

/// Dropped at the end of the body, which frees the slot.
struct Open {
    incoming: Incoming,
    exchange: Exchange,
    outcome: &'static str,
}

impl UpstreamBody {
    pub(super) fn new(
        incoming: Incoming,
        exchange: Exchange,
        status: StatusCode,
        deadline: Instant,
        settings: &GroupSettings,
    ) -> Self {
        let idle = Instant::now() + settings.idle_timeout;
        let complete = incoming.is_end_stream();
        let open = Open {
            incoming,
            exchange,
            outcome: match status.as_u16() {
                ..400 => "ok",
                400..500 => "client_error",
                _ => "server_error",
            },
        };
        let mut body = Self {
            open: Some(open),
            timer: Box::pin(sleep_until(idle.min(deadline))),
            deadline,
            idle_timeout: settings.idle_timeout,
            idle_since: None,
            received: 0,
            max_bytes: settings.max_response_bytes.get(),
        };
        if complete {
            body.end();
        }
        body
    }

    /// Ends the body successfully, which frees the slot.
    fn end(&mut self) {
        if let Some(mut open) = self.open.take() {
            open.exchange.end(open.outcome, Health::Success);
        }
    }

    /// Ends the body with an error, which closes the exchange.
    fn fail(&mut self, error: UpstreamError) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        if let Some(mut open) = self.open.take() {
            open.exchange.fail(&error);
        }
        Poll::Ready(Some(Err(error)))
    }

    /// Waits for the idle timeout or the deadline.
    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<UpstreamErrorKind> {
        let since = *self.idle_since.get_or_insert_with(Instant::now);
        let idle = since + self.idle_timeout;
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            if now >= self.deadline {
                return Poll::Ready(UpstreamErrorKind::Deadline);
            }
            if now >= idle {
                return Poll::Ready(UpstreamErrorKind::IdleTimeout);
            }
            // Set only when it has fired, and not for each chunk.
            self.timer.as_mut().reset(idle.min(self.deadline));
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let this = &mut *self;
        let Some(open) = &mut this.open else {
            return Poll::Ready(None);
        };
        match Pin::new(&mut open.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let complete = open.incoming.is_end_stream();
                this.idle_since = None;
                let length = frame.data_ref().map_or(0, Bytes::len);
                this.received = this.received.saturating_add(length as u64);
                if this.received > this.max_bytes {
                    return this.fail(UpstreamError::new(UpstreamErrorKind::TooLarge));
                }
                // The timer is not asked while there is always another chunk.
                if Instant::now() >= this.deadline {
                    return this.fail(UpstreamError::new(UpstreamErrorKind::Deadline));
                }
                // Callers need not ask for more after the last chunk.
                if complete {
                    this.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                let kind = classify::exchange_error(&error);
                this.fail(UpstreamError::with_source(kind, error))
            }
            Poll::Ready(None) => {
                this.end();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let kind = ready!(this.poll_timeout(cx));
                this.fail(UpstreamError::new(kind))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.open.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let open = self.open.as_ref();
        open.map_or_else(|| SizeHint::with_exact(0), |open| open.incoming.size_hint())
    }
}

impl std::fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamBody")
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}
