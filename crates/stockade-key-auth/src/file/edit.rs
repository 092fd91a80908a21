//! In-place editing of key files, preserving comments, the order of keys and fields, blank lines
//! and quotes.

mod append;

use std::{collections::HashMap, fmt, ops::Range};

use serde_json::Value;

use super::{
    entry::FileKey,
    format::KeyFileFormat,
    spans::{Kind, Node, Pair},
};
use crate::{KeyId, KeyRecord, records::Records};

/// The error of a change that the layout of the text does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Uneditable;

impl fmt::Display for Uneditable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "its layout does not allow the change, so nothing was changed; edit the file by hand, or \
             rewrite it without comments with `stockade keys export`",
        )
    }
}

/// Returns the text with the new records in place of the old ones.
///
/// The result is parsed again, and holds exactly the new records.
pub(super) fn edit(
    format: KeyFileFormat,
    text: &str,
    old: &Records,
    new: &Records,
) -> Result<String, Uneditable> {
    // A file without manual edits is rewritten as a whole.
    if (old.list().is_empty() && !text.contains('#')) || text == format.write(&old.list()) {
        return Ok(format.write(&new.list()));
    }
    let changes = Changes::between(old, new)?;
    let mut edited = set(format, text, &changes.set)?;
    for (id, field) in &changes.removed {
        edited = remove(format, &edited, id, field)?;
    }
    if !changes.created.is_empty() {
        edited = append::append(format, &edited, &changes.created)?;
    }
    match format.parse(&edited) {
        Ok(parsed) if parsed.records == *new => Ok(edited),
        _ => Err(Uneditable),
    }
}

