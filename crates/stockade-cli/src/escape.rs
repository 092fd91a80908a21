//! Escapes untrusted text for a terminal.

use std::fmt::Write;

/// Escapes every character that a terminal interprets or hides: control characters, line
/// separators and bidirectional controls.
pub(crate) fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_hidden(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Escapes the same characters in JSON, as JSON escapes. Line feeds are kept: outside of
/// strings they are layout, and inside of strings JSON has none.
pub(crate) fn escape_json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character != '\n' && is_hidden(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Parses an argument that must not be empty or contain characters that [`escape`] escapes.
pub(crate) fn printable(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("must not be empty".to_owned())
    } else if text.chars().any(is_hidden) {
        Err("must not contain control or invisible characters".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    // M09, L01
    #[test]
    fn escapes_control_characters() {
        let text = "a\u{1b}[2Jb\r\n\u{202e}c\u{2028}\u{9b}ü";
        assert_eq!(
            escape(text),
            "a\\u{1b}[2Jb\\u{d}\\u{a}\\u{202e}c\\u{2028}\\u{9b}ü"
        );
        for character in text.chars().filter(|character| is_hidden(*character)) {
            assert!(printable(&format!("a{character}")).is_err());
        }
        assert!(printable(" ").is_err());
        assert_eq!(printable("Zoë Ω").as_deref(), Ok("Zoë Ω"));
    }

    #[test]
    fn escaped_json_has_the_same_value() {
        let value = serde_json::json!({"a": "\u{1b}\u{202e}\u{7f}\u{e0041}é\n"});
        let shown = escape_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(shown.chars().all(|one| one == '\n' || !is_hidden(one)));
        let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read, value);
    }
}
