use std::time::Duration;

use stockade_core::clock::Timestamp;

use super::*;
use crate::{KeyChange, KeyDigest, KeyUpdate};

const AT: Timestamp = Timestamp::from_secs(1_735_689_600);

fn hash(text: &str) -> String {
    KeyDigest::of(text.as_bytes()).to_string()
}

/// Handwritten files with comments and unusual field order, in each format.
fn files() -> [(KeyFileFormat, String); 6] {
    let (one, two) = (hash("one"), hash("two"));
    [
        (
            KeyFileFormat::Yaml,
            format!(
                "# Keys of the team.\nkeys:\n  # The web page.\n  - key_id: web\n    \
                 hash: '{one}'   # made in May\n    scopes: [ \"chat:write\" ]\n    \
                 expires_at: 2030-01-01T00:00:00Z\n\n  - hash: {two}\n    key_id: 'batch' # nightly\n    \
                 quotas:\n      requests_per_minute: 60  # enough\n    owner: >-\n      ops\n      team\n\n\
                 # The end.\n"
            ),
        ),
        (
            KeyFileFormat::Yaml,
            format!(
                "format: 2\nkeys: # all of them\n- {{key_id: web, hash: \"{one}\", scopes: [x]}}\n\
                 - key_id: batch\n  hash: &h {two}\n# The end.\nend: true\n"
            ),
        ),
        (
            KeyFileFormat::Yaml,
            format!(
                "keys: [{{key_id: web, hash: \"{one}\"}}, # first\n  {{hash: '{two}', key_id: batch,}}]\n"
            ),
        ),
        (
            KeyFileFormat::Toml,
            format!(
                "# Keys of the team.\nformat = 2\n\n# The web page.\n[[keys]]\nkey_id = 'web'\n\
                 hash = \"{one}\" # made in May\nscopes = [\n  \"chat:write\", # to chat\n]\n\n\
                 [keys.quotas] # enough\nrequests_per_minute = 60\n\n[[keys]]\n\
                 hash = '{two}'\nkey_id = \"batch\"\nmetadata.team = \"core\"\n\n[end] # of it\n"
            ),
        ),
        (
            KeyFileFormat::Toml,
            format!(
                "keys = [ # all of them\n  {{ key_id = \"web\", hash = \"{one}\" }},\n  \
                 {{ key_id = \"batch\", hash = \"{two}\" }}, # the last\n]\n"
            ),
        ),
        (
            KeyFileFormat::Json,
            format!(
                "{{\n\t\"keys\": [\n\t\t{{\n\t\t\t\"key_id\": \"web\",\n\t\t\t\"owner\": \"a\\tb\",\n\t\t\t\
                 \"hash\": \"{one}\"\n\t\t}},\n\t\t{{ \"key_id\": \"batch\", \"hash\": \"{two}\", \
                 \"expires_at\": null }}\n\t]\n}}\n"
            ),
        ),
    ]
}

fn parse(format: KeyFileFormat, text: &str) -> Records {
    let parsed = format.parse(text);
    parsed
        .unwrap_or_else(|error| panic!("{error:?}:\n{text}"))
        .records
}

fn change(records: &Records, id: &str, change: KeyChange) -> Records {
    let mut records = records.clone();
    records.change(&id.parse().unwrap(), &change).unwrap();
    records
}

fn rotate(text: &str, grace: u64) -> KeyChange {
    KeyChange::Rotate {
        hash: KeyDigest::of(text.as_bytes()).into(),
        grace: Duration::from_secs(grace),
        at: AT,
    }
}

/// Returns the lines without these fields, normalized at both ends.
fn others<'t>(text: &'t str, fields: &[&str]) -> Vec<&'t str> {
    let lines = text
        .lines()
        .map(|line| line.trim().trim_start_matches("- ").trim_end_matches(','));
    lines
        .filter(|line| !fields.iter().any(|field| line.contains(field)))
        .collect()
}

