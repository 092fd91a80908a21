//! A key as a store keeps it.

use std::fmt;

use stockade_core::{Principal, ScopeSet, Timestamp};

use crate::{KeyHash, KeyId, hash::Kind};

/// A key as a store keeps it: who it is, what it may do, until when.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRecord {
    id: KeyId,
    hash: KeyHash,
    owner: Option<Box<str>>,
    scopes: ScopeSet,
    created: Option<Timestamp>,
    expires: Option<Timestamp>,
}

impl KeyRecord {
    /// A key that may do nothing yet and never expires.
    pub fn new(id: KeyId, hash: impl Into<KeyHash>) -> Self {
        Self {
            id,
            hash: hash.into(),
            owner: None,
            scopes: ScopeSet::default(),
            created: None,
            expires: None,
        }
    }

    /// Whom to write to about the key; handlers see it as the attribute `owner`.
    pub fn owner(mut self, owner: impl Into<Box<str>>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// What the key may do.
    pub fn scopes(mut self, scopes: ScopeSet) -> Self {
        self.scopes = scopes;
        self
    }

    /// When the key was made.
    pub fn created(mut self, at: Timestamp) -> Self {
        self.created = Some(at);
        self
    }

    /// From when on the key is refused.
    pub fn expires(mut self, at: Timestamp) -> Self {
        self.expires = Some(at);
        self
    }

    /// The key's name.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// When the key was made, where the store knows it.
    pub fn created_at(&self) -> Option<Timestamp> {
        self.created
    }

    /// From when on the key is refused.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires
    }

    pub(crate) fn hash(&self) -> &KeyHash {
        &self.hash
    }

    pub(crate) fn into_hash(self) -> Kind {
        self.hash.into_kind()
    }

    pub(crate) fn principal(&self) -> Principal {
        let principal = Principal::builder(self.id.as_str()).scopes(self.scopes.clone());
        match &self.owner {
            Some(owner) => principal.attribute("owner", owner.clone()),
            None => principal,
        }
        .build()
    }
}

impl fmt::Debug for KeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRecord")
            .field("id", &self.id)
            .field("hash", &self.hash)
            .field("scopes", &self.scopes)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
