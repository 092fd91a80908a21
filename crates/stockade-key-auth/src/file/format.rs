//! The text of a key file, in three languages.

use std::{ffi::OsStr, path::Path};

use serde::{Deserialize, Serialize};

use super::entry::FileKey;
use crate::{DuplicateKeyError, KeyRecord, KeySet, records::Records};

/// The language of a key file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Yaml,
    Toml,
    Json,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// `None` for YAML's null, which a name without a value is.
    keys: Option<Vec<FileKey>>,
}

#[derive(Serialize)]
struct FileOut {
    keys: Vec<FileKey>,
}

/// What is wrong with a text, and where.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) line: Option<u64>,
    pub(super) message: String,
}

impl Format {
    /// By the ending `.toml` or `.json`; everything else is YAML.
    pub(super) fn of(path: &Path) -> Self {
        match path.extension().and_then(OsStr::to_str) {
            Some("toml") => Self::Toml,
            Some("json") => Self::Json,
            _ => Self::Yaml,
        }
    }

    /// The records, and the set of them.
    pub(super) fn parse(self, text: &str) -> Result<(Records, KeySet), Problem> {
        let keys = match self.deserialize(text)?.keys {
            Some(keys) if !(self == Self::Yaml && ends_in_a_name(text)) => keys,
            _ => {
                return Err(Problem {
                    line: Some(text.lines().count().max(1) as u64),
                    message: "it ends in the middle, or has no list under `keys`; write \
                              `keys: []` for no keys"
                        .to_owned(),
                });
            }
        };
        let records = keys.into_iter().map(|key| {
            key.into_record().ok_or_else(|| Problem {
                line: None,
                message: "`previous_hash` and `previous_until` go together".to_owned(),
            })
        });
        let records = Records::new(records.collect::<Result<Vec<_>, _>>()?)
            .and_then(|records| records.set().map(|set| (records, set)));
        records.map_err(|error| Problem {
            line: line_of(text, &error),
            message: error.to_string(),
        })
    }

    fn deserialize(self, text: &str) -> Result<File, Problem> {
        match self {
            Self::Yaml => serde_saphyr::from_str(text).map_err(|error| Problem {
                line: error.location().map(|location| location.line()),
                // A snippet of the file could show a hash.
                message: error.without_snippet().to_string(),
            }),
            Self::Toml => toml::from_str(text).map_err(|error| Problem {
                line: error.span().map(|span| 1 + newlines(&text[..span.start])),
                message: error.message().to_owned(),
            }),
            Self::Json => serde_json::from_str(text).map_err(|error| Problem {
                line: Some(error.line() as u64),
                message: error.to_string(),
            }),
        }
    }

    pub(super) fn serialize(self, records: &[KeyRecord]) -> Result<String, String> {
        let file = FileOut {
            keys: records.iter().map(FileKey::from).collect(),
        };
        match self {
            Self::Yaml => serde_saphyr::to_string(&file).map_err(|error| error.to_string()),
            Self::Toml => toml::to_string_pretty(&file).map_err(|error| error.to_string()),
            Self::Json => serde_json::to_string_pretty(&file).map_err(|error| error.to_string()),
        }
    }
}

fn newlines(text: &str) -> u64 {
    text.bytes().filter(|byte| *byte == b'\n').count() as u64
}

/// Whether a file that is still being written has got as far as `expires_at:`.
fn ends_in_a_name(text: &str) -> bool {
    text.trim_end().ends_with(':')
}

/// The last line that gives a key the id that the error is about.
fn line_of(text: &str, error: &DuplicateKeyError) -> Option<u64> {
    let id = error.key().as_str();
    let named = |line: &str| line.contains("key_id") && line.contains(id);
    let lines: Vec<&str> = text.lines().collect();
    lines
        .iter()
        .rposition(|line| named(line))
        .map(|at| at as u64 + 1)
}

/// The YAML entry of a key, to be put under `keys:` of a key file.
pub fn to_yaml(record: &KeyRecord) -> String {
    let file = Format::Yaml
        .serialize(std::slice::from_ref(record))
        .expect("texts and numbers can be written as YAML");
    file.split_once('\n')
        .map(|(_, entry)| entry.to_owned())
        .unwrap_or_default()
}
