//! The input of a responses request.
//!
//! A function call is an item of its own; in the canonical form, it belongs to the assistant's
//! message before it.

use stockade_core::refusal::Refusal;

use super::body::{ItemBody, PartBody};
use crate::{
    chat::{EncodedImage, Message, Part, Role, ToolCall},
    dialect::{
        images::ImageBudget,
        refusals::{invalid, missing, unsupported},
        string_or::StringOrList,
        tools::{self, MAX_CALLS},
    },
};

/// Converts and validates the input.
///
/// # Errors
/// Returns a refusal with the path of the item or part.
pub(super) fn convert<const MAX: usize>(
    input: StringOrList<'_, ItemBody<'_>, MAX>,
) -> Result<Vec<Message>, Refusal> {
    let items = match input {
        StringOrList::String(text) => return Ok(vec![Message::text(Role::User, text)]),
        StringOrList::List(items) => items,
    };
    if items.is_empty() {
        return Err(invalid("input", "there must be at least one item"));
    }
    let mut messages = Vec::with_capacity(items.len());
    let mut budget = ImageBudget::default();
    for (at, item) in items.into_iter().enumerate() {
        let path = format!("input[{at}]");
        match item.kind.as_deref().unwrap_or("message") {
            "message" => messages.push(message(item, &path, &mut budget)?),
            "function_call" => call(item, &path, &mut messages)?,
            "function_call_output" => messages.push(output(item, &path, &mut budget)?),
            // Chat templates drop earlier reasoning.
            "reasoning" => {}
            "item_reference" => {
                let text = "nothing is stored here: send the item itself";
                return Err(unsupported(format!("{path}.type"), text));
            }
            _ => {
                let text = "it must be one of message, function_call, function_call_output, \
                            reasoning";
                return Err(unsupported(format!("{path}.type"), text));
            }
        }
    }
    if messages.is_empty() {
        return Err(invalid("input", "there must be at least one message"));
    }
    Ok(messages)
}

fn message(item: ItemBody<'_>, path: &str, budget: &mut ImageBudget) -> Result<Message, Refusal> {
    let role = match item.role.as_deref() {
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some(_) => {
            let text = "it must be one of system, developer, user, assistant";
            return Err(invalid(format!("{path}.role"), text));
        }
        None => return Err(missing(format!("{path}.role"))),
    };
    let Some(content) = item.content else {
        return Err(missing(format!("{path}.content")));
    };
    Ok(Message {
        parts: parts(role, content, &format!("{path}.content"), budget)?,
        ..Message::text(role, "")
    })
}

fn call(item: ItemBody<'_>, path: &str, messages: &mut Vec<Message>) -> Result<(), Refusal> {
    let name = item.name.ok_or_else(|| missing(format!("{path}.name")))?;
    tools::check_name(format!("{path}.name"), &name)?;
    let call = ToolCall {
        id: item
            .call_id
            .ok_or_else(|| missing(format!("{path}.call_id")))?,
        name,
        arguments: item.arguments.unwrap_or_default(),
    };
    match messages.last_mut() {
        Some(message) if message.role == Role::Assistant => {
            if message.tool_calls.len() == MAX_CALLS {
                let text = format!("a turn may have at most {MAX_CALLS} calls");
                return Err(invalid(path, text));
            }
            message.tool_calls.push(call);
        }
        _ => messages.push(Message {
            parts: Vec::new(),
            tool_calls: vec![call],
            ..Message::text(Role::Assistant, "")
        }),
    }
    Ok(())
}

fn output(item: ItemBody<'_>, path: &str, budget: &mut ImageBudget) -> Result<Message, Refusal> {
    let id = item
        .call_id
        .ok_or_else(|| missing(format!("{path}.call_id")))?;
    let Some(output) = item.output else {
        return Err(missing(format!("{path}.output")));
    };
    Ok(Message {
        parts: parts(Role::Tool, output, &format!("{path}.output"), budget)?,
        tool_call_id: Some(id),
        ..Message::text(Role::Tool, "")
    })
}

fn parts<const MAX: usize>(
    role: Role,
    content: StringOrList<'_, PartBody<'_>, MAX>,
    path: &str,
    budget: &mut ImageBudget,
) -> Result<Vec<Part>, Refusal> {
    match content {
        StringOrList::String(text) => Ok(vec![Part::Text(text.into_owned())]),
        StringOrList::List(parts) => {
            let parts = parts.into_iter().enumerate();
            let parts = parts.map(|(at, body)| part(role, body, &format!("{path}[{at}]"), budget));
            parts.collect()
        }
    }
}

fn part(
    role: Role,
    part: PartBody<'_>,
    path: &str,
    budget: &mut ImageBudget,
) -> Result<Part, Refusal> {
    match (part.kind.as_str(), part.text, part.image_url) {
        ("input_text" | "output_text" | "text", Some(text), None) => Ok(Part::Text(text)),
        ("input_image", None, Some(url)) => {
            if !matches!(role, Role::User | Role::Tool) {
                let text = "only messages of the user and outputs of functions may have images";
                return Err(invalid(path, text));
            }
            budget.add(EncodedImage::from_url(&url), format!("{path}.image_url"))
        }
        ("input_text" | "output_text" | "text", ..) => Err(missing(format!("{path}.text"))),
        ("input_image", ..) => Err(missing(format!("{path}.image_url"))),
        _ => Err(unsupported(
            format!("{path}.type"),
            "it must be one of input_text, output_text, input_image",
        )),
    }
}
