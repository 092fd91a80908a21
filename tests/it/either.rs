//! API keys and access tokens in one layer.

use std::convert::Infallible;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use sha2::Sha256;
use stockade_core::{
    client::ClientIp,
    clock::{Clock, SystemClock},
    context::RequestContext,
    guard::{Guard, GuardLayer, TakeReady},
    identity::Authenticator,
};
use stockade_jwt::{
    Algorithm, JwtAuth, JwtLayer, KeySet, LiveKeys, Secret, SigningKey, TokenIssuer, TokenRules,
    VerifyingKey,
};
use stockade_key_auth::{GeneratedKey, KeyAuth, KeyAuthLayer, KeyRecord, MemoryKeyStore};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneService};

const ISSUER: &str = "https://login.example.com";
const AUDIENCE: &str = "https://api.example.com";

// A13
#[tokio::test]
async fn accepts_a_key_or_a_token_but_not_both() {
    let store = MemoryKeyStore::new();
    let key = GeneratedKey::new("sk", "by-key".parse().unwrap()).unwrap();
    let record = KeyRecord::new(key.id().clone(), key.digest());
    store.insert(record).unwrap();

    let secret = Secret::new(b"thirty-two random bytes or more!").unwrap();
    let verifying = VerifyingKey::hmac(Algorithm::Hs256, &secret).unwrap();
    let keys = LiveKeys::new(KeySet::new([verifying]));
    let signing = SigningKey::hmac(Algorithm::Hs256, &secret).unwrap();
    let issuer = TokenIssuer::new(signing, ISSUER, AUDIENCE);
    let token = issuer
        .issue("by-token", &"chat:write".parse().unwrap())
        .unwrap();

    let tokens = JwtLayer::new(keys, TokenRules::new(ISSUER, AUDIENCE));
    let service =
        KeyAuthLayer::new(&store)
            .or(tokens)
            .layer(service_fn(|request: Request<()>| async move {
                let id = RequestContext::of(request.extensions())
                    .and_then(RequestContext::principal)
                    .unwrap()
                    .id()
                    .to_owned();
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(id))))
            }));

    let (key, token) = (key.expose(), token.expose());
    let bearer = |text: &str| ("authorization", format!("Bearer {text}"));
    let header = |text: &str| ("x-api-key", text.to_owned());
    for (headers, status, principal) in [
        (vec![bearer(key)], 200, "by-key"),
        (vec![header(key)], 200, "by-key"),
        (vec![bearer(token)], 200, "by-token"),
        (vec![], 401, ""),
        (vec![bearer("wrong")], 401, ""),
        (vec![bearer(&format!("{token}x"))], 401, ""),
        (vec![bearer(token), header(key)], 400, ""),
        (vec![bearer(token), header("")], 400, ""),
        (vec![bearer(token), bearer(key)], 400, ""),
        (vec![bearer(token), bearer(&format!("{token}x"))], 400, ""),
        // A token is only accepted in `Authorization`.
        (vec![header(token)], 401, ""),
    ] {
        let mut request = Request::new(());
        for (name, value) in &headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{headers:?}");
        if status == 200 {
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, principal);
        }
    }
}

/// The claims of an identity provider, padded with roles or groups to this length.
fn provider_claims(provider: &str, now: u64, length: usize) -> Value {
    let mut claims = match provider {
        "auth0" => json!({
            "sub": "auth0|64f0c3a5b7d2e1f4a5b6c7d8",
            "azp": "Tk3vQ0mX5nYJ8rL2sW7uZ1bC4dE6fG9h",
            "scope": "openid profile email chat:write models:read",
            "gty": "password",
            "https://example.com/org": { "id": "org_4QmVZ", "plan": "enterprise" },
            "permissions": [],
        }),
        "entra" => json!({
            "aio": "AVQAq/8TAAAAkBfPqOq1Z4lV1sY0x3n2b7c9d5e6f8g0h1i2j3k4l5m6n7o8p9q0r",
            "appid": "11112222-bbbb-3333-cccc-4444dddd5555",
            "appidacr": "1",
            "idp": "https://sts.windows.net/aaaabbbb-0000-cccc-1111-dddd2222eeee/",
            "oid": "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb",
            "rh": "0.AXEAv4j5cvGGr0GRqy180BHbR1ZXrH5SVLxKpQ5kMSk0a9AxAAA.",
            "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
            "tid": "aaaabbbb-0000-cccc-1111-dddd2222eeee",
            "uti": "6xLp3Q1dUUW7n0b2k8wDAA",
            "ver": "1.0",
            "groups": [],
        }),
        "keycloak" => json!({
            "jti": "onrtro:6f2a4c1e-8b3d-4f5a-9c7e-0d1b2a3c4e5f",
            "sub": "f1e2d3c4-b5a6-4978-8a9b-0c1d2e3f4a5b",
            "typ": "Bearer",
            "azp": "gateway",
            "sid": "7c1f3a5b-9d2e-4f60-8a7b-6c5d4e3f2a1b",
            "acr": "1",
            "allowed-origins": ["https://app.example.com"],
            "realm_access": { "roles": ["offline_access", "uma_authorization"] },
            "resource_access": { "account": { "roles": ["manage-account", "view-profile"] } },
            "scope": "email profile",
            "preferred_username": "alice",
            "groups": [],
        }),
        "google" => json!({
            "sub": "110169484474386276334",
            "azp": "618104708054-9r9s1c4alg36erliucho9t52n32n6dgq.apps.googleusercontent.com",
            "email": "alice@example.com",
            "email_verified": true,
            "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q",
            "hd": "example.com",
            "picture": "https://lh3.googleusercontent.com/a/ACg8ocK4x3n2b7c9d5e6f8g0h1i2j3k4l5=s96-c",
            "groups": [],
        }),
        other => panic!("{other}"),
    };
    let times = [("iat", now - 5), ("nbf", now - 5), ("exp", now + 3_600)];
    for (name, at) in times {
        claims[name] = at.into();
    }
    claims["iss"] = ISSUER.into();
    claims["aud"] = AUDIENCE.into();
    let list = ["permissions", "groups"]
        .into_iter()
        .find(|name| claims[*name].is_array())
        .unwrap();
    for n in 0.. {
        if claims.to_string().len() * 4 / 3 >= length {
            break;
        }
        let name = format!("{n:08x}-0000-1111-2222-{:012x}", n * 7_919);
        claims[list].as_array_mut().unwrap().push(name.into());
    }
    claims
}

