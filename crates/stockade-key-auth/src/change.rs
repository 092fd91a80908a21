//! What can be done to a key: pure, so that every store does the same.

use std::{error::Error, fmt, time::Duration};

use stockade_core::clock::Timestamp;

use crate::{KeyHash, KeyRecord, PreviousHash, store::KNOWN_SECRET};

/// A change to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyChange {
    /// Refuses the key for good. Revoking it again changes nothing.
    Revoke {
        /// Now.
        at: Timestamp,
    },
    /// Replaces the key's text, and takes the old one for a while longer.
    ///
    /// The id and the expiry stay as they are. The old text is taken until `grace` has
    /// passed or the key expires, whichever comes first; with no grace it is refused at
    /// once. A text before that is refused at once, too. Rotating to the hash that the key
    /// already has changes nothing, so a rotation can be repeated safely.
    Rotate {
        /// The hash of the new text.
        hash: KeyHash,
        /// How long the old text is still taken; [`DEFAULT_GRACE`] is usual.
        grace: Duration,
        /// Now.
        at: Timestamp,
    },
    /// Sets the time from which on the key is refused, earlier or later than the one before.
    /// The text before the last rotation is not taken beyond it.
    SetExpiry {
        /// From when on the key is refused.
        expires: Timestamp,
        /// Now.
        at: Timestamp,
    },
    /// Notes that the key was used; an earlier time changes nothing.
    RecordUse {
        /// When.
        at: Timestamp,
    },
}

/// How long a rotated key's old text is usually still taken: a day.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(24 * 60 * 60);

impl KeyChange {
    /// The key after the change.
    ///
    /// # Errors
    /// When the key was revoked, or has expired, and should be rotated; and when the new hash
    /// is that of a well-known secret.
    pub fn apply(&self, mut record: KeyRecord) -> Result<KeyRecord, KeyChangeError> {
        match self {
            Self::Revoke { at } => {
                record.revoked.get_or_insert(*at);
                record.previous = None;
            }
            Self::RecordUse { at } => record.last_used = record.last_used.max(Some(*at)),
            Self::SetExpiry { expires, at } => {
                is_alive(&record, *at)?;
                record.expires = Some(*expires);
                if let Some(previous) = &mut record.previous {
                    previous.until = previous.until.min(*expires);
                }
            }
            Self::Rotate { hash, grace, at } => {
                is_alive(&record, *at)?;
                if hash.is_of_known_secret() {
                    return Err(KeyChangeError::KnownSecret);
                }
                if record.hash != *hash {
                    let until = *at + *grace;
                    let until = record.expires.map_or(until, |expires| until.min(expires));
                    let old = std::mem::replace(&mut record.hash, hash.clone());
                    record.previous =
                        (!grace.is_zero()).then_some(PreviousHash { hash: old, until });
                }
            }
        }
        Ok(record)
    }
}

fn is_alive(record: &KeyRecord, now: Timestamp) -> Result<(), KeyChangeError> {
    if record.revoked.is_some() {
        return Err(KeyChangeError::Revoked);
    }
    match record.expires {
        Some(expires) if expires <= now => Err(KeyChangeError::Expired),
        _ => Ok(()),
    }
}

/// Why a key cannot be changed so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyChangeError {
    /// A revoked key stays revoked.
    Revoked,
    /// No change makes an expired key valid again.
    Expired,
    /// The new hash is that of a well-known secret.
    KnownSecret,
}

impl fmt::Display for KeyChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Revoked => "the key was revoked; make a new one",
            Self::Expired => "the key has expired; make a new one",
            Self::KnownSecret => KNOWN_SECRET,
        })
    }
}

impl Error for KeyChangeError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyDigest;

    fn hash(text: &str) -> KeyHash {
        KeyDigest::of(text.as_bytes()).into()
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn rotate(to: &str, grace: u64, now: u64) -> KeyChange {
        KeyChange::Rotate {
            hash: hash(to),
            grace: Duration::from_secs(grace),
            at: at(now),
        }
    }

    fn record() -> KeyRecord {
        KeyRecord::new("a".parse().unwrap(), hash("one")).expires(at(1_000))
    }

    #[test]
    fn a_rotation_keeps_id_and_expiry_and_the_old_text_for_a_while() {
        let rotated = rotate("two", 100, 500).apply(record()).unwrap();
        assert_eq!(rotated.hash, hash("two"));
        assert_eq!(
            (rotated.id.as_str(), rotated.expires),
            ("a", Some(at(1_000)))
        );
        let previous = rotated.previous.clone().unwrap();
        assert_eq!((previous.hash, previous.until), (hash("one"), at(600)));

        let again = rotate("two", 100, 550).apply(rotated.clone()).unwrap();
        assert_eq!(again, rotated);

        let third = rotate("three", 100, 560).apply(rotated).unwrap();
        assert_eq!(third.previous.unwrap().hash, hash("two"));
    }

    #[test]
    fn grace_never_outlives_the_expiry_and_can_be_none() {
        let rotated = rotate("two", 100_000, 500).apply(record()).unwrap();
        assert_eq!(rotated.previous.unwrap().until, at(1_000));
        let rotated = rotate("two", 0, 500).apply(record()).unwrap();
        assert_eq!(rotated.previous, None);
    }

    #[test]
    fn dead_keys_stay_dead() {
        let revoked = KeyChange::Revoke { at: at(5) }.apply(record()).unwrap();
        let again = KeyChange::Revoke { at: at(9) }
            .apply(revoked.clone())
            .unwrap();
        assert_eq!(again.revoked, Some(at(5)));
        assert_eq!(
            rotate("two", 1, 9).apply(revoked),
            Err(KeyChangeError::Revoked)
        );
        assert_eq!(
            rotate("two", 1, 1_000).apply(record()),
            Err(KeyChangeError::Expired)
        );
    }

    // FS06
    #[test]
    fn an_expiry_can_be_set_while_the_key_is_alive() {
        let expire = |expires, now| KeyChange::SetExpiry {
            expires: at(expires),
            at: at(now),
        };
        let mut eternal = record();
        eternal.expires = None;
        let rotated = rotate("two", 100, 500).apply(eternal).unwrap();
        let expiring = expire(550, 510).apply(rotated).unwrap();
        assert_eq!(expiring.expires, Some(at(550)));
        assert_eq!(expiring.previous.clone().unwrap().until, at(550));
        let later = expire(2_000, 549).apply(expiring.clone()).unwrap();
        assert_eq!(later.expires, Some(at(2_000)));
        assert_eq!(
            expire(2_000, 550).apply(expiring),
            Err(KeyChangeError::Expired)
        );
        let revoked = KeyChange::Revoke { at: at(5) }.apply(record()).unwrap();
        assert_eq!(
            expire(2_000, 6).apply(revoked),
            Err(KeyChangeError::Revoked)
        );
    }

    #[test]
    fn use_is_only_noted_forwards() {
        let used = KeyChange::RecordUse { at: at(9) }.apply(record()).unwrap();
        let used = KeyChange::RecordUse { at: at(5) }.apply(used).unwrap();
        assert_eq!(used.last_used, Some(at(9)));
    }
}
