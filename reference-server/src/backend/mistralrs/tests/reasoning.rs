use super::*;
use crate::chat::ReasoningEffort;

/// A tiny model whose prompts end with more.
async fn with_template(end: &str) -> (TempDir, MistralRs) {
    let dir = tempfile::tempdir().unwrap();
    tiny_model::write_text(dir.path(), 7).unwrap();
    let start = "<|im_start|>assistant\\\\n' }}";
    edit(
        dir.path(),
        "tokenizer_config.json",
        start,
        &format!("{start}{end}"),
    );
    let backend = ready(config(dir.path())).await;
    (dir, backend)
}

#[tokio::test]
async fn text_in_the_think_tag_of_the_prompt_is_reasoning() {
    let (_dir, backend) = with_template("<think>{#- </think> -#}").await;
    let answer = ask_all(&backend, chat("Hello", &[], 12)).await.unwrap();
    let choice = &answer.choices[0];
    assert_eq!((choice.reasoning.len(), choice.text.as_str()), (12, ""));
    assert_eq!(choice.finish, Some(FinishReason::Length));
    assert_eq!(answer.usage.unwrap().reasoning_tokens, 12);
}

#[tokio::test]
async fn text_without_think_tags_is_the_answer() {
    let (_dir, backend) = with_template("{#- <think></think> -#}").await;
    let answer = ask_all(&backend, chat("Hello", &[], 12)).await.unwrap();
    let choice = &answer.choices[0];
    assert_eq!((choice.text.len(), choice.reasoning.as_str()), (12, ""));
    assert_eq!(answer.usage.unwrap().reasoning_tokens, 0);
}

#[tokio::test]
async fn models_with_channels_answer_without_log_probabilities() {
    let (_dir, backend) = with_template("{#- <|channel> <channel|> -#}").await;
    let answer = ask(&backend, chat("Hello", &[], 12)).await.unwrap();
    assert_eq!(answer.text.len(), 12);
    let mut request = chat("Hello", &[], 12);
    request.top_logprobs = Some(1);
    let refused = ask(&backend, request).await.unwrap_err();
    let param = "logprobs".to_owned();
    assert_eq!(refused, BackendError::Unsupported { param });
}

#[tokio::test]
async fn the_effort_reaches_the_template() {
    let end = "{{ reasoning_effort }}{% if enable_thinking %}!{% endif %}";
    let (_dir, backend) = with_template(end).await;
    let count = |effort| {
        let mut request = chat("Hello", &[], 4);
        request.reasoning_effort = effort;
        with_timeout(backend.count_tokens(request))
    };
    let default = count(None).await.unwrap();
    let high = count(Some(ReasoningEffort::High)).await.unwrap();
    let none = count(Some(ReasoningEffort::None)).await.unwrap();
    // "medium!", "high!" and "low"; a token is a character.
    assert_eq!((high, none), (default - 2, default - 4));

    let mut request = chat("Hello", &[], 4);
    request.reasoning_effort = Some(ReasoningEffort::High);
    let refused = ask(&shared().await, request).await.unwrap_err();
    let param = "reasoning_effort".to_owned();
    assert_eq!(refused, BackendError::Unsupported { param });
}
