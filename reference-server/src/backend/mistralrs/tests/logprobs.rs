use super::*;

fn with_logprobs(top: u8, max_tokens: usize) -> ChatRequest {
    let mut request = chat("Hello", &[], max_tokens);
    request.top_logprobs = Some(top);
    request
}

#[tokio::test]
async fn log_probabilities_are_those_of_the_text() {
    let backend = shared().await;
    let plain = ask(&backend, chat("Hello", &[], 12)).await.unwrap();
    let answer = ask_all(&backend, with_logprobs(3, 12)).await.unwrap();
    let choice = &answer.choices[0];
    assert_eq!(choice.text, plain.text);
    let bytes: Vec<u8> = choice
        .logprobs
        .iter()
        .flat_map(|l| l.token.bytes.clone())
        .collect();
    assert_eq!(bytes, choice.text.as_bytes());
    for logprob in &choice.logprobs {
        assert_eq!(logprob.top.len(), 3);
        // Greedy, so the token is the likeliest.
        assert_eq!(logprob.top[0], logprob.token);
        assert!(logprob.top.is_sorted_by(|a, b| a.logprob >= b.logprob));
        assert!((-20.0..=0.0).contains(&logprob.token.logprob));
    }
}

#[tokio::test]
async fn log_probabilities_ignore_temperature_and_bias() {
    let backend = shared().await;
    let greedy = ask_all(&backend, with_logprobs(2, 1)).await.unwrap();
    let mut request = with_logprobs(2, 1);
    request.sampling.logit_bias = vec![(75, 100.0)];
    let biased = ask_all(&backend, request).await.unwrap();
    let [greedy, biased] = [greedy, biased].map(|mut a| a.choices.remove(0).logprobs.remove(0));
    assert_eq!(greedy.top, biased.top);
    assert!(biased.token.logprob < biased.top[1].logprob);
}

#[tokio::test]
async fn log_probabilities_end_before_a_stop_sequence() {
    let backend = shared().await;
    let whole = ask(&backend, chat("Hello", &[], 24)).await.unwrap().text;
    let mut request = with_logprobs(0, 24);
    request.sampling.stop = vec![whole[9..12].to_owned()];
    let answer = ask_all(&backend, request).await.unwrap();
    let choice = &answer.choices[0];
    assert_eq!(choice.text, whole[..whole.find(&whole[9..12]).unwrap()]);
    // A token is one character.
    assert_eq!(choice.logprobs.len(), choice.text.len());
    assert!(choice.logprobs.iter().all(|l| l.top.is_empty()));
}

#[tokio::test]
async fn each_event_has_the_log_probabilities_of_its_text() {
    let dir = tempfile::tempdir().unwrap();
    // Invalid UTF-8, so that events have less and more than a token.
    tiny_model::write_biased(dir.path(), 7, 0.0).unwrap();
    let backend = ready(config(dir.path())).await;
    let mut request = with_logprobs(1, 40);
    request.sampling.temperature = Some(1.0);
    request.sampling.seed = Some(1);
    let chat = backend.chat(request, UsageMeter::default());
    let mut generation = with_timeout(chat).await.unwrap();
    let mut tokens = 0;
    while let Some(event) = with_timeout(generation.next()).await {
        match event.unwrap() {
            Event::Text { text, logprobs, .. } => {
                assert!(!text.is_empty() || !logprobs.is_empty());
                // Control tokens have bytes but no text.
                let texts = logprobs.iter().map(|l| l.token.bytes.as_slice());
                let texts = texts.filter(|bytes| !bytes.starts_with(b"<|"));
                let bytes = texts.collect::<Vec<_>>().concat();
                assert!(
                    String::from_utf8_lossy(&bytes).starts_with(&text),
                    "{text:?}"
                );
                tokens += logprobs.len();
            }
            Event::Done(usage) => assert!(usage.completion_tokens >= tokens && tokens > 10),
            _ => {}
        }
    }
}
