//! JSON strings, for bodies of a handful of fields.

/// Appends `text` as a JSON string (RFC 8259), safe also within HTML and JavaScript.
pub(super) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => push_escape(out, character),
            control if control.is_control() => push_escape(out, control),
            other => out.push(other),
        }
    }
    out.push('"');
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
