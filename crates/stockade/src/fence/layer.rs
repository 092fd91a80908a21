//! The order.

use std::sync::Arc;

use http::request::Parts;
use stockade_abuse::{AbuseGuard, PrincipalGuard};
use stockade_audit::{Audit, AuditLayer, RequestBody};
use stockade_body::{BodyCheck, BodyCheckLayer, CheckedBody};
use stockade_core::{
    Authenticator, Check, ContextGuard, EitherAuth, Guard, GuardLayer, Guarded, Refusal,
    RefusalKind,
};
use stockade_jwt::JwtAuth;
use stockade_key_auth::KeyAuth;
use stockade_rate_limit::{Concurrency, RateLimit, TokenBudget};
use stockade_scope::ScopeGuard;
use tower::util::Either;
use tower_http::cors::{Cors, CorsLayer};
use tower_layer::Layer;

use super::{
    Adopt, Identity, Watch,
    store::{LimitsStore, PermitsStore},
};

/// All layers of a [`Fence`](crate::Fence), in their order. Cloning shares them.
#[derive(Clone, Debug)]
pub struct FenceLayer {
    pub(super) adopt: GuardLayer<Adopt>,
    pub(super) context: GuardLayer<ContextGuard>,
    pub(super) audit: AuditLayer,
    pub(super) watch: GuardLayer<Option<Watch>>,
    pub(super) cors: Option<CorsLayer>,
    pub(super) abuse: GuardLayer<Option<AbuseGuard<Passes>>>,
    pub(super) by_ip: GuardLayer<Option<RateLimit<LimitsStore>>>,
    pub(super) identity: GuardLayer<Identity>,
    pub(super) banned_principals: GuardLayer<Option<PrincipalGuard>>,
    pub(super) by_key: GuardLayer<Option<RateLimit<LimitsStore>>>,
    pub(super) scopes: GuardLayer<ScopeGuard>,
    pub(super) bodies: BodyCheckLayer,
    pub(super) at_once: GuardLayer<Option<Concurrency<PermitsStore>>>,
    pub(super) token_budget: GuardLayer<Option<TokenBudget<LimitsStore>>>,
}

/// A service behind a [`Fence`](crate::Fence); read from the outside in.
pub type FenceService<S> =
    Guarded<Guarded<Audit<Guarded<Web<Outer<S>>, Option<Watch>>>, ContextGuard>, Adopt>;

/// The body that the inner service of a fence gets, where the server's is `B`.
pub type FenceBody<B> = CheckedBody<RequestBody<B>>;

/// What comes before it is known who asks.
type Outer<S> =
    Guarded<Guarded<Known<S>, Option<RateLimit<LimitsStore>>>, Option<AbuseGuard<Passes>>>;

/// What comes after.
type Known<S> = Guarded<
    Guarded<Guarded<Allowed<S>, Option<RateLimit<LimitsStore>>>, Option<PrincipalGuard>>,
    Identity,
>;

/// What comes when it is known that they may.
type Allowed<S> = Guarded<BodyCheck<Running<S>>, ScopeGuard>;

/// What comes when it is known what they ask for.
type Running<S> =
    Guarded<Guarded<S, Option<TokenBudget<LimitsStore>>>, Option<Concurrency<PermitsStore>>>;

/// With or without answers to browsers.
type Web<S> = Either<Cors<S>, S>;

impl<S> Layer<S> for FenceLayer {
    type Service = FenceService<S>;

    /// Read from the bottom: that is the way of a request.
    fn layer(&self, inner: S) -> FenceService<S> {
        // Are enough tokens left? What it may come to is reserved until it is known.
        let service = self.token_budget.layer(inner);
        // Is there room to run it? Held until the answer has ended.
        let service = self.at_once.layer(service);
        // Is what they send what it should be? Only now is a body read.
        let service = self.bodies.layer(service);
        // May they do this? What no rule names, nobody may.
        let service = self.scopes.layer(service);
        // Not too often?
        let service = self.by_key.layer(service);
        // Not banned themselves, wherever they come from?
        let service = self.banned_principals.layer(service);
        // Who is it? A key or a token that is not valid ends here.
        let service = self.identity.layer(service);
        // Not too often from this address? Before any slow hash is computed.
        let service = self.by_ip.layer(service);
        // Not banned? Outside of all that can refuse, to learn from it.
        let service = self.abuse.layer(service);
        // Answers browsers that ask whether they may ask: those have no credentials.
        let service = match &self.cors {
            Some(cors) => Either::Left(cors.layer(service)),
            None => Either::Right(service),
        };
        // Counts how it ended.
        let service = self.watch.layer(service);
        // Writes one record when it has ended, however it ended. Outside of all that can
        // refuse, so that no refusal goes unseen.
        let service = self.audit.layer(service);
        // Names the request and finds out whose address it comes from.
        let service = self.context.layer(service);
        // Which route did the router choose?
        self.adopt.layer(service)
    }
}

/// Lets valid credentials pass where their address is banned; or nobody, for `None`.
#[derive(Clone, Debug)]
pub struct Passes(pub(super) Option<Identity>);

impl Guard for Passes {
    const NAME: &'static str = "auth";
    type Pass = <EitherAuth<KeyAuth, JwtAuth> as Guard>::Pass;
    type Hold = ();
    type Wait = <EitherAuth<KeyAuth, JwtAuth> as Guard>::Wait;

    fn check(&self, head: &Parts) -> Check<Self::Pass, Self::Wait> {
        match &self.0 {
            Some(identity) => Arc::as_ref(identity).check(head),
            None => Check::Refuse(Refusal::new(RefusalKind::Forbidden, "banned")),
        }
    }

    fn admit(&self, _pass: Self::Pass, _head: &mut Parts) {}
}

impl Authenticator for Passes {
    fn presents(&self, head: &Parts) -> bool {
        self.0
            .as_ref()
            .is_some_and(|identity| identity.presents(head))
    }
}
