//! Test tokens, and requests to a guard.

use std::convert::Infallible;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use jsonwebtoken::{EncodingKey, crypto::aws_lc::DEFAULT_PROVIDER};
use stockade_core::{
    client::ClientIp,
    clock::Timestamp,
    context::RequestContext,
    guard::GuardLayer,
    identity::{Identity, Principal},
};
use stockade_jwt::{Algorithm, JwtAuth, KeySet, LiveKeys, Secret, TokenRules, VerifyingKey};
use stockade_testkit::FakeClock;
use tower::{Layer, ServiceExt, service_fn};

pub(crate) const ISSUER: &str = "https://id.example.com";
pub(crate) const NOW: u64 = 1_700_000_000;
pub(crate) const SECRET: [u8; 64] =
    *b"a secret of sixty-four bytes, which is enough for HS512 as well!";

pub(crate) const RSA: &str = include_str!("../keys/rsa.pem");
pub(crate) const RSA_PUBLIC: &str = include_str!("../keys/rsa.pub.pem");
pub(crate) const P256: &str = include_str!("../keys/p256.pem");
pub(crate) const P256_PUBLIC: &str = include_str!("../keys/p256.pub.pem");
pub(crate) const P384: &str = include_str!("../keys/p384.pem");
pub(crate) const P384_PUBLIC: &str = include_str!("../keys/p384.pub.pem");
pub(crate) const ED: &str = include_str!("../keys/ed25519.pem");
pub(crate) const ED_PUBLIC: &str = include_str!("../keys/ed25519.pub.pem");

pub(crate) fn secret() -> Secret {
    Secret::new(SECRET).unwrap()
}

pub(crate) fn rules() -> TokenRules {
    TokenRules::new(ISSUER, "api")
}

pub(crate) fn clock() -> FakeClock {
    FakeClock::at(Timestamp::from_secs(NOW))
}

pub(crate) fn hs256() -> LiveKeys {
    LiveKeys::new(KeySet::new([VerifyingKey::hmac(
        Algorithm::Hs256,
        &secret(),
    )
    .unwrap()]))
}

pub(crate) fn layer(keys: impl Into<LiveKeys>) -> GuardLayer<JwtAuth> {
    GuardLayer::new(JwtAuth::new(keys.into(), rules()).clock(clock()))
}

/// Signs arbitrary text.
pub(crate) fn sign(
    algorithm: jsonwebtoken::Algorithm,
    key: &EncodingKey,
    header: &str,
    claims: &str,
) -> String {
    let mut token = URL_SAFE_NO_PAD.encode(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let signer = (DEFAULT_PROVIDER.signer_factory)(&algorithm, key).unwrap();
    let signature = signer.try_sign(token.as_bytes()).unwrap();
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    token
}

/// Signs a token with the test secret and this header.
pub(crate) fn hmac(header: &str, claims: &str) -> String {
    let key = EncodingKey::from_secret(&SECRET).unwrap();
    sign(jsonwebtoken::Algorithm::HS256, &key, header, claims)
}

/// Signs a token with the test secret and a standard header.
pub(crate) fn token(claims: &str) -> String {
    hmac(r#"{"alg":"HS256","typ":"JWT"}"#, claims)
}

/// Valid claims with additional members.
pub(crate) fn good(more: &str) -> String {
    let exp = NOW + 900;
    format!(r#"{{"iss":"{ISSUER}","aud":"api","sub":"alice","exp":{exp}{more}}}"#)
}

pub(crate) fn bearer(token: &str) -> Request<()> {
    Request::builder()
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .body(())
        .unwrap()
}

/// The response, and the internal reason of a denial.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) response: Response<Bytes>,
    pub(crate) cause: Option<&'static str>,
    pub(crate) principal: Option<Principal>,
}

impl Asked {
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }
}

pub(crate) async fn ask(layer: &GuardLayer<JwtAuth>, mut request: Request<()>) -> Asked {
    let context = RequestContext::builder()
        .client(ClientIp::UnixSocket)
        .build();
    request.extensions_mut().insert(context.clone());
    let inner = service_fn(|request: Request<()>| async move {
        assert!(!request.headers().contains_key(AUTHORIZATION));
        let context = RequestContext::of(request.extensions()).unwrap();
        assert_ne!(context.identity(), Identity::Unchecked);
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let response = layer.layer(inner).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Asked {
        response: Response::from_parts(head, body),
        cause: context.denial().map(|denial| denial.internal_reason),
        principal: context.principal().cloned(),
    }
}

pub(crate) async fn status(layer: &GuardLayer<JwtAuth>, token: &str) -> u16 {
    ask(layer, bearer(token)).await.status()
}

pub(crate) async fn cause(layer: &GuardLayer<JwtAuth>, token: &str) -> Option<&'static str> {
    ask(layer, bearer(token)).await.cause
}
