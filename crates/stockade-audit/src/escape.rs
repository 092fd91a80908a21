//! Escaping of text for JSON lines and terminals.

/// Bytes that need no escape: visible ASCII except the quote and the backslash.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        plain[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    plain
};

/// Appends the text as the content of a JSON string (RFC 8259, section 7).
///
/// In addition to the characters that JSON requires, it escapes those that a terminal or
/// an editor interprets without showing them: DEL and the C1 controls, line and paragraph
/// separators, bidirectional marks, zero-width characters and tags.
pub(crate) fn push_escaped(out: &mut Vec<u8>, text: &str) {
    let mut rest = text;
    loop {
        let plain = rest.bytes().position(|byte| !PLAIN[usize::from(byte)]);
        let (run, special) = rest.split_at(plain.unwrap_or(rest.len()));
        out.extend_from_slice(run.as_bytes());
        let mut chars = special.chars();
        let Some(char) = chars.next() else {
            return;
        };
        push_special(out, char);
        rest = chars.as_str();
    }
}

fn push_special(out: &mut Vec<u8>, char: char) {
    match char {
        '"' | '\\' => out.extend_from_slice(&[b'\\', char as u8]),
        char if is_hidden(char) => {
            for unit in char.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(b"\\u");
                let digits = hex::encode(unit.to_be_bytes());
                out.extend_from_slice(digits.as_bytes());
            }
        }
        char => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = Vec::new();
        push_escaped(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    // L01
    #[test]
    fn escapes_line_breaks_and_terminal_controls() {
        for (text, expected) in [
            ("plain / text~", "plain / text~"),
            ("a\r\nb", r"a\u000d\u000ab"),
            ("\"\\", r#"\"\\"#),
            ("\0", r"\u0000"),
            ("\u{1b}[31m", r"\u001b[31m"),
            ("\u{7f}\u{9b}\u{85}", r"\u007f\u009b\u0085"),
            ("\u{2028}\u{2029}", r"\u2028\u2029"),
            ("\u{202e}txt\u{2066}", r"\u202etxt\u2066"),
            ("\u{200b}\u{feff}", r"\u200b\ufeff"),
            ("\u{e0041}", r"\udb40\udc41"),
            ("Ω日本😀", "Ω日本😀"),
        ] {
            assert_eq!(escaped(text), expected, "{text:?}");
        }
    }

    proptest! {
        // L01
        #[test]
        fn json_round_trip_preserves_the_text(text in any::<String>()) {
            let escaped = escaped(&text);
            prop_assert!(!escaped.chars().any(is_hidden));
            let json = format!("\"{escaped}\"");
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
