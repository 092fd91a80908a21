//! Arbitrary chats and generations.

use proptest::{collection::vec, option, prelude::*};
use serde_json::value::RawValue;

use crate::chat::{
    ChatRequest, EncodedImage, Event, FinishReason, Image, Message, Part, ReasoningEffort,
    ResponseFormat, Role, Sampling, TokenLogprob, Tool, ToolCall, ToolChoice, TopLogprob, Usage,
};

/// Images of one pixel.
const IMAGES: [&str; 2] = [
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC",
    "R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=",
];

pub(super) fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,8}", "(?s).{1,12}"]
}

fn image() -> impl Strategy<Value = Part> {
    prop::sample::select(&IMAGES[..]).prop_map(|data| {
        Part::Image(Image {
            file: EncodedImage::from_base64(data).unwrap(),
            param: String::new(),
        })
    })
}

fn call() -> impl Strategy<Value = ToolCall> {
    let arguments = prop_oneof![
        Just("{}".to_owned()),
        text().prop_map(|text| serde_json::json!({"a": text}).to_string())
    ];
    ("[a-z]{1,8}", "[a-z_]{1,8}", arguments).prop_map(|(id, name, arguments)| ToolCall {
        id,
        name,
        arguments,
    })
}

/// A turn: a user's message, an assistant's with calls, and their results.
fn turn() -> impl Strategy<Value = Vec<Message>> {
    let parts = vec(
        prop_oneof![3 => text().prop_map(Part::Text), 1 => image()],
        1..4,
    );
    let calls = vec((call(), text()), 0..3);
    (parts, option::of(text()), calls).prop_map(|(parts, answer, calls)| {
        let mut messages = vec![Message {
            parts,
            ..Message::text(Role::User, "")
        }];
        let (calls, results): (Vec<_>, Vec<_>) = calls.into_iter().unzip();
        let answer: Vec<_> = answer.map(Part::Text).into_iter().collect();
        if answer.is_empty() && calls.is_empty() {
            return messages;
        }
        messages.push(Message {
            parts: answer,
            tool_calls: calls.clone(),
            ..Message::text(Role::Assistant, "")
        });
        let results = calls.iter().zip(results).map(|(call, result)| Message {
            tool_call_id: Some(call.id.clone()),
            ..Message::text(Role::Tool, result)
        });
        messages.extend(results);
        messages
    })
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    (option::of(text()), vec(turn(), 1..4)).prop_map(|(system, turns)| {
        let system = system.map(|text| Message::text(Role::System, text));
        system
            .into_iter()
            .chain(turns.into_iter().flatten())
            .collect()
    })
}

fn tools() -> impl Strategy<Value = Vec<Tool>> {
    let schema = || {
        let text = r#"{"type":"object","properties":{"x":{"type":"integer"}}}"#;
        RawValue::from_string(text.to_owned()).unwrap()
    };
    let tool = (option::of(text()), any::<bool>(), any::<bool>());
    vec(tool, 0..3).prop_map(move |tools| {
        let tools = tools.into_iter().enumerate();
        let tools = tools.map(|(at, (description, has_schema, strict))| Tool {
            name: format!("tool_{at}"),
            description,
            parameters: has_schema.then(schema),
            strict,
        });
        tools.collect()
    })
}

/// Halves, which JSON keeps exactly.
fn halves(range: std::ops::RangeInclusive<i32>) -> impl Strategy<Value = Option<f64>> {
    option::of(range.prop_map(|half| f64::from(half) / 2.0))
}

fn sampling() -> impl Strategy<Value = Sampling> {
    (
        1_usize..1_000,
        halves(0..=4),
        halves(1..=2),
        option::of(0_u32..100),
        halves(-4..=4),
        vec((0_u32..10, -100_i32..=100), 0..1),
        option::of(any::<u64>()),
        vec(text(), 0..3),
    )
        .prop_map(
            |(max_tokens, temperature, top_p, top_k, penalty, bias, seed, stop)| Sampling {
                max_tokens,
                temperature,
                top_p,
                top_k,
                min_p: top_p,
                frequency_penalty: penalty,
                presence_penalty: penalty,
                repetition_penalty: top_p,
                logit_bias: bias
                    .into_iter()
                    .map(|(token, bias)| (token, bias.into()))
                    .collect(),
                seed,
                stop,
            },
        )
}

