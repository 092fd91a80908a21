//! Reads a chat completions request.

use stockade_core::refusal::Refusal;

use super::{
    FIELD_RULES,
    body::{ChatBody, LogitBias, ResponseFormatBody, StreamOptions, ToolBody, ToolChoiceBody},
    message,
    response_writer::ChatWriter,
};
use crate::{
    chat::{ChatRequest, ReasoningEffort, ResponseFormat, Sampling, Tool, ToolChoice},
    dialect::{
        json,
        limits::ChatLimits,
        refusals::{invalid, missing, unsupported},
        request::{DialectRequest, Opened, ReadContext},
        sampling,
        string_or::{StringOrList, StringOrObject},
        tools,
    },
};

/// The maximum number of choices.
const MAX_CHOICES: u64 = 8;

/// Reads a chat, and validates everything that needs neither the model nor a decoder.
///
/// # Errors
/// Returns a refusal that names the field.
pub(in crate::dialect) fn read(
    bytes: &[u8],
    context: ReadContext<'_>,
) -> Result<DialectRequest, Refusal> {
    let mut body: ChatBody<'_> = json::parse(bytes)?;
    let Opened {
        model,
        limits,
        mut unknown,
    } = context.open(body.model.take(), &FIELD_RULES, &body.other_fields)?;

    let stream = body.stream.unwrap_or(false);
    let include_usage = stream_options(stream, body.stream_options.take())?;
    let sampling = read_sampling(&mut body, limits)?;
    let choices = choices(body.n)?;
    let top_logprobs = top_logprobs(body.logprobs, body.top_logprobs)?;
    let tools = convert_tools(body.tools.take().map_or_else(Vec::new, |tools| tools.0))?;
    let tool_choice = tool_choice(body.tool_choice.take())?;
    tools::check_choice(&tools, &tool_choice)?;
    let response_format = response_format(body.response_format.take())?;
    let reasoning_effort = reasoning_effort("reasoning_effort", body.reasoning_effort.as_deref())?;

    let messages = body.messages.ok_or_else(|| missing("messages"))?;
    let chat = ChatRequest {
        tools,
        tool_choice,
        parallel_tool_calls: body.parallel_tool_calls,
        response_format,
        choices,
        top_logprobs,
        reasoning_effort,
        extensions: body.extensions,
        ..ChatRequest::new(message::convert_all(messages.0, &mut unknown)?, sampling)
    };
    Ok(DialectRequest {
        writer: Box::new(ChatWriter::new(
            context.head,
            model.clone(),
            &chat,
            include_usage,
        )),
        model,
        chat,
        is_stream: stream,
        unknown,
    })
}

/// Whether the stream has a chunk with the usage.
pub(in crate::dialect) fn stream_options(
    stream: bool,
    options: Option<StreamOptions>,
) -> Result<bool, Refusal> {
    let Some(options) = options else {
        return Ok(false);
    };
    if !stream {
        return Err(invalid("stream_options", "it requires \"stream\": true"));
    }
    for (name, value) in [
        ("include_obfuscation", options.include_obfuscation),
        ("continuous_usage_stats", options.continuous_usage_stats),
    ] {
        if value == Some(true) {
            let param = format!("stream_options.{name}");
            return Err(unsupported(param, "it is not supported by this server"));
        }
    }
    Ok(options.include_usage.unwrap_or(false))
}

fn read_sampling(body: &mut ChatBody<'_>, limits: ChatLimits) -> Result<Sampling, Refusal> {
    let parameters = sampling::Parameters {
        temperature: body.temperature,
        top_p: body.top_p,
        top_k: body.top_k,
        min_p: body.min_p,
        frequency_penalty: body.frequency_penalty,
        presence_penalty: body.presence_penalty,
        repetition_penalty: body.repetition_penalty,
    };
    let (param, asked) = match (body.max_completion_tokens, body.max_tokens) {
        (Some(_), Some(_)) => {
            let text = "it is an alias of `max_completion_tokens`: send only one of them";
            return Err(invalid("max_tokens", text));
        }
        (Some(asked), None) => ("max_completion_tokens", Some(asked)),
        (None, asked) => ("max_tokens", asked),
    };
    Ok(Sampling {
        max_tokens: limits.max_tokens(param, asked)?,
        logit_bias: logit_bias(body.logit_bias.take())?,
        // Any integer is a seed; negative ones are reinterpreted as unsigned.
        seed: body.seed.map(i64::cast_unsigned),
        stop: sampling::stop("stop", stop_sequences(body.stop.take()))?,
        ..parameters.read(2.0)?
    })
}

