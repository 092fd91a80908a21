"""The JSON files of a Qwen2.5-VL model with a byte-level tokenizer."""

import json

PATCH, MERGE, TEMPORAL_PATCH = 14, 2, 2
CONTROL_TOKENS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
    # Of mistral.rs.
    "<|placeholder|>",
]
TEMPLATE = (
    "{%- for message in messages -%}{{ '<|im_start|>' + message.role + '\\n' + message.content + "
    "'<|im_end|>\\n' }}{%- endfor -%}{%- if add_generation_prompt -%}"
    "{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)


def alphabet():
    """The characters of the 256 bytes in byte-level BPE, sorted."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return sorted([chr(byte) for byte in plain] + [chr(256 + n) for n in range(256 - len(plain))])


def write_json(folder, name, value):
    (folder / name).write_text(json.dumps(value), encoding="utf-8")


def write_settings(folder, shape):
    size = shape["vocabulary"]
    first = size - len(CONTROL_TOKENS)
    ids = {token: first + n for n, token in enumerate(CONTROL_TOKENS)}
    write_json(folder, "config.json", _config(shape, ids))
    ends = [ids["<|im_end|>"], ids["<|endoftext|>"]]
    write_json(folder, "generation_config.json", {"eos_token_id": ends})
    write_json(folder, "tokenizer.json", _tokenizer(first, ids))
    write_json(
        folder,
        "tokenizer_config.json",
        {
            "add_prefix_space": False,
            "bos_token": None,
            "chat_template": TEMPLATE,
            "eos_token": "<|im_end|>",
            "model_max_length": shape["context"],
            "pad_token": "<|endoftext|>",
            "tokenizer_class": "Qwen2Tokenizer",
            "unk_token": None,
        },
    )
    write_json(
        folder,
        "preprocessor_config.json",
        {
            "image_processor_type": "Qwen2VLImageProcessor",
            "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_std": [0.26862954, 0.26130258, 0.27577711],
            "min_pixels": 3136,
            "max_pixels": 12_845_056,
            "merge_size": MERGE,
            "patch_size": PATCH,
            "temporal_patch_size": TEMPORAL_PATCH,
        },
    )


def _config(shape, ids):
    return {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "hidden_act": "silu",
        "hidden_size": shape["hidden"],
        "intermediate_size": shape["intermediate"],
        "max_position_embeddings": shape["context"],
        "max_window_layers": shape["layers"],
        "num_attention_heads": shape["heads"],
        "num_hidden_layers": shape["layers"],
        "num_key_value_heads": shape["kv_heads"],
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        "rope_scaling": {"type": "mrope", "mrope_section": shape["sections"]},
        "sliding_window": None,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "use_sliding_window": False,
        "vocab_size": shape["vocabulary"],
        "vision_config": {
            "depth": shape["vision_depth"],
            "fullatt_block_indexes": shape["vision_full"],
            "hidden_act": "silu",
            "hidden_size": shape["vision_hidden"],
            "in_chans": 3,
            "intermediate_size": shape["vision_intermediate"],
            "num_heads": shape["vision_heads"],
            "out_hidden_size": shape["hidden"],
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "spatial_patch_size": PATCH,
            "temporal_patch_size": TEMPORAL_PATCH,
            "window_size": 112,
        },
    }


def _tokenizer(first, ids):
    """Byte-level BPE without merges. The other tokens never occur in a text."""
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    vocabulary = {token: number for number, token in enumerate(alphabet())}
    vocabulary |= {f"unused{number}": number for number in range(len(vocabulary), first)}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [{"id": number, "content": token, "special": True, **flags} for token, number in ids.items()]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": level,
        "post_processor": None,
        "decoder": level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": [],
        },
    }
