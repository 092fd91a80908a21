//! Tests `[cors]` from the point of view of browsers and of SDKs that run in them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{collections::BTreeSet, fs, net::SocketAddr};

use axum::{Router, body::Body, extract::ConnectInfo, routing::post};
use http::{HeaderMap, Method, Request, StatusCode, request::Builder};
use stockade::{Config, Environment, Fence, Format};
use stockade_key_auth::{GeneratedKey, KeyRecord, to_yaml};
use tower::ServiceExt;

const PAGE: &str = "https://app.example";

/// The headers that OpenAI's JavaScript SDK (7.59) sets in a browser.
const SDK_HEADERS: &str = "authorization,content-type,idempotency-key,openai-beta,\
     openai-organization,openai-project,x-stainless-arch,x-stainless-helper-method,\
     x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-retry-count,\
     x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout";

struct Site {
    router: Router,
    key: String,
    fence: Fence,
    folder: tempfile::TempDir,
}

impl Site {
    async fn new(cors: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = GeneratedKey::new("sk", "team".parse().unwrap()).unwrap();
        let scopes = "chat:write".parse().unwrap();
        let record = KeyRecord::new(key.id().clone(), key.digest()).scopes(scopes);
        let keys = format!("keys:\n{}", to_yaml(&record));
        fs::write(folder.path().join("keys.yaml"), keys).unwrap();
        let config = config(&folder, cors);
        let fence = Fence::from_config(&config).await.unwrap();
        let router = Router::new()
            .route("/v1/chat/completions", post(|| async { "hello" }))
            .layer(fence.layer());
        Self {
            router,
            key: format!("Bearer {}", key.expose()),
            fence,
            folder,
        }
    }

    async fn send(&self, request: Builder) -> (StatusCode, HeaderMap) {
        let peer: SocketAddr = "203.0.113.7:50000".parse().unwrap();
        let request = request.extension(ConnectInfo(peer));
        let request = request.body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, _) = response.into_parts();
        (head.status, head.headers)
    }

    async fn preflight(&self, method: &str, names: &str) -> HeaderMap {
        let request = Request::options("/v1/chat/completions")
            .header("origin", PAGE)
            .header("access-control-request-method", method)
            .header("access-control-request-headers", names);
        let (status, headers) = self.send(request).await;
        assert_eq!(status, 200);
        assert_eq!(headers["access-control-allow-origin"], PAGE);
        headers
    }
}

fn config(folder: &tempfile::TempDir, cors: &str) -> Config {
    let text = format!(
        "[auth]\nkeys_file = \"keys.yaml\"\n[rate_limit]\nby_ip = \"9/minute\"\n\
         by_key = \"2/minute\"\nheaders = [\"legacy\", \"openai\"]\n\
         [token_budget]\nby_key = \"1000000/minute\"\n\
         [[routes]]\npath = \"/v1/chat/completions\"\nmethods = \"POST\"\naccess = \"chat:write\"\n\
         [cors]\nallow_origins = \"{PAGE}\"\n{cors}"
    );
    let mut config = Config::parse(&text, Format::Toml, &Environment::default()).unwrap();
    config.resolve_paths(folder.path());
    config
}

/// The values of a list, such as `Access-Control-Allow-Headers`.
fn names(headers: &HeaderMap, name: &str) -> BTreeSet<String> {
    let values = headers.get_all(name).iter();
    let names = values.flat_map(|value| value.to_str().unwrap().split(','));
    names.map(|name| name.trim().to_ascii_lowercase()).collect()
}

// FH01
#[tokio::test]
async fn allows_a_preflight_of_openais_sdk_with_all_its_headers() {
    let site = Site::new("").await;
    for asked in [SDK_HEADERS, "authorization,x-stainless-of-the-next-release"] {
        let headers = site.preflight("POST", asked).await;
        assert!(names(&headers, "access-control-allow-methods").contains("post"));
        let allowed = names(&headers, "access-control-allow-headers");
        for name in asked.split(',') {
            assert!(
                allowed.contains(name.trim()),
                "{name} is not in {allowed:?}"
            );
        }
        assert_eq!(headers["access-control-max-age"], "600");
    }
}

