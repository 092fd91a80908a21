//! Finding the one key that a request presents.

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use stockade_core::identity::is_token_shaped;

/// The longest key, in bytes. Generated keys have under 120 characters. The limit applies
/// to keys only: what is shaped like a token is recognised before any length is looked at.
const MAX_LENGTH: usize = 512;

/// A header in which a key may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialSource {
    /// `Authorization: Bearer <key>` (RFC 6750, section 2.1).
    Bearer,
    /// A header that holds the key and nothing else, such as `X-API-Key`.
    Header(HeaderName),
}

impl CredentialSource {
    pub(crate) fn name(&self) -> &HeaderName {
        match self {
            Self::Bearer => &AUTHORIZATION,
            Self::Header(name) => name,
        }
    }

    /// The credential in a value of this header; `None` for another scheme.
    fn read<'h>(&self, value: &'h HeaderValue) -> Option<Credential<'h>> {
        let value = value.as_bytes();
        let credential = match self {
            Self::Header(_) => value,
            Self::Bearer => {
                // As nearly all clients write it.
                if let Some(credential) = value.strip_prefix(b"Bearer ") {
                    return Some(classify(credential));
                }
                let (scheme, rest) = value.split_at_checked(b"bearer".len())?;
                if !scheme.eq_ignore_ascii_case(b"bearer") {
                    return None;
                }
                match rest {
                    [b' ', credential @ ..] => credential,
                    // `Bearer` alone, or with a tab; `BearerX` is another scheme.
                    [] | [b'\t', ..] => return Some(Credential::Malformed),
                    _ => return None,
                }
            }
        };
        Some(classify(credential))
    }
}

/// Tells tokens from keys by their shape, and only then judges the length of a key.
fn classify(credential: &[u8]) -> Credential<'_> {
    if is_token_shaped(credential) {
        return Credential::Token(credential);
    }
    match credential.len() {
        1..=MAX_LENGTH => Credential::Key(credential),
        _ => Credential::Malformed,
    }
}

/// Whether a key is visible ASCII without commas, which would make two header values of
/// one. Only what is not found needs to be looked at like this; all bytes are, of which
/// many fit into one step.
pub(crate) fn is_text(key: &[u8]) -> bool {
    key.iter().fold(true, |all, byte| {
        all & byte.is_ascii_graphic() & (*byte != b',')
    })
}

/// What a request presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential<'h> {
    Missing,
    Key(&'h [u8]),
    /// A token in the place of a key (RFC 7519), of any length, for another guard.
    Token(&'h [u8]),
    /// Something in the place of a key that can be none.
    Malformed,
    /// Two keys that differ.
    Conflict,
}

/// Which sources a request has at all, by their place among the sources; so that taking
/// them away need not look for those that are not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SourceMask(u64);

impl SourceMask {
    fn add(&mut self, source: usize) {
        self.0 |= Self::bit(source);
    }

    fn has(self, source: usize) -> bool {
        self.0 & Self::bit(source) != 0
    }

    /// All sources after the 63rd share the last bit.
    fn bit(source: usize) -> u64 {
        1 << source.min(63)
    }
}

pub(crate) fn extract<'h>(
    headers: &'h HeaderMap,
    sources: &[CredentialSource],
) -> (Credential<'h>, SourceMask) {
    let (mut found, mut seen) = (Credential::Missing, SourceMask::default());
    // Most requests have no header twice, and then there is nothing to walk through.
    let repeated = headers.len() > headers.keys_len();
    for (at, source) in sources.iter().enumerate() {
        let Some(first) = headers.get(source.name()) else {
            continue;
        };
        seen.add(at);
        found = match (found, source.read(first)) {
            // The guard for tokens looks at one header only, and removes only that one.
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
    /// What a request presents that presents this, and has one more header value.
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

/// Takes every header that may hold a key away.
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
    fn a_token_is_told_by_its_shape_whatever_its_length_is() {
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
    fn reads_bearer_and_its_own_header() {
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
    fn a_key_is_visible_ascii_without_commas() {
        assert!(is_text(b"sk-a_B.9~"));
        for key in [" k", "a,b", "a b", "ü", "a\u{7f}", "' OR '1'='1"] {
            assert!(!is_text(key.as_bytes()), "{key:?}");
        }
    }

    // A13
    #[test]
    fn two_keys_must_be_the_same() {
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
