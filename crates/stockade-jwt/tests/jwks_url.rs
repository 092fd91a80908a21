//! Keys from a JWKS URL, served by a real server on this machine.

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
use stockade_testkit::{FakeClock, contract};
use support::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::Semaphore,
};

/// Answers each request with the same text, and counts them.
struct Server {
    url: String,
    asked: Arc<AtomicUsize>,
    answer: Arc<Mutex<String>>,
    /// Permits to answer: without one a request waits.
    gate: Arc<Semaphore>,
}

impl Server {
    async fn start(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
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
        let fetch = HttpFetch::dangerous_plain_loopback(&self.url).unwrap();
        JwksUrl::with_policy(fetch, &[Algorithm::EdDsa], policy).unwrap()
    }
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
    // An hour and more, so that a test can let minutes go by.
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

/// Lets a fetch that was begun in the background end.
async fn fetched(keys: &JwksUrl, times: u64) {
    while keys.fetches() < times {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_first_request_waits_for_the_keys_and_the_others_do_not() {
    let server = Server::start(ok(&set(&["a"]))).await;
    let keys = server.keys(RefreshPolicy::default());
    let (layer, _) = guard(&keys);
    for _ in 0..3 {
        assert_eq!(status(&layer, &signed("a")).await, 200);
    }
    assert_eq!((server.asked(), keys.failures()), (1, 0));
}

#[tokio::test]
async fn upholds_the_contract_while_it_waits() {
    let server = Server::start(ok(&set(&["a"]))).await;
    let keys = server.keys(RefreshPolicy::default().cool_down(Duration::ZERO));
    let (layer, _) = guard(&keys);
    let token = signed("a");
    contract::uphold(&layer, || bearer(&token)).await;
}

// J07
#[tokio::test]
async fn ten_thousand_unknown_keys_bring_about_one_fetch_a_cool_down() {
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

// J07: a kid is never a place to fetch from.
#[tokio::test]
async fn a_key_id_that_is_a_url_is_not_followed() {
    let server = Server::start(ok(&set(&["a"]))).await;
    let decoy = Server::start(ok(&set(&["b"]))).await;
    let keys = server.keys(RefreshPolicy::default());
    let (layer, _) = guard(&keys);
    assert_eq!(status(&layer, &signed(&decoy.url)).await, 401);
    assert_eq!((server.asked(), decoy.asked()), (1, 0));
}

#[tokio::test]
async fn a_rotated_key_is_found_after_the_cool_down_and_the_old_one_dies() {
    let server = Server::start(ok(&set(&["a"]))).await;
    let keys = server.keys(RefreshPolicy::default());
    let (layer, clock) = guard(&keys);
    assert_eq!(status(&layer, &signed("a")).await, 200);
    server.answers(ok(&set(&["b"])));
    assert_eq!(status(&layer, &signed("b")).await, 401);
    clock.advance(Duration::from_secs(30));
    assert_eq!(status(&layer, &signed("b")).await, 200);
    // Cached under the old set, so not known any more.
    assert_eq!(status(&layer, &signed("a")).await, 401);
}

#[tokio::test]
async fn a_set_that_has_grown_old_is_fetched_in_the_background() {
    let server = Server::start(ok(&set(&["a"]))).await;
    let keys = server.keys(RefreshPolicy::default());
    let (layer, clock) = guard(&keys);
    assert_eq!(status(&layer, &signed("a")).await, 200);
    server.answers(ok(&set(&["b"])));
    clock.advance(Duration::from_secs(600));
    // In the cache: no wait, but it sets off the fetch that ends its life.
    assert_eq!(status(&layer, &signed("a")).await, 200);
    fetched(&keys, 2).await;
    assert_eq!(status(&layer, &signed("a")).await, 401);
    assert_eq!(status(&layer, &signed("b")).await, 200);
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn the_last_good_set_stays_in_force() {
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
async fn a_set_that_was_not_renewed_for_a_day_is_not_used() {
    let server = Server::start(ok(&set(&["a"]))).await;
    let keys = server.keys(RefreshPolicy::default());
    let (layer, clock) = guard(&keys);
    // Good for two days.
    let long = NOW + 172_800;
    let token = signed_until("a", long);
    assert_eq!(status(&layer, &token).await, 200);
    server.answers("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_owned());
    let mut fetches = 1;
    for minutes in [11, 60 * 23, 48] {
        clock.advance(Duration::from_secs(60 * minutes));
        // Cached, and in force, while it is younger than a day.
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
async fn a_set_that_is_doubtful_replaces_none() {
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
async fn without_ever_a_set_the_answer_is_503() {
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
    // What is no token at all is still told so.
    assert_eq!(status(&layer, "sk_a").await, 401);
    server.answers(ok(&set(&["a"])));
    clock.advance(Duration::from_secs(30));
    assert_eq!(status(&layer, &signed("a")).await, 200);
}

#[tokio::test]
async fn many_who_wait_share_one_fetch_and_are_bounded() {
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
    // A token of a known shape and key is not held up by those.
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
async fn a_server_that_never_answers_is_given_up() {
    let server = Server::start(ok(&set(&["a"]))).await;
    server.gate.forget_permits(Semaphore::MAX_PERMITS);
    let keys = server.keys(RefreshPolicy::default());
    let error = keys.load(Timestamp::from_secs(NOW)).await.unwrap_err();
    assert_eq!(error.kind(), JwksErrorKind::TimedOut);
    assert_eq!(keys.failures(), 1);
}

#[tokio::test]
async fn a_server_can_refuse_to_start_without_keys() {
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
fn a_published_secret_is_none() {
    let fetch = HttpFetch::new("https://id.example.com/jwks").unwrap();
    let error = JwksUrl::new(fetch, &[Algorithm::EdDsa, Algorithm::Hs256]).unwrap_err();
    assert_eq!(error.kind(), KeyErrorKind::Unsuitable);
}
