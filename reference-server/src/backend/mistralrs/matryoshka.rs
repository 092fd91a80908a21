//! The lengths of vectors that an embedding model has.
//!
//! A model that was trained for it ("Matryoshka") has its most important information in the first
//! numbers, so that its vectors can be cut.

use mistralrs::core::EmbeddingLoaderType;
use serde_json::Value;

/// The lengths of vectors that a model has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Matryoshka {
    /// The length of uncut vectors.
    length: usize,
    shorter: Shorter,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shorter {
    None,
    /// All from this one on.
    From(usize),
    /// These.
    Only(Vec<usize>),
}

impl Matryoshka {
    /// The lengths that `config.json` declares in the fields of vLLM; without them, those that both
    /// families were published with.
    pub(super) fn new(config: &Value, loader: &EmbeddingLoaderType, length: usize) -> Self {
        let declared = config["matryoshka_dimensions"].as_array();
        let shorter = match (declared, config["is_matryoshka"].as_bool()) {
            (_, Some(false)) => Shorter::None,
            (Some(lengths), _) => {
                let lengths = lengths.iter().filter_map(Value::as_u64);
                let lengths = lengths.filter_map(|length| usize::try_from(length).ok());
                Shorter::Only(lengths.collect())
            }
            (None, Some(true)) => Shorter::From(1),
            (None, None) => match loader {
                EmbeddingLoaderType::Qwen3Embedding => Shorter::From(32),
                EmbeddingLoaderType::EmbeddingGemma => Shorter::Only(vec![128, 256, 512]),
            },
        };
        let shorter = match shorter {
            Shorter::Only(lengths) => {
                let lengths = lengths.into_iter().filter(|shorter| *shorter < length);
                Shorter::Only(lengths.collect())
            }
            shorter => shorter,
        };
        Self { length, shorter }
    }

    /// The length of the vectors for a request.
    ///
    /// # Errors
    /// Returns the lengths that the model has, if the request asks for another one.
    pub(super) fn length(&self, asked: Option<usize>) -> Result<usize, String> {
        let length = asked.unwrap_or(self.length);
        let is_shorter = match &self.shorter {
            Shorter::None => false,
            Shorter::From(min) => (*min..self.length).contains(&length),
            Shorter::Only(lengths) => lengths.contains(&length),
        };
        if is_shorter || length == self.length {
            return Ok(length);
        }
        let full = self.length;
        Err(match &self.shorter {
            Shorter::From(min) if *min < full => {
                format!("the vectors of this model have {min} to {full} dimensions")
            }
            Shorter::Only(lengths) if !lengths.is_empty() => {
                let lengths = lengths.iter().map(|length| format!("{length}, "));
                let lengths: String = lengths.collect();
                format!("the vectors of this model have {lengths}or {full} dimensions")
            }
            _ => format!("the vectors of this model have {full} dimensions and cannot be cut"),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lengths(config: &Value, loader: EmbeddingLoaderType) -> Vec<usize> {
        let matryoshka = Matryoshka::new(config, &loader, 64);
        assert_eq!(matryoshka.length(None), Ok(64));
        let all = 0..=65;
        all.filter(|length| matryoshka.length(Some(*length)).is_ok())
            .collect()
    }

    #[test]
    fn has_the_declared_lengths() {
        use EmbeddingLoaderType::{EmbeddingGemma, Qwen3Embedding};

        let none = json!({});
        let from = |min| (min..=64).collect::<Vec<_>>();
        assert_eq!(lengths(&none, Qwen3Embedding), from(32));
        assert_eq!(lengths(&none, EmbeddingGemma), [64]);
        for (config, expected) in [
            (json!({"is_matryoshka": true}), from(1)),
            (json!({"is_matryoshka": false}), vec![64]),
            (json!({"matryoshka_dimensions": [16, 8]}), vec![8, 16, 64]),
        ] {
            assert_eq!(lengths(&config, Qwen3Embedding), expected, "{config}");
        }
    }

    #[test]
    fn names_the_lengths() {
        let message = |config: Value| {
            let loader = EmbeddingLoaderType::Qwen3Embedding;
            let matryoshka = Matryoshka::new(&config, &loader, 64);
            matryoshka.length(Some(65)).unwrap_err()
        };
        assert!(message(json!({})).ends_with("have 32 to 64 dimensions"));
        let declared = json!({"matryoshka_dimensions": [16, 32]});
        assert!(message(declared).ends_with("have 16, 32, or 64 dimensions"));
        let fixed = json!({"is_matryoshka": false});
        assert!(message(fixed).ends_with("cannot be cut"));
    }
}
