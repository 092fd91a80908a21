//! A stand-in for a model: it repeats the prompt word by word.

use std::time::Duration;

use stockade_body::ValidatedImages;
use tokio::{
    sync::mpsc::{Receiver, channel},
    time,
};

/// The time per word.
const PACE: Duration = Duration::from_millis(20);

/// The number of words buffered for the client; a slow reader slows the model down.
const AHEAD: usize = 8;

/// Spawns a task that sends at most `max_tokens` words until the receiver is dropped.
pub(crate) fn speak(prompt: &str, images: &ValidatedImages, max_tokens: u64) -> Receiver<String> {
    let seen = images.as_slice().iter().map(|image| {
        let info = image.info();
        format!("[{} × {}] ", info.width, info.height)
    });
    let said = prompt.split_whitespace().map(|word| format!("{word} "));
    let max_tokens = usize::try_from(max_tokens).unwrap_or(usize::MAX);
    let words: Vec<String> = seen.chain(said).take(max_tokens).collect();
    let (sender, receiver) = channel(AHEAD);
    tokio::spawn(async move {
        for word in words {
            time::sleep(PACE).await;
            if sender.send(word).await.is_err() {
                return tracing::info!("client disconnected, model stopped");
            }
        }
    });
    receiver
}
