//! Why a key was not taken.

use std::{error::Error, fmt};

/// Why a key, or a set of keys, was not taken. Shows nothing of the key.
#[derive(Debug)]
pub struct KeyError {
    kind: KeyErrorKind,
    message: &'static str,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`KeyError`]; whoever wrote the configuration can mend all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyErrorKind {
    /// The text is no key of any known form.
    Malformed,
    /// The key is of another kind than its algorithm wants.
    Unsuitable,
    /// The key is too short to be safe, or was made by a library that is known to be faulty.
    Weak,
    /// Two keys of a set have the same `kid`, so that no token can say which one it means.
    DuplicateKeyId,
    /// There are too many keys, or none that can be used.
    KeyCount,
}

impl KeyError {
    pub(crate) fn new(kind: KeyErrorKind, message: &'static str) -> Self {
        Self {
            kind,
            message,
            source: None,
        }
    }

    pub(crate) fn with_source(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            source: Some(source.into()),
            ..self
        }
    }

    /// Its kind.
    pub fn kind(&self) -> KeyErrorKind {
        self.kind
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)
    }
}

impl Error for KeyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
