//! Extraction of the bearer token from request headers.

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

/// The credential in `Authorization` (RFC 6750, section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential<'h> {
    Missing,
    /// A token: any non-empty bytes.
    Token(&'h [u8]),
    /// A value that cannot be a token.
    Malformed,
    /// Two different tokens.
    Conflict,
}

pub(crate) fn extract(headers: &HeaderMap) -> Credential<'_> {
    let mut found = Credential::Missing;
    for value in headers.get_all(AUTHORIZATION) {
        found = match (found, read(value)) {
            (found, Credential::Missing) => found,
            (Credential::Missing, read) => read,
            (Credential::Token(first), Credential::Token(second)) if first == second => found,
            (Credential::Token(_), Credential::Token(_)) | (Credential::Conflict, _) => {
                Credential::Conflict
            }
            _ => Credential::Malformed,
        };
    }
    found
}

fn read(value: &HeaderValue) -> Credential<'_> {
    let value = value.as_bytes();
    let Some((scheme, rest)) = value.split_at_checked(b"bearer".len()) else {
        return Credential::Missing;
    };
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Credential::Missing;
    }
    match rest {
        // Decoding validates the characters; cached tokens skip it.
        [b' ', token @ ..] if !token.is_empty() => Credential::Token(token),
        // `Bearer` alone or followed by a tab; `BearerX` is another scheme.
        [] | [b' '] | [b'\t', ..] => Credential::Malformed,
        _ => Credential::Missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen<'h>(headers: &'h mut HeaderMap, values: &[&[u8]]) -> Credential<'h> {
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        extract(headers)
    }

    // A14, A15
    #[test]
    fn reads_the_bearer_scheme_only() {
        for (value, expected) in [
            (&b"Bearer a.b.c"[..], Credential::Token(b"a.b.c")),
            (b"bearer a.b.c", Credential::Token(b"a.b.c")),
            (b"BEARER a.b.c", Credential::Token(b"a.b.c")),
            (b"Basic dTpw", Credential::Missing),
            (b"Bearera.b.c", Credential::Missing),
            (b"", Credential::Missing),
            (b"Bearer", Credential::Malformed),
            (b"Bearer ", Credential::Malformed),
            (b"Bearer\ta.b.c", Credential::Malformed),
            (b"Bearer  a", Credential::Token(b" a")),
            (b"Bearer \xff", Credential::Token(b"\xff")),
        ] {
            assert_eq!(seen(&mut HeaderMap::new(), &[value]), expected, "{value:?}");
        }
    }

    // A13
    #[test]
    fn different_tokens_conflict() {
        for (values, expected) in [
            (
                &[&b"Bearer a"[..], b"Bearer a"][..],
                Credential::Token(b"a"),
            ),
            (&[b"Bearer a", b"Bearer b"], Credential::Conflict),
            (&[b"Basic x", b"Bearer a"], Credential::Token(b"a")),
            (&[b"Bearer a", b"Bearer "], Credential::Malformed),
            (&[b"Bearer ", b"Bearer a"], Credential::Malformed),
        ] {
            assert_eq!(seen(&mut HeaderMap::new(), values), expected, "{values:?}");
        }
    }
}