/// The biases of tokens.
pub(in crate::dialect) fn logit_bias(
    biases: Option<LogitBias>,
) -> Result<Vec<(u32, f64)>, Refusal> {
    let biases = biases.map_or_else(Vec::new, |biases| biases.0);
    for (_, bias) in &biases {
        sampling::within("logit_bias", Some(*bias), -100.0..=100.0)?;
    }
    Ok(biases)
}

/// The stop sequences of a string or a list.
pub(in crate::dialect) fn stop_sequences<const MAX: usize>(
    stop: Option<StringOrList<'_, String, MAX>>,
) -> Vec<String> {
    match stop {
        None => Vec::new(),
        Some(StringOrList::String(stop)) => vec![stop.into_owned()],
        Some(StringOrList::List(stops)) => stops,
    }
}

/// The number of choices.
pub(in crate::dialect) fn choices(n: Option<u64>) -> Result<u32, Refusal> {
    match n.unwrap_or(1) {
        n @ 1..=MAX_CHOICES => Ok(u32::try_from(n).expect("at most MAX_CHOICES")),
        _ => Err(invalid("n", format!("it must be from 1 to {MAX_CHOICES}"))),
    }
}

fn top_logprobs(logprobs: Option<bool>, top: Option<u64>) -> Result<Option<u8>, Refusal> {
    match (logprobs.unwrap_or(false), top) {
        (false, None | Some(0)) => Ok(None),
        (false, Some(_)) => Err(invalid("top_logprobs", "it requires \"logprobs\": true")),
        (true, top) => match u8::try_from(top.unwrap_or(0)) {
            Ok(top @ 0..=20) => Ok(Some(top)),
            _ => Err(invalid("top_logprobs", "it must be from 0 to 20")),
        },
    }
}

fn convert_tools(tools: Vec<ToolBody>) -> Result<Vec<Tool>, Refusal> {
    let convert = |(at, tool): (usize, ToolBody)| {
        let path = format!("tools[{at}]");
        if tool.kind != "function" {
            let text = "only tools of type \"function\" are supported";
            return Err(unsupported(format!("{path}.type"), text));
        }
        let function = tool.function;
        let tool = Tool {
            name: function.name,
            description: function.description,
            parameters: function.parameters,
            strict: function.strict.unwrap_or(false),
        };
        tools::check(&format!("{path}.function"), "parameters", tool)
    };
    tools.into_iter().enumerate().map(convert).collect()
}

fn tool_choice(choice: Option<StringOrObject<'_, ToolChoiceBody>>) -> Result<ToolChoice, Refusal> {
    match choice {
        None => Ok(ToolChoice::Auto),
        Some(StringOrObject::String(mode)) => tools::choice_of_mode(&mode),
        Some(StringOrObject::Object(body)) => match body.function {
            Some(function) if body.kind == "function" => Ok(ToolChoice::Function(function.name)),
            Some(_) | None => {
                let text =
                    "only {\"type\": \"function\", \"function\": {\"name\": …}} is supported";
                Err(unsupported("tool_choice", text))
            }
        },
    }
}

fn response_format(body: Option<ResponseFormatBody>) -> Result<ResponseFormat, Refusal> {
    let Some(body) = body else {
        return Ok(ResponseFormat::Text);
    };
    match (body.kind.as_str(), body.json_schema) {
        ("text", None) => Ok(ResponseFormat::Text),
        ("json_object", None) => Ok(ResponseFormat::JsonObject),
        ("json_schema", None) => Err(missing("response_format.json_schema")),
        ("json_schema", Some(body)) => {
            let path = "response_format.json_schema";
            tools::check_name(format!("{path}.name"), &body.name)?;
            tools::check_schema(format!("{path}.schema"), body.schema.as_deref())?;
            Ok(ResponseFormat::JsonSchema {
                name: body.name,
                description: body.description,
                schema: body.schema,
                strict: body.strict.unwrap_or(false),
            })
        }
        ("text" | "json_object", Some(_)) => Err(invalid(
            "response_format.json_schema",
            "it requires the type \"json_schema\"",
        )),
        _ => Err(unsupported(
            "response_format.type",
            "it must be one of text, json_object, json_schema",
        )),
    }
}

