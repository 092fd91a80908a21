//! Drains request bodies that the handler did not read.
//!
//! An HTTP/2 stream is reset if its response ends before its request (RFC 9113, 8.1). Clients
//! that are still sending then lose the response: curl 7.88 loses one refusal in twelve. A
//! response therefore ends only after the rest of a small body has arrived, or after
//! [`DRAIN_TIMEOUT`].
//!
//! An HTTP/1.1 connection is closed if a body is left unread, and clients lose the next request if
//! the response does not announce it (RFC 9112, 9.6). Clients that send head and body separately
//! are common: Python's `http.client` does. A response therefore starts only after the rest of a
//! small body has arrived, or has `Connection: close`.
//!
//! Large bodies are not read.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, header::EXPECT};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{self, Sleep};

/// The maximum number of unread body bytes to read.
const MAX_DRAINED: u64 = 64 * 1024;
/// The maximum time to spend on that.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// A request body that returns to its connection if the handler drops it unread.
#[derive(Debug)]
pub(super) struct TrackedBody<B = Incoming> {
    body: Option<B>,
    /// `None` if the body is not drained.
    slot: Option<Arc<Mutex<Slot<B>>>>,
}

/// The connection's handle to what is left of a request body.
#[derive(Debug)]
pub(super) struct UnreadBody<B = Incoming> {
    slot: Arc<Mutex<Slot<B>>>,
    /// Whether the client waits for `100 Continue` before it sends the body.
    expects_continue: bool,
}

#[derive(Debug)]
enum Slot<B> {
    /// The handler owns the body.
    InUse,
    /// The handler dropped the body before its end.
    Unread(B),
    /// The body was read to its end or is being drained.
    Done,
}

/// Wraps the body of a request for its handler.
///
/// A slot is allocated only for requests that have a body.
pub(super) fn track<B>(request: Request<B>) -> (Request<TrackedBody<B>>, Option<UnreadBody<B>>)
where
    B: Body,
{
    let has_body = !request.body().is_end_stream();
    let slot = has_body.then(|| Arc::new(Mutex::new(Slot::InUse)));
    let unread = slot.clone().map(|slot| UnreadBody {
        slot,
        expects_continue: request.headers().contains_key(EXPECT),
    });
    let request = request.map(|body| TrackedBody {
        body: Some(body),
        slot,
    });
    (request, unread)
}

fn lock<B>(slot: &Mutex<Slot<B>>) -> MutexGuard<'_, Slot<B>> {
    // No code panics while the lock is held.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<B> Body for TrackedBody<B>
where
    B: Body + Unpin,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            // The body has ended.
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let empty = || SizeHint::with_exact(0);
        self.body.as_ref().map_or_else(empty, Body::size_hint)
    }
}

impl<B> Drop for TrackedBody<B> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            let state = self.body.take().map_or(Slot::Done, Slot::Unread);
            *lock(&slot) = state;
        }
    }
}

impl<B> UnreadBody<B>
where
    B: Body,
{
    /// Whether there is nothing to drain, as far as is known.
    pub(super) fn is_empty(&self) -> bool {
        match &*lock(&self.slot) {
            Slot::InUse => false,
            Slot::Unread(body) => !self.should_drain(body),
            Slot::Done => true,
        }
    }

    /// Starts to drain the body, once the response is complete.
    pub(super) fn drain(self) -> Option<Drain<B>> {
        match std::mem::replace(&mut *lock(&self.slot), Slot::Done) {
            Slot::Unread(body) if self.should_drain(&body) => Some(Drain::new(body)),
            // Too large, still in use, or already read.
            Slot::Unread(_) | Slot::InUse | Slot::Done => None,
        }
    }

    /// A client that waits for `100 Continue` sends nothing after a refusal.
    fn should_drain(&self, body: &B) -> bool {
        !self.expects_continue && !body.is_end_stream() && body.size_hint().lower() <= MAX_DRAINED
    }
}

impl<B> UnreadBody<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// Drains the body before its response starts. Returns whether there is an unread rest.
    pub(super) async fn drain_first(self) -> bool {
        let body = match std::mem::replace(&mut *lock(&self.slot), Slot::Done) {
            Slot::Unread(body) if !body.is_end_stream() => body,
            Slot::Unread(_) | Slot::InUse | Slot::Done => return false,
        };
        // Chunks may never end, and the client would wait for its response.
        let is_small = body.size_hint().exact().is_some() && self.should_drain(&body);
        if !is_small {
            return true;
        }
        let mut drain = Drain::new(body);
        !poll_fn(|cx| drain.poll(cx)).await
    }
}

/// Reads and discards the rest of a body.
#[derive(Debug)]
pub(super) struct Drain<B = Incoming> {
    body: B,
    received: u64,
    timeout: Pin<Box<Sleep>>,
}

impl<B> Drain<B> {
    fn new(body: B) -> Self {
        Self {
            body,
            received: 0,
            timeout: Box::pin(time::sleep(DRAIN_TIMEOUT)),
        }
    }
}

impl<B> Drain<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// Resolves when the body has ended (`true`), exceeds the limit, has timed out, or when the
    /// client has disconnected.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        while self.received <= MAX_DRAINED {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let length = frame.data_ref().map_or(0, Bytes::len);
                    self.received = self.received.saturating_add(length as u64);
                }
                Poll::Ready(None) => return Poll::Ready(true),
                Poll::Ready(Some(Err(_))) => return Poll::Ready(false),
                Poll::Pending => return self.timeout.as_mut().poll(cx).map(|()| false),
            }
        }
        Poll::Ready(false)
    }
}
