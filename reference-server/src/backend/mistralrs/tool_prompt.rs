//! Tools and their calls in the prompt.
//!
//! Models that were trained for tools write a call as JSON between tags. If the chat template
//! writes tools in this format (Qwen2.5, Qwen3, Hermes), it gets the tools. For other models the
//! same text is written to the messages.

use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::chat::{ChatRequest, Tool, ToolCall, ToolChoice};

/// The tags around a call.
pub(super) const OPEN: &str = "<tool_call>";
pub(super) const CLOSE: &str = "</tool_call>";

/// How tools reach the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ToolStyle {
    /// The chat template writes them.
    Template,
    /// They are written to the messages.
    Messages,
}

impl ToolStyle {
    /// The style for a chat template.
    pub(super) fn of(template: &str) -> Self {
        // Some templates use the tags with another format of calls between them.
        let is_json = template.contains(OPEN) && !template.contains("<function=");
        if is_json && template.contains("tools") && template.contains("tool_calls") {
            Self::Template
        } else {
            Self::Messages
        }
    }
}

/// The tools that the model may call; none if the request forbids calls.
pub(super) fn active(request: &ChatRequest) -> &[Tool] {
    if request.tool_choice == ToolChoice::None {
        &[]
    } else {
        &request.tools
    }
}

/// A tool as OpenAI's API and chat templates define it.
pub(super) fn definition(tool: &Tool) -> IndexMap<String, Value> {
    let mut function = json!({ "name": tool.name });
    if let Some(description) = &tool.description {
        function["description"] = description.as_str().into();
    }
    function["parameters"] = parameters(tool);
    IndexMap::from([
        ("type".to_owned(), "function".into()),
        ("function".to_owned(), function),
    ])
}

/// A call as chat templates expect it: the arguments are an object.
pub(super) fn call(call: &ToolCall) -> IndexMap<String, Value> {
    let function = json!({ "name": call.name, "arguments": arguments(call) });
    IndexMap::from([
        ("id".to_owned(), call.id.as_str().into()),
        ("type".to_owned(), "function".into()),
        ("function".to_owned(), function),
    ])
}

/// The text of a call.
pub(super) fn call_text(call: &ToolCall) -> String {
    let call = json!({ "name": call.name, "arguments": arguments(call) });
    format!("{OPEN}\n{call}\n{CLOSE}")
}

/// The text of a tool's result.
pub(super) fn result_text(content: &str) -> String {
    format!("<tool_response>\n{content}\n</tool_response>")
}

/// The instructions for models whose chat template does not write tools.
pub(super) fn instructions(tools: &[Tool]) -> String {
    let definitions: Vec<String> = tools
        .iter()
        .map(|tool| json!(definition(tool)).to_string())
        .collect();
    format!(
        "# Tools\n\n\
         The functions that you can call are defined between the <tools> tags, one per line:\n\
         <tools>\n{}\n</tools>\n\n\
         To call a function, write a JSON object with its name and its arguments between \
         {OPEN} tags:\n\
         {OPEN}\n{{\"name\": \"the name\", \"arguments\": {{\"the argument\": \"its value\"}}}}\n\
         {CLOSE}",
        definitions.join("\n")
    )
}

fn parameters(tool: &Tool) -> Value {
    let schema = tool.parameters.as_ref();
    let schema = schema.and_then(|schema| serde_json::from_str(schema.get()).ok());
    schema.unwrap_or_else(|| json!({ "type": "object", "properties": {} }))
}

/// The arguments as JSON, or as a string if they are not JSON.
fn arguments(call: &ToolCall) -> Value {
    serde_json::from_str(&call.arguments).unwrap_or_else(|_| call.arguments.as_str().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_with_another_format_get_no_tools() {
        let qwen = "{% if tools %}<tool_call>{% endif %}{{ message.tool_calls }}";
        assert_eq!(ToolStyle::of(qwen), ToolStyle::Template);
        for template in [
            "{{ messages }}",
            "{% if tools %}[TOOL_CALLS]{{ message.tool_calls }}",
            "{% if tools %}<tool_call><function=x>{{ message.tool_calls }}",
        ] {
            assert_eq!(ToolStyle::of(template), ToolStyle::Messages);
        }
    }

    #[test]
    fn arguments_are_json_if_possible() {
        let call = |arguments: &str| ToolCall {
            id: "call_1".to_owned(),
            name: "click".to_owned(),
            arguments: arguments.to_owned(),
        };
        assert_eq!(
            call_text(&call(r#"{"x":1}"#)),
            "<tool_call>\n{\"name\":\"click\",\"arguments\":{\"x\":1}}\n</tool_call>"
        );
        assert!(call_text(&call("x=1")).contains(r#""arguments":"x=1""#));
    }
}
