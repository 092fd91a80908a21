//! Secrets are taken out of texts that clients choose.

use std::{borrow::Cow, sync::LazyLock};

use regex::{Captures, Regex};

/// What stands where a secret was.
const REDACTED: &str = "[redacted]";

/// The longest text that is searched, in bytes; of a longer one the rest is left out.
const SEARCHED: usize = 1_024;

/// Replaces what looks like a secret, and leaves out what is over `limit` bytes.
///
/// Keys and tokens go by their form, credentials by the name before them, and the values
/// of a query, e-mail addresses and data URLs always. A text that is cut ends in `…`.
pub(crate) fn redact(text: &str, limit: usize) -> Cow<'_, str> {
    let searched = &text[..text.floor_char_boundary(SEARCHED)];
    let clean = if is_plain(searched) {
        Cow::Borrowed(searched)
    } else {
        SECRET.replace_all(searched, |found: &Captures<'_>| {
            let name = found.iter().skip(1).flatten().next();
            format!("{}{REDACTED}", name.map_or("", |name| name.as_str()))
        })
    };
    if searched.len() == text.len() && clean.len() <= limit {
        return clean;
    }
    let kept = &clean[..clean.floor_char_boundary(limit)];
    // The cut may go through a secret, and half of one has no form to be known by.
    let whole = kept.trim_end_matches(|char: char| char.is_ascii_alphanumeric());
    Cow::Owned(format!("{whole}…"))
}

/// Any secret. A group is the name before it, which stays.
static SECRET: LazyLock<Regex> = LazyLock::new(|| {
    let patterns = [
        // Data URLs (RFC 2397).
        r"(?i-u:data)(?::|%3A)[!-+\--~]*(?:,|%2C)[!-~]*",
        // Cookies, up to the end: they are lists of their own.
        r"((?i-u:cookie)(?:=|:|%3D|%3A)).*",
        // Authorization (RFC 9110).
        r"(?i-u:bearer|basic)(?:[ +:=]|%20)+[!-~]+",
        // JSON Web Tokens (RFC 7519).
        r"eyJ[A-Za-z0-9_-]{16,}[A-Za-z0-9_.=-]*",
        // Credentials by their name.
        r"((?i-u:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|authorization|auth|session|sid|signature|sig)(?:=|:|%3D|%3A) ?)[^ &;]+",
        // The values of a query.
        r"([?&][^ ?&=]*=)[^ &]+",
        // E-mail addresses, and the user and password of a URL.
        r"[A-Za-z0-9._%+:\x{80}-\x{10ffff}-]+(?:@|%40)[A-Za-z0-9.\x{80}-\x{10ffff}-]+",
        // Keys of the kind `sk_team_…`, and those of known issuers.
        r"[A-Za-z][A-Za-z0-9]*_[A-Za-z0-9._-]*[A-Za-z0-9]{32,}",
        r"(?:sk|pk|rk|hf|gh[a-z]|github_pat|glpat|xox[a-z])[_-][A-Za-z0-9_-]{16,}",
        r"A(?:KIA|Iza)[A-Za-z0-9_-]{15,}",
        // Whatever is random enough to be one.
        r"[A-Za-z0-9]{32,}",
    ];
    Regex::new(&patterns.join("|")).expect("the pattern is well-formed")
});

/// What a byte makes of its text.
const KIND: [u8; 256] = {
    let mut kind = [OTHER; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        kind[byte] = match byte as u8 {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'-' => WORD,
            b'"' | b'\\' | b'=' | b':' | b'@' | b'%' | b'?' | b'&' | b'+' => OTHER,
            _ => SEPARATOR,
        };
        byte += 1;
    }
    kind
};
const SEPARATOR: u8 = 0;
const WORD: u8 = 1;
const OTHER: u8 = 2;

/// Each pattern has a byte that is neither, or a word as long as this.
const SECRET_WORD: u32 = 19;

