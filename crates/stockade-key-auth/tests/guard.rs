//! The guard around a service.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    convert::Infallible,
    future::Future,
    num::NonZeroUsize,
    pin::Pin,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use stockade_core::{
    client::ClientIp,
    clock::{Clock, Timestamp},
    context::RequestContext,
    guard::{Guard, GuardLayer},
    identity::Identity,
};
use stockade_key_auth::{
    GeneratedKey, KeyAuth, KeyChange, KeyHash, KeyRecord, KeyStore, MemoryKeyStore, Pepper,
    SlowHashLimits,
};
use stockade_testkit::{FakeClock, contract};
use tower::{Layer, ServiceExt, service_fn};

/// The minimum cost of bcrypt: a millisecond instead of a third of a second.
const CHEAP: u32 = 4;
/// A third of a second, so that verification still runs when the next request arrives.
const SLOW: u32 = 12;

fn generated(id: &str) -> (GeneratedKey, KeyRecord) {
    let key = GeneratedKey::new("sk", id.parse().unwrap()).unwrap();
    let record = KeyRecord::new(key.id().clone(), key.digest());
    (key, record)
}

fn bcrypted(id: &str, key: &str) -> KeyRecord {
    bcrypted_at(CHEAP, id, key)
}

fn bcrypted_at(cost: u32, id: &str, key: &str) -> KeyRecord {
    let hash: KeyHash = bcrypt::hash(key, cost).unwrap().parse().unwrap();
    KeyRecord::new(id.parse().unwrap(), hash)
}

fn store(records: impl IntoIterator<Item = KeyRecord>) -> MemoryKeyStore {
    let store = MemoryKeyStore::new();
    for record in records {
        store.insert(record).unwrap();
    }
    store
}

fn bearer(key: &str) -> Request<()> {
    Request::builder()
        .header(AUTHORIZATION, format!("Bearer {key}"))
        .body(())
        .unwrap()
}

/// Responds with the id of the principal.
async fn ask(layer: &GuardLayer<KeyAuth>, request: Request<()>) -> Response<Full<Bytes>> {
    let inner = service_fn(|request: Request<()>| async move {
        let headers = request.headers();
        assert!(!headers.contains_key(AUTHORIZATION) && !headers.contains_key("x-api-key"));
        let context = RequestContext::of(request.extensions()).expect("a context");
        let id = match context.identity() {
            Identity::Authenticated(principal) => principal.id().to_owned(),
            Identity::Anonymous => "anonymous".to_owned(),
            Identity::Unchecked => panic!("no authenticator ran"),
        };
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(id))))
    });
    let response = layer.layer(inner).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(head, Full::new(body))
}

async fn status(layer: &GuardLayer<KeyAuth>, request: Request<()>) -> StatusCode {
    ask(layer, request).await.status()
}

#[tokio::test]
async fn fast_hash_upholds_the_contract() {
    let (key, record) = generated("a");
    let layer = KeyAuth::new(&store([record])).into_layer();
    contract::uphold(&layer, || bearer(key.expose())).await;
}

#[tokio::test]
async fn slow_hash_upholds_the_contract() {
    // The set is replaced by one with another salt each time, so that the key is never cached and
    // each request waits.
    let store = Arc::new(MemoryKeyStore::new());
    let layer = KeyAuth::new(&*store).into_layer();
    contract::uphold(&layer, || {
        store.insert(bcrypted("old", "opaque-key")).unwrap();
        bearer("opaque-key")
    })
    .await;
}

