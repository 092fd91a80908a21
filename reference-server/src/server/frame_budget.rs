//! Bounds the HTTP/2 frames of a client that cause work and carry nothing: floods of PING, SETTINGS,
//! PRIORITY, WINDOW_UPDATE, RST_STREAM, unknown and empty frames (CVE-2019-9512, -9515, -9518).

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::http2_frames::{
    CONTINUATION, DATA, END_STREAM, FrameHead, FrameScanner, GOAWAY, HEADERS, PREFACE,
};

/// Connections that were closed because of their frames.
pub(super) const CLOSED: &str = "stockade_http2_floods_total";

/// The frames that a client may send at once.
const CAPACITY: u32 = 1_000;
/// The frames per second once these are spent.
const REFILL: f64 = 50.0;
/// The frames that each frame of a response allows: clients update the windows of the stream and of
/// the connection, and may measure the latency with a PING.
const PER_RESPONSE_FRAME: u32 = 3;

/// RFC 9113, 7.
const ENHANCE_YOUR_CALM: u8 = 11;

/// A stream whose HTTP/2 frames are counted; HTTP/1.1 passes unchanged.
#[derive(Debug)]
pub(super) struct FrameBudget<S> {
    stream: S,
    protocol: Protocol,
}

#[derive(Debug)]
enum Protocol {
    /// The bytes of the preface that have arrived.
    Unknown(usize),
    Http1,
    Http2(Box<Frames>),
}

#[derive(Debug)]
struct Frames {
    received: FrameScanner,
    sent: FrameScanner,
    budget: Budget,
    /// The last stream that the client has opened.
    last_stream: u32,
}

impl<S> FrameBudget<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            protocol: Protocol::Unknown(0),
        }
    }
}

impl Protocol {
    /// Returns whether the client has sent too many frames.
    fn received(&mut self, mut bytes: &[u8]) -> bool {
        if let Self::Unknown(matched) = self {
            let expected = &PREFACE[*matched..];
            let length = expected.len().min(bytes.len());
            if bytes[..length] != expected[..length] {
                *self = Self::Http1;
                return false;
            }
            *matched += length;
            bytes = &bytes[length..];
            if *matched == PREFACE.len() {
                *self = Self::Http2(Box::new(Frames::new()));
            }
        }
        match self {
            Self::Http2(frames) => frames.received(bytes),
            Self::Unknown(_) | Self::Http1 => false,
        }
    }

    fn sent(&mut self, bytes: &[u8]) {
        if let Self::Http2(frames) = self {
            frames.sent(bytes);
        }
    }
}

impl Frames {
    fn new() -> Self {
        Self {
            received: FrameScanner::default(),
            sent: FrameScanner::default(),
            budget: Budget::new(),
            last_stream: 0,
        }
    }

    fn received(&mut self, bytes: &[u8]) -> bool {
        let mut cost = 0;
        self.received.scan(bytes, |head| {
            cost += u32::from(is_idle(head));
            if head.kind == HEADERS {
                self.last_stream = self.last_stream.max(head.stream);
            }
        });
        cost > 0 && !self.budget.spend(cost)
    }

    fn sent(&mut self, bytes: &[u8]) {
        self.sent.scan(bytes, |head| {
            if matches!(head.kind, DATA | HEADERS) {
                self.budget.add(PER_RESPONSE_FRAME);
            }
        });
    }

    /// The GOAWAY frame, unless another frame is being sent.
    fn goaway(&self) -> Option<[u8; 17]> {
        let [a, b, c, d] = self.last_stream.to_be_bytes();
        let frame = [
            0,
            0,
            8,
            GOAWAY,
            0,
            0,
            0,
            0,
            0,
            a,
            b,
            c,
            d,
            0,
            0,
            0,
            ENHANCE_YOUR_CALM,
        ];
        self.sent.is_between_frames().then_some(frame)
    }
}

/// Whether a frame neither opens a stream nor carries a part of a body or a head.
fn is_idle(head: FrameHead) -> bool {
    match head.kind {
        HEADERS => false,
        DATA => head.length == 0 && head.flags & END_STREAM == 0,
        CONTINUATION => head.length == 0,
        _ => true,
    }
}

/// A token bucket that reads the clock only when it is empty.
#[derive(Debug)]
struct Budget {
    left: u32,
    refilled: Instant,
}

