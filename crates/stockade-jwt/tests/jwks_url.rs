//! Keys from a JWKS URL, served by a local server.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "not every test needs all of the support")]

mod support;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use stockade_core::{
    clock::Timestamp,
    guard::{Guard, GuardLayer},
};
use stockade_jwt::{
    Algorithm, HttpFetch, JwksErrorKind, JwksUrl, JwtAuth, KeyErrorKind, RefreshPolicy,
};
use stockade_testkit::{FakeClock, contract, poll::until_async, port};
use support::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::Semaphore,
};

/// Responds to each request with the same text, and counts requests.
struct Server {
    url: String,
    asked: Arc<AtomicUsize>,
    answer: Arc<Mutex<String>>,
    /// Permits to respond; requests wait for one.
    gate: Arc<Semaphore>,
}

impl Server {
    async fn start(answer: String) -> Self {
        Self::at(0, answer).await
    }

    async fn at(port: u16, answer: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let server = Self {
            url: format!("http://{}/jwks", listener.local_addr().unwrap()),
            asked: Arc::default(),
            answer: Arc::new(Mutex::new(answer)),
            gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        };
        let (asked, answer, gate) = (
            server.asked.clone(),
            server.answer.clone(),
            server.gate.clone(),
        );
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (asked, answer, gate) = (asked.clone(), answer.clone(), gate.clone());
                tokio::spawn(async move {
                    let mut read = Vec::new();
                    while stream
                        .read_buf(&mut read)
                        .await
                        .is_ok_and(|count| count > 0)
                    {
                        if !read.ends_with(b"\r\n\r\n") {
                            continue;
                        }
                        read.clear();
                        asked.fetch_add(1, Ordering::SeqCst);
                        gate.acquire().await.unwrap().forget();
                        let text = answer.lock().unwrap().clone();
                        let _ = stream.write_all(text.as_bytes()).await;
                    }
                });
            }
        });
        server
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn answers(&self, answer: String) {
        *self.answer.lock().unwrap() = answer;
    }

    fn keys(&self, policy: RefreshPolicy) -> JwksUrl {
        keys(&self.url, policy)
    }
}

