//! Finding the one token that a request presents.

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

/// What a request presents in `Authorization` (RFC 6750, section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential<'h> {
    Missing,
    /// Any bytes but none.
    Token(&'h [u8]),
    /// Something in the place of a token that can be none.
    Malformed,
    /// Two tokens that differ.
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
        // What it is made of shows when it is decoded; a token that is known already is
        // not looked at byte by byte.
        [b' ', token @ ..] if !token.is_empty() => Credential::Token(token),
        // `Bearer` alone, or with a tab; `BearerX` is another scheme.
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
    fn reads_bearer_and_nothing_else() {
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
    fn two_tokens_must_be_the_same() {
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
