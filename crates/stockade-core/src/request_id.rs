//! Names for requests.

use std::{
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
pub struct RequestId(u128);

static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one("request id"));
static NEXT: AtomicU64 = AtomicU64::new(1);

impl RequestId {
    /// An id that no other request of this process has.
    pub fn next() -> Self {
        let count = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(u128::from(*PROCESS) << 64 | u128::from(count))
    }

    fn digits(self) -> [u8; 32] {
        let mut digits = [0; 32];
        for (at, digit) in digits.iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(self.0 >> (124 - 4 * at) & 0xf) as usize];
        }
        digits
    }
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
        assert_eq!(a.to_string(), format!("{:032x}", a.0));
        assert_eq!(HeaderValue::from(b).to_str().unwrap(), b.to_string());
    }
}
