use super::*;
use crate::embedding::{EmbeddingInput, EmbeddingRequest, Embeddings};

/// A tiny embedding model shared by the tests.
async fn embedder() -> MistralRs {
    static SHARED: OnceLock<(TempDir, MistralRs)> = OnceLock::new();
    let (_, backend) = SHARED.get_or_init(|| {
        let dir = embedding_model();
        let backend = MistralRs::start(config(dir.path()));
        (dir, backend)
    });
    assert_eq!(with_timeout(backend.settled()).await, Phase::Ready);
    backend.clone()
}

fn embedding_model() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    tiny_model::write_embedding(dir.path(), 7).unwrap();
    dir
}

fn texts(texts: &[&str]) -> EmbeddingRequest {
    let input = |text: &&str| EmbeddingInput::Text((*text).to_owned());
    EmbeddingRequest::new(texts.iter().map(input).collect())
}

fn tokens(ids: Vec<u32>) -> EmbeddingRequest {
    EmbeddingRequest::new(vec![EmbeddingInput::Tokens(ids)])
}

async fn embed(backend: &MistralRs, request: EmbeddingRequest) -> Result<Embeddings, BackendError> {
    with_timeout(backend.embed(request, UsageMeter::default())).await
}

async fn vector(backend: &MistralRs, text: &str) -> Vec<f32> {
    let embeddings = embed(backend, texts(&[text])).await.unwrap();
    let [vector] = embeddings.vectors.try_into().unwrap();
    vector
}

fn norm(vector: &[f32]) -> f64 {
    let squares = vector.iter().map(|x| f64::from(*x).powi(2));
    squares.sum::<f64>().sqrt()
}

