//! The stacks, from nothing to a fence.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use axum::{Router, routing::post};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use stockade_core::guard::{Check, Guard, GuardLayer, Head, NoWait};
use stockade_jwt::{
    Algorithm, JwtAuth, KeySet, LiveKeys, SigningKey, TokenIssuer, TokenRules, VerifyingKey,
};
use stockade_key_auth::KeyDigest;
use stockade_scope::{Access, ScopeGuard};
use tower::{Layer, Service, layer::layer_fn, service_fn};

use crate::{
    Keys, Stack,
    fences::{context, fences, limits_and_bans},
    keys::generated,
    peers::peers,
    request::{copies, request},
};

/// Making and dropping the request: a part of every stack, to be subtracted.
pub const REQUEST_ALONE: &str = "request alone";
/// A tower service without anything.
pub const SERVICE_FN: &str = "`service_fn`";
/// What everything else is compared with: axum's router with one route.
pub const ROUTER: &str = "Router";
/// A layer that hands everything on.
pub const NO_OP: &str = "Router + no-op layer";
/// A guard that answers at once and holds nothing.
pub const READY_GUARD: &str = "Router + ready guard";
/// The no-op layer, put on with `Router::layer`, which boxes.
pub const BOXED_NO_OP: &str = "`Router::layer`(no-op layer)";
/// The ready guard, put on with `Router::layer`, which boxes.
pub const BOXED_READY_GUARD: &str = "`Router::layer`(ready guard)";

/// The key's digest alone: all that a look-up by digest cannot do without.
pub const KEY_DIGEST: &str = "SHA-256 of the key alone";
/// Key auth, with one of a thousand SHA-256 keys, which expires one day.
pub const KEY_AUTH: &str = "Router + key auth";
/// The context of a request, which comes first in every fence.
pub const CONTEXT: &str = "Router + context";
/// Key auth behind a context.
pub const CONTEXT_KEY_AUTH: &str = "Router + context + key auth";
/// Token auth behind a context, with an EdDSA token that was verified before.
pub const CONTEXT_TOKEN: &str = "Router + context + token";
/// Key auth, then the scope guard with a dozen routes, behind a context.
pub const SCOPE: &str = "Router + context + key auth + scope";
/// Key auth, put on with `Router::layer`, which boxes.
pub const BOXED_KEY_AUTH: &str = "`Router::layer`(key auth)";
/// Key auth, with a well-formed key that nobody was given.
pub const REFUSED: &str = "Router + key auth, 401";

/// All stacks, in the order of the table.
pub fn stacks() -> Vec<Stack> {
    let keys = Keys::new(1_000);
    let groups = [ours, the_peers, limited, fences];
    groups.iter().flat_map(|group| group(&keys)).collect()
}

/// One of them alone: those that are made before it are gone when it runs, and the peers,
/// whose clock takes as long to calibrate as it likes, are made for themselves only.
pub fn stack(name: &str) -> Option<Stack> {
    let keys = Keys::new(1_000);
    [ours, limited, fences, the_peers]
        .iter()
        .find_map(|group| group(&keys).into_iter().find(|stack| stack.name() == name))
}

fn the_peers(keys: &Keys) -> Vec<Stack> {
    peers(keys.known(), copies(request(keys.known())))
}

fn limited(keys: &Keys) -> Vec<Stack> {
    limits_and_bans(copies(request(keys.known())))
}

/// The stacks of a router, and of keys, tokens and scopes.
fn ours(keys: &Keys) -> Vec<Stack> {
    let good = copies(request(keys.known()));
    let bad = copies(request(generated("stranger").expose()));
    let digested = keys.known().to_owned();
    let key_auth = || keys.guard().into_layer();
    let tokens = Tokens::new();
    let ready = || GuardLayer::new(Open);
    let ok = StatusCode::OK;
    let unauthorized = StatusCode::UNAUTHORIZED;
    vec![
        Stack::of(REQUEST_ALONE, good.clone()),
        Stack::service(SERVICE_FN, service_fn(answer), good.clone(), ok),
        Stack::service(ROUTER, router(), good.clone(), ok),
        Stack::service(NO_OP, NoOp(router()), good.clone(), ok),
        Stack::service(READY_GUARD, ready().layer(router()), good.clone(), ok),
        Stack::service(KEY_AUTH, key_auth().layer(router()), good.clone(), ok),
        Stack::service(CONTEXT, context().layer(router()), good.clone(), ok),
        Stack::service(
            CONTEXT_KEY_AUTH,
            context().layer(key_auth().layer(router())),
            good.clone(),
            ok,
        ),
        Stack::service(
            CONTEXT_TOKEN,
            context().layer(tokens.guard.into_layer().layer(router())),
            copies(request(&tokens.text)),
            ok,
        ),
        Stack::service(
            SCOPE,
            context().layer(key_auth().layer(scope().into_layer().layer(router()))),
            good.clone(),
            ok,
        ),
        Stack::service(REFUSED, key_auth().layer(router()), bad, unauthorized),
        Stack::service(
            BOXED_NO_OP,
            router().layer(layer_fn(NoOp)),
            good.clone(),
            ok,
        ),
        Stack::service(BOXED_READY_GUARD, router().layer(ready()), good.clone(), ok),
        Stack::service(BOXED_KEY_AUTH, router().layer(key_auth()), good, ok),
        Stack::of(KEY_DIGEST, move || KeyDigest::of(digested.as_bytes())),
    ]
}

/// The router that everything stands around.
pub fn router() -> Router {
    Router::new().route("/v1/chat/completions", post(async || "ok"))
}

async fn answer(_request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"ok"))))
}

/// A dozen routes, as a server for language models has.
fn scope() -> ScopeGuard {
    let scope = |text: &str| Access::scope(text.parse().expect("this is a scope"));
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
    .expect("no two rules are for one route")
}

/// A guard for EdDSA tokens, and one that it takes.
struct Tokens {
    guard: JwtAuth,
    text: String,
}

impl Tokens {
    fn new() -> Self {
        const ISSUER: &str = "https://login.example.com";
        const AUDIENCE: &str = "https://api.example.com";
        let private = include_str!("../../crates/stockade-jwt/tests/keys/ed25519.pem");
        let public = include_str!("../../crates/stockade-jwt/tests/keys/ed25519.pub.pem");
        let signing = SigningKey::pem(Algorithm::EdDsa, private).expect("a private key");
        let verifying = VerifyingKey::pem(Algorithm::EdDsa, public).expect("a public key");
        let keys = LiveKeys::new(KeySet::new([verifying]));
        let scopes = "chat:write models:read".parse().expect("these are scopes");
        let issuer = TokenIssuer::new(signing, ISSUER, AUDIENCE);
        let token = issuer.issue("alice", &scopes).expect("a token can be made");
        Self {
            guard: JwtAuth::new(keys, TokenRules::new(ISSUER, AUDIENCE)),
            text: token.expose().to_owned(),
        }
    }
}

#[derive(Clone)]
struct NoOp<S>(S);

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

struct Open;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::two_clients;

    /// Each stack checks its answer, time after time: a client that was banned for the
    /// refusals that are measured would get another one.
    #[test]
    fn every_stack_answers_as_it_should() {
        let pairs = two_clients();
        for stack in stacks().iter().chain(pairs.iter().flatten()) {
            (0..20).for_each(|_| stack.run());
            assert_eq!(stack.lost_records(), 0);
        }
    }
}
