//! Reads a body whole, within its limits.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::Body;
use stockade_core::{guard::Head, refusal::Refusal};

use crate::{
    memory::{Caller, Memory, Share},
    refusal,
};

/// Reads a body whole, within its limits.
pub(crate) struct Reader<B> {
    body: B,
    limit: u64,
    expected: usize,
    gathered: Gathered,
    /// Bytes that have come in.
    len: usize,
    share: Option<Share>,
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
    B: Body<Data = Bytes> + Unpin,
{
    pub(crate) fn new(body: B, limit: u64, memory: &Memory) -> Self {
        // A claim of the client's, which the limit was held against. Memory that is
        // reserved for it is taken by the bytes only when they come in.
        let expected = usize::try_from(body.size_hint().lower().min(limit)).unwrap_or(0);
        Self {
            body,
            limit,
            expected,
            gathered: Gathered::Frame(Bytes::new()),
            len: 0,
            share: Some(memory.share()),
        }
    }

    /// How much has come in.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Charges the client for all of the body: it is slow.
    pub(crate) fn charge(&mut self, head: &Head) -> Result<(), Refusal> {
        let share = self.share.as_mut().expect("charged before it was ready");
        Ok(share.charge(|| Caller::of(head).owner())?)
    }

    /// The whole body, without its trailers. Its bytes hold their share of the memory. Says in
    /// the context how much has come in.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        head: &Head,
    ) -> Poll<Result<Bytes, Refusal>> {
        let context = head.context();
        while !self.body.is_end_stream() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => return Poll::Ready(Err(refusal::unreadable())),
                None => break,
            };
            // Trailers are not a part of the body, and are left out.
            if let Ok(data) = frame.into_data() {
                self.len += data.len();
                if let Some(context) = context {
                    context.set_bytes_read(self.len as u64);
                }
                if self.len as u64 > self.limit {
                    return Poll::Ready(Err(refusal::too_large(self.limit)));
                }
                let share = self.share.as_mut().expect("polled after it was ready");
                share.grow(data.len())?;
                if share.is_large() {
                    share.charge(|| Caller::of(head).owner())?;
                }
                self.gathered.push(data, self.expected);
            }
        }
        let share = self.share.take().expect("polled after it was ready");
        Poll::Ready(Ok(self.gathered.take(share)))
    }
}

impl Gathered {
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
