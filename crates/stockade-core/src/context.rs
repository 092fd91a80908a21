//! The one place where facts about a request are kept.

mod builder;
mod guard;
mod request_id;
mod route;

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use http::Extensions;

pub use builder::RequestContextBuilder;
pub use guard::{ContextGuard, ContextLayer, RequestIdHeader};
pub use request_id::RequestId;
pub use route::MatchedRoute;

use crate::{
    client::ClientIp,
    clock::Timestamp,
    guard::{CheckLog, CheckRecord},
    identity::{Credential, Identity, Principal},
    llm::{ModelRequest, ModelResponse, TokenUsage, UsageCell},
    refusal::{Denial, Refusal, StandingRefusal},
};

/// What is known about one request. Cloning shares it.
///
/// There is one for each request, whichever layers it passes: the first guard that asks for
/// it makes it ([`Head::context`](crate::guard::Head::context)), and all inner layers and the
/// handler find it among the request's extensions ([`of`](Self::of), or axum's
/// `Extension<RequestContext>`). Facts that decide something (client, route, identity,
/// denial) are set once and never change. Inner layers and the handler write; outer layers
/// keep a clone and read it when the response has ended.
///
/// ```
/// use http::Request;
/// use stockade_core::{
///     context::RequestContext,
///     identity::{Identity, Principal},
/// };
///
/// // For a test of a handler: a request that was authenticated.
/// let context = RequestContext::builder()
///     .principal(Principal::builder("team-core").build())
///     .build();
/// let request = Request::builder().extension(context).body(()).unwrap();
///
/// let context = RequestContext::of(request.extensions()).unwrap();
/// assert!(matches!(context.identity(), Identity::Authenticated(_)));
/// assert_eq!(context.principal().unwrap().id(), "team-core");
/// ```
#[derive(Clone)]
pub struct RequestContext(Arc<Inner>);

struct Inner {
    id: RequestId,
    arrived: Timestamp,
    /// The uptime of the shared clock on arrival.
    uptime: Duration,
    waited: AtomicBool,
    peer: Option<ClientIp>,
    client: OnceLock<ClientIp>,
    route: OnceLock<MatchedRoute>,
    identity: OnceLock<Option<Principal>>,
    credential: OnceLock<Credential>,
    denial: OnceLock<Denial>,
    standing_refusal: OnceLock<StandingRefusal>,
    model_request: OnceLock<ModelRequest>,
    model_response: OnceLock<ModelResponse>,
    usage: UsageCell,
    bytes_read: AtomicU64,
    check_log: OnceLock<CheckLog>,
}

impl RequestContext {
    /// The context of a request that arrives now, from an unknown client.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Describes a request, for adapters and tests.
    pub fn builder() -> RequestContextBuilder {
        RequestContextBuilder::default()
    }

    /// The context among these extensions; `None` if no guard has asked for it.
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// The context among these extensions; makes one if there is none. For adapters outside
    /// of the layers, such as one that knows the matched route.
    pub fn get_or_insert(extensions: &mut Extensions) -> &Self {
        if extensions.get::<Self>().is_none() {
            let peer = extensions.get().copied();
            extensions.insert(Self::from_peer(peer));
        }
        extensions.get().expect("it was inserted")
    }

    /// The request's id.
    pub fn id(&self) -> RequestId {
        self.0.id
    }

    /// When the first layer saw the request.
    pub fn arrived(&self) -> Timestamp {
        self.0.arrived
    }

    /// When the first layer saw the request, as
    /// [`SystemClock::uptime`](crate::clock::SystemClock::uptime) of the shared clock.
    pub fn uptime_on_arrival(&self) -> Duration {
        self.0.uptime
    }

    /// Whether a guard has waited since the request arrived.
    pub fn has_waited(&self) -> bool {
        self.0.waited.load(Ordering::Relaxed)
    }

    pub(crate) fn set_waited(&self) {
        self.0.waited.store(true, Ordering::Relaxed);
    }

    /// The client's address: what trusted proxies say ([`ContextGuard`]), else the socket's
    /// peer; `None` if the server has not provided a
    /// [`PeerAddr`](crate::client::PeerAddr).
    pub fn client(&self) -> Option<ClientIp> {
        self.0.client.get().copied().or(self.0.peer)
    }

    /// Sets the client's address. The first one stays; returns whether this is it.
    pub fn set_client(&self, client: ClientIp) -> bool {
        self.0.client.set(client).is_ok()
    }

    /// The route that the router matched; `None` if no adapter has set it.
    pub fn route(&self) -> Option<&MatchedRoute> {
        self.0.route.get()
    }

    /// Sets the matched route. The first one stays; returns whether this is it.
    pub fn set_route(&self, route: MatchedRoute) -> bool {
        self.0.route.set(route).is_ok()
    }

