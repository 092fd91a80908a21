//! A token's claims (RFC 7519, section 4).

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::Value;
use stockade_core::Timestamp;

use crate::{cause::Cause, token};

/// The claims of a token, each of them once.
#[derive(Debug)]
pub(crate) struct Claims(BTreeMap<String, Value>);

/// The last second that a [`Timestamp`] can tell.
const LAST_SECOND: u64 = u64::MAX / 1_000_000_000;

impl Claims {
    pub(crate) fn read(part: &str) -> Result<Self, Cause> {
        serde_json::from_slice(&token::decode(part)?).map_err(|_| Cause::Claims)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A text; `None` when there is none.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Cause> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Cause::Claims),
        }
    }

    /// A moment in whole seconds; `None` when there is none.
    ///
    /// Whatever else may be written there is an error, and never "no such claim": a text,
    /// a fraction, a negative number, a year that no clock will show (J04).
    pub(crate) fn moment(&self, name: &str) -> Result<Option<Timestamp>, Cause> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match value.as_u64() {
            Some(seconds) if seconds <= LAST_SECOND => Ok(Some(Timestamp::from_secs(seconds))),
            _ => Err(Cause::Claims),
        }
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_map(EachOnce)
    }
}

/// Refuses a claim that is there twice: another reader could take the other one
/// (RFC 7519, section 4).
struct EachOnce;

impl<'de> Visitor<'de> for EachOnce {
    type Value = Claims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of claims")
    }

    fn visit_map<A>(self, mut map: A) -> Result<Claims, A::Error>
    where
        A: MapAccess<'de>,
    {
        let mut claims = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            match claims.entry(name) {
                Entry::Vacant(vacant) => vacant.insert(map.next_value()?),
                Entry::Occupied(_) => return Err(A::Error::custom("a claim is there twice")),
            };
        }
        Ok(Claims(claims))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    pub(crate) fn claims(json: &str) -> Result<Claims, Cause> {
        Claims::read(&URL_SAFE_NO_PAD.encode(json))
    }

    // J04
    #[test]
    fn a_moment_is_a_whole_number_of_seconds() {
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
                read.and_then(|claims| claims.moment("exp")).is_err(),
                "{value}"
            );
        }
        let read = claims(r#"{"exp":1700000000}"#).unwrap();
        assert_eq!(
            read.moment("exp"),
            Ok(Some(Timestamp::from_secs(1_700_000_000)))
        );
        assert_eq!(read.moment("nbf"), Ok(None));
    }

    #[test]
    fn a_claim_is_there_once() {
        assert!(claims(r#"{"sub":"a","sub":"b"}"#).is_err());
        assert!(claims(r#"{"sub":"a","s\u0075b":"b"}"#).is_err());
        for text in ["[]", "7", "null", "", "{", "{} {}"] {
            assert!(claims(text).is_err(), "{text}");
        }
    }
}
