//! Finding the one token that a request presents.

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

/// What a request presents in `Authorization` (RFC 6750, section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presented<'h> {
    Nothing,
    /// Any bytes but none.
    Token(&'h [u8]),
    /// Something in the place of a token that can be none.
    Malformed,
    /// Two tokens that differ.
    Conflict,
}

pub(crate) fn presented(headers: &HeaderMap) -> Presented<'_> {
    let mut found = Presented::Nothing;
    for value in headers.get_all(AUTHORIZATION) {
        found = match (found, read(value)) {
            (found, Presented::Nothing) => found,
            (Presented::Nothing, read) => read,
            (Presented::Token(first), Presented::Token(second)) if first == second => found,
            (Presented::Token(_), Presented::Token(_)) | (Presented::Conflict, _) => {
                Presented::Conflict
            }
            _ => Presented::Malformed,
        };
    }
    found
}

fn read(value: &HeaderValue) -> Presented<'_> {
    let value = value.as_bytes();
    let Some((scheme, rest)) = value.split_at_checked(b"bearer".len()) else {
        return Presented::Nothing;
    };
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Presented::Nothing;
    }
    match rest {
        // What it is made of shows when it is decoded; a token that is known already is
        // not looked at byte by byte.
        [b' ', token @ ..] if !token.is_empty() => Presented::Token(token),
        // `Bearer` alone, or with a tab; `BearerX` is another scheme.
        [] | [b' '] | [b'\t', ..] => Presented::Malformed,
        _ => Presented::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen<'h>(headers: &'h mut HeaderMap, values: &[&[u8]]) -> Presented<'h> {
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        presented(headers)
    }

    // A14, A15
    #[test]
    fn reads_bearer_and_nothing_else() {
        for (value, expected) in [
            (&b"Bearer a.b.c"[..], Presented::Token(b"a.b.c")),
            (b"bearer a.b.c", Presented::Token(b"a.b.c")),
            (b"BEARER a.b.c", Presented::Token(b"a.b.c")),
            (b"Basic dTpw", Presented::Nothing),
            (b"Bearera.b.c", Presented::Nothing),
            (b"", Presented::Nothing),
            (b"Bearer", Presented::Malformed),
            (b"Bearer ", Presented::Malformed),
            (b"Bearer\ta.b.c", Presented::Malformed),
            (b"Bearer  a", Presented::Token(b" a")),
            (b"Bearer \xff", Presented::Token(b"\xff")),
        ] {
            assert_eq!(seen(&mut HeaderMap::new(), &[value]), expected, "{value:?}");
        }
    }

    // A13
    #[test]
    fn two_tokens_must_be_the_same() {
        for (values, expected) in [
            (&[&b"Bearer a"[..], b"Bearer a"][..], Presented::Token(b"a")),
            (&[b"Bearer a", b"Bearer b"], Presented::Conflict),
            (&[b"Basic x", b"Bearer a"], Presented::Token(b"a")),
            (&[b"Bearer a", b"Bearer "], Presented::Malformed),
            (&[b"Bearer ", b"Bearer a"], Presented::Malformed),
        ] {
            assert_eq!(seen(&mut HeaderMap::new(), values), expected, "{values:?}");
        }
    }
}
