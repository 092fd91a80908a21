//! Tests bans, probes and preflight requests with a complete fence.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    convert::Infallible,
    fs,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::Empty;
use stockade::{Config, DeploymentFacts, Environment, Fence, FenceEvent, Format, check};
use stockade_abuse::DenyList;
use stockade_core::{
    client::PeerAddr,
    context::{MatchedRoute, RequestContext},
};
use stockade_key_auth::{GeneratedKey, KeyHash, KeyRecord, to_yaml};
use tempfile::TempDir;
use tower::{Layer, ServiceExt, service_fn};

const CLIENT: &str = "203.0.113.7";
const OTHER: &str = "198.51.100.1";

const ROUTES: &str = r#"
[auth]
keys_file = "keys.yaml"
[[routes]]
path = "/"
methods = "GET"
access = "authenticated"
[[routes]]
path = "/open"
methods = "GET"
access = "public"
[[routes]]
path = "/health"
methods = "GET"
access = "public"
[[routes]]
path = "/files/{*path}"
methods = "GET"
access = "public"
"#;

struct Site {
    fence: Fence,
    key: String,
    events: Arc<Mutex<Vec<FenceEvent>>>,
    folder: TempDir,
}

fn config(folder: &TempDir, settings: &str) -> Config {
    let text = format!("{ROUTES}{settings}");
    let mut config = Config::parse(&text, Format::Toml, &Environment::default()).unwrap();
    config.resolve_paths(folder.path());
    config
}

impl Site {
    async fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = GeneratedKey::new("sk", "team".parse().unwrap()).unwrap();
        let record = KeyRecord::new(key.id().clone(), key.digest());
        // Any opaque key could match this hash, so each guess costs a slow hash.
        let slow = "$2b$04$abcdefghijklmnopqrstuuW3o0o8LkRIqEwXKYXmnZy1Pcq3cQ1Wa";
        let slow = KeyRecord::new("slow".parse().unwrap(), slow.parse::<KeyHash>().unwrap());
        let keys = format!("keys:\n{}{}", to_yaml(&record), to_yaml(&slow));
        fs::write(folder.path().join("keys.yaml"), keys).unwrap();
        let events = Arc::<Mutex<Vec<FenceEvent>>>::default();
        let heard = Arc::clone(&events);
        let fence = Fence::builder(&config(&folder, settings))
            .on_event(move |event: &FenceEvent| heard.lock().unwrap().push(event.clone()))
            .build()
            .await
            .unwrap();
        Self {
            fence,
            key: key.expose().to_owned(),
            events,
            folder,
        }
    }

    async fn send(&self, from: &str, request: http::request::Builder) -> Response<()> {
        let peer = PeerAddr::Ip(from.parse().unwrap());
        let request = request.extension(peer).body(Empty::<Bytes>::new()).unwrap();
        let handler =
            service_fn(|_| async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) });
        let answer = self.fence.layer().layer(handler).oneshot(request).await;
        answer.unwrap().map(drop)
    }

    async fn ask(&self, from: &str, path: &str, key: Option<&str>) -> u16 {
        let mut request = Request::get(path);
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        self.send(from, request).await.status().as_u16()
    }

    fn ban(&self, who: &str) {
        let detector = self.fence.detector().unwrap();
        let hour = std::time::Duration::from_secs(3_600);
        detector.ban(who.parse().unwrap(), Some(hour), "manual");
    }
}

// FC03: a browser that loads a page must not ban its NAT.
#[tokio::test]
async fn requests_without_a_credential_lead_to_no_ban() {
    let site = Site::new("").await;
    for path in ["/", "/favicon.ico", "/docs", "/", "/favicon.ico", "/", "/x"] {
        assert_eq!(site.ask(CLIENT, path, None).await, 401, "{path}");
    }
    assert_eq!(site.ask(CLIENT, "/", Some(&site.key)).await, 200);
    assert!(site.fence.detector().unwrap().bans().is_empty());
}

