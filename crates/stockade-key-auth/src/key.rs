//! The key format: `<prefix>_<keyid>_<secret><checksum>`.

use std::{error::Error, fmt};

use zeroize::Zeroizing;

use crate::{KeyDigest, KeyId, base62};

/// A newly generated key. Only here is its plain text available.
///
/// `sk_team-core_4QmVZ…`: a prefix that identifies the issuer, the id of the record, 30
/// random base62 characters (178 bits from the operating system), and a checksum of 6
/// characters. Secret scanners can match
/// `[a-z][a-z0-9]{0,15}_[A-Za-z0-9][A-Za-z0-9._-]{0,63}_[A-Za-z0-9]{36}` and verify the
/// checksum: the CRC-32 (IEEE) of everything before it, in base62, most significant digit
/// first, padded with `0`.
///
/// The text is zeroized on drop, and `Debug` does not show it.
///
/// ```
/// use stockade_key_auth::GeneratedKey;
///
/// let key = GeneratedKey::new("sk", "team-core".parse()?)?;
/// assert!(key.expose().starts_with("sk_team-core_"));
/// assert_eq!(format!("{key:?}"), "GeneratedKey(sk_team-core_…)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct GeneratedKey {
    text: Zeroizing<String>,
    prefix: Box<str>,
    id: KeyId,
}

/// The number of random characters; 62^30 exceeds 2^178.
pub(crate) const SECRET: usize = 30;
/// The number of checksum digits; 62^6 exceeds 2^32.
const CHECKSUM: usize = 6;
const MAX_PREFIX_LENGTH: usize = 16;

impl GeneratedKey {
    /// Generates a key from the operating system's randomness.
    ///
    /// # Errors
    /// Returns an error when the prefix does not match `[a-z][a-z0-9]{0,15}`, or the operating
    /// system provides no randomness.
    pub fn new(prefix: &str, id: KeyId) -> Result<Self, GenerateKeyError> {
        if !is_prefix(prefix.as_bytes()) {
            return Err(GenerateKeyError::Prefix(prefix.to_owned()));
        }
        // Allocated at full size: reallocation would leave copies in memory.
        let length = prefix.len() + 1 + id.as_str().len() + 1 + SECRET + CHECKSUM;
        let mut text = Zeroizing::new(String::with_capacity(length));
        text.push_str(prefix);
        text.push('_');
        text.push_str(id.as_str());
        text.push('_');
        base62::push_random(&mut text, SECRET).map_err(GenerateKeyError::Random)?;
        let checksum = crc32fast::hash(text.as_bytes());
        base62::push_number(&mut text, checksum, CHECKSUM);
        Ok(Self {
            text,
            prefix: prefix.into(),
            id,
        })
    }

    /// Returns the plain text, to be shown to the owner once and never stored.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Returns the id of the record.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// Returns the digest to store.
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of(self.text.as_bytes())
    }
}

impl fmt::Debug for GeneratedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GeneratedKey({}_{}_…)", self.prefix, self.id)
    }
}

/// The error of key generation.
#[derive(Debug)]
#[non_exhaustive]
pub enum GenerateKeyError {
    /// The prefix is invalid.
    Prefix(String),
    /// The operating system provides no randomness.
    Random(getrandom::Error),
}

impl fmt::Display for GenerateKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(prefix) => write!(
                f,
                "{prefix:?} is not a valid key prefix; use a lowercase letter and up to 15 more \
                 lowercase letters or digits, such as `sk`"
            ),
            Self::Random(_) => f.write_str("the operating system provides no randomness"),
        }
    }
}

impl Error for GenerateKeyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Prefix(_) => None,
            Self::Random(error) => Some(error),
        }
    }
}

/// The format of a presented key, as seen without a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFormat<'k> {
    /// A key in our format with a correct checksum and this claimed id.
    Native { id: &'k str },
    /// A key in our format with a wrong checksum: mistyped, truncated or invented.
    BadChecksum,
    /// A key of another issuer.
    Foreign,
}

impl<'k> KeyFormat<'k> {
    pub(crate) fn of(text: &'k [u8]) -> Self {
        Self::parse(text).unwrap_or(KeyFormat::Foreign)
    }

    /// Returns `None` when the text is not in our format.
    fn parse(text: &'k [u8]) -> Option<Self> {
        let (body, checksum) = text.split_last_chunk::<CHECKSUM>()?;
        let (name, secret) = body.split_last_chunk::<SECRET>()?;
        // A prefix contains no `_`; an id may.
        let (prefix, id) = name.strip_suffix(b"_")?.split_at_checked(
            name.iter()
                .take(MAX_PREFIX_LENGTH + 1)
                .position(|byte| *byte == b'_')?,
        )?;
        let id = id.strip_prefix(b"_")?;
        let ours = is_prefix(prefix)
            && KeyId::is_valid(id)
            && is_alphanumeric(secret)
            && is_alphanumeric(checksum);
        if !ours {
            return None;
        }
        if base62::parse_number(checksum) == Some(crc32fast::hash(body)) {
            // Valid ids are ASCII.
            let id = str::from_utf8(id).ok()?;
            Some(KeyFormat::Native { id })
        } else {
            Some(KeyFormat::BadChecksum)
        }
    }
}

