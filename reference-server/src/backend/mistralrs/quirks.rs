//! The faults of mistral.rs 0.8.1 this backend lives with, one item each, so that they
//! can be deleted one by one when a newer version mends them.
//!
//! Four more shape the code elsewhere rather than having an item:
//! - Fault 7: on CUDA an image is limited to about 8,192 tokens, and the work grows with the
//!   square of them. So [`MistralRsConfig::max_image_side`] is always in force.
//! - Fault 9: an answer whose first token is its last goes on: the engine marks it as running
//!   after it has marked it as done. So [`LogitsProcessor`] makes and counts nothing past the last
//!   token, and `generate` hears nothing past the first reply that says how it ended.
//! - Fault 10: the engine panics when the receiver of a reply is gone while a step fails, or
//!   while a token count is sent. So no receiver is dropped early: whoever leaves makes the
//!   engine *end* the answer ([`LogitsProcessor::end`]), and the replies are read to the last.
//! - Fault 11: a slow reader of the SDK's channel of one stalls every other answer. So replies
//!   go through the raw engine into a channel with room for the whole answer.
//!
//! [`MistralRsConfig::max_image_side`]: super::MistralRsConfig::max_image_side
//! [`LogitsProcessor`]: super::logits_processor::LogitsProcessor
//! [`LogitsProcessor::end`]: super::logits_processor::LogitsProcessor::end

use tokenizers::Tokenizer;

/// Fault 1: when a request that does not stream is dropped, the engine panics on finishing
/// it, and every answer under way is lost. So each request streams, whatever the client
/// asked for.
pub(super) const STREAMS: bool = true;

/// How many of `all` places a chat takes; one that takes all runs alone.
///
/// Fault 2: image chats of equal prompt length fail when they share a batch, and text that
/// shares one with images may get wrong positions. So a chat with images runs alone.
///
/// Fault 12: on the CPU, sequences that share a batch get each other's attention: the decode
/// kernel's scratch space has a slot a head but none a sequence (`flash_attn_cpu_single_q`).
/// One client's chat would show in another's answer. So on the CPU every chat runs alone.
pub(super) fn slots(has_images: bool, on_cpu: bool, all: usize) -> usize {
    if has_images || on_cpu { all } else { 1 }
}

/// Fault 3: the third image of a chat gets the embeddings of another, silently.
pub(super) const MAX_IMAGES: usize = 2;

/// Fault 4: an image chat's tokens are turned to text and back at each step, and the step
/// fails when that does not give the same tokens (upstream issue 1786). The chat is then
/// asked again with the text so far, whose tokens are now the ones the engine wants.
pub(super) fn is_retokenisation_error(error: &str) -> bool {
    error.contains("shape mismatch in where_cond")
}

/// Fault 4: how often one chat is asked again before it is given up.
pub(super) const MAX_RESUMES: usize = 2;

/// Fault 4: a chat template that can leave the answer open. A last message with the key
/// `open` is written after the template's own start of an answer.
pub(super) fn with_continuation(template: &str) -> String {
    // Alone, a template loses its last newline; with text behind it, it would keep it.
    let template = template.strip_suffix('\n').unwrap_or(template);
    format!(
        "{{%- set opening = messages | last -%}}\
         {{%- if opening.open -%}}{{%- set messages = messages[:-1] -%}}{{%- endif %}}\
         {template}\
         {{% if opening.open %}}{{{{ opening.content }}}}{{% endif %}}"
    )
}

/// Fault 4 again: the engine strips space from the start of what it makes, which in an
/// answer that goes on is space between words. This is what it stripped.
pub(super) fn stripped_whitespace(tokenizer: &Tokenizer, first_token: u32) -> String {
    let text = tokenizer.decode(&[first_token], true).unwrap_or_default();
    text[..text.len() - text.trim_start().len()].to_owned()
}

/// Fault 5: an image with a side under this many pixels panics the engine.
pub(super) const MIN_SIDE: u32 = 28;

/// Fault 5: so does one whose sides are further apart than 200 to 1; with room for rounding.
pub(super) const MAX_ASPECT_RATIO: u32 = 100;

/// Fault 6: an answer that ends inside a character has no last reply, so nothing says why
/// it ended. It was its tokens that ended it, or else the engine has died.
pub(super) fn infer_finish(
    made: usize,
    max: usize,
    last_is_eos: bool,
) -> Option<super::FinishReason> {
    if last_is_eos {
        Some(super::FinishReason::Stop)
    } else {
        (made >= max).then_some(super::FinishReason::Length)
    }
}
