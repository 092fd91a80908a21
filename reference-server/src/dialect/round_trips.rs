//! Conversions between dialects lose nothing.

mod arbitrary;

use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::{
    Dialect, DialectRequest, Frame, ReadContext, ResponseHead,
    chat::{ResponseReader, read_completion, write_request},
    limits::ChatLimits,
};
use crate::{
    chat::{ChatRequest, Completion, Event, Message, Part, Role},
    config::UnknownFields,
};

fn read(dialect: Dialect, body: &[u8]) -> DialectRequest {
    let limits = ChatLimits {
        default_max_tokens: 16,
        max_tokens: 10_000,
    };
    let context = ReadContext {
        limits: &|_| Ok(limits),
        unknown_fields: UnknownFields::Refuse,
        head: ResponseHead::for_tests(),
    };
    dialect
        .read(body, context)
        .unwrap_or_else(|refusal| panic!("{refusal:?}: {}", String::from_utf8_lossy(body)))
}

/// What conversions keep of messages: all but the paths of images.
fn shape(messages: &[Message]) -> Vec<String> {
    let part = |part: &Part| match part {
        Part::Text(text) => format!("text {text:?}"),
        Part::Image(image) => image.file.to_data_url(),
    };
    let shape = |message: &Message| {
        let parts: Vec<_> = message.parts.iter().map(part).collect();
        format!(
            "{:?} {parts:?} {:?} {:?}",
            message.role, message.tool_calls, message.tool_call_id
        )
    };
    messages.iter().map(shape).collect()
}

/// Everything but the messages.
fn settings(request: &ChatRequest) -> String {
    let request = ChatRequest {
        messages: Vec::new(),
        ..request.clone()
    };
    format!("{request:?}")
}

fn completion(events: impl IntoIterator<Item = Event>) -> Completion {
    let mut completion = Completion::default();
    for event in events {
        completion.push(event);
    }
    completion
}

/// The bytes of a stream of server-sent events.
fn encode(frames: &[Frame]) -> Vec<u8> {
    let mut text = String::new();
    for frame in frames {
        if let Some(event) = frame.event {
            text += &format!("event: {event}\n");
        }
        text += &format!("data: {}\n\n", frame.data);
    }
    text.into_bytes()
}

/// Reads the bytes in pieces of these lengths.
fn read_in_pieces(mut bytes: &[u8], lengths: &[usize]) -> Completion {
    let mut reader = ResponseReader::default();
    let mut events = Vec::new();
    for length in lengths.iter().cycle() {
        let (piece, rest) = bytes.split_at((*length).min(bytes.len()));
        events.extend(reader.push(piece).unwrap());
        bytes = rest;
        if bytes.is_empty() {
            break;
        }
    }
    assert!(reader.has_usage());
    events.extend(reader.finish().unwrap());
    completion(events)
}

/// Writes messages as a client of Anthropic's API does: the results of tools and the text after
/// them are one message.
fn anthropic_body(messages: &[Message]) -> Value {
    let block = |part: &Part| match part {
        Part::Text(text) => json!({"type": "text", "text": text}),
        Part::Image(image) => {
            let url = image.file.to_data_url();
            let data = url.split_once(',').unwrap().1;
            json!({"type": "image", "source": {"type": "base64", "data": data}})
        }
    };
    let blocks = |message: &Message| message.parts.iter().map(block).collect::<Vec<_>>();
    let mut body = json!({"model": "m", "max_tokens": 8, "messages": []});
    let mut results = Vec::new();
    let list = |body: &mut Value, role, content| {
        let list = body["messages"].as_array_mut().unwrap();
        list.push(json!({"role": role, "content": content}));
    };
    for message in messages {
        match message.role {
            Role::System => body["system"] = json!(blocks(message)),
            Role::Tool => results.push(json!({
                "type": "tool_result",
                "tool_use_id": message.tool_call_id,
                "content": blocks(message),
            })),
            Role::User => {
                results.extend(blocks(message));
                list(&mut body, "user", std::mem::take(&mut results));
            }
            Role::Assistant => {
                let mut content = blocks(message);
                content.extend(message.tool_calls.iter().map(|call| {
                    let input: Value = serde_json::from_str(&call.arguments).unwrap();
                    json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
                }));
                list(&mut body, "assistant", content);
            }
        }
    }
    if !results.is_empty() {
        list(&mut body, "user", results);
    }
    body
}

