//! What becomes of each key of a file; pure.

use std::{collections::HashMap, ops::Range};

use anstyle::Style;
use serde::Serialize;
use stockade_key_auth::{KeyHash, KeyId, KeyRecord};

use crate::output::{BAD, CAUTION, GOOD};

/// What becomes of each key.
pub(super) struct Plan {
    records: Vec<KeyRecord>,
    /// One a record, in the same order.
    fates: Vec<Fate>,
}

/// What becomes of one key.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Fate {
    pub(super) id: String,
    /// Where the file has it.
    pub(super) line: Option<usize>,
    #[serde(rename = "result")]
    pub(super) verdict: Verdict,
    pub(super) reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Added,
    Skipped,
    Refused,
}

impl Plan {
    /// `text` is that of the file, for its order and the numbers of its lines.
    pub(super) fn new(mut records: Vec<KeyRecord>, existing: &[KeyRecord], text: &str) -> Self {
        let known = Known::new(existing);
        let lines = lines(text);
        let line = |record: &KeyRecord| lines.get(record.id.as_str()).copied();
        records.sort_by_key(line);
        let fates = records.iter().map(|record| {
            let (verdict, reason) = known.judge(record);
            Fate {
                id: record.id.to_string(),
                line: line(record),
                verdict,
                reason,
            }
        });
        Self {
            fates: fates.collect(),
            records,
        }
    }

    pub(super) fn fates(&self) -> &[Fate] {
        &self.fates
    }

    pub(super) fn refused(&self) -> usize {
        let refused = |fate: &&Fate| fate.verdict == Verdict::Refused;
        self.fates.iter().filter(refused).count()
    }

    pub(super) fn added(&self) -> impl Iterator<Item = &KeyRecord> {
        let pairs = self.records.iter().zip(&self.fates);
        pairs
            .filter(|(_, fate)| fate.verdict == Verdict::Added)
            .map(|(record, _)| record)
    }
}

impl Verdict {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Skipped => "skipped",
            Self::Refused => "refused",
        }
    }
}

impl Fate {
    pub(super) fn style(&self) -> Style {
        match self.verdict {
            Verdict::Added => GOOD,
            Verdict::Skipped => CAUTION,
            Verdict::Refused => BAD,
        }
    }
}

/// The keys of the store, by what tells them apart.
struct Known<'e> {
    by_id: HashMap<&'e KeyId, &'e KeyRecord>,
    by_hash: HashMap<&'e KeyHash, &'e KeyId>,
}

impl<'e> Known<'e> {
    fn new(existing: &'e [KeyRecord]) -> Self {
        let hashes = existing
            .iter()
            .flat_map(|record| hashes(record).map(|hash| (hash, &record.id)));
        Self {
            by_id: existing.iter().map(|record| (&record.id, record)).collect(),
            by_hash: hashes.collect(),
        }
    }

    fn judge(&self, record: &KeyRecord) -> (Verdict, Option<String>) {
        match self.by_id.get(&record.id) {
            Some(known) if known.hash == record.hash => {
                let reason = match known == &record {
                    true => "the store has it",
                    false => "the store has it, and keeps its own scopes, dates and notes",
                };
                (Verdict::Skipped, Some(reason.to_owned()))
            }
            Some(known) if hashes(known).any(|hash| *hash == record.hash) => {
                let reason = "the store has rotated this key since";
                (Verdict::Refused, Some(reason.to_owned()))
            }
            Some(_) => {
                let reason = "the store has another key of this id; rename one of them";
                (Verdict::Refused, Some(reason.to_owned()))
            }
            None => match hashes(record).find_map(|hash| self.by_hash.get(hash)) {
                Some(other) => {
                    let reason = format!("the store has the same key under the id {other}");
                    (Verdict::Refused, Some(reason))
                }
                None => (Verdict::Added, None),
            },
        }
    }
}

fn hashes(record: &KeyRecord) -> impl Iterator<Item = &KeyHash> {
    let previous = record.previous.iter().map(|previous| &previous.hash);
    previous.chain([&record.hash])
}

/// The lines that give keys their ids, counted from 1; the same for YAML, TOML and JSON of
/// several lines.
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
    use stockade_core::Timestamp;
    use stockade_key_auth::{KeyChange, KeyDigest};

    use super::*;

    fn record(id: &str, text: &str) -> KeyRecord {
        KeyRecord::new(id.parse().unwrap(), KeyDigest::of(text.as_bytes()))
    }

    #[test]
    fn adds_skips_and_refuses() {
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
        let verdicts: Vec<_> = plan.fates().iter().map(|fate| fate.verdict).collect();
        use Verdict::{Added, Refused, Skipped};
        assert_eq!(
            verdicts,
            [Skipped, Skipped, Refused, Refused, Skipped, Refused, Added]
        );
        assert_eq!(plan.refused(), 3);
        let added: Vec<_> = plan.added().map(|record| record.id.as_str()).collect();
        assert_eq!(added, ["fresher"]);
    }

    #[test]
    fn finds_the_line_in_three_languages() {
        for text in [
            "keys:\n  - key_id: ab\n  - key_id: \"a\" # first\n",
            "[[keys]]\nkey_id = \"ab\"\nkey_id='a'\n",
            "{\"keys\": [{\n\"key_id\": \"ab\"}, {\n \"key_id\" : \"a\",\n",
        ] {
            assert_eq!(lines(text), HashMap::from([("ab", 2), ("a", 3)]), "{text}");
        }
    }
}
