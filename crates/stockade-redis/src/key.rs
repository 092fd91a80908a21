//! The format of keys.

use std::{
    fmt::{self, Write},
    str::FromStr,
    sync::Arc,
};

use sha2::{Digest, Sha256};
use stockade_rate_limit::RateKey;

use crate::RedisConfigError;

/// The common part of all keys of one service: lower-case letters, digits, `.`, `-`, `_`.
///
/// A cluster keeps all keys of a namespace in one slot, since one script decides about all
/// buckets of a request, and about many requests in one call. A namespace therefore has the
/// throughput of one server; services that share no limits should use different namespaces.
///
/// ```
/// use stockade_redis::Namespace;
///
/// let namespace: Namespace = "chat".parse()?;
/// assert_eq!(namespace.as_str(), "chat");
/// assert!("not a name".parse::<Namespace>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace(Arc<str>);

const LONGEST: usize = 64;
/// The longest text of a rate key that is not hashed.
const LONGEST_TEXT: usize = 128;

impl Namespace {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Formats `stockade:{chat}:bans`; a cluster hashes only the part in braces.
    pub(crate) fn key(&self, kind: &str) -> String {
        format!("stockade:{{{}}}:{kind}", self.0)
    }

    /// Formats `stockade:{chat}:limit:ip/60000ms:ip:192.0.2.1/32`.
    pub(crate) fn rate_key(&self, kind: &str, name: &str, rate_key: &RateKey<'_>) -> String {
        let text = rate_key.text();
        let mut key = String::with_capacity(64 + name.len() + text.len().min(LONGEST_TEXT));
        for part in ["stockade:{", &self.0, "}:", kind, ":", name, ":"] {
            key.push_str(part);
        }
        match is_ours(&text) {
            true => key.push_str(&text),
            false => hashed(&text, &mut key),
        }
        key
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self("default".into())
    }
}

impl FromStr for Namespace {
    type Err = RedisConfigError;

    fn from_str(text: &str) -> Result<Self, RedisConfigError> {
        let plain = |c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
        match (1..=LONGEST).contains(&text.len()) && text.bytes().all(plain) {
            true => Ok(Self(text.into())),
            false => Err(RedisConfigError::NAMESPACE),
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether the text is short and chosen by the server: addresses, principals and routes. Text
/// chosen by clients, such as a header, may be long or secret.
fn is_ours(text: &str) -> bool {
    let ours = |part: &str| {
        let kind = part.split(':').next().unwrap_or(part);
        matches!(kind, "ip" | "unix" | "all" | "principal" | "route")
    };
    text.len() <= LONGEST_TEXT && text.split('|').all(ours)
}

/// Appends `#` and 128 bits of a SHA-256.
fn hashed(text: &str, out: &mut String) {
    let digest = Sha256::digest(text.as_bytes());
    let half = digest.first_chunk().expect("a SHA-256 has 32 bytes");
    write!(out, "#{:032x}", u128::from_be_bytes(*half)).expect("writing to a string never fails");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_names_that_would_change_the_slot() {
        for text in ["", "a}b", "{", "A", "a b", &"a".repeat(65)] {
            assert!(text.parse::<Namespace>().is_err(), "{text:?}");
        }
        let namespace: Namespace = "chat-1.eu_west".parse().unwrap();
        assert_eq!(namespace.key("bans"), "stockade:{chat-1.eu_west}:bans");
    }

    #[test]
    fn hashes_text_chosen_by_clients() {
        for text in ["ip:192.0.2.1/32", "route:/v1|principal:k1", "all", "unix"] {
            assert!(is_ours(text), "{text}");
        }
        let long = format!("principal:{}", "k".repeat(128));
        for text in [
            "header:secret",
            "ip:192.0.2.1/32|custom:x",
            "model:m",
            "header",
            &long,
        ] {
            assert!(!is_ours(text), "{text}");
            let mut key = String::new();
            hashed(text, &mut key);
            assert_eq!(key.len(), 33);
        }
    }
}
