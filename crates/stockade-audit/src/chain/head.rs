//! The signed head: the last record and seal of a log.

use serde::Deserialize;
use stockade_core::clock::Timestamp;

use super::{ChainKey, Mac, seal::digest};
use crate::timestamp::push_rfc3339;

const PURPOSE: &[u8] = b"stockade audit 1: head\n";

/// The end of a log at its last checkpoint. It is stored next to the log, so that the
/// verifier detects a truncated log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The number of the last record.
    pub(crate) seq: u64,
    /// The digest of the last batch.
    pub(crate) tip: Mac,
}

/// The stored form of a head.
#[derive(Deserialize)]
struct Text<'a> {
    key: &'a str,
    seq: u64,
    tip: &'a str,
    mac: &'a str,
}

/// Returns the text that the digest covers.
fn covered(seq: u64, tip: &str, key: &str) -> Vec<u8> {
    format!("{seq} {tip} {key}").into_bytes()
}

impl Head {
    pub(super) fn sign(&self, key: &ChainKey, now: Timestamp) -> String {
        let mut timestamp = Vec::new();
        push_rfc3339(&mut timestamp, now);
        let timestamp = String::from_utf8_lossy(&timestamp);
        let (seq, tip, id) = (self.seq, hex::encode(self.tip), key.id());
        let mac = hex::encode(key.sign(PURPOSE, &covered(seq, &tip, id)));
        format!(
            "{{\"timestamp\":\"{timestamp}\",\"seq\":{seq},\"tip\":\"{tip}\",\"key\":\"{id}\",\"mac\":\"{mac}\"}}\n"
        )
    }

    /// Parses a head and verifies its signature; `None` if either fails.
    pub(crate) fn verify<'a>(
        text: &str,
        key: impl FnOnce(&str) -> Option<&'a ChainKey>,
    ) -> Option<Self> {
        let text: Text<'_> = serde_json::from_str(text).ok()?;
        let mac = digest(text.mac.as_bytes())?;
        let covered = covered(text.seq, text.tip, text.key);
        let genuine = key(text.key)?.verify(PURPOSE, &covered, &mac);
        genuine.then_some(Self {
            seq: text.seq,
            tip: digest(text.tip.as_bytes())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_forged_heads() {
        let key = ChainKey::new("k1", [7; 32]).unwrap();
        let head = Head {
            seq: 41,
            tip: [9; 32],
        };
        let text = head.sign(&key, Timestamp::from_secs(1));
        assert_eq!(
            Head::verify(&text, |id| (id == "k1").then_some(&key)),
            Some(head)
        );

        let other = ChainKey::new("k1", [8; 32]).unwrap();
        assert_eq!(Head::verify(&text, |_| Some(&other)), None);
        assert_eq!(Head::verify(&text, |_| None), None);
        let forged = text.replace("\"seq\":41", "\"seq\":40");
        assert_eq!(Head::verify(&forged, |_| Some(&key)), None);
    }
}
