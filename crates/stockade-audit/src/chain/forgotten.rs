//! Records that were replaced by their digest.

use stockade_core::clock::Timestamp;

use super::{ChainKey, Mac, Sealed, line_digest, seal::digest};
use crate::{line::text_field, timestamp::push_rfc3339};

/// Separates proofs from seals, heads and other digests under the same key.
const PURPOSE: &[u8] = b"stockade audit 2: forgotten\n";

/// The beginning of every record, up to its time.
const TIME: &[u8] = b"{\"timestamp\":\"";
/// The length of `2026-01-31T12:00:00.000000Z`.
const TIME_LENGTH: usize = 27;

const KIND: &[u8] =
    b"\",\"level\":\"info\",\"message\":\"record forgotten\",\"event\":\"record_forgotten\"";

/// Events that a verifier needs.
const KEPT: [&[u8]; 4] = [
    b",\"event\":\"log_opened\"",
    b",\"event\":\"chain_key_rotated\"",
    b",\"event\":\"records_lost\"",
    b",\"event\":\"record_forgotten\"",
];

impl ChainKey {
    /// Replaces a record by its digest, so that nothing else is known about it: `None` for a line
    /// that is not a record, for one that was replaced before, and for events of the log itself.
    ///
    /// The new line has the number, the time and the seal of the old one, the time of the
    /// replacement, and a proof that a holder of the key made it. A log with such lines is intact.
    /// The line is without its line feed, and so is the new one.
    ///
    /// ```
    /// use stockade_audit::{ChainKey, LogLine};
    /// use stockade_core::clock::Timestamp;
    ///
    /// # let secret = [7; 32];
    /// # let now = Timestamp::from_secs(1_800_000_000);
    /// let key = ChainKey::new("k1", secret)?;
    /// let record = r#"{"timestamp":"2026-01-31T12:00:00.000000Z","level":"info","message":"request completed","user":"team-core","seq":7}"#;
    /// let forgotten = key.forget(record.as_bytes(), now).expect("a record");
    /// let line: LogLine = std::str::from_utf8(&forgotten)?.parse()?;
    /// assert_eq!((line.seq, line.user), (7, None));
    /// assert_eq!(key.forget(&forgotten, now), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forget(&self, line: &[u8], now: Timestamp) -> Option<Vec<u8>> {
        let covered = Sealed::parse(line).map_or(line, |sealed| sealed.covered);
        let time = covered.strip_prefix(TIME)?.get(..TIME_LENGTH)?;
        let is_kept = |event: &&[u8]| memchr::memmem::find(covered, event).is_some();
        if !time.is_ascii() || time.contains(&b'"') || KEPT.iter().any(is_kept) {
            return None;
        }
        // The number and the seal stay as they are.
        let rest = &line[memchr::memmem::rfind(covered, b",\"seq\":")?..];
        let mut forgotten = [TIME, time, KIND].concat();
        let mut push = |part: &[u8]| forgotten.extend_from_slice(part);
        push(text_field!("forgotten").as_bytes());
        let mut at = Vec::new();
        push_rfc3339(&mut at, now);
        push(&at);
        push(b"\"");
        push(text_field!("digest").as_bytes());
        push(hex::encode(line_digest(covered)).as_bytes());
        push(b"\"");
        push(text_field!("proof_key").as_bytes());
        push(self.id().as_bytes());
        push(b"\"");
        let proof = hex::encode(self.sign(PURPOSE, &[&forgotten, rest].concat()));
        for part in [
            text_field!("proof").as_bytes(),
            proof.as_bytes(),
            b"\"",
            rest,
        ] {
            forgotten.extend_from_slice(part);
        }
        Some(forgotten)
    }
}

/// A line that replaces a record.
pub(crate) struct Forgotten<'a> {
    /// The digest of the record.
    pub(crate) digest: Mac,
    /// The id of the key of the proof.
    pub(crate) key: &'a str,
    proof: Mac,
    /// What the proof covers: the line without it.
    before: &'a [u8],
    after: &'a [u8],
}

impl<'a> Forgotten<'a> {
    /// Parses a line without its line feed; `None` if it is another line.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_prefix(TIME)?.get(TIME_LENGTH..)?;
        let rest = rest.strip_prefix(KIND)?;
        let (_, rest) = field(rest, text_field!("forgotten"))?;
        let (digits, rest) = field(rest, text_field!("digest"))?;
        let (key, rest) = field(rest, text_field!("proof_key"))?;
        let before = &line[..line.len() - rest.len()];
        let (proof, after) = field(rest, text_field!("proof"))?;
        Some(Self {
            digest: digest(digits)?,
            key: std::str::from_utf8(key).ok()?,
            proof: digest(proof)?,
            before,
            after,
        })
    }

    /// Verifies that a holder of the key replaced the record.
    pub(crate) fn verify(&self, key: &ChainKey) -> bool {
        key.verify(PURPOSE, &[self.before, self.after].concat(), &self.proof)
    }
}

/// The value of the first field, and what follows it.
fn field<'a>(text: &'a [u8], name: &str) -> Option<(&'a [u8], &'a [u8])> {
    let value = text.strip_prefix(name.as_bytes())?;
    let (value, rest) = value.split_at(memchr::memchr(b'"', value)?);
    Some((value, &rest[1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn record(event: &str) -> Vec<u8> {
        format!(
            "{{\"timestamp\":\"2026-01-31T12:00:00.000000Z\",\"level\":\"info\"{event},\"seq\":7}}"
        )
        .into_bytes()
    }

    fn key(secret: u8) -> ChainKey {
        ChainKey::new("k1", [secret; 32]).unwrap()
    }

    #[test]
    fn proof_covers_the_whole_line() {
        let record = record(",\"user\":\"team-core\"");
        let line = key(7).forget(&record, NOW).unwrap();
        let parsed = Forgotten::parse(&line).unwrap();
        assert_eq!((parsed.digest, parsed.key), (line_digest(&record), "k1"));
        assert!(parsed.verify(&key(7)));
        assert!(!parsed.verify(&key(8)));
        // Another time, another number, another digest.
        for at in [20, line.len() - 2, 150] {
            let mut other = line.clone();
            other[at] = if other[at] == b'1' { b'2' } else { b'1' };
            let verifies = Forgotten::parse(&other).is_some_and(|other| other.verify(&key(7)));
            assert!(!verifies, "{}", String::from_utf8_lossy(&other));
        }
    }

    #[test]
    fn events_of_the_log_are_kept() {
        for event in ["log_opened", "chain_key_rotated", "records_lost"] {
            let line = record(&format!(",\"event\":\"{event}\""));
            assert_eq!(key(7).forget(&line, NOW), None, "{event}");
        }
        let line = key(7).forget(&record(""), NOW).unwrap();
        assert_eq!(key(7).forget(&line, NOW), None);
        assert_eq!(key(7).forget(b"{\"seq\":7}", NOW), None);
        assert_eq!(key(7).forget(b"text", NOW), None);
    }
}
