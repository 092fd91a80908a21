//! Detection of ambiguous paths.

/// Returns whether components may interpret a path differently.
///
/// A router that matches the raw path, one that decodes it first, a proxy that resolves `..`, and a
/// framework that cuts at `;` must all see the same route. Otherwise the request is refused.
pub(crate) fn is_ambiguous(path: &str) -> bool {
    let path = path.as_bytes();
    !path.starts_with(b"/")
        || path
            .iter()
            .enumerate()
            .any(|(at, byte)| match BYTE_CLASSES[usize::from(*byte)] {
                ByteClass::Plain => false,
                ByteClass::Slash => is_ambiguous_segment_start(&path[at + 1..]),
                ByteClass::Percent => is_ambiguous_escape(&path[at + 1..]),
                ByteClass::Forbidden => true,
            })
}

/// Returns whether components may interpret a path differently that a wildcard matches.
///
/// An encoded slash is not ambiguous there, since the wildcard matches it as well as a plain one.
/// It counts as a plain slash.
pub(crate) fn is_ambiguous_in_wildcard(path: &str) -> bool {
    let escape = path.match_indices('%');
    let mut slashes = escape.filter(|(at, _)| is_encoded_slash(&path[*at..]));
    if slashes.next().is_none() {
        return is_ambiguous(path);
    }
    is_ambiguous(&path.replace("%2f", "/").replace("%2F", "/"))
}

fn is_encoded_slash(escape: &str) -> bool {
    escape.starts_with("%2f") || escape.starts_with("%2F")
}

#[derive(Clone, Copy)]
enum ByteClass {
    Plain,
    Slash,
    Percent,
    /// Not visible ASCII, `\\` or `;`.
    Forbidden,
}

/// The class of each byte; a table, because every byte of every request is classified.
static BYTE_CLASSES: [ByteClass; 256] = {
    let mut table = [ByteClass::Forbidden; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        table[byte as usize] = match byte {
            b'/' => ByteClass::Slash,
            b'%' => ByteClass::Percent,
            b'\\' | b';' => ByteClass::Forbidden,
            _ => ByteClass::Plain,
        };
        byte += 1;
    }
    table
};

/// Returns whether an empty segment, `.` or `..` follows a slash. A trailing slash is a different
/// route, but not ambiguous.
fn is_ambiguous_segment_start(rest: &[u8]) -> bool {
    matches!(
        rest,
        [b'/', ..] | [b'.'] | [b'.', b'/', ..] | [b'.', b'.'] | [b'.', b'.', b'/', ..]
    )
}

/// Matches `%2e`, `%2f`, `%5c`, `%3b`, `%25` (double encoding), control characters and malformed
/// escapes.
fn is_ambiguous_escape(rest: &[u8]) -> bool {
    let digit = |at: usize| char::from(*rest.get(at)?).to_digit(16);
    match (digit(0), digit(1)) {
        (Some(high), Some(low)) => matches!(
            high << 4 | low,
            0x00..=0x1f | 0x25 | 0x2e | 0x2f | 0x3b | 0x5c | 0x7f
        ),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // FA16
    #[test]
    fn encoded_slash_in_a_wildcard_is_a_slash() {
        for path in ["/m/org/name", "/m/org%2Fname", "/m/org%2fname"] {
            assert!(!is_ambiguous_in_wildcard(path), "{path}");
        }
        for path in [
            "/m/a%2F..%2Fb",
            "/m/a%2F%2Fb",
            "/m/%2F",
            "/m/a/../b",
            "/m/%252F",
        ] {
            assert!(is_ambiguous_in_wildcard(path), "{path}");
        }
    }

    // S01
    #[test]
    fn rejects_ambiguous_paths() {
        for path in [
            "",
            "p",
            "*",
            "//p",
            "/a//b",
            "/a/../p",
            "/a/./p",
            "/..",
            "/.",
            "/%2e%2e/p",
            "/%2E./p",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a;x",
            "/a;x/b",
            "/a%3bx",
            "/a%00",
            "/a%0d%0ab",
            "/a%252fb",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a b",
            "/ä",
            "/a\u{7f}",
        ] {
            assert!(is_ambiguous(path), "{path:?}");
        }
        for path in [
            "/",
            "/v1/models",
            "/v1/models/",
            "/a.b/c..d",
            "/a%20b",
            "/%C3%A4",
            "/pkg.Service/Method",
            "/...",
            "/a:b@c",
        ] {
            assert!(!is_ambiguous(path), "{path:?}");
        }
    }
}
