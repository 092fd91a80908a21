//! The public part of a record: everything except its hashes.

use std::{collections::BTreeMap, num::NonZeroU32};

use serde::Serialize;
use stockade_core::clock::Timestamp;
use stockade_key_auth::{KeyRecord, SpiffeId};

use super::state::KeyState;
use crate::time::Rfc3339;

/// A record in JSON. Fields are never omitted, so that scripts can rely on them.
#[derive(Serialize)]
pub(crate) struct KeyView<'r> {
    id: &'r str,
    state: &'static str,
    name: Option<&'r str>,
    owner: Option<&'r str>,
    scopes: Vec<&'r str>,
    models: Option<&'r [String]>,
    networks: Vec<String>,
    quotas: Quotas,
    created_at: Option<String>,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    last_used_at: Option<String>,
    /// The end of the grace period of the last rotation.
    previous_until: Option<String>,
    algorithm: &'static str,
    /// The identity in the certificate of the key's clients, which have no secret.
    certificate: Option<&'r str>,
    metadata: &'r BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Quotas {
    requests_per_minute: Option<NonZeroU32>,
    requests_per_hour: Option<NonZeroU32>,
    requests_per_day: Option<NonZeroU32>,
    tokens_per_minute: Option<NonZeroU32>,
    concurrency: Option<NonZeroU32>,
    weight: Option<NonZeroU32>,
}

impl<'r> KeyView<'r> {
    pub(crate) fn new(record: &'r KeyRecord, now: Timestamp) -> Self {
        let state = KeyState::new(record, now);
        let time = |at: Option<Timestamp>| at.map(|at| Rfc3339(at).to_string());
        let quotas = &record.quotas;
        Self {
            id: record.id.as_str(),
            state: state.name(),
            name: record.name.as_deref(),
            owner: record.owner.as_deref(),
            scopes: record.scopes.iter().map(|scope| scope.as_str()).collect(),
            models: record.models.as_deref(),
            networks: record.networks.iter().map(ToString::to_string).collect(),
            quotas: Quotas {
                requests_per_minute: quotas.requests_per_minute,
                requests_per_hour: quotas.requests_per_hour,
                requests_per_day: quotas.requests_per_day,
                tokens_per_minute: quotas.tokens_per_minute,
                concurrency: quotas.concurrency,
                weight: quotas.weight,
            },
            created_at: time(record.created),
            expires_at: time(record.expires),
            revoked_at: time(record.revoked),
            last_used_at: time(record.last_used),
            previous_until: match state {
                KeyState::Rotating(until) => time(Some(until)),
                _ => None,
            },
            algorithm: record.hash.algorithm(),
            certificate: record.hash.as_certificate().map(SpiffeId::as_str),
            metadata: &record.metadata,
        }
    }
}