#[tokio::test]
async fn authenticates_a_key_as_its_principal() {
    let (key, record) = generated("team-core");
    let record = record
        .scopes("chat:write".parse().unwrap())
        .owner("a@example.com");
    let layer = KeyAuth::new(&store([record])).into_layer();

    let mut request = bearer(key.expose());
    let context = RequestContext::builder()
        .client(ClientIp::UnixSocket)
        .build();
    request.extensions_mut().insert(context.clone());
    let response = ask(&layer, request).await;
    assert_eq!(response.status(), 200);
    let principal = context.principal().unwrap();
    assert_eq!(principal.id(), "team-core");
    assert_eq!(principal.attribute("owner"), Some("a@example.com"));
    assert!(principal.may(&"chat:write".parse().unwrap()));

    let header = Request::builder()
        .header("X-API-Key", key.expose())
        .body(())
        .unwrap();
    assert_eq!(status(&layer, header).await, 200);
}

// A01, A14, A16: one message for all reasons.
#[tokio::test]
async fn all_invalid_keys_get_the_same_response() {
    let (key, record) = generated("known");
    let (expired, old) = generated("expired");
    let (unknown, _) = generated("unknown");
    let (guessed, _) = generated("known");
    let clock = FakeClock::at(Timestamp::from_secs(1_000));
    let old = old.expires(Timestamp::from_secs(1_000));
    let layer = KeyAuth::new(&store([record, old]))
        .clock(clock)
        .into_layer();
    // The replacement must differ from the last character.
    let (rest, last) = key.expose().split_at(key.expose().len() - 1);
    let broken = format!("{rest}{}", if last == "x" { "y" } else { "x" });

    let mut answers = Vec::new();
    for (key, cause) in [
        (unknown.expose(), "unknown"),
        (guessed.expose(), "unknown"),
        (expired.expose(), "expired"),
        (&*broken, "checksum"),
        ("not-a-key", "unknown"),
        ("a,b", "malformed"),
    ] {
        let mut request = bearer(key);
        let context = RequestContext::builder()
            .client(ClientIp::UnixSocket)
            .build();
        request.extensions_mut().insert(context.clone());
        let response = ask(&layer, request).await;
        assert_eq!(response.status(), 401, "{key}");
        assert_eq!(
            response.headers()["www-authenticate"],
            "Bearer realm=\"api\", error=\"invalid_token\""
        );
        let denial = context.denial().unwrap();
        assert_eq!(
            (denial.guard, denial.internal_reason),
            ("key_auth", cause),
            "{key}"
        );
        answers.push(format!("{response:?}"));
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:#?}"
    );
}

#[tokio::test]
async fn same_bad_key_has_the_same_fingerprint() {
    let (_, record) = generated("known");
    let slow = bcrypted("slow", "another-key");
    let layer = KeyAuth::new(&store([record, slow])).into_layer();
    let mut seen = Vec::new();
    for key in ["stale-key-one", "stale-key-one", "stale-key-two"] {
        let mut request = bearer(key);
        let context = RequestContext::builder()
            .client(ClientIp::UnixSocket)
            .build();
        request.extensions_mut().insert(context.clone());
        assert_eq!(status(&layer, request).await, StatusCode::UNAUTHORIZED);
        seen.push(context.denial().unwrap().fingerprint.unwrap());
    }
    assert_eq!(seen[0], seen[1]);
    assert_ne!(seen[1], seen[2]);
}

#[tokio::test]
async fn missing_key_gets_a_challenge_without_error_code() {
    let (_, record) = generated("a");
    let layer = KeyAuth::new(&store([record]))
        .realm("mo\"dels")
        .into_layer();
    for request in [
        Request::new(()),
        Request::builder()
            .header(AUTHORIZATION, "Basic dTpw")
            .body(())
            .unwrap(),
        Request::builder()
            .uri("/?api_key=x&access_token=y")
            .body(())
            .unwrap(),
    ] {
        let response = ask(&layer, request).await;
        assert_eq!(response.status(), 401);
        assert_eq!(
            response.headers()["www-authenticate"],
            "Bearer realm=\"models\""
        );
    }
}

