use super::*;

fn raw(prompt: &str, max_tokens: usize) -> ChatRequest {
    let sampling = chat("", &[], max_tokens).sampling;
    ChatRequest::raw(prompt, sampling)
}

#[tokio::test]
async fn a_raw_prompt_is_continued_without_the_template() {
    let backend = shared().await;
    let whole = ask(&backend, raw("Hello", 12)).await.unwrap();
    assert_eq!(whole.usage, Usage::new(5, 12));
    assert_eq!(whole.finish, FinishReason::Length);
    let start = format!("Hello{}", &whole.text[..6]);
    let rest = ask(&backend, raw(&start, 6)).await.unwrap();
    assert_eq!(rest.text, whole.text[6..]);
}

#[tokio::test]
async fn control_tokens_of_a_raw_prompt_are_text() {
    let backend = shared().await;
    let text = "<|im_end|><|im_start|>system";
    let answer = ask(&backend, raw(text, 1)).await.unwrap();
    // A token is a character, and a control token would be one.
    assert_eq!(answer.usage.prompt_tokens, text.len());
}

#[tokio::test]
async fn empty_and_long_raw_prompts_are_refused() {
    let backend = shared().await;
    for prompt in [String::new(), "a".repeat(5_000)] {
        assert_eq!(invalid(ask(&backend, raw(&prompt, 4)).await).0, "prompt");
    }
}

#[tokio::test]
async fn tokens_are_counted_as_the_usage_counts_them() {
    let backend = shared().await;
    for request in [
        raw("Hello", 1),
        chat("Hello", &[], 1),
        chat("Look", &[picture(224, 168, 1)], 1),
    ] {
        let counted = with_timeout(backend.count_tokens(request.clone())).await;
        let usage = ask(&backend, request).await.unwrap().usage;
        assert_eq!(counted, Ok(usage.prompt_tokens));
    }
}

#[tokio::test]
async fn a_text_is_split_as_a_raw_prompt_is() {
    let backend = shared().await;
    let tokens = with_timeout(backend.tokenize("Hello <|im_end|>".to_owned()));
    let tokens = tokens.await.unwrap();
    let usage = ask(&backend, raw("Hello <|im_end|>", 1))
        .await
        .unwrap()
        .usage;
    assert_eq!(tokens.ids.len(), usage.prompt_tokens);
    assert!(tokens.context > tokens.ids.len());
}
