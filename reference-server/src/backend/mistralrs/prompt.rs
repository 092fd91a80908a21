//! Converts a chat to the engine's request format.

use either::Either;
use image::DynamicImage;
use indexmap::IndexMap;
use mistralrs::{MessageContent, RequestMessage};

use super::{
    ChatRequest, Message, Part, Role,
    reasoning::Reasoning,
    reserved_text::ReservedText,
    tool_prompt::{self, ToolStyle},
};
use crate::chat::Tool;

type EngineMessage = IndexMap<String, MessageContent>;

/// The placeholder of an image in prompts of the Qwen2.5-VL family; the engine repeats the middle
/// token for each token of the image.
const IMAGE: &str = "<|vision_start|><|image_pad|><|vision_end|>";

/// Messages with image placeholders, and the images in the order of the placeholders.
#[derive(Clone, Debug)]
pub(super) struct Prompt {
    messages: Vec<EngineMessage>,
    images: Vec<DynamicImage>,
    /// The tokens to continue, in place of the messages.
    raw: Option<Vec<u32>>,
    reasoning: Reasoning,
}

impl Prompt {
    /// Creates a prompt. `images` are those of the messages, decoded and in their order.
    ///
    /// Texts of clients have no control tokens afterwards.
    pub(super) fn new(
        request: &ChatRequest,
        images: Vec<DynamicImage>,
        style: ToolStyle,
        reserved: &ReservedText,
    ) -> Self {
        let messages = request.messages.iter();
        let messages: Vec<Message> = messages.map(|message| reserved.message(message)).collect();
        let tools = tool_prompt::active(request).iter();
        let tools: Vec<Tool> = tools.map(|tool| reserved.tool(tool)).collect();
        let messages = match style {
            ToolStyle::Template => with_template_tools(&messages, &tools),
            ToolStyle::Messages => with_text_tools(&messages, &tools),
        };
        Self {
            messages,
            images,
            raw: None,
            reasoning: Reasoning::default(),
        }
    }

    /// Creates a prompt of tokens to continue.
    pub(super) fn raw(tokens: Vec<u32>) -> Self {
        Self {
            messages: Vec::new(),
            images: Vec::new(),
            raw: Some(tokens),
            reasoning: Reasoning::default(),
        }
    }

    /// Sets how much the model reasons.
    pub(super) fn with_reasoning(self, reasoning: Reasoning) -> Self {
        Self { reasoning, ..self }
    }

    /// The tokens of a raw prompt.
    pub(super) fn raw_tokens(&self) -> Option<&[u32]> {
        self.raw.as_deref()
    }

    pub(super) fn reasoning(&self) -> Reasoning {
        self.reasoning
    }

    /// The messages without the images.
    pub(super) fn messages(&self) -> Vec<EngineMessage> {
        self.messages.clone()
    }

    /// The messages for a generation. With a `prefix`, the model continues this partial answer
    /// (see `quirks::with_continuation`).
    pub(super) fn to_request(&self, prefix: Option<&str>) -> RequestMessage {
        if let Some(tokens) = &self.raw {
            return RequestMessage::CompletionTokens(tokens.clone());
        }
        let Reasoning { enabled, effort } = self.reasoning;
        let mut messages = self.messages.clone();
        if let Some(text) = prefix {
            let mut answer = engine_message(Role::Assistant, text.to_owned());
            answer.insert("open".to_owned(), Either::Left("yes".to_owned()));
            messages.push(answer);
        }
        if self.images.is_empty() {
            return RequestMessage::Chat {
                messages,
                enable_thinking: enabled,
                reasoning_effort: effort,
            };
        }
        RequestMessage::MultimodalChat {
            images: self.images.clone(),
            audios: Vec::new(),
            videos: Vec::new(),
            messages,
            enable_thinking: enabled,
            reasoning_effort: effort,
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

/// The messages for a chat template that writes tools, which get them in a first message (see
/// `quirks::with_extensions`).
fn with_template_tools(messages: &[Message], tools: &[Tool]) -> Vec<EngineMessage> {
    let mut all = Vec::new();
    if !tools.is_empty() {
        let definitions = tools.iter().map(tool_prompt::definition).collect();
        all.push(EngineMessage::from([(
            "tools".to_owned(),
            Either::Right(definitions),
        )]));
    }
    for message in messages {
        let mut engine = engine_message(message.role, content(&message.parts));
        if !message.tool_calls.is_empty() {
            let calls = message.tool_calls.iter().map(tool_prompt::call).collect();
            engine.insert("tool_calls".to_owned(), Either::Right(calls));
        }
        if let Some(id) = &message.tool_call_id {
            engine.insert("tool_call_id".to_owned(), Either::Left(id.clone()));
        }
        all.push(engine);
    }
    all
}

/// The messages for a chat template that knows no tools, with tools and calls in their texts.
fn with_text_tools(messages: &[Message], tools: &[Tool]) -> Vec<EngineMessage> {
    let mut all: Vec<(Role, String)> = Vec::new();
    let mut follows_result = false;
    for message in messages {
        let mut text = content(&message.parts);
        for call in &message.tool_calls {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&tool_prompt::call_text(call));
        }
        let is_result = message.role == Role::Tool;
        if !is_result {
            all.push((message.role, text));
        } else if let Some((_, results)) = all.last_mut().filter(|_| follows_result) {
            // Chat templates expect an assistant's message after a user's.
            results.push('\n');
            results.push_str(&tool_prompt::result_text(&text));
        } else {
            all.push((Role::User, tool_prompt::result_text(&text)));
        }
        follows_result = is_result;
    }
    if !tools.is_empty() {
        let instructions = tool_prompt::instructions(tools);
        match all.first_mut() {
            Some((Role::System, text)) => {
                text.push_str("\n\n");
                text.push_str(&instructions);
            }
            _ => all.insert(0, (Role::System, instructions)),
        }
    }
    let messages = all.into_iter();
    messages
        .map(|(role, text)| engine_message(role, text))
        .collect()
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
