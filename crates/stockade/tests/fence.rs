//! Tests a complete fence around an axum router.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    convert::Infallible,
    fs, future,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::Mutex,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    routing::{get, post},
};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use metrics_exporter_prometheus::PrometheusBuilder;
use stockade::{Authenticated, Config, Environment, Fence, FenceEvent, Format};
use stockade_key_auth::{GeneratedKey, KeyHash, KeyRecord, to_yaml};
use tower::ServiceExt;

const ROUTES: &str = r#"
[auth]
keys_file = "keys.yaml"
[[routes]]
path = "/v1/chat"
methods = "POST"
access = "chat:write"
[[routes]]
path = "/v1/models/{id}"
methods = "GET"
access = "authenticated"
[[routes]]
path = "/health"
methods = "GET"
access = "public"
[[routes]]
path = "/open"
methods = "GET"
access = "public"
[abuse]
ban_loopback = true
"#;

struct Site {
    folder: tempfile::TempDir,
    fence: Fence,
    router: Router,
    key: String,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Site {
    async fn new(config: &str) -> Self {
        Self::with(config, |builder| builder).await
    }

    async fn with(
        config: &str,
        choose: impl FnOnce(stockade::FenceBuilder<'_>) -> stockade::FenceBuilder<'_>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = GeneratedKey::new("sk", "team".parse().unwrap()).unwrap();
        let record =
            KeyRecord::new(key.id().clone(), key.digest()).scopes("chat:write".parse().unwrap());
        let slow: KeyHash = "$2b$10$abcdefghijklmnopqrstuuW3o0o8LkRIqEwXKYXmnZy1Pcq3cQ1Wa"
            .parse()
            .unwrap();
        let slow = KeyRecord::new("slow".parse().unwrap(), slow);
        let keys = format!("keys:\n{}{}", to_yaml(&record), to_yaml(&slow));
        fs::write(folder.path().join("keys.yaml"), keys).unwrap();
        let config = read(&folder, config);
        let fence = choose(Fence::builder(&config)).build().await.unwrap();
        let router = Router::new()
            .route("/v1/chat", post(|| async { "hello" }))
            .route("/v1/models/{id}", get(whoami))
            .route("/v1/secret", get(|| async { "no rule" }))
            .route("/v1/completions", post(|| async { "done" }))
            .route("/v1/echo", post(async |body: Body| body))
            .route("/health", get(|| async { "well" }))
            .route("/open", get(|| async { "open" }))
            .route("/stuck", get(future::pending::<()>))
            .layer(fence.layer());
        Self {
            folder,
            fence,
            router,
            key: key.expose().to_owned(),
        }
    }

    fn request(&self, method: &str, path: &str, key: Option<&str>) -> Request<Body> {
        let peer: SocketAddr = "127.0.0.1:50000".parse().unwrap();
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        request
            .extension(ConnectInfo(peer))
            .body(Body::empty())
            .unwrap()
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    async fn ask(&self, method: &str, path: &str, key: Option<&str>) -> Answer {
        self.send(self.request(method, path, key)).await
    }

    async fn chat(&self, key: &str) -> u16 {
        self.ask("POST", "/v1/chat", Some(key))
            .await
            .status
            .as_u16()
    }
}

fn read(folder: &tempfile::TempDir, text: &str) -> Config {
    let mut config = Config::parse(
        &format!("{ROUTES}{text}"),
        Format::Toml,
        &Environment::default(),
    )
    .unwrap();
    config.resolve_paths(folder.path());
    config
}

async fn whoami(principal: Option<Authenticated>) -> String {
    principal.map_or("anonymous".to_owned(), |principal| {
        principal.id().to_owned()
    })
}

#[tokio::test]
async fn admits_only_authorized_requests() {
    let site = Site::new("").await;
    let key = Some(site.key.as_str());
    for (method, path, key, status) in [
        ("POST", "/v1/chat", key, 200),
        ("POST", "/v1/chat", None, 401),
        ("POST", "/v1/chat", Some("wrong"), 401),
        ("GET", "/v1/models/x", key, 200),
        ("GET", "/v1/models/x", None, 401),
        ("GET", "/health", None, 200),
        // S03: routes without a rule are denied, even with a valid key.
        ("GET", "/v1/secret", key, 404),
    ] {
        let answer = site.ask(method, path, key).await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{method} {path} {key:?}: {}",
            answer.body
        );
        assert!(answer.headers.contains_key("x-request-id"));
    }
    let answer = site.ask("GET", "/v1/models/x", key).await;
    assert_eq!(answer.body, "team");
}

#[tokio::test]
async fn limits_by_key_report_the_remaining_quota() {
    let site =
        Site::new("[rate_limit]\nby_key = \"2/minute\"\nheaders = [\"legacy\", \"openai\"]\n")
            .await;
    let first = site.ask("POST", "/v1/chat", Some(&site.key)).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.headers["ratelimit-policy"], "\"key\";q=2;w=60");
    assert_eq!(first.headers["x-ratelimit-remaining"], "1");
    assert_eq!(first.headers["x-ratelimit-remaining-requests"], "1");
    assert_eq!(site.chat(&site.key).await, 200);
    let third = site.ask("POST", "/v1/chat", Some(&site.key)).await;
    assert_eq!(third.status, 429);
    let wait: u64 = third.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    assert!(third.body.contains("RATE_LIMITED"), "{}", third.body);
}

// FH15
#[tokio::test]
async fn the_legacy_reset_can_be_a_timestamp() {
    let site =
        Site::new("[rate_limit]\nby_key = \"2/minute\"\nheaders = [\"legacy-epoch\"]\n").await;
    let first = site.ask("POST", "/v1/chat", Some(&site.key)).await;
    let reset: u64 = first.headers["x-ratelimit-reset"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(reset > 1_700_000_000, "{reset}");
}

#[tokio::test]
async fn unauthenticated_requests_are_counted_once() {
    // Unauthenticated requests share the quota of the address, not that of a key.
    let site = Site::new("[rate_limit]\nby_ip = \"5/minute\"\nby_key = \"1/minute\"\n").await;
    for _ in 0..5 {
        assert_eq!(site.ask("GET", "/open", None).await.status, 200);
    }
    assert_eq!(site.ask("GET", "/open", None).await.status, 429);
    // Without a limit by address, the limit by key applies to the address.
    let site = Site::new("[rate_limit]\nby_key = \"1/minute\"\n").await;
    assert_eq!(site.ask("GET", "/open", None).await.status, 200);
    assert_eq!(site.ask("GET", "/open", None).await.status, 429);
}

// A03, and the order of the guards.
#[tokio::test]
async fn bad_keys_are_throttled_before_any_slow_hash() {
    let site = Site::new("enabled = false\n[rate_limit]\nby_ip = \"3/minute\"\n").await;
    for _ in 0..3 {
        assert_eq!(site.chat("some-opaque-key").await, 401);
    }
    assert_eq!(site.chat("some-opaque-key").await, 429);
}

#[tokio::test]
async fn offenders_are_banned_and_valid_keys_pass() {
    let site = Site::new("").await;
    for number in 0..5 {
        assert_eq!(site.chat(&format!("wrong-{number}")).await, 401);
    }
    let banned = site.ask("GET", "/open", None).await;
    assert_eq!(banned.status, 403);
    assert!(banned.body.contains("BANNED"), "{}", banned.body);
    assert_eq!(site.chat(&site.key).await, 200);
    let detector = site.fence.detector().unwrap();
    assert!(detector.unban(&"127.0.0.1".parse().unwrap()));
    assert_eq!(site.ask("GET", "/open", None).await.status, 200);
}

#[tokio::test]
async fn valid_keys_are_refused_with_ban_valid_keys() {
    let site = Site::new("ban_valid_keys = true\n").await;
    for number in 0..5 {
        site.chat(&format!("wrong-{number}")).await;
    }
    assert_eq!(site.chat(&site.key).await, 403);
}

#[tokio::test]
async fn a_deny_list_applies_to_the_first_request() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("deny.txt");
    fs::write(&path, "127.0.0.1\n").unwrap();
    let path = path.display();
    let site = Site::new(&format!("deny_list = \"{path}\"\nban_valid_keys = true\n")).await;
    assert_eq!(site.chat(&site.key).await, 403);
}

#[tokio::test]
async fn limits_concurrent_requests() {
    let config = "[concurrency]\nper_key = 2\n[[routes]]\npath = \"/stuck\"\n\
                  methods = \"GET\"\naccess = \"authenticated\"\n";
    let site = Site::new(config).await;
    let key = Some(site.key.as_str());
    let stuck = || {
        tokio::spawn(
            site.router
                .clone()
                .oneshot(site.request("GET", "/stuck", key)),
        )
    };
    let (one, two) = (stuck(), stuck());
    while site.chat(&site.key).await != 429 {
        tokio::task::yield_now().await;
    }
    // R10, R11: a client that disconnects releases its permit.
    one.abort();
    let _ = one.await;
    assert_eq!(site.chat(&site.key).await, 200);
    drop(two);
}

/// A body that never yields data.
struct Stuck;

impl http_body::Body for Stuck {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

// FA06
#[tokio::test]
async fn slow_uploads_of_a_key_are_bounded_by_its_concurrency_limit() {
    let config = "[concurrency]\nper_key = 1\n[[routes]]\npath = \"/v1/completions\"\n\
                  methods = \"POST\"\naccess = \"chat:write\"\nbody = \"openai-completions\"\n";
    let site = Site::new(config).await;
    let mut upload = site.request("POST", "/v1/completions", Some(&site.key));
    let json = "application/json".parse().unwrap();
    upload.headers_mut().insert("content-type", json);
    let upload = upload.map(|_| Body::new(Stuck));
    let upload = tokio::spawn(site.router.clone().oneshot(upload));
    while site.chat(&site.key).await != 429 {
        assert!(!upload.is_finished());
        tokio::task::yield_now().await;
    }
    upload.abort();
    assert!(upload.await.unwrap_err().is_cancelled());
    assert_eq!(site.chat(&site.key).await, 200);
}

// FA06
#[tokio::test]
async fn the_body_memory_of_a_key_is_limited() {
    let config = "[body]\nmax_mb = 1\nmax_memory_mb = 2\nmax_memory_per_key_mb = 1\n\
                  prompt_chars = 2000000\n[[routes]]\npath = \"/v1/echo\"\n\
                  methods = \"POST\"\naccess = \"chat:write\"\nbody = \"openai-completions\"\n";
    let site = Site::new(config).await;
    let prompt = format!(r#"{{"model":"m","prompt":"{}"}}"#, "a ".repeat(400_000));
    let request = || {
        let mut request = site.request("POST", "/v1/echo", Some(&site.key));
        let json = "application/json".parse().unwrap();
        request.headers_mut().insert("content-type", json);
        *request.body_mut() = Body::from(prompt.clone());
        request
    };
    // The handler returns the body's bytes, so the memory is held until they are read.
    let held = site.router.clone().oneshot(request()).await.unwrap();
    assert_eq!(held.status(), StatusCode::OK);
    let refused = site.send(request()).await;
    assert_eq!(refused.status, 429);
    assert!(
        refused.body.contains("BODY_MEMORY_LIMIT"),
        "{}",
        refused.body
    );
    drop(held);
    assert_eq!(site.send(request()).await.status, 200);
}

#[tokio::test]
async fn a_reload_changes_limits_and_a_bad_one_changes_nothing() {
    let heard: &'static Mutex<Vec<String>> = Box::leak(Box::default());
    let site = Site::with("[rate_limit]\nby_key = \"2/minute\"\n", |builder| {
        builder.on_event(|event: &FenceEvent| heard.lock().unwrap().push(format!("{event:?}")))
    })
    .await;
    assert_eq!(site.chat(&site.key).await, 200);
    let more = read(&site.folder, "[rate_limit]\nby_key = \"100/minute\"\n");
    assert!(site.fence.reload(&more).unwrap().is_empty());
    // The used half stays used: 50 of 100 are left.
    for _ in 0..40 {
        assert_eq!(site.chat(&site.key).await, 200);
    }
    assert_eq!(heard.lock().unwrap().last().unwrap(), "Reloaded");

    let other = "[rate_limit]\nby_key = \"1/day\"\nby_ip = \"1/day\"\n";
    let error = site.fence.reload(&read(&site.folder, other)).unwrap_err();
    assert!(
        error.to_string().contains(": rate_limit.by_ip: "),
        "{error}"
    );
    assert_eq!(site.chat(&site.key).await, 200);
}

#[tokio::test]
async fn a_reload_names_the_settings_that_need_a_restart() {
    let site = Site::new("threshold = 9\n").await;
    for (lines, expected) in [
        (
            "threshold = 7\nweights = { not_found = 1 }\n[streams]\ncut = false\n",
            &[][..],
        ),
        (
            "threshold = 9\n[concurrency]\ntotal = 5\n",
            &["concurrency.total"],
        ),
        (
            "enabled = false\n[concurrency]\nper_key = 5\n",
            &["abuse.enabled", "concurrency.per_key"],
        ),
        // All as at the start.
        ("threshold = 9\n", &[]),
    ] {
        let pending = site.fence.reload(&read(&site.folder, lines)).unwrap();
        assert_eq!(pending, expected, "{lines}");
    }
}

// S05
#[tokio::test]
async fn browsers_are_answered_without_a_handler_or_credentials() {
    let site = Site::new("[cors]\nallow_origins = \"https://app.example\"\n").await;
    let preflight = |origin: &str| {
        let mut request = site.request("OPTIONS", "/v1/chat", None);
        let headers = request.headers_mut();
        headers.insert("origin", origin.parse().unwrap());
        headers.insert("access-control-request-method", "POST".parse().unwrap());
        request
    };
    let answer = site.send(preflight("https://app.example")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.headers["access-control-allow-origin"],
        "https://app.example"
    );
    assert!(
        !answer
            .headers
            .contains_key("access-control-allow-credentials")
    );
    let answer = site.send(preflight("https://evil.example")).await;
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
    // Other clients get only `Vary`, which separates cached responses.
    let answer = site.ask("GET", "/health", None).await;
    assert!(
        answer.headers[http::header::VARY]
            .to_str()
            .unwrap()
            .contains("origin")
    );
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
    // A page can read its refusal.
    let mut request = site.request("POST", "/v1/chat", None);
    let origin = "https://app.example".parse().unwrap();
    request.headers_mut().insert("origin", origin);
    let answer = site.send(request).await;
    assert_eq!(answer.status, 401);
    assert_eq!(
        answer.headers["access-control-allow-origin"],
        "https://app.example"
    );
}

#[tokio::test]
async fn refuses_conflicting_settings() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Fence::from_config(&read(&folder, "")).await.unwrap_err();
    assert!(
        missing.to_string().contains("line 3: auth.keys_file: "),
        "{missing}"
    );
    fs::write(folder.path().join("keys.yaml"), "keys: []\n").unwrap();
    for (text, expected) in [
        (
            "[cors]\nallow_origins = \"*\"\nallow_credentials = true\n",
            "cors.allow_credentials: ",
        ),
        (
            "[cors]\nallow_origins = \"app.example\"\n",
            "cors.allow_origins: ",
        ),
        (
            "[rate_limit]\nby_ip = [\"5/minute\", \"9/minute\"]\n",
            "rate_limit.by_ip: ",
        ),
    ] {
        let error = Fence::from_config(&read(&folder, text)).await.unwrap_err();
        assert!(error.to_string().starts_with("line "), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn requests_are_counted_with_prometheus_names() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let site = Site::with("[concurrency]\ntotal = 5\n", |builder| builder.metrics()).await;
            site.chat(&site.key).await;
            site.chat(&site.key).await;
            site.chat("wrong").await;
            site.ask("GET", "/health", None).await;
            site.fence.record_gauges();
        });
    });
    let text = handle.render();
    for line in [
        "stockade_requests_total{status=\"200\",route=\"/v1/chat\"} 2",
        "stockade_requests_total{status=\"401\",route=\"/v1/chat\"} 1",
        "stockade_auth_allowed_total{reason=\"credential\"} 2",
        "stockade_auth_allowed_total{reason=\"anonymous\"} 1",
        "stockade_auth_blocked_total{reason=\"unknown\"} 1",
        "stockade_requests_in_flight 0",
        "stockade_banned_clients 0",
        "stockade_audit_dropped_total 0",
        "stockade_audit_failing_journals 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn writes_one_record_per_request_and_per_event() {
    let logs = tempfile::tempdir().unwrap();
    let (all, security) = (logs.path().join("app.log"), logs.path().join("audit.log"));
    let config = format!(
        "[audit]\nfile = {all:?}\nsecurity_file = {security:?}\non_overflow = \"fail_closed\"\n"
    );
    let site = Site::new(&config).await;
    assert_eq!(site.chat(&site.key).await, 200);
    for number in 0..5 {
        site.chat(&format!("wrong-{number}")).await;
    }
    let read = |path: &PathBuf| {
        site.fence
            .audit()
            .flush(std::time::Duration::from_secs(10))
            .unwrap();
        let text = fs::read_to_string(path).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<serde_json::Value>>()
    };
    let records = read(&all);
    let requests = records.iter().filter(|record| record["method"] == "POST");
    let requests: Vec<_> = requests.collect();
    assert_eq!(requests.len(), 6, "{records:#?}");
    assert_eq!(
        (&requests[0]["user"], &requests[0]["status"]),
        (&"team".into(), &200.into())
    );
    let events = read(&security);
    assert!(
        events.iter().any(|event| event["event"] == "banned"),
        "{events:#?}"
    );
    let text = format!("{records:?}{events:?}");
    assert!(
        !text.contains("wrong-") && !text.contains(&site.key),
        "{text}"
    );
}

#[tokio::test]
async fn bodies_are_validated_after_authentication() {
    let config = "[body]\nprompt_chars = 5\n[[routes]]\npath = \"/v1/completions\"\n\
                  methods = \"POST\"\naccess = \"chat:write\"\nbody = \"openai-completions\"\n";
    let site = Site::new(config).await;
    let send = async |key: Option<&str>, body: &'static str| {
        let mut request = site.request("POST", "/v1/completions", key);
        let json = "application/json".parse().unwrap();
        request.headers_mut().insert("content-type", json);
        *request.body_mut() = Body::from(body);
        site.send(request).await
    };
    let key = Some(site.key.as_str());
    let long = r#"{"model":"m","prompt":"too long"}"#;
    let answer = send(key, long).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("prompt"), "{}", answer.body);
    // S07: no body is read before authentication.
    assert_eq!(send(None, long).await.status, 401);
    assert_eq!(
        send(key, r#"{"model":"m","prompt":"short"}"#).await.body,
        "done"
    );
}

