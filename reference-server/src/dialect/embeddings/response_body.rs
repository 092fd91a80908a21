//! Writes embeddings.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Serialize;

use super::EncodingFormat;
use crate::{dialect::response::to_json, embedding::Embeddings};

#[derive(Serialize)]
struct ListBody<'a> {
    object: &'static str,
    data: Vec<EmbeddingBody<'a>>,
    model: &'a str,
    usage: UsageBody,
}

#[derive(Serialize)]
struct EmbeddingBody<'a> {
    object: &'static str,
    index: usize,
    embedding: VectorBody<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum VectorBody<'a> {
    Float(&'a [f32]),
    Base64(String),
}

#[derive(Serialize)]
struct UsageBody {
    prompt_tokens: usize,
    total_tokens: usize,
}

impl<'a> VectorBody<'a> {
    fn new(vector: &'a [f32], format: EncodingFormat) -> Self {
        match format {
            EncodingFormat::Float => Self::Float(vector),
            EncodingFormat::Base64 => {
                let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                Self::Base64(BASE64_STANDARD.encode(bytes))
            }
        }
    }
}

/// Writes the list of embeddings.
pub(crate) fn write(embeddings: &Embeddings, model: &str, format: EncodingFormat) -> Vec<u8> {
    let vectors = embeddings.vectors.iter().enumerate();
    let data = vectors.map(|(index, vector)| EmbeddingBody {
        object: "embedding",
        index,
        embedding: VectorBody::new(vector, format),
    });
    to_json(&ListBody {
        object: "list",
        data: data.collect(),
        model,
        usage: UsageBody {
            prompt_tokens: embeddings.prompt_tokens,
            total_tokens: embeddings.prompt_tokens,
        },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn writes_numbers_or_their_bytes() {
        let embeddings = Embeddings::new(vec![vec![0.5, -1.0], vec![1.0, 0.0]], 7);
        let body = |format| {
            let bytes = write(&embeddings, "m", format);
            serde_json::from_slice::<Value>(&bytes).unwrap()
        };
        let floats = body(EncodingFormat::Float);
        assert_eq!(
            floats,
            json!({
                "object": "list",
                "data": [
                    {"object": "embedding", "index": 0, "embedding": [0.5, -1.0]},
                    {"object": "embedding", "index": 1, "embedding": [1.0, 0.0]},
                ],
                "model": "m",
                "usage": {"prompt_tokens": 7, "total_tokens": 7},
            })
        );
        let encoded = body(EncodingFormat::Base64);
        // 0x3f000000 and 0xbf800000, the lowest byte first.
        assert_eq!(encoded["data"][0]["embedding"], "AAAAPwAAgL8=");
    }
}
