//! Extraction of the API key from request headers.

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use stockade_core::identity::is_token_shaped;

/// The maximum key length in bytes. Generated keys have fewer than 120 characters. The limit
/// does not apply to tokens, which are recognised by their shape first.
const MAX_LENGTH: usize = 512;

/// A request header that carries API keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialSource {
    /// `Authorization: Bearer <key>` (RFC 6750, section 2.1).
    Bearer,
    /// A header whose whole value is the key, such as `X-API-Key`.
    Header(HeaderName),
}

impl CredentialSource {
    pub(crate) fn name(&self) -> &HeaderName {
        match self {
            Self::Bearer => &AUTHORIZATION,
            Self::Header(name) => name,
        }
    }

    /// Parses a value of this header; `None` for another authentication scheme.
    fn read<'h>(&self, value: &'h HeaderValue) -> Option<Credential<'h>> {
        let value = value.as_bytes();
        let credential = match self {
            Self::Header(_) => value,
            Self::Bearer => {
                // The usual spelling.
                if let Some(credential) = value.strip_prefix(b"Bearer ") {
                    return Some(classify(credential));
                }
                let (scheme, rest) = value.split_at_checked(b"bearer".len())?;
                if !scheme.eq_ignore_ascii_case(b"bearer") {
                    return None;
                }
                match rest {
                    [b' ', credential @ ..] => credential,
                    // `Bearer` alone or followed by a tab; `BearerX` is another scheme.
                    [] | [b'\t', ..] => return Some(Credential::Malformed),
                    _ => return None,
                }
            }
        };
        Some(classify(credential))
    }
}

/// Distinguishes tokens from keys by shape, then checks the length of a key.
fn classify(credential: &[u8]) -> Credential<'_> {
    if is_token_shaped(credential) {
        return Credential::Token(credential);
    }
    match credential.len() {
        1..=MAX_LENGTH => Credential::Key(credential),
        _ => Credential::Malformed,
    }
}

/// Returns whether a key is visible ASCII without commas; a comma would allow two header values
/// in one. Only unknown keys are checked. Looks at every byte, so that the loop vectorizes.
pub(crate) fn is_text(key: &[u8]) -> bool {
    key.iter().fold(true, |all, byte| {
        all & byte.is_ascii_graphic() & (*byte != b',')
    })
}

/// The credential of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential<'h> {
    Missing,
    Key(&'h [u8]),
    /// A JWT (RFC 7519) of any length, for another guard.
    Token(&'h [u8]),
    /// A value that cannot be a key.
    Malformed,
    /// Two different credentials.
    Conflict,
}

/// The sources whose header is present, as a bit mask by index, so that
/// [`strip`] removes only those.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SourceMask(u64);

impl SourceMask {
    fn add(&mut self, source: usize) {
        self.0 |= Self::bit(source);
    }

    /// Returns whether no source has a header, not even one of another authentication scheme.
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn has(self, source: usize) -> bool {
        self.0 & Self::bit(source) != 0
    }

    /// All sources from the 64th on share the last bit.
    fn bit(source: usize) -> u64 {
        1 << source.min(63)
    }
}

pub(crate) fn extract<'h>(
    headers: &'h HeaderMap,
    sources: &[CredentialSource],
) -> (Credential<'h>, SourceMask) {
    let (mut found, mut seen) = (Credential::Missing, SourceMask::default());
    // Most requests repeat no header, so there are no further values to look for.
    let repeated = headers.len() > headers.keys_len();
    for (at, source) in sources.iter().enumerate() {
        let Some(first) = headers.get(source.name()) else {
            continue;
        };
        seen.add(at);
        found = match (found, source.read(first)) {
            // A guard for tokens reads and removes one header only.
            (Credential::Token(_), Some(_)) => Credential::Conflict,
            (found, read) => found.and(read),
        };
        if repeated {
            for value in headers.get_all(source.name()).iter().skip(1) {
                found = found.and(source.read(value));
            }
        }
    }
    (found, seen)
}

impl<'h> Credential<'h> {
    /// Combines this credential with that of one more header value.
    fn and(self, read: Option<Self>) -> Self {
        match (self, read) {
            (found, None) => found,
            (Self::Missing, Some(read)) => read,
            (Self::Key(first), Some(Self::Key(second)))
            | (Self::Token(first), Some(Self::Token(second)))
                if first == second =>
            {
                self
            }
            (Self::Conflict | Self::Token(_), Some(_))
            | (Self::Key(_), Some(Self::Key(_) | Self::Token(_))) => Self::Conflict,
            (Self::Key(_) | Self::Malformed, Some(_)) => Self::Malformed,
        }
    }
}

