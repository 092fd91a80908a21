//! Describes a request.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicU64},
};

use super::{Inner, MatchedRoute, RequestContext, RequestId};
use crate::{
    client::{ClientIp, PeerAddr},
    clock::{SystemClock, Timestamp},
    identity::Principal,
    llm::{ModelRequest, UsageCell},
};

/// Builds a [`RequestContext`]; made by [`RequestContext::builder`].
#[derive(Debug, Default)]
pub struct RequestContextBuilder {
    id: Option<RequestId>,
    arrived: Option<Timestamp>,
    client: Option<ClientIp>,
    route: Option<MatchedRoute>,
    identity: Option<Option<Principal>>,
    model_request: Option<ModelRequest>,
}

impl RequestContextBuilder {
    /// The request's id; a new one unless this is called.
    pub fn id(mut self, id: RequestId) -> Self {
        self.id = Some(id);
        self
    }

    /// When the request arrived; now unless this is called.
    pub fn arrived(mut self, arrived: Timestamp) -> Self {
        self.arrived = Some(arrived);
        self
    }

    /// The client's address.
    pub fn client(mut self, client: ClientIp) -> Self {
        self.client = Some(client);
        self
    }

    /// The matched route.
    pub fn route(mut self, route: MatchedRoute) -> Self {
        self.route = Some(route);
        self
    }

    /// Who was authenticated.
    pub fn principal(mut self, principal: Principal) -> Self {
        self.identity = Some(Some(principal));
        self
    }

    /// States that an authenticator ran and found no credential.
    pub fn anonymous(mut self) -> Self {
        self.identity = Some(None);
        self
    }

    /// What the request asks of a model.
    pub fn model_request(mut self, request: ModelRequest) -> Self {
        self.model_request = Some(request);
        self
    }

    /// The context.
    pub fn build(self) -> RequestContext {
        let (now, uptime) = SystemClock::shared().read();
        let inner = Inner {
            id: self.id.unwrap_or_else(RequestId::next),
            arrived: self.arrived.unwrap_or(now),
            uptime,
            waited: AtomicBool::new(false),
            peer: None,
            client: cell(self.client),
            route: cell(self.route),
            identity: cell(self.identity),
            credential: OnceLock::new(),
            denial: OnceLock::new(),
            standing_refusal: OnceLock::new(),
            model_request: cell(self.model_request),
            model_response: OnceLock::new(),
            usage: UsageCell::default(),
            bytes_read: AtomicU64::new(0),
            check_log: OnceLock::new(),
        };
        RequestContext(Arc::new(inner))
    }
}

impl RequestContext {
    /// The context of a request from this peer.
    pub(crate) fn from_peer(peer: Option<PeerAddr>) -> Self {
        Self::arriving(peer.map(ClientIp::from), OnceLock::new())
    }

    /// The context of a request from this client.
    pub(crate) fn from_client(client: ClientIp) -> Self {
        Self::arriving(None, OnceLock::from(client))
    }

    /// Written out rather than built, since each request costs one of these.
    fn arriving(peer: Option<ClientIp>, client: OnceLock<ClientIp>) -> Self {
        let (arrived, uptime) = SystemClock::shared().read();
        Self(Arc::new(Inner {
            id: RequestId::next(),
            arrived,
            uptime,
            waited: AtomicBool::new(false),
            peer,
            client,
            route: OnceLock::new(),
            identity: OnceLock::new(),
            credential: OnceLock::new(),
            denial: OnceLock::new(),
            standing_refusal: OnceLock::new(),
            model_request: OnceLock::new(),
            model_response: OnceLock::new(),
            usage: UsageCell::default(),
            bytes_read: AtomicU64::new(0),
            check_log: OnceLock::new(),
        }))
    }
}

fn cell<T>(value: Option<T>) -> OnceLock<T> {
    value.map_or_else(OnceLock::new, OnceLock::from)
}
