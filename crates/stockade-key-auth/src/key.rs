//! The text of a key: `<prefix>_<keyid>_<secret><checksum>`.

use std::{error::Error, fmt};

use zeroize::Zeroizing;

use crate::{KeyDigest, KeyId, base62};

/// A generated key: the one moment at which its text exists on the server.
///
/// `sk_team-core_4QmVZ…`: a prefix that says whose key it is, the id of its record, 30
/// random base62 characters (178 bits from the operating system), and a checksum of 6.
/// Secret scanners can match it as
/// `[a-z][a-z0-9]{0,15}_[A-Za-z0-9][A-Za-z0-9._-]{0,63}_[A-Za-z0-9]{36}` and confirm it by
/// the checksum: the CRC-32 (IEEE) of all that stands before it, in base62, most
/// significant digit first, padded with `0`.
///
/// The text is wiped from memory on drop and never shown by `Debug`.
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

/// Random characters of a key; 62^30 is over 2^178.
pub(crate) const SECRET: usize = 30;
/// Digits of its checksum; 62^6 is over 2^32.
const CHECKSUM: usize = 6;
const MAX_PREFIX_LENGTH: usize = 16;

impl GeneratedKey {
    /// Makes a key from the operating system's randomness.
    ///
    /// # Errors
    /// When the prefix is not one (`[a-z][a-z0-9]{0,15}`), or the operating system has no
    /// randomness to give.
    pub fn new(prefix: &str, id: KeyId) -> Result<Self, GenerateKeyError> {
        if !is_prefix(prefix.as_bytes()) {
            return Err(GenerateKeyError::Prefix(prefix.to_owned()));
        }
        // Reserved at full length: growing would leave copies behind.
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

    /// The key's text, to be shown to its owner once and stored nowhere.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The id of the key's record.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// What a store keeps of the key.
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of(self.text.as_bytes())
    }
}

impl fmt::Debug for GeneratedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GeneratedKey({}_{}_…)", self.prefix, self.id)
    }
}

/// Why no key was made.
#[derive(Debug)]
#[non_exhaustive]
pub enum GenerateKeyError {
    /// The text is no prefix.
    Prefix(String),
    /// The operating system has no randomness to give.
    Random(getrandom::Error),
}

impl fmt::Display for GenerateKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(prefix) => write!(
                f,
                "{prefix:?} is no key prefix; use a lowercase letter and up to 15 more \
                 lowercase letters or digits, such as `sk`"
            ),
            Self::Random(_) => f.write_str("the operating system has no randomness to give"),
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

/// What a presented text looks like, before anything is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFormat<'k> {
    /// A key of our format with a right checksum, which claims this id.
    Native { id: &'k str },
    /// A key of our format that was mistyped, cut or invented.
    BadChecksum,
    /// A key that somebody else issued.
    Foreign,
}

impl<'k> KeyFormat<'k> {
    pub(crate) fn of(text: &'k [u8]) -> Self {
        Self::parse(text).unwrap_or(KeyFormat::Foreign)
    }

    /// `None` when the text is not of our format at all.
    fn parse(text: &'k [u8]) -> Option<Self> {
        let (body, checksum) = text.split_last_chunk::<CHECKSUM>()?;
        let (name, secret) = body.split_last_chunk::<SECRET>()?;
        // A prefix has no `_` in it, an id may have some.
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
            // All that an id may hold is ASCII.
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

/// Looks at all bytes, of which many fit into one step.
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
    fn ten_thousand_keys_are_different_and_without_bias() {
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
        // Bits: 30 characters of 62 kinds each.
        assert!(SECRET as f64 * 62f64.log2() >= 128.0);
        // Chi-squared over 62 kinds: 61 degrees of freedom, mean 61, deviation 11; ten
        // deviations off is no accident, and a modulo bias of a byte gives over 1,000.
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
    fn reads_its_own_keys() {
        for id in ["team-core", "a", "with_underscores_", "x.y"] {
            assert_eq!(
                KeyFormat::of(key(id).expose().as_bytes()),
                KeyFormat::Native { id }
            );
        }
    }

    #[test]
    fn never_shows_the_secret() {
        let key = key("team-core");
        assert!(!format!("{key:?}").contains(&key.expose()["sk_team-core_".len()..]));
    }

    #[test]
    fn refuses_prefixes_that_are_none() {
        for prefix in ["", "SK", "s-k", "1k", "s_k", "abcdefghijklmnopq", "ß"] {
            assert!(
                GeneratedKey::new(prefix, "a".parse().unwrap()).is_err(),
                "{prefix}"
            );
        }
    }

    #[test]
    fn tells_foreign_keys_from_broken_ones() {
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
        fn one_wrong_character_breaks_the_checksum(at in 0usize..36, with in "[0-9A-Za-z]") {
            let key = key("team-core");
            let mut text = key.expose().to_owned();
            let at = text.len() - 36 + at;
            prop_assume!(text[at..=at] != with);
            text.replace_range(at..=at, &with);
            prop_assert_eq!(KeyFormat::of(text.as_bytes()), KeyFormat::BadChecksum);
        }

        #[test]
        fn any_text_has_a_shape(text: String) {
            KeyFormat::of(text.as_bytes());
        }
    }
}
