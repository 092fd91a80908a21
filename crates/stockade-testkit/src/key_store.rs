//! The conformance suite for key stores.

mod update;

use std::time::Duration;

use stockade_core::{clock::Timestamp, identity::ScopeSet};
use stockade_key_auth::{
    GeneratedKey, KeyChange, KeyDigest, KeyHash, KeyId, KeyRecord, KeyStore, KeyStoreErrorKind,
    SpiffeId,
};

/// Runs the suite against a store without keys.
///
/// # Panics
/// Panics if the store breaks the contract of [`KeyStore`].
pub async fn uphold<S>(store: &S)
where
    S: KeyStore,
{
    assert!(
        store.list().await.expect("a list").is_empty(),
        "the store already has keys"
    );
    creates_and_lists(store).await;
    refuses_duplicates(store).await;
    refuses_hashes_of_well_known_secrets(store).await;
    rotates_with_grace(store).await;
    update::updates_fields(store).await;
    revokes_for_good(store).await;
    reports_unknown_keys(store).await;
    notes_use(store).await;
    stores_certificates(store).await;
}

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn id(text: &str) -> KeyId {
    text.parse().expect("a key id")
}

/// A record with a value in every field.
fn record(name: &str) -> KeyRecord {
    let key = GeneratedKey::new("sk", id(name)).expect("a key");
    let scopes: ScopeSet = "chat:write models:read".parse().expect("scopes");
    let mut record = KeyRecord::new(key.id().clone(), key.digest())
        .owner("ops@example.com, \"Ωmega\" '; --")
        .scopes(scopes)
        .networks([
            "10.0.0.0/8".parse().expect("a network"),
            "2001:db8::/32".parse().expect("a network"),
        ])
        .created(at(1_700_000_000))
        .expires(at(4_000_000_000));
    record.name = Some(format!("the key {name}"));
    record.models = Some(vec!["a/b".to_owned(), "c".to_owned()]);
    record.quotas.requests_per_minute = Some(60.try_into().expect("not zero"));
    record.quotas.concurrency = Some(u32::MAX.try_into().expect("not zero"));
    record.metadata = [("team".to_owned(), "core".to_owned())].into();
    record
}

async fn find<S>(store: &S, name: &str) -> KeyRecord
where
    S: KeyStore,
{
    let all = store.list().await.expect("a list");
    all.into_iter()
        .find(|record| record.id.as_str() == name)
        .expect("the key is listed")
}

async fn creates_and_lists<S>(store: &S)
where
    S: KeyStore,
{
    let (b, a) = (record("b"), record("a"));
    store.create(b.clone()).await.expect("created");
    store.create(a.clone()).await.expect("created");
    let bare = KeyRecord::new(id("c"), KeyDigest::of(b"bare"));
    store.create(bare.clone()).await.expect("created");
    assert_eq!(
        store.list().await.expect("a list"),
        [a, b, bare],
        "sorted by id, unchanged"
    );
    assert_eq!(store.keys().current().len(), 3, "published immediately");
}

async fn refuses_duplicates<S>(store: &S)
where
    S: KeyStore,
{
    let before = store.list().await.expect("a list");
    let mut same_hash = record("d");
    same_hash.hash = find(store, "a").await.hash;
    for duplicate in [record("a"), same_hash] {
        let error = store.create(duplicate).await.expect_err("a duplicate");
        assert_eq!(error.kind(), KeyStoreErrorKind::Duplicate, "{error}");
    }
    assert_eq!(
        store.list().await.expect("a list"),
        before,
        "the store changed"
    );
}

// FP04
async fn refuses_hashes_of_well_known_secrets<S>(store: &S)
where
    S: KeyStore,
{
    let before = store.list().await.expect("a list");
    let guessed = || KeyDigest::of(b"changeme");
    let new = KeyRecord::new(id("guessed"), guessed());
    let error = store.create(new).await.expect_err("a known secret");
    assert_eq!(error.kind(), KeyStoreErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("guessed"), "{error}");
    let rotate = KeyChange::Rotate {
        hash: guessed().into(),
        grace: Duration::ZERO,
        at: at(1_800_000_000),
    };
    let error = store
        .change(id("a"), rotate)
        .await
        .expect_err("a known secret");
    assert_eq!(error.kind(), KeyStoreErrorKind::Invalid, "{error}");
    assert_eq!(store.list().await.expect("a list"), before);
}

