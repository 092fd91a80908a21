//! Changes fields of keys.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use stockade_key_auth::{KeyChange, KeyRecord, KeyUpdate, QuotaFields};
use utoipa::ToSchema;

use super::{changed, directory, fields, key_id, now, tagged};
use crate::{
    actor::Actor,
    api::{
        etag::{IfMatch, Tagged},
        json::{ApiJson, ApiPath},
    },
    error::ApiResult,
    keys::{KeyView, TEAM, rfc3339},
    state::AdminState,
};

/// New values. Absent fields do not change, and `null` removes a value.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct KeyPatch {
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    name: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    owner: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    team: Option<Option<String>>,
    scopes: Option<Vec<String>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    models: Option<Option<Vec<String>>>,
    networks: Option<Vec<String>>,
    /// All quotas.
    #[schema(value_type = Option<BTreeMap<String, u32>>)]
    quotas: Option<QuotaFields>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    expires_at: Option<Option<String>>,
    /// All metadata.
    metadata: Option<BTreeMap<String, String>>,
}

pub(super) async fn update(
    State(state): State<AdminState>,
    actor: Actor,
    ApiPath(id): ApiPath<String>,
    precondition: IfMatch,
    ApiJson(patch): ApiJson<KeyPatch>,
) -> ApiResult<Tagged<KeyView>> {
    let directory = directory(&state)?;
    let before = directory.find(&id).await?;
    precondition.check(&before.etag())?;
    let update = patch.update(&before.record)?;
    let change = KeyChange::Update {
        update: Box::new(update),
        // Another process may change the key after this check.
        expected: Some(Box::new(before.record.clone())),
        at: now(),
    };
    let id = key_id(&id)?;
    let after = directory.change(id.clone(), change).await?;
    for detail in differences(&before.record, &after.record) {
        changed(&state, &actor, &id, detail);
    }
    Ok(tagged(&after))
}

impl KeyPatch {
    fn update(self, before: &KeyRecord) -> ApiResult<KeyUpdate> {
        let mut update = KeyUpdate::default();
        let name = self.name.map(|name| fields::text("name", name));
        update.name = name.transpose()?;
        let owner = self.owner.map(|owner| fields::text("owner", owner));
        update.owner = owner.transpose()?;
        let scopes = self.scopes.map(|scopes| fields::scopes(&scopes));
        update.scopes = scopes.transpose()?;
        let models = self
            .models
            .map(|models| models.map(fields::models).transpose());
        update.models = models.transpose()?;
        let networks = self.networks.map(|networks| fields::networks(&networks));
        update.networks = networks.transpose()?;
        update.quotas = self.quotas.map(Into::into);
        let expires = self.expires_at.map(|expires| {
            let expires = expires.as_deref().map(|text| fields::expiry(text, now()));
            expires.transpose()
        });
        update.expires = expires.transpose()?;
        if self.metadata.is_some() || self.team.is_some() {
            let mut metadata = before.metadata.clone();
            let team = metadata.remove(TEAM);
            let metadata = self.metadata.unwrap_or(metadata);
            let team = self.team.unwrap_or(team);
            update.metadata = Some(fields::metadata(metadata, team)?);
        }
        Ok(update)
    }
}

/// The changed fields as `field: before → after`.
fn differences(before: &KeyRecord, after: &KeyRecord) -> Vec<String> {
    let pairs = fields_of(before).into_iter().zip(fields_of(after));
    let changed = pairs.filter(|((_, before), (_, after))| before != after);
    changed
        .map(|((name, before), (_, after))| format!("{name}: {before} → {after}"))
        .collect()
}

/// The fields that an update can change, as JSON.
fn fields_of(record: &KeyRecord) -> [(&'static str, Value); 8] {
    let networks: Vec<_> = record.networks.iter().map(ToString::to_string).collect();
    [
        ("name", json!(record.name)),
        ("owner", json!(record.owner)),
        ("scopes", json!(record.scopes.to_string())),
        ("models", json!(record.models)),
        ("networks", json!(networks)),
        ("quotas", json!(QuotaFields::from(record.quotas))),
        ("expires_at", json!(record.expires.map(rfc3339))),
        ("metadata", json!(record.metadata)),
    ]
}

/// Tells `null` from an absent field.
fn present<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
