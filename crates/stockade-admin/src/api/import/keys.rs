//! Imports keys. An export has no secrets, so each key gets a new one, unless clients present a
//! certificate.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use stockade_key_auth::{GeneratedKey, KeyRecord, QuotaFields};
use utoipa::ToSchema;

use crate::{
    actor::Actor,
    api::keys::{NewKey, changed, directory},
    error::{ApiResult, ErrorBody},
    keys::KeyState,
    state::AdminState,
    time,
};

/// A key of an export. The other fields are ignored.
#[derive(Deserialize, ToSchema)]
pub(super) struct KeyImport {
    id: String,
    name: Option<String>,
    owner: Option<String>,
    team: Option<String>,
    scopes: Vec<String>,
    models: Option<Vec<String>>,
    #[serde(default)]
    networks: Vec<String>,
    #[schema(value_type = Option<BTreeMap<String, u32>>)]
    quotas: Option<QuotaFields>,
    state: Option<KeyState>,
    certificate: Option<String>,
    expires_at: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

/// What was done with the keys, by id.
#[derive(Default, Serialize, ToSchema)]
pub(super) struct KeysReport {
    created: Vec<String>,
    /// These exist.
    skipped: Vec<String>,
    /// These are not created.
    revoked: Vec<String>,
    expired: Vec<String>,
    /// The new secrets of the created keys, which are returned once. Keys with a certificate have
    /// none.
    secrets: BTreeMap<String, String>,
    /// The errors of the key store.
    failed: BTreeMap<String, ErrorBody>,
}

pub(super) type GeneratedKeys = Vec<(GeneratedKey, KeyRecord)>;

/// Generates the keys that are neither present nor revoked nor expired.
pub(super) async fn generate(
    state: &AdminState,
    imports: Vec<KeyImport>,
    report: &mut KeysReport,
) -> ApiResult<GeneratedKeys> {
    if imports.is_empty() {
        return Ok(Vec::new());
    }
    let now = state.now();
    let present = directory(state)?.all().await?;
    let mut seen: BTreeSet<_> = present.keys().map(ToString::to_string).collect();
    let mut generated = Vec::new();
    for (at, import) in imports.into_iter().enumerate() {
        let id = import.id.clone();
        let list = match import.state {
            _ if seen.contains(&id) => &mut report.skipped,
            Some(KeyState::Revoked) => &mut report.revoked,
            _ if import.is_expired(now) => &mut report.expired,
            _ => {
                let key = NewKey::from(import).generate();
                generated.push(key.map_err(|error| error.within(&format!("keys[{at}]")))?);
                seen.insert(id.clone());
                &mut report.created
            }
        };
        list.push(id);
    }
    Ok(generated)
}

/// Creates the keys. A failure does not end the import: the secrets of the others would be lost.
pub(super) async fn create(
    state: &AdminState,
    actor: &Actor,
    generated: GeneratedKeys,
    report: &mut KeysReport,
) -> ApiResult<()> {
    for (key, record) in generated {
        let id = key.id().to_string();
        let has_certificate = record.hash.as_certificate().is_some();
        match directory(state)?.create(record).await {
            Ok(_) if has_certificate => {
                changed(
                    state,
                    actor,
                    key.id(),
                    "imported with its certificate".into(),
                );
            }
            Ok(_) => {
                changed(state, actor, key.id(), "imported with a new secret".into());
                report.secrets.insert(id, key.expose().to_owned());
            }
            Err(error) => {
                report.created.retain(|created| *created != id);
                report.failed.insert(id, error.body());
            }
        }
    }
    Ok(())
}

impl KeyImport {
    fn is_expired(&self, now: i64) -> bool {
        let expires = self.expires_at.as_deref().and_then(time::parse);
        expires.is_some_and(|at| at <= now)
    }
}

impl From<KeyImport> for NewKey {
    fn from(import: KeyImport) -> Self {
        Self {
            id: Some(import.id),
            name: import.name,
            owner: import.owner,
            team: import.team,
            scopes: import.scopes,
            models: import.models,
            networks: import.networks,
            quotas: import.quotas,
            certificate: import.certificate,
            expires_at: import.expires_at,
            metadata: import.metadata,
        }
    }
}
