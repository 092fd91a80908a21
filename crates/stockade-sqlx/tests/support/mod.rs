//! Scenarios for keys in any database: each takes a URL, and some a function to edit the table.

use std::{convert::Infallible, future::Future, pin::pin, task::Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use stockade_core::{clock::Timestamp, guard::Guard};
use stockade_key_auth::{
    GeneratedKey, KeyAuth, KeyChange, KeyDigest, KeyHash, KeyId, KeyRecord, KeyStore,
    KeyStoreErrorKind, PreviousHash,
};
use stockade_sqlx::SqlKeyStore;
use stockade_testkit::{key_store, poll::until_async};
use tower::{ServiceBuilder, ServiceExt};

pub(crate) fn id(text: &str) -> KeyId {
    text.parse().unwrap()
}

pub(crate) fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

pub(crate) async fn connect(url: &str) -> SqlKeyStore {
    SqlKeyStore::connect(url).await.unwrap()
}

/// Adds a new key to a store.
pub(crate) async fn issue(store: &SqlKeyStore, name: &str) -> GeneratedKey {
    let key = GeneratedKey::new("sk", id(name)).unwrap();
    let record = KeyRecord::new(key.id().clone(), key.digest());
    store.create(record).await.unwrap();
    key
}

/// Whether a request with this key is authenticated.
pub(crate) async fn passes(store: &SqlKeyStore, key: &str) -> bool {
    let service = ServiceBuilder::new()
        .layer(KeyAuth::new(store).into_layer())
        .service_fn(|_: Request<Full<Bytes>>| async {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
    let request = Request::builder().header("x-api-key", key.as_bytes());
    let Ok(request) = request.body(Full::default()) else {
        return false;
    };
    let response = service.oneshot(request).await.unwrap();
    response.status() == StatusCode::OK
}

pub(crate) async fn passes_the_store_tests_and_persists(url: &str) {
    let store = connect(url).await;
    key_store::uphold(&store).await;
    let again = connect(url).await;
    assert_eq!(again.list().await.unwrap(), store.list().await.unwrap());
    assert_eq!(again.keys().current().len(), store.keys().current().len());
}

// A08
pub(crate) async fn another_store_receives_changes(url: &str) {
    let (here, there) = (connect(url).await, connect(url).await);
    let (key, other) = (issue(&here, "a").await, issue(&here, "b").await);
    assert!(passes(&here, key.expose()).await);
    until_async("new keys are valid in the other store", async || {
        passes(&there, key.expose()).await && passes(&there, other.expose()).await
    })
    .await;

    let revoke = KeyChange::Revoke { at: at(1) };
    here.change(id("a"), revoke.clone()).await.unwrap();
    assert!(
        !passes(&here, key.expose()).await,
        "refused immediately in this store"
    );
    until_async("the key is refused by the other store", async || {
        !passes(&there, key.expose()).await
    })
    .await;
    assert!(passes(&there, other.expose()).await);
    assert!(!there.health().stale);

    let fixed = SqlKeyStore::connect_static(url).await.unwrap();
    here.change(id("b"), revoke).await.unwrap();
    until_async("the other key is refused by the other store", async || {
        !passes(&there, other.expose()).await
    })
    .await;
    assert!(
        passes(&fixed, other.expose()).await,
        "a static store does not follow changes"
    );
    fixed.reload().await.unwrap();
    assert!(
        !passes(&fixed, other.expose()).await,
        "refused after a reload"
    );
}

// A08
pub(crate) async fn a_dropped_change_completes(url: &str) {
    let store = connect(url).await;
    let key = issue(&store, "a").await;
    {
        let mut change = pin!(store.change(id("a"), KeyChange::Revoke { at: at(1) }));
        std::future::poll_fn(|context| {
            assert!(change.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
    }
    until_async("the key is refused", async || {
        !passes(&store, key.expose()).await
    })
    .await;
}

// A17
pub(crate) async fn stores_hostile_text_unchanged(url: &str) {
    let store = connect(url).await;
    let key = issue(&store, "a").await;
    let naughty = [
        "' OR '1'='1",
        "'; DROP TABLE stockade_keys; --",
        "*",
        "%",
        "$1",
        "?1",
        "a\r\nFLUSHALL",
        "\\\\\"\u{202e}\u{200b}\u{1b}[2J",
        "{\"a\":[null]}",
        "𝕳 ü \u{10ffff}",
        "",
    ];
    for text in naughty {
        assert!(!passes(&store, text).await, "{text:?}");
    }
    for (at, text) in naughty.iter().enumerate() {
        let name = format!("n{at}");
        let mut record = KeyRecord::new(id(&name), KeyDigest::of(name.as_bytes())).owner(*text);
        record.name = Some((*text).to_owned());
        record.models = Some(vec![(*text).to_owned()]);
        record.metadata = [((*text).to_owned(), (*text).to_owned())].into();
        store.create(record.clone()).await.unwrap();
        let all = store.list().await.unwrap();
        assert!(all.contains(&record), "{text:?} is unchanged");
    }
    let mut none = KeyRecord::new(id("no-models"), KeyDigest::of(b"none"));
    none.models = Some(Vec::new());
    store.create(none.clone()).await.unwrap();
    assert!(store.list().await.unwrap().contains(&none), "an empty list");
    assert!(passes(&store, key.expose()).await);
    assert_eq!(connect(url).await.keys().current().len(), naughty.len() + 2);
}

pub(crate) async fn refuses_values_that_cannot_be_stored(url: &str) {
    let store = connect(url).await;
    let record = || KeyRecord::new(id("a"), KeyDigest::of(b"a"));
    let mut metadata = record();
    metadata.metadata = [("a\0".to_owned(), String::new())].into();
    for bad in [
        record().owner("a\0b"),
        metadata,
        record().expires(Timestamp::from_nanos(u64::MAX)),
    ] {
        let error = store.create(bad).await.unwrap_err();
        assert_eq!(error.kind(), KeyStoreErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("the key a "), "{error}");
    }
    assert!(store.list().await.unwrap().is_empty());
    assert_eq!(
        store.health().failures,
        0,
        "errors of the caller are not failures"
    );
    let last = Timestamp::from_nanos(i64::MAX as u64);
    store.create(record().expires(last)).await.unwrap();
    assert_eq!(store.list().await.unwrap()[0].expires, Some(last));
}

pub(crate) async fn refuses_duplicate_hashes(url: &str) {
    let (one, two) = (connect(url).await, connect(url).await);
    for round in 0..20 {
        let hash = |name: &str| KeyHash::from(KeyDigest::of(format!("{name} {round}").as_bytes()));
        let (k, t) = (id(&format!("k{round}")), id(&format!("t{round}")));
        // The same hash in two columns, which no index covers.
        let mut rotated = KeyRecord::new(k.clone(), hash("new"));
        rotated.previous = Some(PreviousHash {
            hash: hash("old"),
            until: at(4_000_000_000),
        });
        let thief = KeyRecord::new(t, hash("old"));
        let (first, second) = tokio::join!(one.create(rotated), two.create(thief));
        let error = match (first, second) {
            (Ok(()), Err(error)) | (Err(error), Ok(())) => error,
            both => panic!("exactly one succeeds: {both:?}"),
        };
        assert_eq!(error.kind(), KeyStoreErrorKind::Duplicate, "{error}");
        assert!(
            !format!("{error} {error:?}").contains("sha256"),
            "{error:?}"
        );
    }
    assert_eq!(connect(url).await.keys().current().len(), 20);

    let mut twice = KeyRecord::new(id("twice"), KeyDigest::of(b"twice"));
    twice.previous = Some(PreviousHash {
        hash: twice.hash.clone(),
        until: at(4_000_000_000),
    });
    let error = one.create(twice).await.unwrap_err();
    assert_eq!(error.kind(), KeyStoreErrorKind::Duplicate, "{error}");
}

// A23
pub(crate) async fn an_invalid_row_grants_no_access(url: &str, edit: impl AsyncFn(&'static str)) {
    let store = connect(url).await;
    let (good, bad) = (issue(&store, "good").await, issue(&store, "bad").await);
    let other = connect(url).await;
    for vandalism in [
        "UPDATE stockade_keys SET hash = 'hunter2' WHERE id = 'bad'",
        "UPDATE stockade_keys SET hash = '$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW' WHERE id = 'bad'",
        "UPDATE stockade_keys SET hash = 'sha256:ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789' WHERE id = 'bad'",
        // FP04: the hash of `password`.
        "UPDATE stockade_keys SET hash = 'sha256:5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8' WHERE id = 'bad'",
        "UPDATE stockade_keys SET hash = '', scopes = '[\"chat:*\"]' WHERE id = 'bad'",
    ] {
        edit(vandalism).await;
        let error = SqlKeyStore::connect(url).await.unwrap_err();
        assert_eq!(error.kind(), KeyStoreErrorKind::Corrupt, "{error}");
        let text = format!("{error} {error:?}");
        assert!(text.contains("\"bad\""), "{text}");
        assert!(
            !["hunter2", "ABCDEF", "5e884898"]
                .iter()
                .any(|hash| text.contains(hash)),
            "{text}"
        );
        let before = store.health().failures;
        store.reload().await.unwrap_err();
        assert!(store.health().failures > before);
    }
    until_async("the other store detects the invalid row", async || {
        other.health().stale
    })
    .await;
    for store in [&store, &other] {
        assert!(passes(store, good.expose()).await);
        assert!(
            passes(store, bad.expose()).await,
            "the last valid state is active"
        );
        assert!(!passes(store, "hunter2").await);
    }

    // The revocation of another key does not wait for a repair of the row.
    store
        .change(id("good"), KeyChange::Revoke { at: at(1) })
        .await
        .unwrap();
    until_async("the other key is refused", async || {
        !passes(&other, good.expose()).await
    })
    .await;
    let revoke = store
        .change(id("bad"), KeyChange::Revoke { at: at(1) })
        .await;
    assert_eq!(revoke.unwrap_err().kind(), KeyStoreErrorKind::Corrupt);

    edit("DELETE FROM stockade_keys WHERE id = 'bad'").await;
    until_async("the key is deleted", async || {
        !passes(&other, bad.expose()).await && !other.health().stale
    })
    .await;
}

// A08: of two keys with the same hash, a revoked one is refused.
pub(crate) async fn rows_with_the_same_hash_do_not_block_other_changes(
    url: &str,
    edit: impl AsyncFn(&'static str),
) {
    let store = connect(url).await;
    let first = issue(&store, "first").await;
    let second = issue(&store, "second").await;
    let other = issue(&store, "other").await;
    edit(
        "UPDATE stockade_keys SET previous_until = 4000000000000000000, previous_hash = \
         (SELECT hash FROM stockade_keys WHERE id = 'second') WHERE id = 'first'",
    )
    .await;
    edit("UPDATE stockade_keys SET revoked = 1 WHERE id IN ('other', 'second')").await;
    until_async("the revoked keys are refused", async || {
        !passes(&store, other.expose()).await && !passes(&store, second.expose()).await
    })
    .await;
    assert!(
        passes(&store, first.expose()).await,
        "the last valid state is active"
    );
    until_async("the store is stale", async || store.health().stale).await;

    edit("UPDATE stockade_keys SET previous_hash = NULL, previous_until = NULL").await;
    until_async("all rows are active", async || !store.health().stale).await;
    assert!(passes(&store, first.expose()).await);
}

pub(crate) async fn supports_concurrent_starts(url: &str) {
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let url = url.to_owned();
            tokio::spawn(async move { SqlKeyStore::connect(&url).await.map(drop) })
        })
        .collect();
    for start in starts {
        start.await.unwrap().unwrap();
    }
    issue(&connect(url).await, "a").await;
    assert_eq!(connect(url).await.keys().current().len(), 1);
}

pub(crate) async fn refuses_tables_of_a_newer_release(url: &str, edit: impl AsyncFn(&'static str)) {
    issue(&connect(url).await, "a").await;
    edit("INSERT INTO stockade_migrations (version) VALUES (999)").await;
    let error = SqlKeyStore::connect(url).await.unwrap_err();
    assert_eq!(error.kind(), KeyStoreErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("newer release"), "{error}");
}