// A13
#[tokio::test]
async fn different_keys_are_a_bad_request() {
    let (a, first) = generated("a");
    let (b, second) = generated("b");
    let layer = KeyAuth::new(&store([first, second])).into_layer();
    let mut request = bearer(a.expose());
    request
        .headers_mut()
        .insert("x-api-key", b.expose().parse().unwrap());
    assert_eq!(status(&layer, request).await, 400);
}

// A23
#[tokio::test]
async fn empty_store_rejects_every_key() {
    let (key, _) = generated("a");
    let layer = KeyAuth::new(&MemoryKeyStore::new()).into_layer();
    assert_eq!(status(&layer, bearer(key.expose())).await, 401);
    assert_eq!(status(&layer, bearer("opaque")).await, 401);
}

// A08
#[tokio::test]
async fn rejects_removed_key_on_the_next_request() {
    let (key, record) = generated("a");
    let store = store([record, bcrypted("slow", "opaque-key")]);
    let layer = KeyAuth::new(&store).into_layer();
    for (id, text) in [("a", key.expose()), ("slow", "opaque-key")] {
        assert_eq!(status(&layer, bearer(text)).await, 200);
        assert_eq!(status(&layer, bearer(text)).await, 200);
        assert!(store.remove(&id.parse().unwrap()));
        assert_eq!(status(&layer, bearer(text)).await, 401);
    }
}

// A09
#[tokio::test]
async fn cached_key_expires() {
    let expiry = Timestamp::from_secs(1_000);
    let clock = FakeClock::at(Timestamp::from_secs(999));
    let store = store([bcrypted("slow", "opaque-key").expires(expiry)]);
    let layer = KeyAuth::new(&store).clock(clock.clone()).into_layer();
    assert_eq!(status(&layer, bearer("opaque-key")).await, 200);
    clock.advance(Duration::from_secs(1));
    assert_eq!(status(&layer, bearer("opaque-key")).await, 401);
}