// FH01
#[tokio::test]
async fn a_page_can_read_every_header_of_a_response_and_of_a_refusal() {
    // Fetch: safelisted response headers, and headers that only the browser uses.
    const READABLE: [&str; 4] = ["cache-control", "content-type", "content-length", "vary"];
    let site = Site::new("").await;
    let ask = async |key: Option<&str>| {
        let request = Request::post("/v1/chat/completions").header("origin", PAGE);
        let request = match key {
            Some(key) => request.header("authorization", key),
            None => request,
        };
        site.send(request).await
    };
    let mut seen = BTreeSet::new();
    for (key, status) in [
        (Some(&*site.key), 200),
        (Some(&*site.key), 200),
        (Some(&*site.key), 429),
        (None, 401),
    ] {
        let (was, headers) = ask(key).await;
        assert_eq!(was, status);
        let exposed = names(&headers, "access-control-expose-headers");
        for name in headers.keys().map(http::HeaderName::as_str) {
            let is_policy = name.starts_with("access-control-");
            if !is_policy && !READABLE.contains(&name) {
                assert!(exposed.contains(name), "{name} is not in {exposed:?}");
                seen.insert(name.to_owned());
            }
        }
    }
    for name in [
        "ratelimit",
        "retry-after",
        "www-authenticate",
        "x-ratelimit-remaining",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-remaining-tokens",
        "x-request-id",
    ] {
        assert!(seen.contains(name), "{name} was never sent: {seen:?}");
    }
}

// FH01
#[tokio::test]
async fn preflight_settings_can_be_configured_and_reloaded() {
    let lines = "allow_methods = \"POST\"\nallow_headers = [\"Authorization\", \"X-Team\"]\n\
         expose_headers = \"X-Cost\"\nmax_age_secs = 5\n";
    let expected = |name: &str| match name {
        "access-control-allow-methods" => vec!["post"],
        _ => vec!["authorization", "x-team"],
    };
    let site = Site::new("").await;
    let before = site.preflight("POST", SDK_HEADERS).await;
    assert_ne!(before["access-control-max-age"], "5");
    site.fence.reload(&config(&site.folder, lines)).unwrap();
    let headers = site.preflight("POST", SDK_HEADERS).await;
    for name in [
        "access-control-allow-methods",
        "access-control-allow-headers",
    ] {
        assert!(
            names(&headers, name).iter().eq(expected(name)),
            "{headers:?}"
        );
    }
    assert_eq!(headers["access-control-max-age"], "5");
    let request = Request::post("/v1/chat/completions").header("origin", PAGE);
    let (_, headers) = site.send(request).await;
    let exposed = names(&headers, "access-control-expose-headers");
    assert!(exposed.contains("x-cost") && exposed.contains("ratelimit"));

    for (lines, setting) in [
        ("allow_methods = \"post\"\n", "cors.allow_methods"),
        ("allow_headers = \"a b\"\n", "cors.allow_headers"),
        ("expose_headers = \"a b\"\n", "cors.expose_headers"),
    ] {
        let error = site.fence.reload(&config(&site.folder, lines)).unwrap_err();
        assert_eq!(error.setting_name(), Some(setting), "{error}");
    }
}

// S05
#[tokio::test]
async fn only_a_preflight_is_answered_before_the_guards() {
    let site = Site::new("").await;
    for (origin, asks) in [(None, None), (Some(PAGE), None), (None, Some("POST"))] {
        let mut request = Request::builder()
            .method(Method::OPTIONS)
            .uri("/v1/chat/completions");
        for (name, value) in [("origin", origin), ("access-control-request-method", asks)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let (status, headers) = site.send(request).await;
        assert_eq!(status, 401, "{origin:?} {asks:?}");
        assert!(headers.contains_key("vary"));
    }
}
