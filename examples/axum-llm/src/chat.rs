//! The chat handler. Its requests have passed the fence: the caller is authenticated and the
//! body is valid.

mod answer;

use axum::{
    Extension, Json,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use stockade::Authenticated;
use stockade_body::ValidatedImages;
use stockade_core::context::RequestContext;

use crate::parrot;
use answer::Answer;

/// The default for requests without `max_tokens`.
const MAX_TOKENS: u64 = 512;

/// The fields of OpenAI's request that this model uses.
#[derive(Debug, Deserialize)]
pub(crate) struct Chat {
    messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
}

#[derive(Debug, Deserialize)]
struct Message {
    content: Content,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// A text part, or an image part, which the handler receives from the fence instead.
#[derive(Debug, Deserialize)]
struct Part {
    #[serde(default)]
    text: String,
}

impl Chat {
    fn prompt(&self) -> String {
        let texts = self
            .messages
            .iter()
            .flat_map(|message| match &message.content {
                Content::Text(text) => vec![text.as_str()],
                Content::Parts(parts) => parts.iter().map(|part| part.text.as_str()).collect(),
            });
        texts.collect::<Vec<_>>().join(" ")
    }
}

pub(crate) async fn chat(
    Authenticated(caller): Authenticated,
    Extension(context): Extension<RequestContext>,
    images: Option<Extension<ValidatedImages>>,
    Json(chat): Json<Chat>,
) -> Response {
    let images = images.map_or_else(ValidatedImages::default, |Extension(images)| images);
    tracing::info!(
        caller = caller.id(),
        images = images.as_slice().len(),
        "chat"
    );
    let requested = context.model_request().and_then(|demand| demand.max_tokens);
    let max_tokens = requested.unwrap_or(MAX_TOKENS);
    let prompt = chat.prompt();
    let words = parrot::speak(&prompt, &images, max_tokens);
    let answer = Answer::new(
        context,
        words,
        prompt.split_whitespace().count(),
        max_tokens,
    );
    match chat.stream {
        true => answer.stream().into_response(),
        false => answer.whole().await.into_response(),
    }
}
