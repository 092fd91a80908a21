//! Reads a completions request.

use stockade_core::refusal::Refusal;

use super::{
    FIELD_RULES,
    body::{CompletionsBody, PromptBody},
    response_writer::CompletionsWriter,
};
use crate::{
    chat::{ChatRequest, Sampling},
    dialect::{
        chat::{choices, logit_bias, stop_sequences, stream_options},
        json,
        limits::ChatLimits,
        refusals::{invalid, missing, unsupported},
        request::{DialectRequest, Opened, ReadContext},
        sampling,
        string_or::StringOrList,
    },
};

/// The maximum number of log probabilities, which is OpenAI's.
const MAX_LOGPROBS: u64 = 5;

/// Reads a request, and validates everything that does not need the model.
///
/// # Errors
/// Returns a refusal that names the field.
pub(in crate::dialect) fn read(
    bytes: &[u8],
    context: ReadContext<'_>,
) -> Result<DialectRequest, Refusal> {
    let mut body: CompletionsBody<'_> = json::parse(bytes)?;
    let Opened {
        model,
        limits,
        unknown,
    } = context.open(body.model.take(), &FIELD_RULES, &body.other_fields)?;

    let stream = body.stream.unwrap_or(false);
    let include_usage = stream_options(stream, body.stream_options.take())?;
    let choices = choices(body.n)?;
    if body.best_of.is_some_and(|best| best != u64::from(choices)) {
        return Err(unsupported("best_of", "it must be equal to `n`"));
    }
    let top_logprobs = match body.logprobs {
        Some(top @ 0..=MAX_LOGPROBS) => Some(u8::try_from(top).expect("at most MAX_LOGPROBS")),
        None => None,
        Some(_) => return Err(invalid("logprobs", "it must be from 0 to 5")),
    };
    let sampling = read_sampling(&mut body, limits)?;
    let chat = ChatRequest {
        choices,
        top_logprobs,
        extensions: body.extensions,
        ..ChatRequest::raw(prompt(body.prompt)?, sampling)
    };
    Ok(DialectRequest {
        writer: Box::new(CompletionsWriter::new(
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

fn prompt<const MAX: usize>(
    prompt: Option<StringOrList<'_, PromptBody, MAX>>,
) -> Result<String, Refusal> {
    match prompt {
        None => Err(missing("prompt")),
        Some(StringOrList::String(text)) => Ok(text.into_owned()),
        Some(StringOrList::List(prompts)) => {
            let has_tokens = prompts
                .iter()
                .any(|prompt| matches!(prompt, PromptBody::Tokens));
            match <[_; 1]>::try_from(prompts) {
                Ok([PromptBody::Text(text)]) => Ok(text),
                _ if has_tokens => {
                    let text = "token ids are not supported by this server: send a text";
                    Err(unsupported("prompt", text))
                }
                _ => {
                    let text = "only one prompt per request is supported: send a text";
                    Err(unsupported("prompt", text))
                }
            }
        }
    }
}

fn read_sampling(body: &mut CompletionsBody<'_>, limits: ChatLimits) -> Result<Sampling, Refusal> {
    let parameters = sampling::Parameters {
        temperature: body.temperature,
        top_p: body.top_p,
        top_k: body.top_k,
        min_p: body.min_p,
        frequency_penalty: body.frequency_penalty,
        presence_penalty: body.presence_penalty,
        repetition_penalty: body.repetition_penalty,
    };
    Ok(Sampling {
        max_tokens: limits.max_tokens("max_tokens", body.max_tokens)?,
        logit_bias: logit_bias(body.logit_bias.take())?,
        // Any integer is a seed; negative ones are reinterpreted as unsigned.
        seed: body.seed.map(i64::cast_unsigned),
        stop: sampling::stop("stop", stop_sequences(body.stop.take()))?,
        ..parameters.read(2.0)?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::UnknownFields, dialect::response::ResponseHead};

    fn read_body(body: &str) -> Result<DialectRequest, Refusal> {
        let limits = ChatLimits {
            default_max_tokens: 256,
            max_tokens: 1_000,
        };
        let context = ReadContext {
            limits: &|_| Ok(limits),
            unknown_fields: UnknownFields::Refuse,
            head: ResponseHead::for_tests(),
        };
        read(body.as_bytes(), context)
    }

    fn with(fields: &str) -> Result<DialectRequest, Refusal> {
        read_body(&format!(r#"{{"model":"m",{fields}}}"#))
    }

    #[test]
    fn reads_one_prompt_without_messages() {
        for prompt in [r#""Once""#, r#"["Once"]"#] {
            let request = with(&format!(
                r#""prompt":{prompt},"logprobs":2,"n":2,"best_of":2,"echo":false,"suffix":null,
                   "stop":["a"],"logit_bias":{{"1":2}},"max_tokens":3"#
            ))
            .ok()
            .unwrap();
            let chat = request.chat;
            assert_eq!(chat.raw_prompt.as_deref(), Some("Once"));
            assert!(chat.messages.is_empty());
            assert_eq!((chat.choices, chat.top_logprobs), (2, Some(2)));
            assert_eq!(chat.sampling.max_tokens, 3);
            assert_eq!(chat.sampling.logit_bias, [(1, 2.0)]);
        }
    }

    // B07
    #[test]
    fn refuses_what_it_does_not_have_by_name() {
        for (fields, param) in [
            (r#""prompt":null"#, "prompt"),
            (r#""prompt":[]"#, "prompt"),
            (r#""prompt":["a","b"]"#, "prompt"),
            (r#""prompt":[1,2]"#, "prompt"),
            (r#""prompt":[[1,2]]"#, "prompt"),
            (r#""prompt":[1]"#, "prompt"),
            (r#""prompt":[true]"#, "prompt[0]"),
            (r#""prompt":"a","echo":true"#, "echo"),
            (r#""prompt":"a","suffix":"b""#, "suffix"),
            (r#""prompt":"a","best_of":2"#, "best_of"),
            (r#""prompt":"a","logprobs":6"#, "logprobs"),
            (r#""prompt":"a","n":9"#, "n"),
            (r#""prompt":"a","temperature":3"#, "temperature"),
            (r#""prompt":"a","messages":[]"#, "messages"),
        ] {
            let refusal = with(fields).err().expect(fields);
            assert_eq!(refusal.param(), Some(param), "{fields}");
        }
    }
}
