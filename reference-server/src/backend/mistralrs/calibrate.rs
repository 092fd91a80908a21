//! Measures the speed of a model when it has been loaded.

use std::{
    io::Cursor,
    sync::Arc,
    time::{Duration, Instant},
};

use ::image::{DynamicImage, ImageFormat};
use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{
    ChatRequest, Message, Part, Role, admission::Admission, cost::Work, engine::Engine, image,
    logit_bias::LogitBias, logits_processor::LogitsProcessor, model_dir::Modality,
    picture::Picture, prompt::Prompt, sampler::Sampler, supervise::LoadedEngine,
};
use crate::chat::{EncodedImage, Image, Sampling};

/// No measurement starts after this time.
const BUDGET: Duration = Duration::from_millis(500);

/// The number of tokens that each measurement generates.
const TOKENS: usize = 4;

/// The lengths of the texts, in words.
const TEXTS: [usize; 3] = [8, 64, 256];

/// The sides of the pictures, in pixels.
const PICTURES: [u32; 3] = [56, 112, 224];

impl LoadedEngine {
    /// Measures texts and pictures of several sizes, the small ones first.
    ///
    /// An engine that fails is not reported: its requests will fail, too.
    pub(super) async fn calibrate(&self, admission: &Admission) {
        let Self::Chat(engine) = self else { return };
        let start = Instant::now();
        let texts = TEXTS.map(|words| (words, None));
        let has_pictures = engine.info.modality == Modality::Vision;
        let pictures = PICTURES.map(|side| (TEXTS[0], Some(side)));
        // The first use of an engine is slower.
        let warm_up = [(TEXTS[0], None)];
        for (at, (words, side)) in warm_up.iter().chain(&texts).chain(&pictures).enumerate() {
            if start.elapsed() > BUDGET || (side.is_some() && !has_pictures) {
                break;
            }
            let measurement = measure(engine, *words, *side).await;
            if let Some(Measurement {
                work,
                reading,
                writing,
            }) = measurement
                && at > 0
            {
                admission.costs().calibrate(&work, reading, writing);
            }
        }
    }
}

/// What the engine took for a prompt.
struct Measurement {
    work: Work,
    reading: Duration,
    /// The number of tokens after the first one, and the time for them.
    writing: (usize, Duration),
}

/// `None` if the engine fails.
async fn measure(engine: &Engine, words: usize, side: Option<u32>) -> Option<Measurement> {
    let mut message = Message::text(Role::User, "word ".repeat(words));
    let mut pictures = Vec::new();
    if let Some(side) = side {
        let blank = DynamicImage::new_rgb8(side, side);
        message.parts.insert(0, Part::Image(encode(&blank)?));
        let prepared = image::prepare(blank, &engine.info.images?.sizes)?;
        pictures.push(Picture::new(prepared, 0));
    }
    let request = ChatRequest::new(vec![message], Sampling::default());
    let images = pictures
        .iter()
        .map(|picture| picture.image.clone())
        .collect();
    let prompt = Prompt::new(
        &request,
        images,
        engine.info.tool_style,
        &engine.info.reserved,
    );
    let processor = Arc::new(LogitsProcessor::new(
        Sampler::new(&request.sampling, 0),
        LogitBias::new(&request.sampling),
        &engine.info.eos_tokens,
        TOKENS,
    ));

    let start = Instant::now();
    let replies = engine.start(&prompt, None, processor.clone(), TOKENS).await;
    let mut replies = replies.ok()?;
    let (mut first, mut last) = (None, start);
    while replies.recv().await.is_some() {
        if !processor.take_sampled().is_empty() {
            last = Instant::now();
            first.get_or_insert(last);
        }
    }
    let (first, progress) = (first?, processor.progress());
    let picture_tokens: Vec<_> = pictures.iter().map(|picture| picture.tokens).collect();
    let text_tokens = progress.prompt.checked_sub(picture_tokens.iter().sum())?;
    Some(Measurement {
        work: Work {
            texts: vec![text_tokens],
            pictures: picture_tokens,
            ..Work::default()
        },
        reading: first - start,
        writing: (progress.generated.saturating_sub(1), last - first),
    })
}

/// A picture as clients send it.
fn encode(picture: &DynamicImage) -> Option<Image> {
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png).ok()?;
    let base64 = BASE64_STANDARD.encode(png.into_inner());
    Some(Image {
        file: EncodedImage::from_base64(&base64).ok()?,
        param: String::new(),
    })
}
