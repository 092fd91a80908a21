//! An identity provider: discovery, keys, authorizations and tokens.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose};
use http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

use crate::tests::auth::server::START;

pub(super) const CLIENT: &str = "stockade admin";
pub(super) const SECRET: &str = "s3cret: with a colon";
// Published key pairs for tests, the same as those of `stockade-jwt`; they are no secrets.
const ES256: &str = include_str!("es256.pem");
const RS256: &str = include_str!("rs256.pem");

/// A provider on a port of its own.
pub(super) struct Idp {
    pub(super) issuer: String,
    shared: Shared,
    task: JoinHandle<()>,
}

type Shared = Arc<Mutex<Provider>>;

struct Provider {
    issuer: String,
    algorithm: Algorithm,
    /// The issuer in the document of the discovery.
    advertised: String,
    available: bool,
    forgery: Option<Forgery>,
    codes: BTreeMap<String, Grant>,
    redeemed: usize,
}

/// How ID tokens are forged.
#[derive(Clone, Copy, Debug)]
pub(super) enum Forgery {
    /// Claims without their signature.
    Claims,
    /// Signed by a key that the provider does not publish.
    OtherKey,
    /// Signed with a secret.
    Secret,
    /// The algorithm `none`.
    None,
}

/// What a code stands for.
struct Grant {
    challenge: String,
    redirect_uri: String,
    claims: Value,
}

impl Idp {
    pub(super) async fn start(algorithm: Algorithm) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}/staff", listener.local_addr().unwrap());
        let shared = Arc::new(Mutex::new(Provider {
            issuer: issuer.clone(),
            algorithm,
            advertised: issuer.clone(),
            available: true,
            forgery: None,
            codes: BTreeMap::new(),
            redeemed: 0,
        }));
        let router = Router::new()
            .route("/staff/.well-known/openid-configuration", get(discovery))
            .route("/staff/keys", get(keys))
            .route("/staff/token", post(token))
            .with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            issuer,
            shared,
            task,
        }
    }

    pub(super) fn set_available(&self, available: bool) {
        self.shared.lock().unwrap().available = available;
    }

    pub(super) fn forge(&self, forgery: Forgery) {
        self.shared.lock().unwrap().forgery = Some(forgery);
    }

    pub(super) fn advertise(&self, issuer: &str) {
        issuer.clone_into(&mut self.shared.lock().unwrap().advertised);
    }

    /// How many codes were exchanged for a token.
    pub(super) fn redeemed(&self) -> usize {
        self.shared.lock().unwrap().redeemed
    }

    /// The login of a user on the page of the provider, where `url` leads: the parameters of the
    /// redirect to the callback. `change` can replace the claims of the ID token.
    pub(super) fn authorize(&self, url: &str, change: impl FnOnce(&mut Value)) -> String {
        let url = Url::parse(url).unwrap();
        let query: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
        assert_eq!(url.path(), "/staff/authorize");
        assert_eq!(query["response_type"], "code");
        assert_eq!(query["client_id"], CLIENT);
        assert_eq!(query["code_challenge_method"], "S256");
        assert!(query["scope"].split(' ').any(|scope| scope == "openid"));
        let now = START / 1000;
        let mut claims = json!({
            "iss": self.issuer,
            "sub": "248289761001",
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": query["nonce"],
            "preferred_username": "Zoe",
            "roles": ["staff", "editors"],
        });
        change(&mut claims);
        let mut provider = self.shared.lock().unwrap();
        let code = format!("code {}", provider.codes.len() + provider.redeemed);
        let grant = Grant {
            challenge: query["code_challenge"].clone(),
            redirect_uri: query["redirect_uri"].clone(),
            claims,
        };
        provider.codes.insert(code.clone(), grant);
        let mut parameters = url::form_urlencoded::Serializer::new(String::new());
        parameters
            .append_pair("code", &code)
            .append_pair("state", &query["state"])
            .append_pair("iss", &self.issuer)
            .finish()
    }
}

impl Drop for Idp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn discovery(State(shared): State<Shared>) -> Response {
    let provider = shared.lock().unwrap();
    if !provider.available {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let base = &provider.issuer;
    let document = json!({
        "issuer": provider.advertised,
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "jwks_uri": format!("{base}/keys"),
        "response_types_supported": ["code"],
        "authorization_response_iss_parameter_supported": true,
    });
    Json(document).into_response()
}

async fn keys(State(shared): State<Shared>) -> Json<Value> {
    let algorithm = shared.lock().unwrap().algorithm;
    let mut key = Jwk::from_encoding_key(&signing_key(algorithm), algorithm).unwrap();
    key.common.key_id = Some("2030".to_owned());
    Json(json!({ "keys": [{ "kty": "new" }, key] }))
}

/// Checks the client, the code, the redirect URI and the PKCE verifier; each code works once.
async fn token(State(shared): State<Shared>, headers: HeaderMap, body: String) -> Response {
    let form: BTreeMap<String, String> = serde_urlencoded::from_str(&body).unwrap();
    let error = |status: StatusCode, code: &str| {
        let body = Json(json!({ "error": code, "error_description": "secret of the provider" }));
        (status, body).into_response()
    };
    let expected = "stockade+admin:s3cret%3A+with+a+colon";
    let expected = format!("Basic {}", general_purpose::STANDARD.encode(expected));
    if headers[AUTHORIZATION] != *expected {
        return error(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let mut provider = shared.lock().unwrap();
    let Some(grant) = provider.codes.remove(&form["code"]) else {
        return error(StatusCode::BAD_REQUEST, "invalid_grant");
    };
    let digest = Sha256::digest(form["code_verifier"].as_bytes());
    let challenge = general_purpose::URL_SAFE_NO_PAD.encode(digest);
    if challenge != grant.challenge || form["redirect_uri"] != grant.redirect_uri {
        return error(StatusCode::BAD_REQUEST, "invalid_grant");
    }
    provider.redeemed += 1;
    let id_token = sign(provider.algorithm, provider.forgery, &grant.claims);
    let body = json!({ "access_token": "a", "token_type": "Bearer", "id_token": id_token });
    Json(body).into_response()
}

fn sign(algorithm: Algorithm, forgery: Option<Forgery>, claims: &Value) -> String {
    let signed = |algorithm, key: &EncodingKey| {
        let mut header = Header::new(algorithm);
        header.kid = Some("2030".to_owned());
        encode(&header, claims, key).unwrap()
    };
    let token = signed(algorithm, &signing_key(algorithm));
    let (unsigned, signature) = token.rsplit_once('.').unwrap();
    let encode = |value: Value| general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    match forgery {
        None => token,
        Some(Forgery::Claims) => {
            let (header, _) = unsigned.split_once('.').unwrap();
            let mut other = claims.clone();
            other["roles"] = json!("owners");
            format!("{header}.{}.{signature}", encode(other))
        }
        Some(Forgery::OtherKey) => signed(Algorithm::RS256, &signing_key(Algorithm::RS256)),
        Some(Forgery::Secret) => {
            let secret = EncodingKey::from_secret(&[7; 32]).unwrap();
            signed(Algorithm::HS256, &secret)
        }
        Some(Forgery::None) => {
            let header = encode(json!({ "alg": "none", "kid": "2030" }));
            format!("{header}.{}.", encode(claims.clone()))
        }
    }
}

fn signing_key(algorithm: Algorithm) -> EncodingKey {
    match algorithm {
        Algorithm::ES256 => EncodingKey::from_ec_pem(ES256.as_bytes()).unwrap(),
        _ => EncodingKey::from_rsa_pem(RS256.as_bytes()).unwrap(),
    }
}
