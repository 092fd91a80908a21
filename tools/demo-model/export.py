"""Writes a checkpoint as a model directory that mistral.rs and transformers load.

python export.py CHECKPOINT.safetensors DIRECTORY
"""

import json
import pathlib
import sys

import numpy as np
from safetensors.numpy import load_file, save_file

import batch
import model
import tokenizer

CONTEXT = 1024

TEMPLATE = pathlib.Path(__file__).with_name("chat_template.jinja")


def config():
    v, t = model.VISION, model.TEXT
    return {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "bos_token_id": tokenizer.control("<|endoftext|>"),
        "eos_token_id": tokenizer.control("<|im_end|>"),
        "image_token_id": tokenizer.control("<|image_pad|>"),
        "video_token_id": tokenizer.control("<|video_pad|>"),
        "vision_start_token_id": tokenizer.control("<|vision_start|>"),
        "vision_end_token_id": tokenizer.control("<|vision_end|>"),
        "hidden_act": "silu",
        "hidden_size": t["hidden"],
        "intermediate_size": t["inner"],
        "max_position_embeddings": CONTEXT,
        "max_window_layers": t["layers"],
        "num_attention_heads": t["heads"],
        "num_hidden_layers": t["layers"],
        "num_key_value_heads": t["kv_heads"],
        "rms_norm_eps": model.EPSILON,
        "rope_theta": model.ROPE_THETA,
        "rope_scaling": {"type": "mrope", "mrope_section": model.SECTIONS},
        "sliding_window": None,
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "use_sliding_window": False,
        "vocab_size": tokenizer.SIZE,
        "vision_config": {
            "depth": v["depth"],
            # Pictures are small: every block attends to the whole picture.
            "fullatt_block_indexes": list(range(v["depth"])),
            "hidden_act": "silu",
            "hidden_size": v["hidden"],
            "in_chans": 3,
            "intermediate_size": v["inner"],
            "num_heads": v["heads"],
            "out_hidden_size": t["hidden"],
            "patch_size": model.PATCH,
            "spatial_merge_size": model.MERGE,
            "spatial_patch_size": model.PATCH,
            "temporal_patch_size": 2,
            "window_size": 112,
        },
    }


def preprocessor():
    areas = [width * height for width, height in batch.SIZES]
    return {
        "image_processor_type": "Qwen2VLImageProcessor",
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "min_pixels": min(areas),
        "max_pixels": max(areas),
        "merge_size": model.MERGE,
        "patch_size": model.PATCH,
        "temporal_patch_size": 2,
    }


def tokenizer_config():
    return {
        "add_prefix_space": False,
        "bos_token": None,
        "chat_template": TEMPLATE.read_text(),
        "eos_token": "<|im_end|>",
        "model_max_length": CONTEXT,
        "pad_token": "<|endoftext|>",
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }


def export(parameters, directory, dtype=np.float16):
    directory.mkdir(parents=True, exist_ok=True)
    weights = {name: np.ascontiguousarray(w.astype(dtype)) for name, w in parameters.items()}
    save_file(weights, directory / "model.safetensors")
    end = [tokenizer.control("<|im_end|>"), tokenizer.control("<|endoftext|>")]
    files = {
        "config.json": config(),
        "generation_config.json": {"bos_token_id": end[1], "eos_token_id": end},
        "preprocessor_config.json": preprocessor(),
        "tokenizer_config.json": tokenizer_config(),
    }
    for name, content in files.items():
        (directory / name).write_text(json.dumps(content, indent=1) + "\n")
    tokenizer.tokenizer().save(str(directory / "tokenizer.json"), pretty=False)


if __name__ == "__main__":
    checkpoint, directory = sys.argv[1:]
    tensors = load_file(checkpoint)
    export(
        {n: t for n, t in tensors.items() if not n.startswith("extra.")}, pathlib.Path(directory)
    )
