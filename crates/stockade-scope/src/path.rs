//! Paths that servers read in different ways.

/// Whether a path could mean something else to another reader of it.
///
/// A router that matches the raw text, one that decodes it first, a proxy that folds
/// `..`, and a framework that cuts at `;` must all see the same route; where they would
/// not, the request is refused and not interpreted.
pub(crate) fn is_ambiguous(path: &str) -> bool {
    !path.starts_with('/')
        || path
            .bytes()
            .any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'\\' | b';'))
        || path[1..]
            .split('/')
            .rev()
            .enumerate()
            .any(|(from_end, segment)| {
                // An empty last segment is a trailing slash: another route, but a clear one.
                (segment.is_empty() && from_end > 0) || segment == "." || segment == ".."
            })
        || has_ambiguous_escape(path.as_bytes())
}

/// `%2e`, `%2f`, `%5c`, `%3b`, `%25` (an escape of an escape), controls, and what is no
/// escape at all.
fn has_ambiguous_escape(path: &[u8]) -> bool {
    path.iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'%')
        .any(|(at, _)| {
            let digit = |offset| {
                let byte = path.get(at + offset)?;
                char::from(*byte).to_digit(16)
            };
            match (digit(1), digit(2)) {
                (Some(high), Some(low)) => {
                    matches!(
                        high << 4 | low,
                        0x00..=0x1f | 0x25 | 0x2e | 0x2f | 0x3b | 0x5c | 0x7f
                    )
                }
                _ => true,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    // S01
    #[test]
    fn refuses_what_readers_read_differently() {
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
