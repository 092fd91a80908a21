//! Claims of a token (RFC 7519, section 4).

use std::collections::BTreeMap;

use serde_json::Value;
use stockade_core::clock::Timestamp;

use crate::{json, token, token_error::TokenError};

/// The claims of a token, without duplicate members at any depth.
#[derive(Debug)]
pub(crate) struct Claims(BTreeMap<String, Value>);

/// The last whole second that a [`Timestamp`] can represent.
const LAST_SECOND: u64 = u64::MAX / 1_000_000_000;

impl Claims {
    pub(crate) fn read(part: &str) -> Result<Self, TokenError> {
        json::from_slice(&token::decode(part)?)
            .map(Self)
            .map_err(|_| TokenError::Claims)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Returns a string claim; `None` when absent.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, TokenError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(TokenError::Claims),
        }
    }

    /// Returns a time claim in whole seconds; `None` when absent.
    ///
    /// Any other value is an error and never counts as absent: strings, fractions, negative
    /// numbers and years out of range (J04).
    pub(crate) fn timestamp(&self, name: &str) -> Result<Option<Timestamp>, TokenError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match value.as_u64() {
            Some(seconds) if seconds <= LAST_SECOND => Ok(Some(Timestamp::from_secs(seconds))),
            _ => Err(TokenError::Claims),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    pub(crate) fn claims(json: &str) -> Result<Claims, TokenError> {
        Claims::read(&URL_SAFE_NO_PAD.encode(json))
    }

    // J04
    #[test]
    fn times_are_whole_seconds() {
        for value in [
            "\"9999999999\"",
            "1e400",
            "-1",
            "null",
            "[]",
            "[9999999999]",
            "{}",
            "9e18",
            "9000000000000000000",
            "18446744073709551616",
            "1.5",
            "1e3",
            "true",
            "NaN",
            "Infinity",
            "0x7fffffff",
        ] {
            let read = claims(&format!("{{\"exp\":{value}}}"));
            assert!(
                read.and_then(|claims| claims.timestamp("exp")).is_err(),
                "{value}"
            );
        }
        let read = claims(r#"{"exp":1700000000}"#).unwrap();
        assert_eq!(
            read.timestamp("exp"),
            Ok(Some(Timestamp::from_secs(1_700_000_000)))
        );
        assert_eq!(read.timestamp("nbf"), Ok(None));
    }

    #[test]
    fn rejects_duplicate_claims() {
        assert!(claims(r#"{"sub":"a","sub":"b"}"#).is_err());
        assert!(claims(r#"{"sub":"a","s\u0075b":"b"}"#).is_err());
        // FA14: at every depth.
        assert!(claims(r#"{"sub":"a","x":[{"roles":["a"],"roles":["b"]}]}"#).is_err());
        for text in ["[]", "7", "null", "", "{", "{} {}"] {
            assert!(claims(text).is_err(), "{text}");
        }
    }
}
