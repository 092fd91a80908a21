//! Key ids.

use std::{error::Error, fmt, str::FromStr};

/// The public id of a key in logs, limits and commands, such as `team-core`.
///
/// An ASCII letter or digit, followed by up to 63 letters, digits, `.`, `_` or `-`: no
/// lookalike characters, and none that logs or shells interpret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Box<str>);

impl KeyId {
    /// Returns the id as a string.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_valid(text: &[u8]) -> bool {
        text.len() <= 64
            && text.first().is_some_and(u8::is_ascii_alphanumeric)
            && text
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    }
}

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if Self::is_valid(text.as_bytes()) {
            Ok(Self(text.into()))
        } else {
            Err(KeyIdError(text.chars().take(64).collect()))
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// The error of an invalid [`KeyId`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyIdError(String);

impl fmt::Display for KeyIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a valid key id; use a letter or digit followed by up to 63 letters, \
             digits, `.`, `_` or `-`",
            self.0
        )
    }
}

impl Error for KeyIdError {}

#[cfg(test)]
mod tests {
    use super::*;

    // A24
    #[test]
    fn rejects_lookalike_characters() {
        let long = "a".repeat(65);
        for text in [
            "",
            " ",
            "a b",
            "-a",
            "_a",
            ".a",
            "а",
            "ａ",
            "a\u{200b}",
            "a\n",
            "a/b",
            "a:b",
            &long,
        ] {
            assert!(text.parse::<KeyId>().is_err(), "{text:?}");
        }
        for text in ["a", "team-core", "A.b_C-9", &"a".repeat(64)] {
            assert_eq!(text.parse::<KeyId>().unwrap().as_str(), text);
        }
    }
}
