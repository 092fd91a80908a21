//! The messages of a chat.

use super::Image;

/// A message of a chat.
#[derive(Clone, Debug)]
pub struct Message {
    /// The author's role.
    pub role: Role,
    /// The text and images, in their order.
    pub parts: Vec<Part>,
    /// The calls of an assistant's message.
    pub tool_calls: Vec<ToolCall>,
    /// The call that a tool's message answers.
    pub tool_call_id: Option<String>,
}

impl Message {
    /// Creates a message with one text.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            parts: vec![Part::Text(text.into())],
            tool_calls: Vec::new(),
            tool_call_id: None,
        }
    }

    /// The images, in their order.
    pub fn images(&self) -> impl Iterator<Item = &Image> {
        self.parts.iter().filter_map(|part| match part {
            Part::Image(image) => Some(image),
            Part::Text(_) => None,
        })
    }

    /// The texts, in their order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Image(_) => None,
        })
    }
}

/// The role of a message's author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// Instructions (`system`, `developer`).
    System,
    /// The client.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

/// A part of a message.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Part {
    /// A text.
    Text(String),
    /// An image.
    Image(Image),
}

/// A call of a tool by the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// The id, which the tool's message repeats.
    pub id: String,
    /// The name of the tool.
    pub name: String,
    /// The arguments: JSON, as far as the model wrote valid JSON.
    pub arguments: String,
}
