//! How a batch of lines is sealed, and how a seal is read.

use sha2::{Digest, Sha256};

use super::{ChainKey, Mac};
use crate::line::field;

/// So that a seal is never mistaken for a head, nor for anything else under the key.
const PURPOSE: &[u8] = b"stockade audit 1: batch\n";

/// What a sealed line ends in: `,"mac":"`, 64 hex digits, `"}`.
const MAC_FIELD: usize = 8 + 64 + 2;

/// Ends the last line of a batch with the digest before, the key's id, and the digest of
/// the SHA-256 of all that stands before it in the batch. Returns the digest.
pub(super) fn seal(batch: &mut Vec<u8>, key: &ChainKey, previous: &Mac) -> Mac {
    debug_assert!(batch.ends_with(b"}\n"), "a batch is whole lines");
    batch.truncate(batch.len() - 2);
    push(batch, field!("prev"), &hex::encode(previous));
    push(batch, field!("key"), key.id());
    let mac = key.sign(PURPOSE, &Sha256::digest(&*batch));
    push(batch, field!("mac"), &hex::encode(mac));
    batch.extend_from_slice(b"}\n");
    mac
}

fn push(batch: &mut Vec<u8>, field: &str, value: &str) {
    for part in [field, "\"", value, "\""] {
        batch.extend_from_slice(part.as_bytes());
    }
}

/// A line that ends in a seal.
pub(crate) struct Sealed<'a> {
    /// What the seal covers of the line.
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
    /// Reads the seal of a line without its line feed; `None` where it has none.
    ///
    /// Within a JSON string no quote stands without a backslash, so a text that somebody
    /// chose is never taken for a seal.
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
    /// Whether the seal was made with this key over what has this SHA-256.
    pub(crate) fn verify(&self, key: &ChainKey, sha256: &[u8]) -> bool {
        key.verify(PURPOSE, sha256, &self.mac)
    }
}

pub(super) fn digest(digits: &[u8]) -> Option<Mac> {
    let mut digest = [0; 32];
    hex::decode_to_slice(digits, &mut digest).ok()?;
    // What is read must be what was written, also in the case of its letters.
    if digits.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_read_as_it_was_made() {
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
        let covered = [first.as_bytes(), b"\n", sealed.covered].concat();
        assert!(sealed.seal.verify(&key, &Sha256::digest(&covered)));
        assert!(!sealed.seal.verify(&key, &Sha256::digest(b"")));
    }

    // L01
    #[test]
    fn a_text_is_never_taken_for_a_seal() {
        let zeros = "0".repeat(64);
        let seal = format!(",\"prev\":\"{zeros}\",\"key\":\"k\",\"mac\":\"{zeros}");
        let mut line = b"{\"path\":\"".to_vec();
        crate::escape::push_escaped(&mut line, &seal);
        line.extend_from_slice(b"\"}");
        assert!(Sealed::parse(&line).is_none());
    }
}
