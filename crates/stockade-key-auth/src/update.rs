//! Changes to the fields of a key.

use std::collections::BTreeMap;

use stockade_core::{
    client::IpPrefix,
    clock::Timestamp,
    identity::{QuotaOverrides, ScopeSet},
};

use crate::KeyRecord;

/// New values for fields of a key; absent fields do not change.
///
/// An update can grant more than before: the caller checks whether that is permitted.
///
/// ```
/// use stockade_core::clock::Timestamp;
/// use stockade_key_auth::{GeneratedKey, KeyChange, KeyRecord, KeyUpdate};
///
/// let key = GeneratedKey::new("sk", "team-core".parse()?)?;
/// let record = KeyRecord::new(key.id().clone(), key.digest()).owner("ops@example.com");
/// let mut update = KeyUpdate::default();
/// update.scopes = Some("chat:write".parse()?);
/// update.owner = Some(None);
/// let change = KeyChange::Update {
///     update: Box::new(update),
///     expected: None,
///     at: Timestamp::from_secs(1_800_000_000),
/// };
/// let changed = change.apply(record)?;
/// assert_eq!(changed.scopes.to_string(), "chat:write");
/// assert_eq!(changed.owner, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyUpdate {
    /// The display name; `Some(None)` removes it.
    pub name: Option<Option<String>>,
    /// The contact; `Some(None)` removes it.
    pub owner: Option<Option<String>>,
    /// The granted scopes.
    pub scopes: Option<ScopeSet>,
    /// The allowed models; `Some(None)` allows all.
    pub models: Option<Option<Vec<String>>>,
    /// All quotas that override the defaults.
    pub quotas: Option<QuotaOverrides>,
    /// The networks from which the key may be used; an empty list allows all.
    pub networks: Option<Vec<IpPrefix>>,
    /// When the key expires; `Some(None)` is never.
    pub expires: Option<Option<Timestamp>>,
    /// All notes.
    pub metadata: Option<BTreeMap<String, String>>,
}

impl KeyUpdate {
    pub(crate) fn apply(&self, record: &mut KeyRecord) {
        set(&mut record.name, &self.name);
        set(&mut record.owner, &self.owner);
        set(&mut record.scopes, &self.scopes);
        set(&mut record.models, &self.models);
        set(&mut record.quotas, &self.quotas);
        set(&mut record.networks, &self.networks);
        set(&mut record.expires, &self.expires);
        set(&mut record.metadata, &self.metadata);
        if let (Some(previous), Some(expires)) = (&mut record.previous, record.expires) {
            previous.until = previous.until.min(expires);
        }
    }
}

fn set<T>(field: &mut T, new: &Option<T>)
where
    T: Clone,
{
    if let Some(new) = new {
        field.clone_from(new);
    }
}
