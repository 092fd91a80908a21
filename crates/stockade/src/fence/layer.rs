//! The order in which a request meets the guards of a fence.

use stockade_abuse::{AbuseGuard, PrincipalGuard};
use stockade_audit::AuditGuards;
use stockade_body::{BodyCheck, CheckedBody};
use stockade_core::{
    context::ContextGuard,
    guard::{Bodies, Chain, ExceptProbes, GuardLayer, GuardList, GuardStack, Guarded},
    refusal::Responder,
};
use stockade_rate_limit::{Concurrency, RateLimit, TokenBudget};
use stockade_scope::ScopeGuard;
use tower_layer::Layer;

use super::{
    Identity, RequestMetrics, RouteAdapter,
    cors::{CorsGuard, PreflightGuard},
    probes::ProbeLimit,
    store::{LimitsStore, PermitsStore},
};

/// Declares the guards of a fence in their order: the struct that holds them, the type of
/// their chain, and how it is put together.
macro_rules! order {
    ($($(#[$doc:meta])+ $name:ident: $guard:ty,)+) => {
        /// The guards of a fence, in the order in which a request meets them.
        pub(super) struct Order {
            $($(#[$doc])+ pub(super) $name: $guard,)+
        }

        type FenceGuards = order!(@type $($guard,)+);

        impl Order {
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
    /// Counts requests and how they ended.
    metrics: Option<RequestMetrics>,
    /// Writes one record a request. Outside of all guards that can refuse, so that each
    /// refusal is recorded.
    audit: AuditGuards,
    /// Tells browsers which origins may read the response, also where it is a refusal.
    cors: Option<CorsGuard>,
    /// Limits probes, which pass none of the guards in `ExceptProbes`.
    probe_limit: ProbeLimit,
    /// Refuses banned clients. Outside of all guards that can refuse, to learn from them. A
    /// banned client with a credential passes, to prove it behind the limit by address.
    bans: ExceptProbes<Option<AbuseGuard<Identity>>>,
    /// Limits each client address, before any slow hash is computed.
    by_ip: ExceptProbes<Option<RateLimit<LimitsStore>>>,
    /// Answers preflight requests, which have no credentials. Behind the bans and the limit,
    /// so that they are no way around either.
    preflight: ExceptProbes<Option<PreflightGuard>>,
    /// Guards of the program's own.
    before_identity: ExceptProbes<GuardList>,
    /// Verifies keys and tokens.
    identity: ExceptProbes<Identity>,
    /// Refuses banned principals, and unauthenticated requests from banned addresses.
    principal_bans: ExceptProbes<Option<PrincipalGuard>>,
    /// Limits each principal.
    by_key: ExceptProbes<Option<RateLimit<LimitsStore>>>,
    /// Checks the scopes that the route needs. Routes without a rule are denied.
    scopes: ExceptProbes<ScopeGuard>,
    /// Guards of the program's own.
    after_identity: ExceptProbes<GuardList>,
    /// Limits requests at once. Before the body is read, so that slow uploads are bounded,
    /// too. A permit is held until the response has ended.
    concurrency: ExceptProbes<Option<Concurrency<PermitsStore>>>,
    /// Reads and validates the body.
    body: Bodies<BodyCheck>,
    /// Guards of the program's own, which see the model request.
    after_body: ExceptProbes<GuardList>,
    /// Reserves the tokens that the request may use, until it is known how many it did.
    token_budget: ExceptProbes<Option<TokenBudget<LimitsStore>>>,
}

/// All layers of a [`Fence`](crate::Fence), in their order, as one. Cloning shares them.
#[derive(Clone, Debug)]
pub struct FenceLayer(GuardLayer<FenceGuards>);

/// A service behind a [`Fence`](crate::Fence).
pub type FenceService<S> = Guarded<S, FenceGuards>;

/// The body that the inner service of a fence gets, where the server's is `B`.
pub type FenceBody<B> = CheckedBody<B>;

impl FenceLayer {
    pub(super) fn new(order: Order, responder: &Responder) -> Self {
        let guards = order.into_guards();
        Self(GuardLayer::with_responder(guards, responder.clone()))
    }
}

impl<S> Layer<S> for FenceLayer {
    type Service = FenceService<S>;

    fn layer(&self, inner: S) -> FenceService<S> {
        self.0.layer(inner)
    }
}
