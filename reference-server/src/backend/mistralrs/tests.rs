//! Tests of the backend with tiny models in mistral.rs.

use std::{fs, future::Future, io::Cursor, path::Path, sync::OnceLock, time::Duration};

use ::image::{DynamicImage, Rgb, RgbImage};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::StreamExt;
use tempfile::TempDir;

use super::{
    coordinates::{CoordinateMapper, CoordinateSpace},
    engine::Engine,
    logit_bias::LogitBias,
    logits_processor::LogitsProcessor,
    picture::Picture,
    prompt::Prompt,
    reserved_text::ReservedText,
    sampler::Sampler,
    tool_prompt::ToolStyle,
    *,
};
use crate::{
    chat::{self, EncodedImage, Image, ImageReport, Sampling},
    fair_queue::Share,
    tiny_model,
};

mod answers;
mod choices;
mod coordinates;
mod embeddings;
mod faults;
mod images;
mod isolation;
mod loading;
mod logprobs;
mod numerics;
mod raw;
mod reasoning;
mod sampling;
mod slots;
mod structured;
mod stuck;
mod tools;

/// A tiny vision model shared by the tests, because loading takes a second.
async fn shared() -> MistralRs {
    static SHARED: OnceLock<(TempDir, MistralRs)> = OnceLock::new();
    let (_, backend) = SHARED.get_or_init(|| {
        let dir = vision_model();
        let backend = MistralRs::start(config(dir.path()));
        (dir, backend)
    });
    assert_eq!(with_timeout(backend.settled()).await, Phase::Ready);
    backend.clone()
}

fn vision_model() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    tiny_model::write(dir.path(), 7).unwrap();
    dir
}

fn edit(dir: &Path, name: &str, from: &str, to: &str) {
    let path = dir.join(name);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from));
    fs::write(path, text.replace(from, to)).unwrap();
}

fn config(dir: &Path) -> MistralRsConfig {
    let mut config = MistralRsConfig::new(ModelSource::Directory(dir.to_owned()));
    config.device = Device::Cpu;
    config.queue_wait = Duration::from_secs(300);
    config
}

/// Acquires all slots, so that no other test uses a shared engine that a test calls directly.
async fn acquire_all(backend: &MistralRs) -> admission::Slot {
    let demand = admission::Demand {
        share: Share::new(0),
        slots: backend.admission.capacity(),
        estimate: cost::Estimate::default(),
    };
    with_timeout(backend.admission.enter(demand)).await.unwrap()
}

async fn ready(config: MistralRsConfig) -> MistralRs {
    let backend = MistralRs::start(config);
    assert_eq!(with_timeout(backend.settled()).await, Phase::Ready);
    backend
}

/// Fails instead of hanging; the limit is far above the normal duration.
async fn with_timeout<T>(future: impl Future<Output = T>) -> T {
    let guard = Duration::from_secs(300);
    tokio::time::timeout(guard, future).await.expect("hangs")
}

fn user(text: &str, images: &[DynamicImage]) -> Message {
    let image = |image: &DynamicImage| {
        let mut png = Cursor::new(Vec::new());
        image.write_to(&mut png, ::image::ImageFormat::Png).unwrap();
        let base64 = BASE64_STANDARD.encode(png.into_inner());
        Part::Image(Image {
            file: EncodedImage::from_base64(&base64).unwrap(),
            param: "messages[0].content".to_owned(),
        })
    };
    let mut message = Message::text(Role::User, text);
    message.parts.splice(0..0, images.iter().map(image));
    message
}

/// A greedy chat.
fn chat(text: &str, images: &[DynamicImage], max_tokens: usize) -> ChatRequest {
    let sampling = Sampling {
        max_tokens,
        temperature: Some(0.0),
        ..Sampling::default()
    };
    ChatRequest::new(vec![user(text, images)], sampling)
}

fn picture(width: u32, height: u32, seed: u8) -> DynamicImage {
    let pixel = |x: u32, y: u32| {
        let [x, y, ..] = (x * 3 + y * 7 * u32::from(seed)).to_le_bytes();
        Rgb([x, y.wrapping_mul(seed), x ^ seed])
    };
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, pixel))
}

/// A prompt for a direct use of the engine.
fn prompt(message: Message, images: Vec<DynamicImage>) -> Prompt {
    let request = ChatRequest::new(vec![message], Sampling::default());
    Prompt::new(
        &request,
        images,
        ToolStyle::Messages,
        &ReservedText::default(),
    )
}

/// A processor for a direct use of the engine.
fn processor(engine: &Engine, temperature: f64, max_tokens: usize) -> LogitsProcessor {
    let sampling = Sampling {
        temperature: Some(temperature),
        ..Sampling::default()
    };
    let (sampler, bias) = (Sampler::new(&sampling, 5), LogitBias::new(&sampling));
    LogitsProcessor::new(sampler, bias, &engine.info.eos_tokens, max_tokens)
}

/// A complete answer.
#[derive(Debug, PartialEq)]
struct Completion {
    text: String,
    finish: FinishReason,
    usage: Usage,
}

async fn ask(backend: &MistralRs, request: ChatRequest) -> Result<Completion, BackendError> {
    with_timeout(async { collect(backend.chat(request, UsageMeter::default()).await?).await }).await
}

/// Reads the stream to its end, and checks the guarantees of [`Event`].
async fn collect(mut generation: Generation) -> Result<Completion, BackendError> {
    let mut text = String::new();
    let mut finish = None;
    while let Some(event) = generation.next().await {
        match event? {
            Event::Images(_) => assert!(text.is_empty() && finish.is_none()),
            Event::Text { text: piece, .. } => {
                assert!(!piece.is_empty() && finish.is_none());
                text.push_str(&piece);
            }
            Event::Finish { choice: 0, reason } => finish = Some(reason),
            Event::Done(usage) => {
                assert!(generation.next().await.is_none());
                return Ok(Completion {
                    text,
                    finish: finish.expect("a finish reason before the end"),
                    usage,
                });
            }
            event => panic!("{event:?}"),
        }
    }
    panic!("ended without Done after {text:?}");
}

/// All choices of an answer.
async fn ask_all(
    backend: &MistralRs,
    request: ChatRequest,
) -> Result<chat::Completion, BackendError> {
    with_timeout(async {
        let mut generation = backend.chat(request, UsageMeter::default()).await?;
        let mut completion = chat::Completion::default();
        while let Some(event) = generation.next().await {
            completion.push(event?);
        }
        Ok(completion)
    })
    .await
}

fn invalid(result: Result<Completion, BackendError>) -> (String, String) {
    match result {
        Err(BackendError::Invalid { param, message }) => (param, message),
        other => panic!("{other:?}"),
    }
}
