//! Reads a complete body within its limits.

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

/// Reads a complete body within its limits.
pub(crate) struct BodyReader<B> {
    body: B,
    limit: u64,
    expected: usize,
    buffer: FrameBuffer,
    /// Bytes received.
    len: usize,
    reservation: Option<Reservation>,
}

/// The frames received.
enum FrameBuffer {
    /// At most one frame, not copied.
    Single(Bytes),
    /// Several frames, copied into one buffer.
    Joined(Vec<u8>),
}

impl<B> BodyReader<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    pub(crate) fn new(body: B, limit: u64, memory: &MemoryBudget) -> Self {
        // The client's claim, already checked against the limit. Capacity reserved for it
        // counts only as bytes arrive.
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

    /// Returns the number of bytes received.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Accounts the whole body to the client, because it is slow.
    pub(crate) fn charge(&mut self, head: &Head) -> Result<(), Refusal> {
        let reservation = self
            .reservation
            .as_mut()
            .expect("not charged after completion");
        Ok(reservation.charge(|| Caller::of(head).owner())?)
    }

    /// Resolves to the complete body without trailers. The bytes hold their memory
    /// reservation, and the context counts them as they arrive.
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
            // Trailers are dropped.
            if let Ok(data) = frame.into_data() {
                self.len += data.len();
                context.set_bytes_read(self.len as u64);
                if self.len as u64 > self.limit {
                    return Poll::Ready(Err(refusal::too_large(self.limit)));
                }
                let reservation = self
                    .reservation
                    .as_mut()
                    .expect("not polled after completion");
                reservation.grow(data.len())?;
                if reservation.is_large() {
                    reservation.charge(|| Caller::of(head).owner())?;
                }
                self.buffer.push(data, self.expected);
            }
        }
        let reservation = self
            .reservation
            .take()
            .expect("not polled after completion");
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
