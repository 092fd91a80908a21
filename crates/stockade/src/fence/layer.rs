//! The order.

use stockade_abuse::{AbuseGuard, PrincipalGuard};
use stockade_audit::{AuditGuards, Recorder};
use stockade_body::{BodyCheck, BodyRules, CheckedBody};
use stockade_core::{
    context::ContextGuard,
    guard::{Bodies, GuardStack},
    guard::{Chain, Guarded},
    guard::{ExceptProbes, GuardLayer},
    refusal::Responder,
};
use stockade_rate_limit::{Concurrency, RateLimit, TokenBudget};
use stockade_scope::ScopeGuard;
use tower_layer::Layer;

use super::{
    Adopt, Identity, Watch,
    cors::{CorsGuard, PreflightGuard},
    probes::ProbeLimit,
    store::{LimitsStore, PermitsStore},
};

/// All layers of a [`Fence`](crate::Fence), in their order, as one. Cloning shares them.
#[derive(Clone, Debug)]
pub struct FenceLayer(GuardLayer<FenceGuards>);

/// The parts of a [`FenceLayer`], in the order in which a request meets them.
pub(super) struct Parts {
    pub(super) context: ContextGuard,
    pub(super) adopt: Adopt,
    pub(super) watch: Option<Watch>,
    pub(super) audit: Recorder,
    pub(super) cors: Option<CorsGuard>,
    pub(super) probe_limit: ProbeLimit,
    pub(super) abuse: Option<AbuseGuard<Identity>>,
    pub(super) by_ip: Option<RateLimit<LimitsStore>>,
    pub(super) preflight: Option<PreflightGuard>,
    pub(super) identity: Identity,
    pub(super) banned_principals: Option<PrincipalGuard>,
    pub(super) by_key: Option<RateLimit<LimitsStore>>,
    pub(super) scopes: ScopeGuard,
    pub(super) bodies: BodyRules,
    pub(super) at_once: Option<Concurrency<PermitsStore>>,
    pub(super) token_budget: Option<TokenBudget<LimitsStore>>,
}

/// All guards of a [`FenceLayer`].
type FenceGuards = Chain<
    Chain<Chain<Arrival, ExceptProbes<Strangers>>, ExceptProbes<Chain<Identity, Known>>>,
    Admission,
>;

/// Who comes, to where; and that it is not forgotten.
type Arrival = Chain<
    Chain<Chain<Chain<Chain<ContextGuard, Adopt>, Option<Watch>>, AuditGuards>, Option<CorsGuard>>,
    ProbeLimit,
>;

/// What comes before it is known who asks.
type Strangers = Chain<
    Chain<Option<AbuseGuard<Identity>>, Option<RateLimit<LimitsStore>>>,
    Option<PreflightGuard>,
>;

/// What comes after.
type Known = Chain<Chain<Option<PrincipalGuard>, Option<RateLimit<LimitsStore>>>, ScopeGuard>;

/// Whether there is room for what they ask for, and what that is.
type Admission = Chain<
    Chain<ExceptProbes<Option<Concurrency<PermitsStore>>>, Bodies<BodyCheck>>,
    ExceptProbes<Option<TokenBudget<LimitsStore>>>,
>;

/// A service behind a [`Fence`](crate::Fence).
pub type FenceService<S> = Guarded<S, FenceGuards>;

/// The body that the inner service of a fence gets, where the server's is `B`.
pub type FenceBody<B> = CheckedBody<B>;

impl FenceLayer {
    /// Read from the top: that is the way of a request.
    pub(super) fn new(parts: Parts, responder: &Responder) -> Self {
        let arrival = parts
            // Names the request and finds out whose address it comes from.
            .context
            // Which route did the router choose?
            .then(parts.adopt)
            // Counts how it ended.
            .then(parts.watch)
            // Writes one record when it has ended, however it ended. Outside of all that can
            // refuse, so that no refusal goes unseen.
            .then(parts.audit.with_backpressure())
            // Tells browsers which pages may read the answer, also where it is a refusal.
            .then(parts.cors)
            // Limits health checks, which pass none of the guards that are `except_probes`.
            .then(parts.probe_limit);
        let strangers = parts
            // Not banned? Outside of all that can refuse, to learn from it. A banned client
            // with a credential passes on, to prove it behind the limit by address.
            .abuse
            // Not too often from this address? Before any slow hash is computed.
            .then(parts.by_ip)
            // Answers preflight requests of browsers, which have no credentials. Behind the
            // bans and the limit, so that they are no way around either.
            .then(parts.preflight);
        let known = parts
            // Not banned themselves, wherever they come from? And where the address is banned,
            // authenticated?
            .banned_principals
            // Not too often?
            .then(parts.by_key)
            // May they do this? What no rule names, nobody may.
            .then(parts.scopes);
        let admission = parts
            // Is there room to run it? Before its body is read, so that slow uploads of one key
            // are bounded, too. Held until the answer has ended.
            .at_once
            .except_probes()
            // Is what they send what it should be? Only now is a body read.
            .then(parts.bodies.into_guard())
            // Are enough tokens left? What it may come to is reserved until it is known.
            .then(parts.token_budget.except_probes());
        let guards = arrival
            .then(strangers.except_probes())
            // Who is it? A key or a token that is not valid ends here.
            .then(parts.identity.then(known).except_probes())
            .then(admission);
        Self(GuardLayer::with_responder(guards, responder.clone()))
    }
}

impl<S> Layer<S> for FenceLayer {
    type Service = FenceService<S>;

    fn layer(&self, inner: S) -> FenceService<S> {
        self.0.layer(inner)
    }
}
