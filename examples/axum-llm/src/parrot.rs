//! The model: it says back what it is told, a word at a time. Yours goes here.

use std::time::Duration;

use stockade_body::ValidatedImages;
use tokio::{
    sync::mpsc::{Receiver, channel},
    time,
};

/// How long a word takes.
const PACE: Duration = Duration::from_millis(20);

/// Words that may be ahead of the client: one that reads slowly slows the model down.
const AHEAD: usize = 8;

/// Says so many words at most, in a task of its own, until nobody listens any more.
pub(crate) fn speak(prompt: &str, images: &ValidatedImages, most: u64) -> Receiver<String> {
    let seen = images.as_slice().iter().map(|image| {
        let facts = image.facts();
        format!("[{} × {}] ", facts.width, facts.height)
    });
    let said = prompt.split_whitespace().map(|word| format!("{word} "));
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let words: Vec<String> = seen.chain(said).take(most).collect();
    let (sender, receiver) = channel(AHEAD);
    tokio::spawn(async move {
        for word in words {
            time::sleep(PACE).await;
            if sender.send(word).await.is_err() {
                return tracing::info!("the client left, so the model stops");
            }
        }
    });
    receiver
}
