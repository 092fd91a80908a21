use serde_json::{Value, json};
use stockade_core::refusal::RefusalKind;

use super::*;

fn writer() -> MessagesWriter {
    MessagesWriter::new(ResponseHead::for_tests(), "m".to_owned(), true)
}

/// The data of the events of a generation.
fn stream(events: Vec<Event>) -> Vec<Value> {
    let mut writer = writer();
    let mut frames = Vec::new();
    writer.start(&mut frames);
    for event in events {
        writer.event(event, &mut frames);
    }
    let data = |frame: &Frame| {
        let data: Value = serde_json::from_str(&frame.data).unwrap();
        assert_eq!(frame.event.unwrap(), data["type"]);
        data
    };
    frames.iter().map(data).collect()
}

fn call(call: u32, name: &str) -> Event {
    Event::ToolCall {
        choice: 0,
        call,
        id: format!("id_{call}"),
        name: name.to_owned(),
    }
}

fn arguments(call: u32, text: &str) -> Event {
    Event::ToolArguments {
        choice: 0,
        call,
        text: text.to_owned(),
    }
}

fn finish(reason: FinishReason) -> Event {
    Event::Finish { choice: 0, reason }
}

/// Collects the blocks of a stream as Anthropic's clients do.
fn blocks(events: &[Value]) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    let mut json = String::new();
    for event in events {
        let last = blocks.len().wrapping_sub(1);
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!(event["index"], blocks.len());
                blocks.push(event["content_block"].clone());
            }
            "content_block_delta" => {
                assert_eq!(event["index"], last);
                let delta = &event["delta"];
                for (name, field) in [("text_delta", "text"), ("thinking_delta", "thinking")] {
                    if delta["type"] == name {
                        let text = blocks[last][field].as_str().unwrap().to_owned();
                        blocks[last][field] = json!(text + delta[field].as_str().unwrap());
                    }
                }
                json += delta["partial_json"].as_str().unwrap_or_default();
            }
            "content_block_stop" => {
                assert_eq!(event["index"], last);
                let text = std::mem::take(&mut json);
                if !text.is_empty() {
                    blocks[last]["input"] = serde_json::from_str(&text).unwrap();
                }
            }
            _ => {}
        }
    }
    blocks
}

#[test]
fn streams_blocks_in_order() {
    let usage = Usage {
        cached_tokens: 1,
        ..Usage::new(3, 4)
    };
    let events = stream(vec![
        Event::Reasoning {
            choice: 0,
            text: "hm".to_owned(),
        },
        Event::text("a"),
        Event::text("b"),
        call(0, "click"),
        arguments(0, "{\"x\":"),
        arguments(0, "1}"),
        finish(FinishReason::ToolCalls),
        Event::Done(usage),
    ]);
    let types: Vec<_> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        types,
        [
            "message_start",
            "ping",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    assert_eq!(
        events[0]["message"],
        json!({
            "id": "msg_id", "type": "message", "role": "assistant", "model": "m", "content": [],
            "stop_reason": null, "stop_sequence": null,
            "usage": {"input_tokens": 0, "cache_creation_input_tokens": 0,
                      "cache_read_input_tokens": 0, "output_tokens": 0},
        })
    );
    assert_eq!(
        blocks(&events),
        [
            json!({"type": "thinking", "thinking": "hm", "signature": ""}),
            json!({"type": "text", "text": "ab"}),
            json!({"type": "tool_use", "id": "id_0", "name": "click", "input": {"x": 1}}),
        ]
    );
    let delta = &events[events.len() - 2];
    assert_eq!(delta["delta"]["stop_reason"], "tool_use");
    assert_eq!(
        delta["usage"],
        json!({"input_tokens": 2, "cache_creation_input_tokens": 0,
               "cache_read_input_tokens": 1, "output_tokens": 4})
    );
}

#[test]
fn separates_calls_whose_arguments_alternate() {
    let events = stream(vec![
        call(0, "a"),
        call(1, "b"),
        arguments(1, "{\"y\":"),
        arguments(0, "{}"),
        Event::text("later"),
        arguments(1, "2}"),
        finish(FinishReason::ToolCalls),
        Event::Done(Usage::new(1, 1)),
    ]);
    assert_eq!(
        blocks(&events),
        [
            json!({"type": "tool_use", "id": "id_0", "name": "a", "input": {}}),
            json!({"type": "tool_use", "id": "id_1", "name": "b", "input": {"y": 2}}),
            json!({"type": "text", "text": "later"}),
        ]
    );
}

#[test]
fn writes_a_message_object() {
    let mut completion = Completion::default();
    for event in [
        Event::text("hi"),
        call(0, "a"),
        arguments(0, "{\"x\":1}"),
        call(1, "b"),
        arguments(1, "{\"cut"),
        finish(FinishReason::Length),
        Event::Done(Usage::new(1, 2)),
    ] {
        completion.push(event);
    }
    let object: Value = serde_json::from_slice(&writer().object(&completion)).unwrap();
    assert_eq!(object["stop_reason"], "max_tokens");
    assert_eq!(
        object["content"],
        json!([
            {"type": "text", "text": "hi"},
            {"type": "tool_use", "id": "id_0", "name": "a", "input": {"x": 1}},
            {"type": "tool_use", "id": "id_1", "name": "b", "input": {"arguments": "{\"cut"}},
        ])
    );
}

#[test]
fn names_the_stop_sequence_that_ended_the_message() {
    for (reason, stop_reason, stop_sequence) in [
        (FinishReason::Stop, "end_turn", Value::Null),
        (
            FinishReason::StopSequence("END".to_owned()),
            "stop_sequence",
            json!("END"),
        ),
    ] {
        let generation = || {
            let usage = Event::Done(Usage::new(1, 2));
            vec![Event::text("hi"), finish(reason.clone()), usage]
        };
        let mut completion = Completion::default();
        for event in generation() {
            completion.push(event);
        }
        let object: Value = serde_json::from_slice(&writer().object(&completion)).unwrap();
        let events = stream(generation());
        let start = &events[0]["message"];
        assert_eq!(start["stop_sequence"], Value::Null);
        let delta = &events[events.len() - 2]["delta"];
        for body in [&object, delta] {
            assert_eq!(body["stop_reason"], stop_reason);
            assert_eq!(body["stop_sequence"], stop_sequence);
        }
    }
}

#[test]
fn ends_a_failed_stream_with_an_error() {
    let mut frames = Vec::new();
    writer().fail(
        &Refusal::new(RefusalKind::Internal, "it broke"),
        &mut frames,
    );
    let [frame] = frames.as_slice() else {
        panic!("{frames:?}");
    };
    assert_eq!(frame.event, Some("error"));
    assert_eq!(
        frame.data,
        r#"{"type":"error","error":{"type":"api_error","message":"it broke"}}"#
    );
}