fn refused(result: Result<Embeddings, BackendError>) -> (String, String) {
    match result {
        Err(BackendError::Invalid { param, message }) => (param, message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_text_has_one_vector_of_length_one() {
    let backend = embedder().await;
    let first = vector(&backend, "Hello").await;
    assert_eq!(first, vector(&backend, "Hello").await);
    assert_eq!(first.len(), 64);
    assert!((norm(&first) - 1.0).abs() < 1e-6);
    let other = vector(&backend, "Goodbye").await;
    let cosine: f32 = first.iter().zip(&other).map(|(a, b)| a * b).sum();
    assert!(cosine < 0.99, "{cosine}");
}

#[tokio::test]
async fn inputs_of_different_lengths_do_not_affect_each_other() {
    let backend = embedder().await;
    let inputs = ["Hello", "a", "Hello, world: a longer text", "Hello"];
    let together = embed(&backend, texts(&inputs)).await.unwrap();
    // With a token at the end of each.
    let bytes: usize = inputs.iter().map(|text| text.len() + 1).sum();
    assert_eq!(together.prompt_tokens, bytes);
    let concurrent = inputs.map(|text| vector(&backend, text));
    let concurrent = futures_util::future::join_all(concurrent).await;
    for (together, alone) in together.vectors.iter().zip(&concurrent) {
        let differs = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-5;
        assert!(!together.iter().zip(alone).any(differs));
    }
}

#[tokio::test]
async fn the_tokens_of_a_text_have_its_vector() {
    let backend = embedder().await;
    for text in ["Hello", "Grüße", "<|im_end|>"] {
        let split = with_timeout(backend.tokenize(text.to_owned())).await;
        let ids = split.unwrap().ids;
        // A token of its own ends the text, and a control token in it is text.
        assert_eq!(ids.len(), text.len() + 1);
        let embeddings = embed(&backend, tokens(ids)).await.unwrap();
        assert_eq!(embeddings.vectors, [vector(&backend, text).await]);
    }
}

#[tokio::test]
async fn shorter_vectors_are_normalised_prefixes() {
    let backend = embedder().await;
    let whole = vector(&backend, "Hello").await;
    let mut request = texts(&["Hello"]);
    request.dimensions = Some(32);
    let cut = embed(&backend, request.clone()).await.unwrap().vectors;
    assert_eq!(cut[0].len(), 32);
    assert!((norm(&cut[0]) - 1.0).abs() < 1e-6);
    let scale = norm(&whole[..32]);
    for (cut, whole) in cut[0].iter().zip(&whole) {
        assert!((f64::from(*cut) * scale - f64::from(*whole)).abs() < 1e-6);
    }
    for length in [31, 65] {
        request.dimensions = Some(length);
        let (param, message) = refused(embed(&backend, request.clone()).await);
        assert_eq!(param, "dimensions");
        assert!(message.contains("32 to 64"), "{message}");
    }
}

#[tokio::test]
async fn refuses_inputs_that_the_model_cannot_embed() {
    let backend = embedder().await;
    let long = "a".repeat(4_096);
    let too_long = texts(&["a", &long]);
    let many = texts(&vec![&long[1..]; 74]);
    for (request, param, reason) in [
        (too_long, "input[1]", "4097 tokens"),
        (many, "input", "300000 tokens"),
        (tokens(vec![65, 272, 66]), "input[0][1]", "end at 271"),
        // Fault 16.
        (tokens(vec![65]), "input[0]", "at least 2"),
    ] {
        let (was, message) = refused(embed(&backend, request).await);
        assert_eq!(was, param);
        assert!(message.contains(reason), "{message}");
    }
    vector(&backend, "Hello").await;
}

#[tokio::test]
async fn fault_16_still_exists() {
    let dir = embedding_model();
    let mut backend = ready(config(dir.path())).await;
    let embedder = backend.embedder().unwrap();
    let mut replies = with_timeout(embedder.start(vec![65])).await.unwrap();
    assert!(with_timeout(replies.recv()).await.is_none());
    with_timeout(embedder.died()).await;
    // It is loaded again.
    let other = |state: &State| match &state.engine {
        Some(LoadedEngine::Embedding(other)) => !Arc::ptr_eq(other, &embedder),
        _ => false,
    };
    drop(with_timeout(backend.state.wait_for(other)).await.unwrap());
    vector(&backend, "Hello").await;
}

#[tokio::test]
async fn fault_15_inputs_in_a_batch_have_equal_lengths() {
    let backend = embedder().await;
    let embedder = backend.embedder().unwrap();
    let _alone = acquire_all(&backend).await;
    let start = async |ids: &[u32]| embedder.start(ids.to_vec()).await.unwrap();
    let inputs = [vec![1; 9], vec![2; 9], vec![3; 4], vec![4; 9], vec![5; 30]];
    let mut alone = Vec::new();
    for ids in &inputs {
        alone.push(embedder.vector(start(ids).await).await.unwrap());
    }
    let mut batch = Vec::new();
    for ids in &inputs {
        batch.push(start(ids).await);
    }
    for (replies, alone) in batch.into_iter().zip(&alone) {
        let vector = with_timeout(embedder.vector(replies)).await.unwrap();
        let differs = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-5;
        assert!(!vector.iter().zip(alone).any(differs));
    }
}

#[tokio::test]
async fn a_full_queue_refuses_and_leaving_frees_the_slot() {
    let dir = embedding_model();
    let mut config = config(dir.path());
    (config.max_running, config.max_queued) = (1, 0);
    let backend = ready(config).await;
    let expected = vector(&backend, "Hello").await;

    let inputs = vec!["Hello"; 2_048];
    let mut running = backend.embed(texts(&inputs), UsageMeter::default());
    assert!(futures_util::poll!(running.as_mut()).is_pending());
    with_timeout(async {
        while backend.admission.free() > 0 {
            assert!(futures_util::poll!(running.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
    })
    .await;
    let full = embed(&backend, texts(&["Hello"])).await.unwrap_err();
    assert!(matches!(full, BackendError::QueueFull { .. }), "{full:?}");
    drop(running);
    with_timeout(async {
        while backend.admission.free() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(vector(&backend, "Hello").await, expected);
}

#[tokio::test]
async fn a_model_has_chats_or_embeddings() {
    let (chats, embeddings) = (shared().await, embedder().await);
    let refused = ask(&embeddings, chat("Hello", &[], 4)).await.unwrap_err();
    assert_eq!(refused, BackendError::UnsupportedApi);
    let refused = embed(&chats, texts(&["Hello"])).await.unwrap_err();
    assert_eq!(refused, BackendError::UnsupportedApi);
    for (api, is_chat) in [
        (RelayApi::Chat, true),
        (RelayApi::Messages, true),
        (RelayApi::Embeddings, false),
    ] {
        assert_eq!(chats.has_api(api), is_chat, "{api:?}");
        assert_eq!(embeddings.has_api(api), !is_chat, "{api:?}");
    }
}

#[tokio::test]
async fn names_the_problem_of_a_directory() {
    type Change = fn(&Path);
    let cases: [(Change, &str); 7] = [
        (
            |dir| fs::remove_file(dir.join("modules.json")).unwrap(),
            "has no modules.json",
        ),
        (
            |dir| fs::remove_file(dir.join("1_Pooling/config.json")).unwrap(),
            "has no 1_Pooling/config.json",
        ),
        (
            |dir| edit(dir, "config.json", "Qwen3ForCausalLM", "BertModel"),
            "the architecture \"BertModel\"",
        ),
        (
            |dir| {
                edit(
                    dir,
                    "1_Pooling/config.json",
                    "cls_token\": false",
                    "cls_token\": true",
                )
            },
            "a pooling other than",
        ),
        (
            |dir| {
                edit(
                    dir,
                    "1_Pooling/config.json",
                    "prompt\": true",
                    "prompt\": false",
                )
            },
            "no valid \"include_prompt\"",
        ),
        (
            |dir| edit(dir, "modules.json", "Normalize\"", "Whitening\""),
            "\"whitening\"",
        ),
        (
            |dir| fs::write(dir.join("modules.json"), "[]").unwrap(),
            "less than two modules",
        ),
    ];
    for (change, expected) in cases {
        let dir = embedding_model();
        change(dir.path());
        let checked = config(dir.path()).check().unwrap_err();
        assert!(checked.contains(expected), "{checked}");
        let backend = MistralRs::start(config(dir.path()));
        let Phase::Failed(text) = with_timeout(backend.settled()).await else {
            panic!("the model was loaded: {expected}");
        };
        assert_eq!(checked, format!("model.source: {text}"));
    }
}
