//! Names for requests.

use std::{
    cell::Cell,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use http::HeaderValue;

/// Names one request in logs, refusals and the `X-Request-Id` header: 32 hex digits.
///
/// The first half is random for each process, the second one counts. It is unique, but
/// no secret. What a client sends as its own request id is never taken over.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId {
    count: u64,
}

/// The digits that all ids of this process begin with.
static PROCESS: LazyLock<[u8; 16]> =
    LazyLock::new(|| digits(RandomState::new().hash_one("request id")));
/// The first id of the next block.
static NEXT: AtomicU64 = AtomicU64::new(1);
/// Ids that a thread takes at once, so that threads do not contend for one counter.
const BLOCK: u64 = 1 << 10;

thread_local! {
    /// The next id of this thread, and the end of its block.
    static OWN: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

impl RequestId {
    /// An id that no other request of this process has.
    pub fn next() -> Self {
        let (next, end) = OWN.get();
        let count = match next < end {
            true => {
                OWN.set((next + 1, end));
                next
            }
            false => Self::next_block(),
        };
        Self { count }
    }

    #[cold]
    fn next_block() -> u64 {
        let first = NEXT.fetch_add(BLOCK, Ordering::Relaxed);
        OWN.set((first + 1, first + BLOCK));
        first
    }

    /// The lower-case hex digits that it is displayed as.
    pub fn digits(self) -> [u8; 32] {
        let mut all = [0; 32];
        all[..16].copy_from_slice(&*PROCESS);
        all[16..].copy_from_slice(&digits(self.count));
        all
    }
}

fn digits(number: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    digits[..8].copy_from_slice(&hex(number >> 32));
    digits[8..].copy_from_slice(&hex(number & 0xffff_ffff));
    digits
}

/// Eight hex digits of a number under 2^32, all at once: every response has 32 of them.
fn hex(number: u64) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // One nibble a byte.
    let mut nibbles = (number << 16 | number) & 0x0000_ffff_0000_ffff;
    nibbles = (nibbles << 8 | nibbles) & 0x00ff_00ff_00ff_00ff;
    nibbles = (nibbles << 4 | nibbles) & 0x0f0f_0f0f_0f0f_0f0f;
    // A nibble over nine carries into the next one when six is added to it.
    let letters = ((nibbles + 6 * EACH) >> 4) & EACH;
    (nibbles + u64::from(b'0') * EACH + letters * u64::from(b'a' - b'0' - 10)).to_be_bytes()
}

impl From<RequestId> for HeaderValue {
    fn from(id: RequestId) -> Self {
        Self::from_bytes(&id.digits()).expect("hex digits are a header value")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).expect("hex digits are UTF-8"))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_32_hex_digits_and_new_each_time() {
        let (a, b) = (RequestId::next(), RequestId::next());
        assert_ne!(a, b);
        let (process, count) = (a.to_string()[..16].to_owned(), format!("{:016x}", a.count));
        assert_eq!(a.to_string(), process.clone() + &count);
        assert!(b.to_string().starts_with(&process));
        assert_eq!(digits(0x0123_4567_89ab_cdef), *b"0123456789abcdef");
        assert_eq!(HeaderValue::from(b).to_str().unwrap(), b.to_string());
    }

    #[test]
    fn writes_every_digit() {
        for number in [0, 1, 9, 0xa, 0x0123_4567, 0x89ab_cdef, 0xffff_ffff] {
            assert_eq!(hex(number), format!("{number:08x}").as_bytes());
        }
    }
}
