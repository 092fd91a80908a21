//! Redacts secrets in untrusted text.

use std::{borrow::Cow, sync::LazyLock};

use regex::{Captures, Regex};

/// The replacement of a secret.
const REDACTED: &str = "[redacted]";

/// The number of bytes that are searched; the rest of a longer text is omitted.
const SEARCHED: usize = 1_024;

/// Replaces secrets, and cuts the text to `limit` bytes.
///
/// It recognizes keys and tokens by their format, and credentials by the name of the
/// header, field or parameter before them. Query values, e-mail addresses and data URLs
/// are always replaced. A cut text ends with `…`.
pub(crate) fn redact(text: &str, limit: usize) -> Cow<'_, str> {
    let searched = prefix(text, SEARCHED);
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
    let kept = prefix(&clean, limit);
    // The cut may split a secret, whose first part no pattern recognizes.
    let whole = kept.trim_end_matches(|char: char| char.is_ascii_alphanumeric());
    Cow::Owned(format!("{whole}…"))
}

/// Returns the longest prefix of at most `limit` bytes. `str::floor_char_boundary` needs Rust
/// 1.91.
pub(crate) fn prefix(text: &str, limit: usize) -> &str {
    let mut ends = (0..=limit.min(text.len())).rev();
    let end = ends.find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

/// Matches a secret. Its group captures the name before the secret, which is kept.
static SECRET: LazyLock<Regex> = LazyLock::new(|| {
    // The separator between a name, which may be quoted, and its value.
    let is = r#"(?:\\*["'`]|%22|%27)?(?:[ \t+]|%20)*(?:=>?|:|%3D|%3A)(?:[ \t+]|%20)*"#;
    // Matches the end of a name, such as `client_secret` or `x-api-key`.
    let name = "(?i-u:pass(?:word|wd|phrase|code)?|pwd|secret|token|jwt|otp|\
                (?:api|access|private|secret)[ _-]?key(?:[_-]?id)?|credentials?|\
                auth|session(?:[_-]?id)?|sid|signature|sig)";
    let patterns: [&str; 11] = [
        // Data URLs (RFC 2397).
        r"(?i-u:data)(?::|%3A)[!-+\--~]*(?:,|%2C)[!-~]*",
        // Headers, up to the end of the text: their values may contain spaces and separators.
        &format!(r"((?i-u:cookie|authorization){is})(?s:.+)"),
        // Authorization (RFC 9110).
        r"(?i-u:bearer|basic)(?:[ +:=]|%20)+[!-~]+",
        // JSON Web Tokens (RFC 7519).
        r"eyJ[A-Za-z0-9_-]{16,}[A-Za-z0-9_.=-]*",
        // Named credentials: up to the closing quote, or up to a space except after a scheme.
        &format!(
            r#"({name}{is})(?:"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|\\+"[^"]*"?|(?i-u:bearer|basic|digest|token|apikey)(?:[ +:=]|%20)+[^ &;]+|[^ &;]+)"#
        ),
        // Query values.
        r"([?&][^ ?&=]*=)[^ &]+",
        // E-mail addresses, and credentials in URLs.
        r"[A-Za-z0-9._%+:\x{80}-\x{10ffff}-]+(?:@|%40)[A-Za-z0-9.\x{80}-\x{10ffff}-]+",
        // Keys such as `sk_team_…`, and those of known issuers.
        r"[A-Za-z][A-Za-z0-9]*_[A-Za-z0-9._-]*[A-Za-z0-9]{32,}",
        r"(?:sk|pk|rk|hf|gh[a-z]|github_pat|glpat|xox[a-z])[_-][A-Za-z0-9_-]{16,}",
        r"A(?:KIA|Iza)[A-Za-z0-9_-]{15,}",
        // Long random strings.
        r"[A-Za-z0-9]{32,}",
    ];
    Regex::new(&patterns.join("|")).expect("the pattern is well-formed")
});

/// Each pattern requires a byte that is not plain, or a word of this length.
const SECRET_WORD: usize = 19;

/// Whether a text consists of short ASCII words separated by dots and slashes. Such a text
/// contains no secret and needs no escape. This is the fast path of almost all texts.
#[inline]
pub(crate) fn is_plain(text: &str) -> bool {
    needs_no_escape(text) && !has_long_word(text.as_bytes())
}

/// Whether a text contains only letters, digits, `-`, `.`, `/` and `_`, which need no
/// escape. Other texts take the slow path, even if they need no escape.
#[inline]
pub(crate) fn needs_no_escape(text: &str) -> bool {
    let bytes = text.as_bytes();
    // The last chunk may overlap the one before, so that no remainder is left.
    match (bytes.as_chunks::<16>().0, bytes.last_chunk::<16>()) {
        (pieces, Some(last)) => pieces.iter().all(are_plain) && are_plain(last),
        (_, None) => match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
            (Some(first), Some(last)) => are_plain(first) & are_plain(last),
            _ => bytes.iter().all(|byte| are_plain(&[*byte])),
        },
    }
}

