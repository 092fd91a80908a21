//! Reads a messages request.

use stockade_core::refusal::Refusal;

use super::{
    FIELD_RULES,
    body::{FormatBody, MessagesBody, OutputConfigBody, ThinkingBody, ToolBody, ToolChoiceBody},
    content,
    response_writer::MessagesWriter,
};
use crate::{
    chat::{ChatRequest, ResponseFormat, Sampling, Tool, ToolChoice},
    dialect::{
        chat::reasoning_effort,
        json,
        refusals::{invalid, missing, unsupported},
        request::{DialectRequest, Opened, ReadContext},
        sampling, tools,
        unknown_fields::UnknownFieldHandler,
    },
};

/// Reads a request, and validates everything that needs neither the model nor a decoder.
///
/// # Errors
/// Returns a refusal that names the field.
pub(in crate::dialect) fn read(
    bytes: &[u8],
    context: ReadContext<'_>,
) -> Result<DialectRequest, Refusal> {
    let body: MessagesBody<'_> = json::parse(bytes)?;
    if body.max_tokens.is_none() {
        return Err(missing("max_tokens"));
    }
    convert(body, context)
}

/// Like [`read`], for counting the tokens of the prompt: `max_tokens` is optional.
pub(in crate::dialect) fn read_for_count(
    bytes: &[u8],
    context: ReadContext<'_>,
) -> Result<DialectRequest, Refusal> {
    convert(json::parse(bytes)?, context)
}

fn convert(
    mut body: MessagesBody<'_>,
    context: ReadContext<'_>,
) -> Result<DialectRequest, Refusal> {
    let Opened {
        model,
        limits,
        mut unknown,
    } = context.open(body.model.take(), &FIELD_RULES, &body.other_fields)?;

    let stops = body
        .stop_sequences
        .take()
        .map_or_else(Vec::new, |stops| stops.0);
    let parameters = sampling::Parameters {
        temperature: body.temperature,
        top_p: body.top_p,
        top_k: body.top_k,
        ..sampling::Parameters::default()
    };
    let sampling = Sampling {
        max_tokens: limits.max_tokens("max_tokens", body.max_tokens)?,
        stop: sampling::stop("stop_sequences", stops)?,
        ..parameters.read(1.0)?
    };
    let tools = convert_tools(body.tools.take().map_or_else(Vec::new, |tools| tools.0))?;
    let (tool_choice, parallel_tool_calls) = tool_choice(body.tool_choice.take())?;
    tools::check_choice(&tools, &tool_choice)?;
    let shows_thinking = thinking(body.thinking.take(), &mut unknown)?;
    let output = body.output_config.take();
    let effort = output.as_ref().and_then(|output| output.effort.as_deref());
    let reasoning_effort = reasoning_effort("output_config.effort", effort)?;
    let response_format = response_format(output, body.output_format.take())?;

    let messages = body.messages.ok_or_else(|| missing("messages"))?;
    let messages = content::convert_all(messages.0, &mut unknown)?;
    let system = body.system.map(content::system).transpose()?.flatten();
    let messages = system.into_iter().chain(messages).collect();
    let chat = ChatRequest {
        tools,
        tool_choice,
        parallel_tool_calls,
        response_format,
        reasoning_effort,
        extensions: body.extensions,
        ..ChatRequest::new(messages, sampling)
    };
    Ok(DialectRequest {
        writer: Box::new(MessagesWriter::new(
            context.head,
            model.clone(),
            shows_thinking,
        )),
        model,
        chat,
        is_stream: body.stream.unwrap_or(false),
        unknown,
    })
}

fn convert_tools(tools: Vec<ToolBody>) -> Result<Vec<Tool>, Refusal> {
    let convert = |(at, tool): (usize, ToolBody)| {
        let path = format!("tools[{at}]");
        if tool.kind.is_some_and(|kind| kind != "custom") {
            let text = "only tools of type \"custom\" are supported";
            return Err(unsupported(format!("{path}.type"), text));
        }
        let tool = Tool {
            name: tool.name,
            description: tool.description,
            parameters: tool.input_schema,
            strict: tool.strict.unwrap_or(false),
        };
        tools::check(&path, "input_schema", tool)
    };
    tools.into_iter().enumerate().map(convert).collect()
}

/// The choice, and whether the model may call several tools in one turn.
fn tool_choice(body: Option<ToolChoiceBody>) -> Result<(ToolChoice, Option<bool>), Refusal> {
    let Some(body) = body else {
        return Ok((ToolChoice::Auto, None));
    };
    let choice = match (body.kind.as_str(), body.name) {
        ("auto", None) => ToolChoice::Auto,
        ("any", None) => ToolChoice::Required,
        ("none", None) => ToolChoice::None,
        ("tool", Some(name)) => ToolChoice::Function(name),
        ("tool", None) => return Err(missing("tool_choice.name")),
        ("auto" | "any" | "none", Some(_)) => {
            let text = "it requires the type \"tool\"";
            return Err(invalid("tool_choice.name", text));
        }
        _ => {
            let text = "it must be one of auto, any, tool, none";
            return Err(invalid("tool_choice.type", text));
        }
    };
    let parallel = body.disable_parallel_tool_use.map(|disabled| !disabled);
    Ok((choice, parallel))
}

/// Whether the response shows the model's reasoning. How much a model thinks is left to it.
fn thinking(
    body: Option<ThinkingBody>,
    unknown: &mut UnknownFieldHandler,
) -> Result<bool, Refusal> {
    match body.as_ref().map(|body| body.kind.as_str()) {
        None | Some("disabled") => Ok(false),
        Some("enabled" | "adaptive") => {
            unknown.ignore("thinking", "");
            Ok(true)
        }
        Some(_) => {
            let text = "it must be one of enabled, adaptive, disabled";
            Err(invalid("thinking.type", text))
        }
    }
}

/// The required form of the text.
fn response_format(
    config: Option<OutputConfigBody>,
    format: Option<FormatBody>,
) -> Result<ResponseFormat, Refusal> {
    let (path, format) = match (config.and_then(|config| config.format), format) {
        (Some(_), Some(_)) => {
            let text = "it is an alias of `output_config.format`: send only one of them";
            return Err(invalid("output_format", text));
        }
        (Some(format), None) => ("output_config.format", format),
        (None, Some(format)) => ("output_format", format),
        (None, None) => return Ok(ResponseFormat::Text),
    };
    if format.kind != "json_schema" {
        return Err(invalid(format!("{path}.type"), "it must be json_schema"));
    }
    let Some(schema) = format.schema else {
        return Err(missing(format!("{path}.schema")));
    };
    tools::check_schema(format!("{path}.schema"), Some(&*schema))?;
    Ok(ResponseFormat::JsonSchema {
        name: "output".to_owned(),
        description: None,
        schema: Some(schema),
        strict: true,
    })
}

#[cfg(test)]
mod tests;