// FC03: a configured weight applies to all guards that require a credential.
#[tokio::test]
async fn a_weight_sets_the_points_of_a_missing_credential() {
    let site = Site::new("[abuse]\nthreshold = 1\nweights.missing_credential = 1\n").await;
    assert_eq!(site.ask(CLIENT, "/", None).await, 401);
    assert_eq!(site.ask(CLIENT, "/", None).await, 403);
}

// FC04
#[tokio::test]
async fn a_temporary_ban_sends_retry_after() {
    let site = Site::new("").await;
    site.ban(CLIENT);
    let answer = site.send(CLIENT, Request::get("/open")).await;
    assert_eq!(answer.status(), 403);
    let after: u64 = retry_after(answer.headers());
    assert!((3_590..=3_600).contains(&after), "{after}");
}

fn retry_after(headers: &HeaderMap) -> u64 {
    headers["retry-after"].to_str().unwrap().parse().unwrap()
}

// FA03: the limit by address also applies before slow hashes for banned clients.
#[tokio::test]
async fn a_ban_keeps_the_limit_before_slow_hashes() {
    let site = Site::new("[rate_limit]\nby_ip = \"3/minute\"\n").await;
    site.ban(CLIENT);
    // Without a credential, nothing is verified or counted.
    for _ in 0..5 {
        assert_eq!(site.ask(CLIENT, "/", None).await, 403);
    }
    for number in 0..3 {
        let guess = format!("opaque-{number}");
        assert_eq!(site.ask(CLIENT, "/", Some(&guess)).await, 403);
    }
    for number in 3..20 {
        let guess = format!("opaque-{number}");
        assert_eq!(site.ask(CLIENT, "/", Some(&guess)).await, 429);
    }
    assert_eq!(site.ask(OTHER, "/", Some(&site.key)).await, 200);
    assert_eq!(site.fence.detector().unwrap().stats().denied_count, 8);
}

// FA03: a banned client that was admitted to authenticate, and failed, is refused.
#[tokio::test]
async fn a_banned_address_is_served_with_a_valid_credential_only() {
    let site = Site::new("").await;
    site.ban(CLIENT);
    assert_eq!(site.ask(CLIENT, "/", Some(&site.key)).await, 200);
    for path in ["/", "/open"] {
        assert_eq!(site.ask(CLIENT, path, None).await, 403, "{path}");
        assert_eq!(site.ask(CLIENT, path, Some("guess")).await, 403, "{path}");
    }
    // A second, conflicting credential is refused because of the ban, not as a conflict.
    let two = Request::get("/open")
        .header("authorization", format!("Bearer {}", site.key))
        .header("x-api-key", "another");
    assert_eq!(site.send(CLIENT, two).await.status(), 403);
}

// FC05
#[tokio::test]
async fn probes_are_exempt_from_bans_limits_and_keys() {
    let site = Site::new("[rate_limit]\nby_ip = \"2/minute\"\nby_key = \"2/minute\"\n").await;
    for _ in 0..3 {
        site.ask(CLIENT, "/open", None).await;
    }
    assert_eq!(site.ask(CLIENT, "/open", None).await, 429);
    site.ban(CLIENT);
    for _ in 0..20 {
        assert_eq!(site.ask(CLIENT, "/health", None).await, 200);
        assert_eq!(site.ask(CLIENT, "/health", Some("stale")).await, 200);
    }
    let head = Request::builder().method(Method::HEAD).uri("/health");
    assert_eq!(site.send(CLIENT, head).await.status(), 200);
    // Other methods and paths are not probes.
    let post = Request::post("/health");
    assert_eq!(site.send(CLIENT, post).await.status(), 403);
    assert_eq!(site.ask(CLIENT, "/health/", None).await, 403);
    assert_eq!(site.ask(CLIENT, "/open", None).await, 403);
}

// FC05
#[tokio::test]
async fn probes_have_a_limit_of_their_own() {
    let site = Site::new("[probes]\nlimit = \"60/minute burst 5\"\n").await;
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.push(site.ask(CLIENT, "/health", None).await);
    }
    assert_eq!(answers, [200, 200, 200, 200, 200, 429, 429, 429]);
    assert_eq!(site.ask(OTHER, "/health", None).await, 200);
    let answer = site.send(CLIENT, Request::get("/health")).await;
    assert_eq!(retry_after(answer.headers()), 1);
}