/// Branch-free, so that the compiler vectorizes it.
#[inline]
fn are_plain<const LENGTH: usize>(bytes: &[u8; LENGTH]) -> bool {
    bytes.iter().fold(true, |all, byte| {
        let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        // `-`, `.`, `/` and the digits are contiguous.
        let digit_or_mark = byte.wrapping_sub(b'-') <= b'9' - b'-';
        all & (letter | digit_or_mark | (*byte == b'_'))
    })
}

/// Whether a plain text contains a word long enough to be a secret. It searches backwards
/// for the end of a word, so that it skips most bytes.
#[inline]
fn has_long_word(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(word) = rest.first_chunk::<SECRET_WORD>() {
        match word.iter().rposition(|byte| matches!(byte, b'.' | b'/')) {
            Some(end) => rest = &rest[end + 1..],
            None => return true,
        }
    }
    false
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
                "authorization:[redacted]",
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
            ("Cookie: a=b; c=d".to_owned(), "Cookie: [redacted]"),
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

    // FH08
    #[test]
    fn replaces_values_of_named_headers_and_fields() {
        for (text, expected) in [
            ("Authorization: Basic dTpw", "Authorization: [redacted]"),
            (
                "Authorization: Digest u=\"a\", r=\"b\"",
                "Authorization: [redacted]",
            ),
            (
                "Proxy-Authorization: x y",
                "Proxy-Authorization: [redacted]",
            ),
            ("a\nauthorization : x\ny", "a\nauthorization : [redacted]"),
            (
                "%22authorization%22%3A%22Basic%20x%22",
                "%22authorization%22%3A[redacted]",
            ),
            ("X-API-Key: hunter2", "X-API-Key: [redacted]"),
            ("x-auth-token: a b", "x-auth-token: [redacted] b"),
            ("Set-Cookie: a=b; Path=/", "Set-Cookie: [redacted]"),
            ("password = x", "password = [redacted]"),
            ("Password:\tx", "Password:\t[redacted]"),
            ("passwd=>x", "passwd=>[redacted]"),
            ("password=a\"b'c,d", "password=[redacted]"),
            (
                r#"{"api_key":"x","a":1}"#,
                r#"{"api_key":[redacted],"a":1}"#,
            ),
            (
                r#"{"apikey" : "x y", "a":1}"#,
                r#"{"apikey" : [redacted], "a":1}"#,
            ),
            (r#"{"password":"a\"b c"}"#, r#"{"password":[redacted]}"#),
            (r#"{\"password\":\"a b\"}"#, r#"{\"password\":[redacted]}"#),
            ("{'client_secret': 'a b'}", "{'client_secret': [redacted]}"),
            ("access_token=x&b", "access_token=[redacted]&b"),
            (
                "refresh_token%20%3D%20x",
                "refresh_token%20%3D%20[redacted]",
            ),
            ("token: Bearer abc d", "token: [redacted] d"),
            (
                "aws_secret_access_key=x",
                "aws_secret_access_key=[redacted]",
            ),
            ("session_id=x; a", "session_id=[redacted]; a"),
            (r#"secret="open"#, "secret=[redacted]"),
        ] {
            assert_eq!(redact(text, 512), expected, "{text}");
        }
    }

    #[test]
    fn keeps_ordinary_text() {
        for text in [
            "/v1/chat/completions",
            "/v1/models/Qwen2.5-VL-7B-Instruct-AWQ",
            "Hcompany/Holo1.5-7B",
            "qwen2.5vl:7b",
            "team_core",
            "550e8400-e29b-41d4-a716-446655440000",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)",
            "a tokenizer, a passage: secretary: authority",
        ] {
            assert_eq!(redact(text, 512), text);
        }
    }

    #[test]
    fn cut_leaves_no_part_of_a_secret() {
        for before in 0..SEARCHED {
            let text = format!("{}{KEY}", "/".repeat(before));
            let redacted = redact(&text, 100);
            assert!(!redacted.contains("4QmVZ"), "{before}: {redacted}");
        }
        assert_eq!(redact("/a/bcd", 4), "/a/…");
    }

    proptest! {
        #[test]
        fn plain_text_matches_no_pattern(text in "[A-Za-z0-9 _.:=@%?&+/-]{0,80}") {
            prop_assert!(!is_plain(&text) || !SECRET.is_match(&text));
        }

        #[test]
        fn plain_text_has_short_words_only(text in "([a-zA-Z0-9_-]{0,20}[./~ é\"-]){0,5}") {
            let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./".contains(byte);
            let short = |word: &str| word.len() < SECRET_WORD;
            let expected = text.as_bytes().iter().all(plain) && text.split(['.', '/']).all(short);
            prop_assert_eq!(is_plain(&text), expected);
        }

        #[test]
        fn is_bounded(text in any::<String>(), limit in 0_usize..600) {
            prop_assert!(redact(&text, limit).len() <= limit + "…".len());
        }
    }
}