#[tokio::test]
async fn finds_keys_of_all_hash_formats() {
    let argon2 = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$\
                  CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    let (ours, _) = generated("ours");
    let argon2 = KeyRecord::new("argon".parse().unwrap(), argon2.parse::<KeyHash>().unwrap());
    let records = [
        argon2,
        bcrypted("bcrypt", "opaque-key"),
        bcrypted("ours", ours.expose()),
    ];
    let layer = KeyAuth::new(&store(records)).into_layer();
    for (key, id) in [
        ("password", "argon"),
        ("opaque-key", "bcrypt"),
        (ours.expose(), "ours"),
    ] {
        let response = ask(&layer, bearer(key)).await;
        assert_eq!(response.status(), 200, "{id}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, id);
    }
    assert_eq!(status(&layer, bearer("passwort")).await, 401);
}

fn poll<F: Future>(future: Pin<&mut F>) -> bool {
    future
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

// A03
#[tokio::test]
async fn slow_hashes_are_bounded() {
    let one = NonZeroUsize::MIN;
    let (good, record) = generated("good");
    let store = store([bcrypted_at(SLOW, "slow", "opaque-key"), record]);
    let layer = KeyAuth::new(&store)
        .slow_hashes(SlowHashLimits::new(one, 1))
        .into_layer();
    let inner = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let service = layer.layer(inner);

    // One request runs and one is queued.
    let first = service.clone().oneshot(bearer("bad-1"));
    let second = service.clone().oneshot(bearer("bad-2"));
    let (mut first, mut second) = (Box::pin(first), Box::pin(second));
    assert!(!poll(first.as_mut()));
    assert!(!poll(second.as_mut()));

    let third = service.clone().oneshot(bearer("bad-3")).await.unwrap();
    assert_eq!(third.status(), 503);
    assert_eq!(third.headers()["retry-after"], "1");
    // A flood of bad keys does not delay a good one.
    let good = service
        .clone()
        .oneshot(bearer(good.expose()))
        .await
        .unwrap();
    assert_eq!(good.status(), 200);

    assert_eq!(first.await.unwrap().status(), 401);
    assert_eq!(second.await.unwrap().status(), 401);
    let again = service.oneshot(bearer("bad-3")).await.unwrap();
    assert_eq!(again.status(), 401);
}

// FA03
#[tokio::test]
async fn flood_from_one_address_does_not_lock_out_others() {
    let two = NonZeroUsize::MIN.saturating_add(1);
    let store = store([
        bcrypted("slow", "opaque-key"),
        bcrypted_at(SLOW, "b", "other-key"),
    ]);
    let layer = KeyAuth::new(&store)
        .slow_hashes(SlowHashLimits::new(NonZeroUsize::MIN, two.get()))
        .into_layer();
    let inner = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let service = layer.layer(inner);
    let mut flood = Vec::new();
    for number in 0..3 {
        let bad = from(&format!("bad-{number}"), Some("2001:db8::1"));
        let mut request = Box::pin(service.clone().oneshot(bad));
        assert!(!poll(request.as_mut()), "the request runs or is queued");
        flood.push(tokio::spawn(request));
    }
    // The flood holds all permits and slots; its /64 network counts as one client.
    let more = from("bad-3", Some("2001:db8::2"));
    assert_eq!(service.clone().oneshot(more).await.unwrap().status(), 503);

    let other = from("opaque-key", Some("192.0.2.9"));
    assert_eq!(service.oneshot(other).await.unwrap().status(), 200);
    let mut statuses = Vec::new();
    for request in flood {
        statuses.push(request.await.unwrap().unwrap().status().as_u16());
    }
    assert_eq!(
        statuses,
        [401, 401, 503],
        "the newest request was displaced"
    );
}

#[tokio::test]
async fn anonymous_requests_pass_only_when_allowed() {
    let (_, record) = generated("a");
    let layer = KeyAuth::new(&store([record]))
        .dangerous_allow_anonymous()
        .into_layer();
    let response = ask(&layer, Request::new(())).await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "anonymous"
    );
    assert_eq!(status(&layer, bearer("wrong")).await, 401);
}

fn from(key: &str, client: Option<&str>) -> Request<()> {
    let mut request = bearer(key);
    if let Some(client) = client {
        let client = match client {
            "unix" => ClientIp::UnixSocket,
            ip => ClientIp::Ip(ip.parse().unwrap()),
        };
        let context = RequestContext::builder().client(client).build();
        request.extensions_mut().insert(context);
    }
    request
}

#[tokio::test]
async fn rejects_network_bound_key_elsewhere() {
    let (key, record) = generated("a");
    let networks = [
        "10.0.0.0/8".parse().unwrap(),
        "2001:db8::/32".parse().unwrap(),
    ];
    let layer = KeyAuth::new(&store([record.networks(networks)])).into_layer();
    for (client, expected) in [
        (Some("10.1.2.3"), 200),
        (Some("2001:db8::1"), 200),
        (Some("192.0.2.1"), 401),
        (Some("unix"), 401),
        // Without a context the client is unknown.
        (None, 401),
    ] {
        assert_eq!(
            status(&layer, from(key.expose(), client)).await,
            expected,
            "{client:?}"
        );
    }
}

#[tokio::test]
async fn accepts_previous_secret_during_grace_period() {
    let (old, record) = generated("a");
    let new = GeneratedKey::new("sk", "a".parse().unwrap()).unwrap();
    let clock = FakeClock::at(Timestamp::from_secs(1_000));
    let store = store([record]);
    let layer = KeyAuth::new(&store).clock(clock.clone()).into_layer();
    let rotate = KeyChange::Rotate {
        hash: new.digest().into(),
        grace: Duration::from_secs(60),
        at: clock.now(),
    };
    store.change("a".parse().unwrap(), rotate).await.unwrap();
    assert_eq!(status(&layer, bearer(old.expose())).await, 200);
    assert_eq!(status(&layer, bearer(new.expose())).await, 200);
    clock.advance(Duration::from_secs(60));
    assert_eq!(status(&layer, bearer(old.expose())).await, 401);
    assert_eq!(status(&layer, bearer(new.expose())).await, 200);
}

#[tokio::test]
async fn peppered_key_needs_the_pepper() {
    let (key, _) = generated("a");
    let pepper = Pepper::new([7; 32]).unwrap();
    let hash = KeyHash::peppered(pepper.digest(key.expose().as_bytes()));
    let store = store([KeyRecord::new("a".parse().unwrap(), hash)]);
    for (pepper, expected) in [
        (Some(pepper), 200),
        (Some(Pepper::new([8; 32]).unwrap()), 401),
        (None, 401),
    ] {
        let guard = KeyAuth::new(&store);
        let guard = match pepper {
            Some(pepper) => guard.pepper(pepper),
            None => guard,
        };
        assert_eq!(
            status(&guard.into_layer(), bearer(key.expose())).await,
            expected
        );
    }
}

// A08
#[tokio::test]
async fn key_revoked_during_verification_is_rejected_and_not_cached() {
    let store = store([bcrypted_at(SLOW, "slow", "opaque-key")]);
    let layer = KeyAuth::new(&store).into_layer();
    let inner = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let mut parked = Box::pin(layer.layer(inner).oneshot(bearer("opaque-key")));
    assert!(!poll(parked.as_mut()));
    let at = Timestamp::from_secs(1);
    store
        .change("slow".parse().unwrap(), KeyChange::Revoke { at })
        .await
        .unwrap();
    assert_eq!(parked.await.unwrap().status(), 401);
    assert_eq!(status(&layer, bearer("opaque-key")).await, 401);
}

#[tokio::test]
async fn flush_records_uses() {
    let (key, used) = generated("used");
    let (_, unused) = generated("unused");
    let store = store([used, unused]);
    let layer = KeyAuth::new(&store).into_layer();
    assert_eq!(status(&layer, bearer(key.expose())).await, 200);
    store.flush_usage(Timestamp::from_secs(9)).await.unwrap();
    let last_used = |records: Vec<KeyRecord>| -> Vec<_> {
        records.into_iter().map(|record| record.last_used).collect()
    };
    let noted = last_used(store.list().await.unwrap());
    assert_eq!(noted, [None, Some(Timestamp::from_secs(9))]);
    store.flush_usage(Timestamp::from_secs(10)).await.unwrap();
    assert_eq!(last_used(store.list().await.unwrap()), noted);
}

// A11
#[tokio::test]
async fn flood_of_bad_keys_evicts_no_good_key() {
    // Only keys with slow hashes are cached.
    let store = store([bcrypted("slow", "opaque-key")]);
    let layer = KeyAuth::new(&store).into_layer();
    assert_eq!(status(&layer, bearer("opaque-key")).await, 200);
    for n in 0..2_000 {
        assert_eq!(status(&layer, bearer(&format!("bad-{n}"))).await, 401);
    }
    // The cached key passes without waiting.
    let inner = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let mut request = Box::pin(layer.layer(inner).oneshot(bearer("opaque-key")));
    assert!(poll(request.as_mut()));
}

#[test]
fn debug_output_shows_no_secret() {
    let (key, record) = generated("a");
    let secret = &key.expose()["sk_a_".len()..];
    let digest = key.digest().to_string();
    let slow = bcrypted("b", "opaque-key");
    let store = store([record.clone(), slow.clone()]);
    let shown = format!(
        "{key:?} {record:?} {slow:?} {store:?} {:?} {:?}",
        KeyAuth::new(&store),
        key.digest()
    );
    assert!(!shown.contains(secret), "{shown}");
    assert!(!shown.contains(&digest["sha256:".len()..]), "{shown}");
    assert!(!shown.contains("$2b$"), "{shown}");
}
