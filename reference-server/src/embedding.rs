//! Texts to embed, and their embeddings.

/// Texts to embed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmbeddingRequest {
    /// The texts; at least one.
    pub inputs: Vec<EmbeddingInput>,
    /// Whether the inputs are elements of a list, for the paths of errors.
    pub is_list: bool,
    /// The length of the vectors, if the request asks for another one than the model's.
    pub dimensions: Option<usize>,
}

impl EmbeddingRequest {
    /// Creates a request for these texts, with vectors of the model's length.
    pub fn new(inputs: Vec<EmbeddingInput>) -> Self {
        Self {
            inputs,
            is_list: true,
            dimensions: None,
        }
    }

    /// The path of the input at this index.
    pub fn param(&self, index: usize) -> String {
        match self.is_list {
            true => format!("input[{index}]"),
            false => "input".to_owned(),
        }
    }
}

/// A text to embed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmbeddingInput {
    /// The text.
    Text(String),
    /// The ids of its tokens, to which the model adds none.
    Tokens(Vec<u32>),
}

/// The embeddings of the inputs of a request.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Embeddings {
    /// A vector of length 1 for each input, in their order.
    pub vectors: Vec<Vec<f32>>,
    /// The number of tokens of all inputs.
    pub prompt_tokens: usize,
}

impl Embeddings {
    /// Creates the embeddings of inputs with this number of tokens.
    pub fn new(vectors: Vec<Vec<f32>>, prompt_tokens: usize) -> Self {
        Self {
            vectors,
            prompt_tokens,
        }
    }
}
