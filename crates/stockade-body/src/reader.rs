//! Reads a body whole, within its limits.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::Body;
use pin_project_lite::pin_project;
use stockade_core::Refusal;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{
    memory::{Memory, Share},
    pace::Pace,
    refusal,
};

pin_project! {
    /// Reads a body whole, within its limits.
    pub(crate) struct Reader<B> {
        #[pin]
        body: B,
        #[pin]
        timer: Timer,
        limit: u64,
        expected: usize,
        gathered: Gathered,
        share: Option<Share>,
    }
}

/// What has come in.
enum Gathered {
    /// At most one frame, which needs no copy.
    Frame(Bytes),
    /// Copies of several.
    Frames(Vec<u8>),
}

impl<B> Reader<B>
where
    B: Body<Data = Bytes>,
{
    pub(crate) fn new(body: B, limit: u64, pace: Pace, memory: &Memory) -> Self {
        // A claim of the client's, which the limit was held against. Memory that is
        // reserved for it is taken by the bytes only when they come in.
        let expected = usize::try_from(body.size_hint().lower().min(limit)).unwrap_or(0);
        Self {
            body,
            timer: Timer { pace, sleep: None },
            limit,
            expected,
            gathered: Gathered::Frame(Bytes::new()),
            share: Some(memory.share()),
        }
    }

    /// The whole body, without its trailers. Its bytes hold their share of the memory.
    pub(crate) fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, Refusal>> {
        let mut this = self.project();
        loop {
            let Poll::Ready(frame) = this.body.as_mut().poll_frame(cx) else {
                let cause = ready!(this.timer.poll_late(cx, this.gathered.len()));
                return Poll::Ready(Err(refusal::too_slow(cause)));
            };
            let frame = match frame {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => return Poll::Ready(Err(refusal::unreadable())),
                None => {
                    let share = this.share.take().expect("polled after it was ready");
                    return Poll::Ready(Ok(this.gathered.take(share)));
                }
            };
            if let Ok(data) = frame.into_data() {
                if (this.gathered.len() + data.len()) as u64 > *this.limit {
                    return Poll::Ready(Err(refusal::too_large(*this.limit)));
                }
                let share = this.share.as_mut().expect("polled after it was ready");
                share.grow(data.len())?;
                this.gathered.push(data, *this.expected);
            }
        }
    }
}

impl Gathered {
    fn len(&self) -> usize {
        match self {
            Self::Frame(bytes) => bytes.len(),
            Self::Frames(bytes) => bytes.len(),
        }
    }

    fn push(&mut self, data: Bytes, expected: usize) {
        match self {
            Self::Frame(first) if first.is_empty() => *first = data,
            Self::Frame(first) => {
                let mut bytes = Vec::with_capacity(expected.max(first.len() + data.len()));
                bytes.extend_from_slice(first);
                bytes.extend_from_slice(&data);
                *self = Self::Frames(bytes);
            }
            Self::Frames(bytes) => bytes.extend_from_slice(&data),
        }
    }

    fn take(&mut self, share: Share) -> Bytes {
        match std::mem::replace(self, Self::Frame(Bytes::new())) {
            Self::Frame(bytes) if bytes.is_empty() => bytes,
            Self::Frame(bytes) => share.hold(bytes),
            Self::Frames(bytes) => share.hold(bytes),
        }
    }
}

pin_project! {
    /// Ends the wait for a body that is too slow. Nothing is set until there is a wait.
    struct Timer {
        pace: Pace,
        #[pin]
        sleep: Option<Waiting>,
    }
}

pin_project! {
    struct Waiting {
        began: Instant,
        #[pin]
        sleep: Sleep,
    }
}

impl Timer {
    /// Ready with the cause when a body of so many bytes is late.
    fn poll_late(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: usize) -> Poll<&'static str> {
        let mut this = self.project();
        let (due, cause) = this.pace.due(bytes as u64);
        if this.sleep.is_none() {
            let began = Instant::now();
            let sleep = sleep_until(began + due);
            this.sleep.set(Some(Waiting { began, sleep }));
        }
        let waiting = this.sleep.as_pin_mut().expect("set above").project();
        let due = *waiting.began + due;
        let mut sleep = waiting.sleep;
        // Bytes that have come in since it was set may have bought time.
        while sleep.deadline() < due {
            ready!(sleep.as_mut().poll(cx));
            sleep.as_mut().reset(due);
        }
        ready!(sleep.poll(cx));
        Poll::Ready(cause)
    }
}