/// Whether a text is short words of ASCII, in which there is neither a secret nor anything
/// to escape. Almost all texts are, so this is what they cost.
#[inline]
pub(crate) fn is_plain(text: &str) -> bool {
    let (mut seen, mut word, mut longest) = (0, 0_u32, 0);
    for byte in text.bytes() {
        let kind = KIND[usize::from(byte)];
        seen |= kind;
        word = (word + 1) * u32::from(kind & WORD);
        longest = longest.max(word);
    }
    seen < OTHER && longest < SECRET_WORD
}

/// Whether a text is plain and too short for a word that could be a secret: half the work.
#[inline]
pub(crate) fn is_short_and_plain(text: &str) -> bool {
    let seen = |seen, byte| seen | KIND[usize::from(byte)];
    text.len() < SECRET_WORD as usize && text.bytes().fold(0, seen) < OTHER
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "sk_team-core_4QmVZ0123456789abcdefghijABCDEFGHIJ";

    #[test]
    fn replaces_secrets() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
        for (text, expected) in [
            (format!("/v1/{KEY}/x"), "/v1/[redacted]/x"),
            (format!("/{jwt}"), "/[redacted]"),
            (format!("curl Bearer {KEY}"), "curl [redacted]"),
            (
                "authorization:Basic dTpw".to_owned(),
                "authorization:[redacted] dTpw",
            ),
            (
                "/a?api_key=x&b=y".to_owned(),
                "/a?api_key=[redacted]&b=[redacted]",
            ),
            (
                "/login;password=hunter2".to_owned(),
                "/login;password=[redacted]",
            ),
            (
                "/login%3Fpassword%3Dhunter2".to_owned(),
                "/login%3Fpassword%3D[redacted]",
            ),
            ("Cookie: a=b; c=d".to_owned(), "Cookie:[redacted]"),
            (
                "/users/a.b+c@example.com/x".to_owned(),
                "/users/[redacted]/x",
            ),
            ("/users/a%40example.com".to_owned(), "/users/[redacted]"),
            ("http://user:pw@host/".to_owned(), "http://[redacted]/"),
            (
                "data:image/png;base64,iVBORw0KGgo=".to_owned(),
                "[redacted]",
            ),
            ("sk-proj-abcdefghijklmnop".to_owned(), "[redacted]"),
            ("AKIAIOSFODNN7EXAMPLE".to_owned(), "[redacted]"),
            ("d41d8cd98f00b204e9800998ecf8427e".to_owned(), "[redacted]"),
        ] {
            assert_eq!(redact(&text, 512), expected, "{text}");
        }
    }

    #[test]
    fn leaves_ordinary_texts_alone() {
        for text in [
            "/v1/chat/completions",
            "/v1/models/Qwen2.5-VL-7B-Instruct-AWQ",
            "Hcompany/Holo1.5-7B",
            "qwen2.5vl:7b",
            "team_core",
            "550e8400-e29b-41d4-a716-446655440000",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)",
        ] {
            assert_eq!(redact(text, 512), text);
        }
    }

    #[test]
    fn a_cut_leaves_no_part_of_a_secret() {
        for before in 0..SEARCHED {
            let text = format!("{}{KEY}", "/".repeat(before));
            let redacted = redact(&text, 100);
            assert!(!redacted.contains("4QmVZ"), "{before}: {redacted}");
        }
        assert_eq!(redact("/a/bcd", 4), "/a/…");
    }

    proptest! {
        #[test]
        fn the_quick_look_misses_nothing(text in "[A-Za-z0-9 _.:=@%?&+/-]{0,80}") {
            prop_assert!(!is_plain(&text) || !SECRET.is_match(&text));
            prop_assert!(!is_short_and_plain(&text) || is_plain(&text));
        }

        #[test]
        fn is_bounded(text in any::<String>(), limit in 0_usize..600) {
            prop_assert!(redact(&text, limit).len() <= limit + "…".len());
        }
    }
}