fn response_format() -> impl Strategy<Value = ResponseFormat> {
    let schema = (option::of(text()), any::<bool>()).prop_map(|(description, strict)| {
        ResponseFormat::JsonSchema {
            name: "answer".to_owned(),
            description,
            schema: Some(RawValue::from_string(r#"{"type": "object"}"#.to_owned()).unwrap()),
            strict,
        }
    });
    prop_oneof![
        Just(ResponseFormat::Text),
        Just(ResponseFormat::JsonObject),
        schema
    ]
}

pub(super) fn request() -> impl Strategy<Value = ChatRequest> {
    let choice = prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        Just(ToolChoice::Function("tool_0".to_owned())),
    ];
    let effort = prop::sample::select(
        &[
            None,
            Some(ReasoningEffort::Minimal),
            Some(ReasoningEffort::High),
        ][..],
    );
    (
        messages(),
        sampling(),
        (tools(), choice, option::of(any::<bool>())),
        response_format(),
        (1_u32..=8, option::of(0_u8..=20)),
        effort,
    )
        .prop_map(
            |(messages, sampling, (tools, choice, parallel), format, (choices, top), effort)| {
                let has_tools = !tools.is_empty();
                ChatRequest {
                    tool_choice: if has_tools { choice } else { ToolChoice::Auto },
                    parallel_tool_calls: parallel.filter(|_| has_tools),
                    tools,
                    response_format: format,
                    choices,
                    top_logprobs: top,
                    reasoning_effort: effort,
                    ..ChatRequest::new(messages, sampling)
                }
            },
        )
}

/// A token and the bytes of its text.
fn logprob() -> impl Strategy<Value = TopLogprob> {
    (text(), 0_u8..40).prop_map(|(text, quarters)| TopLogprob {
        bytes: text.as_bytes().to_vec(),
        text,
        logprob: -f64::from(quarters) / 4.0,
    })
}

/// The events of a choice, before its end.
fn choice_events(index: u32) -> impl Strategy<Value = Vec<Event>> {
    let logprobs = vec((logprob(), vec(logprob(), 0..2)), 0..2).prop_map(|tokens| {
        let tokens = tokens.into_iter();
        tokens
            .map(|(token, top)| TokenLogprob { token, top })
            .collect()
    });
    let text_event = (text(), logprobs).prop_map(move |(text, logprobs)| Event::Text {
        choice: index,
        text,
        logprobs,
    });
    let reasoning = text().prop_map(move |text| Event::Reasoning {
        choice: index,
        text,
    });
    let calls = vec((call(), vec(text(), 0..3)), 0..3);
    (vec(reasoning, 0..2), vec(text_event, 0..4), calls).prop_map(
        move |(reasoning, texts, calls)| {
            let mut events: Vec<_> = reasoning.into_iter().chain(texts).collect();
            for (at, (call, arguments)) in (0_u32..).zip(calls) {
                events.push(Event::ToolCall {
                    choice: index,
                    call: at,
                    id: call.id,
                    name: call.name,
                });
                events.extend(arguments.into_iter().map(|text| Event::ToolArguments {
                    choice: index,
                    call: at,
                    text,
                }));
            }
            events
        },
    )
}

/// The events of a generation with this number of choices.
pub(super) fn generation(choices: u32) -> impl Strategy<Value = Vec<Event>> {
    let choice = |index| {
        let reason = prop_oneof![
            Just(FinishReason::Stop),
            text().prop_map(FinishReason::StopSequence),
            Just(FinishReason::Length),
            Just(FinishReason::ContentFilter),
        ];
        (choice_events(index), reason).prop_map(move |(mut events, reason)| {
            let has_calls = events
                .iter()
                .any(|event| matches!(event, Event::ToolCall { .. }));
            let reason = if has_calls {
                FinishReason::ToolCalls
            } else {
                reason
            };
            events.push(Event::Finish {
                choice: index,
                reason,
            });
            events
        })
    };
    let all: Vec<_> = (0..choices).map(|index| choice(index).boxed()).collect();
    let usage = (0_usize..100, 0_usize..100, 0_usize..100, 0_usize..100).prop_map(
        |(prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens)| Usage {
            prompt_tokens,
            completion_tokens,
            cached_tokens,
            reasoning_tokens,
            ..Usage::default()
        },
    );
    (all, usage).prop_map(|(choices, usage)| {
        let mut events: Vec<_> = choices.into_iter().flatten().collect();
        events.push(Event::Done(usage));
        events
    })
}
