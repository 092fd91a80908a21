//! Checks of tools, which all dialects share.

use serde_json::value::RawValue;
use stockade_core::refusal::Refusal;

use super::refusals::invalid;
use crate::chat::{Tool, ToolChoice};

/// The maximum number of tools in a request.
pub(super) const MAX_TOOLS: usize = 128;
/// The maximum number of tool calls in a message.
pub(super) const MAX_CALLS: usize = 128;
/// The maximum length of a tool's name, which is Anthropic's.
const MAX_NAME: usize = 128;

/// Checks the name of a tool or schema.
pub(super) fn check_name(param: impl Into<String>, name: &str) -> Result<(), Refusal> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(allowed) {
        Ok(())
    } else {
        let text = "it must have from 1 to 128 letters, digits, `_`, `-` or `.`";
        Err(invalid(param, text))
    }
}

/// Checks that a schema is an object.
pub(super) fn check_schema(
    param: impl Into<String>,
    schema: Option<&RawValue>,
) -> Result<(), Refusal> {
    match schema {
        Some(schema) if !schema.get().starts_with('{') => {
            Err(invalid(param, "it must be a JSON schema, as an object"))
        }
        _ => Ok(()),
    }
}

/// Checks a tool whose fields are at `path`, with its schema in the field `schema`.
pub(super) fn check(path: &str, schema: &str, tool: Tool) -> Result<Tool, Refusal> {
    check_name(format!("{path}.name"), &tool.name)?;
    check_schema(format!("{path}.{schema}"), tool.parameters.as_deref())?;
    Ok(tool)
}

/// Reads the modes of OpenAI's `tool_choice`, which can also be an object.
pub(super) fn choice_of_mode(mode: &str) -> Result<ToolChoice, Refusal> {
    match mode {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" => Ok(ToolChoice::Required),
        _ => {
            let text = "it must be one of auto, none, required, or an object with a function";
            Err(invalid("tool_choice", text))
        }
    }
}

/// Checks that the names are unique and that the choice is among the tools.
pub(super) fn check_choice(tools: &[Tool], choice: &ToolChoice) -> Result<(), Refusal> {
    for (at, tool) in tools.iter().enumerate() {
        if tools[..at].iter().any(|other| other.name == tool.name) {
            return Err(invalid(format!("tools[{at}]"), "another tool has its name"));
        }
    }
    match choice {
        ToolChoice::Auto | ToolChoice::None => Ok(()),
        _ if tools.is_empty() => Err(invalid("tool_choice", "it requires `tools`")),
        ToolChoice::Function(name) if tools.iter().all(|tool| tool.name != *name) => {
            Err(invalid("tool_choice", "no tool has this name"))
        }
        ToolChoice::Required | ToolChoice::Function(_) => Ok(()),
    }
}
