//! Stop sequences: a string or an array of strings.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor, value::SeqAccessDeserializer},
};

use super::BoundedVec;

/// The maximum number of stop sequences, which is OpenAI's.
const MAX_STOP_SEQUENCES: usize = 4;

/// The strings before which a completion ends.
pub(in crate::api::chat) struct StopSequences(pub(in crate::api::chat) Vec<String>);

impl<'de> Deserialize<'de> for StopSequences {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_any(StopSequencesVisitor)
    }
}

struct StopSequencesVisitor;

impl<'de> Visitor<'de> for StopSequencesVisitor {
    type Value = StopSequences;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of at most 4 strings")
    }

    fn visit_str<E>(self, text: &str) -> Result<StopSequences, E>
    where
        E: Error,
    {
        Ok(StopSequences(vec![text.to_owned()]))
    }

    fn visit_seq<A>(self, seq: A) -> Result<StopSequences, A::Error>
    where
        A: SeqAccess<'de>,
    {
        let stops =
            BoundedVec::<_, MAX_STOP_SEQUENCES>::deserialize(SeqAccessDeserializer::new(seq))?;
        Ok(StopSequences(stops.0))
    }
}