// FH13
#[test]
fn changes_preserve_unrelated_lines() {
    for (format, text) in files() {
        for id in ["web", "batch"] {
            let mut records = parse(format, &text);
            let mut now = text.clone();
            for (what, fields) in [
                (KeyChange::RecordUse { at: AT }, &["last_used_at"][..]),
                (
                    KeyChange::SetExpiry {
                        expires: AT + Duration::from_secs(9),
                        at: AT,
                    },
                    &["expires_at"],
                ),
                (rotate("three", 100), &["previous_", "hash"]),
                (rotate("four", 0), &["previous_", "hash"]),
                (rotate("five", 100), &["previous_", "hash"]),
                (KeyChange::Revoke { at: AT }, &["previous_", "revoked_at"]),
            ] {
                let changed = change(&records, id, what.clone());
                let edited = edit(format, &now, &records, &changed)
                    .unwrap_or_else(|error| panic!("{error}: {what:?} in\n{now}"));
                assert_eq!(parse(format, &edited), changed, "{edited}");
                // Fields of inline tables share a line.
                if !now.contains("{ ") && !now.contains(" {") {
                    assert_eq!(others(&edited, fields), others(&now, fields), "{edited}");
                }
                for (part, _) in text.match_indices('#') {
                    let comment = text[part..].lines().next().unwrap();
                    assert!(edited.contains(comment), "{comment} is not in\n{edited}");
                }
                records = changed;
                now = edited;
            }
        }
    }
}

/// Updates with values and without.
fn updates() -> [KeyUpdate; 3] {
    let narrow = KeyUpdate {
        name: Some(Some("a \"b\" \\ ü: # -".to_owned())),
        scopes: Some("chat:write models:read".parse().unwrap()),
        models: Some(Some(vec!["a/b".to_owned(), "c: #d".to_owned()])),
        networks: Some(vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()]),
        expires: Some(Some(AT + Duration::from_secs(9))),
        ..KeyUpdate::default()
    };
    let widen = KeyUpdate {
        name: Some(None),
        owner: Some(Some("ops".to_owned())),
        scopes: Some("*".parse().unwrap()),
        models: Some(None),
        networks: Some(Vec::new()),
        expires: Some(None),
        ..KeyUpdate::default()
    };
    let none = KeyUpdate {
        owner: Some(None),
        scopes: Some(Default::default()),
        models: Some(Some(Vec::new())),
        ..KeyUpdate::default()
    };
    [narrow, widen, none]
}

fn update(update: KeyUpdate) -> KeyChange {
    KeyChange::Update {
        update: Box::new(update),
        expected: None,
        at: AT,
    }
}

// FH13
#[test]
fn updates_preserve_unrelated_lines() {
    for (format, text) in files() {
        for id in ["web", "batch"] {
            let mut records = parse(format, &text);
            let mut now = text.clone();
            for fields in updates() {
                let changed = change(&records, id, update(fields.clone()));
                let edited = edit(format, &now, &records, &changed)
                    .unwrap_or_else(|error| panic!("{error}: {fields:?} in\n{now}"));
                assert_eq!(parse(format, &edited), changed, "{edited}");
                // A comment within a changed field is replaced with it.
                for (part, _) in text
                    .match_indices('#')
                    .filter(|(part, _)| !text[*part..].starts_with("# to chat"))
                {
                    let comment = text[part..].lines().next().unwrap();
                    assert!(edited.contains(comment), "{comment} is not in\n{edited}");
                }
                records = changed;
                now = edited;
            }
            let other = if id == "web" { "batch" } else { "web" };
            let (before, after) = (parse(format, &text), parse(format, &now));
            let other = other.parse().unwrap();
            assert_eq!(before.get(&other), after.get(&other));
        }
    }
}

// FH13
#[test]
fn updates_maps() {
    let fields = KeyUpdate {
        quotas: Some({
            let mut quotas = stockade_core::identity::QuotaOverrides::default();
            quotas.requests_per_hour = Some(7.try_into().unwrap());
            quotas
        }),
        metadata: Some([("cost centre".to_owned(), "\"7\" = a".to_owned())].into()),
        ..KeyUpdate::default()
    };
    let mut edited_files = 0;
    for (format, text) in files() {
        for id in ["web", "batch"] {
            let old = parse(format, &text);
            let new = change(&old, id, update(fields.clone()));
            // Tables of TOML have lines elsewhere.
            let has_tables = format == KeyFileFormat::Toml && text.contains("[keys.quotas]");
            match edit(format, &text, &old, &new) {
                Ok(edited) => {
                    edited_files += 1;
                    assert_eq!(parse(format, &edited), new, "{edited}");
                }
                Err(Uneditable) => assert!(has_tables, "{text}"),
            }
        }
    }
    assert_eq!(edited_files, 10);
}

