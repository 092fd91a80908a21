use serde_json::{Value, value::RawValue};

use super::*;
use crate::chat::ResponseFormat;

const POINT: &str = r#"{"type":"object","additionalProperties":false,
    "required":["x","button"],
    "properties":{"x":{"type":"integer","minimum":0,"maximum":999},
                  "button":{"enum":["left","right"]}}}"#;

fn schema(schema: &str) -> ResponseFormat {
    ResponseFormat::JsonSchema {
        name: "answer".to_owned(),
        description: None,
        schema: Some(RawValue::from_string(schema.to_owned()).unwrap()),
        strict: true,
    }
}

fn formatted(format: ResponseFormat, images: &[DynamicImage], seed: u64) -> ChatRequest {
    let mut request = chat("Where?", images, 60);
    request.sampling.temperature = Some(1.0);
    request.sampling.seed = Some(seed);
    request.response_format = format;
    request
}

fn assert_point(text: &str) {
    let point: Value = serde_json::from_str(text).unwrap();
    assert!(point["x"].as_u64().unwrap() <= 999, "{text}");
    assert!(["left", "right"].contains(&point["button"].as_str().unwrap()));
    assert_eq!(point.as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn the_answer_matches_a_schema() {
    let backend = shared().await;
    let mut answers = Vec::new();
    for seed in 0..4 {
        let request = || formatted(schema(POINT), &[], seed);
        let answer = ask(&backend, request()).await.unwrap();
        assert_point(&answer.text);
        // The end of the grammar is the end of the answer, without an end token.
        assert_eq!(answer.finish, FinishReason::Stop);
        assert_eq!(answer.usage.completion_tokens, answer.text.len());
        assert_eq!(answer, ask(&backend, request()).await.unwrap());
        answers.push(answer.text);
    }
    answers.dedup();
    assert!(answers.len() > 1, "{answers:?}");
}

#[tokio::test]
async fn greedy_answers_and_answers_about_images_match_a_schema() {
    let backend = shared().await;
    let mut request = formatted(schema(POINT), &[picture(112, 112, 1)], 0);
    request.sampling.temperature = Some(0.0);
    assert_point(&ask(&backend, request).await.unwrap().text);
}

#[tokio::test]
async fn each_choice_matches_a_schema() {
    let backend = shared().await;
    let mut request = formatted(schema(POINT), &[], 3);
    request.choices = 3;
    let answer = ask_all(&backend, request).await.unwrap();
    assert_eq!(answer.choices.len(), 3);
    answer
        .choices
        .iter()
        .for_each(|choice| assert_point(&choice.text));
}

#[tokio::test]
async fn a_json_object_is_valid_as_far_as_it_goes() {
    let backend = shared().await;
    for seed in 0..4 {
        let request = formatted(ResponseFormat::JsonObject, &[], seed);
        let answer = ask(&backend, request).await.unwrap();
        match serde_json::from_str::<Value>(&answer.text) {
            Ok(value) => assert!(value.is_object()),
            Err(error) => {
                assert!(error.is_eof(), "{}: {error}", answer.text);
                assert_eq!(answer.finish, FinishReason::Length);
            }
        }
    }
}

#[tokio::test]
async fn a_stop_sequence_ends_an_answer_in_json() {
    let backend = shared().await;
    let mut request = formatted(schema(POINT), &[], 1);
    request.sampling.stop = vec!["button".to_owned()];
    let answer = ask(&backend, request).await.unwrap();
    assert!(answer.text.ends_with(",\"") || answer.text.ends_with(", \""));
}

#[tokio::test]
async fn log_probabilities_ignore_the_grammar() {
    let backend = shared().await;
    let mut request = formatted(schema(POINT), &[], 1);
    request.top_logprobs = Some(2);
    let answer = ask_all(&backend, request).await.unwrap();
    let first = &answer.choices[0].logprobs[0];
    assert_eq!(first.token.text, "{");
    assert_ne!(first.top[0].text, "{");
}

#[tokio::test]
async fn an_invalid_schema_is_refused_before_the_queue() {
    let dir = vision_model();
    let mut config = config(dir.path());
    (config.max_running, config.max_queued) = (1, 0);
    let backend = ready(config).await;
    let _busy = acquire_all(&backend).await;
    for text in [r#"{"type":"secret"}"#, r#"{"$ref":"http://secret/"}"#] {
        let (param, message) = invalid(ask(&backend, formatted(schema(text), &[], 1)).await);
        assert_eq!(param, "response_format.json_schema.schema");
        assert!(
            message.contains("schema") && !message.contains("secret"),
            "{message}"
        );
    }
}
