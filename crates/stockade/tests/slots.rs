//! Tests custom guards in the slots of a fence.

#![cfg(feature = "axum")]
#![allow(
    clippy::unwrap_used,
    reason = "test helpers; clippy exempts only test functions"
)]

use std::{fs, net::SocketAddr, sync::Arc};

use axum::{Router, body::Body, extract::ConnectInfo, routing};
use http::{Request, Response, StatusCode};
use stockade::{
    Config, Environment, Fence, Format,
    core::{
        guard::{Head, async_guard_fn, guard_fn},
        identity::Principal,
        refusal::{Refusal, RefusalKind},
    },
    key_auth::{GeneratedKey, KeyRecord},
};
use stockade_key_auth::to_yaml;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tower::ServiceExt;

struct Site {
    router: Router,
    key: String,
    other: String,
    gpu: Arc<Semaphore>,
    _folder: TempDir,
}

const CHAT: &str = r#"{"model":"tiny","messages":[{"role":"user","content":"hi"}]}"#;
const OTHER: &str = r#"{"model":"huge","messages":[{"role":"user","content":"hi"}]}"#;

fn tenant(head: &Head) -> Result<(), Refusal> {
    match head.headers.contains_key("x-tenant") {
        true => Ok(()),
        false => Err(Refusal::new(RefusalKind::Invalid, "x-tenant is missing").with_code("TENANT")),
    }
}

fn owner(head: &Head) -> Result<(), Refusal> {
    // After authentication, the principal is known.
    match head.context().principal().map(Principal::id) {
        Some("team") => Ok(()),
        _ => Err(Refusal::new(RefusalKind::Forbidden, "not for this key").with_code("OWNER")),
    }
}

impl Site {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = GeneratedKey::new("sk", "team".parse().unwrap()).unwrap();
        let other = GeneratedKey::new("sk", "other".parse().unwrap()).unwrap();
        let record = |key: &GeneratedKey| {
            to_yaml(&KeyRecord::new(key.id().clone(), key.digest()).scopes("*".parse().unwrap()))
        };
        let keys = format!("keys:\n{}{}", record(&key), record(&other));
        let path = folder.path().join("keys.yaml");
        fs::write(&path, keys).unwrap();
        let text = format!(
            "[auth]\nkeys_file = {path:?}\n\
             [[routes]]\npath = \"/health\"\nmethods = \"GET\"\naccess = \"public\"\n\
             [[routes]]\npath = \"/v1/chat\"\nmethods = \"POST\"\naccess = \"chat:write\"\n\
             body = \"openai-chat\"\n"
        );
        let config = Config::parse(&text, Format::Toml, &Environment::default()).unwrap();
        let gpu = Arc::new(Semaphore::new(1));
        let permits = Arc::clone(&gpu);
        let take_gpu = move |head: &Head| {
            // After the body check, the model request is known.
            let asked = head.context().model_request();
            let model = asked.and_then(|asked| asked.model.clone());
            let permits = Arc::clone(&permits);
            async move {
                if model.as_deref() != Some("tiny") {
                    let refusal = Refusal::new(RefusalKind::NotFound, "no such model");
                    return Err(refusal.with_code("MODEL"));
                }
                Ok(permits.acquire_owned().await.unwrap())
            }
        };
        let fence = Fence::builder(&config)
            .before_identity(guard_fn("tenant", tenant))
            .after_identity(guard_fn("owner", owner))
            .after_body(async_guard_fn("gpu", take_gpu))
            .build()
            .await
            .unwrap();
        let router = Router::new()
            .route("/health", routing::get(async || "well"))
            .route("/v1/chat", routing::post(async || "hello"))
            .layer(fence.layer());
        Self {
            router,
            key: key.expose().to_owned(),
            other: other.expose().to_owned(),
            gpu,
            _folder: folder,
        }
    }

    async fn chat(&self, tenant: Option<&str>, key: Option<&str>, body: &str) -> Response<Body> {
        let mut request = Request::post("/v1/chat").header("content-type", "application/json");
        if let Some(tenant) = tenant {
            request = request.header("x-tenant", tenant);
        }
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let peer: SocketAddr = "127.0.0.1:50000".parse().unwrap();
        let request = request.extension(ConnectInfo(peer));
        let request = request.body(Body::from(body.to_owned())).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }
}

async fn code(response: Response<Body>) -> String {
    let body = axum::body::to_bytes(response.into_body(), 1 << 16).await;
    let body: serde_json::Value = serde_json::from_slice(&body.unwrap()).unwrap();
    body["error"]["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn guards_run_in_their_slots() {
    let site = Site::new().await;
    let key = Some(site.key.as_str());
    // Before authentication: the guard refuses requests without a key first.
    assert_eq!(code(site.chat(None, None, CHAT).await).await, "TENANT");
    let anonymous = site.chat(Some("a"), None, CHAT).await;
    assert_eq!(anonymous.status(), StatusCode::UNAUTHORIZED);
    // Before the body check: the body is not JSON.
    assert_eq!(code(site.chat(None, key, "{").await).await, "TENANT");
    assert_eq!(
        code(site.chat(Some("a"), key, "{").await).await,
        "INVALID_JSON"
    );
    // After the body check.
    assert_eq!(code(site.chat(Some("a"), key, OTHER).await).await, "MODEL");
    let passed = site.chat(Some("a"), key, CHAT).await;
    assert_eq!(passed.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_guard_after_authentication_has_the_principal() {
    let site = Site::new().await;
    let other = site.chat(Some("a"), Some(&site.other), CHAT).await;
    assert_eq!(code(other).await, "OWNER");
}

#[tokio::test]
async fn a_permit_is_held_until_the_response_has_ended() {
    let site = Site::new().await;
    let key = Some(site.key.as_str());
    let response = site.chat(Some("a"), key, CHAT).await;
    assert_eq!(site.gpu.available_permits(), 0);
    drop(response);
    assert_eq!(site.gpu.available_permits(), 1);
}

#[tokio::test]
async fn probes_skip_custom_guards() {
    let site = Site::new().await;
    let peer: SocketAddr = "127.0.0.1:50000".parse().unwrap();
    let request = Request::get("/health").extension(ConnectInfo(peer));
    let request = request.body(Body::empty()).unwrap();
    let response = site.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}