// FH13
#[test]
fn appends_new_keys() {
    for (format, text) in files() {
        let old = parse(format, &text);
        let mut new = old.clone();
        for id in ["new", "newer"] {
            let record = KeyRecord::new(id.parse().unwrap(), KeyDigest::of(id.as_bytes()));
            let mut record = record.owner("a \"b\" \\ ü: # -").expires(AT);
            record.metadata = [("team".to_owned(), "core".to_owned())].into();
            new.create(record).unwrap();
        }
        let edited =
            edit(format, &text, &old, &new).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(parse(format, &edited), new);
        let mut rest = edited.lines();
        for line in text.lines() {
            let kept = rest.any(|new| {
                new.trim_end_matches(',')
                    .starts_with(line.trim_end_matches([',', ']']))
            });
            assert!(kept, "{line} was moved:\n{edited}");
        }
    }
}

// FH13
#[test]
fn preserves_windows_line_endings() {
    for (format, text) in files() {
        let text = text.replace('\n', "\r\n");
        let old = parse(format, &text);
        let new = change(&old, "web", rotate("three", 100));
        let edited = edit(format, &text, &old, &new).unwrap();
        assert_eq!(
            edited.matches('\n').count(),
            edited.matches("\r\n").count(),
            "{edited:?}"
        );
    }
}

#[test]
fn adds_a_key_to_an_empty_list_with_comments() {
    for (format, text) in [
        (KeyFileFormat::Yaml, "keys: [] # none yet\n"),
        (KeyFileFormat::Toml, "# Keys.\nkeys = []\n"),
        (
            KeyFileFormat::Toml,
            "# Keys.\nformat = 2\nkeys = []\n\n[end]\n",
        ),
    ] {
        let old = parse(format, text);
        let mut new = old.clone();
        new.create(KeyRecord::new("new".parse().unwrap(), KeyDigest::of(b"1")))
            .unwrap();
        let edited = edit(format, text, &old, &new).unwrap();
        assert!(edited.contains('#'), "{edited}");
    }
}

// FH13: a value that two keys share by an alias cannot change for one of them.
#[test]
fn rejects_changes_of_shared_values() {
    let (one, two) = (hash("one"), hash("two"));
    let text = format!(
        "keys:\n  - &web {{key_id: web, hash: \"{one}\", last_used_at: 2024-01-01T00:00:00Z}}\n  \
         - <<: *web\n    key_id: batch\n    hash: \"{two}\"\n"
    );
    let old = parse(KeyFileFormat::Yaml, &text);
    let new = change(&old, "web", KeyChange::RecordUse { at: AT });
    assert_eq!(
        edit(KeyFileFormat::Yaml, &text, &old, &new),
        Err(Uneditable)
    );
}

// FH13: last uses are recorded for many keys together.
#[test]
fn changes_many_keys_together() {
    let mut text = "# Keys.\nkeys:\n".to_owned();
    for number in 0..2_000 {
        let hash = hash(&number.to_string());
        text += &format!("  - key_id: key-{number}\n    hash: {hash}\n");
    }
    let old = parse(KeyFileFormat::Yaml, &text);
    let mut new = old.clone();
    let ids: Vec<_> = old.list().into_iter().map(|record| record.id).collect();
    new.record_use(&ids, AT);
    let edited = edit(KeyFileFormat::Yaml, &text, &old, &new).unwrap();
    assert_eq!(
        edited
            .matches("last_used_at: \"2025-01-01T00:00:00Z\"")
            .count(),
        2_000
    );
    assert!(edited.starts_with("# Keys.\n"));
}
