//! The body of an embeddings request: types are checked, values are not yet.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Unexpected, Visitor, value::SeqAccessDeserializer},
};

use crate::dialect::{bounded_vec::BoundedVec, object_body::object_body, string_or::StringOrList};

/// The maximum number of elements of an array that are read before a request is refused.
const MAX_ELEMENTS: usize = 65_536;

object_body! {
    /// An embeddings request as received.
    pub(in crate::dialect) struct EmbeddingsBody<'a>: "an embeddings object" {
        model = "model": String,
        input = "input": StringOrList<'a, ElementBody, MAX_ELEMENTS>,
        dimensions = "dimensions": u64,
        encoding_format = "encoding_format": String,
    }
}

/// An element of the input.
pub(in crate::dialect) enum ElementBody {
    Text(String),
    Token(u32),
    Tokens(Vec<u32>),
}

impl<'de> Deserialize<'de> for ElementBody {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_any(ElementVisitor)
    }
}

struct ElementVisitor;

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = ElementBody;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a token id or an array of token ids")
    }

    fn visit_str<E>(self, text: &str) -> Result<ElementBody, E> {
        Ok(ElementBody::Text(text.to_owned()))
    }

    fn visit_u64<E>(self, token: u64) -> Result<ElementBody, E>
    where
        E: Error,
    {
        let id = u32::try_from(token);
        let id = id.map_err(|_| E::invalid_value(Unexpected::Unsigned(token), &self))?;
        Ok(ElementBody::Token(id))
    }

    fn visit_seq<A>(self, seq: A) -> Result<ElementBody, A::Error>
    where
        A: SeqAccess<'de>,
    {
        let tokens = SeqAccessDeserializer::new(seq);
        let tokens = BoundedVec::<u32, MAX_ELEMENTS>::deserialize(tokens)?;
        Ok(ElementBody::Tokens(tokens.0))
    }
}
