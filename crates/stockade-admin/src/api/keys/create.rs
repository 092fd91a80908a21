//! Creates keys.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use serde::{Deserialize, Serialize};
use stockade_key_auth::{GeneratedKey, KeyHash, KeyId, KeyRecord, QuotaFields, SpiffeId};
use utoipa::ToSchema;

use super::{changed, directory, fields, key_id, now, rotate::generate};
use crate::{
    actor::Actor,
    api::{
        answer::Created,
        idempotency::{Creation, replayed},
    },
    error::{ApiError, ApiResult},
    id::random_text,
    keys::{KeyEntry, KeyView},
    state::AdminState,
};

/// The path of a route, which a key with this id would not be reachable under.
const RESERVED: &str = "rotate";

/// A new key.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    /// A random one by default.
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) team: Option<String>,
    pub(crate) scopes: Vec<String>,
    /// All models by default.
    pub(crate) models: Option<Vec<String>>,
    /// All networks by default.
    #[serde(default)]
    pub(crate) networks: Vec<String>,
    #[schema(value_type = Option<BTreeMap<String, u32>>)]
    pub(crate) quotas: Option<QuotaFields>,
    /// The SPIFFE ID of the clients' certificate, for a key that has no secret.
    pub(crate) certificate: Option<String>,
    /// Never by default.
    pub(crate) expires_at: Option<String>,
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
}

/// A new key, with its secret, which is returned once.
#[derive(Serialize, ToSchema)]
pub(super) struct CreatedKey {
    key: KeyView,
    /// `null` for a key with a certificate.
    secret: Option<String>,
}

pub(super) async fn create(
    State(state): State<AdminState>,
    actor: Actor,
    Creation {
        body,
        key: idempotency,
    }: Creation<NewKey>,
) -> ApiResult<Created<CreatedKey>> {
    let directory = directory(&state)?;
    let (mut key, mut record) = body.generate()?;
    let has_certificate = record.hash.as_certificate().is_some();
    let known = idempotency.id(&state, &actor, record.id.to_string());
    let (id, is_repeated) = known.await?;
    if id != record.id.as_str() {
        record.id = key_id(&id)?;
        key = generate(record.id.clone())?;
        if !has_certificate {
            record.hash = key.digest().into();
        }
    }
    let present = match is_repeated {
        true => directory.all().await?.get(&record.id).cloned(),
        false => None,
    };
    let entry = match present {
        Some(_) if !has_certificate => return Err(replay(&id)),
        Some(entry) => entry,
        None => store(&state, &actor, record).await?,
    };
    let body = CreatedKey {
        key: entry.view(now()),
        secret: (!has_certificate).then(|| key.expose().to_owned()),
    };
    Ok(Created::new(&body))
}

/// Creates a key, and returns it with its secret.
pub(crate) async fn create_key(
    state: &AdminState,
    actor: &Actor,
    new: NewKey,
) -> ApiResult<(Arc<KeyEntry>, GeneratedKey)> {
    let (key, record) = new.generate()?;
    Ok((store(state, actor, record).await?, key))
}

/// Stores a new key, and records its creation.
async fn store(state: &AdminState, actor: &Actor, record: KeyRecord) -> ApiResult<Arc<KeyEntry>> {
    let entry = directory(state)?.create(record).await?;
    let record = &entry.record;
    let mut detail = format!("created: scopes {:?}", record.scopes.to_string());
    if let Some(models) = &record.models {
        detail = format!("{detail}, models {models:?}");
    }
    if let Some(certificate) = record.hash.as_certificate() {
        detail = format!("{detail}, certificate {certificate}");
    }
    changed(state, actor, &record.id, detail);
    Ok(entry)
}

/// The error of a request whose key was created before. Its secret is not stored.
fn replay(id: &str) -> ApiError {
    let error = replayed(format!(
        "the key {id} was created by this request before; rotate it for a new secret"
    ));
    error.location(format!("/admin/v1/keys/{id}"))
}

impl NewKey {
    /// The record, and its new secret; of no use if the record has a certificate.
    pub(in crate::api) fn generate(self) -> ApiResult<(GeneratedKey, KeyRecord)> {
        let now = now();
        let id = match self.id {
            Some(id) => id
                .parse::<KeyId>()
                .map_err(|error| ApiError::invalid("id", error.to_string()))?,
            None => format!("key-{}", random_text::<9>()?)
                .parse()
                .expect("the characters are valid"),
        };
        if id.as_str() == RESERVED {
            return Err(ApiError::invalid("id", "is reserved; use another one"));
        }
        let key = generate(id.clone())?;
        let mut record = KeyRecord::new(id, key.digest()).created(now);
        if let Some(certificate) = self.certificate {
            let id = certificate.parse::<SpiffeId>();
            let id = id.map_err(|error| ApiError::invalid("certificate", error.to_string()))?;
            record.hash = KeyHash::certificate(id);
        }
        record.name = fields::text("name", self.name)?;
        record.owner = fields::text("owner", self.owner)?;
        record.scopes = fields::scopes(&self.scopes)?;
        record.models = self.models.map(fields::models).transpose()?;
        record.networks = fields::networks(&self.networks)?;
        record.quotas = self.quotas.map(Into::into).unwrap_or_default();
        record.metadata = fields::metadata(self.metadata, self.team)?;
        let expires = self.expires_at.as_deref();
        record.expires = expires.map(|text| fields::expiry(text, now)).transpose()?;
        Ok((key, record))
    }
}
