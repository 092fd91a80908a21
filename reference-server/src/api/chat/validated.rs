//! A validated chat request: the backend's input and the response mode.

use stockade_core::refusal::{Refusal, RefusalKind};

use super::{body::ChatBody, message, other_fields, unknown_fields::UnknownFieldHandler};
use crate::{
    StartError,
    chat::{ChatRequest, Sampling},
    config::{ModelConfig, UnknownFields},
};

/// The maximum length of a stop sequence, in bytes.
const MAX_STOP_BYTES: usize = 256;

/// The operator's limits for chats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChatLimits {
    /// The number of tokens for chats that set none.
    pub(crate) default_max_tokens: usize,
    /// The maximum number of tokens that a chat may request.
    pub(crate) max_tokens: usize,
}

impl ChatLimits {
    /// The limits of a model.
    ///
    /// # Errors
    /// Returns an error if the default exceeds the maximum.
    pub(crate) fn new(model: &ModelConfig) -> Result<Self, StartError> {
        let limit = model.max_tokens_limit.get();
        let default = model.default_max_tokens.get();
        if default > limit {
            return Err(StartError::new(format!(
                "the model {:?}: default_max_tokens is greater than max_tokens_limit: lower the \
                 first or raise the second",
                model.api_name()
            )));
        }
        let tokens = |count| usize::try_from(count).unwrap_or(usize::MAX);
        Ok(Self {
            default_max_tokens: tokens(default),
            max_tokens: tokens(limit),
        })
    }
}

/// A validated chat, with its images still encoded.
pub(super) struct ValidatedChat {
    pub(super) model: String,
    pub(super) request: ChatRequest,
    pub(super) response_mode: ResponseMode,
    /// The unknown fields that were ignored.
    pub(super) unknown: UnknownFieldHandler,
}

/// How the completion is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponseMode {
    Buffered,
    Stream { include_usage: bool },
}

impl ValidatedChat {
    /// Validates everything that needs neither the model nor a decoder.
    ///
    /// # Errors
    /// Returns a refusal that names the field.
    pub(super) fn new(
        body: ChatBody<'_>,
        limits: ChatLimits,
        unknown_fields: UnknownFields,
    ) -> Result<Self, Refusal> {
        let mut unknown = UnknownFieldHandler::new(unknown_fields);
        other_fields::check(&body.other_fields, &mut unknown)?;
        check_fixed_values(&body)?;
        let sampling = sampling(&body, limits)?;
        let response_mode = response_mode(&body)?;
        let model = body.model.ok_or_else(|| missing("model"))?;
        let messages = body.messages.ok_or_else(|| missing("messages"))?;
        let messages = message::convert_all(messages.0, &mut unknown)?;
        Ok(Self {
            model,
            request: ChatRequest::new(messages, sampling),
            response_mode,
            unknown,
        })
    }
}

/// Checks the fields for which only one value is supported.
fn check_fixed_values(body: &ChatBody<'_>) -> Result<(), Refusal> {
    if body.n.is_some_and(|n| n != 1) {
        return Err(invalid(
            "n",
            "only one choice per request is supported: set it to 1",
        ));
    }
    match &body.response_format {
        Some(format) if format.kind != "text" => Err(invalid(
            "response_format.type",
            "only \"text\" is supported by this server",
        )
        .with_code("UNSUPPORTED_PARAMETER")),
        _ => Ok(()),
    }
}

fn sampling(body: &ChatBody<'_>, limits: ChatLimits) -> Result<Sampling, Refusal> {
    let temperature = body.temperature.unwrap_or(1.0);
    if !(0.0..=2.0).contains(&temperature) {
        return Err(invalid("temperature", "it must be from 0 to 2"));
    }
    let top_p = body.top_p.unwrap_or(1.0);
    if !(top_p > 0.0 && top_p <= 1.0) {
        return Err(invalid("top_p", "it must be greater than 0 and at most 1"));
    }
    Ok(Sampling {
        max_tokens: max_tokens(body, limits)?,
        temperature: Some(temperature),
        top_p: Some(top_p),
        // Any integer is a seed; negative ones are reinterpreted as unsigned.
        seed: body.seed.map(i64::cast_unsigned),
        stop: stop_sequences(body)?,
        ..Sampling::default()
    })
}

fn max_tokens(body: &ChatBody<'_>, limits: ChatLimits) -> Result<usize, Refusal> {
    let (name, asked) = match (body.max_completion_tokens, body.max_tokens) {
        (Some(_), Some(_)) => {
            let text = "it is an alias of `max_completion_tokens`: send only one of them";
            return Err(invalid("max_tokens", text));
        }
        (Some(asked), None) => ("max_completion_tokens", asked),
        (None, Some(asked)) => ("max_tokens", asked),
        (None, None) => return Ok(limits.default_max_tokens),
    };
    match usize::try_from(asked) {
        Ok(asked) if (1..=limits.max_tokens).contains(&asked) => Ok(asked),
        _ => Err(invalid(
            name,
            format!("it must be from 1 to {}", limits.max_tokens),
        )),
    }
}

