//! Whether the faults 2, 3 and 12 of `quirks.rs` exist on a device.
//!
//! In single precision on every device: an answer then depends on the fault, and not on the rounding of
//! a batch of another size.

use std::{path::Path, time::Instant};

use futures_util::future::join_all;
use image::{DynamicImage, Rgb, RgbImage};
use mistralrs::{Model, ModelDType};
use serde_json::{Value, json};
use stockade_server::tiny_model;

use crate::engine::{self, Answer, Target};

/// The seed of the weights, as in the tests of the engine.
const SEED: u64 = 7;
/// The arrival of chats decides whether they are in one batch.
const ROUNDS: usize = 20;
/// Of equal length, which a batch needs.
const TEXTS: [&str; 8] = [
    "Hello", "zzzzz", "Green", "Apple", "World", "Plant", "12345", "Quiet",
];

pub(crate) async fn run(target: Target) -> anyhow::Result<Value> {
    let folder = tempfile::tempdir()?;
    let (vision, text) = (folder.path().join("vision"), folder.path().join("text"));
    tiny_model::write(&vision, SEED)?;
    tiny_model::write_text(&text, SEED)?;
    Ok(json!({
        "device": target.name(),
        "precision": "f32",
        "quirk_2": images_in_a_batch(&load(&vision, target).await?).await,
        "quirk_3": third_image(&load(&vision, target).await?).await,
        "quirk_12": texts_in_a_batch(&load(&text, target).await?).await,
    }))
}

async fn load(dir: &Path, target: Target) -> anyhow::Result<Model> {
    engine::load(dir, target, ModelDType::F32).await
}

/// A picture that depends on the seed.
fn picture(seed: u8) -> DynamicImage {
    DynamicImage::ImageRgb8(RgbImage::from_fn(112, 112, |x, y| {
        let value = |n: u32| n.to_le_bytes()[0].wrapping_mul(seed);
        Rgb([value(x), value(y), value(x + y)])
    }))
}

/// Fault 2: pairs of chats with images of equal size, and of a text and an image.
async fn images_in_a_batch(model: &Model) -> Value {
    let look = |seed| engine::ask(model, "Look", vec![picture(seed)], 8);
    let hello = || engine::ask(model, "Hello", vec![], 8);
    let alone = (look(1).await, look(2).await, hello().await);
    let (mut failed, mut different, mut error) = (0, 0, None);
    let (mut mixed_failed, mut mixed_different) = (0, 0);
    for _ in 0..ROUNDS {
        let (one, two) = tokio::join!(look(1), look(2));
        error = error
            .or_else(|| one.error.clone())
            .or_else(|| two.error.clone());
        match one.error.is_some() || two.error.is_some() {
            true => failed += 1,
            false => different += count(one.text != alone.0.text || two.text != alone.1.text),
        }
        let (one, text) = tokio::join!(look(1), hello());
        match one.error.is_some() || text.error.is_some() {
            true => mixed_failed += 1,
            false => {
                mixed_different += count(one.text != alone.0.text || text.text != alone.2.text);
            }
        }
    }
    json!({
        "exists": failed + different + mixed_failed + mixed_different > 0,
        "pairs_of_images": ROUNDS,
        "failed": failed,
        "different": different,
        "first_error": error,
        "pairs_of_image_and_text": ROUNDS,
        "mixed_failed": mixed_failed,
        "mixed_different": mixed_different,
        "answers_alone": [alone.0.text, alone.1.text, alone.2.text],
    })
}

/// Fault 3: the third image does not change the answer, although the second one does.
async fn third_image(model: &Model) -> Value {
    let look = async |seeds: &[u8]| {
        let images = seeds.iter().copied().map(picture).collect();
        engine::ask(model, "Look", images, 16).await
    };
    let pair = [look(&[1, 2]).await, look(&[1, 3]).await];
    let three = [
        look(&[1, 2, 3]).await,
        look(&[1, 2, 4]).await,
        look(&[1, 2, 2]).await,
    ];
    let second_counts = pair[0].text != pair[1].text;
    let third_counts = three[0].text != three[1].text || three[0].text != three[2].text;
    let errors: Vec<_> = pair.iter().chain(&three).filter_map(error).collect();
    json!({
        "exists": second_counts && !third_counts,
        "second_image_changes_the_answer": second_counts,
        "third_image_changes_the_answer": third_counts,
        "errors": errors,
    })
}

/// Fault 12: chats in a batch change each other's answers.
async fn texts_in_a_batch(model: &Model) -> Value {
    let ask = |text| engine::ask(model, text, vec![], 64);
    let mut alone = Vec::new();
    let start = Instant::now();
    for text in TEXTS {
        alone.push(ask(text).await);
    }
    let alone_seconds = start.elapsed().as_secs_f64();
    let (mut different, mut failed) = (0, 0);
    let start = Instant::now();
    for _ in 0..ROUNDS {
        let together = join_all(TEXTS.map(ask)).await;
        for (together, alone) in together.iter().zip(&alone) {
            failed += count(together.error.is_some());
            different += count(together.error.is_none() && together.text != alone.text);
        }
    }
    let rounds = f64::from(u32::try_from(ROUNDS).unwrap_or(u32::MAX));
    json!({
        "exists": different > 0,
        "concurrent_chats": TEXTS.len(),
        "answers": ROUNDS * TEXTS.len(),
        "different": different,
        "failed": failed,
        "errors_alone": alone.iter().filter_map(error).collect::<Vec<_>>(),
        // Shorter if the engine has put them into one batch.
        "seconds_one_after_the_other": alone_seconds,
        "seconds_together": start.elapsed().as_secs_f64() / rounds,
    })
}

fn error(answer: &Answer) -> Option<&str> {
    answer.error.as_deref()
}

fn count(condition: bool) -> usize {
    usize::from(condition)
}
