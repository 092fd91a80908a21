//! What a request asks of the engine, estimated before it waits.

use std::sync::Arc;

use super::{
    BackendError, ChatRequest, MistralRs, UsageMeter,
    admission::Demand,
    cost::Work,
    engine::{Engine, ModelInfo},
    picture::Picture,
    quirks, tool_prompt,
};
use crate::{fair_queue::Share, fairness};

/// The tokens that a chat template adds to a message, about.
const TOKENS_OF_A_MESSAGE: usize = 5;

/// Longer texts are tokenised off the async threads.
const MAX_INLINE: usize = 2_048;

impl MistralRs {
    /// What a chat asks of the engine.
    pub(super) async fn demand(
        &self,
        engine: &Arc<Engine>,
        request: &ChatRequest,
        pictures: &[Picture],
        share: Share<u64>,
    ) -> Result<Demand, BackendError> {
        let text = text(request);
        let prompt_tokens = if text.len() < MAX_INLINE {
            tokens(&engine.info, &text)
        } else {
            let engine = engine.clone();
            let count = move || tokens(&engine.info, &text);
            self.decode_pool.run(count).await.unwrap_or_default()
        };
        let messages = request.messages.len() * TOKENS_OF_A_MESSAGE;
        let work = work(engine, request, prompt_tokens + messages, pictures);
        let has_pictures = !pictures.is_empty();
        let slots = quirks::slots(has_pictures, engine.info.on_cpu, self.admission.capacity());
        Ok(Demand {
            share,
            slots,
            estimate: self.admission.estimate(&work),
        })
    }
}

/// The work of a chat with this number of prompt tokens, without those of pictures.
pub(super) fn work(
    engine: &Engine,
    request: &ChatRequest,
    mut text_tokens: usize,
    pictures: &[Picture],
) -> Work {
    let mut unread = Vec::new();
    for picture in pictures {
        if engine.cached_pictures.contains(picture) {
            text_tokens += picture.tokens;
        } else {
            unread.push(picture.tokens);
        }
    }
    Work {
        texts: vec![text_tokens],
        pictures: unread,
        max_tokens: request.sampling.max_tokens,
        choices: usize::try_from(request.choices).unwrap_or(usize::MAX),
    }
}

/// The share of the requester; that of the server itself without one.
pub(super) fn share(meter: &UsageMeter) -> Share<u64> {
    meter.context().map_or(Share::new(0), fairness::share)
}

/// All texts of a request.
fn text(request: &ChatRequest) -> String {
    let mut text = request.raw_prompt.clone().unwrap_or_default();
    for message in &request.messages {
        message.texts().for_each(|part| text.push_str(part));
        for call in &message.tool_calls {
            text.push_str(&tool_prompt::call_text(call));
        }
    }
    for tool in tool_prompt::active(request) {
        text.push_str(&serde_json::Value::from_iter(tool_prompt::definition(tool)).to_string());
    }
    text
}

/// The number of tokens of a text; of bytes, if it cannot be tokenised.
fn tokens(info: &ModelInfo, text: &str) -> usize {
    match info.tokenizer.encode_fast(text, false) {
        Ok(encoding) => encoding.len(),
        Err(_) => text.len(),
    }
}
