//! Keys in a YAML file.

mod format;

use std::{
    error::Error,
    fmt, fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

pub use format::to_yaml;

use crate::{KeySet, KeyStore, LiveKeys};

/// No key file is larger; a directory of millions belongs into a database.
const LARGEST: u64 = 64 << 20;

/// Reads keys from a YAML file.
///
/// ```yaml
/// keys:
///   - key_id: "team-core"
///     hash: "sha256:5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
///     owner: "admin@example.com"
///     scopes: ["chat:write", "models:read"]
///     created_at: "2025-01-01T00:00:00Z"
///     expires_at: "2026-01-01T00:00:00Z"
/// ```
///
/// `key_id` and `hash` are needed. A key without `scopes` may do nothing, and one without
/// `expires_at` never expires. What a hash can be is said at [`KeyHash`](crate::KeyHash).
/// A file is taken as a whole or not at all.
#[derive(Debug)]
pub struct FileKeyStore {
    path: PathBuf,
    live: LiveKeys,
}

impl FileKeyStore {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, or is not what it should be; the error says where and why.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, KeyFileError> {
        let path = path.into();
        let live = LiveKeys::new(read(&path)?);
        Ok(Self { path, live })
    }

    /// Reads the file again. Blocks: call it off the async threads.
    ///
    /// # Errors
    /// As [`open`](Self::open); the keys that were in force stay in force.
    pub fn reload(&self) -> Result<(), KeyFileError> {
        self.live.publish(read(&self.path)?);
        Ok(())
    }
}

impl KeyStore for FileKeyStore {
    fn keys(&self) -> LiveKeys {
        self.live.clone()
    }
}

fn read(path: &Path) -> Result<KeySet, KeyFileError> {
    let error = |kind, line, message: String| KeyFileError {
        path: path.to_owned(),
        kind,
        line,
        message,
        source: None,
    };
    let text = read_text(path).map_err(|source| KeyFileError {
        source: Some(source),
        ..error(KeyFileErrorKind::Unreadable, None, String::new())
    })?;
    let text = String::from_utf8(text).map_err(|_| {
        error(
            KeyFileErrorKind::Invalid,
            None,
            "it is not UTF-8".to_owned(),
        )
    })?;
    format::parse(&text)
        .map_err(|problem| error(KeyFileErrorKind::Invalid, problem.line, problem.message))
}

/// Refuses what is no plain file before it is opened: opening a FIFO waits for a writer.
fn read_text(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no plain file",
        ));
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

/// Why a key file was not taken. Shows neither hashes nor other values of the file.
#[derive(Debug)]
pub struct KeyFileError {
    path: PathBuf,
    kind: KeyFileErrorKind,
    line: Option<u64>,
    message: String,
    source: Option<io::Error>,
}

/// The kinds of [`KeyFileError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyFileErrorKind {
    /// The file is missing, too large, or may not be read; whoever runs the server can
    /// mend that.
    Unreadable,
    /// The file is not what it should be; whoever wrote it can mend that.
    Invalid,
}

impl KeyFileError {
    /// Its kind.
    pub fn kind(&self) -> KeyFileErrorKind {
        self.kind
    }

    /// The line where the fault begins, counted from 1.
    pub fn line(&self) -> Option<u64> {
        self.line
    }
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key file {}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        match &self.source {
            Some(source) => write!(f, " cannot be read: {source}"),
            None => write!(f, ": {}", self.message),
        }
    }
}

impl Error for KeyFileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests;
