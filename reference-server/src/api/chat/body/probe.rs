//! Just enough of a value to see whether it asks for something.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// What is kept of a field that this API does not read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::api::chat) enum Probe {
    /// `null`.
    Null,
    /// `false`, `0`, `""`, `[]`.
    Nothing,
    /// `{}`, by which some fields ask for their defaults.
    EmptyObject,
    /// The number 1.
    One,
    /// One of [`WORDS`].
    Word(&'static str),
    /// An array of only one of [`WORDS`].
    Only(&'static str),
    /// Anything else.
    Something,
}

/// The words that are recognised: each is the default of some field.
const WORDS: [&str; 4] = ["auto", "medium", "none", "text"];

impl Probe {
    fn unless(nothing: bool) -> Self {
        if nothing {
            Self::Nothing
        } else {
            Self::Something
        }
    }
}

impl<'de> Deserialize<'de> for Probe {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_any(ProbeVisitor)
    }
}

struct ProbeVisitor;

impl<'de> Visitor<'de> for ProbeVisitor {
    type Value = Probe;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Probe, E> {
        Ok(Probe::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Probe, E> {
        Ok(Probe::unless(!value))
    }

    fn visit_i64<E>(self, _negative: i64) -> Result<Probe, E> {
        Ok(Probe::Something)
    }

    fn visit_u64<E>(self, value: u64) -> Result<Probe, E> {
        Ok(match value {
            0 => Probe::Nothing,
            1 => Probe::One,
            _ => Probe::Something,
        })
    }

    fn visit_f64<E>(self, value: f64) -> Result<Probe, E> {
        Ok(if value == 1.0 {
            Probe::One
        } else {
            Probe::unless(value == 0.0)
        })
    }

    fn visit_str<E>(self, value: &str) -> Result<Probe, E> {
        let known = WORDS.into_iter().find(|word| *word == value);
        Ok(known.map_or_else(|| Probe::unless(value.is_empty()), Probe::Word))
    }

    fn visit_seq<A>(self, mut seq: A) -> Result<Probe, A::Error>
    where
        A: SeqAccess<'de>,
    {
        let Some(first) = seq.next_element::<Probe>()? else {
            return Ok(Probe::Nothing);
        };
        let mut only = true;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            only = false;
        }
        Ok(match first {
            Probe::Word(word) if only => Probe::Only(word),
            _ => Probe::Something,
        })
    }

    fn visit_map<A>(self, mut map: A) -> Result<Probe, A::Error>
    where
        A: MapAccess<'de>,
    {
        let mut probe = Probe::EmptyObject;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            probe = Probe::Something;
        }
        Ok(probe)
    }
}
