//! What a client still sends of a body that its request's handler did not read.
//!
//! An HTTP/2 stream that is answered before its request has ended is reset (RFC 9113, 8.1).
//! Clients that are still sending then lose the answer: curl 7.88 does so for one refusal in
//! twelve. So an answer ends only when the rest of a small body has arrived, or after
//! [`DRAIN_TIMEOUT`]. A large body is never read.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Version, header::EXPECT};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{self, Sleep};

/// The most that is read of a body after the answer to its request.
const MAX_DRAINED: u64 = 64 * 1024;
/// The longest time for that.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// A request's body, which goes back to its connection when the handler drops it unread.
#[derive(Debug)]
pub(super) struct TrackedBody<B = Incoming> {
    body: Option<B>,
    /// `None` where no rest will be read.
    slot: Option<Arc<Mutex<Slot<B>>>>,
}

/// Where the connection finds what is left.
#[derive(Debug)]
pub(super) struct UnreadBody<B = Incoming>(Arc<Mutex<Slot<B>>>);

#[derive(Debug)]
enum Slot<B> {
    /// The handler has it.
    InUse,
    /// It was dropped before its end.
    Unread(B),
    /// It was read to its end, or is too large.
    Done,
}

/// Prepares a request for its handler.
///
/// The slot is allocated only for a request over HTTP/2 that has a body.
pub(super) fn track<B>(request: Request<B>) -> (Request<TrackedBody<B>>, Option<UnreadBody<B>>)
where
    B: Body,
{
    // Over HTTP/1.1 the connection is closed instead. Who waits for `100 Continue` sends
    // nothing after a refusal.
    let is_tracked = request.version() == Version::HTTP_2
        && !request.body().is_end_stream()
        && !request.headers().contains_key(EXPECT);
    let slot = is_tracked.then(|| Arc::new(Mutex::new(Slot::InUse)));
    let shared = slot.clone();
    let request = request.map(|body| TrackedBody {
        body: Some(body),
        slot: shared,
    });
    (request, slot.map(UnreadBody))
}

fn lock<B>(slot: &Mutex<Slot<B>>) -> MutexGuard<'_, Slot<B>> {
    // Nothing panics while it is held.
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
            // Nothing is left of it.
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
    /// Whether there is nothing to read, as far as is known yet.
    pub(super) fn is_empty(&self) -> bool {
        match &*lock(&self.0) {
            Slot::InUse => false,
            Slot::Unread(body) => !should_drain(body),
            Slot::Done => true,
        }
    }

    /// Begins to read it, once the answer is complete.
    pub(super) fn drain(self) -> Option<Drain<B>> {
        match std::mem::replace(&mut *lock(&self.0), Slot::Done) {
            Slot::Unread(body) if should_drain(&body) => Some(Drain {
                body,
                received: 0,
                timeout: Box::pin(time::sleep(DRAIN_TIMEOUT)),
            }),
            // The current owner of the body keeps it.
            Slot::Unread(_) | Slot::InUse | Slot::Done => None,
        }
    }
}

fn should_drain<B>(body: &B) -> bool
where
    B: Body,
{
    !body.is_end_stream() && body.size_hint().lower() <= MAX_DRAINED
}

/// The rest of a body on its way to nowhere.
#[derive(Debug)]
pub(super) struct Drain<B = Incoming> {
    body: B,
    received: u64,
    timeout: Pin<Box<Sleep>>,
}

impl<B> Drain<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// Resolves when it has ended, is too large, or has taken too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.received <= MAX_DRAINED {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let length = frame.data_ref().map_or(0, Bytes::len);
                    self.received = self.received.saturating_add(length as u64);
                }
                // The end, or a client that has left.
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => return self.timeout.as_mut().poll(cx),
            }
        }
        Poll::Ready(())
    }
}