fn keys(url: &str, policy: RefreshPolicy) -> JwksUrl {
    let fetch = HttpFetch::dangerous_plain_loopback(url).unwrap();
    JwksUrl::with_policy(fetch, &[Algorithm::EdDsa], policy).unwrap()
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn set(kids: &[&str]) -> String {
    let line = ED_PUBLIC.lines().nth(1).unwrap();
    let der = base64::engine::general_purpose::STANDARD
        .decode(line)
        .unwrap();
    let x = URL_SAFE_NO_PAD.encode(&der[12..]);
    let keys: Vec<_> = kids
        .iter()
        .map(|kid| {
            format!(r#"{{"kty":"OKP","crv":"Ed25519","use":"sig","kid":"{kid}","x":"{x}"}}"#)
        })
        .collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

fn signed(kid: &str) -> String {
    // Longer than an hour, so that tests can advance the clock.
    signed_until(kid, NOW + 36_000)
}

fn signed_until(kid: &str, until: u64) -> String {
    let key = EncodingKey::from_ed_pem(ED.as_bytes()).unwrap();
    let header = format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#);
    let claims = good("").replace(&(NOW + 900).to_string(), &until.to_string());
    sign(jsonwebtoken::Algorithm::EdDSA, &key, &header, &claims)
}

fn guard(keys: &JwksUrl) -> (GuardLayer<JwtAuth>, FakeClock) {
    let clock = clock();
    let guard = JwtAuth::new(keys.clone(), rules()).clock(clock.clone());
    (guard.into_layer(), clock)
}

/// Waits for a background fetch.
async fn fetched(keys: &JwksUrl, times: u64) {
    while keys.fetches() < times {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn only_the_first_request_waits_for_keys() {
    let server = Server::start(ok(&set(&["a"]))).await;
    let keys = server.keys(RefreshPolicy::default());
    let (layer, _) = guard(&keys);
    for _ in 0..3 {
        assert_eq!(status(&layer, &signed("a")).await, 200);
    }
    assert_eq!((server.asked(), keys.failures()), (1, 0));
}

#[tokio::test]
async fn upholds_the_contract_while_waiting() {
    let server = Server::start(ok(&set(&["a"]))).await;
    let keys = server.keys(RefreshPolicy::default().cool_down(Duration::ZERO));
    let (layer, _) = guard(&keys);
    let token = signed("a");
    contract::uphold(&layer, || bearer(&token)).await;
}

// J07
#[tokio::test]
async fn unknown_keys_cause_one_fetch_per_cool_down() {
    let server = Server::start(ok(&set(&["a"]))).await;
    let keys = server.keys(RefreshPolicy::default());
    let (layer, clock) = guard(&keys);
    assert_eq!(status(&layer, &signed("a")).await, 200);
    let template = signed("a");
    let (_, rest) = template.split_once('.').unwrap();
    for n in 0..10_000 {
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"EdDSA","kid":"{n}"}}"#));
        assert_eq!(
            cause(&layer, &format!("{header}.{rest}")).await,
            Some("unknown_key")
        );
    }
    assert_eq!(server.asked(), 1);
    clock.advance(Duration::from_secs(30));
    for n in 0..100 {
        assert_eq!(status(&layer, &signed(&n.to_string())).await, 401);
    }
    assert_eq!(server.asked(), 2);
    assert_eq!(status(&layer, &signed("a")).await, 200);
}

// J07: a `kid` is never fetched.
#[tokio::test]
async fn key_id_with_a_url_is_not_fetched() {
    let server = Server::start(ok(&set(&["a"]))).await;
    let decoy = Server::start(ok(&set(&["b"]))).await;
    let keys = server.keys(RefreshPolicy::default());
    let (layer, _) = guard(&keys);
    assert_eq!(status(&layer, &signed(&decoy.url)).await, 401);
    assert_eq!((server.asked(), decoy.asked()), (1, 0));
}

#[tokio::test]
async fn key_rotation_takes_effect_after_the_cool_down() {
    let server = Server::start(ok(&set(&["a"]))).await;
    let keys = server.keys(RefreshPolicy::default());
    let (layer, clock) = guard(&keys);
    assert_eq!(status(&layer, &signed("a")).await, 200);
    server.answers(ok(&set(&["b"])));
    assert_eq!(status(&layer, &signed("b")).await, 401);
    clock.advance(Duration::from_secs(30));
    assert_eq!(status(&layer, &signed("b")).await, 200);
    // The cached token belongs to the old set.
    assert_eq!(status(&layer, &signed("a")).await, 401);
}

#[tokio::test]
async fn old_set_is_refreshed_in_the_background() {
    let server = Server::start(ok(&set(&["a"]))).await;
    let keys = server.keys(RefreshPolicy::default());
    let (layer, clock) = guard(&keys);
    assert_eq!(status(&layer, &signed("a")).await, 200);
    server.answers(ok(&set(&["b"])));
    clock.advance(Duration::from_secs(600));
    // The cached token passes without waiting, and triggers the fetch that invalidates it.
    assert_eq!(status(&layer, &signed("a")).await, 200);
    fetched(&keys, 2).await;
    assert_eq!(status(&layer, &signed("a")).await, 401);
    assert_eq!(status(&layer, &signed("b")).await, 200);
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn last_set_stays_active_while_fetches_fail() {
    let server = Server::start(ok(&set(&["a"]))).await;
    let keys = server.keys(RefreshPolicy::default());
    let (layer, clock) = guard(&keys);
    assert_eq!(status(&layer, &signed("a")).await, 200);
    let huge = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(300 * 1024));
    let bad = [
        "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n".to_owned(),
        ok("<html>"),
        ok("{\"keys\":[]}"),
        ok(&set(&["b"]).replace("Ed25519", "Ed448")),
        ok(&huge),
        "garbage\r\n\r\n".to_owned(),
    ];
    for (n, answer) in bad.into_iter().enumerate() {
        server.answers(answer);
        clock.advance(Duration::from_secs(600));
        assert_eq!(status(&layer, &signed("a")).await, 200);
        fetched(&keys, n as u64 + 2).await;
        assert_eq!(keys.failures(), n as u64 + 1);
        assert_eq!(status(&layer, &signed("a")).await, 200);
    }
}

// FA14
#[tokio::test]
async fn set_is_dropped_after_a_day_without_refresh() {
    let server = Server::start(ok(&set(&["a"]))).await;
    let keys = server.keys(RefreshPolicy::default());
    let (layer, clock) = guard(&keys);
    // Valid for two days.
    let long = NOW + 172_800;
    let token = signed_until("a", long);
    assert_eq!(status(&layer, &token).await, 200);
    server.answers("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_owned());
    let mut fetches = 1;
    for minutes in [11, 60 * 23, 48] {
        clock.advance(Duration::from_secs(60 * minutes));
        // Cached and accepted while the set is younger than a day.
        assert_eq!(status(&layer, &token).await, 200, "{minutes}");
        fetches += 1;
        fetched(&keys, fetches).await;
    }
    clock.advance(Duration::from_secs(60));
    let asked = ask(&layer, bearer(&token)).await;
    assert_eq!(
        (asked.status(), asked.cause),
        (503, Some("keys_unavailable"))
    );
    assert!(asked.response.headers().contains_key("retry-after"));
    let status_of_source = keys.status();
    assert!(status_of_source.is_failing());
    assert!(status_of_source.failures >= 3, "{status_of_source:?}");
    let error = status_of_source.last_error.unwrap();
    assert!(error.contains("500"), "{error}");

    server.answers(ok(&set(&["a"])));
    clock.advance(Duration::from_secs(30));
    assert_eq!(status(&layer, &token).await, 200);
    assert!(!keys.status().is_failing());
}

// FA14
#[tokio::test]
async fn invalid_set_does_not_replace_the_current_one() {
    let server = Server::start(ok(&set(&["a"]))).await;
    let keys = server.keys(RefreshPolicy::default());
    let (layer, clock) = guard(&keys);
    assert_eq!(status(&layer, &signed("a")).await, 200);
    let twice = set(&["b", "b"]);
    let mixed = set(&["b"]).replace("[{", r#"[{"kty":"oct","k":"c2VjcmV0"},{"#);
    for (n, (answer, problem)) in [(twice, "`kid`"), (mixed, "secrets")]
        .into_iter()
        .enumerate()
    {
        server.answers(ok(&answer));
        clock.advance(Duration::from_secs(600));
        assert_eq!(status(&layer, &signed("a")).await, 200);
        fetched(&keys, n as u64 + 2).await;
        assert_eq!(status(&layer, &signed("b")).await, 401);
        let error = keys.status().last_error.unwrap();
        assert!(error.contains(problem), "{error}");
    }
}

#[tokio::test]
async fn responds_503_without_a_set() {
    let server = Server::start("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_owned()).await;
    let keys = server.keys(RefreshPolicy::default());
    let (layer, clock) = guard(&keys);
    for _ in 0..3 {
        let asked = ask(&layer, bearer(&signed("a"))).await;
        assert_eq!(
            (asked.status(), asked.cause),
            (503, Some("keys_unavailable"))
        );
        assert_eq!(asked.response.headers()["retry-after"], "30");
    }
    assert_eq!(server.asked(), 1);
    // A malformed token is still a 401.
    assert_eq!(status(&layer, "sk_a").await, 401);
    server.answers(ok(&set(&["a"])));
    clock.advance(Duration::from_secs(30));
    assert_eq!(status(&layer, &signed("a")).await, 200);
}

#[tokio::test]
async fn uses_an_issuer_that_was_absent_at_start() {
    let port = port::free();
    let url = format!("http://127.0.0.1:{port}/jwks");
    let keys = keys(&url, RefreshPolicy::default());
    let (layer, clock) = guard(&keys);
    for _ in 0..3 {
        let asked = ask(&layer, bearer(&signed("a"))).await;
        assert_eq!(
            (asked.status(), asked.cause),
            (503, Some("keys_unavailable"))
        );
        assert_eq!(asked.response.headers()["retry-after"], "30");
    }
    let status_of_source = keys.status();
    assert_eq!(status_of_source.failures, 1, "one attempt per cool-down");
    let error = status_of_source.last_error.unwrap();
    assert!(error.contains("cannot be reached"), "{error}");

    let _server = Server::at(port, ok(&set(&["a"]))).await;
    clock.advance(Duration::from_secs(30));
    assert_eq!(status(&layer, &signed("a")).await, 200);
    assert!(!keys.status().is_failing());
}

#[tokio::test]
async fn last_set_stays_active_while_the_issuer_hangs() {
    let server = Server::start(ok(&set(&["a"]))).await;
    let policy = RefreshPolicy::default().timeout(Duration::from_secs(3));
    let keys = server.keys(policy);
    let (layer, clock) = guard(&keys);
    assert_eq!(status(&layer, &signed("a")).await, 200);
    // The next request to the issuer is accepted and gets no response.
    server.gate.forget_permits(Semaphore::MAX_PERMITS);
    clock.advance(Duration::from_secs(600));
    assert_eq!(status(&layer, &signed("a")).await, 200);
    let timed_out = async || keys.fetches() == 2;
    until_async("the fetch times out", timed_out).await;
    let error = keys.status().last_error.unwrap();
    assert!(error.contains("took too long"), "{error}");
    assert_eq!(status(&layer, &signed("a")).await, 200);
    // A process without a set has nothing to decide with.
    let (other, _) = guard(&server.keys(policy));
    let asked = ask(&other, bearer(&signed("a"))).await;
    assert_eq!(
        (asked.status(), asked.cause),
        (503, Some("keys_unavailable"))
    );

    server.gate.add_permits(Semaphore::MAX_PERMITS);
    clock.advance(Duration::from_secs(30));
    assert_eq!(status(&layer, &signed("a")).await, 200);
    until_async("the issuer is used again", async || {
        !keys.status().is_failing()
    })
    .await;
}

#[tokio::test]
async fn waiting_requests_share_one_fetch_and_are_bounded() {
    let server = Server::start(ok(&set(&["a"]))).await;
    server.gate.forget_permits(Semaphore::MAX_PERMITS);
    let keys = server.keys(RefreshPolicy::default().timeout(Duration::from_secs(600)));
    let (layer, _) = guard(&keys);
    let layer = Arc::new(layer);
    let waiting: Vec<_> = (0..300)
        .map(|_| {
            let layer = layer.clone();
            tokio::spawn(async move { status(&layer, &signed("a")).await })
        })
        .collect();
    while server.asked() == 0 {
        tokio::task::yield_now().await;
    }
    // Other tokens are not delayed.
    assert_eq!(status(&layer, "eyJ.a.b").await, 401);
    server.gate.add_permits(1);
    let mut counts = (0, 0);
    for one in waiting {
        match one.await.unwrap() {
            200 => counts.0 += 1,
            503 => counts.1 += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!(counts, (256, 44));
    assert_eq!(server.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn fetch_times_out() {
    let server = Server::start(ok(&set(&["a"]))).await;
    server.gate.forget_permits(Semaphore::MAX_PERMITS);
    let keys = server.keys(RefreshPolicy::default());
    let error = keys.load(Timestamp::from_secs(NOW)).await.unwrap_err();
    assert_eq!(error.kind(), JwksErrorKind::TimedOut);
    assert_eq!(keys.failures(), 1);
}

#[tokio::test]
async fn load_fails_without_keys() {
    let server = Server::start(ok(&set(&["a"]))).await;
    let now = Timestamp::from_secs(NOW);
    let keys = server.keys(RefreshPolicy::default());
    keys.load(now).await.unwrap();
    let (layer, _) = guard(&keys);
    assert_eq!(status(&layer, &signed("a")).await, 200);
    assert_eq!(server.asked(), 1);

    server.answers(ok("{}"));
    let error = server
        .keys(RefreshPolicy::default())
        .load(now)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), JwksErrorKind::Keys);
}

#[test]
fn rejects_hmac_algorithms() {
    let fetch = HttpFetch::new("https://id.example.com/jwks").unwrap();
    let error = JwksUrl::new(fetch, &[Algorithm::EdDsa, Algorithm::Hs256]).unwrap_err();
    assert_eq!(error.kind(), KeyErrorKind::Unsuitable);
}
