//! A key as a store keeps it.

use std::{collections::BTreeMap, fmt};

use stockade_core::{
    client::IpPrefix,
    clock::Timestamp,
    identity::QuotaOverrides,
    identity::{Principal, ScopeSet},
};

use crate::{KeyHash, KeyId};

/// A key as a store keeps it: who it is, what it may do, until when.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyRecord {
    /// The key's name, which it keeps when it is rotated.
    pub id: KeyId,
    /// What is kept of the key's text.
    pub hash: KeyHash,
    /// What people call it.
    pub name: Option<String>,
    /// Whom to write to about it; handlers see it as the attribute `owner`.
    pub owner: Option<String>,
    /// What it may do.
    pub scopes: ScopeSet,
    /// The only models that it may use; all of them where there is no list.
    pub models: Option<Vec<String>>,
    /// Limits of its own.
    pub quotas: QuotaOverrides,
    /// The only networks that it may be used from; everywhere where there are none.
    pub networks: Vec<IpPrefix>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// From when on it is refused.
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// When it was last used, to the minute or so.
    pub last_used: Option<Timestamp>,
    /// What else its owner notes; nothing is read from it.
    pub metadata: BTreeMap<String, String>,
    /// The hash before the last rotation, while it is still taken.
    pub previous: Option<PreviousHash>,
}

/// A hash that was replaced by a rotation, and is taken for a while longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousHash {
    /// The hash.
    pub hash: KeyHash,
    /// From when on it is refused.
    pub until: Timestamp,
}

impl KeyRecord {
    /// A key that may do nothing yet and never expires.
    pub fn new(id: KeyId, hash: impl Into<KeyHash>) -> Self {
        Self {
            id,
            hash: hash.into(),
            name: None,
            owner: None,
            scopes: ScopeSet::default(),
            models: None,
            quotas: QuotaOverrides::default(),
            networks: Vec::new(),
            created: None,
            expires: None,
            revoked: None,
            last_used: None,
            metadata: BTreeMap::new(),
            previous: None,
        }
    }

    /// Whether one of its hashes is that of a [well-known
    /// secret](KeyHash::is_of_known_secret), so that no store takes it.
    pub fn has_known_secret(&self) -> bool {
        let previous = self.previous.as_ref();
        self.hash.is_of_known_secret()
            || previous.is_some_and(|previous| previous.hash.is_of_known_secret())
    }

    /// Sets [`owner`](Self#structfield.owner).
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Sets [`scopes`](Self#structfield.scopes).
    pub fn scopes(mut self, scopes: ScopeSet) -> Self {
        self.scopes = scopes;
        self
    }

    /// Sets [`networks`](Self#structfield.networks).
    pub fn networks(mut self, networks: impl IntoIterator<Item = IpPrefix>) -> Self {
        self.networks = networks.into_iter().collect();
        self
    }

    /// Sets [`created`](Self#structfield.created).
    pub fn created(mut self, at: Timestamp) -> Self {
        self.created = Some(at);
        self
    }

    /// Sets [`expires`](Self#structfield.expires).
    pub fn expires(mut self, at: Timestamp) -> Self {
        self.expires = Some(at);
        self
    }

    pub(crate) fn principal(&self) -> Principal {
        let mut principal = Principal::builder(self.id.as_str())
            .scopes(self.scopes.clone())
            .quotas(self.quotas);
        if let Some(models) = &self.models {
            principal = principal.models(models.iter().map(|model| model.as_str().into()));
        }
        for (name, value) in [("owner", &self.owner), ("name", &self.name)] {
            if let Some(value) = value {
                principal = principal.attribute(name, value.as_str());
            }
        }
        principal.build()
    }
}

impl fmt::Debug for KeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRecord")
            .field("id", &self.id)
            .field("hash", &self.hash)
            .field("scopes", &self.scopes)
            .field("expires", &self.expires)
            .field("revoked", &self.revoked)
            .finish_non_exhaustive()
    }
}
