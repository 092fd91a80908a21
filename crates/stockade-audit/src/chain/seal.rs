//! Sealing a batch of lines, and parsing a seal.

use sha2::{Digest, Sha256};

use super::{ChainKey, Mac};
use crate::line::field;

/// Separates seals from heads and other digests under the same key.
const PURPOSE: &[u8] = b"stockade audit 2: batch\n";

/// Length of the end of a sealed line: `,"mac":"`, 64 hex digits, `"}`.
const MAC_FIELD: usize = 8 + 64 + 2;

/// The SHA-256 of a line, without its line feed and the digest of its seal.
///
/// A seal covers the digests of lines instead of the lines, so that one of them can be
/// forgotten: its digest is kept.
pub(crate) fn line_digest(covered: &[u8]) -> Mac {
    Sha256::digest(covered).into()
}

/// Appends to the last line of a batch: the previous digest, the id of the key, and the
/// digest of the digests of all lines. Returns the digest.
pub(super) fn seal(batch: &mut Vec<u8>, key: &ChainKey, previous: &Mac) -> Mac {
    debug_assert!(batch.ends_with(b"}\n"), "a batch is whole lines");
    batch.truncate(batch.len() - 2);
    push(batch, field!("prev"), &hex::encode(previous));
    push(batch, field!("key"), key.id());
    let mac = key.sign(PURPOSE, &batch_digest(batch));
    push(batch, field!("mac"), &hex::encode(mac));
    batch.extend_from_slice(b"}\n");
    mac
}

/// The SHA-256 of the digests of lines.
fn batch_digest(batch: &[u8]) -> Mac {
    let mut digests = Sha256::new();
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', batch).chain([batch.len()]) {
        digests.update(line_digest(&batch[start..end]));
        start = end + 1;
    }
    digests.finalize().into()
}

fn push(batch: &mut Vec<u8>, field: &str, value: &str) {
    for part in [field, "\"", value, "\""] {
        batch.extend_from_slice(part.as_bytes());
    }
}

/// A line that ends with a seal.
pub(crate) struct Sealed<'a> {
    /// The part of the line that the seal covers.
    pub(crate) covered: &'a [u8],
    pub(crate) seal: Seal<'a>,
}

/// The seal of a batch.
pub(crate) struct Seal<'a> {
    pub(crate) previous: Mac,
    pub(crate) key: &'a str,
    pub(crate) mac: Mac,
}

impl<'a> Sealed<'a> {
    /// Parses the seal of a line without its line feed; `None` if it has no seal.
    ///
    /// A quote in a JSON string is always preceded by a backslash, so text chosen by a client
    /// is never parsed as a seal.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let (covered, field) = line.split_at_checked(line.len().checked_sub(MAC_FIELD)?)?;
        let mac = field.strip_prefix(b",\"mac\":\"")?.strip_suffix(b"\"}")?;
        let rest = covered.strip_suffix(b"\"")?;
        let at = memchr::memmem::rfind(rest, b",\"prev\":\"")?;
        let (previous, key) = rest[at + 9..].split_at_checked(64)?;
        let key = key.strip_prefix(b"\",\"key\":\"")?;
        Some(Self {
            covered,
            seal: Seal {
                previous: digest(previous)?,
                key: std::str::from_utf8(key).ok()?,
                mac: digest(mac)?,
            },
        })
    }
}

impl Seal<'_> {
    /// Verifies that the key made the seal for a batch whose line digests have this SHA-256.
    pub(crate) fn verify(&self, key: &ChainKey, sha256: &[u8]) -> bool {
        key.verify(PURPOSE, sha256, &self.mac)
    }
}

pub(super) fn digest(digits: &[u8]) -> Option<Mac> {
    let mut digest = [0; 32];
    hex::decode_to_slice(digits, &mut digest).ok()?;
    // Only the canonical (lowercase) form is accepted.
    if digits.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_seal_it_writes() {
        let key = ChainKey::new("k1", [7; 32]).unwrap();
        let mut batch = b"{\"a\":1,\"seq\":1}\n{\"a\":2,\"seq\":2}\n".to_vec();
        let mac = seal(&mut batch, &key, &[9; 32]);
        let text = String::from_utf8(batch).unwrap();
        let (first, last) = text.trim_end().split_once('\n').unwrap();
        assert!(Sealed::parse(first.as_bytes()).is_none());
        serde_json::from_str::<serde_json::Value>(last).unwrap();

        let sealed = Sealed::parse(last.as_bytes()).unwrap();
        assert_eq!(
            (sealed.seal.previous, sealed.seal.key, sealed.seal.mac),
            ([9; 32], "k1", mac)
        );
        let digests = [line_digest(first.as_bytes()), line_digest(sealed.covered)].concat();
        assert!(sealed.seal.verify(&key, &Sha256::digest(&digests)));
        assert!(!sealed.seal.verify(&key, &Sha256::digest(b"")));
    }

    // L01
    #[test]
    fn never_parses_text_as_a_seal() {
        let zeros = "0".repeat(64);
        let seal = format!(",\"prev\":\"{zeros}\",\"key\":\"k\",\"mac\":\"{zeros}");
        let mut line = b"{\"path\":\"".to_vec();
        crate::escape::push_escaped(&mut line, &seal);
        line.extend_from_slice(b"\"}");
        assert!(Sealed::parse(&line).is_none());
    }
}
