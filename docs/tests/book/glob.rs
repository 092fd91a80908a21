//! Comparison of an output with what the book shows.

/// Whether the text is what is shown; `…` stands for any text, also for several lines.
pub(crate) fn matches(shown: &str, text: &str) -> bool {
    let mut pieces = shown.trim_end().split('…');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.trim_end().strip_prefix(first) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    true
}

#[test]
fn an_ellipsis_stands_for_any_text() {
    for (shown, text, expected) in [
        ("hello", "hello\n", true),
        ("hello", "hello, you", false),
        ("", "", true),
        ("", "x", false),
        ("a…", "abc\ndef", true),
        ("…c", "abc", true),
        ("…b", "abc", false),
        ("a\n…\nd", "a\nb\nc\nd", true),
        ("a…b…d", "a1b2c3d", true),
        ("a…x…d", "a1b2c3d", false),
    ] {
        assert_eq!(matches(shown, text), expected, "{shown:?} {text:?}");
    }
}
