//! Finding the one key that a request presents.

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};

/// A key of ours has under 120 characters; nobody's has more than this.
const LONGEST: usize = 512;

/// A header in which a key may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialSource {
    /// `Authorization: Bearer <key>` (RFC 6750, section 2.1).
    Bearer,
    /// A header that holds the key and nothing else, such as `X-API-Key`.
    Header(HeaderName),
}

impl CredentialSource {
    fn name(&self) -> &HeaderName {
        match self {
            Self::Bearer => &AUTHORIZATION,
            Self::Header(name) => name,
        }
    }

    /// The key in a value of this header; `None` for another scheme.
    fn read<'h>(&self, value: &'h HeaderValue) -> Option<Result<&'h str, Malformed>> {
        let value = value.as_bytes();
        let key = match self {
            Self::Header(_) => value,
            Self::Bearer => {
                let (scheme, rest) = value.split_at_checked(b"bearer".len())?;
                if !scheme.eq_ignore_ascii_case(b"bearer") {
                    return None;
                }
                match rest {
                    [b' ', key @ ..] => key,
                    // `Bearer` alone, or with a tab; `BearerX` is another scheme.
                    [] | [b'\t', ..] => return Some(Err(Malformed)),
                    _ => return None,
                }
            }
        };
        Some(parse(key))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Malformed;

/// A key is visible ASCII without commas, which would make two header values of one.
fn parse(key: &[u8]) -> Result<&str, Malformed> {
    let valid = (1..=LONGEST).contains(&key.len())
        && key
            .iter()
            .all(|byte| byte.is_ascii_graphic() && *byte != b',');
    if !valid {
        return Err(Malformed);
    }
    std::str::from_utf8(key).map_err(|_| Malformed)
}

/// What a request presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presented<'h> {
    Nothing,
    Key(&'h str),
    /// A signed token in the place of a key (RFC 7519), which is another guard's.
    Token,
    /// Something in the place of a key that can be none.
    Malformed,
    /// Two keys that differ.
    Conflict,
}

pub(crate) fn presented<'h>(headers: &'h HeaderMap, sources: &[CredentialSource]) -> Presented<'h> {
    let mut found = Presented::Nothing;
    for source in sources {
        for value in headers.get_all(source.name()) {
            found = match (found, source.read(value)) {
                (found, None) => found,
                (Presented::Conflict, _) => Presented::Conflict,
                (Presented::Token, Some(_)) => Presented::Conflict,
                (Presented::Nothing, Some(Ok(token))) if is_token(token) => Presented::Token,
                (Presented::Nothing, Some(Ok(key))) => Presented::Key(key),
                (Presented::Key(first), Some(Ok(second))) if first == second => found,
                (Presented::Key(_), Some(Ok(_))) => Presented::Conflict,
                (_, Some(_)) => Presented::Malformed,
            };
        }
    }
    found
}

/// Whether this is a JWS in compact form: a JSON header in base64url, and two dots.
fn is_token(key: &str) -> bool {
    key.starts_with("eyJ") && key.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Takes every header that may hold a key away, also those that were not looked at.
pub(crate) fn strip(headers: &mut HeaderMap, sources: &[CredentialSource]) {
    for source in sources {
        headers.remove(source.name());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen<'h>(headers: &'h mut HeaderMap, lines: &[(&'static str, &str)]) -> Presented<'h> {
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let sources = [
            CredentialSource::Bearer,
            CredentialSource::Header(HeaderName::from_static("x-api-key")),
        ];
        presented(headers, &sources)
    }

    // A14, A15, A17
    #[test]
    fn reads_bearer_and_its_own_header() {
        let long = format!("Bearer {}", "k".repeat(513));
        for (lines, expected) in [
            (&[("authorization", "Bearer k")][..], Presented::Key("k")),
            (&[("authorization", "bearer k")], Presented::Key("k")),
            (&[("authorization", "BEARER k")], Presented::Key("k")),
            (&[("x-api-key", "k")], Presented::Key("k")),
            (&[], Presented::Nothing),
            (&[("authorization", "Basic dTpw")], Presented::Nothing),
            (&[("authorization", "Bearerk")], Presented::Nothing),
            (&[("authorization", "")], Presented::Nothing),
            (&[("authorization", "Bearer  k")], Presented::Malformed),
            (&[("authorization", "Bearer\tk")], Presented::Malformed),
            (&[("authorization", "Bearer ")], Presented::Malformed),
            (&[("authorization", "Bearer")], Presented::Malformed),
            (&[("authorization", "Bearer a,b")], Presented::Malformed),
            (&[("authorization", "Bearer a b")], Presented::Malformed),
            (&[("authorization", "Bearer ü")], Presented::Malformed),
            (&[("authorization", &long)], Presented::Malformed),
            (&[("x-api-key", "")], Presented::Malformed),
            (&[("x-api-key", "' OR '1'='1")], Presented::Malformed),
        ] {
            assert_eq!(seen(&mut HeaderMap::new(), lines), expected, "{lines:?}");
        }
    }

    // A13
    #[test]
    fn two_keys_must_be_the_same() {
        for (lines, expected) in [
            (
                &[("authorization", "Bearer a"), ("x-api-key", "a")][..],
                Presented::Key("a"),
            ),
            (
                &[("authorization", "Bearer a"), ("x-api-key", "b")],
                Presented::Conflict,
            ),
            (
                &[("authorization", "Bearer a"), ("authorization", "Bearer b")],
                Presented::Conflict,
            ),
            (
                &[("x-api-key", "a"), ("x-api-key", "b")],
                Presented::Conflict,
            ),
            (
                &[("authorization", "Basic x"), ("x-api-key", "b")],
                Presented::Key("b"),
            ),
            (
                &[("authorization", "Bearer a"), ("x-api-key", "")],
                Presented::Malformed,
            ),
        ] {
            assert_eq!(seen(&mut HeaderMap::new(), lines), expected, "{lines:?}");
        }
    }
}
