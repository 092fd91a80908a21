//! The biases of tokens, by their ids.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};

/// The maximum number of biases, which is OpenAI's.
const MAX_BIASES: usize = 1_024;

/// The biases of at most 1,024 tokens.
pub(in crate::dialect) struct LogitBias(pub(in crate::dialect) Vec<(u32, f64)>);

impl<'de> Deserialize<'de> for LogitBias {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_map(LogitBiasVisitor)
    }
}

struct LogitBiasVisitor;

impl<'de> Visitor<'de> for LogitBiasVisitor {
    type Value = LogitBias;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with token ids and their biases")
    }

    fn visit_map<A>(self, mut map: A) -> Result<LogitBias, A::Error>
    where
        A: MapAccess<'de>,
    {
        let mut biases = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let token = name.parse().map_err(|_| {
                A::Error::custom("invalid value: a name, expected the id of a token")
            })?;
            if biases.len() == MAX_BIASES {
                return Err(A::Error::custom(format_args!(
                    "more than {MAX_BIASES} elements"
                )));
            }
            biases.push((token, map.next_value()?));
        }
        Ok(LogitBias(biases))
    }
}
