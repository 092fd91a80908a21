//! Writes a chat for an upstream that speaks chat completions.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

use crate::chat::{
    ChatRequest, Message, Part, ReasoningEffort, ResponseFormat, Role, Tool, ToolCall, ToolChoice,
};

/// Writes the body of a chat completions request for this model. Images become data URLs.
///
/// A stream is requested with its usage. A raw prompt is not part of this API and is left out.
pub fn write_request(request: &ChatRequest, model: &str, stream: bool) -> Bytes {
    let body = RequestBody {
        request,
        model,
        stream,
    };
    serde_json::to_vec(&body)
        .expect("texts, numbers and raw JSON are JSON")
        .into()
}

struct RequestBody<'a> {
    request: &'a ChatRequest,
    model: &'a str,
    stream: bool,
}

impl Serialize for RequestBody<'_> {
    fn serialize<S>(&self, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        let request = self.request;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("model", self.model)?;
        let messages: Vec<_> = request.messages.iter().map(MessageBody::from).collect();
        map.serialize_entry("messages", &messages)?;
        tools(request, &mut map)?;
        response_format(&request.response_format, &mut map)?;
        sampling(request, &mut map)?;
        if let Some(effort) = request.reasoning_effort {
            map.serialize_entry("reasoning_effort", effort_name(effort))?;
        }
        for (name, value) in &request.extensions {
            map.serialize_entry(name, value)?;
        }
        if self.stream {
            map.serialize_entry("stream", &true)?;
            let options = StreamOptions {
                include_usage: true,
            };
            map.serialize_entry("stream_options", &options)?;
        }
        map.end()
    }
}

/// Writes the tools. Without any, their settings have no effect, and some servers refuse them.
fn tools<M>(request: &ChatRequest, map: &mut M) -> Result<(), M::Error>
where
    M: SerializeMap,
{
    if request.tools.is_empty() {
        return Ok(());
    }
    let tools: Vec<_> = request.tools.iter().map(ToolBody::from).collect();
    map.serialize_entry("tools", &tools)?;
    match &request.tool_choice {
        ToolChoice::Auto => {}
        ToolChoice::None => map.serialize_entry("tool_choice", "none")?,
        ToolChoice::Required => map.serialize_entry("tool_choice", "required")?,
        ToolChoice::Function(name) => map.serialize_entry(
            "tool_choice",
            &ToolChoiceBody {
                kind: "function",
                function: NameBody { name },
            },
        )?,
    }
    option(map, "parallel_tool_calls", request.parallel_tool_calls)
}

fn response_format<M>(format: &ResponseFormat, map: &mut M) -> Result<(), M::Error>
where
    M: SerializeMap,
{
    let body = match format {
        ResponseFormat::Text => return Ok(()),
        ResponseFormat::JsonObject => FormatBody {
            kind: "json_object",
            json_schema: None,
        },
        ResponseFormat::JsonSchema {
            name,
            description,
            schema,
            strict,
        } => FormatBody {
            kind: "json_schema",
            json_schema: Some(SchemaBody {
                name,
                description: description.as_deref(),
                schema: schema.as_deref(),
                strict: *strict,
            }),
        },
    };
    map.serialize_entry("response_format", &body)
}

fn sampling<M>(request: &ChatRequest, map: &mut M) -> Result<(), M::Error>
where
    M: SerializeMap,
{
    let sampling = &request.sampling;
    map.serialize_entry("max_tokens", &sampling.max_tokens)?;
    option(map, "temperature", sampling.temperature)?;
    option(map, "top_p", sampling.top_p)?;
    option(map, "top_k", sampling.top_k)?;
    option(map, "min_p", sampling.min_p)?;
    option(map, "frequency_penalty", sampling.frequency_penalty)?;
    option(map, "presence_penalty", sampling.presence_penalty)?;
    option(map, "repetition_penalty", sampling.repetition_penalty)?;
    if !sampling.logit_bias.is_empty() {
        let bias: BTreeMap<u32, f64> = sampling.logit_bias.iter().copied().collect();
        map.serialize_entry("logit_bias", &bias)?;
    }
    option(map, "seed", sampling.seed.map(u64::cast_signed))?;
    if !sampling.stop.is_empty() {
        map.serialize_entry("stop", &sampling.stop)?;
    }
    if request.choices > 1 {
        map.serialize_entry("n", &request.choices)?;
    }
    if let Some(top) = request.top_logprobs {
        map.serialize_entry("logprobs", &true)?;
        map.serialize_entry("top_logprobs", &top)?;
    }
    Ok(())
}

