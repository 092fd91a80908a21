//! One stop string, or several.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor, value::SeqAccessDeserializer},
};

use super::Few;

/// The most stop strings a chat may have, as at OpenAI.
const MAX_STOPS: usize = 4;

/// Where an answer ends.
pub(in crate::api::chat) struct Stop(pub(in crate::api::chat) Vec<String>);

impl<'de> Deserialize<'de> for Stop {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_any(StopVisitor)
    }
}

struct StopVisitor;

impl<'de> Visitor<'de> for StopVisitor {
    type Value = Stop;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of at most 4 strings")
    }

    fn visit_str<E>(self, text: &str) -> Result<Stop, E>
    where
        E: Error,
    {
        Ok(Stop(vec![text.to_owned()]))
    }

    fn visit_seq<A>(self, seq: A) -> Result<Stop, A::Error>
    where
        A: SeqAccess<'de>,
    {
        let stops = Few::<_, MAX_STOPS>::deserialize(SeqAccessDeserializer::new(seq))?;
        Ok(Stop(stops.0))
    }
}
