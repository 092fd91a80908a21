//! The digest of a prompt.

use std::fmt;

/// A keyed digest of a prompt, 128 bits long.
///
/// Under one key, equal prompts have equal digests and different prompts different ones.
/// Without the key, digests cannot be compared with guessed prompts.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PromptDigest([u8; 16]);

impl PromptDigest {
    /// The digest of these bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// 32 hex digits.
impl fmt::Display for PromptDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for PromptDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
