//! Reading a key file.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use super::{KeyFileError, KeyFileFormat, complete, format::Parsed};
use crate::{KeyId, KeyRecord, KeySet, store::KNOWN_SECRET};

/// No key file is larger; millions of keys belong into a database.
const LARGEST: u64 = 64 << 20;

/// A file as it was read.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) text: String,
    pub(super) parsed: Parsed,
}

/// Reads and parses the file.
pub(super) fn read(path: &Path) -> Result<Contents, KeyFileError> {
    let text = read_text(path).map_err(|source| KeyFileError::unreadable(path, source))?;
    let text = String::from_utf8(text)
        .map_err(|_| KeyFileError::invalid(path, None, "it is not UTF-8"))?;
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

/// The line that gives a key its id.
fn line_of(text: &str, id: &KeyId) -> Option<u64> {
    let names = |line: &str| {
        let mut words = line.split(|c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c));
        line.contains("key_id") && words.any(|word| word == id.as_str())
    };
    text.lines().position(names).map(|at| at as u64 + 1)
}

/// Refuses what is no plain file before it is opened: opening a FIFO waits for a writer.
fn read_text(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        let message = "it is no plain file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut text = Vec::new();
    fs::File::open(path)?
        .take(LARGEST + 1)
        .read_to_end(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is over 64 MiB",
        ));
    }
    Ok(text)
}

/// Refuses a file without a mark at its end whose last key has lost a restriction: the
/// lines that are missing may still be on their way.
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
                "its last key, {id}, has no `{field}` any more, so the file may be cut; to \
                 remove that on purpose, write `format: 2` at its beginning and `end: true` at \
                 its end (in TOML `format = 2` and `[end]`)"
            ),
        )),
    }
}
