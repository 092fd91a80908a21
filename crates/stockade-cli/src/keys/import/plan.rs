//! Plans an import without I/O.

use std::{collections::HashMap, ops::Range};

use anstyle::Style;
use serde::Serialize;
use stockade_key_auth::{KeyHash, KeyId, KeyRecord};

use crate::output::{ERROR, SUCCESS, WARNING};

/// The result of an import for each key.
pub(super) struct Plan {
    records: Vec<KeyRecord>,
    /// One per record, in the same order.
    keys: Vec<PlannedKey>,
}

/// The result of an import for one key.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct PlannedKey {
    pub(super) id: String,
    /// The line in the file.
    pub(super) line: Option<usize>,
    pub(super) result: ImportResult,
    pub(super) reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ImportResult {
    Added,
    Skipped,
    Conflict,
}

impl Plan {
    /// Plans the import of `records`; `text` is the file, for its order and line numbers.
    pub(super) fn new(mut records: Vec<KeyRecord>, existing: &[KeyRecord], text: &str) -> Self {
        let existing = ExistingKeys::new(existing);
        let lines = lines(text);
        let line = |record: &KeyRecord| lines.get(record.id.as_str()).copied();
        records.sort_by_key(line);
        let keys = records.iter().map(|record| {
            let (result, reason) = existing.classify(record);
            PlannedKey {
                id: record.id.to_string(),
                line: line(record),
                result,
                reason,
            }
        });
        Self {
            keys: keys.collect(),
            records,
        }
    }

    pub(super) fn keys(&self) -> &[PlannedKey] {
        &self.keys
    }

    pub(super) fn conflicts(&self) -> usize {
        let is_conflict = |key: &&PlannedKey| key.result == ImportResult::Conflict;
        self.keys.iter().filter(is_conflict).count()
    }

    pub(super) fn new_records(&self) -> impl Iterator<Item = &KeyRecord> {
        let pairs = self.records.iter().zip(&self.keys);
        pairs
            .filter(|(_, key)| key.result == ImportResult::Added)
            .map(|(record, _)| record)
    }
}

impl ImportResult {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Skipped => "skipped",
            Self::Conflict => "conflict",
        }
    }
}

impl PlannedKey {
    pub(super) fn style(&self) -> Style {
        match self.result {
            ImportResult::Added => SUCCESS,
            ImportResult::Skipped => WARNING,
            ImportResult::Conflict => ERROR,
        }
    }
}

/// The keys of the store by id and hash.
struct ExistingKeys<'e> {
    by_id: HashMap<&'e KeyId, &'e KeyRecord>,
    by_hash: HashMap<&'e KeyHash, &'e KeyId>,
}

impl<'e> ExistingKeys<'e> {
    fn new(existing: &'e [KeyRecord]) -> Self {
        let hashes = existing
            .iter()
            .flat_map(|record| hashes(record).map(|hash| (hash, &record.id)));
        Self {
            by_id: existing.iter().map(|record| (&record.id, record)).collect(),
            by_hash: hashes.collect(),
        }
    }

    fn classify(&self, record: &KeyRecord) -> (ImportResult, Option<String>) {
        match self.by_id.get(&record.id) {
            Some(known) if known.hash == record.hash => {
                let reason = match known == &record {
                    true => "the key exists",
                    false => "the key exists, and keeps its own scopes, dates and metadata",
                };
                (ImportResult::Skipped, Some(reason.to_owned()))
            }
            Some(known) if hashes(known).any(|hash| *hash == record.hash) => {
                let reason = "the key was rotated in the store";
                (ImportResult::Conflict, Some(reason.to_owned()))
            }
            Some(_) => {
                let reason = "another key exists with this id; rename one of them";
                (ImportResult::Conflict, Some(reason.to_owned()))
            }
            None => match hashes(record).find_map(|hash| self.by_hash.get(hash)) {
                Some(other) => {
                    let reason = format!("the same key exists with the id {other}");
                    (ImportResult::Conflict, Some(reason))
                }
                None => (ImportResult::Added, None),
            },
        }
    }
}

fn hashes(record: &KeyRecord) -> impl Iterator<Item = &KeyHash> {
    let previous = record.previous.iter().map(|previous| &previous.hash);
    previous.chain([&record.hash])
}

/// The line numbers of key ids, from 1, in YAML, TOML or JSON with one field per line.
fn lines(text: &str) -> HashMap<&str, usize> {
    let id = |line: &str| -> Option<Range<usize>> {
        // `key_id: "a" # note`, `key_id = "a"`, `"key_id": "a",`
        let start = line.find("key_id")? + "key_id".len();
        let divides = |one: char| one.is_whitespace() || "\"':=,{}[]#".contains(one);
        let start = start + line[start..].find(|one| !divides(one))?;
        let end = line[start..]
            .find(divides)
            .map_or(line.len(), |end| start + end);
        Some(start..end)
    };
    let lines = text.lines().enumerate();
    lines
        .filter_map(|(at, line)| Some((&line[id(line)?], at + 1)))
        .collect()
}

#[cfg(test)]
mod tests {
    use stockade_core::clock::Timestamp;
    use stockade_key_auth::{KeyChange, KeyDigest};

    use super::*;

    fn record(id: &str, text: &str) -> KeyRecord {
        KeyRecord::new(id.parse().unwrap(), KeyDigest::of(text.as_bytes()))
    }

    #[test]
    fn classifies_keys() {
        let rotate = KeyChange::Rotate {
            hash: KeyDigest::of(b"new").into(),
            grace: std::time::Duration::from_secs(9),
            at: Timestamp::from_secs(1),
        };
        let rotated = rotate.apply(record("rotated", "old")).unwrap();
        let existing = [record("same", "1"), record("other", "2"), rotated];
        let file = vec![
            record("same", "1"),
            record("same", "1").owner("x"),
            record("other", "3"),
            record("rotated", "old"),
            record("rotated", "new"),
            record("fresh", "2"),
            record("fresher", "4"),
        ];
        let plan = Plan::new(file, &existing, "");
        let results: Vec<_> = plan.keys().iter().map(|key| key.result).collect();
        use ImportResult::{Added, Conflict, Skipped};
        assert_eq!(
            results,
            [
                Skipped, Skipped, Conflict, Conflict, Skipped, Conflict, Added
            ]
        );
        assert_eq!(plan.conflicts(), 3);
        let added: Vec<_> = plan
            .new_records()
            .map(|record| record.id.as_str())
            .collect();
        assert_eq!(added, ["fresher"]);
    }

    #[test]
    fn finds_lines_in_all_formats() {
        for text in [
            "keys:\n  - key_id: ab\n  - key_id: \"a\" # first\n",
            "[[keys]]\nkey_id = \"ab\"\nkey_id='a'\n",
            "{\"keys\": [{\n\"key_id\": \"ab\"}, {\n \"key_id\" : \"a\",\n",
        ] {
            assert_eq!(lines(text), HashMap::from([("ab", 2), ("a", 3)]), "{text}");
        }
    }
}
