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
    /// None while nothing is accounted.
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
    pub(crate) fn new(body: B, limit: u64) -> Self {
        // The client's claim, already checked against the limit. Capacity reserved for it
        // counts only as bytes arrive.
        let expected = usize::try_from(body.size_hint().lower().min(limit)).unwrap_or(0);
        Self {
            body,
            limit,
            expected,
            buffer: FrameBuffer::Single(Bytes::new()),
            len: 0,
            reservation: None,
        }
    }

    /// Returns the number of bytes received.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Accounts the whole body to the client, because it is slow.
    pub(crate) fn charge(&mut self, head: &Head, memory: &MemoryBudget) -> Result<(), Refusal> {
        let reservation = self.reservation.get_or_insert_with(|| memory.reserve());
        Ok(reservation.charge(|| Caller::of(head).owner())?)
    }

    /// Resolves to the complete body without trailers. The bytes hold their memory
    /// reservation, and the context counts them as they arrive.
    ///
    /// A small body that is complete at the first poll, in one frame, is not accounted: see
    /// [`MemoryBudget::is_exempt`].
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        head: &Head,
        memory: &MemoryBudget,
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
                let is_first = self.reservation.is_none();
                if is_first && memory.is_exempt(data.len()) && self.body.is_end_stream() {
                    return Poll::Ready(Ok(data));
                }
                let reservation = self.reservation.get_or_insert_with(|| memory.reserve());
                reservation.grow(data.len())?;
                if reservation.is_large() {
                    reservation.charge(|| Caller::of(head).owner())?;
                }
                self.buffer.push(data, self.expected);
            }
        }
        Poll::Ready(Ok(match self.reservation.take() {
            Some(reservation) => self.buffer.take(reservation),
            None => Bytes::new(),
        }))
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

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, task::Waker};

    use http::Request;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    use super::*;

    const TOTAL: usize = 512 << 20;

    fn read<B>(body: B, memory: &MemoryBudget) -> Bytes
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let head = Head::new(Request::new(()).into_parts().0);
        let mut reader = BodyReader::new(body, u64::MAX);
        let mut cx = Context::from_waker(Waker::noop());
        match reader.poll_read(&mut cx, &head, memory) {
            Poll::Ready(Ok(bytes)) => bytes,
            Poll::Ready(Err(refusal)) => panic!("{refusal:?}"),
            Poll::Pending => panic!("the body is complete"),
        }
    }

    // B10
    #[test]
    fn accounts_all_but_small_complete_bodies() {
        let memory = MemoryBudget::new(TOTAL, TOTAL);
        let whole = |bytes: usize| Full::new(Bytes::from(vec![0; bytes]));
        let small = read(whole(4_096), &memory);
        assert_eq!(memory.left(), TOTAL);
        let large = read(whole(4_097), &memory);
        assert_eq!(memory.left(), TOTAL - 4_097);
        drop((small, large));
        assert_eq!(memory.left(), TOTAL);

        let frame = || Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"frame")));
        let frames = StreamBody::new(tokio_stream::iter([frame(), frame()]));
        let joined = read(frames, &memory);
        assert_eq!(memory.left(), TOTAL - joined.len());
    }
}
