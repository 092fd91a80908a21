//! A key record, prepared for lists.

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use stockade_core::clock::Timestamp;
use stockade_key_auth::{KeyRecord, QuotaFields};
use utoipa::ToSchema;

use crate::time;

/// The metadata that names the team of a key.
pub(crate) const TEAM: &str = "team";

/// A record, with its text for searches.
pub(crate) struct KeyEntry {
    pub(crate) record: KeyRecord,
    text: String,
}

/// Whether a key is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeyState {
    Active,
    Expired,
    Revoked,
}

/// A key as the API shows it: without its hash.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyView {
    pub(crate) id: String,
    name: Option<String>,
    owner: Option<String>,
    team: Option<String>,
    scopes: Vec<String>,
    models: Option<Vec<String>>,
    networks: Vec<String>,
    #[schema(value_type = std::collections::BTreeMap<String, u32>)]
    quotas: QuotaFields,
    state: KeyState,
    /// The SPIFFE ID of the clients' certificate, for a key that has no secret.
    certificate: Option<String>,
    created_at: Option<String>,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    pub(crate) last_used_at: Option<String>,
    /// The end of the grace period of the previous secret.
    rotating_until: Option<String>,
    metadata: std::collections::BTreeMap<String, String>,
}

impl KeyEntry {
    pub(crate) fn new(record: KeyRecord) -> Self {
        let mut text = record.id.as_str().to_lowercase();
        let texts = [&record.name, &record.owner].into_iter().flatten();
        for part in texts.chain(record.metadata.get(TEAM)) {
            text.push('\n');
            text.push_str(&part.to_lowercase());
        }
        Self { record, text }
    }

    /// Whether the id, the name, the owner or the team contains a lowercase text.
    pub(crate) fn contains(&self, text: &str) -> bool {
        self.text.contains(text)
    }

    pub(crate) fn state(&self, now: Timestamp) -> KeyState {
        match self.record.expires {
            _ if self.record.revoked.is_some() => KeyState::Revoked,
            Some(expires) if expires <= now => KeyState::Expired,
            _ => KeyState::Active,
        }
    }

    pub(crate) fn view(&self, now: Timestamp) -> KeyView {
        let record = &self.record;
        let time = |at: Option<Timestamp>| at.map(rfc3339);
        let mut metadata = record.metadata.clone();
        let previous = record.previous.as_ref();
        let previous = previous.filter(|previous| previous.until > now);
        KeyView {
            id: record.id.to_string(),
            name: record.name.clone(),
            owner: record.owner.clone(),
            team: metadata.remove(TEAM),
            scopes: record.scopes.iter().map(ToString::to_string).collect(),
            models: record.models.clone(),
            networks: record.networks.iter().map(ToString::to_string).collect(),
            quotas: record.quotas.into(),
            state: self.state(now),
            certificate: record.hash.as_certificate().map(ToString::to_string),
            created_at: time(record.created),
            expires_at: time(record.expires),
            revoked_at: time(record.revoked),
            last_used_at: time(record.last_used),
            rotating_until: time(previous.map(|previous| previous.until)),
            metadata,
        }
    }

    /// The entity tag: a digest of everything but the time of last use. That of the secret is
    /// included, and is not revealed by it.
    pub(crate) fn etag(&self) -> String {
        let view = KeyView {
            last_used_at: None,
            rotating_until: None,
            state: KeyState::Active,
            ..self.view(Timestamp::from_nanos(u64::MAX))
        };
        let view = serde_json::to_vec(&view).expect("texts and numbers can be written as JSON");
        let digest = Sha256::new()
            .chain_update(view)
            .chain_update(self.record.hash.to_string())
            .finalize();
        let number = digest
            .first_chunk()
            .map_or(0, |bytes| u64::from_le_bytes(*bytes));
        format!("\"{number:016x}\"")
    }
}

/// A time of a record, as RFC 3339.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    time::rfc3339(i64::try_from(at.as_nanos() / 1_000_000).unwrap_or(i64::MAX))
}
