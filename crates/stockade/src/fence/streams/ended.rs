//! Waits for the end of an access.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use stockade_core::refusal::Refusal;
use stockade_rate_limit::ExtendReservation;

use super::{
    Streams, Watched,
    access::Ended,
    monitor::{Notice, Stream},
};
use crate::fence::store::LimitsStore;

/// Resolves when the access of a client ends; see [`Fence::access_ended`](crate::Fence::access_ended).
#[must_use = "futures do nothing unless they are polled"]
pub struct AccessEnded(Option<Open>);

/// A stream that is checked until this is dropped.
struct Open {
    streams: Streams,
    id: u64,
    stream: Arc<Stream>,
    /// Boxed: most responses use no more than was reserved for them.
    extending: Option<Pin<Box<ExtendReservation<LimitsStore>>>>,
}

impl AccessEnded {
    /// Watches a stream; never resolves for `None`.
    pub(super) fn new(streams: &Streams, watched: Option<Watched>) -> Self {
        Self(watched.map(|watched| {
            let (id, stream) = streams.0.add(watched);
            Open {
                streams: streams.clone(),
                id,
                stream,
                extending: None,
            }
        }))
    }

    pub(super) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let Some(open) = &mut self.0 else {
            return Poll::Pending;
        };
        loop {
            if let Some(extending) = &mut open.extending {
                // The end of the access does not wait for the store.
                match extending.as_mut().poll(cx) {
                    Poll::Ready(Err(refusal)) => {
                        let reason = "budget";
                        return Poll::Ready(Ended { reason, refusal });
                    }
                    Poll::Ready(Ok(())) => open.extending = None,
                    Poll::Pending => {}
                }
            }
            match open.stream.poll_notice(cx.waker()) {
                None => return Poll::Pending,
                Some(Notice::End(ended)) => return Poll::Ready(ended),
                Some(Notice::Extend) if open.extending.is_some() => {}
                Some(Notice::Extend) => {
                    let reserved = open.stream.watched.reserved.as_ref();
                    open.extending = reserved.map(|reserved| Box::pin(reserved.extend()));
                }
            }
        }
    }
}

impl Future for AccessEnded {
    type Output = Refusal;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Refusal> {
        Poll::Ready(ready!(self.poll_ended(cx)).refusal)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.streams.0.remove(self.id);
    }
}

impl fmt::Debug for AccessEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stream = self.0.as_ref().map(|open| &open.stream);
        f.debug_tuple("AccessEnded").field(&stream).finish()
    }
}
