//! Strict JSON: duplicate members are rejected at every depth.

use std::{collections::BTreeSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor},
};

/// Deserializes JSON without duplicate members, of which another parser could use the other one
/// (RFC 7515, section 4; RFC 7519, section 4; RFC 8725, section 2.4).
///
/// # Errors
/// Returns an error for malformed JSON, duplicate members, or a type mismatch.
pub(crate) fn from_slice<T>(text: &[u8]) -> Result<T, serde_json::Error>
where
    T: DeserializeOwned,
{
    // A separate pass, so that the check includes members that `T` ignores, and does not depend on
    // features of `serde_json`.
    let NoDuplicates = serde_json::from_slice(text)?;
    serde_json::from_slice(text)
}

/// Any value without duplicate members.
struct NoDuplicates;

impl<'de> Deserialize<'de> for NoDuplicates {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for NoDuplicates {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_seq<A>(self, mut values: A) -> Result<Self, A::Error>
    where
        A: SeqAccess<'de>,
    {
        while let Some(Self) = values.next_element()? {}
        Ok(Self)
    }

    fn visit_map<A>(self, mut members: A) -> Result<Self, A::Error>
    where
        A: MapAccess<'de>,
    {
        let mut names = BTreeSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("duplicate member"));
            }
            let Self = members.next_value()?;
        }
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    // FA14
    #[test]
    fn rejects_duplicate_members_at_every_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":[[{"b":null,"c":1,"b":2}]]}"#,
            r#"[{"a":1},{"b":1,"b":1}]"#,
            r#"{"":0,"":0}"#,
            "{",
            "{} {}",
            "",
            &"[".repeat(10_000),
        ] {
            assert!(from_slice::<Value>(text.as_bytes()).is_err(), "{text:.40}");
        }
        for text in [
            r#"{"a":{"a":{"a":[{"a":1},{"a":1.5e3}]}},"b":[true,null,-1,"x"]}"#,
            "18446744073709551615",
            "7",
        ] {
            let value: Value = from_slice(text.as_bytes()).unwrap();
            assert_eq!(value, serde_json::from_str::<Value>(text).unwrap());
        }
    }
}
