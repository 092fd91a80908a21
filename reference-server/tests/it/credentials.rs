//! Credentials: keys, tokens, revocations and key stores.

use std::sync::Arc;

use reqwest::Method;
use serde_json::json;
use stockade::Environment;
use stockade_core::clock::{Clock, SystemClock};
use stockade_jwt::{Algorithm, Secret, SigningKey, TokenIssuer};
use stockade_key_auth::{GeneratedKey, KeyChange, KeyRecord, KeyStore};
use stockade_server::{Config, Server};
use stockade_sqlx::SqlKeyStore;

use crate::{
    refusals::{CHAT, error},
    scripted_backend::{Script, ScriptedBackend},
    test_server::{EXPIRED_KEY, READER_KEY, TestServer},
};

#[tokio::test]
async fn requires_keys_and_scopes() {
    let server = TestServer::start().await;
    for (key, status, challenge) in [
        (None, 401, "Bearer realm=\"api\""),
        (Some("wrong"), 401, "error=\"invalid_token\""),
        (Some(EXPIRED_KEY), 401, "error=\"invalid_token\""),
        (
            Some(READER_KEY),
            403,
            "error=\"insufficient_scope\", scope=\"chat:write\"",
        ),
    ] {
        let mut request = server.request(Method::POST, CHAT).json(&json!({}));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        let response = request.send().await.unwrap();
        let said = response.headers()["www-authenticate"].to_str().unwrap();
        assert!(said.contains(challenge), "{key:?}: {said}");
        assert_eq!(error(response).await.0, status, "{key:?}");
    }
}

#[tokio::test]
async fn accepts_tokens_in_addition_to_keys() {
    let folder = tempfile::tempdir().unwrap();
    let secret_file = folder.path().join("secret");
    let secret = "thirty-two random bytes or more!";
    std::fs::write(&secret_file, format!("{secret}\n")).unwrap();
    let lines = format!(
        "[auth.tokens]\nissuer = \"me\"\naudience = \"you\"\nalgorithm = \"HS256\"\n\
         key_file = \"{}\"\n",
        secret_file.display()
    );
    let server = TestServer::with(Arc::new(ScriptedBackend::new(Script::Hang)), &lines).await;
    let issuer = |secret: &str| {
        let secret = Secret::new(secret).unwrap();
        let key = SigningKey::hmac(Algorithm::Hs256, &secret).unwrap();
        let token =
            TokenIssuer::new(key, "me", "you").issue("ada", &"models:read".parse().unwrap());
        token.unwrap().expose().to_owned()
    };
    for (token, path, method, status) in [
        (issuer(secret), "/v1/models", Method::GET, 200),
        (issuer(secret), CHAT, Method::POST, 403),
        (
            issuer("another secret of thirty-two bytes"),
            "/v1/models",
            Method::GET,
            401,
        ),
    ] {
        let request = server.request(method, path).bearer_auth(token);
        assert_eq!(request.send().await.unwrap().status(), status, "{path}");
    }
    assert_eq!(
        server.get("/v1/models").await.status(),
        200,
        "keys are still accepted"
    );

    // Without configuration, tokens are not accepted.
    let server = TestServer::start().await;
    let request = server
        .request(Method::GET, "/v1/models")
        .bearer_auth(issuer(secret));
    assert_eq!(request.send().await.unwrap().status(), 401);
}

// A08, A22
#[tokio::test]
async fn refuses_a_removed_key_without_a_restart() {
    let server = TestServer::start().await;
    assert_eq!(server.get("/v1/models").await.status(), 200);

    std::fs::write(server.keys_file(), "keys: [").unwrap();
    assert_eq!(
        server.get("/v1/models").await.status(),
        200,
        "a bad file changes nothing"
    );

    std::fs::write(server.keys_file(), "keys: []\n").unwrap();
    let refused = async {
        while server.get("/v1/models").await.status() != 401 {
            tokio::task::yield_now().await;
        }
    };
    let limit = std::time::Duration::from_secs(30);
    tokio::time::timeout(limit, refused)
        .await
        .expect("the file is watched");
}

// A23
#[tokio::test]
async fn does_not_start_without_keys_or_with_two_key_stores() {
    for (auth, why) in [
        ("", "no source of keys is set"),
        (
            "keys_file = \"k.yaml\"\nkeys_database = \"sqlite:k.db\"\n",
            "remove auth.keys_file or auth.keys_database",
        ),
        ("keys_file = \"/nonexistent/k.yaml\"\n", "cannot be read"),
        (
            "keys_database = \"mysql://u:hunter2@h/d\"\n",
            "auth.keys_database",
        ),
    ] {
        let text = format!("[model]\nsource = \"./m\"\n[auth]\n{auth}");
        let config = Config::parse(&text, &Environment::default()).unwrap();
        let error = Server::bind(&config).await.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

// A08
#[tokio::test]
async fn applies_revocations_of_another_process_in_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("keys.db").display());
    let elsewhere = SqlKeyStore::connect(&url).await.unwrap();
    let key = GeneratedKey::new("sk", "ada".parse().unwrap()).unwrap();
    let record = KeyRecord::new(key.id().clone(), key.digest());
    let record = record.scopes("models:read".parse().unwrap());
    elsewhere.create(record).await.unwrap();

    let lines = format!("[auth]\nkeys_database = \"{url}\"\n");
    let server = TestServer::with(Arc::new(ScriptedBackend::new(Script::Hang)), &lines).await;
    let status = async || {
        let request = server
            .request(Method::GET, "/v1/models")
            .bearer_auth(key.expose());
        request.send().await.unwrap().status()
    };
    assert_eq!(status().await, 200);

    let at = SystemClock::new().now();
    elsewhere
        .change(key.id().clone(), KeyChange::Revoke { at })
        .await
        .unwrap();
    let refused = async {
        while status().await != 401 {
            tokio::task::yield_now().await;
        }
    };
    let limit = std::time::Duration::from_secs(30);
    tokio::time::timeout(limit, refused)
        .await
        .expect("the database is watched");
}