/// The effort of this name.
pub(in crate::dialect) fn reasoning_effort(
    param: &str,
    effort: Option<&str>,
) -> Result<Option<ReasoningEffort>, Refusal> {
    match effort {
        None => Ok(None),
        Some("none") => Ok(Some(ReasoningEffort::None)),
        Some("minimal") => Ok(Some(ReasoningEffort::Minimal)),
        Some("low") => Ok(Some(ReasoningEffort::Low)),
        Some("medium") => Ok(Some(ReasoningEffort::Medium)),
        Some("high") => Ok(Some(ReasoningEffort::High)),
        Some(_) => Err(invalid(
            param,
            "it must be one of none, minimal, low, medium, high",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::UnknownFields, dialect::response::ResponseHead};

    const LIMITS: ChatLimits = ChatLimits {
        default_max_tokens: 256,
        max_tokens: 1_000,
    };

    fn read_body(body: &str) -> Result<DialectRequest, Refusal> {
        let context = ReadContext {
            limits: &|_| Ok(LIMITS),
            unknown_fields: UnknownFields::Refuse,
            head: ResponseHead::for_tests(),
        };
        read(body.as_bytes(), context)
    }

    fn chat(fields: &str) -> Result<DialectRequest, Refusal> {
        let comma = if fields.is_empty() { "" } else { "," };
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{comma}{fields}}}"#
        );
        read_body(&body)
    }

    #[test]
    fn leaves_defaults_to_the_model() {
        let chat = chat("").ok().unwrap();
        assert_eq!(
            chat.chat.sampling,
            Sampling {
                max_tokens: 256,
                ..Sampling::default()
            }
        );
        assert!(!chat.is_stream);
    }

    #[test]
    fn accepts_every_field() {
        let chat = chat(
            r#""max_completion_tokens":5,"temperature":0,"top_p":0.5,"seed":-1,"n":1,
               "stop":["a","b"],"stream":true,"stream_options":{"include_usage":true},
               "response_format":{"type":"text"},"user":"u","tools":[],"frequency_penalty":0,
               "presence_penalty":-2,"repetition_penalty":1.1,"top_k":-1,"min_p":0.1,
               "logit_bias":{"7":-100},"chat_template_kwargs":{"enable_thinking":false}"#,
        )
        .ok()
        .unwrap();
        assert_eq!(
            chat.chat.sampling,
            Sampling {
                max_tokens: 5,
                temperature: Some(0.0),
                top_p: Some(0.5),
                seed: Some(u64::MAX),
                stop: vec!["a".to_owned(), "b".to_owned()],
                frequency_penalty: Some(0.0),
                presence_penalty: Some(-2.0),
                repetition_penalty: Some(1.1),
                top_k: Some(0),
                min_p: Some(0.1),
                logit_bias: vec![(7, -100.0)],
            }
        );
        assert!(chat.is_stream);
    }

    // B07
    #[test]
    fn refuses_values_out_of_range_by_name() {
        for (fields, param) in [
            (r#""temperature":2.1"#, "temperature"),
            (r#""temperature":-0.1"#, "temperature"),
            (r#""top_p":0"#, "top_p"),
            (r#""top_p":1.1"#, "top_p"),
            (r#""max_tokens":0"#, "max_tokens"),
            (r#""max_tokens":1001"#, "max_tokens"),
            (
                r#""max_completion_tokens":1000000000000"#,
                "max_completion_tokens",
            ),
            (r#""max_tokens":1,"max_completion_tokens":1"#, "max_tokens"),
            (r#""n":9"#, "n"),
            (r#""n":0"#, "n"),
            (r#""stop":"""#, "stop"),
            (r#""stream_options":{}"#, "stream_options"),
            (
                r#""response_format":{"type":"grammar"}"#,
                "response_format.type",
            ),
            (
                r#""response_format":{"type":"json_schema"}"#,
                "response_format.json_schema",
            ),
            (
                r#""response_format":{"type":"json_schema","json_schema":{"name":"a","schema":[]}}"#,
                "response_format.json_schema.schema",
            ),
            (
                r#""tools":[{"type":"web_search","function":{"name":"a"}}]"#,
                "tools[0].type",
            ),
            (
                r#""tools":[{"type":"function","function":{"name":""}}]"#,
                "tools[0].function.name",
            ),
            (
                r#""tools":[{"type":"function","function":{"name":"a","parameters":1}}]"#,
                "tools[0].function.parameters",
            ),
            (
                r#""tools":[{"type":"function","function":{"name":"a"}},{"type":"function","function":{"name":"a"}}]"#,
                "tools[1]",
            ),
            (r#""tool_choice":"required""#, "tool_choice"),
            (r#""tool_choice":"sometimes""#, "tool_choice"),
            (
                r#""tools":[{"type":"function","function":{"name":"a"}}],"tool_choice":{"type":"function","function":{"name":"b"}}"#,
                "tool_choice",
            ),
            (r#""functions":[{}]"#, "functions"),
            (r#""function_call":{"name":"a"}"#, "function_call"),
            (r#""top_logprobs":2"#, "top_logprobs"),
            (r#""logprobs":true,"top_logprobs":21"#, "top_logprobs"),
            (r#""top_k":-2"#, "top_k"),
            (r#""min_p":2"#, "min_p"),
            (r#""repetition_penalty":0"#, "repetition_penalty"),
            (r#""frequency_penalty":3"#, "frequency_penalty"),
            (r#""logit_bias":{"1":101}"#, "logit_bias"),
            (r#""reasoning_effort":"most""#, "reasoning_effort"),
        ] {
            let refusal = chat(fields).err().expect(fields);
            assert_eq!(refusal.param(), Some(param), "{fields}");
        }
    }

    #[test]
    fn reads_tools_and_formats() {
        let chat = chat(
            r#""tools":[{"type":"function","function":{"name":"click","description":"d",
                 "parameters":{"type": "object"},"strict":true}}],
               "tool_choice":{"type":"function","function":{"name":"click"}},
               "parallel_tool_calls":false,"logprobs":true,"top_logprobs":2,"n":3,
               "reasoning_effort":"low","response_format":{"type":"json_schema",
                 "json_schema":{"name":"a","schema":{"type":"object"},"strict":true}}"#,
        )
        .ok()
        .unwrap()
        .chat;
        let tool = &chat.tools[0];
        assert_eq!(
            tool.parameters.as_ref().unwrap().get(),
            r#"{"type": "object"}"#
        );
        assert!(tool.strict);
        assert_eq!(chat.tool_choice, ToolChoice::Function("click".to_owned()));
        assert_eq!(chat.parallel_tool_calls, Some(false));
        assert_eq!((chat.top_logprobs, chat.choices), (Some(2), 3));
        assert_eq!(chat.reasoning_effort, Some(ReasoningEffort::Low));
        let ResponseFormat::JsonSchema { name, strict, .. } = chat.response_format else {
            panic!("{:?}", chat.response_format);
        };
        assert_eq!((name.as_str(), strict), ("a", true));
    }

    #[test]
    fn lists_extensions_without_effect() {
        let mut request = chat(r#""guided_regex":"a","ignore_eos":true,"min_tokens":null"#)
            .ok()
            .unwrap();
        request.retain_extensions(|name| name == "ignore_eos");
        assert_eq!(request.unknown.header().unwrap(), "guided_regex");
        let (name, value) = &request.chat.extensions[0];
        assert_eq!((name.as_str(), value.get()), ("ignore_eos", "true"));
        assert_eq!(request.chat.extensions.len(), 1);
    }

    #[test]
    fn treats_null_as_missing() {
        let fields = r#""temperature":null,"stop":null,"max_tokens":null,"stream_options":null,
            "tools":null,"response_format":null,"seed":null,"stream":null"#;
        assert!(chat(fields).is_ok());
    }

    #[test]
    fn requires_model_and_messages() {
        for (body, param) in [
            (r#"{"messages":[{"role":"user","content":"hi"}]}"#, "model"),
            (r#"{"model":"m"}"#, "messages"),
            (r#"{"model":"m","messages":[]}"#, "messages"),
        ] {
            let refusal = read_body(body);
            assert_eq!(refusal.err().unwrap().param(), Some(param), "{body}");
        }
    }
}
