//! Writes the text model as a GGUF file, for tests of the GGUF loader.
//! <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>

use std::path::Path;

use super::{
    ASCII_BIAS, TinyModelError, create, settings, vocabulary, weights::Weights, write_bytes,
    write_json,
};

/// The type of the matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GgufType {
    F32,
    Q8,
}

/// What a directory has in addition to the GGUF file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GgufTokenizer {
    /// `tokenizer.json` and its settings.
    Separate,
    /// Nothing: the tokenizer and the chat template are in the GGUF file.
    Embedded,
}

/// The ids of `GgufType` in the format.
const F32: u32 = 0;
const Q8_0: u32 = 8;
/// The number of weights in a block of Q8_0.
const BLOCK: usize = 32;
const ALIGNMENT: usize = 32;

/// Writes the model of [`write_text`](super::write_text) as `model.gguf` to `dir`.
pub(crate) fn write_gguf(
    dir: &Path,
    seed: u64,
    kind: GgufType,
    tokenizer: GgufTokenizer,
) -> Result<(), TinyModelError> {
    let mut weights = Weights::seeded(seed);
    weights.language(ASCII_BIAS, &vocabulary::printable());
    create(dir)?;
    if tokenizer == GgufTokenizer::Separate {
        write_json(dir, "tokenizer_config.json", &settings::tokenizer())?;
        let tokenizer = vocabulary::tokenizer_json()?;
        write_bytes(dir, "tokenizer.json", tokenizer.as_bytes())?;
    }
    write_bytes(dir, "model.gguf", &file(&weights, kind, tokenizer))
}

fn file(weights: &Weights, kind: GgufType, tokenizer: GgufTokenizer) -> Vec<u8> {
    let mut values = Values::default();
    values.text("general.architecture", "qwen2");
    for (name, number) in settings::gguf() {
        values.number(name, number);
    }
    values.float("qwen2.attention.layer_norm_rms_epsilon", 1e-6);
    values.float("qwen2.rope.freq_base", 1_000_000.0);
    values.number("tokenizer.ggml.eos_token_id", vocabulary::id("<|im_end|>"));
    if tokenizer == GgufTokenizer::Embedded {
        let (tokens, merge) = vocabulary::gguf();
        values.text("tokenizer.ggml.model", "gpt2");
        values.texts("tokenizer.ggml.tokens", &tokens);
        values.texts("tokenizer.ggml.merges", &[merge]);
        values.types("tokenizer.ggml.token_type", &tokens);
        values.text("tokenizer.chat_template", include_str!("chatml.jinja"));
    }

    let mut infos = Vec::new();
    let mut data = Vec::new();
    for (name, shape, floats) in weights.tensors() {
        let is_matrix = shape.len() == 2;
        let (id, bytes) = match kind {
            GgufType::Q8 if is_matrix => (Q8_0, blocks(floats)),
            _ => (F32, floats.iter().flat_map(|v| v.to_le_bytes()).collect()),
        };
        push_text(&mut infos, &gguf_name(name));
        push_length(&mut infos, shape.len(), 4);
        // The innermost dimension comes first.
        for side in shape.iter().rev() {
            push_length(&mut infos, *side, 8);
        }
        infos.extend(id.to_le_bytes());
        push_length(&mut infos, data.len(), 8);
        data.extend(bytes);
        pad(&mut data);
    }

    let mut file = b"GGUF\x03\0\0\0".to_vec();
    push_length(&mut file, weights.tensors().count(), 8);
    push_length(&mut file, values.count, 8);
    file.extend(values.bytes);
    file.extend(infos);
    pad(&mut file);
    file.extend(data);
    file
}

/// The name of a tensor in llama.cpp's convention.
fn gguf_name(name: &str) -> String {
    const NAMES: [(&str, &str); 13] = [
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
        ("model.layers", "blk"),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
    ];
    let replace = |name: String, (from, to): &(&str, &str)| name.replace(from, to);
    NAMES.iter().fold(name.to_owned(), replace)
}

/// Q8_0: blocks of a scale and 32 whole numbers.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the values are within ±127"
)]
fn blocks(floats: &[f32]) -> Vec<u8> {
    let block = |floats: &[f32]| {
        let max = floats.iter().fold(0f32, |max, value| max.max(value.abs()));
        let (half, scale) = to_half(max / 127.0);
        let quantised = floats.iter().map(move |value| {
            let value = (value / scale).round().clamp(-127.0, 127.0);
            (value as i8).to_le_bytes()[0]
        });
        let half = half.to_le_bytes().into_iter();
        half.chain(quantised).collect::<Vec<_>>()
    };
    floats.chunks_exact(BLOCK).flat_map(block).collect()
}

/// The half-precision number of zero, or of a number of about 0.01, and its value.
fn to_half(value: f32) -> (u16, f32) {
    let bits = value.to_bits();
    let exponent = (bits >> 23).saturating_sub(127 - 15);
    let mantissa = (bits >> 13) & 0x3ff;
    let half = u16::try_from(exponent << 10 | mantissa).expect("an exponent of five bits");
    (half, f32::from_bits(bits & !0x1fff))
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
}

fn push_length(bytes: &mut Vec<u8>, length: usize, size: usize) {
    bytes.extend(&(length as u64).to_le_bytes()[..size]);
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    push_length(bytes, text.len(), 8);
    bytes.extend(text.as_bytes());
}

/// The metadata.
#[derive(Default)]
struct Values {
    bytes: Vec<u8>,
    count: usize,
}

impl Values {
    fn name(&mut self, name: &str, kind: u32) {
        self.count += 1;
        push_text(&mut self.bytes, name);
        self.bytes.extend(kind.to_le_bytes());
    }

    fn number(&mut self, name: &str, number: usize) {
        self.name(name, 4);
        push_length(&mut self.bytes, number, 4);
    }

    fn float(&mut self, name: &str, number: f32) {
        self.name(name, 6);
        self.bytes.extend(number.to_le_bytes());
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name, 8);
        push_text(&mut self.bytes, text);
    }

    fn texts(&mut self, name: &str, texts: &[String]) {
        self.name(name, 9);
        self.bytes.extend(8u32.to_le_bytes());
        push_length(&mut self.bytes, texts.len(), 8);
        for text in texts {
            push_text(&mut self.bytes, text);
        }
    }

    /// The types of tokens: 1 is a normal one, 3 a control token.
    fn types(&mut self, name: &str, tokens: &[String]) {
        self.name(name, 9);
        self.bytes.extend(5u32.to_le_bytes());
        push_length(&mut self.bytes, tokens.len(), 8);
        for token in tokens {
            let kind: i32 = if token.starts_with("<|") { 3 } else { 1 };
            self.bytes.extend(kind.to_le_bytes());
        }
    }
}