// FC05: the exemption does not make a route public.
#[tokio::test]
async fn only_public_routes_are_probes() {
    let site = Site::new("[probes]\npaths = \"/open\"\n[rate_limit]\nby_ip = \"1/day\"\n").await;
    for _ in 0..5 {
        assert_eq!(site.ask(CLIENT, "/open", None).await, 200);
    }
    assert_eq!(site.ask(CLIENT, "/health", None).await, 200);
    assert_eq!(site.ask(CLIENT, "/health", None).await, 429);
    for path in ["/", "/nothing"] {
        let bad = config(&site.folder, &format!("[probes]\npaths = \"{path}\"\n"));
        let error = Fence::from_config(&bad).await.unwrap_err().to_string();
        assert!(
            error.contains(": probes.paths: ") && error.contains("access = \"public\""),
            "{error}"
        );
    }
    // A default path that is not a public route stays denied.
    let live = site.ask(OTHER, "/health/live", None).await;
    assert_eq!(live, 401);
}

// FA16: preflight requests cannot bypass bans and limits.
#[tokio::test]
async fn preflight_requests_are_banned_and_limited() {
    let cors =
        "[cors]\nallow_origins = \"https://app.example\"\n[rate_limit]\nby_ip = \"2/minute\"\n";
    let site = Site::new(cors).await;
    let preflight = || {
        Request::builder()
            .method(Method::OPTIONS)
            .uri("/")
            .header("origin", "https://app.example")
            .header("access-control-request-method", "POST")
    };
    for status in [200, 200, 429] {
        let answer = site.send(CLIENT, preflight()).await;
        assert_eq!(answer.status(), status);
        let allowed = answer.headers().get("access-control-allow-origin");
        assert_eq!(allowed.is_some(), status == 200);
        assert!(answer.headers().get_all("vary").iter().count() <= 1);
    }
    site.ban(OTHER);
    assert_eq!(site.send(OTHER, preflight()).await.status(), 403);
}