/// Removes the headers that carry keys.
pub(crate) fn strip(headers: &mut HeaderMap, sources: &[CredentialSource], seen: SourceMask) {
    for (at, source) in sources.iter().enumerate() {
        if seen.has(at) {
            headers.remove(source.name());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen<'h>(headers: &'h mut HeaderMap, lines: &[(&'static str, &str)]) -> Credential<'h> {
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let sources = [
            CredentialSource::Bearer,
            CredentialSource::Header(HeaderName::from_static("x-api-key")),
        ];
        extract(headers, &sources).0
    }

    // FA02
    #[test]
    fn recognises_tokens_of_any_length() {
        for length in [10, 511, 512, 513, 4_096, 8_192, 100_000] {
            let token = format!("eyJ{}.{}.s", "h".repeat(length / 2), "p".repeat(length / 2));
            let bearer = format!("Bearer {token}");
            for lines in [
                &[("authorization", &*bearer)][..],
                &[("authorization", &bearer), ("authorization", &bearer)],
                &[("x-api-key", &token)],
            ] {
                assert_eq!(
                    seen(&mut HeaderMap::new(), lines),
                    Credential::Token(token.as_bytes()),
                    "{length}"
                );
            }
            for lines in [
                [("authorization", &*bearer), ("x-api-key", &*token)],
                [("authorization", &bearer), ("x-api-key", "sk_a")],
                [("authorization", &bearer), ("x-api-key", "")],
                [("authorization", "Bearer sk_a"), ("x-api-key", &token)],
                [
                    ("authorization", &bearer),
                    ("authorization", "Bearer eyJ.x.y"),
                ],
            ] {
                assert_eq!(
                    seen(&mut HeaderMap::new(), &lines),
                    Credential::Conflict,
                    "{length}"
                );
            }
        }
    }

    // A14, A15, A17
    #[test]
    fn reads_bearer_and_custom_header() {
        let long = format!("Bearer {}", "k".repeat(513));
        for (lines, expected) in [
            (&[("authorization", "Bearer k")][..], Credential::Key(b"k")),
            (&[("authorization", "bearer k")], Credential::Key(b"k")),
            (&[("authorization", "BEARER k")], Credential::Key(b"k")),
            (&[("x-api-key", "k")], Credential::Key(b"k")),
            (&[], Credential::Missing),
            (&[("authorization", "Basic dTpw")], Credential::Missing),
            (&[("authorization", "Bearerk")], Credential::Missing),
            (&[("authorization", "")], Credential::Missing),
            (&[("authorization", "Bearer  k")], Credential::Key(b" k")),
            (&[("authorization", "Bearer a,b")], Credential::Key(b"a,b")),
            (&[("authorization", "Bearer\tk")], Credential::Malformed),
            (&[("authorization", "Bearer ")], Credential::Malformed),
            (&[("authorization", "Bearer")], Credential::Malformed),
            (&[("authorization", &long)], Credential::Malformed),
            (&[("x-api-key", "")], Credential::Malformed),
        ] {
            assert_eq!(seen(&mut HeaderMap::new(), lines), expected, "{lines:?}");
        }
    }

    // A14, A15, A17
    #[test]
    fn keys_are_visible_ascii_without_commas() {
        assert!(is_text(b"sk-a_B.9~"));
        for key in [" k", "a,b", "a b", "ü", "a\u{7f}", "' OR '1'='1"] {
            assert!(!is_text(key.as_bytes()), "{key:?}");
        }
    }

    // A13
    #[test]
    fn different_keys_conflict() {
        for (lines, expected) in [
            (
                &[("authorization", "Bearer a"), ("x-api-key", "a")][..],
                Credential::Key(b"a"),
            ),
            (
                &[("authorization", "Bearer a"), ("x-api-key", "b")],
                Credential::Conflict,
            ),
            (
                &[("authorization", "Bearer a"), ("authorization", "Bearer b")],
                Credential::Conflict,
            ),
            (
                &[("x-api-key", "a"), ("x-api-key", "b")],
                Credential::Conflict,
            ),
            (
                &[("authorization", "Basic x"), ("x-api-key", "b")],
                Credential::Key(b"b"),
            ),
            (
                &[("authorization", "Bearer a"), ("x-api-key", "")],
                Credential::Malformed,
            ),
        ] {
            assert_eq!(seen(&mut HeaderMap::new(), lines), expected, "{lines:?}");
        }
    }
}
