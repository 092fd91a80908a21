//! An administration with an actor, and its requests.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    response::Response,
};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{CONTENT_TYPE, HOST},
};
use serde_json::Value;
use stockade_abuse::{AbusePolicy, Detector};
use stockade_audit::{AuditLog, Journal, Overflow, WriterSink};
use stockade_key_auth::{KeyStore, MemoryKeyStore};
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::conformance;
use crate::{
    Admin, AdminConfig, AdminStore, Permissions, PriceConfig,
    actor::{Actor, ActorCredential},
};

/// An administration with a SQLite database.
pub(super) struct App {
    router: Router,
    pub(super) admin: Admin,
    pub(super) detector: Detector,
    pub(super) audit: AuditLog,
    _folder: TempDir,
}

/// The URL of a new database: SQLite, or PostgreSQL with the feature `postgres-tests`.
#[cfg(not(feature = "postgres-tests"))]
pub(crate) async fn database(folder: &TempDir) -> String {
    format!("sqlite:{}/admin.db", folder.path().display())
}

#[cfg(feature = "postgres-tests")]
pub(crate) async fn database(_: &TempDir) -> String {
    super::postgres::database().await
}

/// A response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl App {
    pub(super) async fn new() -> Self {
        Self::with(Arc::new(MemoryKeyStore::new())).await
    }

    pub(super) async fn with(keys: Arc<dyn KeyStore>) -> Self {
        Self::start(keys, |_| {}).await
    }

    pub(super) async fn configured(change: impl FnOnce(&mut AdminConfig)) -> Self {
        Self::start(Arc::new(MemoryKeyStore::new()), change).await
    }

    pub(super) async fn start(
        keys: Arc<dyn KeyStore>,
        change: impl FnOnce(&mut AdminConfig),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let price = PriceConfig {
            prompt_per_million: 1.0,
            completion_per_million: 2.0,
        };
        let mut config = AdminConfig {
            database: database(&folder).await.as_str().into(),
            prices: [("priced".to_owned(), price)].into(),
            ..AdminConfig::default()
        };
        change(&mut config);
        let store = AdminStore::open(config).await.unwrap();
        let sink = WriterSink::new(std::io::sink());
        let journal = Journal::builder(sink, Overflow::DropAndCount);
        let audit = AuditLog::new(journal.start().unwrap());
        let audit = audit.copy(store.journal().unwrap());
        let detector = Detector::new(AbusePolicy::new());
        let admin = Admin::builder(store, audit.clone())
            .keys(keys)
            .detector(detector.clone())
            .build();
        Self {
            router: admin.router(),
            admin,
            detector,
            audit,
            _folder: folder,
        }
    }

    /// Sends a request of a user with all permissions.
    pub(super) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.send_as("admin", Permissions::all(), method, path, body)
            .await
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        let answer = self.send(Method::GET, path, None).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        answer.json()
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub(super) async fn send_as(
        &self,
        name: &str,
        permissions: Permissions,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = match body {
            Some(body) => request
                .header(CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        let request = request.expect("the request is valid");
        self.request(name, permissions, request).await
    }

    /// Sends a request of a user with all permissions, with further headers.
    pub(super) async fn send_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &Value,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header(CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_string()));
        let request = request.expect("the request is valid");
        self.request("admin", Permissions::all(), request).await
    }

    pub(super) async fn request(
        &self,
        name: &str,
        permissions: Permissions,
        request: Request,
    ) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().to_string());
        let response = self.respond_to(name, permissions, request).await;
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 64 << 20).await.unwrap();
        let answer = Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(body.into()).unwrap(),
        };
        conformance::check(&method, &path, &answer);
        answer
    }

    /// The response to a request of a user with all permissions.
    pub(super) async fn respond(&self, request: Request) -> Response {
        self.respond_to("admin", Permissions::all(), request).await
    }

    async fn respond_to(
        &self,
        name: &str,
        permissions: Permissions,
        mut request: Request,
    ) -> Response {
        let host = HeaderValue::from_static("localhost");
        request.headers_mut().insert(HOST, host);
        request.extensions_mut().insert(Actor {
            user_id: format!("usr_{name}"),
            name: name.to_owned(),
            permissions,
            credential: ActorCredential::Token("tok_1".to_owned()),
            client: None,
            request: None,
        });
        let response = self.router.clone().oneshot(request).await;
        response.expect("the router never fails")
    }
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("the body is JSON")
    }

    /// Checks the status, and the code and the field of an error.
    pub(super) fn assert_error(&self, status: u16, code: &str, param: Option<&str>) {
        assert_eq!(self.status, status, "{}", self.text);
        let error = &self.json()["error"];
        assert_eq!(error["code"], code, "{error}");
        assert_eq!(error["param"].as_str(), param, "{error}");
    }
}

/// The texts of a field of a list.
pub(super) fn texts<'v>(list: &'v Value, field: &str) -> Vec<&'v str> {
    let items = list["data"].as_array().expect("it is a list").iter();
    items
        .map(|item| item[field].as_str().expect("it is a text"))
        .collect()
}