fn is_prefix(text: &[u8]) -> bool {
    text.len() <= MAX_PREFIX_LENGTH
        && text.first().is_some_and(u8::is_ascii_lowercase)
        && text
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// Looks at every byte, so that the loop vectorizes.
fn is_alphanumeric(text: &[u8]) -> bool {
    text.iter()
        .fold(true, |all, byte| all & byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn key(id: &str) -> GeneratedKey {
        GeneratedKey::new("sk", id.parse().unwrap()).unwrap()
    }

    // A25
    #[test]
    fn generated_keys_are_unique_and_unbiased() {
        let mut seen = HashSet::new();
        let mut counts = [0u32; 128];
        for _ in 0..10_000 {
            let key = key("k");
            let secret = &key.expose()["sk_k_".len()..][..SECRET];
            secret
                .bytes()
                .for_each(|byte| counts[usize::from(byte)] += 1);
            assert!(seen.insert(secret.to_owned()));
        }
        // Bits of entropy in 30 base62 characters.
        assert!(SECRET as f64 * 62f64.log2() >= 128.0);
        // Chi-squared with 61 degrees of freedom has a mean of 61 and a standard deviation of
        // 11. A modulo bias yields more than 1,000.
        let expected = (10_000 * SECRET) as f64 / 62.0;
        let chi: f64 = counts
            .iter()
            .enumerate()
            .filter(|(byte, _)| (*byte as u8).is_ascii_alphanumeric())
            .map(|(_, count)| (f64::from(*count) - expected).powi(2) / expected)
            .sum();
        assert!(chi < 61.0 + 110.0, "chi-squared is {chi}");
    }

    #[test]
    fn parses_generated_keys() {
        for id in ["team-core", "a", "with_underscores_", "x.y"] {
            assert_eq!(
                KeyFormat::of(key(id).expose().as_bytes()),
                KeyFormat::Native { id }
            );
        }
    }

    #[test]
    fn debug_hides_the_secret() {
        let key = key("team-core");
        assert!(!format!("{key:?}").contains(&key.expose()["sk_team-core_".len()..]));
    }

    #[test]
    fn rejects_invalid_prefixes() {
        for prefix in ["", "SK", "s-k", "1k", "s_k", "abcdefghijklmnopq", "ß"] {
            assert!(
                GeneratedKey::new(prefix, "a".parse().unwrap()).is_err(),
                "{prefix}"
            );
        }
    }

    #[test]
    fn distinguishes_foreign_keys_from_bad_checksums() {
        for text in [
            "",
            "_",
            "__",
            "abcdef",
            "sk-proj-abc",
            "sk_a_short",
            "Sk_a_000000000000000000000000000000000000",
        ] {
            assert_eq!(KeyFormat::of(text.as_bytes()), KeyFormat::Foreign, "{text}");
        }
        let zeros = "0".repeat(35);
        for text in [
            format!("sk_{zeros}0"),
            format!("sk__{zeros}0"),
            format!("_a_{zeros}0"),
            format!("sk_a_{zeros}"),
            format!("sk_a_{zeros}00"),
            format!("sk_a_{zeros}_"),
            format!("sk_a_-{zeros}"),
            format!("sk_ä_{zeros}0"),
            format!("abcdefghijklmnopq_a_{zeros}0"),
            format!("sk_{}_{zeros}0", "a".repeat(65)),
        ] {
            assert_eq!(KeyFormat::of(text.as_bytes()), KeyFormat::Foreign, "{text}");
        }
        let invented = format!("sk_a_{zeros}0");
        assert_eq!(KeyFormat::of(invented.as_bytes()), KeyFormat::BadChecksum);
    }

    proptest! {
        #[test]
        fn detects_single_character_errors(at in 0usize..36, with in "[0-9A-Za-z]") {
            let key = key("team-core");
            let mut text = key.expose().to_owned();
            let at = text.len() - 36 + at;
            prop_assume!(text[at..=at] != with);
            text.replace_range(at..=at, &with);
            prop_assert_eq!(KeyFormat::of(text.as_bytes()), KeyFormat::BadChecksum);
        }

        #[test]
        fn parsing_never_panics(text: String) {
            KeyFormat::of(text.as_bytes());
        }
    }
}
