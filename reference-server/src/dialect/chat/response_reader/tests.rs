use super::*;
use crate::chat::Completion;

fn completion(events: Vec<Event>) -> Completion {
    let mut completion = Completion::default();
    for event in events {
        completion.push(event);
    }
    completion
}

fn stream(chunks: &[&str]) -> Result<Completion, ReadError> {
    let text: String = chunks
        .iter()
        .map(|chunk| format!("data: {chunk}\n\n"))
        .collect();
    let mut reader = ResponseReader::default();
    let mut events = reader.push(text.as_bytes())?;
    events.extend(reader.finish()?);
    Ok(completion(events))
}

const END: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

#[test]
fn reads_text_reasoning_usage_and_log_probabilities() {
    let completion = stream(&[
        r#"{"id":"a","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"hi"},"logprobs":{"content":[{"token":"hi","logprob":-0.5,"bytes":[104,105],"top_logprobs":[{"token":"ho","logprob":-1.5}]}]}}]}"#,
        END,
        r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1}}}"#,
        "[DONE]",
        "what follows is ignored",
    ])
    .unwrap();
    let choice = &completion.choices[0];
    assert_eq!(
        (choice.text.as_str(), choice.reasoning.as_str()),
        ("hi", "hm")
    );
    assert_eq!(choice.logprobs[0].top[0].bytes, b"ho");
    assert_eq!(choice.finish, Some(FinishReason::Stop));
    let usage = completion.usage.unwrap();
    assert_eq!(
        (
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.cached_tokens
        ),
        (3, 2, 1)
    );
}

#[test]
fn reads_numbered_and_unnumbered_tool_calls() {
    let numbered = stream(&[
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"x","function":{"name":"a","arguments":""}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":2,"id":"y","function":{"name":"b","arguments":"[]"}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
    ]);
    let unnumbered = stream(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"id":"x","function":{"name":"a","arguments":"{}"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"id":"y","function":{"name":"b"}},{"function":{"arguments":"[]"}}]}}]}"#,
        END,
    ]);
    for completion in [numbered.unwrap(), unnumbered.unwrap()] {
        let [first, second] = completion.choices[0].tool_calls.as_slice() else {
            panic!("{completion:?}");
        };
        assert_eq!((first.id.as_str(), first.arguments.as_str()), ("x", "{}"));
        assert_eq!(
            (second.name.as_str(), second.arguments.as_str()),
            ("b", "[]")
        );
        assert_eq!(completion.choices[0].finish, Some(FinishReason::ToolCalls));
    }
}

#[test]
fn reads_the_stop_sequence_of_vllm_and_sglang() {
    let sequence = FinishReason::StopSequence("END".to_owned());
    for (fields, expected) in [
        (r#""stop_reason":"END""#, &sequence),
        (r#""stop_reason":null,"matched_stop":"END""#, &sequence),
        // The ids of end tokens.
        (r#""stop_reason":2"#, &FinishReason::Stop),
        (r#""matched_stop":151645"#, &FinishReason::Stop),
        (r#""stop_reason":null"#, &FinishReason::Stop),
        (r#""stop_reason":{"a":[1]}"#, &FinishReason::Stop),
    ] {
        let chunk = format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"stop",{fields}}}]}}"#);
        let object = chunk.replace(r#""delta""#, r#""message""#);
        let streamed = stream(&[&chunk]).unwrap();
        let read = completion(read_completion(object.as_bytes()).unwrap());
        for completion in [streamed, read] {
            let finish = completion.choices[0].finish.as_ref();
            assert_eq!(finish, Some(expected), "{fields}");
        }
    }
}

#[test]
fn refuses_other_responses() {
    let big = format!(
        r#"{{"choices":[{{"index":4294967295,"delta":{{"content":"{}"}}}}]}}"#,
        "a"
    );
    for (chunks, error) in [
        (vec!["not json"], ReadError::Malformed),
        (
            vec![r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0}]}}]}"#],
            ReadError::Malformed,
        ),
        (vec![big.as_str()], ReadError::TooLarge),
        (vec!["[DONE]"], ReadError::Incomplete),
        (vec![], ReadError::Incomplete),
        (
            vec![r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#],
            ReadError::Incomplete,
        ),
        (
            vec![
                r#"{"choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}"#,
                "[DONE]",
            ],
            ReadError::Incomplete,
        ),
        (
            vec![r#"{"error":{"message":"boom","code":500}}"#],
            ReadError::Upstream("boom".to_owned()),
        ),
        (
            vec![r#"{"error":"boom"}"#],
            ReadError::Upstream("boom".to_owned()),
        ),
    ] {
        assert_eq!(stream(&chunks).unwrap_err(), error, "{chunks:?}");
    }
}

#[test]
fn accepts_a_stream_without_done() {
    let completion = stream(&[END]).unwrap();
    assert_eq!(completion.usage, Some(Usage::default()));
}

#[test]
fn reads_a_completion_object() {
    let body = r#"{"id":"a","object":"chat.completion","choices":[
        {"index":0,"message":{"role":"assistant","content":null,"tool_calls":[
            {"id":"x","type":"function","function":{"name":"a","arguments":"{}"}}]},
         "finish_reason":"tool_calls","logprobs":null},
        {"index":1,"message":{"role":"assistant","content":"hi"},"finish_reason":"length"}],
        "usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;
    let completion = completion(read_completion(body.as_bytes()).unwrap());
    assert_eq!(completion.choices[0].tool_calls[0].name, "a");
    assert_eq!(completion.choices[1].text, "hi");
    assert_eq!(completion.choices[1].finish, Some(FinishReason::Length));
    assert_eq!(completion.usage, Some(Usage::new(1, 2)));
    for body in [
        "[]",
        "{}",
        r#"{"choices":[]}"#,
        r#"{"choices":[{"index":0}]}"#,
    ] {
        assert_eq!(
            read_completion(body.as_bytes()),
            Err(ReadError::Malformed),
            "{body}"
        );
    }
}
