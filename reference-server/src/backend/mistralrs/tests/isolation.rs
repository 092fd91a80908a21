//! No state of a client is visible to another one.

use std::time::Instant;

use stockade_core::{context::RequestContext, identity::Principal};

use super::*;

/// A picture of noise.
fn noise(width: u32, height: u32, seed: u64) -> DynamicImage {
    let mut random: rand_chacha::ChaCha8Rng = rand::SeedableRng::seed_from_u64(seed);
    let bytes = (0..width * height * 3).map(|_| rand::Rng::random(&mut random));
    let image = RgbImage::from_raw(width, height, bytes.collect());
    DynamicImage::ImageRgb8(image.unwrap())
}

/// Asks as a client; returns the answer, and how long it took.
async fn ask_as(client: &str, backend: &MistralRs, image: &DynamicImage) -> (String, Duration) {
    let context = RequestContext::builder()
        .principal(Principal::builder(client).build())
        .build();
    let request = chat("Look", std::slice::from_ref(image), 8);
    let start = Instant::now();
    let answer = with_timeout(async {
        let generation = backend.chat(request, UsageMeter::start(&context)).await?;
        collect(generation).await
    });
    (answer.await.unwrap().text, start.elapsed())
}

// FA17
#[tokio::test]
async fn a_picture_of_another_client_with_the_same_bytes_does_not_change_the_answer() {
    let wide = noise(112, 56, 3);
    let bytes = wide.clone().into_bytes();
    let tall = DynamicImage::ImageRgb8(RgbImage::from_raw(56, 112, bytes).unwrap());
    let dir = vision_model();
    let fresh = ready(config(dir.path())).await;
    let (expected, _) = ask_as("a", &fresh, &tall).await;
    drop(fresh);

    let backend = ready(config(dir.path())).await;
    let (other, _) = ask_as("b", &backend, &wide).await;
    assert_ne!(other, expected);
    assert_eq!(ask_as("a", &backend, &tall).await.0, expected);
    // Nor does one of its own.
    assert_eq!(ask_as("a", &backend, &wide).await.0, other);
    assert_eq!(ask_as("a", &backend, &tall).await.0, expected);
}

/// How long the engine reads the picture of a client.
async fn reading_time(engine: &Engine, image: &DynamicImage, owner: u64) -> Duration {
    let rule = engine.info.images.as_ref().unwrap().sizes;
    let prepared = image::prepare(image.clone(), &rule).unwrap();
    let marked = Picture::new(prepared, owner).image;
    let prompt = prompt(user("Look", &[picture(56, 56, 1)]), vec![marked]);
    let processor = Arc::new(processor(engine, 0.0, 1));
    let start = Instant::now();
    let replies = engine.start(&prompt, None, processor, 1).await;
    let mut replies = replies.unwrap();
    while with_timeout(replies.recv()).await.is_some() {}
    start.elapsed()
}

// FA17
#[tokio::test]
async fn a_picture_of_another_client_takes_as_long_as_a_new_one() {
    // Not shared, so that no other test delays it.
    let dir = vision_model();
    let backend = ready(config(dir.path())).await;
    let engine = backend.engine().unwrap();
    // The least time of several, because other tests share the processors. A cache that clients
    // share would make both the same in every round.
    let (mut others, mut owns) = (Duration::MAX, Duration::MAX);
    for seed in 0..24 {
        let image = noise(476, 364, seed);
        reading_time(&engine, &image, 1).await;
        others = others.min(reading_time(&engine, &image, 2).await);
        owns = owns.min(reading_time(&engine, &image, 2).await);
        // The cache works for its owner.
        if seed >= 3 && others * 2 > owns * 3 {
            return;
        }
    }
    panic!("the picture of another client takes {others:?}, an own one {owns:?}");
}
