"""Computes reference logits of the tiny vision model with Hugging Face transformers.

    cargo run -p stockade-server --example tiny-model -- target/numerics
    python -m venv target/numerics/venv
    target/numerics/venv/bin/pip install -r tools/numerics/requirements.txt
    target/numerics/venv/bin/python tools/numerics/reference.py target/numerics \
        reference-server/src/backend/mistralrs/tests/numerics.json

The Rust test `numerics` compares the logits of mistral.rs with the file.
"""

import json
import sys

import numpy
import torch
from PIL import Image
from tokenizers import Tokenizer
from transformers import Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import (
    Qwen2VLImageProcessorPil as ImageProcessor,
)

# The number of tokens that are generated after each prompt.
TOKENS = 8

CASES = [
    {"name": "text only", "text": "Hello", "pictures": []},
    {"name": "one picture", "text": "Look", "pictures": [[224, 168]]},
    {"name": "two pictures", "text": "Compare", "pictures": [[112, 112], [168, 84]]},
    {"name": "narrow picture", "text": "Look", "pictures": [[28, 252]]},
    {"name": "wide picture", "text": "Look", "pictures": [[364, 56]]},
    {"name": "long prompt", "text": "The quick brown fox. " * 60, "pictures": []},
    {"name": "long prompt with a picture", "text": "Look at it. " * 60, "pictures": [[140, 140]]},
]


def picture(width, height, seed):
    """The same pixels as `picture` in the tests."""
    x = numpy.arange(width, dtype=numpy.uint32)[None, :]
    y = numpy.arange(height, dtype=numpy.uint32)[:, None]
    value = x * 3 + y * 7 * seed
    low, high = value & 255, value >> 8 & 255
    channels = [low, high * seed & 255, low ^ seed]
    return Image.fromarray(numpy.stack(channels, axis=-1).astype(numpy.uint8))


def reference(model, processor, tokenizer, case):
    pictures = [picture(w, h, seed + 1) for seed, (w, h) in enumerate(case["pictures"])]
    inputs = {}
    counts = []
    if pictures:
        inputs = dict(processor(images=pictures, return_tensors="pt"))
        counts = [int(grid.prod()) // 4 for grid in inputs["image_grid_thw"]]
    pads = "".join(
        f"<|vision_start|>{'<|image_pad|>' * count}<|vision_end|>" for count in counts
    )
    prompt = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    prompt += f"<|im_start|>user\n{pads}{case['text']}<|im_end|>\n<|im_start|>assistant\n"
    ids = tokenizer.encode(prompt, add_special_tokens=False).ids
    tokens = torch.tensor([ids])
    kinds = (tokens == tokenizer.token_to_id("<|image_pad|>")).int()
    grid = inputs.get("image_grid_thw")
    positions, _ = model.model.get_rope_index(tokens, kinds, image_grid_thw=grid)
    # mistral.rs places the tokens after a prompt with pictures one position too far (fault 17).
    shift = 1 if pictures else 0
    logits, correct = generate(model, tokens, positions, kinds, inputs, 0)
    _, shifted = generate(model, tokens, positions, kinds, inputs, shift)
    return {
        **case,
        "prompt_tokens": len(ids),
        "tokens": correct,
        "shifted_tokens": shifted,
        "logits": [round(float(value), 5) for value in logits],
    }


def generate(model, tokens, positions, kinds, inputs, shift):
    """The logits after a prompt, and the tokens of a greedy completion."""
    first, generated = None, []
    for step in range(TOKENS):
        with torch.no_grad():
            output = model(
                input_ids=tokens,
                position_ids=positions,
                mm_token_type_ids=kinds,
                use_cache=False,
                **inputs,
            )
        logits = output.logits[0, -1]
        first = logits if first is None else first
        generated.append(int(logits.argmax()))
        tokens = torch.cat([tokens, torch.tensor([generated[-1:]])], dim=1)
        kinds = torch.cat([kinds, torch.zeros((1, 1), dtype=kinds.dtype)], dim=1)
        following = positions.max() + 1 + (shift if step == 0 else 0)
        positions = torch.cat([positions, following.expand(3, 1, 1)], dim=2)
    return first, generated


def main(folder, output):
    torch.manual_seed(0)
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    model.eval()
    processor = ImageProcessor.from_pretrained(folder)
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    cases = [reference(model, processor, tokenizer, case) for case in CASES]
    with open(output, "w", encoding="utf-8") as file:
        json.dump(cases, file)
        file.write("\n")


main(*sys.argv[1:])
