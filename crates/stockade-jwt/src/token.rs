//! The compact serialization of a token (RFC 7515, section 7.1).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::token_error::TokenError;

/// A JWS in compact serialization, `header.payload.signature`, not decoded yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'t> {
    pub(crate) header: &'t str,
    pub(crate) payload: &'t str,
    pub(crate) signature: &'t str,
    /// The signing input: header, dot and payload.
    pub(crate) signed: &'t str,
}

impl<'t> Token<'t> {
    /// Splits a token, without allocation for any number of dots (J10).
    pub(crate) fn split(text: &'t str) -> Result<Self, TokenError> {
        let (signed, signature) = text.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        if payload.contains('.') || signature.is_empty() {
            return Err(TokenError::Malformed);
        }
        Ok(Self {
            header,
            payload,
            signature,
            signed,
        })
    }
}

/// Decodes a part. Rejects padding and non-zero trailing bits, so that encodings are unique.
pub(crate) fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    // J10
    #[test]
    fn requires_three_parts() {
        for text in [
            "",
            ".",
            "a",
            "a.b",
            "a.b.",
            "a.b.c.d",
            "....",
            &".".repeat(1_000_000),
        ] {
            assert!(Token::split(text).is_err(), "{:.9}", text);
        }
        let token = Token::split("h.p.s").unwrap();
        assert_eq!(
            (token.header, token.payload, token.signature, token.signed),
            ("h", "p", "s", "h.p")
        );
    }

    #[test]
    fn encodings_are_unique() {
        assert_eq!(decode("QQ").unwrap(), b"A");
        for text in ["QR", "QQ==", "Q", "Q Q", "Q\nQ", "+/+/", "é"] {
            assert!(decode(text).is_err(), "{text:?}");
        }
    }
}