    /// Who makes the request.
    pub fn identity(&self) -> Identity<'_> {
        match self.0.identity.get() {
            None => Identity::Unchecked,
            Some(None) => Identity::Anonymous,
            Some(Some(principal)) => Identity::Authenticated(principal),
        }
    }

    /// Who was authenticated; `None` for anonymous requests and where no authenticator ran.
    pub fn principal(&self) -> Option<&Principal> {
        self.0.identity.get()?.as_ref()
    }

    /// Authenticates the request. The first identity stays; returns whether this is it.
    pub fn authenticate(&self, principal: Principal) -> bool {
        self.0.identity.set(Some(principal)).is_ok()
    }

    /// States that an authenticator ran and found no credential. The first identity stays;
    /// returns whether this is it.
    pub fn set_anonymous(&self) -> bool {
        self.0.identity.set(None).is_ok()
    }

    /// The credential that the request was authenticated with; `None` if its authenticator
    /// cannot check it again.
    pub fn credential(&self) -> Option<&Credential> {
        self.0.credential.get()
    }

    /// Sets the credential that the request was authenticated with. The first one stays; returns
    /// whether this is it.
    pub fn set_credential(&self, credential: Credential) -> bool {
        self.0.credential.set(credential).is_ok()
    }

    /// The refusal that ended the request; `None` if no guard refused it.
    pub fn denial(&self) -> Option<&Denial> {
        self.0.denial.get()
    }

    /// Records a refusal. The driver calls it for guards; a handler calls it for its own
    /// refusals, also where it ends a stream that has begun. The first one stays.
    pub fn refuse(&self, guard: &'static str, refusal: &Refusal) {
        // What an outer guard answers after that does not change why the request ended.
        let _ = self.0.denial.set(Denial {
            guard,
            kind: refusal.kind(),
            code: refusal.code(),
            internal_reason: refusal.internal_reason(),
            reason: refusal.reason(),
            fingerprint: refusal.fingerprint(),
        });
    }

    /// The refusal that holds unless the request authenticates; see [`StandingRefusal`].
    pub fn standing_refusal(&self) -> Option<&StandingRefusal> {
        self.0.standing_refusal.get()
    }

    /// Sets the refusal that holds unless the request authenticates. The first one stays;
    /// returns whether this is it.
    pub fn set_standing_refusal(&self, refusal: StandingRefusal) -> bool {
        self.0.standing_refusal.set(refusal).is_ok()
    }

    /// What the request asks of a model; `None` if no guard reads the body.
    pub fn model_request(&self) -> Option<&ModelRequest> {
        self.0.model_request.get()
    }

    /// Sets what the request asks of a model. The first one stays; returns whether this is
    /// it.
    pub fn set_model_request(&self, request: ModelRequest) -> bool {
        self.0.model_request.set(request).is_ok()
    }

    /// What the response of the model states about itself; `None` if the handler has not set it.
    pub fn model_response(&self) -> Option<&ModelResponse> {
        self.0.model_response.get()
    }

    /// Sets what the response of the model states about itself. The first one stays; returns
    /// whether this is it.
    pub fn set_model_response(&self, response: ModelResponse) -> bool {
        self.0.model_response.set(response).is_ok()
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

    /// Reports an estimate of the tokens used so far, for a handler whose model reports them only
    /// at the end, or not at all. A report by [`set_usage`](Self::set_usage) replaces it.
    pub fn set_estimated_usage(&self, usage: TokenUsage) {
        self.0.usage.set_estimate(usage);
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
    /// estimate stands for them: what a budget charges if the handler cannot report more.
    pub fn final_usage_or(&self, estimate: TokenUsage) -> Option<TokenUsage> {
        self.0.usage.close_or(estimate)
    }

    /// Whether [`usage`](Self::usage) is an estimate.
    pub fn is_usage_estimated(&self) -> bool {
        self.0.usage.is_estimated()
    }

    /// Bytes of the request's body that were read so far; 0 if no layer counts them.
    pub fn bytes_read(&self) -> u64 {
        self.0.bytes_read.load(Ordering::Relaxed)
    }

    /// Sets the bytes of the request's body that were read so far. Of several counts, the
    /// largest stays.
    pub fn set_bytes_read(&self, bytes: u64) {
        self.0.bytes_read.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Records the checks of the guards that see the request from now on, for a trace. Each then
    /// costs two readings of the wall clock.
    pub fn record_checks(&self) {
        self.0.check_log.get_or_init(CheckLog::start);
    }

    /// The recorded checks so far, in their order; none without
    /// [`record_checks`](Self::record_checks).
    pub fn checks(&self) -> Vec<CheckRecord> {
        self.check_log().map_or_else(Vec::new, CheckLog::records)
    }

    pub(crate) fn check_log(&self) -> Option<&CheckLog> {
        self.0.check_log.get()
    }
}

impl Default for RequestContext {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestContext")
            .field("id", &self.id())
            .field("client", &self.client())
            .field("route", &self.route())
            .field("identity", &self.identity())
            .field("denial", &self.denial())
            .finish_non_exhaustive()
    }
}
