//! Workarounds for faults of mistral.rs 0.8.1, one item each, so that they can be deleted one by
//! one when a newer version fixes them.
//!
//! One has no workaround:
//! - Fault 17: in a chat with images, the generated tokens have positions that are one too large
//!   (`get_rope_index` adds one to the end of the prompt twice). The test `numerics` holds that this
//!   is the only difference from Hugging Face transformers.
//!
//! Four more are handled elsewhere:
//! - Fault 9: a generation whose first token is its last continues: the engine marks it as running
//!   after it has marked it as done. [`LogitsProcessor`] therefore counts no tokens after the last
//!   one, and `generate` ignores replies after the first one with a finish reason.
//! - Fault 10: the engine panics if the receiver of a reply is dropped while a step fails or a
//!   token count is sent. Receivers are therefore never dropped early: if the client disconnects,
//!   [`LogitsProcessor::end`] *ends* the generation, and all replies are read.
//! - Fault 11: a slow reader of the SDK's channel, which has a capacity of one, stalls all other
//!   generations. Replies therefore bypass the SDK, through a channel with capacity for all of
//!   them.
//! - Fault 15: the engine pads the shorter inputs of a batch of embeddings without a mask, so that
//!   the last token is padding. Its scheduler never puts inputs of different lengths into a batch.
//!
//! [`LogitsProcessor`]: super::logits_processor::LogitsProcessor
//! [`LogitsProcessor::end`]: super::logits_processor::LogitsProcessor::end

/// Fault 1: if a request without streaming is dropped, the engine panics when it finishes, and all
/// running generations are lost. Every request therefore streams, regardless of the client's
/// choice.
pub(super) const STREAMS: bool = true;

/// The number of slots that a chat or an embedding request takes; one that takes `all` slots runs
/// alone.
///
/// Fault 2: image chats of equal prompt length fail in the same batch, and text in a batch with
/// images may get wrong positions. A chat with images therefore runs alone.
///
/// Fault 12: on the CPU, sequences in a batch attend to each other: the decode kernel's scratch
/// space has a slot for each head but not for each sequence (`flash_attn_cpu_single_q`). One
/// client's chat would leak into another's completion. On the CPU, every chat therefore runs
/// alone.
pub(super) fn slots(has_images: bool, on_cpu: bool, all: usize) -> usize {
    if has_images || on_cpu { all } else { 1 }
}

/// Fault 16: an embedding model panics on an input of one token, for which it has no mask.
pub(super) const MIN_EMBEDDED_TOKENS: usize = 2;

/// Fault 3: the third image of a chat silently gets the embeddings of another one. The engine puts
/// the embeddings of all images into one row, and those of an image start where the one *before*
/// it ends if that were the first: at its length, instead of at the sum of the lengths (`last_end`
/// in `qwen2_5_vl/mod.rs`). The first two images are right, whatever their sizes.
///
/// No prompt avoids it: an image starts at its sum only if the earlier ones are empty, and images
/// without a token between them would share their positions. A cached prefix would avoid it, since
/// only the images after it count, but the engine's cache is shared between clients and, on the
/// CPU, is never emptied.
pub(super) const MAX_IMAGES: usize = 2;

/// Fault 4: the engine decodes and retokenises an image chat at each step, and the step fails if
/// the tokens differ (upstream issue 1786). The generation is then resumed with the text so far,
/// which has the tokens that the engine expects.
pub(super) fn is_retokenisation_error(error: &str) -> bool {
    error.contains("shape mismatch in where_cond")
}

/// Fault 4: the maximum number of times that a generation is resumed.
pub(super) const MAX_RESUMES: usize = 2;

/// Extends a chat template by what the engine's requests cannot have:
///
/// - Tools: the `tools` of a first message without a role. The engine's own tools would make it
///   hold back the text and end the generation.
/// - Fault 4: the continuation of an answer. A last message with the key `open` is appended after
///   the template's generation prompt.
pub(super) fn with_extensions(template: &str) -> String {
    // Jinja strips a template's final newline, but not before the appended text.
    let template = template.strip_suffix('\n').unwrap_or(template);
    format!(
        "{{%- if messages[0].tools -%}}\
           {{%- set tools = messages[0].tools -%}}{{%- set messages = messages[1:] -%}}\
         {{%- endif -%}}\
         {{%- set opening = messages | last -%}}\
         {{%- if opening.open -%}}{{%- set messages = messages[:-1] -%}}{{%- endif %}}\
         {template}\
         {{% if opening.open %}}{{{{ opening.content }}}}{{% endif %}}"
    )
}

/// The engine replaces these texts in the prompts of vision models, whether or not they are tokens:
/// a client that sends `<|placeholder|>` would refer to an image that does not exist, which kills
/// the engine.
pub(super) const PROMPT_MARKERS: [&str; 3] = ["<|placeholder|>", "<|image_pad|>", "<|video_pad|>"];

/// Whether mistral.rs itself separates the channels of a model with this chat template, by tokens
/// that have no text: OpenAI's Harmony format, and Gemma 4.
pub(super) fn separates_channels(template: &str) -> bool {
    let has = |marks: &[&str]| marks.iter().all(|mark| template.contains(mark));
    has(&["<|channel|>"])
        || has(&["<|start|>", "<|message|>", "<|end|>"])
        || has(&["<|channel>", "<channel|>"])
}

/// Fault 5: the engine panics on images with a larger aspect ratio, and on images with a side of
/// less than one token, which [`SizeRule`](super::size_rule::SizeRule) never makes.
pub(super) const MAX_ASPECT_RATIO: u32 = 200;

/// Fault 5: the aspect ratio to which other images are padded; it leaves room for rounding.
pub(super) const PADDED_ASPECT_RATIO: u32 = 100;

/// Fault 7: on CUDA, an image has at most about this many tokens.
pub(super) const MAX_CUDA_IMAGE_TOKENS: u64 = 8_192;

/// Fault 13: the engine keeps the embeddings of this many pictures for all clients, by a hash that
/// depends neither on the client nor on the sides. Another client's pictures would be answered
/// faster, and pictures of the same bytes with other sides would get each other's answer.
/// [`Picture`](super::picture::Picture) therefore marks each picture.
pub(super) const CACHED_PICTURES: usize = 32;

/// Fault 6: a generation that ends inside a character has no final reply, and so no finish reason.
/// Infers it from the tokens; `None` means that the engine has died.
pub(super) fn infer_finish(
    generated: usize,
    max: usize,
    last_is_eos: bool,
) -> Option<super::FinishReason> {
    if last_is_eos {
        Some(super::FinishReason::Stop)
    } else {
        (generated >= max).then_some(super::FinishReason::Length)
    }
}

/// Fault 10: reads the replies of an engine that has been given up, because it would panic without
/// a receiver.
pub(super) fn read_to_end<T: Send + 'static>(mut replies: tokio::sync::mpsc::Receiver<T>) {
    tokio::spawn(async move { while replies.recv().await.is_some() {} });
}
