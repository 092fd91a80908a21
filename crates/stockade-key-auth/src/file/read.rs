//! Reading of key files.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use super::{
    KeyFileError, KeyFileFormat, complete,
    format::{Parsed, line_of},
};
use crate::{KeyRecord, KeySet, store::KNOWN_SECRET};

/// The maximum file size; use a database for millions of keys.
const MAX_SIZE: u64 = 64 << 20;

/// The text and parsed contents of a file.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) text: String,
    pub(super) parsed: Parsed,
}

/// Reads and parses the file.
pub(super) fn read(path: &Path) -> Result<Contents, KeyFileError> {
    let text = read_text(path).map_err(|source| KeyFileError::unreadable(path, source))?;
    let text = String::from_utf8(text)
        .map_err(|_| KeyFileError::invalid(path, None, "the file is not UTF-8"))?;
    let parsed = KeyFileFormat::of(path)
        .parse(&text)
        .map_err(|problem| KeyFileError::invalid(path, problem.line, problem.message))?;
    if let Some(KeyRecord { id, .. }) = parsed
        .records
        .iter()
        .find(|record| record.has_known_secret())
    {
        let message = format!("the key {id}: {KNOWN_SECRET}");
        return Err(KeyFileError::invalid(path, line_of(&text, id), message));
    }
    Ok(Contents { text, parsed })
}

/// Rejects special files before opening them: opening a FIFO blocks until a writer appears.
fn read_text(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        let message = "not a regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut text = Vec::new();
    fs::File::open(path)?
        .take(MAX_SIZE + 1)
        .read_to_end(&mut text)?;
    if text.len() as u64 > MAX_SIZE {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "the file is larger than 64 MiB",
        ));
    }
    Ok(text)
}

/// Rejects a file without an end marker whose last key has lost a restriction, because the
/// missing lines may not have been written yet.
pub(super) fn keep_restrictions(
    path: &Path,
    in_force: &KeySet,
    read: Contents,
) -> Result<Contents, KeyFileError> {
    let Parsed { set, open_end, .. } = &read.parsed;
    let lost = open_end
        .as_ref()
        .and_then(|(id, line)| complete::lost(in_force, set, id).map(|field| (id, *line, field)));
    match lost {
        None => Ok(read),
        Some((id, line, field)) => Err(KeyFileError::invalid(
            path,
            Some(line),
            format_args!(
                "the last key, {id}, no longer has `{field}`, so the file may be truncated; to \
                 remove it on purpose, add `format: 2` as the first line and `end: true` as the \
                 last one (in TOML `format = 2` and `[end]`)"
            ),
        )),
    }
}
