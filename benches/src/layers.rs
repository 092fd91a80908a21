//! Single layers of the fence, and a service and a guard that do nothing.

use std::{
    hint::black_box,
    io,
    net::SocketAddr,
    task::{Context, Poll},
    time::Duration,
};

use axum::extract::ConnectInfo;
use http::Method;
use stockade_abuse::{AbuseGuard, AbusePolicy, Detector};
use stockade_audit::{AuditLayer, AuditLog, Batch, Journal, Overflow, Sink};
use stockade_core::{
    client::PeerAddr,
    context::ContextGuard,
    guard::{Check, Guard, GuardLayer, Head, NoWait},
};
use stockade_jwt::{
    Algorithm, JwtAuth, KeySet, LiveKeys, SigningKey, TokenIssuer, TokenRules, VerifyingKey,
};
use stockade_rate_limit::{KeyExtractor, Limit, Limits, Quota, RateLimit};
use stockade_scope::{Access, ScopeGuard};
use tower::Service;

/// The request context with the peer's address that axum found.
pub fn context() -> GuardLayer<ContextGuard> {
    ContextGuard::new()
        .peer(|extensions| {
            let ConnectInfo(peer) = extensions.get::<ConnectInfo<SocketAddr>>()?;
            Some(PeerAddr::from(*peer))
        })
        .into_layer()
}

/// A guard that passes every request at once and holds nothing.
pub(crate) fn ready_guard() -> GuardLayer<Open> {
    GuardLayer::new(Open)
}

/// A limit by address with one quota.
pub(crate) fn rate_limit(per_day: u32) -> GuardLayer<RateLimit> {
    let limit = Limit::new("ip", KeyExtractor::client_ip()).quota(Quota::per_day(per_day));
    RateLimit::new(Limits::new([limit]).expect("one limit")).into_layer()
}

/// Bans and offences with the default policy.
pub(crate) fn abuse() -> GuardLayer<AbuseGuard> {
    AbuseGuard::new(Detector::new(AbusePolicy::new())).into_layer()
}

/// The access log alone: its records are made and queued, and then discarded.
pub(crate) fn audit() -> AuditLayer {
    const AT_MOST: Duration = Duration::from_secs(60);
    let overflow = Overflow::Block { at_most: AT_MOST };
    let journal = Journal::builder(Discard, overflow).start();
    AuditLayer::new(AuditLog::new(journal.expect("a thread can be started")))
}

/// A dozen routes, as a server for language models has.
pub(crate) fn scope() -> ScopeGuard {
    let scope = |text: &str| Access::scope(text.parse().expect("a valid scope"));
    [
        (Method::GET, "/v1/models", scope("models:read")),
        (Method::GET, "/v1/models/{id}", scope("models:read")),
        (Method::POST, "/v1/chat/completions", scope("chat:write")),
        (Method::POST, "/v1/completions", scope("chat:write")),
        (Method::POST, "/v1/responses", scope("chat:write")),
        (Method::POST, "/v1/embeddings", scope("embeddings:write")),
        (Method::GET, "/v1/files", scope("files:read")),
        (Method::POST, "/v1/files", scope("files:write")),
        (Method::GET, "/v1/files/{id}", scope("files:read")),
        (Method::DELETE, "/v1/files/{id}", scope("files:write")),
        (Method::GET, "/metrics", scope("metrics:read")),
        (Method::GET, "/health", Access::public()),
    ]
    .into_iter()
    .fold(ScopeGuard::builder(), |table, (method, pattern, access)| {
        table.route(method, pattern, access)
    })
    .build()
    .expect("each route has one rule")
}

/// A guard for EdDSA tokens, and a token that it accepts.
pub(crate) fn token() -> (JwtAuth, String) {
    const ISSUER: &str = "https://login.example.com";
    const AUDIENCE: &str = "https://api.example.com";
    let private = include_str!("../../crates/stockade-jwt/tests/keys/ed25519.pem");
    let public = include_str!("../../crates/stockade-jwt/tests/keys/ed25519.pub.pem");
    let signing = SigningKey::pem(Algorithm::EdDsa, private).expect("a private key");
    let verifying = VerifyingKey::pem(Algorithm::EdDsa, public).expect("a public key");
    let keys = LiveKeys::new(KeySet::new([verifying]));
    let scopes = "chat:write models:read".parse().expect("valid scopes");
    let issuer = TokenIssuer::new(signing, ISSUER, AUDIENCE);
    let token = issuer
        .issue("alice", &scopes)
        .expect("a token can be issued");
    let guard = JwtAuth::new(keys, TokenRules::new(ISSUER, AUDIENCE));
    (guard, token.expose().to_owned())
}

/// A service that calls the inner one and does nothing else.
#[derive(Clone)]
pub(crate) struct NoOp<S>(pub(crate) S);

impl<S, R> Service<R> for NoOp<S>
where
    S: Service<R>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.0.call(request)
    }
}

struct Discard;

impl Sink for Discard {
    fn write(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        black_box(batch.bytes());
        Ok(())
    }
}

pub(crate) struct Open;

impl Guard for Open {
    const NAME: &'static str = "open";
    type Pass = ();
    type Hook = ();
    type Wait = NoWait;

    fn check(&self, _head: &Head) -> Check<(), NoWait> {
        Check::Pass(())
    }

    fn admit(&self, (): (), _head: &mut Head) {}
}
