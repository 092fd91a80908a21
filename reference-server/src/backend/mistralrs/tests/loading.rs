use super::*;

/// The load error of a model whose directory was changed.
async fn load_error(change: impl FnOnce(&Path)) -> String {
    let dir = vision_model();
    change(dir.path());
    let backend = MistralRs::start(config(dir.path()));
    let Phase::Failed(text) = with_timeout(backend.settled()).await else {
        panic!("the model was loaded");
    };
    assert!(!text.contains('\n'), "{text}");
    let refused = ask(&backend, chat("Hello", &[], 4)).await;
    assert_eq!(refused.unwrap_err(), BackendError::Failed);
    text
}

#[tokio::test]
async fn names_missing_files() {
    for name in ["config.json", "tokenizer.json", "preprocessor_config.json"] {
        let text = load_error(|dir| fs::remove_file(dir.join(name)).unwrap()).await;
        assert!(text.contains(&format!("has no {name}")), "{text}");
    }
    let text = load_error(|dir| fs::remove_file(dir.join("model.safetensors")).unwrap()).await;
    assert!(text.contains("has no weights"), "{text}");
    let text = load_error(|dir| fs::remove_dir_all(dir).unwrap()).await;
    assert!(text.contains("is not a directory"), "{text}");
}

#[tokio::test]
async fn names_the_missing_file_of_an_interrupted_download() {
    let index = r#"{ "weight_map": { "lm_head.weight": "model-00002-of-00002.safetensors" } }"#;
    let text = load_error(|dir| {
        fs::write(dir.join("model.safetensors.index.json"), index).unwrap();
    })
    .await;
    assert!(
        text.contains("has no model-00002-of-00002.safetensors"),
        "{text}"
    );
}

#[tokio::test]
async fn names_unsupported_architectures() {
    let text = load_error(|dir| {
        edit(
            dir,
            "config.json",
            "Qwen2_5_VLForConditionalGeneration",
            "PerceiverModel",
        );
    })
    .await;
    assert!(text.contains("\"PerceiverModel\""), "{text}");
    assert!(text.contains("Qwen2.5-VL"), "{text}");
}

#[tokio::test]
async fn corrupt_files_are_errors_not_panics() {
    let text = load_error(|dir| fs::write(dir.join("config.json"), "{").unwrap()).await;
    assert!(text.contains("cannot read"), "{text}");
    let text = load_error(|dir| fs::write(dir.join("model.safetensors"), "invalid").unwrap()).await;
    assert!(text.contains("load"), "{text}");
    let text = load_error(|dir| {
        edit(
            dir,
            "config.json",
            "\"hidden_size\": 64",
            "\"hidden_size\": 32",
        )
    })
    .await;
    assert!(text.contains("load"), "{text}");
    let text = load_error(|dir| {
        edit(
            dir,
            "tokenizer_config.json",
            "\"chat_template\"",
            "\"none\"",
        )
    })
    .await;
    assert!(text.contains("no chat template"), "{text}");
}

#[tokio::test]
async fn refuses_chats_while_loading() {
    let dir = vision_model();
    let backend = MistralRs::start(config(dir.path()));
    // The supervisor may already have loaded the model.
    let early = backend
        .chat(chat("Hello", &[], 4), UsageMeter::default())
        .await
        .err();
    assert!(
        matches!(early, None | Some(BackendError::Loading)),
        "{early:?}"
    );
    assert_eq!(with_timeout(backend.settled()).await, Phase::Ready);
    assert_eq!(backend.status().device, "cpu");
}

#[tokio::test]
async fn loads_a_fixed_model_without_a_restart() {
    let dir = vision_model();
    let weights = dir.path().join("model.safetensors");
    let aside = dir.path().join("aside");
    fs::rename(&weights, &aside).unwrap();
    let mut backend = MistralRs::start(config(dir.path()));
    assert!(matches!(
        with_timeout(backend.settled()).await,
        Phase::Failed(_)
    ));
    fs::rename(&aside, &weights).unwrap();
    let ready = |state: &State| state.phase == Phase::Ready;
    with_timeout(backend.state.wait_for(ready)).await.unwrap();
}

#[tokio::test]
async fn quantised_models_answer() {
    for quantise in [Quantise::Q8, Quantise::Q4] {
        let dir = vision_model();
        let mut config = config(dir.path());
        config.quantise = Some(quantise);
        let backend = ready(config).await;
        let request = chat("Look", &[picture(56, 56, 1)], 4);
        let answer = ask(&backend, request).await.unwrap();
        assert_eq!(answer.usage.completion_tokens, 4, "{quantise:?}");
    }
}
