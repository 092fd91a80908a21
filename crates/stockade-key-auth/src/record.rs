//! Stored keys.

use std::{collections::BTreeMap, fmt};

use stockade_core::{
    client::IpPrefix,
    clock::Timestamp,
    identity::{Principal, QuotaOverrides, ScopeSet},
};

use crate::{KeyHash, KeyId};

/// A stored key: its id, hash or certificate, permissions and lifetime.
///
/// ```
/// use stockade_core::clock::Timestamp;
/// use stockade_key_auth::{GeneratedKey, KeyRecord};
///
/// let key = GeneratedKey::new("sk", "team-core".parse()?)?;
/// let record = KeyRecord::new(key.id().clone(), key.digest())
///     .owner("ops@example.com")
///     .scopes("chat:write models:read".parse()?)
///     .networks(["10.0.0.0/8".parse()?])
///     .expires(Timestamp::from_secs(1_900_000_000));
/// assert_eq!(record.id.as_str(), "team-core");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyRecord {
    /// The id, which a rotation keeps.
    pub id: KeyId,
    /// The hash of the secret, or the client certificate in its place.
    pub hash: KeyHash,
    /// A display name.
    pub name: Option<String>,
    /// A contact; available to handlers as the attribute `owner`.
    pub owner: Option<String>,
    /// The granted scopes.
    pub scopes: ScopeSet,
    /// The allowed models; `None` allows all.
    pub models: Option<Vec<String>>,
    /// Quotas that override the defaults.
    pub quotas: QuotaOverrides,
    /// The networks from which the key may be used; empty allows all.
    pub networks: Vec<IpPrefix>,
    /// When the key was created.
    pub created: Option<Timestamp>,
    /// When the key expires.
    pub expires: Option<Timestamp>,
    /// When the key was revoked.
    pub revoked: Option<Timestamp>,
    /// When the key was last used, with a resolution of about a minute.
    pub last_used: Option<Timestamp>,
    /// Arbitrary notes. `team` is available to handlers as an attribute, and to the budgets of an
    /// administration; Stockade does not interpret the others.
    pub metadata: BTreeMap<String, String>,
    /// The hash before the last rotation, during its grace period.
    pub previous: Option<PreviousHash>,
}

/// A hash that a rotation replaced, accepted during a grace period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousHash {
    /// The hash.
    pub hash: KeyHash,
    /// When the grace period ends.
    pub until: Timestamp,
}

impl KeyRecord {
    /// Creates a key without scopes or expiry.
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

    /// Returns whether a hash is that of a [well-known secret](KeyHash::is_of_known_secret),
    /// which stores reject.
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
        let team = self.metadata.get("team");
        let attributes = [
            ("owner", self.owner.as_ref()),
            ("name", self.name.as_ref()),
            ("team", team),
        ];
        for (name, value) in attributes {
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
