//! The error of duplicate keys.

use std::{error::Error, fmt};

use crate::KeyId;

/// The error of two keys with the same id, hash or certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateKeyError {
    id: KeyId,
    other: Option<KeyId>,
    is_certificate: bool,
}

impl DuplicateKeyError {
    pub(crate) fn id(id: KeyId) -> Self {
        Self {
            id,
            other: None,
            is_certificate: false,
        }
    }

    pub(super) fn hash(id: KeyId, other: KeyId) -> Self {
        Self {
            id,
            other: Some(other),
            is_certificate: false,
        }
    }

    pub(super) fn certificate(id: KeyId, other: KeyId) -> Self {
        Self {
            is_certificate: true,
            ..Self::hash(id, other)
        }
    }

    /// Returns the id of the second key.
    pub fn key(&self) -> &KeyId {
        &self.id
    }

    /// Returns the id of the first key, if it differs.
    pub fn other(&self) -> Option<&KeyId> {
        self.other.as_ref()
    }
}

impl fmt::Display for DuplicateKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.other {
            None => write!(f, "two keys have the id {}; rename one", self.id),
            Some(other) if self.is_certificate => write!(
                f,
                "the keys {} and {other} have the same certificate; remove one of them",
                self.id
            ),
            Some(other) => write!(
                f,
                "the keys {} and {other} have the same hash; issue a new key for one of them",
                self.id
            ),
        }
    }
}

impl Error for DuplicateKeyError {}
