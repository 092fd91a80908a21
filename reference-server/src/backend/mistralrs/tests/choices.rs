use super::*;

fn several(choices: u32, max_tokens: usize, seed: u64) -> ChatRequest {
    let mut request = chat("Hello", &[], max_tokens);
    request.sampling.temperature = Some(1.0);
    request.sampling.seed = Some(seed);
    request.choices = choices;
    request
}

#[tokio::test]
async fn choices_have_consecutive_seeds() {
    let backend = shared().await;
    let answer = ask_all(&backend, several(3, 12, 5)).await.unwrap();
    assert_eq!(answer.choices.len(), 3);
    for (choice, seed) in answer.choices.iter().zip(5..) {
        let alone = ask(&backend, several(1, 12, seed)).await.unwrap();
        assert_eq!(choice.text, alone.text);
        assert_eq!(choice.finish, Some(alone.finish));
    }
}

#[tokio::test]
async fn usage_has_the_prompt_once_and_the_tokens_of_all_choices() {
    let backend = shared().await;
    let one = ask(&backend, several(1, 6, 1)).await.unwrap().usage;
    let context = stockade_core::context::RequestContext::default();
    let meter = UsageMeter::start(&context);
    let chat = backend.chat(several(4, 6, 1), meter);
    let mut generation = with_timeout(chat).await.unwrap();
    let mut usage = None;
    while let Some(event) = with_timeout(generation.next()).await {
        if let Event::Done(done) = event.unwrap() {
            usage = Some(done);
        }
    }
    assert_eq!(usage, Some(Usage::new(one.prompt_tokens, 4 * 6)));
    let metered = context.usage().unwrap();
    assert_eq!(metered.completion_tokens, 4 * 6);
    assert_eq!(metered.prompt_tokens, one.prompt_tokens as u64);
}

#[tokio::test]
async fn disconnecting_stops_all_choices() {
    let backend = shared().await;
    let chat = backend.chat(several(16, 3_000, 1), UsageMeter::default());
    let mut generation = with_timeout(chat).await.unwrap();
    with_timeout(generation.next()).await.unwrap().unwrap();
    drop(generation);
    // Waits until the slot is free; 48,000 tokens take minutes.
    drop(acquire_all(&backend).await);
}

// B07
#[tokio::test]
async fn too_many_choices_are_refused() {
    let backend = shared().await;
    for choices in [17, u32::MAX] {
        let (param, message) = invalid(ask(&backend, several(choices, 4, 1)).await);
        assert_eq!(param, "n");
        assert!(message.contains("at most 16"), "{message}");
    }
}
