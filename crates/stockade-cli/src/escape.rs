//! Text that others wrote, made safe for a terminal.

use std::fmt::Write;

/// The text with every character spelt out that a terminal would act upon or hide:
/// control characters, line separators, and those that turn the direction of writing.
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

/// The same for JSON, in its own escapes. Outside of texts JSON has none of them but the
/// line feeds of its layout, which stay.
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

/// For arguments: takes text that shows what it is.
pub(crate) fn printable(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("it is empty".to_owned())
    } else if text.chars().any(is_hidden) {
        Err("it has a control character or one that does not show".to_owned())
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
    fn spells_out_what_a_terminal_would_act_upon() {
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
    fn json_stays_the_same_json() {
        let value = serde_json::json!({"a": "\u{1b}\u{202e}\u{7f}\u{e0041}é\n"});
        let shown = escape_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(shown.chars().all(|one| one == '\n' || !is_hidden(one)));
        let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read, value);
    }
}