fn stop_sequences(body: &ChatBody<'_>) -> Result<Vec<String>, Refusal> {
    let Some(stop) = &body.stop else {
        return Ok(Vec::new());
    };
    let allowed = |text: &String| !text.is_empty() && text.len() <= MAX_STOP_BYTES;
    if stop.0.iter().all(allowed) {
        Ok(stop.0.clone())
    } else {
        Err(invalid(
            "stop",
            "a stop sequence must have from 1 to 256 bytes",
        ))
    }
}

fn response_mode(body: &ChatBody<'_>) -> Result<ResponseMode, Refusal> {
    let stream = body.stream.unwrap_or(false);
    match &body.stream_options {
        Some(_) if !stream => Err(invalid("stream_options", "it requires \"stream\": true")),
        Some(options) if options.include_obfuscation == Some(true) => Err(invalid(
            "stream_options.include_obfuscation",
            "it is not supported by this server",
        )
        .with_code("UNSUPPORTED_PARAMETER")),
        options if stream => Ok(ResponseMode::Stream {
            include_usage: options
                .as_ref()
                .and_then(|options| options.include_usage)
                .unwrap_or(false),
        }),
        _ => Ok(ResponseMode::Buffered),
    }
}

pub(super) fn missing(field: &'static str) -> Refusal {
    Refusal::new(RefusalKind::Invalid, format!("`{field}` is missing")).with_param(field)
}

/// The refusal of a field's value.
pub(super) fn invalid(param: impl Into<String>, text: impl AsRef<str>) -> Refusal {
    let param = param.into();
    let text = format!("`{param}`: {}", text.as_ref());
    Refusal::new(RefusalKind::Invalid, text).with_param(param)
}

#[cfg(test)]
mod tests {
    use super::{super::parse::parse, *};

    const LIMITS: ChatLimits = ChatLimits {
        default_max_tokens: 256,
        max_tokens: 1_000,
    };

    fn chat(fields: &str) -> Result<ValidatedChat, Refusal> {
        let comma = if fields.is_empty() { "" } else { "," };
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{comma}{fields}}}"#
        );
        ValidatedChat::new(parse(body.as_bytes())?, LIMITS, UnknownFields::Refuse)
    }

    #[test]
    fn defaults_are_openais() {
        let chat = chat("").ok().unwrap();
        assert_eq!(
            chat.request.sampling,
            Sampling {
                max_tokens: 256,
                temperature: Some(1.0),
                top_p: Some(1.0),
                ..Sampling::default()
            }
        );
        assert_eq!(chat.response_mode, ResponseMode::Buffered);
    }

    #[test]
    fn accepts_every_field() {
        let chat = chat(
            r#""max_completion_tokens":5,"temperature":0,"top_p":0.5,"seed":-1,"n":1,
               "stop":["a","b"],"stream":true,"stream_options":{"include_usage":true},
               "response_format":{"type":"text"},"user":"u","tools":[],"frequency_penalty":0"#,
        )
        .ok()
        .unwrap();
        assert_eq!(
            chat.request.sampling,
            Sampling {
                max_tokens: 5,
                temperature: Some(0.0),
                top_p: Some(0.5),
                seed: Some(u64::MAX),
                stop: vec!["a".to_owned(), "b".to_owned()],
                ..Sampling::default()
            }
        );
        assert_eq!(
            chat.response_mode,
            ResponseMode::Stream {
                include_usage: true
            }
        );
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
            (r#""n":2"#, "n"),
            (r#""n":0"#, "n"),
            (r#""stop":"""#, "stop"),
            (r#""stream_options":{}"#, "stream_options"),
            (
                r#""response_format":{"type":"json_object"}"#,
                "response_format.type",
            ),
            (r#""tools":[{"type":"function"}]"#, "tools"),
            (r#""logprobs":true"#, "logprobs"),
            (r#""top_k":5"#, "top_k"),
        ] {
            let refusal = chat(fields).err().expect(fields);
            assert_eq!(refusal.param(), Some(param), "{fields}");
        }
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
            let refusal = ValidatedChat::new(
                parse(body.as_bytes()).ok().unwrap(),
                LIMITS,
                UnknownFields::Refuse,
            );
            assert_eq!(refusal.err().unwrap().param(), Some(param), "{body}");
        }
    }
}