/// A token with these claims and a valid signature.
fn signed(secret: &[u8], claims: &Value) -> String {
    let header = json!({"typ": "JWT", "alg": "HS256", "kid": "rtsFT-b-7LuY7DVYeSNKcIJ7Vnc"});
    let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut token);
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(mac.finalize().into_bytes(), &mut token);
    token
}

// FA02
#[tokio::test]
async fn routes_tokens_of_identity_providers_to_the_token_guard() {
    const SECRET: &[u8] = b"thirty-two random bytes or more!";
    let store = MemoryKeyStore::new();
    let secret = Secret::new(SECRET).unwrap();
    let verifying = VerifyingKey::hmac(Algorithm::Hs256, &secret).unwrap();
    let tokens = || {
        let keys = LiveKeys::new(KeySet::new([verifying.clone()]));
        JwtAuth::new(keys, TokenRules::new(ISSUER, AUDIENCE))
    };
    let now = SystemClock::new().now().as_secs();
    let layers = [
        KeyAuth::new(&store).or(tokens()).into_layer(),
        KeyAuthLayer::new(&store).or(JwtLayer::from(tokens())),
        // As the facade builds it for routes that do not require a key.
        KeyAuth::new(&store)
            .dangerous_allow_anonymous()
            .or_maybe(Some(tokens()))
            .into_layer(),
    ];
    for provider in ["auth0", "entra", "keycloak", "google"] {
        for length in [0, 1_024, 2_048, 3_072, 4_096, 7_900, 9_000, 60_000] {
            let token = signed(SECRET, &provider_claims(provider, now, length));
            let (status, cause) = match token.len() {
                ..=8_192 => (200, None),
                _ => (401, Some("too_long")),
            };
            for layer in &layers {
                let asked = ask(layer, &token).await;
                assert_eq!(asked, (status, cause), "{provider} {length}");
                // Forged: a 401 of the token guard instead of a conflict.
                let forged = format!("{}AAAA", &token[..token.len() - 4]);
                let cause = cause.or(Some("signature"));
                assert_eq!(
                    ask(layer, &forged).await,
                    (401, cause),
                    "{provider} {length}"
                );
            }
        }
    }
    // A guard for keys alone refuses tokens of any length with the same reason.
    let alone = KeyAuth::new(&store).into_layer();
    for length in [0, 4_096, 60_000] {
        let token = signed(SECRET, &provider_claims("entra", now, length));
        assert_eq!(ask(&alone, &token).await, (401, Some("token")), "{length}");
    }
}

type Inner = BoxCloneService<Request<()>, Response<Full<Bytes>>, Infallible>;

/// The status and the cause of the refusal.
async fn ask<G>(layer: &GuardLayer<G>, token: &str) -> (u16, Option<&'static str>)
where
    G: Guard<Wait: TakeReady<Inner>>,
{
    let mut request = Request::builder()
        .header("authorization", format!("Bearer {token}"))
        .body(())
        .unwrap();
    let context = RequestContext::builder()
        .client(ClientIp::UnixSocket)
        .build();
    request.extensions_mut().insert(context.clone());
    let inner = Inner::new(service_fn(|_: Request<()>| async {
        Ok(Response::new(Full::<Bytes>::default()))
    }));
    let response = layer.layer(inner).oneshot(request).await.unwrap();
    let cause = context.denial().map(|denial| denial.internal_reason);
    (response.status().as_u16(), cause)
}
