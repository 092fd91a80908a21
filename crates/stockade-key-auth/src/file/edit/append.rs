//! Appending keys to a key file.

use std::ops::Range;

use super::{
    super::{
        entry::FileKey,
        format::{KeyFileFormat, to_yaml, toml_fields, toml_inline},
        spans::Node,
    },
    Uneditable, line_end, line_start, list, next_line,
};
use crate::KeyRecord;

/// Appends keys after the last one.
pub(super) fn append(
    format: KeyFileFormat,
    text: &str,
    created: &[KeyRecord],
) -> Result<String, Uneditable> {
    let root = Node::parse(format, text).ok_or(Uneditable)?;
    let (keys, entries) = list(&root)?;
    let (range, new) = match entries.last() {
        Some(last) if keys.inline => inline(format, text, last, created)?,
        None if root.inline || format == KeyFileFormat::Json => return Err(Uneditable),
        last => {
            let (range, indent) = match last {
                Some(last) => {
                    let at = next_line(text, last.end());
                    (at..at, dash_indent(text, last))
                }
                // `keys: []` in a file with comments.
                None => (keys.span.clone(), ""),
            };
            let new = created
                .iter()
                .map(|record| block(format, record, indent))
                .collect::<Option<String>>()
                .ok_or(Uneditable)?;
            match (format, last) {
                (KeyFileFormat::Toml, None) => {
                    let first = line_start(text, range.start);
                    (first..next_line(text, range.end), new)
                }
                (_, None) => (range, format!("\n{}", new.trim_end())),
                (_, Some(_)) if !text[..range.start].ends_with('\n') => (range, format!("\n{new}")),
                _ => (range, new),
            }
        }
    };
    let new = match line_end(text) {
        "\n" => new,
        line_end => new.replace('\n', line_end),
    };
    let mut edited = text.to_owned();
    edited.replace_range(range, &new);
    Ok(edited)
}

/// Formats a key with one field per line.
fn block(format: KeyFileFormat, record: &KeyRecord, indent: &str) -> Option<String> {
    if format == KeyFileFormat::Toml {
        let fields = toml_fields(&FileKey::from(record))?;
        let lines = fields
            .iter()
            .map(|(name, value)| format!("{name} = {value}\n"));
        return Some(format!("\n[[keys]]\n{}", lines.collect::<String>()));
    }
    let yaml = to_yaml(record);
    Some(
        yaml.lines()
            .map(|line| format!("{indent}{line}\n"))
            .collect(),
    )
}

/// Appends inline keys to a bracketed list.
fn inline(
    format: KeyFileFormat,
    text: &str,
    last: &Node,
    created: &[KeyRecord],
) -> Result<(Range<usize>, String), Uneditable> {
    let before = &text[line_start(text, last.span.start)..last.span.start];
    let is_alone = before.trim().is_empty();
    let has_comma = text[last.end()..].trim_start().starts_with(',');
    let mut new = String::new();
    for record in created {
        let key = FileKey::from(record);
        let braces = match format {
            KeyFileFormat::Toml => toml_inline(&key),
            KeyFileFormat::Json if is_alone => serde_json::to_string_pretty(&key)
                .ok()
                .map(|json| json.replace('\n', &format!("\n{before}"))),
            _ => serde_json::to_string(&key).ok(),
        };
        let braces = braces.ok_or(Uneditable)?;
        new += &match (is_alone, has_comma) {
            (true, true) => format!("{before}{braces},\n"),
            (true, false) => format!(",\n{before}{braces}"),
            (false, _) => format!(", {braces}"),
        };
    }
    let at = match is_alone && has_comma {
        // After the comma and a comment that may follow it.
        true => next_line(text, last.end()),
        false => last.end(),
    };
    Ok((at..at, new))
}

/// Returns the indentation of the `-` of an entry.
fn dash_indent<'t>(text: &'t str, entry: &Node) -> &'t str {
    let before = &text[line_start(text, entry.span.start)..entry.span.start];
    before.split('-').next().unwrap_or_default()
}
