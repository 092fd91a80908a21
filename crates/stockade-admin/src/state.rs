//! What the handlers share.

use std::sync::Arc;

use stockade_abuse::Detector;
use stockade_audit::{AuditLog, SecurityEvent};
use stockade_core::{client::ClientIp, context::RequestId};

use crate::{
    AdminConfig, ConfigControl, ModelControl, RevokedTokens,
    actor::Actor,
    auth::{Auth, Client, oidc::Oidc},
    budget::Budgets,
    compat::inferno::AccessTokens,
    database::Database,
    keys::KeyDirectory,
    records::Live,
    time::Clock,
};

/// The state of the handlers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AdminState(pub(crate) Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) config: AdminConfig,
    pub(crate) database: Database,
    pub(crate) clock: Clock,
    pub(crate) auth: Auth,
    /// `None` unless users can log in at an identity provider.
    pub(crate) oidc: Option<Oidc>,
    /// `None` unless clients of Inferno can log in.
    pub(crate) access_tokens: Option<AccessTokens>,
    pub(crate) live: Arc<Live>,
    pub(crate) audit: AuditLog,
    pub(crate) budgets: Budgets,
    /// `None` unless tokens can be revoked.
    pub(crate) revocations: Option<RevokedTokens>,
    /// `None` if the program has no keys.
    pub(crate) keys: Option<KeyDirectory>,
    /// `None` if the program has no bans.
    pub(crate) detector: Option<Detector>,
    pub(crate) models: Option<Arc<dyn ModelControl>>,
    pub(crate) settings: Option<Arc<dyn ConfigControl>>,
    /// The URL that the playground calls.
    pub(crate) gateway_url: Option<String>,
}

impl AdminState {
    pub(crate) fn database(&self) -> &Database {
        &self.0.database
    }

    /// Milliseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.0.clock.now()
    }

    /// Records a change with its actor.
    pub(crate) fn record(&self, actor: &Actor, event: SecurityEvent) {
        let event = event.user(actor.name.clone());
        self.record_from(actor.client, actor.request, event);
    }

    /// Records an event of a client that is not authenticated yet.
    pub(crate) fn record_as(&self, client: &Client, event: SecurityEvent) {
        self.record_from(client.ip, client.request, event);
    }

    fn record_from(
        &self,
        client: Option<ClientIp>,
        request: Option<RequestId>,
        mut event: SecurityEvent,
    ) {
        if let Some(client) = client {
            event = event.client(client);
        }
        if let Some(request) = request {
            event = event.request(request);
        }
        self.0.audit.event(event);
    }
}
