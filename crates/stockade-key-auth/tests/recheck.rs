//! Keys that are checked again while a response is on its way.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Request, Response, header::AUTHORIZATION};
use http_body_util::Full;
use stockade_core::{
    client::ClientIp,
    clock::{Clock, Timestamp},
    context::RequestContext,
    guard::Guard,
    identity::Authenticator,
};
use stockade_key_auth::{
    GeneratedKey, KeyAuth, KeyChange, KeyHash, KeyRecord, KeyStore, MemoryKeyStore, Pepper,
};
use stockade_testkit::FakeClock;
use tower::{Layer, ServiceExt, service_fn};

const NOW: Timestamp = Timestamp::from_secs(1_000);

fn generated() -> (GeneratedKey, KeyRecord) {
    let key = GeneratedKey::new("sk", "a".parse().unwrap()).unwrap();
    let record = KeyRecord::new(key.id().clone(), key.digest());
    (key, record)
}

/// A store with this key and with another one.
fn store(record: KeyRecord) -> MemoryKeyStore {
    let store = MemoryKeyStore::new();
    store.insert(record).unwrap();
    let other: KeyHash = bcrypt::hash("another-key", 4).unwrap().parse().unwrap();
    let other = KeyRecord::new("other".parse().unwrap(), other);
    store.insert(other).unwrap();
    store
}

/// Sends a request with this key, and returns its context while the response is on its way.
async fn admitted(guard: &KeyAuth, key: Option<&str>) -> RequestContext {
    let client = ClientIp::Ip([10, 0, 0, 1].into());
    let context = RequestContext::builder().client(client).build();
    let mut request = Request::builder().extension(context.clone());
    if let Some(key) = key {
        request = request.header(AUTHORIZATION, format!("Bearer {key}"));
    }
    let service = service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let service = guard.clone().into_layer().layer(service);
    let response = service.oneshot(request.body(()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    context
}

async fn change(store: &MemoryKeyStore, change: KeyChange) {
    store.change("a".parse().unwrap(), change).await.unwrap();
}

/// Returns the internal reason of the refusal.
fn reason(guard: &KeyAuth, context: &RequestContext) -> Option<&'static str> {
    let refusal = guard.recheck(context)?;
    assert_eq!(refusal.code(), "AUTHENTICATION_FAILED");
    assert_eq!(refusal.reason(), None, "it is no offence");
    Some(refusal.internal_reason())
}

// A08
#[tokio::test]
async fn finds_keys_of_all_formats_and_refuses_them_once_revoked() {
    let pepper = || Pepper::new([7; 32]).unwrap();
    let (key, fast) = generated();
    let peppered = KeyHash::peppered(pepper().digest(key.expose().as_bytes()));
    let slow: KeyHash = bcrypt::hash(key.expose(), 4).unwrap().parse().unwrap();
    let record = |hash| KeyRecord::new("a".parse().unwrap(), hash);
    for record in [fast, record(peppered), record(slow)] {
        let store = store(record.clone());
        let guard = KeyAuth::new(&store).pepper(pepper());
        let context = admitted(&guard, Some(key.expose())).await;
        assert_eq!(reason(&guard, &context), None, "{record:?}");
        // Another change of the store does not matter.
        store.remove(&"other".parse().unwrap());
        assert_eq!(reason(&guard, &context), None, "{record:?}");

        change(&store, KeyChange::Revoke { at: NOW }).await;
        assert_eq!(reason(&guard, &context), Some("revoked"), "{record:?}");
        store.remove(&"a".parse().unwrap());
        assert_eq!(reason(&guard, &context), Some("unknown"), "{record:?}");
    }
}

#[tokio::test]
async fn refuses_an_expired_key() {
    let (key, record) = generated();
    let clock = FakeClock::at(NOW);
    let store = store(record.expires(NOW + Duration::from_secs(60)));
    let guard = KeyAuth::new(&store).clock(clock.clone());
    let context = admitted(&guard, Some(key.expose())).await;
    clock.advance(Duration::from_secs(59));
    assert_eq!(reason(&guard, &context), None);
    clock.advance(Duration::from_secs(1));
    assert_eq!(reason(&guard, &context), Some("expired"));
}

#[tokio::test]
async fn refuses_a_rotated_key_after_its_grace_period() {
    let (old, record) = generated();
    let new = GeneratedKey::new("sk", "a".parse().unwrap()).unwrap();
    let clock = FakeClock::at(NOW);
    let store = store(record);
    let guard = KeyAuth::new(&store).clock(clock.clone());
    let context = admitted(&guard, Some(old.expose())).await;
    let rotate = KeyChange::Rotate {
        hash: new.digest().into(),
        grace: Duration::from_secs(60),
        at: clock.now(),
    };
    change(&store, rotate).await;
    let of_new = admitted(&guard, Some(new.expose())).await;
    assert_eq!(reason(&guard, &context), None);
    clock.advance(Duration::from_secs(60));
    assert_eq!(reason(&guard, &context), Some("expired"));
    assert_eq!(reason(&guard, &of_new), None);
}

#[tokio::test]
async fn refuses_a_key_that_was_bound_to_other_networks() {
    let (key, record) = generated();
    let store = store(record.clone());
    let guard = KeyAuth::new(&store);
    let context = admitted(&guard, Some(key.expose())).await;
    for (network, expected) in [("10.0.0.0/8", None), ("192.0.2.0/24", Some("network"))] {
        store.remove(&"a".parse().unwrap());
        let bound = record.clone().networks([network.parse().unwrap()]);
        store.insert(bound).unwrap();
        assert_eq!(reason(&guard, &context), expected, "{network}");
    }
}

#[tokio::test]
async fn checks_its_own_keys_only() {
    let (key, record) = generated();
    let guard = KeyAuth::new(&store(record)).dangerous_allow_anonymous();
    let anonymous = admitted(&guard, None).await;
    assert_eq!(reason(&guard, &anonymous), None);
    let context = admitted(&guard, Some(key.expose())).await;
    // It knows no keys at all.
    let other = KeyAuth::new(&MemoryKeyStore::new());
    assert_eq!(reason(&other, &context), None);
}
