//! The tokenizer: one token per byte, then the control tokens of the Qwen family.

use tokenizers::{
    AddedToken, Tokenizer, decoders::byte_level::ByteLevel as Decoder, models::bpe::BPE,
    pre_tokenizers::byte_level::ByteLevel, processors::template::TemplateProcessing,
};

use super::{TinyModelError, settings};

const CONTROL_TOKENS: [&str; 9] = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
    // Not a token of the real family: mistral.rs inserts it into a prompt temporarily.
    "<|placeholder|>",
];

const BYTES: usize = 256;

/// The id of a control token.
pub(super) fn id(control: &str) -> usize {
    let place = CONTROL_TOKENS.iter().position(|token| *token == control);
    BYTES + place.expect("the token is in `CONTROL_TOKENS`")
}

/// Whether each id is a space or a visible ASCII character.
pub(super) fn printable() -> Vec<bool> {
    let mut printable: Vec<bool> = alphabet()
        .into_iter()
        // Byte-level BPE writes a space as U+0120 and visible ASCII as itself.
        .map(|c| c.is_ascii_graphic() || c == '\u{120}')
        .collect();
    printable.resize(settings::VOCABULARY, false);
    printable
}

/// The content of `tokenizer.json`.
pub(super) fn tokenizer_json() -> Result<String, TinyModelError> {
    tokenizer()?
        .to_string(true)
        .map_err(TinyModelError::Tokenizer)
}

/// The content of `tokenizer.json` of an embedding model, which ends each text with a token.
pub(super) fn embedding_tokenizer_json() -> Result<String, TinyModelError> {
    let end = "<|endoftext|>";
    let end_id = u32::try_from(id(end)).expect("a small vocabulary");
    let template = TemplateProcessing::builder()
        .try_single(format!("$A {end}"))
        .map_err(|error| TinyModelError::Tokenizer(error.into()))?
        .special_tokens(vec![(end.to_owned(), end_id)])
        .build()
        .map_err(|error| TinyModelError::Tokenizer(error.into()))?;
    tokenizer()?
        .with_post_processor(Some(template))
        .to_string(true)
        .map_err(TinyModelError::Tokenizer)
}

/// The tokens of a GGUF file, in order, and the merge that it must have: of two bytes that never
/// occur in UTF-8, in place of a reserved token.
#[cfg(test)]
pub(super) fn gguf() -> (Vec<String>, String) {
    let bytes = alphabet().map(String::from).into_iter();
    let control = CONTROL_TOKENS.map(String::from);
    let mut tokens: Vec<_> = bytes.chain(control).collect();
    tokens.extend((tokens.len()..settings::VOCABULARY - 1).map(|i| format!("<|reserved_{i}|>")));
    tokens.push("\u{fe}\u{ff}".to_owned());
    (tokens, "\u{fe} \u{ff}".to_owned())
}

fn tokenizer() -> Result<Tokenizer, TinyModelError> {
    let mut ids = 0..;
    let bytes: [(String, u32); BYTES] = alphabet().map(|c| {
        let id = ids.next().expect("the range has no end");
        (c.into(), id)
    });
    let model = BPE::builder()
        .vocab_and_merges(bytes, Vec::new())
        .build()
        .map_err(TinyModelError::Tokenizer)?;
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, false, false)));
    tokenizer.with_decoder(Some(Decoder::new(false, false, false)));
    // Constrained decoding fails if the tokenizer is smaller than the weights' vocabulary.
    let reserved =
        (BYTES + CONTROL_TOKENS.len()..settings::VOCABULARY).map(|i| format!("<|reserved_{i}|>"));
    let special: Vec<AddedToken> = CONTROL_TOKENS
        .into_iter()
        .map(String::from)
        .chain(reserved)
        .map(|content| AddedToken::from(content, true).normalized(false))
        .collect();
    tokenizer.add_special_tokens(&special);
    Ok(tokenizer)
}

/// The characters that represent the 256 bytes, in a fixed order.
fn alphabet() -> [char; BYTES] {
    let mut alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
    alphabet.sort_unstable();
    alphabet.try_into().expect("one character per byte")
}
