//! The messages of a messages request.
//!
//! A user's message may have the results of tools, which are messages of their own in the
//! canonical form. The order of all blocks is kept, except that an assistant's calls follow its
//! texts.

use stockade_core::refusal::Refusal;

use super::{
    blocks::{BlockError, image},
    body::{BlockBody, MessageBody, ResultBlock, SystemBlock},
};
use crate::{
    chat::{Message, Part, Role, ToolCall},
    dialect::{
        field_rules::FieldRules,
        images::ImageBudget,
        refusals::{invalid, missing},
        string_or::StringOrList,
        tools::{self, MAX_CALLS},
        unknown_fields::UnknownFieldHandler,
    },
};

/// The other fields of a message.
const FIELD_RULES: FieldRules = FieldRules {
    own: MessageBody::FIELDS,
    // Those of a response, which clients send back.
    ignored: &[
        "id",
        "model",
        "stop_reason",
        "stop_sequence",
        "type",
        "usage",
    ],
    unsupported: &[],
};

/// Converts the system prompt.
pub(super) fn system<const MAX: usize>(
    system: StringOrList<'_, SystemBlock, MAX>,
) -> Result<Option<Message>, Refusal> {
    let blocks = match system {
        StringOrList::String(text) => {
            return Ok(Some(Message::text(Role::System, text)));
        }
        StringOrList::List(blocks) => blocks,
    };
    let mut parts = Vec::with_capacity(blocks.len());
    for (at, block) in blocks.into_iter().enumerate() {
        if block.kind != "text" {
            return Err(invalid(format!("system[{at}].type"), "it must be text"));
        }
        parts.push(Part::Text(block.text));
    }
    Ok((!parts.is_empty()).then(|| Message {
        parts,
        ..Message::text(Role::System, "")
    }))
}

/// Converts and validates the messages of a request.
///
/// # Errors
/// Returns a refusal with the path of the message or block.
pub(super) fn convert_all(
    messages: Vec<MessageBody<'_>>,
    unknown: &mut UnknownFieldHandler,
) -> Result<Vec<Message>, Refusal> {
    if messages.is_empty() {
        return Err(invalid("messages", "there must be at least one message"));
    }
    let mut converted = Vec::with_capacity(messages.len());
    let mut budget = ImageBudget::default();
    for (at, message) in messages.into_iter().enumerate() {
        let path = format!("messages[{at}]");
        FIELD_RULES.check(&path, &message.other_fields, unknown)?;
        for (name, _) in &message.extensions {
            unknown.ignore(name, &path);
        }
        let content = message
            .content
            .ok_or_else(|| missing(format!("{path}.content")))?;
        match message.role.as_deref() {
            Some("user") => user(&path, content, &mut budget, &mut converted)?,
            Some("assistant") => converted.push(assistant(&path, content)?),
            Some(_) => {
                let text =
                    "it must be one of user, assistant; use the field `system` for instructions";
                return Err(invalid(format!("{path}.role"), text));
            }
            None => return Err(missing(format!("{path}.role"))),
        }
    }
    Ok(converted)
}

type Content<'a, const MAX: usize> = StringOrList<'a, BlockBody<'a>, MAX>;

fn user<const MAX: usize>(
    path: &str,
    content: Content<'_, MAX>,
    budget: &mut ImageBudget,
    converted: &mut Vec<Message>,
) -> Result<(), Refusal> {
    let blocks = match content {
        StringOrList::String(text) => {
            converted.push(Message::text(Role::User, text));
            return Ok(());
        }
        StringOrList::List(blocks) => blocks,
    };
    if blocks.is_empty() {
        let text = "there must be at least one block";
        return Err(invalid(format!("{path}.content"), text));
    }
    let mut parts = Vec::new();
    let flush = |parts: &mut Vec<Part>, converted: &mut Vec<Message>| {
        if !parts.is_empty() {
            converted.push(Message {
                parts: std::mem::take(parts),
                ..Message::text(Role::User, "")
            });
        }
    };
    for (at, block) in blocks.into_iter().enumerate() {
        let path = format!("{path}.content[{at}]");
        match block.kind.as_str() {
            "text" => parts.push(text(block.text, &path)?),
            "image" => parts.push(image(block.source, &path, budget)?),
            "tool_result" => {
                flush(&mut parts, converted);
                converted.push(tool_result(block, &path, budget)?);
            }
            kind => return Err(BlockError::User.refusal(kind, &path)),
        }
    }
    flush(&mut parts, converted);
    Ok(())
}

fn tool_result(
    block: BlockBody<'_>,
    path: &str,
    budget: &mut ImageBudget,
) -> Result<Message, Refusal> {
    let id = block
        .tool_use_id
        .ok_or_else(|| missing(format!("{path}.tool_use_id")))?;
    let parts = match block.content {
        None => vec![Part::Text(String::new())],
        Some(StringOrList::String(text)) => vec![Part::Text(text.into_owned())],
        Some(StringOrList::List(blocks)) => {
            let convert = |(at, block): (usize, ResultBlock<'_>)| {
                let path = format!("{path}.content[{at}]");
                match block.kind.as_str() {
                    "text" => text(block.text, &path),
                    "image" => image(block.source, &path, budget),
                    kind => Err(BlockError::Result.refusal(kind, &path)),
                }
            };
            let blocks = blocks.into_iter().enumerate();
            blocks.map(convert).collect::<Result<_, _>>()?
        }
    };
    Ok(Message {
        parts,
        tool_call_id: Some(id),
        ..Message::text(Role::Tool, "")
    })
}

fn assistant<const MAX: usize>(path: &str, content: Content<'_, MAX>) -> Result<Message, Refusal> {
    let mut message = Message {
        parts: Vec::new(),
        ..Message::text(Role::Assistant, "")
    };
    let blocks = match content {
        StringOrList::String(text) => return Ok(Message::text(Role::Assistant, text)),
        StringOrList::List(blocks) => blocks,
    };
    for (at, block) in blocks.into_iter().enumerate() {
        let path = format!("{path}.content[{at}]");
        match block.kind.as_str() {
            "text" => message.parts.push(text(block.text, &path)?),
            "tool_use" if message.tool_calls.len() == MAX_CALLS => {
                let text = format!("a message may have at most {MAX_CALLS} calls");
                return Err(invalid(path, text));
            }
            "tool_use" => message.tool_calls.push(tool_use(block, &path)?),
            // Chat templates drop earlier reasoning.
            "thinking" | "redacted_thinking" => {}
            kind => return Err(BlockError::Assistant.refusal(kind, &path)),
        }
    }
    Ok(message)
}

fn tool_use(block: BlockBody<'_>, path: &str) -> Result<ToolCall, Refusal> {
    let name = block.name.ok_or_else(|| missing(format!("{path}.name")))?;
    tools::check_name(format!("{path}.name"), &name)?;
    let arguments = match block.input {
        Some(input) if input.get().starts_with('{') => input.get().to_owned(),
        Some(_) => return Err(invalid(format!("{path}.input"), "it must be an object")),
        None => "{}".to_owned(),
    };
    Ok(ToolCall {
        id: block.id.ok_or_else(|| missing(format!("{path}.id")))?,
        name,
        arguments,
    })
}

fn text(text: Option<String>, path: &str) -> Result<Part, Refusal> {
    text.map(Part::Text)
        .ok_or_else(|| missing(format!("{path}.text")))
}
