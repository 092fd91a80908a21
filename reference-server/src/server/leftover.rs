//! What a client still sends of a body that its request's handler did not read.
//!
//! An HTTP/2 stream that is answered before its request has ended is reset (RFC 9113, 8.1).
//! Clients that are still sending then lose the answer: curl 7.88 does so for one refusal in
//! twelve. So an answer ends only when the rest of a small body has arrived, or after
//! [`TIME`]. A large body is never read.

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
const MOST: u64 = 64 * 1024;
/// The longest time for that.
const TIME: Duration = Duration::from_secs(1);

/// A request's body, which goes back to its connection when the handler drops it unread.
#[derive(Debug)]
pub(super) struct Lent<B = Incoming> {
    body: Option<B>,
    /// `None` where no rest will be read.
    back: Option<Arc<Mutex<Slot<B>>>>,
}

/// Where the connection finds what is left.
#[derive(Debug)]
pub(super) struct Leftover<B = Incoming>(Arc<Mutex<Slot<B>>>);

#[derive(Debug)]
enum Slot<B> {
    /// The handler has it.
    Lent,
    /// It was dropped before its end.
    Left(B),
    /// It was read to its end, or is too large.
    Nothing,
}

/// Prepares a request for its handler.
///
/// The slot is allocated only for a request over HTTP/2 that has a body.
pub(super) fn lend<B>(request: Request<B>) -> (Request<Lent<B>>, Option<Leftover<B>>)
where
    B: Body,
{
    // Over HTTP/1.1 the connection is closed instead. Who waits for `100 Continue` sends
    // nothing after a refusal.
    let is_lent = request.version() == Version::HTTP_2
        && !request.body().is_end_stream()
        && !request.headers().contains_key(EXPECT);
    let slot = is_lent.then(|| Arc::new(Mutex::new(Slot::Lent)));
    let back = slot.clone();
    let request = request.map(|body| Lent {
        body: Some(body),
        back,
    });
    (request, slot.map(Leftover))
}

fn slot<B>(slot: &Mutex<Slot<B>>) -> MutexGuard<'_, Slot<B>> {
    // Nothing panics while it is held.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<B> Body for Lent<B>
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
        let nothing = || SizeHint::with_exact(0);
        self.body.as_ref().map_or_else(nothing, Body::size_hint)
    }
}

impl<B> Drop for Lent<B> {
    fn drop(&mut self) {
        if let Some(back) = self.back.take() {
            let left = self.body.take().map_or(Slot::Nothing, Slot::Left);
            *slot(&back) = left;
        }
    }
}

impl<B> Leftover<B>
where
    B: Body,
{
    /// Whether there is nothing to read, as far as is known yet.
    pub(super) fn is_nothing(&self) -> bool {
        match &*slot(&self.0) {
            Slot::Lent => false,
            Slot::Left(body) => !is_worth_reading(body),
            Slot::Nothing => true,
        }
    }

    /// Begins to read it, once the answer is complete.
    pub(super) fn drain(self) -> Option<Drain<B>> {
        match std::mem::replace(&mut *slot(&self.0), Slot::Nothing) {
            Slot::Left(body) if is_worth_reading(&body) => Some(Drain {
                body,
                taken: 0,
                time: Box::pin(time::sleep(TIME)),
            }),
            // The current owner of the body keeps it.
            Slot::Left(_) | Slot::Lent | Slot::Nothing => None,
        }
    }
}

fn is_worth_reading<B>(body: &B) -> bool
where
    B: Body,
{
    !body.is_end_stream() && body.size_hint().lower() <= MOST
}

/// The rest of a body on its way to nowhere.
#[derive(Debug)]
pub(super) struct Drain<B = Incoming> {
    body: B,
    taken: u64,
    time: Pin<Box<Sleep>>,
}

impl<B> Drain<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// Resolves when it has ended, is too large, or has taken too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.taken <= MOST {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let length = frame.data_ref().map_or(0, Bytes::len);
                    self.taken = self.taken.saturating_add(length as u64);
                }
                // The end, or a client that has left.
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => return self.time.as_mut().poll(cx),
            }
        }
        Poll::Ready(())
    }
}
