//! What the layers around one request tell each other.

mod guard;
mod request_id;
mod route;

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use http::Extensions;

pub use guard::{ContextGuard, RequestIdHeader};
pub use request_id::RequestId;
pub use route::MatchedRoute;

use crate::{
    client::ClientIp,
    identity::Principal,
    llm::{ModelRequest, TokenUsage, UsageCell},
    refusal::{Denial, Refusal},
};

/// One shared handle a request, put in by [`ContextGuard`].
///
/// Inner layers and the handler write; outer layers keep a clone and read it after the
/// response has ended, or after it was dropped. Facts that decide something (client,
/// route, principal, verdict) are set once and never change.
#[derive(Clone, Debug)]
pub struct RequestContext(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: RequestId,
    client: ClientIp,
    route: OnceLock<MatchedRoute>,
    principal: OnceLock<Principal>,
    denial: OnceLock<Denial>,
    demand: OnceLock<ModelRequest>,
    usage: UsageCell,
    bytes_read: AtomicU64,
}

impl RequestContext {
    /// The context of a request that has just come in.
    pub fn new(id: RequestId, client: ClientIp) -> Self {
        Self(Arc::new(Inner {
            id,
            client,
            route: OnceLock::new(),
            principal: OnceLock::new(),
            denial: OnceLock::new(),
            demand: OnceLock::new(),
            usage: UsageCell::default(),
            bytes_read: AtomicU64::new(0),
        }))
    }

    /// The context of the request with these extensions.
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// The request's name.
    pub fn id(&self) -> RequestId {
        self.0.id
    }

    /// Who is at the other end.
    pub fn client(&self) -> ClientIp {
        self.0.client
    }

    /// The route that the router matched; `None` before, or without, whoever says it.
    pub fn route(&self) -> Option<&MatchedRoute> {
        self.0.route.get()
    }

    /// Says which route the router matched. The first word stays; `false` when there was one.
    pub fn set_route(&self, route: MatchedRoute) -> bool {
        self.0.route.set(route).is_ok()
    }

    /// Who the request was authenticated as; `None` before, or without, authentication.
    pub fn principal(&self) -> Option<&Principal> {
        self.0.principal.get()
    }

    /// Authenticates the request. The first principal stays; `false` when there was one.
    pub fn authenticate(&self, principal: Principal) -> bool {
        self.0.principal.set(principal).is_ok()
    }

    /// The refusal that ended the request; `None` when no guard refused it.
    pub fn denial(&self) -> Option<&Denial> {
        self.0.denial.get()
    }

    /// What the request asks of a model; `None` before, or without, whoever reads the body.
    pub fn demand(&self) -> Option<&ModelRequest> {
        self.0.demand.get()
    }

    /// Says what the request asks of a model. The first word stays; `false` when there was
    /// one.
    pub fn set_demand(&self, demand: ModelRequest) -> bool {
        self.0.demand.set(demand).is_ok()
    }

    /// Tokens used so far; `None` if the handler has not reported any.
    pub fn usage(&self) -> Option<TokenUsage> {
        self.0.usage.get()
    }

    /// Reports the tokens used so far. Call it whenever the numbers change: zero when a
    /// handler that meters its model begins, the prompt when the model begins to read it,
    /// and each token of the answer as it is made. Then a client that leaves early is
    /// charged for what the model did for it.
    ///
    /// The last report before the response ends counts. Later ones are ignored; see
    /// [`final_usage`](Self::final_usage).
    pub fn set_usage(&self, usage: TokenUsage) {
        self.0.usage.set(usage);
    }

    /// Ends the reports and returns the tokens used; `None` if none were reported.
    ///
    /// Budgets, metrics and the audit log call it when the response has ended, so all of
    /// them see the same numbers. A handler whose model has failed calls it after its last
    /// report, so that a late report from the model's thread does not count.
    pub fn final_usage(&self) -> Option<TokenUsage> {
        self.0.usage.close()
    }

    /// Ends the reports as [`final_usage`](Self::final_usage) does. If there were none, this
    /// estimate stands for them: what a budget charges if the handler cannot say more.
    pub fn final_usage_or(&self, estimate: TokenUsage) -> Option<TokenUsage> {
        self.0.usage.close_or(estimate)
    }

    /// Whether [`usage`](Self::usage) is an estimate, because no tokens were reported.
    pub fn is_usage_estimated(&self) -> bool {
        self.0.usage.is_estimated()
    }

    /// How many bytes of the request's body have been read so far; 0 without whoever counts.
    pub fn bytes_read(&self) -> u64 {
        self.0.bytes_read.load(Ordering::Relaxed)
    }

    /// Says how many bytes of the request's body have been read so far. Of several who
    /// count them, whoever has seen most is believed.
    pub fn set_bytes_read(&self, bytes: u64) {
        self.0.bytes_read.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Notes a refusal; the driver does so for guards, a handler does so for its own, also
    /// where it breaks off a stream that has begun.
    pub fn refuse(&self, guard: &'static str, refusal: &Refusal) {
        // A request is refused once; what an outer guard says after that is not heard.
        let _ = self.0.denial.set(Denial {
            guard,
            kind: refusal.kind(),
            code: refusal.code(),
            internal_reason: refusal.internal_reason(),
            reason: refusal.reason(),
            fingerprint: refusal.fingerprint(),
        });
    }
}