fn option<M, T>(map: &mut M, name: &str, value: Option<T>) -> Result<(), M::Error>
where
    M: SerializeMap,
    T: Serialize,
{
    match value {
        Some(value) => map.serialize_entry(name, &value),
        None => Ok(()),
    }
}

fn effort_name(effort: ReasoningEffort) -> &'static str {
    match effort {
        ReasoningEffort::None => "none",
        ReasoningEffort::Minimal => "minimal",
        ReasoningEffort::Low => "low",
        ReasoningEffort::Medium => "medium",
        ReasoningEffort::High => "high",
    }
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct MessageBody<'a> {
    role: &'static str,
    content: Option<ContentBody<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCallBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

impl<'a> From<&'a Message> for MessageBody<'a> {
    fn from(message: &'a Message) -> Self {
        let role = match message.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        let content = match message.parts.as_slice() {
            // A message of calls only.
            [] if !message.tool_calls.is_empty() => None,
            [] => Some(ContentBody::Text("")),
            [Part::Text(text)] => Some(ContentBody::Text(text)),
            parts => Some(ContentBody::Parts(
                parts.iter().map(PartBody::from).collect(),
            )),
        };
        Self {
            role,
            content,
            tool_calls: message.tool_calls.iter().map(ToolCallBody::from).collect(),
            tool_call_id: message.tool_call_id.as_deref(),
        }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum ContentBody<'a> {
    Text(&'a str),
    Parts(Vec<PartBody<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum PartBody<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: UrlBody },
}

#[derive(Serialize)]
struct UrlBody {
    url: String,
}

impl<'a> From<&'a Part> for PartBody<'a> {
    fn from(part: &'a Part) -> Self {
        match part {
            Part::Text(text) => Self::Text { text },
            Part::Image(image) => Self::ImageUrl {
                image_url: UrlBody {
                    url: image.file.to_data_url(),
                },
            },
        }
    }
}

#[derive(Serialize)]
struct ToolCallBody<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: CallBody<'a>,
}

#[derive(Serialize)]
struct CallBody<'a> {
    name: &'a str,
    arguments: &'a str,
}

impl<'a> From<&'a ToolCall> for ToolCallBody<'a> {
    fn from(call: &'a ToolCall) -> Self {
        Self {
            id: &call.id,
            kind: "function",
            function: CallBody {
                name: &call.name,
                arguments: &call.arguments,
            },
        }
    }
}

#[derive(Serialize)]
struct ToolBody<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: FunctionBody<'a>,
}

#[derive(Serialize)]
struct FunctionBody<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict: bool,
}

impl<'a> From<&'a Tool> for ToolBody<'a> {
    fn from(tool: &'a Tool) -> Self {
        Self {
            kind: "function",
            function: FunctionBody {
                name: &tool.name,
                description: tool.description.as_deref(),
                parameters: tool.parameters.as_deref(),
                strict: tool.strict,
            },
        }
    }
}

#[derive(Serialize)]
struct ToolChoiceBody<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: NameBody<'a>,
}

#[derive(Serialize)]
struct NameBody<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct FormatBody<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    json_schema: Option<SchemaBody<'a>>,
}

#[derive(Serialize)]
struct SchemaBody<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'a RawValue>,
    strict: bool,
}
