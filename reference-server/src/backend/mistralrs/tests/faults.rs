//! Tests for each fault in `quirks`: that the backend handles it and, if possible, that the fault
//! still exists.

use super::*;

/// A vision model that sometimes generates invalid UTF-8.
async fn biased_model(bias: f32) -> (TempDir, MistralRs) {
    let dir = tempfile::tempdir().unwrap();
    tiny_model::write_biased(dir.path(), 7, bias).unwrap();
    let backend = ready(config(dir.path())).await;
    (dir, backend)
}

/// The engine's own replies to a request.
struct Raw {
    text: String,
    reasons: Vec<String>,
    error: Option<String>,
    progress: logits_processor::Progress,
}

impl Raw {
    async fn ask(
        engine: &Engine,
        prompt: &Prompt,
        prefix: Option<&str>,
        temperature: f64,
        max_tokens: usize,
    ) -> Self {
        let processor = Arc::new(processor(engine, temperature, max_tokens));
        let replies = engine.start(prompt, prefix, processor.clone(), max_tokens);
        let mut replies = with_timeout(replies).await.unwrap();
        let (mut text, mut reasons, mut error) = (String::new(), vec![], None);
        while let Some(reply) = with_timeout(replies.recv()).await {
            match reply {
                ::mistralrs::Response::Chunk(chunk) => {
                    let choice = &chunk.choices[0];
                    text += choice.delta.content.as_deref().unwrap_or_default();
                    reasons.extend(choice.finish_reason.clone());
                }
                ::mistralrs::Response::ModelError(text, _) => error = Some(text),
                _ => panic!("unexpected reply"),
            }
        }
        let progress = processor.progress();
        Self {
            text,
            reasons,
            error,
            progress,
        }
    }
}

fn seeded(text: &str, images: &[DynamicImage], max_tokens: usize, seed: u64) -> ChatRequest {
    let mut request = chat(text, images, max_tokens);
    request.sampling.temperature = Some(1.0);
    request.sampling.seed = Some(seed);
    request
}

#[tokio::test]
async fn fault_1_disconnecting_does_not_kill_the_engine() {
    let backend = shared().await;
    let engine = backend.engine().unwrap();
    let left = with_timeout(backend.chat(chat("Hello", &[], 50), UsageMeter::default()))
        .await
        .unwrap();
    drop(left);
    ask(&backend, chat("Hello", &[], 60)).await.unwrap();
    assert!(Arc::ptr_eq(&engine, &backend.engine().unwrap()));
}

#[tokio::test]
async fn fault_2_concurrent_images_of_equal_length_succeed() {
    let backend = shared().await;
    let look = |seed| ask(&backend, chat("Look", &[picture(112, 112, seed)], 8));
    let alone = (look(1).await.unwrap(), look(2).await.unwrap());
    let text = ask(&backend, chat("Hello", &[], 8)).await.unwrap();
    let hello = ask(&backend, chat("Hello", &[], 8));
    let (first, second, among) = tokio::join!(look(1), look(2), hello);
    assert_eq!((first.unwrap(), second.unwrap()), alone);
    assert_eq!(among.unwrap(), text);
}

#[tokio::test]
async fn fault_2_still_exists() {
    let dir = vision_model();
    let backend = ready(config(dir.path())).await;
    let engine = backend.engine().unwrap();
    let prompt = |seed| {
        let image = picture(112, 112, seed);
        prompt(user("Look", std::slice::from_ref(&image)), vec![image])
    };
    let (one, two) = (prompt(1), prompt(2));
    // Their arrival decides whether they are in one batch.
    for _ in 0..20 {
        let (first, second) = tokio::join!(
            Raw::ask(&engine, &one, None, 0.0, 8),
            Raw::ask(&engine, &two, None, 0.0, 8),
        );
        if first.error.is_some() || second.error.is_some() {
            return;
        }
    }
    panic!("20 pairs of image chats have succeeded");
}

#[tokio::test]
async fn fault_3_a_third_image_is_refused() {
    let backend = shared().await;
    let images = [1, 2, 3].map(|seed| picture(56, 56, seed));
    let (param, message) = invalid(ask(&backend, chat("Look", &images, 4)).await);
    assert_eq!(param, "messages");
    assert!(
        message.contains("at most 2") && message.contains("newest"),
        "{message}"
    );
    ask(&backend, chat("Look", &images[..2], 4)).await.unwrap();
}

