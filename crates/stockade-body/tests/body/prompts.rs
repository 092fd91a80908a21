//! Digests of prompts.

use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};
use stockade_body::{BodyLayer, BodyRules, Profile, PromptKey};

use crate::support::{post, send};

fn layer(profile: Profile, secret: u8) -> BodyLayer {
    BodyLayer::new(
        BodyRules::new()
            .route(Method::POST, "/", profile)
            .digest_prompts(PromptKey::new([secret; 32]).unwrap()),
    )
}

async fn digest(layer: &BodyLayer, body: impl Into<bytes::Bytes>) -> Option<String> {
    let passed = send(layer, post("application/json", body)).await.passed();
    let digest = passed.demand?.prompt_digest?;
    Some(digest.to_string())
}

fn chat(texts: &[&str]) -> Value {
    let messages = texts
        .iter()
        .map(|text| json!({"role": "user", "content": text}));
    json!({"model": "tiny", "messages": messages.collect::<Vec<_>>()})
}

#[tokio::test]
async fn digests_are_equal_for_equal_prompts_only() {
    let chats = layer(Profile::openai_chat(), 7);
    let of = async |texts: &[&str]| digest(&chats, chat(texts).to_string()).await.unwrap();
    let first = of(&["Hello", "there"]).await;
    assert_eq!(first.len(), 32);
    assert_eq!(of(&["Hello", "there"]).await, first);
    for other in [
        &["Hellothere"][..],
        &["there", "Hello"],
        &["Hello", "There"],
    ] {
        assert_ne!(of(other).await, first, "{other:?}");
    }

    // Neither other members nor the spelling make a difference.
    let written = r#"{"temperature": 1, "model": "other", "messages": [
        {"content": "H\u0065llo", "role": "system"},
        {"role": "user", "content": [{"type": "text", "text": "there"}]}]}"#;
    assert_eq!(digest(&chats, written).await.unwrap(), first);

    // Another key, another digest.
    let others = layer(Profile::openai_chat(), 8);
    let other = digest(&others, chat(&["Hello", "there"]).to_string()).await;
    assert_ne!(other.unwrap(), first);
}

#[tokio::test]
async fn digests_prompts_of_every_format() {
    for (profile, prompt, other) in [
        (
            Profile::openai_completions(),
            json!({"model": "m", "prompt": "Hello"}),
            json!({"model": "m", "prompt": "hello"}),
        ),
        (
            Profile::openai_completions(),
            json!({"model": "m", "prompt": [1, 2, 3]}),
            json!({"model": "m", "prompt": [1, 2, 4]}),
        ),
        (
            Profile::openai_embeddings(),
            json!({"model": "m", "input": ["a", "b"]}),
            json!({"model": "m", "input": ["ab"]}),
        ),
        (
            Profile::anthropic_messages(),
            json!({"model": "m", "max_tokens": 9, "system": "s",
                "messages": [{"role": "user", "content": "Hello"}]}),
            json!({"model": "m", "max_tokens": 9, "system": "t",
                "messages": [{"role": "user", "content": "Hello"}]}),
        ),
    ] {
        let layer = layer(profile, 7);
        let found = digest(&layer, prompt.to_string()).await;
        assert!(found.is_some(), "{prompt}");
        assert_eq!(digest(&layer, prompt.to_string()).await, found);
        assert_ne!(digest(&layer, other.to_string()).await, found, "{other}");
    }
}

#[tokio::test]
async fn no_digest_without_key_or_prompt() {
    let plain = crate::support::layer(Profile::openai_chat());
    assert_eq!(digest(&plain, chat(&["Hello"]).to_string()).await, None);
    let keyed = layer(Profile::openai_chat(), 7);
    let empty = json!({"model": "tiny", "messages": []});
    assert_eq!(digest(&keyed, empty.to_string()).await, None);
}

proptest! {
    #[test]
    fn a_long_prompt_is_digested_as_a_short_one(text in "\\PC{0,40}", times in 1_usize..2_000) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let text = text.repeat(times);
        let layer = layer(Profile::openai_chat().max_prompt_chars(1_000_000), 7);
        runtime.block_on(async {
            let plain = digest(&layer, chat(&[&text]).to_string()).await;
            // Escapes use up the budget, so the longer ones are validated on another thread.
            let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            let escaped = format!(
                r#"{{"model": "tiny", "messages": [{{"role": "user", "content": "{escaped}"}}]}}"#,
            );
            prop_assert_eq!(digest(&layer, escaped).await, plain);
            Ok(())
        })?;
    }
}
