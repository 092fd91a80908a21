//! The formats of key files.

use std::{ffi::OsStr, fmt, path::Path};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
};

use super::{
    complete::{self, EndMark, Ending},
    entry::{FileKey, InvalidEntry},
};
use crate::{KeyId, KeyRecord, KeySet, records::Records};

/// The format of a key file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyFileFormat {
    /// YAML 1.2.
    Yaml,
    /// TOML 1.0.
    Toml,
    /// JSON.
    Json,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: Option<u8>,
    /// `None` for YAML's null, the value of a name without one.
    keys: Option<Vec<FileKey>>,
    end: Option<EndMark>,
}

#[derive(Serialize)]
struct Entries {
    keys: Vec<FileKey>,
}

#[derive(Serialize)]
struct MarkedFile {
    format: u8,
    keys: Vec<FileKey>,
    end: bool,
}

/// A problem of a file, with its line.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) line: Option<u64>,
    pub(super) message: String,
}

/// The parsed contents of a file.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) records: Records,
    pub(super) set: KeySet,
    /// The last key and its last line, when fields after it may be missing.
    pub(super) open_end: Option<(KeyId, u64)>,
}

impl KeyFileFormat {
    /// Detects the format by extension: `.toml` or `.json`, otherwise YAML.
    pub fn of(path: &Path) -> Self {
        match path.extension().and_then(OsStr::to_str) {
            Some("toml") => Self::Toml,
            Some("json") => Self::Json,
            _ => Self::Yaml,
        }
    }

    pub(super) fn parse(self, text: &str) -> Result<Parsed, Problem> {
        let file = self.deserialize(text)?;
        let last_line = text.lines().count().max(1) as u64;
        let ending = complete::check(self, text, file.format, file.end.as_ref())?;
        let keys = file.keys.ok_or_else(|| Problem {
            line: Some(last_line),
            message: "the file is truncated, or has no list under `keys`; write `keys: []` for \
                      no keys"
                .to_owned(),
        })?;
        let records = keys.into_iter().map(|key| {
            key.into_record()
                .map_err(|InvalidEntry { id, problem }| Problem {
                    line: line_of(text, &id),
                    message: format!("the key {id}: {problem}"),
                })
        });
        let records = records.collect::<Result<Vec<_>, _>>()?;
        let last = records.last().map(|record| record.id.clone());
        let records = Records::new(records);
        let both = records.and_then(|records| records.set().map(|set| (records, set)));
        let (records, set) = both.map_err(|error| Problem {
            line: line_of(text, error.key()),
            message: error.to_string(),
        })?;
        Ok(Parsed {
            records,
            set,
            open_end: last
                .filter(|_| ending == Ending::Open)
                .map(|id| (id, last_line)),
        })
    }

    fn deserialize(self, text: &str) -> Result<File, Problem> {
        match self {
            Self::Yaml => serde_saphyr::from_str(text).map_err(|error| Problem {
                line: error.location().map(|location| location.line()),
                // A snippet of the file could contain a hash.
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

    /// Serializes keys, including their hashes.
    ///
    /// The hash or certificate is the last field of each key, and the file ends with a marker, so
    /// that no proper prefix of the text is a valid key file.
    pub fn write(self, records: &[KeyRecord]) -> String {
        let keys: Vec<_> = records.iter().map(FileKey::from).collect();
        let text = match self {
            Self::Yaml => serde_saphyr::to_string(&MarkedFile {
                format: complete::MARKED,
                keys,
                end: true,
            })
            .ok(),
            Self::Toml => toml_file(&keys),
            // The closing bracket is the end marker.
            Self::Json => serde_json::to_string_pretty(&Entries { keys })
                .map(|text| text + "\n")
                .ok(),
        };
        text.expect("strings and numbers can be serialized in every format")
    }
}

fn toml_file(keys: &[FileKey]) -> Option<String> {
    let format = complete::MARKED;
    let mut text = format!("format = {format}\n");
    if keys.is_empty() {
        text.push_str("keys = []\n");
    }
    for key in keys {
        text.push_str("\n[[keys]]\n");
        text.extend(
            toml_fields(key)?
                .iter()
                .map(|(name, value)| format!("{name} = {value}\n")),
        );
    }
    Some(text + "\n[end]\n")
}

/// Returns the fields of a key in order, with inline tables: fields after a table header would
/// belong to that table.
pub(super) fn toml_fields(key: &FileKey) -> Option<Vec<(String, toml::Value)>> {
    struct Fields(Vec<(String, toml::Value)>);

    impl<'de> Deserialize<'de> for Fields {
        fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
        where
            D: Deserializer<'de>,
        {
            deserializer.deserialize_map(InOrder)
        }
    }

    struct InOrder;

    impl<'de> Visitor<'de> for InOrder {
        type Value = Fields;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the fields of a key")
        }

        fn visit_map<A>(self, mut map: A) -> Result<Fields, A::Error>
        where
            A: MapAccess<'de>,
        {
            let mut fields = Vec::new();
            while let Some(field) = map.next_entry()? {
                fields.push(field);
            }
            Ok(Fields(fields))
        }
    }

    let json = serde_json::to_string(key).ok()?;
    let Fields(fields) = serde_json::from_str(&json).ok()?;
    Some(fields)
}

/// Formats a key as an inline TOML table.
pub(super) fn toml_inline(key: &FileKey) -> Option<String> {
    let fields = toml_fields(key)?;
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    Some(format!("{{ {} }}", fields.join(", ")))
}

fn newlines(text: &str) -> u64 {
    text.bytes().filter(|byte| *byte == b'\n').count() as u64
}

/// Returns the last line with the id of a key.
pub(super) fn line_of(text: &str, id: &KeyId) -> Option<u64> {
    let names = |line: &str| {
        let mut words = line.split(|c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c));
        line.contains("key_id") && words.any(|word| word == id.as_str())
    };
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().rposition(|line| names(line));
    at.map(|at| at as u64 + 1)
}

/// Formats a key as a YAML entry, to be added under `keys:` of a key file.
pub fn to_yaml(record: &KeyRecord) -> String {
    let keys = vec![FileKey::from(record)];
    let file = serde_saphyr::to_string(&Entries { keys })
        .expect("strings and numbers can be serialized as YAML");
    file.split_once('\n')
        .map(|(_, entry)| entry.to_owned())
        .unwrap_or_default()
}