#[tokio::test]
async fn prompts_are_digested_and_never_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let config = |secret: &str| {
        fs::write(path("prompt.key"), secret).unwrap();
        format!(
            "[[routes]]\npath = \"/v1/completions\"\nmethods = \"POST\"\n\
             access = \"chat:write\"\nbody = \"openai-completions\"\n\
             [audit]\nfile = {:?}\non_overflow = \"drop\"\nprompt_key_file = {:?}\n",
            path("app.log"),
            path("prompt.key"),
        )
    };
    let site = Site::new(&config(&"p".repeat(32))).await;
    for prompt in ["secret plan", "another", "secret plan"] {
        let mut request = site.request("POST", "/v1/completions", Some(&site.key));
        let json = "application/json".parse().unwrap();
        request.headers_mut().insert("content-type", json);
        *request.body_mut() = Body::from(format!(r#"{{"model":"m","prompt":"{prompt}"}}"#));
        assert_eq!(site.send(request).await.status, 200);
    }
    let within = std::time::Duration::from_secs(10);
    site.fence.audit().flush(within).unwrap();
    let text = fs::read_to_string(path("app.log")).unwrap();
    assert!(!text.contains("secret plan"), "{text}");
    let lines = text.lines().map(|line| line.parse().unwrap());
    let digests: Vec<String> = lines
        .filter_map(|line: stockade_audit::LogLine| line.prompt_digest)
        .collect();
    assert_eq!(digests.len(), 3, "{text}");
    assert_eq!(digests[0], digests[2]);
    assert_ne!(digests[0], digests[1]);

    let short = read(&site.folder, &config("too short"));
    let error = Fence::from_config(&short).await.unwrap_err().to_string();
    assert!(
        error.contains("audit.prompt_key_file") && error.contains("32 bytes"),
        "{error}"
    );
}

#[tokio::test]
async fn displays_a_summary() {
    let site = Site::new("[rate_limit]\nby_ip = \"600/minute\"\n").await;
    let text = site.fence.to_string();
    assert!(text.contains("limit by ip   600/minute\n"), "{text}");
    assert!(text.contains("limit by key  none\n"), "{text}");
}

// FA16
#[tokio::test]
async fn a_grpc_content_type_does_not_turn_a_refusal_of_a_json_route_into_a_success() {
    let site = Site::new("").await;
    for path in ["/v1/chat", "/v1/completions", "/pkg.Service/Method"] {
        let mut request = site.request("POST", path, None);
        *request.version_mut() = http::Version::HTTP_2;
        let grpc = "application/grpc".parse().unwrap();
        request.headers_mut().insert("content-type", grpc);
        let answer = site.send(request).await;
        assert!(answer.status.is_client_error(), "{path}: {}", answer.status);
        assert!(!answer.headers.contains_key("grpc-status"), "{path}");
    }
    let with_grpc = "
        [[routes]]
        path = '/pkg.Service/Method'
        methods = 'POST'
        access = 'authenticated'
    ";
    let site = Site::new(with_grpc).await;
    for (path, status) in [("/v1/chat", 401), ("/pkg.Service/Method", 200)] {
        let mut request = site.request("POST", path, None);
        *request.version_mut() = http::Version::HTTP_2;
        let grpc = "application/grpc".parse().unwrap();
        request.headers_mut().insert("content-type", grpc);
        let answer = site.send(request).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        assert_eq!(
            answer.headers.contains_key("grpc-status"),
            status == 200,
            "{path}"
        );
    }
}

// FC08: an open quote in the client's own part of Forwarded ended its ban.
#[tokio::test]
async fn a_client_cannot_pose_as_a_proxy_in_forwarded() {
    for own in [
        "",
        "for=\"x, ",
        "for=\"x\\, ",
        "for=\"10.0.0.1;host=\"a, b, ",
    ] {
        let site = Site::new(
            "allow = ['127.0.0.0/8']
            [client_ip]
            trusted_proxies = ['127.0.0.0/8']
            header = 'forwarded'",
        )
        .await;
        let mut last = None;
        for n in 0..12 {
            let mut request = site.request("POST", "/v1/chat", Some(&format!("sk_x_{n}")));
            let forwarded = format!("{own}for=203.0.113.7").parse().unwrap();
            request.headers_mut().insert("forwarded", forwarded);
            last = Some(site.send(request).await);
        }
        let last = last.unwrap();
        assert_eq!(last.status, 403, "{own}: {}", last.body);
        assert!(last.body.contains("BANNED"), "{own}: {}", last.body);
    }
}

// FS03
#[test]
fn warnings_of_the_configuration_are_counted_in_a_metric() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("keys.yaml"), "keys: []\n").unwrap();
            let environment = Environment::new([("STOCKADE_COLOUR", "red")]);
            let text = "[auth]\nkeys_file = \"keys.yaml\"\n";
            let mut config = Config::parse(text, Format::Toml, &environment).unwrap();
            config.resolve_paths(folder.path());
            let fence = Fence::from_config(&config).await.unwrap();
            fence.record_gauges();
        });
    });
    let text = handle.render();
    assert!(text.contains("stockade_config_warnings 1"), "{text}");
}