// FA16
#[tokio::test]
async fn the_prefix_of_ipv6_clients_is_a_setting() {
    for (length, neighbour) in [(48, 429), (64, 200), (128, 200)] {
        let settings =
            format!("[client_ip]\nipv6_prefix = {length}\n[rate_limit]\nby_ip = \"1/day\"\n");
        let site = Site::new(&settings).await;
        assert_eq!(site.ask("2001:db8:1:2::1", "/open", None).await, 200);
        let found = site.ask("2001:db8:1:3::1", "/open", None).await;
        assert_eq!(found, neighbour, "/{length}");
        let same = site.ask("2001:db8:1:2::2", "/open", None).await;
        assert_eq!(same, if length == 128 { 200 } else { 429 }, "/{length}");
        // Bans use the same prefix.
        let banned = Site::new(&format!("{settings}[abuse]\nthreshold = 1\n")).await;
        banned.ask("2001:db8:1:2::1", "/", Some("guess")).await;
        let offender = banned.fence.detector().unwrap().bans()[0]
            .offender
            .to_string();
        assert!(
            offender.ends_with(&format!("/{length}")) || length == 128,
            "{offender}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new("").await;
    for length in [0, 47, 129] {
        let settings =
            format!("[client_ip]\nipv6_prefix = {length}\n[rate_limit]\nby_ip = \"1/day\"\n");
        let bad = config(&site.folder, &settings);
        let error = Fence::from_config(&bad).await.unwrap_err().to_string();
        assert!(error.contains(": client_ip.ipv6_prefix: "), "{error}");
    }
    drop(folder);
}

// FA16: also if the router has matched the route.
#[tokio::test]
async fn a_wildcard_refuses_ambiguous_paths() {
    let site = Site::new("").await;
    let ask = async |path: &str| {
        let route = MatchedRoute::new("/files/{*path}");
        let context = RequestContext::builder().route(route).build();
        let request = Request::get(path).extension(context);
        site.send(CLIENT, request).await.status().as_u16()
    };
    for path in ["/files/a", "/files/org/name", "/files/org%2Fname"] {
        assert_eq!(ask(path).await, 200, "{path}");
    }
    for path in [
        "/files/../keys",
        "/files/a//b",
        "/files/a%2F..%2Fb",
        "/files/a;b",
    ] {
        assert_eq!(ask(path).await, 400, "{path}");
    }
}

// FS02
#[tokio::test]
async fn report_only_reports_each_ban_and_each_refusal() {
    let logs = tempfile::tempdir().unwrap();
    let (all, security) = (logs.path().join("app.log"), logs.path().join("audit.log"));
    let settings = format!(
        "[abuse]\nreport_only = true\n[audit]\nfile = {all:?}\nsecurity_file = {security:?}\n\
         on_overflow = \"drop\"\n"
    );
    let site = Site::new(&settings).await;
    for number in 0..5 {
        let guess = format!("guess-{number}");
        assert_eq!(site.ask(CLIENT, "/", Some(&guess)).await, 401);
    }
    for _ in 0..3 {
        assert_eq!(site.ask(CLIENT, "/open", None).await, 200);
    }
    assert_eq!(site.ask(CLIENT, "/", Some(&site.key)).await, 200);
    site.ban("key:team");
    assert_eq!(site.ask(OTHER, "/", Some(&site.key)).await, 200);
    let detector = site.fence.detector().unwrap();
    let stats = detector.stats();
    assert_eq!((stats.would_deny_count, stats.denied_count), (4, 0));
    let told = |text: &str| {
        let events = site.events.lock().unwrap();
        let texts = events.iter().map(|event| format!("{event:?}"));
        texts.filter(|event| event.contains(text)).count()
    };
    assert_eq!((told("WouldBan("), told("WouldRefuse(")), (1, 2));
    let within = std::time::Duration::from_secs(10);
    site.fence.audit().flush(within).unwrap();
    let text = fs::read_to_string(&security).unwrap();
    for event in ["\"event\":\"would_ban\"", "\"event\":\"would_refuse\""] {
        assert!(text.contains(event), "{event} is not in {text}");
    }
    assert!(
        !detector
            .bans()
            .iter()
            .any(|ban| ban.offender.to_string() == CLIENT)
    );
}

// FS01
#[tokio::test]
async fn skipped_lines_are_security_events_and_a_gauge_and_a_finding() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let bad = "10.0.0.300 # typo\n203.0.113.0/33\n192.0.2.1\n";
    fs::write(
        path("deny.txt"),
        format!("{bad}{}", "nonsense\n".repeat(30)),
    )
    .unwrap();
    let settings = format!(
        "[abuse]\ndeny_list = {:?}\n[audit]\nfile = {:?}\non_overflow = \"drop\"\n",
        path("deny.txt"),
        path("app.log")
    );
    let site = Site::new(&settings).await;
    let within = std::time::Duration::from_secs(10);
    site.fence.audit().flush(within).unwrap();
    let text = fs::read_to_string(path("app.log")).unwrap();
    let events = text.matches("\"event\":\"deny_list_incomplete\"").count();
    assert_eq!(events, 21, "{text}");
    for part in [
        "line 1: ",
        "line 2: the prefix is longer",
        "more entries skipped: 12",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let stats = site.fence.detector().unwrap().stats();
    assert_eq!((stats.skipped_lines, stats.banned_entities), (32, 1));
    let sources = site.fence.sources();
    assert!(
        sources
            .iter()
            .any(|source| source.name.starts_with("abuse.deny_list "))
    );

    let facts = DeploymentFacts {
        deny_list: Some(DenyList::check(path("deny.txt")).unwrap()),
        ..DeploymentFacts::default()
    };
    let findings = check(&config(&site.folder, &settings), &facts);
    let found = findings
        .iter()
        .filter(|found| found.setting == "abuse.deny_list");
    assert_eq!(found.count(), 21);
}
