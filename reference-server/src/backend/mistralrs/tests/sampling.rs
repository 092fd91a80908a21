use super::*;

/// The answer to "Hello" with these parameters.
async fn sampled(change: impl FnOnce(&mut Sampling)) -> String {
    let mut request = chat("Hello", &[], 24);
    change(&mut request.sampling);
    ask(&shared().await, request).await.unwrap().text
}

/// The number of different characters.
fn variety(text: &str) -> usize {
    text.chars().collect::<std::collections::HashSet<_>>().len()
}

#[tokio::test]
async fn top_k_1_and_min_p_1_are_greedy() {
    let greedy = sampled(|_| {}).await;
    let top_k = sampled(|s| (s.temperature, s.top_k) = (Some(2.0), Some(1))).await;
    let min_p = sampled(|s| (s.temperature, s.min_p) = (Some(2.0), Some(1.0))).await;
    assert_eq!((&top_k, &min_p), (&greedy, &greedy));
}

#[tokio::test]
async fn a_bias_forces_or_bans_a_token() {
    let greedy = sampled(|_| {}).await;
    // The tiny model has a token for each character.
    let tokenizer = &shared().await.engine().unwrap().info.tokenizer;
    let id = |text: &str| tokenizer.token_to_id(text).unwrap();
    let forced = sampled(|s| s.logit_bias = vec![(id("z"), 100.0)]).await;
    assert_eq!(forced, "z".repeat(24));
    let banned = &greedy[..1];
    let without = sampled(|s| s.logit_bias = vec![(id(banned), -100.0)]).await;
    assert!(!without.contains(banned), "{without:?}");
}

#[tokio::test]
async fn penalties_make_the_text_vary() {
    let bias = |s: &mut Sampling| s.logit_bias = vec![(75, 20.0), (76, 19.0), (77, 18.0)];
    assert_eq!(variety(&sampled(bias).await), 1);
    for penalty in [
        |s: &mut Sampling| s.presence_penalty = Some(2.0),
        |s: &mut Sampling| s.frequency_penalty = Some(2.0),
        |s: &mut Sampling| s.repetition_penalty = Some(2.0),
    ] {
        let text = sampled(|s| {
            bias(s);
            penalty(s);
        })
        .await;
        assert!(variety(&text) > 1, "{text:?}");
    }
}

#[tokio::test]
async fn the_repetition_penalty_includes_the_prompt() {
    let penalised = sampled(|s| s.repetition_penalty = Some(1e6)).await;
    let prompt = "<|im_start|>system You are a helpful assistant. user Hello";
    let first = penalised.chars().next().unwrap();
    assert!(!prompt.contains(first), "{penalised:?}");
}

#[tokio::test]
async fn a_seed_repeats_the_answer_with_all_parameters() {
    let all = |seed| {
        move |s: &mut Sampling| {
            *s = Sampling {
                max_tokens: 24,
                temperature: Some(1.2),
                top_p: Some(0.9),
                top_k: Some(40),
                min_p: Some(0.01),
                frequency_penalty: Some(0.5),
                presence_penalty: Some(0.5),
                repetition_penalty: Some(1.1),
                logit_bias: vec![(70, 2.0)],
                seed: Some(seed),
                stop: Vec::new(),
            };
        }
    };
    assert_eq!(sampled(all(1)).await, sampled(all(1)).await);
    assert_ne!(sampled(all(1)).await, sampled(all(2)).await);
}