#[tokio::test]
async fn fault_3_still_exists() {
    let backend = shared().await;
    let engine = backend.engine().unwrap();
    let _alone = acquire_all(&backend).await;
    let look = async |seeds: &[u8]| {
        let images: Vec<_> = seeds.iter().map(|seed| picture(112, 112, *seed)).collect();
        let prompt = prompt(user("Look", &images), images);
        Raw::ask(&engine, &prompt, None, 0.0, 16).await.text
    };
    // The model sees the first two images, and the second one again.
    assert_ne!(look(&[1, 2]).await, look(&[1, 3]).await);
    assert_eq!(look(&[1, 2, 3]).await, look(&[1, 2, 4]).await);
    assert_eq!(look(&[1, 2, 3]).await, look(&[1, 2, 2]).await);
}

#[tokio::test]
async fn fault_4_answers_are_resumed_or_fail_and_the_engine_survives() {
    let (_dir, backend) = biased_model(0.06).await;
    let engine = backend.engine().unwrap();
    let (mut resumed, mut given_up) = (0, 0);
    for seed in 0..12 {
        let request = || seeded("Look", &[picture(56, 56, 1)], 12, seed);
        let before = backend.resumes();
        let answer = ask(&backend, request()).await;
        let resumes = backend.resumes() - before;
        match &answer {
            Ok(answer) => {
                assert!(answer.usage.completion_tokens <= 12);
                assert_eq!(answer.usage.prompt_tokens, 67);
                resumed += usize::from(resumes > 0);
            }
            Err(error) => {
                assert_eq!(*error, BackendError::Engine);
                assert_eq!(resumes, quirks::MAX_RESUMES as u64);
                given_up += 1;
            }
        }
        assert_eq!(
            answer,
            ask(&backend, request()).await,
            "the seed did not repeat the answer"
        );
    }
    assert!(
        resumed > 0 && given_up > 0,
        "{resumed} resumed, {given_up} given up"
    );
    assert!(Arc::ptr_eq(&engine, &backend.engine().unwrap()));
}

#[tokio::test]
async fn fault_4_is_not_resumed_with_a_fixed_template() {
    let dir = tempfile::tempdir().unwrap();
    tiny_model::write_biased(dir.path(), 7, 0.0).unwrap();
    let template = "{% for message in messages %}{{ message.content }}{% endfor %}";
    let processor = format!("{{ \"chat_template\": {template:?} }}");
    fs::write(dir.path().join("processor_config.json"), processor).unwrap();
    let backend = ready(config(dir.path())).await;
    let answer = ask(&backend, seeded("Look", &[picture(56, 56, 1)], 50, 1)).await;
    assert_eq!(answer, Err(BackendError::Engine));
    assert_eq!(backend.resumes(), 0);
}

#[tokio::test]
async fn fault_4_a_prefix_continues_the_answer() {
    let backend = shared().await;
    let engine = backend.engine().unwrap();
    let whole = ask(&backend, chat("Hello", &[], 24)).await.unwrap();
    let prompt = prompt(user("Hello", &[]), vec![]);
    let _alone = acquire_all(&backend).await;
    let raw = Raw::ask(&engine, &prompt, Some(&whole.text[..10]), 0.0, 14).await;
    // The engine strips the whitespace at the start of its text.
    assert_eq!(raw.text, whole.text[10..].trim_start());
    assert_eq!(raw.progress.prompt, whole.usage.prompt_tokens + 10);
}

#[tokio::test]
async fn fault_5_small_and_narrow_images_do_not_kill_the_engine() {
    let backend = shared().await;
    let engine = backend.engine().unwrap();
    for (width, height) in [(3, 90), (3000, 2)] {
        let request = chat("Look", &[picture(width, height, 1)], 2);
        ask(&backend, request).await.unwrap();
    }
    assert!(Arc::ptr_eq(&engine, &backend.engine().unwrap()));
}

#[tokio::test]
async fn fault_5_still_exists() {
    let dir = vision_model();
    let backend = ready(config(dir.path())).await;
    let engine = backend.engine().unwrap();
    let image = picture(20, 60, 1);
    let prompt = prompt(user("Look", std::slice::from_ref(&image)), vec![image]);
    let raw = Raw::ask(&engine, &prompt, None, 0.0, 4).await;
    assert!(raw.reasons.is_empty());
    with_timeout(engine.died()).await;
}

