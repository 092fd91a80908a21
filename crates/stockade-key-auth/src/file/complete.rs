//! Detection of truncated key files.
//!
//! A file ends early during a slow copy or on a full disk. Missing lines must not take effect:
//! a key whose `revoked_at` was cut off would be valid again.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};

use super::format::{KeyFileFormat, Problem};
use crate::{KeyId, KeySet};

/// The `format` of files with an end marker.
pub(super) const MARKED: u8 = 2;

/// The end marker: `end: true`, or in TOML the table `[end]`, after which no other top-level
/// setting can follow.
pub(super) struct EndMark;

impl<'de> Deserialize<'de> for EndMark {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        struct Mark;

        impl<'de> Visitor<'de> for Mark {
            type Value = EndMark;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`end: true`, or `[end]` in TOML")
            }

            fn visit_bool<E>(self, value: bool) -> Result<EndMark, E>
            where
                E: Error,
            {
                match value {
                    true => Ok(EndMark),
                    false => Err(E::custom("`end` must be `true` or absent")),
                }
            }

            fn visit_map<A>(self, mut map: A) -> Result<EndMark, A::Error>
            where
                A: MapAccess<'de>,
            {
                match map.next_entry::<IgnoredAny, IgnoredAny>()? {
                    Some(_) => Err(A::Error::custom("`[end]` must be an empty table")),
                    None => Ok(EndMark),
                }
            }
        }

        deserializer.deserialize_any(Mark)
    }
}

/// Whether text may be missing after the last key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The text is complete.
    Complete,
    /// Fields of the last key or further keys may be missing.
    Open,
}

/// Rejects text that is recognisably truncated.
pub(super) fn check(
    language: KeyFileFormat,
    text: &str,
    format: Option<u8>,
    mark: Option<&EndMark>,
) -> Result<Ending, Problem> {
    let (at, last) = last_line(text);
    let problem = |message: &str| {
        Err(Problem {
            line: Some(at),
            message: message.to_owned(),
        })
    };
    match (format, mark) {
        (None | Some(1 | MARKED), _) => {}
        (Some(_), _) => return problem("`format` must be 2 or absent"),
    }
    if has_brackets(language, text, last) {
        return Ok(Ending::Complete);
    }
    let is_mark = match language {
        KeyFileFormat::Toml => last.starts_with("[end]"),
        _ => last.starts_with("end:"),
    };
    match (format, mark) {
        (_, Some(_)) if is_mark => Ok(Ending::Complete),
        (_, Some(_)) => {
            problem("text follows the end marker; move the marker to the end of the file")
        }
        (Some(MARKED), None) => problem(match language {
            KeyFileFormat::Toml => {
                "the file is truncated: with `format = 2` it must end with `[end]`"
            }
            _ => "the file is truncated: with `format: 2` it must end with `end: true`",
        }),
        _ if language == KeyFileFormat::Yaml && is_name(last) => {
            problem("the file is truncated: the last line has a name without a value")
        }
        _ if !text.ends_with('\n') && !last.ends_with(['"', '\'', ']', '}']) => problem(
            "the last line may be truncated; end it with a line feed, for example with \
             `echo >>`",
        ),
        _ => Ok(Ending::Open),
    }
}

/// Returns the last line that is neither blank nor a comment, and its number.
fn last_line(text: &str) -> (u64, &str) {
    let count = text.lines().count() as u64;
    let mut lines = (1..=count).rev().zip(text.lines().rev());
    lines
        .find(|(_, line)| {
            let line = line.trim_start();
            !(line.is_empty() || line.starts_with('#') || line.starts_with("..."))
        })
        .map_or((count.max(1), ""), |(at, line)| (at, line.trim_end()))
}

/// Returns whether brackets enclose the whole text, so that truncation is a syntax error.
fn has_brackets(language: KeyFileFormat, text: &str, last: &str) -> bool {
    match language {
        KeyFileFormat::Json => true,
        KeyFileFormat::Yaml => text.trim_start().starts_with('{') && last.ends_with('}'),
        KeyFileFormat::Toml => false,
    }
}

/// Returns whether a line of YAML is `name:`, followed by nothing but a comment.
fn is_name(line: &str) -> bool {
    let Some((name, rest)) = line.split_once(':') else {
        return false;
    };
    let name = name.trim_start_matches([' ', '-', '"', '\'']);
    let name = name.trim_end_matches(['"', '\'', ' ']);
    let is_word = |one: char| one.is_ascii_alphanumeric() || one == '_';
    let rest = rest.trim_start();
    name.chars().all(is_word) && (rest.is_empty() || rest.starts_with('#'))
}

/// Returns a restriction of an active key that its new record lacks.
pub(super) fn lost(in_force: &KeySet, new: &KeySet, id: &KeyId) -> Option<&'static str> {
    let find = |set: &'_ KeySet| -> Option<Restrictions> {
        let key = set.keys().find(|key| key.id == *id)?;
        let quotas = key.quotas();
        Some([
            ("revoked_at", key.revoked),
            ("expires_at", key.expires().is_some()),
            ("networks", !key.networks.is_empty()),
            ("models", key.has_models()),
            ("requests_per_minute", quotas.requests_per_minute.is_some()),
            ("requests_per_hour", quotas.requests_per_hour.is_some()),
            ("requests_per_day", quotas.requests_per_day.is_some()),
            ("tokens_per_minute", quotas.tokens_per_minute.is_some()),
            ("concurrency", quotas.concurrency.is_some()),
            ("weight", quotas.weight.is_some()),
        ])
    };
    let (old, new) = (find(in_force)?, find(new)?);
    let mut pairs = old.into_iter().zip(new);
    pairs.find_map(|((name, had), (_, has))| (had && !has).then_some(name))
}

type Restrictions = [(&'static str, bool); 10];

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(language: KeyFileFormat, text: &str) -> Option<Ending> {
        check(language, text, None, None).ok()
    }

    // FA09
    #[test]
    fn rejects_unterminated_last_lines() {
        use KeyFileFormat::{Json, Toml, Yaml};
        for (language, text, expected) in [
            (Yaml, "keys: []", Some(Ending::Open)),
            (Yaml, "keys:\n  - owner: bo", None),
            (Yaml, "keys:\n  - owner: bo\n", Some(Ending::Open)),
            (Yaml, "keys:\n  - owner: \"bo\"", Some(Ending::Open)),
            (Yaml, "keys:\n  - networks: # of the office\n", None),
            (Yaml, "keys:\n  - \"networks\":\n\n# more\n", None),
            (Yaml, "keys:\n  - owner: \"a: # b\"\n", Some(Ending::Open)),
            (Yaml, "{keys: []}", Some(Ending::Complete)),
            (Toml, "[[keys]]\ntokens_per_minute = 60", None),
            (
                Toml,
                "[[keys]]\ntokens_per_minute = 60\n",
                Some(Ending::Open),
            ),
            (Json, "{\"keys\": []}", Some(Ending::Complete)),
        ] {
            assert_eq!(ending(language, text), expected, "{text:?}");
        }
    }
}