impl Budget {
    fn new() -> Self {
        Self {
            left: CAPACITY,
            refilled: Instant::now(),
        }
    }

    fn add(&mut self, frames: u32) {
        self.left = (self.left + frames).min(CAPACITY);
    }

    /// Returns whether this many frames were left.
    fn spend(&mut self, frames: u32) -> bool {
        if self.left < frames {
            self.refill();
        }
        let left = self.left.checked_sub(frames);
        self.left = left.unwrap_or_default();
        left.is_some()
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 0 and the capacity"
    )]
    fn refill(&mut self) {
        let now = Instant::now();
        let frames = (now - self.refilled).as_secs_f64() * REFILL;
        self.add(frames.min(f64::from(CAPACITY)) as u32);
        self.refilled = now;
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for FrameBudget<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        if !this.protocol.received(&buf.filled()[before..]) {
            return Poll::Ready(Ok(()));
        }
        metrics::counter!(CLOSED).increment(1);
        if let Protocol::Http2(frames) = &this.protocol
            && let Some(goaway) = frames.goaway()
        {
            // A client that does not read it sees that the connection is closed.
            let _ = Pin::new(&mut this.stream).poll_write(cx, &goaway);
            let _ = Pin::new(&mut this.stream).poll_flush(cx);
        }
        Poll::Ready(Err(io::Error::other(
            "the client sent too many HTTP/2 frames that carry nothing",
        )))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FrameBudget<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = std::task::ready!(Pin::new(&mut this.stream).poll_write(cx, buf))?;
        this.protocol.sent(&buf[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = std::task::ready!(Pin::new(&mut this.stream).poll_write_vectored(cx, bufs))?;
        let mut left = written;
        for buf in bufs {
            let length = left.min(buf.len());
            this.protocol.sent(&buf[..length]);
            left -= length;
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time;

    use super::*;

    const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    fn http2() -> Protocol {
        let mut protocol = Protocol::Unknown(0);
        // In pieces.
        assert!(!protocol.received(&PREFACE[..7]));
        assert!(!protocol.received(&PREFACE[7..]));
        assert!(matches!(protocol, Protocol::Http2(_)));
        protocol
    }

    // FA12
    #[tokio::test(start_paused = true)]
    async fn bounds_frames_that_carry_nothing() {
        let mut protocol = http2();
        for _ in 0..CAPACITY {
            assert!(!protocol.received(&PING));
        }
        assert!(protocol.received(&PING));
        time::advance(Duration::from_secs(1)).await;
        assert!((0..50).all(|_| !protocol.received(&PING)));
        assert!(protocol.received(&PING));
    }

    // FA12
    #[tokio::test(start_paused = true)]
    async fn allows_what_a_client_sends_for_each_frame_of_a_response() {
        let mut protocol = http2();
        let window_update = [0, 0, 4, 8, 0, 0, 0, 0, 1, 0, 0, 1, 0];
        let mut data = vec![0, 0, 200, DATA, 0, 0, 0, 0, 1];
        data.extend([b'a'; 200]);
        for _ in 0..100_000 {
            protocol.sent(&data);
            for frame in [&window_update[..], &window_update, &PING] {
                assert!(!protocol.received(frame));
            }
        }
    }

    #[tokio::test]
    async fn requests_and_bodies_cost_nothing() {
        let mut protocol = http2();
        let frames = [
            [&[0, 0, 1, HEADERS, 4, 0, 0, 0, 1][..], b"a"].concat(),
            [&[0, 0, 1, DATA, 0, 0, 0, 0, 1][..], b"a"].concat(),
            [&[0, 0, 1, CONTINUATION, 0, 0, 0, 0, 1][..], b"a"].concat(),
            vec![0, 0, 0, DATA, END_STREAM, 0, 0, 0, 1],
        ];
        for _ in 0..10 * CAPACITY {
            assert!(!protocol.received(&frames.concat()));
        }
    }

    #[tokio::test]
    async fn http1_is_not_counted() {
        for first in [&b"GET / HTTP/1.1\r\n"[..], b"PRI * HTTP/1.1\r\n"] {
            let mut protocol = Protocol::Unknown(0);
            assert!(!protocol.received(first));
            assert!(matches!(protocol, Protocol::Http1));
            assert!((0..2 * CAPACITY).all(|_| !protocol.received(&PING)));
        }
    }
}
