//! An administration with a clock, and its browsers.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request},
};
use http::{
    HeaderMap, Method, StatusCode,
    header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE},
};
use serde_json::{Value, json};
use stockade_audit::{AuditLog, Batch, Journal, Overflow, Sink};
use stockade_key_auth::MemoryKeyStore;
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::tests::{
    conformance,
    support::{Answer, database},
};
use crate::{
    Admin, AdminConfig, AdminStore,
    auth::{Lane, user},
    state::AdminState,
    time::Clock,
};

/// The password of all users of tests.
pub(super) const PASSWORD: &str = "violet kettle under the bridge";
pub(super) const START: i64 = 1_900_000_000_000;

pub(super) struct Server {
    pub(super) admin: Admin,
    pub(super) router: Router,
    audit: AuditLog,
    records: Records,
    clock: Arc<AtomicI64>,
    /// SQLite, or the name of a database of PostgreSQL.
    _folder: TempDir,
}

/// The lines of the audit log.
#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<String>>>);

impl Sink for Records {
    fn write(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        let mut lines = self.0.lock().unwrap();
        lines.extend(batch.lines().map(str::to_owned));
        Ok(())
    }
}

/// A client with its cookie and its CSRF token.
#[derive(Clone)]
pub(super) struct Browser {
    pub(super) router: Router,
    pub(super) ip: IpAddr,
    pub(super) cookie: Option<String>,
    pub(super) csrf: Option<String>,
}

impl Server {
    pub(super) async fn new() -> Self {
        Self::configured(|_, _| {}).await
    }

    /// With other settings, and a folder for their files.
    pub(super) async fn configured(change: impl FnOnce(&mut AdminConfig, &Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = AdminConfig {
            database: database(&folder).await.as_str().into(),
            hosts: vec!["admin.example.com".to_owned()],
            ..AdminConfig::default()
        };
        change(&mut config, folder.path());
        let clock = Arc::new(AtomicI64::new(START));
        let records = Records::default();
        let journal = Journal::builder(records.clone(), Overflow::DropAndCount);
        let audit = AuditLog::new(journal.start().unwrap());
        let store = AdminStore::open(config).await.unwrap();
        let admin = Admin::builder(store, audit.clone())
            .keys(Arc::new(MemoryKeyStore::new()))
            .clock(Clock::Manual(clock.clone()))
            .build();
        Self {
            router: admin.router(),
            admin,
            audit,
            records,
            clock,
            _folder: folder,
        }
    }

    /// With the users `admin`, `operator` and `viewer`.
    pub(super) async fn with_users() -> Self {
        let server = Self::new().await;
        server.add_users().await;
        server
    }

    pub(super) async fn add_users(&self) {
        let passwords = &self.state().0.auth.passwords;
        let password = serde_json::from_value(json!(PASSWORD)).unwrap();
        let hash = passwords.hash(Lane::Known, &password).await.unwrap();
        let pool = self.state().database().pool();
        for name in ["admin", "operator", "viewer"] {
            user::create(name, name, &hash, START, pool).await.unwrap();
        }
    }

    pub(super) fn state(&self) -> &AdminState {
        self.admin.state()
    }

    pub(super) fn advance(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).unwrap();
        self.clock.fetch_add(millis, Ordering::SeqCst);
    }

    /// A client that is not logged in; each number is another network.
    pub(super) fn browser(&self, number: u32) -> Browser {
        Browser {
            router: self.router.clone(),
            ip: Ipv4Addr::from_bits(0x0a00_0000 + number).into(),
            cookie: None,
            csrf: None,
        }
    }

    /// A browser in which this user is logged in.
    pub(super) async fn logged_in(&self, user: &str) -> Browser {
        let mut browser = self.browser(0);
        let answer = browser.login(user, PASSWORD).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        browser
    }

    /// All security events so far.
    pub(super) fn events(&self) -> Vec<Value> {
        self.audit.flush(Duration::from_secs(10)).unwrap();
        let lines = self.records.0.lock().unwrap();
        let records = lines.iter().map(|line| serde_json::from_str(line).unwrap());
        records
            .filter(|record: &Value| record["event"] != "log_opened")
            .collect()
    }

    pub(super) fn verifications(&self) -> u64 {
        self.state().0.auth.passwords.verifications()
    }
}

impl Browser {
    /// Logs in, and keeps the cookie of a success.
    pub(super) async fn login(&mut self, username: &str, password: &str) -> Answer {
        let body = json!({ "username": username, "password": password });
        let answer = self.post("/session", body).await;
        self.keep(&answer);
        answer
    }

    pub(super) fn keep(&mut self, answer: &Answer) {
        if !answer.status.is_success() {
            return;
        }
        if let Some(cookie) = answer.headers.get(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            self.cookie = cookie.split(';').next().map(str::to_owned);
            let csrf = &answer.json()["csrf_token"];
            self.csrf = csrf.as_str().map(str::to_owned);
        }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, &[]).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body), &[]).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None, &[]).await
    }

    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/admin/v1{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(csrf) = &self.csrf {
            request = request.header("x-csrf-token", csrf);
        }
        let request = match body {
            Some(body) => request
                .header(CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        self.send_request(request.unwrap()).await
    }

    /// Sends a request with the cookie, and with a host unless it has one.
    pub(super) async fn send_request(&self, mut request: Request) -> Answer {
        let headers = request.headers_mut();
        if let Some(cookie) = &self.cookie {
            headers.append(COOKIE, cookie.parse().unwrap());
        }
        if !headers.contains_key(HOST) {
            headers.insert(HOST, "localhost:8001".parse().unwrap());
        }
        let (method, path) = (request.method().clone(), request.uri().to_string());
        let peer = SocketAddr::from((self.ip, 4711));
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = self.router.clone().oneshot(request).await;
        let (parts, body) = response.expect("the router never fails").into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        let answer = Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(body.into()).unwrap(),
        };
        conformance::check(&method, &path, &answer);
        answer
    }
}

/// The values of a header.
pub(super) fn values<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h str> {
    let values = headers.get_all(name).iter();
    values.map(|value| value.to_str().unwrap()).collect()
}
