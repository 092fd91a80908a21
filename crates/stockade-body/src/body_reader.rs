//! Reads a body whole, within its limits.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::Body;
use stockade_core::{guard::Head, refusal::Refusal};

use crate::{
    memory::{Caller, MemoryBudget, Reservation},
    refusal,
};

/// Reads a body whole, within its limits.
pub(crate) struct BodyReader<B> {
    body: B,
    limit: u64,
    expected: usize,
    buffer: FrameBuffer,
    /// Bytes that have come in.
    len: usize,
    reservation: Option<Reservation>,
}

/// What has come in.
enum FrameBuffer {
    /// At most one frame, which needs no copy.
    Single(Bytes),
    /// Copies of several.
    Joined(Vec<u8>),
}

impl<B> BodyReader<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    pub(crate) fn new(body: B, limit: u64, memory: &MemoryBudget) -> Self {
        // A claim of the client's, which the limit was held against. MemoryBudget that is
        // reserved for it is taken by the bytes only when they come in.
        let expected = usize::try_from(body.size_hint().lower().min(limit)).unwrap_or(0);
        Self {
            body,
            limit,
            expected,
            buffer: FrameBuffer::Single(Bytes::new()),
            len: 0,
            reservation: Some(memory.reserve()),
        }
    }

    /// How much has come in.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Charges the client for all of the body: it is slow.
    pub(crate) fn charge(&mut self, head: &Head) -> Result<(), Refusal> {
        let reservation = self
            .reservation
            .as_mut()
            .expect("charged before it was ready");
        Ok(reservation.charge(|| Caller::of(head).owner())?)
    }

    /// The whole body, without its trailers. Its bytes hold their reservation of the memory. Says in
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
                let reservation = self
                    .reservation
                    .as_mut()
                    .expect("polled after it was ready");
                reservation.grow(data.len())?;
                if reservation.is_large() {
                    reservation.charge(|| Caller::of(head).owner())?;
                }
                self.buffer.push(data, self.expected);
            }
        }
        let reservation = self.reservation.take().expect("polled after it was ready");
        Poll::Ready(Ok(self.buffer.take(reservation)))
    }
}

impl FrameBuffer {
    fn push(&mut self, data: Bytes, expected: usize) {
        match self {
            Self::Single(first) if first.is_empty() => *first = data,
            Self::Single(first) => {
                let mut bytes = Vec::with_capacity(expected.max(first.len() + data.len()));
                bytes.extend_from_slice(first);
                bytes.extend_from_slice(&data);
                *self = Self::Joined(bytes);
            }
            Self::Joined(bytes) => bytes.extend_from_slice(&data),
        }
    }

    fn take(&mut self, reservation: Reservation) -> Bytes {
        match std::mem::replace(self, Self::Single(Bytes::new())) {
            Self::Single(bytes) if bytes.is_empty() => bytes,
            Self::Single(bytes) => reservation.into_bytes(bytes),
            Self::Joined(bytes) => reservation.into_bytes(bytes),
        }
    }
}
