//! The kind of a JSON value, to tell whether an unsupported field has an effect.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// The kind of the value of a field that the API does not read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::dialect) enum ValueKind {
    /// `null`.
    Null,
    /// `false`, `0`, `""`, `[]`.
    Empty,
    /// `{}`, which enables some fields with their defaults.
    EmptyObject,
    /// The number 1.
    One,
    /// One of [`WORDS`].
    Word(&'static str),
    /// An array with one of [`WORDS`] as its only element.
    WordArray(&'static str),
    /// Anything else.
    Other,
}

/// The recognised words, each of which is the default of a field.
const WORDS: [&str; 5] = ["auto", "disabled", "medium", "none", "text"];

impl ValueKind {
    fn empty_if(is_empty: bool) -> Self {
        if is_empty { Self::Empty } else { Self::Other }
    }
}

impl<'de> Deserialize<'de> for ValueKind {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_any(ValueKindVisitor)
    }
}

struct ValueKindVisitor;

impl<'de> Visitor<'de> for ValueKindVisitor {
    type Value = ValueKind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<ValueKind, E> {
        Ok(ValueKind::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<ValueKind, E> {
        Ok(ValueKind::empty_if(!value))
    }

    fn visit_i64<E>(self, _negative: i64) -> Result<ValueKind, E> {
        Ok(ValueKind::Other)
    }

    fn visit_u64<E>(self, value: u64) -> Result<ValueKind, E> {
        Ok(match value {
            0 => ValueKind::Empty,
            1 => ValueKind::One,
            _ => ValueKind::Other,
        })
    }

    fn visit_f64<E>(self, value: f64) -> Result<ValueKind, E> {
        Ok(if value == 1.0 {
            ValueKind::One
        } else {
            ValueKind::empty_if(value == 0.0)
        })
    }

    fn visit_str<E>(self, value: &str) -> Result<ValueKind, E> {
        let known = WORDS.into_iter().find(|word| *word == value);
        Ok(known.map_or_else(|| ValueKind::empty_if(value.is_empty()), ValueKind::Word))
    }

    fn visit_seq<A>(self, mut seq: A) -> Result<ValueKind, A::Error>
    where
        A: SeqAccess<'de>,
    {
        let Some(first) = seq.next_element::<ValueKind>()? else {
            return Ok(ValueKind::Empty);
        };
        let mut is_single = true;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            is_single = false;
        }
        Ok(match first {
            ValueKind::Word(word) if is_single => ValueKind::WordArray(word),
            _ => ValueKind::Other,
        })
    }

    fn visit_map<A>(self, mut map: A) -> Result<ValueKind, A::Error>
    where
        A: MapAccess<'de>,
    {
        let mut kind = ValueKind::EmptyObject;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            kind = ValueKind::Other;
        }
        Ok(kind)
    }
}
