//! Keys and tokens in one layer, with one verdict.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use stockade_core::{Authenticator, Guard, Principal};
use stockade_jwt::{
    Algorithm, JwtAuth, KeySet, LiveKeys, Secret, SigningKey, TokenIssuer, TokenRules, VerifyingKey,
};
use stockade_key_auth::{GeneratedKey, KeyAuth, KeyRecord, MemoryKeyStore};
use tower::{Layer, ServiceExt, service_fn};

const ISSUER: &str = "https://login.example.com";
const AUDIENCE: &str = "https://api.example.com";

// A13
#[tokio::test]
async fn a_key_or_a_token_but_not_both() {
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

    let auth = KeyAuth::new(&store).or(JwtAuth::new(keys, TokenRules::new(ISSUER, AUDIENCE)));
    let service = auth
        .into_layer()
        .layer(service_fn(|request: Request<()>| async move {
            let id = Principal::of(request.extensions()).unwrap().id().to_owned();
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
        // A token belongs into Authorization.
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