/// The differences between two states of a store.
#[derive(Default)]
struct Changes {
    set: Vec<(KeyId, &'static str, Value)>,
    removed: Vec<(KeyId, &'static str)>,
    created: Vec<KeyRecord>,
}

impl Changes {
    fn between(old: &Records, new: &Records) -> Result<Self, Uneditable> {
        let mut changes = Self::default();
        for record in new.list() {
            match old.get(&record.id) {
                Some(before) => changes.of_key(before, &record)?,
                None => changes.created.push(record),
            }
        }
        match old
            .list()
            .iter()
            .all(|before| new.get(&before.id).is_some())
        {
            true => Ok(changes),
            false => Err(Uneditable),
        }
    }

    fn of_key(&mut self, before: &KeyRecord, after: &KeyRecord) -> Result<(), Uneditable> {
        let id = &after.id;
        if before.created != after.created {
            return Err(Uneditable);
        }
        let changeable = |record| FileKey::from(record).changeable().ok_or(Uneditable);
        for ((name, before), (_, after)) in changeable(before)?.into_iter().zip(changeable(after)?)
        {
            match after {
                _ if before == after => {}
                Some(value) => self.set.push((id.clone(), name, value)),
                None => self.removed.push((id.clone(), name)),
            }
        }
        Ok(())
    }
}

/// Returns the list under `keys`.
fn list(root: &Node) -> Result<(&Node, &[Node]), Uneditable> {
    let keys = &root.pair("keys").ok_or(Uneditable)?.value;
    match &keys.kind {
        Kind::List(entries) => Ok((keys, entries)),
        _ => Err(Uneditable),
    }
}

/// Returns the id of an entry.
fn id(entry: &Node) -> Option<&str> {
    match &entry.pair("key_id")?.value.kind {
        Kind::Value(id) => id.as_deref(),
        _ => None,
    }
}

/// Replaces values, and inserts new fields before the hash or certificate, which remains the last
/// field, so that truncation drops it first.
fn set(
    format: KeyFileFormat,
    text: &str,
    changes: &[(KeyId, &'static str, Value)],
) -> Result<String, Uneditable> {
    if changes.is_empty() {
        return Ok(text.to_owned());
    }
    let root = Node::parse(format, text).ok_or(Uneditable)?;
    let (_, entries) = list(&root)?;
    let by_id: HashMap<_, _> = entries
        .iter()
        .filter_map(|entry| Some((id(entry)?, entry)))
        .collect();
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    for (id, name, value) in changes {
        let entry = *by_id.get(id.as_str()).ok_or(Uneditable)?;
        let quoted = inline(format, value).ok_or(Uneditable)?;
        edits.push(match entry.pair(name) {
            // A table has lines elsewhere.
            Some(pair) if format == KeyFileFormat::Toml && is_block(pair) => {
                return Err(Uneditable);
            }
            Some(pair) if is_on_line(text, pair) => (pair.value.span.clone(), quoted),
            Some(pair) => {
                let colon = text[pair.key.end..].find(':').ok_or(Uneditable)?;
                let at = pair.key.end + colon + 1;
                let end = at.max(match pair.value.span.is_empty() {
                    true => at,
                    false => pair.value.end(),
                });
                // A block scalar of YAML ends at the start of a line.
                let line_end = match text[at..end].ends_with('\n') {
                    true => line_end(text),
                    false => "",
                };
                (at..end, format!(" {quoted}{line_end}"))
            }
            None => {
                let last = entry.pair("hash").or_else(|| entry.pair("certificate"));
                let last = last.ok_or(Uneditable)?;
                let at = last.key.start;
                (at..at, field(format, text, entry, last, name, &quoted))
            }
        });
    }
    // A stable sort keeps the order of edits at the same position.
    edits.sort_by_key(|(range, _)| range.start);
    let (mut edited, mut from) = (String::with_capacity(text.len()), 0);
    for (range, new) in edits {
        // Two keys may share a value, by a YAML alias.
        edited += text.get(from..range.start).ok_or(Uneditable)?;
        edited += &new;
        from = range.end;
    }
    Ok(edited + &text[from..])
}

/// Whether a value begins on the line of its name.
fn is_on_line(text: &str, pair: &Pair) -> bool {
    let Range { start, end } = pair.value.span;
    start < end && !text[pair.key.end..start].contains('\n')
}

/// Whether a value is a list or a map on lines of its own.
fn is_block(pair: &Pair) -> bool {
    !pair.value.inline && matches!(pair.value.kind, Kind::Map(_) | Kind::List(_))
}

/// Formats a value for one line. JSON is a part of YAML.
fn inline(format: KeyFileFormat, value: &Value) -> Option<String> {
    match format {
        KeyFileFormat::Yaml | KeyFileFormat::Json => serde_json::to_string(value).ok(),
        KeyFileFormat::Toml => Some(toml::Value::try_from(value).ok()?.to_string()),
    }
}

/// Formats a field to insert before another one, with the separator.
fn field(
    format: KeyFileFormat,
    text: &str,
    entry: &Node,
    next: &Pair,
    name: &str,
    value: &str,
) -> String {
    let field = match format {
        KeyFileFormat::Yaml => format!("{name}: {value}"),
        KeyFileFormat::Toml => format!("{name} = {value}"),
        KeyFileFormat::Json => format!("\"{name}\": {value}"),
    };
    let before = line_start(text, next.key.start)..next.key.start;
    let before = &text[before];
    let comma = if entry.inline { "," } else { "" };
    // In YAML, the `- ` before the first field corresponds to indentation of the others.
    let is_alone = before.trim_start_matches([' ', '\t', '-']).is_empty();
    match is_alone {
        true => format!(
            "{field}{comma}{}{}",
            line_end(text),
            before.replace('-', " ")
        ),
        false => format!("{field}{comma} "),
    }
}

/// Removes a field with its line or comma.
fn remove(format: KeyFileFormat, text: &str, id: &KeyId, name: &str) -> Result<String, Uneditable> {
    let root = Node::parse(format, text).ok_or(Uneditable)?;
    let (_, entries) = list(&root)?;
    let entry = entries
        .iter()
        .find(|entry| self::id(entry) == Some(id.as_str()));
    let entry = entry.ok_or(Uneditable)?;
    let pair = entry.pair(name).ok_or(Uneditable)?;
    let Range { start, end } = pair.key.start..pair.value.end().max(pair.key.end);
    let range = match entry.inline {
        true => {
            let rest = text[end..].trim_start();
            match rest.strip_prefix(',') {
                Some(rest) => start..text.len() - rest.trim_start().len(),
                None => text[..start].trim_end().trim_end_matches(',').len()..end,
            }
        }
        false => {
            let first = line_start(text, start);
            let is_first = !text[first..start].trim().is_empty();
            match is_first {
                // `- name: value`: the next field moves up behind the `- `.
                true => start..next_key(entry, end).ok_or(Uneditable)?,
                false => first..next_line(text, end),
            }
        }
    };
    let mut edited = text.to_owned();
    edited.replace_range(range, "");
    Ok(edited)
}

fn next_key(entry: &Node, after: usize) -> Option<usize> {
    let Kind::Map(pairs) = &entry.kind else {
        return None;
    };
    let starts = pairs.iter().map(|pair| pair.key.start);
    starts.filter(|start| *start >= after).min()
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |line_feed| line_feed + 1)
}

/// Returns the start of the next line. A YAML block scalar already ends at the start of a line.
fn next_line(text: &str, at: usize) -> usize {
    if text[..at].ends_with('\n') {
        return at;
    }
    text[at..]
        .find('\n')
        .map_or(text.len(), |line_feed| at + line_feed + 1)
}

fn line_end(text: &str) -> &'static str {
    match text.contains("\r\n") {
        true => "\r\n",
        false => "\n",
    }
}

#[cfg(test)]
mod tests;
