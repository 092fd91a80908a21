//! Converts a chat to the engine's request format.

use either::Either;
use image::DynamicImage;
use indexmap::IndexMap;
use mistralrs::{MessageContent, RequestMessage};

use super::{Message, Part, Role};

type EngineMessage = IndexMap<String, MessageContent>;

/// The placeholder of an image in prompts of the Qwen2.5-VL family; the engine repeats the middle
/// token for each token of the image.
const IMAGE: &str = "<|vision_start|><|image_pad|><|vision_end|>";

/// Messages with image placeholders, and the images in the order of the placeholders.
#[derive(Clone, Debug)]
pub(super) struct Prompt {
    messages: Vec<EngineMessage>,
    images: Vec<DynamicImage>,
}

impl Prompt {
    /// Creates a prompt. `images` are those of the messages, decoded and in their order.
    pub(super) fn new(messages: &[Message], images: Vec<DynamicImage>) -> Self {
        let messages = messages
            .iter()
            .map(|message| engine_message(message.role, content(&message.parts)));
        Self {
            messages: messages.collect(),
            images,
        }
    }

    /// The messages without the images.
    pub(super) fn messages(&self) -> Vec<EngineMessage> {
        self.messages.clone()
    }

    /// The messages for a generation. With a `prefix`, the model continues this partial answer
    /// (see `quirks::with_continuation`).
    pub(super) fn to_request(&self, prefix: Option<&str>) -> RequestMessage {
        let mut messages = self.messages.clone();
        if let Some(text) = prefix {
            let mut answer = engine_message(Role::Assistant, text.to_owned());
            answer.insert("open".to_owned(), Either::Left("yes".to_owned()));
            messages.push(answer);
        }
        if self.images.is_empty() {
            return RequestMessage::Chat {
                messages,
                enable_thinking: None,
                reasoning_effort: None,
            };
        }
        RequestMessage::MultimodalChat {
            images: self.images.clone(),
            audios: Vec::new(),
            videos: Vec::new(),
            messages,
            enable_thinking: None,
            reasoning_effort: None,
        }
    }
}

/// The parts in their order; a line break separates consecutive texts.
fn content(parts: &[Part]) -> String {
    let mut content = String::new();
    let mut follows_text = false;
    for part in parts {
        match part {
            Part::Text(text) => {
                if follows_text {
                    content.push('\n');
                }
                content.push_str(text);
                follows_text = true;
            }
            Part::Image(_) => {
                content.push_str(IMAGE);
                follows_text = false;
            }
        }
    }
    content
}

fn engine_message(role: Role, content: String) -> EngineMessage {
    let role = match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    IndexMap::from([
        ("role".to_owned(), Either::Left(role.to_owned())),
        ("content".to_owned(), Either::Left(content)),
    ])
}
