//! The order of the guards of a fence.

use stockade_abuse::{AbuseGuard, PrincipalGuard};
use stockade_audit::AuditGuards;
use stockade_body::BodyCheck;
use stockade_core::{
    context::ContextGuard,
    guard::{Bodies, Chain, ExceptProbes, GuardLayer, GuardList, GuardStack},
    refusal::Responder,
};
use stockade_rate_limit::{Concurrency, RateLimit, TokenBudget};
use stockade_scope::ScopeGuard;
use tower_layer::Layer;

use super::{
    FenceService, Identity, RequestMetrics,
    cors::{CorsGuard, PreflightGuard},
    probes::ProbeLimit,
    route_adapter::RouteAdapter,
    store::{LimitsStore, PermitsStore},
    streams::{StreamService, Streams},
};

/// Declares the guards of a fence in order: the struct that holds them, the type of their
/// chain, and the function that builds it.
macro_rules! order {
    ($($(#[$doc:meta])+ $name:ident: $guard:ty,)+) => {
        /// The guards of a fence, in the order in which a request meets them.
        pub(super) struct GuardOrder {
            $($(#[$doc])+ pub(super) $name: $guard,)+
        }

        pub(super) type FenceGuards = order!(@type $($guard,)+);

        impl GuardOrder {
            fn into_guards(self) -> FenceGuards {
                order!(@chain self, $($name,)+)
            }
        }
    };
    (@type $guard:ty,) => { $guard };
    (@type $outer:ty, $($inner:ty,)+) => { Chain<$outer, order!(@type $($inner,)+)> };
    (@chain $order:ident, $name:ident,) => { $order.$name };
    (@chain $order:ident, $outer:ident, $($inner:ident,)+) => {
        $order.$outer.then(order!(@chain $order, $($inner,)+))
    };
}

order! {
    /// Resolves the client's address, and answers with the request's id.
    context: ContextGuard,
    /// Sets the route that the router matched, and recognises probes.
    route: RouteAdapter,
    /// Counts requests and their outcomes.
    metrics: Option<RequestMetrics>,
    /// Writes one record per request. Outside of all guards that can refuse, so that each
    /// refusal is recorded.
    audit: AuditGuards,
    /// Adds CORS headers to responses, including refusals.
    cors: Option<CorsGuard>,
    /// Limits probes, which skip all guards in `ExceptProbes`.
    probe_limit: ProbeLimit,
    /// Refuses banned clients. Outside of all guards whose refusals count as offences. A banned
    /// client with a credential passes, and is authenticated after the limit by address.
    bans: ExceptProbes<Option<AbuseGuard<Identity>>>,
    /// Limits each client address, before any slow hash is computed.
    by_ip: ExceptProbes<Option<RateLimit<LimitsStore>>>,
    /// Answers preflight requests, which have no credentials. Inside of bans and the limit by
    /// address, so that preflight requests cannot bypass them.
    preflight: ExceptProbes<Option<PreflightGuard>>,
    /// Guards that the program adds before authentication.
    before_identity: ExceptProbes<GuardList>,
    /// Verifies keys and tokens.
    identity: ExceptProbes<Identity>,
    /// Refuses banned principals, and unauthenticated requests from banned addresses.
    principal_bans: ExceptProbes<Option<PrincipalGuard>>,
    /// Limits each principal.
    by_key: ExceptProbes<Option<RateLimit<LimitsStore>>>,
    /// Checks the scopes that the route requires. Routes without a rule are denied.
    scopes: ExceptProbes<ScopeGuard>,
    /// Guards that the program adds after authentication.
    after_identity: ExceptProbes<GuardList>,
    /// Limits concurrent requests. Before the body is read, to also bound slow uploads. A
    /// permit is held until the response has ended.
    concurrency: ExceptProbes<Option<Concurrency<PermitsStore>>>,
    /// Reads and validates the body.
    body: Bodies<BodyCheck>,
    /// Guards that the program adds after the body check; they see the model request.
    after_body: ExceptProbes<GuardList>,
    /// Reserves the tokens that the request may use, and settles them with its usage.
    token_budget: ExceptProbes<Option<TokenBudget<LimitsStore>>>,
}

/// All layers of a [`Fence`](crate::Fence) as one [`Layer`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FenceLayer {
    guards: GuardLayer<FenceGuards>,
    streams: Streams,
}

impl FenceLayer {
    pub(super) fn new(order: GuardOrder, responder: &Responder, streams: Streams) -> Self {
        let guards = order.into_guards();
        Self {
            guards: GuardLayer::with_responder(guards, responder.clone()),
            streams,
        }
    }
}

impl<S> Layer<S> for FenceLayer {
    type Service = FenceService<S>;

    fn layer(&self, inner: S) -> FenceService<S> {
        let inner = StreamService::new(inner, self.streams.clone());
        FenceService(self.guards.layer(inner))
    }
}