async fn rotates_with_grace<S>(store: &S)
where
    S: KeyStore,
{
    let old = find(store, "a").await;
    let rotate = KeyChange::Rotate {
        hash: KeyDigest::of(b"rotated").into(),
        grace: Duration::from_secs(60),
        at: at(1_800_000_000),
    };
    let rotated = store
        .change(id("a"), rotate.clone())
        .await
        .expect("rotated");
    assert_eq!(rotated.hash, KeyDigest::of(b"rotated").into());
    assert_eq!(
        rotated.expires, old.expires,
        "a rotation never extends a key"
    );
    let previous = rotated
        .previous
        .clone()
        .expect("the previous key is still accepted");
    assert_eq!(
        (previous.hash, previous.until),
        (old.hash, at(1_800_000_060))
    );
    assert_eq!(find(store, "a").await, rotated, "the change is stored");

    let again = store.change(id("a"), rotate).await.expect("rotated again");
    assert_eq!(again, rotated, "a rotation can be repeated");

    let taken = KeyChange::Rotate {
        hash: KeyDigest::of(b"bare").into(),
        grace: Duration::ZERO,
        at: at(1_800_000_001),
    };
    let error = store
        .change(id("a"), taken)
        .await
        .expect_err("another key's hash");
    assert_eq!(error.kind(), KeyStoreErrorKind::Duplicate, "{error}");
}

async fn stores_certificates<S>(store: &S)
where
    S: KeyStore,
{
    let certificate: SpiffeId = "spiffe://example.org/agent".parse().expect("a SPIFFE ID");
    let certificate = KeyHash::certificate(certificate);
    let mut agent = record("agent");
    agent.hash = certificate.clone();
    store.create(agent.clone()).await.expect("created");
    assert_eq!(find(store, "agent").await, agent, "it is stored unchanged");
    let requirements = store.keys().current().requirements();
    assert_eq!(requirements.certificates, 1, "published immediately");

    let mut duplicate = record("duplicate");
    duplicate.hash = certificate.clone();
    let error = store.create(duplicate).await.expect_err("a duplicate");
    assert_eq!(error.kind(), KeyStoreErrorKind::Duplicate, "{error}");
    assert!(
        error.to_string().contains("the same certificate"),
        "{error}"
    );

    let rotate = |hash| KeyChange::Rotate {
        hash,
        grace: Duration::ZERO,
        at: at(1_800_000_005),
    };
    let secret = KeyDigest::of(b"a secret").into();
    for (name, hash) in [("agent", secret), ("c", certificate)] {
        let error = store.change(id(name), rotate(hash)).await;
        let error = error.expect_err("a certificate has no secret");
        assert_eq!(error.kind(), KeyStoreErrorKind::Inactive, "{error}");
    }
    let revoke = KeyChange::Revoke {
        at: at(1_800_000_006),
    };
    let revoked = store.change(id("agent"), revoke).await.expect("revoked");
    assert_eq!(revoked.hash, agent.hash);
    assert!(revoked.revoked.is_some());
}

async fn revokes_for_good<S>(store: &S)
where
    S: KeyStore,
{
    let revoke = |secs| KeyChange::Revoke { at: at(secs) };
    let revoked = store
        .change(id("a"), revoke(1_800_000_002))
        .await
        .expect("revoked");
    assert_eq!(revoked.revoked, Some(at(1_800_000_002)));
    let again = store
        .change(id("a"), revoke(1_800_000_003))
        .await
        .expect("revoked again");
    assert_eq!(again, revoked);
    let rotate = KeyChange::Rotate {
        hash: KeyDigest::of(b"back").into(),
        grace: Duration::ZERO,
        at: at(1_800_000_004),
    };
    let error = store
        .change(id("a"), rotate)
        .await
        .expect_err("a revoked key");
    assert_eq!(error.kind(), KeyStoreErrorKind::Inactive, "{error}");
}

// A17
async fn reports_unknown_keys<S>(store: &S)
where
    S: KeyStore,
{
    let before = store.list().await.expect("a list");
    let error = store
        .change(id("unknown"), KeyChange::Revoke { at: at(1) })
        .await;
    assert_eq!(
        error.expect_err("no such key").kind(),
        KeyStoreErrorKind::NotFound
    );
    store
        .record_use(vec![id("unknown")], at(1))
        .await
        .expect("ignored");
    assert_eq!(store.list().await.expect("a list"), before);
}

async fn notes_use<S>(store: &S)
where
    S: KeyStore,
{
    let ids = vec![id("b"), id("c")];
    store
        .record_use(ids, at(1_800_000_010))
        .await
        .expect("noted");
    store
        .record_use(vec![id("b")], at(1_800_000_005))
        .await
        .expect("noted");
    for name in ["b", "c"] {
        assert_eq!(
            find(store, name).await.last_used,
            Some(at(1_800_000_010)),
            "{name}"
        );
    }
    assert_eq!(find(store, "a").await.last_used, None);
}
