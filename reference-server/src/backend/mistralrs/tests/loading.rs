use stockade_server_config::MemoryCheck;
use stockade_testkit::poll::until_async;

use super::*;
use crate::tiny_model::gguf::{self, GgufTokenizer, GgufType};

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
async fn unloads_after_the_chats_in_progress_and_loads_again() {
    let dir = vision_model();
    let mut backend = ready(config(dir.path())).await;
    let engine = Arc::downgrade(&backend.engine().unwrap());
    let running = backend.chat(chat("Hello", &[], 16), UsageMeter::default());
    let running = with_timeout(running).await.unwrap();

    backend.set_loaded(false);
    let phase = async |backend: &mut MistralRs, phase: Phase| {
        let reached = backend.state.wait_for(|state| state.phase == phase);
        with_timeout(reached).await.unwrap();
    };
    phase(&mut backend, Phase::Unloaded).await;
    let refused = ask(&backend, chat("Hello", &[], 4)).await;
    assert_eq!(refused.unwrap_err(), BackendError::Unloaded);
    let answer = with_timeout(collect(running)).await.unwrap();
    assert_eq!(answer.usage.completion_tokens, 16);
    until_async("the end of the engine", async || engine.strong_count() == 0).await;

    backend.set_loaded(true);
    phase(&mut backend, Phase::Ready).await;
    let answer = ask(&backend, chat("Hello", &[], 4)).await.unwrap();
    assert_eq!(answer.usage.completion_tokens, 4);

    // Wanted again while a chat may be in progress.
    let running = backend.chat(chat("Hello", &[], 16), UsageMeter::default());
    let running = with_timeout(running).await.unwrap();
    backend.set_loaded(false);
    phase(&mut backend, Phase::Unloaded).await;
    backend.set_loaded(true);
    phase(&mut backend, Phase::Ready).await;
    let answer = with_timeout(collect(running)).await.unwrap();
    assert_eq!(answer.usage.completion_tokens, 16);
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_can_be_unloaded() {
    let dir = vision_model();
    fs::remove_file(dir.path().join("model.safetensors")).unwrap();
    let mut backend = MistralRs::start(config(dir.path()));
    assert!(matches!(
        with_timeout(backend.settled()).await,
        Phase::Failed(_)
    ));
    backend.set_loaded(false);
    let unloaded = |state: &State| state.phase == Phase::Unloaded;
    with_timeout(backend.state.wait_for(unloaded))
        .await
        .unwrap();
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

/// The answers of a text model to two greedy chats.
async fn text_answers(config: MistralRsConfig) -> [Completion; 2] {
    let backend = ready(config).await;
    let mut answers = Vec::new();
    for text in ["Hello", "Gr\u{fc}\u{df}e, 1 + 2?"] {
        answers.push(ask(&backend, chat(text, &[], 24)).await.unwrap());
    }
    answers.try_into().unwrap()
}

async fn safetensors_answers() -> [Completion; 2] {
    let dir = tempfile::tempdir().unwrap();
    tiny_model::write_text(dir.path(), 7).unwrap();
    text_answers(config(dir.path())).await
}

fn gguf_model(kind: GgufType, tokenizer: GgufTokenizer) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    gguf::write_gguf(dir.path(), 7, kind, tokenizer).unwrap();
    dir
}

#[tokio::test]
async fn a_gguf_model_answers_as_the_safetensors_of_its_weights() {
    let expected = safetensors_answers().await;
    assert!(expected[0].usage.completion_tokens > 8, "{expected:?}");
    for tokenizer in [GgufTokenizer::Separate, GgufTokenizer::Embedded] {
        let dir = gguf_model(GgufType::F32, tokenizer);
        let answers = text_answers(config(dir.path())).await;
        assert_eq!(answers, expected, "{tokenizer:?}");
        // The path of the file, in place of its directory.
        let answers = text_answers(config(&dir.path().join("model.gguf"))).await;
        assert_eq!(answers, expected, "{tokenizer:?}");
    }
}

#[tokio::test]
async fn a_quantised_gguf_model_answers() {
    let dir = gguf_model(GgufType::Q8, GgufTokenizer::Separate);
    let answers = text_answers(config(dir.path())).await;
    assert_eq!(answers[0].usage.completion_tokens, 24, "{answers:?}");
}

#[tokio::test]
async fn quantised_text_models_answer() {
    for quantise in [Quantise::Q8, Quantise::Q4] {
        let dir = tempfile::tempdir().unwrap();
        tiny_model::write_text(dir.path(), 7).unwrap();
        let mut config = config(dir.path());
        config.quantise = Some(quantise);
        let answers = text_answers(config).await;
        assert_eq!(answers[0].usage.completion_tokens, 24, "{quantise:?}");
    }
}

/// The error of the checks at the start of the server.
fn check_error(change: impl FnOnce(&Path, &mut MistralRsConfig)) -> String {
    let dir = gguf_model(GgufType::F32, GgufTokenizer::Separate);
    let mut config = config(dir.path());
    change(dir.path(), &mut config);
    config.check().unwrap_err()
}

#[test]
fn refuses_to_quantise_a_gguf_model_again() {
    let text = check_error(|_, config| config.quantise = Some(Quantise::Q8));
    assert!(text.starts_with("model.source: "), "{text}");
    assert!(text.contains("remove the setting quantise"), "{text}");
}

#[test]
fn names_what_a_gguf_model_lacks() {
    let text = check_error(|dir, _| {
        fs::remove_file(dir.join("tokenizer.json")).unwrap();
    });
    assert!(text.contains("add the model's tokenizer.json"), "{text}");
    let text = check_error(|dir, _| {
        fs::remove_file(dir.join("tokenizer_config.json")).unwrap();
    });
    assert!(text.contains("no chat template"), "{text}");
    let text = check_error(|dir, _| {
        fs::copy(dir.join("model.gguf"), dir.join("other.gguf")).unwrap();
    });
    assert!(text.contains("several GGUF files"), "{text}");
    let text = check_error(|dir, _| {
        let file = dir.join("model.gguf");
        let bytes = fs::read(&file).unwrap();
        let name = bytes
            .windows(5)
            .position(|bytes| bytes == b"qwen2")
            .unwrap();
        fs::write(
            &file,
            [&bytes[..name], b"bloom", &bytes[name + 5..]].concat(),
        )
        .unwrap();
    });
    assert!(text.contains("\"bloom\""), "{text}");
    let text = check_error(|dir, _| fs::write(dir.join("model.gguf"), "GGUF").unwrap());
    assert!(text.contains("cannot read"), "{text}");
}

/// Pickle files can run code when they are read.
#[test]
fn never_loads_pickle_files() {
    let dir = vision_model();
    fs::rename(
        dir.path().join("model.safetensors"),
        dir.path().join("pytorch_model.bin"),
    )
    .unwrap();
    let text = config(dir.path()).check().unwrap_err();
    assert!(text.contains("has no weights"), "{text}");
}

#[tokio::test]
async fn a_model_that_does_not_fit_is_refused_with_a_remedy() {
    // Under a petabyte of KV cache, no machine has the memory.
    let huge = |check| {
        let dir = vision_model();
        edit(
            dir.path(),
            "config.json",
            "\"max_position_embeddings\": 4096",
            "\"max_position_embeddings\": 4000000000000",
        );
        let mut config = config(dir.path());
        config.memory_check = check;
        (dir, config)
    };
    let (dir, config) = huge(MemoryCheck::Enforce);
    let backend = MistralRs::start(config);
    let Phase::Failed(text) = with_timeout(backend.settled()).await else {
        panic!("the model was loaded");
    };
    assert!(text.contains("set context = "), "{text}");
    assert!(text.contains("memory_check = \"warn\""), "{text}");
    let memory = backend.status().memory.unwrap();
    assert!(memory.needed > memory.available.unwrap());
    drop(dir);
}

#[tokio::test]
async fn loads_a_model_that_fits_and_reports_its_memory() {
    let dir = vision_model();
    let mut config = config(dir.path());
    config.context = Some(128);
    config.memory_check = MemoryCheck::Weights;
    let backend = ready(config).await;
    let memory = backend.status().memory.unwrap();
    let file = dir
        .path()
        .join("model.safetensors")
        .metadata()
        .unwrap()
        .len();
    // The file has a header, too.
    assert!(memory.weights < file && memory.weights > file * 9 / 10);
    // One chat at a time on the CPU: 2 layers, 2 heads of 16 keys and values.
    assert_eq!(memory.kv_cache, 128 * 2 * 2 * 16 * 2 * 4);
    // The context is a limit of chats as well.
    let refused = ask(&backend, chat(&"a".repeat(200), &[], 4)).await;
    assert!(
        matches!(refused, Err(BackendError::Invalid { .. })),
        "{refused:?}"
    );
}
