//! Updates of fields.

use stockade_key_auth::{KeyChange, KeyRecord, KeyStore, KeyStoreErrorKind, KeyUpdate};

use super::{at, find, id};

pub(super) async fn updates_fields<S>(store: &S)
where
    S: KeyStore,
{
    let change = |update: &KeyUpdate, expected: Option<&KeyRecord>| KeyChange::Update {
        update: Box::new(update.clone()),
        expected: expected.cloned().map(Box::new),
        at: at(1_800_000_001),
    };
    let before = find(store, "a").await;
    let mut narrow = KeyUpdate::default();
    narrow.name = Some(Some("<b>\"narrow\"</b> ü: # -".to_owned()));
    narrow.scopes = Some("models:read".parse().expect("scopes"));
    narrow.models = Some(Some(Vec::new()));
    narrow.expires = Some(Some(at(1_900_000_000)));
    let updated = store
        .change(id("a"), change(&narrow, Some(&before)))
        .await
        .expect("updated");
    let mut expected = before.clone();
    expected
        .name
        .clone_from(narrow.name.as_ref().expect("it is set"));
    expected.scopes = "models:read".parse().expect("scopes");
    expected.models = Some(Vec::new());
    expected.expires = Some(at(1_900_000_000));
    if let Some(previous) = &mut expected.previous {
        previous.until = previous.until.min(at(1_900_000_000));
    }
    assert_eq!(updated, expected, "other fields do not change");
    assert_eq!(find(store, "a").await, expected);

    let stale = store
        .change(id("a"), change(&narrow, Some(&before)))
        .await
        .expect_err("a stale record");
    assert_eq!(stale.kind(), KeyStoreErrorKind::Conflict, "{stale}");

    let mut widen = KeyUpdate::default();
    widen.name = Some(None);
    widen.owner = Some(None);
    widen.models = Some(None);
    widen.networks = Some(Vec::new());
    widen.quotas = Some(Default::default());
    widen.metadata = Some(Default::default());
    widen.expires = Some(None);
    let updated = store
        .change(id("a"), change(&widen, None))
        .await
        .expect("updated");
    assert_eq!(
        (&updated.name, &updated.owner, &updated.models),
        (&None, &None, &None)
    );
    assert!(updated.networks.is_empty() && updated.metadata.is_empty());
    assert_eq!((updated.expires, &updated.scopes), (None, &expected.scopes));
    assert_eq!(find(store, "a").await, updated);
    let unknown = store.change(id("unknown"), change(&widen, None)).await;
    assert_eq!(
        unknown.expect_err("no such key").kind(),
        KeyStoreErrorKind::NotFound
    );
}
