//! What the grammar of an answer is: of its response format, or of tool calls.

use super::{BackendError, ChatRequest, grammar::GrammarSource, tool_prompt, validate};
use crate::chat::{Tool, ToolChoice};

/// The constraint of a request.
#[derive(Clone, Debug)]
pub(super) struct Constraint {
    /// `None` if any text is permitted.
    pub(super) source: Option<GrammarSource>,
    /// The field with its schema, for errors.
    pub(super) param: &'static str,
}

impl Constraint {
    /// The constraint of a request whose tools have been validated.
    ///
    /// # Errors
    /// Returns [`BackendError::Invalid`] if a schema is too large or not an object.
    pub(super) fn new(request: &ChatRequest) -> Result<Self, BackendError> {
        let tools: Vec<&Tool> = tool_prompt::active(request).iter().collect();
        let is_single = is_single(request);
        let calls = |tools: &[&Tool]| {
            let source = GrammarSource::of_calls(tools, is_single);
            source.map_err(|error| validate::invalid_schema("tools", &error))
        };
        let forced = match &request.tool_choice {
            ToolChoice::Required => Some(calls(&tools)?),
            ToolChoice::Function(name) => {
                let named = tools.iter().copied().filter(|tool| tool.name == *name);
                Some(calls(&named.collect::<Vec<_>>())?)
            }
            _ => None,
        };
        if forced.is_some() {
            return Ok(Self {
                source: forced,
                param: "tools",
            });
        }
        let param = "response_format.json_schema.schema";
        let format = GrammarSource::of_format(&request.response_format);
        let format = format.map_err(|error| validate::invalid_schema(param, &error))?;
        if format.is_none() && tools.iter().any(|tool| tool.strict) {
            let source = GrammarSource::of_text_with_calls(&tools, is_single);
            let source = source.map_err(|error| validate::invalid_schema("tools", &error))?;
            return Ok(Self {
                source: Some(source),
                param: "tools",
            });
        }
        let source = match format {
            // The model decides whether it calls tools.
            Some(format) if !tools.is_empty() => Some(format.or(&calls(&tools)?)),
            format => format,
        };
        Ok(Self { source, param })
    }

    /// The constraint of a text that starts inside the reasoning.
    pub(super) fn after_reasoning(&self) -> Self {
        Self {
            source: self.source.clone().map(GrammarSource::after_reasoning),
            param: self.param,
        }
    }
}

/// Whether the model may call only one tool.
pub(super) fn is_single(request: &ChatRequest) -> bool {
    let is_named = matches!(request.tool_choice, ToolChoice::Function(_));
    is_named || request.parallel_tool_calls == Some(false)
}
