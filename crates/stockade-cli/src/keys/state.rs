//! The state of a key.

use anstyle::Style;
use stockade_core::clock::Timestamp;
use stockade_key_auth::KeyRecord;

use crate::output::{ERROR, SUCCESS, WARNING};

/// The state of a key at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyState {
    Active,
    /// Active, and the secret before the last rotation is valid until this time.
    Rotating(Timestamp),
    Expired,
    Revoked,
}

impl KeyState {
    pub(crate) fn new(record: &KeyRecord, now: Timestamp) -> Self {
        let previous = record.previous.as_ref().map(|previous| previous.until);
        if record.revoked.is_some() {
            Self::Revoked
        } else if record.expires.is_some_and(|expires| expires <= now) {
            Self::Expired
        } else {
            match previous {
                Some(until) if until > now => Self::Rotating(until),
                _ => Self::Active,
            }
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Rotating(_) => "rotating",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    pub(crate) fn style(self) -> Style {
        match self {
            Self::Active => SUCCESS,
            Self::Rotating(_) => WARNING,
            Self::Expired | Self::Revoked => ERROR,
        }
    }
}

#[cfg(test)]
mod tests {
    use stockade_key_auth::{KeyChange, KeyDigest};

    use super::*;

    #[test]
    fn distinguishes_states() {
        let at = Timestamp::from_secs;
        let active = KeyRecord::new("a".parse().unwrap(), KeyDigest::of(b"1")).expires(at(100));
        let rotate = KeyChange::Rotate {
            hash: KeyDigest::of(b"2").into(),
            grace: std::time::Duration::from_secs(10),
            at: at(50),
        };
        let rotated = rotate.apply(active.clone()).unwrap();
        let revoked = KeyChange::Revoke { at: at(1) };
        let revoked = revoked.apply(rotated.clone()).unwrap();
        for (record, now, state) in [
            (&active, 99, KeyState::Active),
            (&active, 100, KeyState::Expired),
            (&rotated, 59, KeyState::Rotating(at(60))),
            (&rotated, 60, KeyState::Active),
            (&rotated, 100, KeyState::Expired),
            (&revoked, 50, KeyState::Revoked),
        ] {
            assert_eq!(KeyState::new(record, at(now)), state);
        }
    }
}
