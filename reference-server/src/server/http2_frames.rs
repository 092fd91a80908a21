//! The heads of HTTP/2 frames, in bytes that arrive in any pieces (RFC 9113, 4.1).

/// The begin of a connection, which the client sends before its first frame.
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD: usize = 9;

// The types and flags that the budget of a connection knows (RFC 9113, 6).
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const GOAWAY: u8 = 7;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

/// Follows the frames of one direction.
#[derive(Debug, Default)]
pub(super) struct FrameScanner {
    head: [u8; HEAD],
    /// The bytes of the head that have arrived.
    filled: usize,
    /// The bytes of the payload that have not.
    payload: usize,
}

impl FrameScanner {
    /// Calls `visit` for each head that is complete with these bytes.
    pub(super) fn scan(&mut self, mut bytes: &[u8], mut visit: impl FnMut(FrameHead)) {
        loop {
            let skipped = self.payload.min(bytes.len());
            self.payload -= skipped;
            bytes = &bytes[skipped..];
            let taken = (HEAD - self.filled).min(bytes.len());
            self.head[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled < HEAD {
                return;
            }
            let head = FrameHead::parse(self.head);
            self.filled = 0;
            self.payload = head.length;
            visit(head);
        }
    }

    /// Whether no frame has begun that is not complete.
    pub(super) fn is_between_frames(&self) -> bool {
        self.filled == 0 && self.payload == 0
    }
}

impl FrameHead {
    fn parse([a, b, c, kind, flags, stream @ ..]: [u8; HEAD]) -> Self {
        Self {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            // The first bit is reserved.
            stream: u32::from_be_bytes(stream) & (u32::MAX >> 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_heads_in_any_pieces() {
        let bytes = [
            &[0, 0, 5, DATA, END_STREAM, 0x80, 0, 0, 3][..],
            &[0; 5],
            &[0, 0, 0, 0x20, 0, 0, 0, 0, 0],
            &[0, 1, 2, HEADERS, 4, 0, 0, 1, 1],
            &[9; 258],
        ]
        .concat();
        let head = |length, kind, flags, stream| FrameHead {
            length,
            kind,
            flags,
            stream,
        };
        let expected = [
            head(5, DATA, END_STREAM, 3),
            head(0, 0x20, 0, 0),
            head(258, HEADERS, 4, 257),
        ];
        for size in 1..=bytes.len() {
            let (mut scanner, mut found) = (FrameScanner::default(), Vec::new());
            for piece in bytes.chunks(size) {
                scanner.scan(piece, |head| found.push(head));
            }
            assert_eq!(found, expected, "pieces of {size}");
            assert!(scanner.is_between_frames());
            scanner.scan(&[0], |_| unreachable!());
            assert!(!scanner.is_between_frames());
        }
    }
}
