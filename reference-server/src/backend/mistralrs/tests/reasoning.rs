use super::*;

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
