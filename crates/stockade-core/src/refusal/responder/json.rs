//! JSON strings, for bodies of a handful of fields.

/// Appends `text` as a JSON string (RFC 8259), safe also within HTML and JavaScript.
pub(super) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    // Runs of what needs no escape are copied whole: usually that is all of it.
    while let Some(at) = find_escaped(rest) {
        let (plain, escaped) = rest.split_at(at);
        out.push_str(plain);
        let mut characters = escaped.chars();
        match characters.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(other) => push_escape(out, other),
            None => {}
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

/// Most texts are plain ASCII, which is seen faster by their bytes, of which many fit into
/// one step.
fn find_escaped(text: &str) -> Option<usize> {
    let plain = |byte: u8| {
        let escaped = matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&');
        matches!(byte, b' '..=b'~') & !escaped
    };
    match text.bytes().fold(true, |all, byte| all & plain(byte)) {
        true => None,
        false => text.find(needs_escape),
    }
}

fn needs_escape(character: char) -> bool {
    matches!(
        character,
        '"' | '\\' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}'
    ) || character.is_control()
}

/// All characters that get here lie in the basic plane: four digits hold them.
fn push_escape(out: &mut String, character: char) {
    let code = u32::from(character);
    out.push_str("\\u");
    for shift in [12, 8, 4, 0] {
        out.push(char::from_digit(code >> shift & 0xf, 16).expect("four bits are a digit"));
    }
}

/// Appends `text` as a JSON string, or `null`.
pub(super) fn push_option(out: &mut String, text: Option<&str>) {
    match text {
        Some(text) => push_string(out, text),
        None => out.push_str("null"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reads_back_as_what_was_written(text: String) {
            let mut out = String::new();
            push_string(&mut out, &text);
            prop_assert!(!out.chars().any(char::is_control));
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}
