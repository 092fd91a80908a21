//! The model's JSON files, and the dimensions that they share with the weights.

use serde_json::{Value, json};

use super::vocabulary;

pub(super) const VOCABULARY: usize = 272;
pub(super) const HIDDEN: usize = 64;
pub(super) const INTERMEDIATE: usize = 128;
pub(super) const LAYERS: usize = 2;
pub(super) const HEADS: usize = 4;
pub(super) const KV_HEADS: usize = 2;

pub(super) const VISION_HIDDEN: usize = 32;
pub(super) const VISION_INTERMEDIATE: usize = 64;
pub(super) const VISION_DEPTH: usize = 2;
const VISION_HEADS: usize = 2;
pub(super) const PATCH: usize = 14;
pub(super) const MERGE: usize = 2;
pub(super) const TEMPORAL_PATCH: usize = 2;

/// The context length: tokens of prompt and completion together.
const CONTEXT: usize = 4096;

fn language(architecture: &str, kind: &str) -> Value {
    json!({
        "architectures": [architecture],
        "model_type": kind,
        "bos_token_id": vocabulary::id("<|endoftext|>"),
        "eos_token_id": vocabulary::id("<|im_end|>"),
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "max_position_embeddings": CONTEXT,
        "max_window_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "num_key_value_heads": KV_HEADS,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        "sliding_window": null,
        "tie_word_embeddings": false,
        "torch_dtype": "float32",
        "use_sliding_window": false,
        "vocab_size": VOCABULARY,
    })
}

pub(super) fn text() -> Value {
    language("Qwen2ForCausalLM", "qwen2")
}

pub(super) fn vision() -> Value {
    let mut config = language("Qwen2_5_VLForConditionalGeneration", "qwen2_5_vl");
    config["image_token_id"] = vocabulary::id("<|image_pad|>").into();
    config["video_token_id"] = vocabulary::id("<|video_pad|>").into();
    config["vision_start_token_id"] = vocabulary::id("<|vision_start|>").into();
    config["vision_end_token_id"] = vocabulary::id("<|vision_end|>").into();
    // The sections divide half a head between time, height and width.
    config["rope_scaling"] = json!({ "type": "mrope", "mrope_section": [2, 3, 3] });
    config["vision_config"] = json!({
        "depth": VISION_DEPTH,
        "fullatt_block_indexes": [VISION_DEPTH - 1],
        "hidden_act": "silu",
        "hidden_size": VISION_HIDDEN,
        "in_chans": 3,
        "intermediate_size": VISION_INTERMEDIATE,
        "num_heads": VISION_HEADS,
        "out_hidden_size": HIDDEN,
        "patch_size": PATCH,
        "spatial_merge_size": MERGE,
        "spatial_patch_size": PATCH,
        "temporal_patch_size": TEMPORAL_PATCH,
        "window_size": 112,
    });
    config
}

/// The numbers in the metadata of a GGUF file.
#[cfg(test)]
pub(super) fn gguf() -> [(&'static str, usize); 6] {
    [
        ("qwen2.attention.head_count", HEADS),
        ("qwen2.attention.head_count_kv", KV_HEADS),
        ("qwen2.block_count", LAYERS),
        ("qwen2.context_length", CONTEXT),
        ("qwen2.embedding_length", HIDDEN),
        ("qwen2.feed_forward_length", INTERMEDIATE),
    ]
}

/// The folder of the pooling module.
pub(super) const POOLING: &str = "1_Pooling";

pub(super) fn embedding() -> Value {
    let mut config = language("Qwen3ForCausalLM", "qwen3");
    config["head_dim"] = (HIDDEN / HEADS).into();
    config["tie_word_embeddings"] = true.into();
    config
}

/// The modules of sentence-transformers.
pub(super) fn modules() -> Value {
    let module = |index: usize, path: &str, kind: &str| {
        let kind = format!("sentence_transformers.models.{kind}");
        json!({ "idx": index, "name": index.to_string(), "path": path, "type": kind })
    };
    json!([
        module(0, "", "Transformer"),
        module(1, POOLING, "Pooling"),
        module(2, "2_Normalize", "Normalize"),
    ])
}

pub(super) fn pooling() -> Value {
    json!({
        "include_prompt": true,
        "pooling_mode_cls_token": false,
        "pooling_mode_lasttoken": true,
        "pooling_mode_max_tokens": false,
        "pooling_mode_mean_sqrt_len_tokens": false,
        "pooling_mode_mean_tokens": false,
        "pooling_mode_weightedmean_tokens": false,
        "word_embedding_dimension": HIDDEN,
    })
}

pub(super) fn image_preprocessor() -> Value {
    let tile = PATCH * MERGE;
    json!({
        "image_processor_type": "Qwen2VLImageProcessor",
        "image_mean": [0.481_454_66, 0.457_827_5, 0.408_210_73],
        "image_std": [0.268_629_54, 0.261_302_58, 0.275_777_11],
        "min_pixels": 4 * tile * tile,
        "max_pixels": 16_384 * tile * tile,
        "merge_size": MERGE,
        "patch_size": PATCH,
        "temporal_patch_size": TEMPORAL_PATCH,
    })
}

pub(super) fn generation() -> Value {
    json!({
        "bos_token_id": vocabulary::id("<|endoftext|>"),
        "eos_token_id": [vocabulary::id("<|im_end|>"), vocabulary::id("<|endoftext|>")],
    })
}

pub(super) fn tokenizer() -> Value {
    json!({
        "add_prefix_space": false,
        "bos_token": null,
        "chat_template": include_str!("chatml.jinja"),
        "eos_token": "<|im_end|>",
        "model_max_length": CONTEXT,
        "pad_token": "<|endoftext|>",
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": null,
    })
}
