//! Changes to a key, as pure functions that every store shares.

use std::{error::Error, fmt, time::Duration};

use stockade_core::clock::Timestamp;

use crate::{KeyHash, KeyRecord, KeyUpdate, PreviousHash, store::KNOWN_SECRET};

/// A change to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyChange {
    /// Revokes the key permanently. Idempotent.
    Revoke {
        /// The current time.
        at: Timestamp,
    },
    /// Replaces the secret, and accepts the old one for a grace period.
    ///
    /// The id and the expiry do not change. The old secret is accepted until `grace` has
    /// passed or the key expires, whichever comes first; with a zero `grace` it is rejected
    /// immediately, as are all earlier secrets. Rotating to the current hash changes nothing,
    /// so a rotation can be retried safely.
    Rotate {
        /// The hash of the new secret.
        hash: KeyHash,
        /// How long the old secret is still accepted; see [`DEFAULT_GRACE`].
        grace: Duration,
        /// The current time.
        at: Timestamp,
    },
    /// Sets the expiry, earlier or later than the current one. It also bounds the grace period
    /// of the previous secret.
    SetExpiry {
        /// When the key expires.
        expires: Timestamp,
        /// The current time.
        at: Timestamp,
    },
    /// Changes fields of the key.
    Update {
        /// The new values.
        update: Box<KeyUpdate>,
        /// The record that the change is based on: a key that differs from it, except in its last
        /// use, is not changed. `None` changes it in any case.
        expected: Option<Box<KeyRecord>>,
        /// The current time.
        at: Timestamp,
    },
    /// Records a use of the key; a time before the recorded one is ignored.
    RecordUse {
        /// When the key was used.
        at: Timestamp,
    },
}

/// The default grace period of a rotation: one day.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(24 * 60 * 60);

impl KeyChange {
    /// Applies the change and returns the new record.
    ///
    /// # Errors
    /// Returns an error when a revoked or expired key is rotated, updated or gets another expiry,
    /// when the key is not the expected one, when the new hash is that of a well-known secret, or
    /// when a certificate is rotated.
    pub fn apply(&self, mut record: KeyRecord) -> Result<KeyRecord, KeyChangeError> {
        match self {
            Self::Revoke { at } => {
                record.revoked.get_or_insert(*at);
                record.previous = None;
            }
            Self::RecordUse { at } => record.last_used = record.last_used.max(Some(*at)),
            Self::SetExpiry { expires, at } => {
                check_valid(&record, *at)?;
                record.expires = Some(*expires);
                if let Some(previous) = &mut record.previous {
                    previous.until = previous.until.min(*expires);
                }
            }
            Self::Update {
                update,
                expected,
                at,
            } => {
                check_expected(&record, expected.as_deref())?;
                check_valid(&record, *at)?;
                update.apply(&mut record);
            }
            Self::Rotate { hash, grace, at } => {
                check_valid(&record, *at)?;
                if [&record.hash, hash]
                    .iter()
                    .any(|hash| hash.as_certificate().is_some())
                {
                    return Err(KeyChangeError::Certificate);
                }
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

fn check_expected(record: &KeyRecord, expected: Option<&KeyRecord>) -> Result<(), KeyChangeError> {
    let is_expected = expected.is_none_or(|expected| {
        let mut expected = expected.clone();
        expected.last_used = record.last_used;
        expected == *record
    });
    match is_expected {
        true => Ok(()),
        false => Err(KeyChangeError::Conflict),
    }
}

fn check_valid(record: &KeyRecord, now: Timestamp) -> Result<(), KeyChangeError> {
    if record.revoked.is_some() {
        return Err(KeyChangeError::Revoked);
    }
    match record.expires {
        Some(expires) if expires <= now => Err(KeyChangeError::Expired),
        _ => Ok(()),
    }
}

/// The error of a change that a key does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyChangeError {
    /// The key was revoked.
    Revoked,
    /// The key has expired.
    Expired,
    /// The new hash is that of a well-known secret.
    KnownSecret,
    /// The key was changed by someone else.
    Conflict,
    /// The key has a client certificate, which a rotation cannot replace.
    Certificate,
}

impl fmt::Display for KeyChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Revoked => "the key was revoked; create a new one",
            Self::Expired => "the key has expired; create a new one",
            Self::KnownSecret => KNOWN_SECRET,
            Self::Conflict => "the key was changed meanwhile; read it again",
            Self::Certificate => {
                "a client certificate has no secret that can be replaced; renew it at its authority, \
                 or create another key"
            }
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
    fn rotation_keeps_id_expiry_and_previous_hash() {
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
    fn grace_ends_at_expiry_and_may_be_zero() {
        let rotated = rotate("two", 100_000, 500).apply(record()).unwrap();
        assert_eq!(rotated.previous.unwrap().until, at(1_000));
        let rotated = rotate("two", 0, 500).apply(record()).unwrap();
        assert_eq!(rotated.previous, None);
    }

    #[test]
    fn revoked_and_expired_keys_cannot_be_rotated() {
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

    #[test]
    fn certificates_cannot_be_rotated() {
        let certificate = KeyHash::certificate("spiffe://example.org/a".parse().unwrap());
        let record = KeyRecord::new("a".parse().unwrap(), certificate.clone());
        let to_certificate = KeyChange::Rotate {
            hash: certificate,
            grace: Duration::ZERO,
            at: at(1),
        };
        assert_eq!(
            rotate("two", 1, 1).apply(record),
            Err(KeyChangeError::Certificate)
        );
        assert_eq!(
            to_certificate.apply(self::record()),
            Err(KeyChangeError::Certificate)
        );
    }

    // FS06
    #[test]
    fn expiry_can_be_changed_while_the_key_is_valid() {
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
    fn updates_the_given_fields_only() {
        let mut before = record().owner("ops").scopes("chat:write".parse().unwrap());
        before.last_used = Some(at(5));
        let update = KeyUpdate {
            owner: Some(None),
            networks: Some(vec!["10.0.0.0/8".parse().unwrap()]),
            expires: Some(Some(at(550))),
            ..KeyUpdate::default()
        };
        let change = |expected: KeyRecord| KeyChange::Update {
            update: Box::new(update.clone()),
            expected: Some(Box::new(expected)),
            at: at(500),
        };
        let rotated = rotate("two", 100, 500).apply(before.clone()).unwrap();
        let stale = change(before).apply(rotated.clone());
        assert_eq!(stale, Err(KeyChangeError::Conflict));
        let mut unused = rotated.clone();
        unused.last_used = None;
        let updated = change(unused).apply(rotated.clone()).unwrap();
        assert_eq!((&updated.owner, updated.expires), (&None, Some(at(550))));
        assert_eq!(updated.networks.len(), 1);
        assert_eq!(updated.scopes, rotated.scopes);
        assert_eq!(updated.previous.clone().unwrap().until, at(550));
        let revoked = KeyChange::Revoke { at: at(5) }.apply(updated).unwrap();
        let change = change(revoked.clone());
        assert_eq!(change.apply(revoked), Err(KeyChangeError::Revoked));
    }

    #[test]
    fn last_use_never_moves_backwards() {
        let used = KeyChange::RecordUse { at: at(9) }.apply(record()).unwrap();
        let used = KeyChange::RecordUse { at: at(5) }.apply(used).unwrap();
        assert_eq!(used.last_used, Some(at(9)));
    }
}