/// Writes messages as a client of OpenAI's responses does.
fn responses_body(messages: &[Message]) -> Value {
    let part = |role: Role, part: &Part| match part {
        Part::Text(text) if role == Role::Assistant => json!({"type": "output_text", "text": text}),
        Part::Text(text) => json!({"type": "input_text", "text": text}),
        Part::Image(image) => json!({"type": "input_image", "image_url": image.file.to_data_url()}),
    };
    let mut items = Vec::new();
    for message in messages {
        let parts = message.parts.iter().map(|body| part(message.role, body));
        let parts: Vec<_> = parts.collect();
        let role = match message.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => {
                items.push(json!({
                    "type": "function_call_output",
                    "call_id": message.tool_call_id,
                    "output": parts,
                }));
                continue;
            }
        };
        if !parts.is_empty() {
            items.push(json!({"type": "message", "role": role, "content": parts}));
        }
        items.extend(message.tool_calls.iter().map(|call| {
            json!({
                "type": "function_call",
                "call_id": call.id,
                "name": call.name,
                "arguments": call.arguments,
            })
        }));
    }
    json!({"model": "m", "input": items})
}

/// Writes a chat for an upstream, and reads it back.
fn through_chat(request: &ChatRequest) -> ChatRequest {
    read(Dialect::Chat, &write_request(request, "m", false)).chat
}

/// A chat request for a completion with all features.
const EVERYTHING: &[u8] = br#"{"model":"m","messages":[{"role":"user","content":"a"}],
    "logprobs":true,"n":2,"stream":true,"stream_options":{"include_usage":true}}"#;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_chat_is_read_as_it_was_written(request in arbitrary::request(), stream: bool) {
        let body = write_request(&request, "m", stream);
        let read = read(Dialect::Chat, &body);
        prop_assert_eq!(&read.model, "m");
        prop_assert_eq!(read.is_stream, stream);
        prop_assert_eq!(shape(&read.chat.messages), shape(&request.messages));
        prop_assert_eq!(settings(&read.chat), settings(&request));
    }

    #[test]
    fn messages_survive_the_way_through_a_chat(request in arbitrary::request()) {
        let body = anthropic_body(&request.messages).to_string();
        let read = read(Dialect::Messages, body.as_bytes()).chat;
        prop_assert_eq!(shape(&read.messages), shape(&request.messages));
        prop_assert_eq!(shape(&through_chat(&read).messages), shape(&request.messages));
    }

    #[test]
    fn responses_survive_the_way_through_a_chat(request in arbitrary::request()) {
        let body = responses_body(&request.messages).to_string();
        let read = read(Dialect::Responses, body.as_bytes()).chat;
        prop_assert_eq!(shape(&read.messages), shape(&request.messages));
        prop_assert_eq!(shape(&through_chat(&read).messages), shape(&request.messages));
    }

    #[test]
    fn a_streamed_completion_is_read_as_it_was_written(
        events in arbitrary::generation(2),
        lengths in vec(1_usize..200, 1..8),
    ) {
        let mut writer = read(Dialect::Chat, EVERYTHING).writer;
        let mut frames = Vec::new();
        writer.start(&mut frames);
        for event in events.clone() {
            writer.event(event, &mut frames);
        }
        let read = read_in_pieces(&encode(&frames), &lengths);
        prop_assert_eq!(read, completion(events));
    }

    #[test]
    fn a_completion_object_is_read_as_it_was_written(events in arbitrary::generation(2)) {
        let expected = completion(events);
        let object = read(Dialect::Chat, EVERYTHING).writer.object(&expected);
        prop_assert_eq!(completion(read_completion(&object).unwrap()), expected);
    }
}