#[tokio::test]
async fn fault_6_still_exists() {
    let (_dir, backend) = biased_model(0.0).await;
    let engine = backend.engine().unwrap();
    let prompt = prompt(user("Hello", &[]), vec![]);
    let mut silent = 0;
    for max_tokens in 1..12 {
        let raw = Raw::ask(&engine, &prompt, None, 1.0, max_tokens).await;
        silent += usize::from(raw.reasons.is_empty() && raw.error.is_none());
    }
    assert!(silent > 0);
}

#[tokio::test]
async fn fault_6_an_answer_that_ends_inside_a_character_has_a_reason() {
    let (_dir, backend) = biased_model(0.0).await;
    for seed in 0..20 {
        let answer = ask(&backend, seeded("Hello", &[], 9, seed)).await.unwrap();
        match answer.finish {
            FinishReason::Length => assert_eq!(answer.usage.completion_tokens, 9),
            FinishReason::Stop => assert!(answer.usage.completion_tokens <= 9),
            reason => panic!("{reason:?}"),
        }
    }
}

#[tokio::test]
async fn fault_9_one_token_is_one_token() {
    let backend = shared().await;
    for images in [&[][..], &[picture(56, 56, 1)]] {
        let answer = ask(&backend, chat("Hello", images, 1)).await.unwrap();
        assert_eq!(answer.finish, FinishReason::Length);
        assert_eq!(answer.usage.completion_tokens, 1);
        assert_eq!(answer.text.len(), 1);
    }
}

#[tokio::test]
async fn fault_9_still_exists() {
    let backend = shared().await;
    let engine = backend.engine().unwrap();
    let prompt = prompt(user("Hello", &[]), vec![]);
    let _alone = acquire_all(&backend).await;
    let raw = Raw::ask(&engine, &prompt, None, 0.0, 1).await;
    assert_eq!(raw.reasons, ["length", "stop"]);
    assert_eq!(raw.progress.generated, 1);
}

#[tokio::test]
async fn fault_12_concurrent_chats_do_not_mix() {
    let backend = shared().await;
    let texts = ["Hello", "zzzzz", "Green", "Apple", "A longer one", "Q"];
    let mut alone = Vec::new();
    for text in texts {
        alone.push(ask(&backend, chat(text, &[], 16)).await.unwrap());
    }
    let chats = texts.map(|text| ask(&backend, chat(text, &[], 16)));
    let at_once = futures_util::future::join_all(chats).await;
    let at_once: Vec<Completion> = at_once.into_iter().map(Result::unwrap).collect();
    assert_eq!(at_once, alone);
}

#[tokio::test]
async fn fault_12_still_exists() {
    let dir = tempfile::tempdir().unwrap();
    tiny_model::write_text(dir.path(), 7).unwrap();
    let backend = ready(config(dir.path())).await;
    let engine = backend.engine().unwrap();
    let prompts = ["Hello", "zzzzz", "Green"].map(|text| prompt(user(text, &[]), vec![]));
    let mut alone = Vec::new();
    for prompt in &prompts {
        alone.push(Raw::ask(&engine, prompt, None, 0.0, 20).await.text);
    }
    let chats = prompts
        .each_ref()
        .map(|prompt| Raw::ask(&engine, prompt, None, 0.0, 20));
    let at_once = futures_util::future::join_all(chats).await;
    let at_once: Vec<String> = at_once.into_iter().map(|raw| raw.text).collect();
    assert_ne!(at_once, alone);
}

#[tokio::test]
async fn a_dead_engine_fails_its_chats_and_is_reloaded() {
    let dir = vision_model();
    let mut backend = ready(config(dir.path())).await;
    let engine = backend.engine().unwrap();
    let expected = ask(&backend, chat("Hello", &[], 8)).await.unwrap();
    let running = with_timeout(backend.chat(chat("Hello", &[], 4000), UsageMeter::default()))
        .await
        .unwrap();
    with_timeout(engine.kill()).await;
    assert_eq!(
        with_timeout(collect(running)).await,
        Err(BackendError::Engine)
    );
    let other = |state: &State| match &state.engine {
        Some(LoadedEngine::Chat(other)) => !Arc::ptr_eq(other, &engine),
        _ => false,
    };
    drop(with_timeout(backend.state.wait_for(other)).await.unwrap());
    assert_eq!(
        ask(&backend, chat("Hello", &[], 8)).await.unwrap(),
        expected
    );
}
