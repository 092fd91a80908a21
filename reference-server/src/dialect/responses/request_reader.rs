//! Reads a responses request.

use stockade_core::refusal::Refusal;

use super::{
    FIELD_RULES,
    body::{FormatBody, ResponsesBody, TextBody, ToolBody, ToolChoiceBody},
    input,
    response_writer::{Echo, ResponsesWriter},
};
use crate::{
    chat::{ChatRequest, Message, ResponseFormat, Role, Sampling, Tool, ToolChoice},
    dialect::{
        chat::reasoning_effort,
        json,
        limits::ChatLimits,
        refusals::{invalid, missing, unsupported},
        request::{DialectRequest, Opened, ReadContext},
        sampling,
        string_or::StringOrObject,
        tools,
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
    let mut body: ResponsesBody<'_> = json::parse(bytes)?;
    let Opened {
        model,
        limits,
        unknown,
    } = context.open(body.model.take(), &FIELD_RULES, &body.other_fields)?;

    let stream = body.stream.unwrap_or(false);
    let options = body.stream_options.take();
    if options.is_some_and(|options| options.include_obfuscation == Some(true)) {
        let text = "it is not supported by this server";
        return Err(unsupported("stream_options.include_obfuscation", text));
    }
    let sampling = read_sampling(&body, limits)?;
    let top_logprobs = top_logprobs(body.top_logprobs)?;
    let tools = convert_tools(body.tools.take().map_or_else(Vec::new, |tools| tools.0))?;
    let tool_choice = tool_choice(body.tool_choice.take())?;
    tools::check_choice(&tools, &tool_choice)?;
    let response_format = response_format(body.text.take())?;
    let effort = body.reasoning.take().and_then(|reasoning| reasoning.effort);
    let reasoning_effort = reasoning_effort("reasoning.effort", effort.as_deref())?;
    tools::check_schema("metadata", body.metadata.as_deref())?;

    let input = body.input.take().ok_or_else(|| missing("input"))?;
    let instructions = body.instructions.take();
    let system = instructions
        .as_ref()
        .map(|text| Message::text(Role::System, text.as_str()));
    let messages = system.into_iter().chain(input::convert(input)?).collect();
    let chat = ChatRequest {
        tools,
        tool_choice,
        parallel_tool_calls: body.parallel_tool_calls,
        response_format,
        top_logprobs,
        reasoning_effort,
        extensions: body.extensions,
        ..ChatRequest::new(messages, sampling)
    };
    let echo = Echo {
        instructions,
        effort,
        metadata: body.metadata,
        max_output_tokens: body.max_output_tokens,
    };
    let writer = ResponsesWriter::new(context.head, model.clone(), &chat, echo);
    Ok(DialectRequest {
        writer: Box::new(writer),
        model,
        chat,
        is_stream: stream,
        unknown,
    })
}

fn read_sampling(body: &ResponsesBody<'_>, limits: ChatLimits) -> Result<Sampling, Refusal> {
    let parameters = sampling::Parameters {
        temperature: body.temperature,
        top_p: body.top_p,
        top_k: body.top_k,
        min_p: body.min_p,
        repetition_penalty: body.repetition_penalty,
        ..sampling::Parameters::default()
    };
    Ok(Sampling {
        max_tokens: limits.max_tokens("max_output_tokens", body.max_output_tokens)?,
        ..parameters.read(2.0)?
    })
}

fn top_logprobs(top: Option<u64>) -> Result<Option<u8>, Refusal> {
    match top.map(u8::try_from) {
        None | Some(Ok(0)) => Ok(None),
        Some(Ok(top @ 1..=20)) => Ok(Some(top)),
        Some(_) => Err(invalid("top_logprobs", "it must be from 0 to 20")),
    }
}

fn convert_tools(tools: Vec<ToolBody>) -> Result<Vec<Tool>, Refusal> {
    let convert = |(at, tool): (usize, ToolBody)| {
        let path = format!("tools[{at}]");
        if tool.kind != "function" {
            let text = "only tools of type \"function\" are supported";
            return Err(unsupported(format!("{path}.type"), text));
        }
        let name = tool.name.ok_or_else(|| missing(format!("{path}.name")))?;
        let tool = Tool {
            name,
            description: tool.description,
            parameters: tool.parameters,
            strict: tool.strict.unwrap_or(false),
        };
        tools::check(&path, "parameters", tool)
    };
    tools.into_iter().enumerate().map(convert).collect()
}

fn tool_choice(choice: Option<StringOrObject<'_, ToolChoiceBody>>) -> Result<ToolChoice, Refusal> {
    match choice {
        None => Ok(ToolChoice::Auto),
        Some(StringOrObject::String(mode)) => tools::choice_of_mode(&mode),
        Some(StringOrObject::Object(body)) => match body.name {
            Some(name) if body.kind == "function" => Ok(ToolChoice::Function(name)),
            Some(_) | None => {
                let text = "only {\"type\": \"function\", \"name\": …} is supported";
                Err(unsupported("tool_choice", text))
            }
        },
    }
}

fn response_format(text: Option<TextBody>) -> Result<ResponseFormat, Refusal> {
    let Some(text) = text else {
        return Ok(ResponseFormat::Text);
    };
    if text
        .verbosity
        .is_some_and(|verbosity| verbosity != "medium")
    {
        let text = "only \"medium\" is supported by this server";
        return Err(unsupported("text.verbosity", text));
    }
    match text.format {
        None => Ok(ResponseFormat::Text),
        Some(format) => match format.kind.as_str() {
            "text" => Ok(ResponseFormat::Text),
            "json_object" => Ok(ResponseFormat::JsonObject),
            "json_schema" => json_schema(format),
            _ => {
                let text = "it must be one of text, json_object, json_schema";
                Err(unsupported("text.format.type", text))
            }
        },
    }
}

fn json_schema(format: FormatBody) -> Result<ResponseFormat, Refusal> {
    let name = format.name.ok_or_else(|| missing("text.format.name"))?;
    tools::check_name("text.format.name", &name)?;
    tools::check_schema("text.format.schema", format.schema.as_deref())?;
    Ok(ResponseFormat::JsonSchema {
        name,
        description: format.description,
        schema: format.schema,
        strict: format.strict.unwrap_or(false),
    })
}

#[cfg(test)]
mod tests;
