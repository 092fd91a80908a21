//! The chat as a handler takes it, with the rules of an OpenAI request.

use garde::Validate;
use serde::Deserialize;

/// A chat completion request.
#[derive(Debug, Deserialize, Validate)]
pub(crate) struct Chat {
    #[garde(length(min = 1, max = 256))]
    model: String,
    #[garde(length(min = 1, max = 1_000), dive)]
    messages: Vec<Message>,
    #[garde(inner(range(min = 1, max = 1_000_000)))]
    max_tokens: Option<u32>,
    #[garde(inner(range(min = 0.0, max = 2.0)))]
    temperature: Option<f32>,
    #[garde(inner(range(min = 0.0, max = 1.0)))]
    top_p: Option<f32>,
    #[garde(inner(range(min = 1, max = 16)))]
    n: Option<u32>,
    #[garde(skip)]
    #[expect(dead_code, reason = "only deserialized")]
    stream: Option<bool>,
    #[garde(inner(length(max = 256)))]
    user: Option<String>,
}

#[derive(Debug, Deserialize, Validate)]
struct Message {
    #[garde(skip)]
    #[expect(dead_code, reason = "only deserialized")]
    role: Role,
    #[garde(dive)]
    content: Option<Content>,
    #[garde(inner(length(max = 256)))]
    tool_call_id: Option<String>,
    #[garde(inner(length(max = 64)))]
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(untagged)]
enum Content {
    Text(#[garde(length(max = 1_000_000))] String),
    Parts(#[garde(length(max = 100), dive)] Vec<Part>),
}

#[derive(Debug, Deserialize, Validate)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    Text {
        #[garde(length(max = 1_000_000))]
        text: String,
    },
    ImageUrl {
        #[garde(dive)]
        image_url: ImageUrl,
    },
}

#[derive(Debug, Deserialize, Validate)]
struct ImageUrl {
    #[garde(length(max = 20_000_000))]
    url: String,
    #[garde(inner(length(max = 16)))]
    detail: Option<String>,
}
