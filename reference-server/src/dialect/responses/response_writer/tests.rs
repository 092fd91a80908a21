use serde_json::{Value, json};
use stockade_core::refusal::RefusalKind;

use super::*;
use crate::chat::Sampling;

fn writer() -> ResponsesWriter {
    let mut request = ChatRequest::new(Vec::new(), Sampling::default());
    request.tools.push(Tool {
        name: "click".to_owned(),
        description: None,
        parameters: None,
        strict: false,
    });
    let echo = Echo {
        instructions: Some("be brief".to_owned()),
        effort: None,
        metadata: None,
        max_output_tokens: Some(9),
    };
    ResponsesWriter::new(ResponseHead::for_tests(), "m".to_owned(), &request, echo)
}

fn call(call: u32) -> Event {
    Event::ToolCall {
        choice: 0,
        call,
        id: format!("id_{call}"),
        name: "click".to_owned(),
    }
}

fn arguments(call: u32, text: &str) -> Event {
    Event::ToolArguments {
        choice: 0,
        call,
        text: text.to_owned(),
    }
}

fn events(reason: FinishReason) -> Vec<Event> {
    vec![
        Event::Reasoning {
            choice: 0,
            text: "hm".to_owned(),
        },
        Event::text("a"),
        Event::text("b"),
        call(0),
        call(1),
        arguments(1, "[]"),
        arguments(0, "{}"),
        Event::Finish { choice: 0, reason },
        Event::Done(Usage::new(3, 4)),
    ]
}

fn stream(events: Vec<Event>) -> Vec<Value> {
    let mut writer = writer();
    let mut frames = Vec::new();
    writer.start(&mut frames);
    for event in events {
        writer.event(event, &mut frames);
    }
    let data = |(at, frame): (usize, &Frame)| {
        let data: Value = serde_json::from_str(&frame.data).unwrap();
        assert_eq!(frame.event.unwrap(), data["type"]);
        assert_eq!(data["sequence_number"], at);
        data
    };
    frames.iter().enumerate().map(data).collect()
}

#[test]
fn streams_the_events_of_each_item() {
    let events = stream(events(FinishReason::ToolCalls));
    let types: Vec<_> = events
        .iter()
        .map(|event| {
            let name = event["type"].as_str().unwrap();
            name.strip_prefix("response.").unwrap()
        })
        .collect();
    assert_eq!(
        types,
        [
            "created",
            "in_progress",
            "output_item.added",
            "reasoning_text.delta",
            "reasoning_text.done",
            "output_item.done",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "output_item.added",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "function_call_arguments.done",
            "output_item.done",
            "completed",
        ]
    );
    assert_eq!(events[10]["text"], "ab");
    assert_eq!(events[15]["output_index"], 3);
    assert_eq!(events[16]["item_id"], "fc_id_2");
    let response = &events[21]["response"];
    assert_eq!(response["status"], "completed");
    let items = response["output"].as_array().unwrap();
    let done: Vec<_> = events
        .iter()
        .filter(|event| event["type"] == "response.output_item.done")
        .map(|event| event["item"].clone())
        .collect();
    assert_eq!(*items, done);
    assert_eq!(items[2]["arguments"], "{}");
    assert_eq!(items[3]["call_id"], "id_1");
}

#[test]
fn an_object_has_the_output_of_a_stream() {
    for (reason, status, details) in [
        (FinishReason::Stop, "completed", Value::Null),
        (
            FinishReason::StopSequence("END".to_owned()),
            "completed",
            Value::Null,
        ),
        (
            FinishReason::Length,
            "incomplete",
            json!({"reason": "max_output_tokens"}),
        ),
        (
            FinishReason::ContentFilter,
            "incomplete",
            json!({"reason": "content_filter"}),
        ),
    ] {
        let mut completion = Completion::default();
        for event in events(reason.clone()) {
            completion.push(event);
        }
        let object: Value = serde_json::from_slice(&writer().object(&completion)).unwrap();
        let last = stream(events(reason)).pop().unwrap();
        assert_eq!(last["type"], format!("response.{status}"));
        assert_eq!(last["response"], object);
        assert_eq!(object["status"], status);
        assert_eq!(object["incomplete_details"], details);
        assert_eq!(object["store"], false);
        assert_eq!(object["instructions"], "be brief");
        assert_eq!(object["usage"]["total_tokens"], 7);
        assert_eq!(object["tools"][0]["name"], "click");
    }
}

#[test]
fn a_failed_stream_ends_with_the_failed_response() {
    let mut frames = Vec::new();
    let mut writer = writer();
    writer.event(Event::text("a"), &mut frames);
    let refusal = Refusal::new(RefusalKind::Internal, "it broke");
    writer.fail(&refusal, &mut frames);
    let last = frames.last().unwrap();
    assert_eq!(last.event, Some("response.failed"));
    let data: Value = serde_json::from_str(&last.data).unwrap();
    assert_eq!(data["response"]["status"], "failed");
    assert_eq!(
        data["response"]["error"],
        json!({"code": "server_error", "message": "it broke"})
    );
    assert_eq!(data["response"]["output"][0]["status"], "in_progress");
}
