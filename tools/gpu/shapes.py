"""Writes Qwen2.5-VL models with random weights, with the standard library only.

The shapes are those of real models, so that memory and speed are, too. A constant in the first channel
of the hidden state, which no layer changes, biases the head towards printable ASCII: the engine tokenises a
chat with pictures again at each step, which needs an answer whose text has the same tokens.
"""

import itertools
import json
import math
import os
import struct
from concurrent.futures import ThreadPoolExecutor

from model_files import MERGE, PATCH, TEMPORAL_PATCH, alphabet, write_json, write_settings

HOLO_7B = {
    "vocabulary": 152_064,
    "hidden": 3584,
    "intermediate": 18_944,
    "layers": 28,
    "heads": 28,
    "kv_heads": 4,
    "sections": [16, 24, 24],
    "vision_hidden": 1280,
    "vision_intermediate": 3420,
    "vision_depth": 32,
    "vision_heads": 16,
    "vision_full": [7, 15, 23, 31],
    "context": 128_000,
    "shards": 4,
    # What the server makes of 1920 × 1080 with a longest side of 1,440.
    "picture": [1428, 812],
}
TINY = {
    "vocabulary": 272,
    "hidden": 64,
    "intermediate": 128,
    "layers": 2,
    "heads": 4,
    "kv_heads": 2,
    "sections": [2, 3, 3],
    "vision_hidden": 32,
    "vision_intermediate": 64,
    "vision_depth": 2,
    "vision_heads": 2,
    "vision_full": [1],
    "context": 4096,
    "shards": 1,
    "picture": [364, 252],
}
# For a CPU.
HOLO_7B_SLICE = HOLO_7B | {
    "layers": 2,
    "vision_depth": 2,
    "vision_full": [1],
    "shards": 2,
    "picture": [364, 252],
}
SHAPES = {"holo-7b": HOLO_7B, "holo-7b-slice": HOLO_7B_SLICE, "tiny": TINY}
CONSTANT, HEAD_BIAS = 32.0, 4.0
# The values of a pattern repeat after a prime number, so that no two rows of a tensor are equal.
PERIOD = 8_388_593


def bfloat16(value):
    return struct.pack("<f", value)[2:]


class Pattern:
    """Random values around 1/sqrt(inputs), in bfloat16."""

    def __init__(self, inputs):
        # Half of the exponent is in the high byte, and its lowest bit is random: two octaves.
        half = int((127 - math.log2(inputs) / 2 - 1) // 2)
        signs = bytes((half, half | 0x80)) * 128
        data = bytearray(os.urandom(2 * PERIOD))
        data[1::2] = data[1::2].translate(signs)
        self.data = memoryview(bytes(data))

    def pieces(self, count, start):
        """`count` values as pieces of bytes."""
        position, left = 2 * (start % PERIOD), 2 * count
        while left:
            piece = self.data[position : position + left]
            yield piece
            left -= len(piece)
            position = 0


def tensors(shape):
    """Names, sizes and kinds of all tensors."""
    hidden, inner, vocabulary = shape["hidden"], shape["intermediate"], shape["vocabulary"]
    kv = hidden // shape["heads"] * shape["kv_heads"]
    vision, vision_inner = shape["vision_hidden"], shape["vision_intermediate"]
    merged = vision * MERGE * MERGE
    yield "model.embed_tokens.weight", [vocabulary, hidden], "embeddings"
    for layer in range(shape["layers"]):
        at = f"model.layers.{layer}."
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{at}{name}.weight", [hidden], "ones"
        for name, size in (("q", hidden), ("k", kv), ("v", kv)):
            yield f"{at}self_attn.{name}_proj.weight", [size, hidden], "random"
            yield f"{at}self_attn.{name}_proj.bias", [size], "zeros"
        yield f"{at}self_attn.o_proj.weight", [hidden, hidden], "first row zero"
        yield f"{at}mlp.gate_proj.weight", [inner, hidden], "random"
        yield f"{at}mlp.up_proj.weight", [inner, hidden], "random"
        yield f"{at}mlp.down_proj.weight", [hidden, inner], "first row zero"
    yield "model.norm.weight", [hidden], "ones"
    yield "lm_head.weight", [vocabulary, hidden], "head"
    yield "visual.patch_embed.proj.weight", [vision, 3, TEMPORAL_PATCH, PATCH, PATCH], "random"
    for block in range(shape["vision_depth"]):
        at = f"visual.blocks.{block}."
        for name in ("norm1", "norm2"):
            yield f"{at}{name}.weight", [vision], "ones"
        for name, rows, columns in (
            ("attn.qkv", 3 * vision, vision),
            ("attn.proj", vision, vision),
            ("mlp.gate_proj", vision_inner, vision),
            ("mlp.up_proj", vision_inner, vision),
            ("mlp.down_proj", vision, vision_inner),
        ):
            yield f"{at}{name}.weight", [rows, columns], "random"
            yield f"{at}{name}.bias", [rows], "zeros"
    yield "visual.merger.ln_q.weight", [vision], "ones"
    yield "visual.merger.mlp.0.weight", [merged, merged], "random"
    yield "visual.merger.mlp.0.bias", [merged], "zeros"
    yield "visual.merger.mlp.2.weight", [hidden, merged], "first row zero"
    yield "visual.merger.mlp.2.bias", [hidden], "constant"


def parameters(shape):
    """The number of weights."""
    return sum(math.prod(size) for _, size, _ in tensors(shape))


def _data(size, kind, patterns, start):
    """The bytes of a tensor, in pieces."""
    count = math.prod(size)
    if kind in ("ones", "zeros"):
        yield bfloat16(1.0 if kind == "ones" else 0.0) * count
    elif kind == "constant":
        yield bfloat16(CONSTANT) + bytes(2 * (count - 1))
    elif kind in ("embeddings", "head"):
        width = 2 * size[1]
        data = bytearray().join(patterns[1 if kind == "embeddings" else size[1]].pieces(count, start))
        printable = [c == "\u0120" or "!" <= c <= "~" for c in alphabet()]
        printable += [False] * (size[0] - len(printable))
        for byte in range(2):
            if kind == "embeddings":
                data[byte::width] = bfloat16(CONSTANT)[byte : byte + 1] * size[0]
            else:
                values = [bfloat16(HEAD_BIAS if favoured else -HEAD_BIAS) for favoured in printable]
                data[byte::width] = bytes(value[byte] for value in values)
        yield data
    else:
        zeros = size[1] if kind == "first row zero" else 0
        yield bytes(2 * zeros)
        yield from patterns[math.prod(size[1:])].pieces(count - zeros, start)


def _write_shard(path, part, patterns):
    header, position = {}, 0
    for name, size, _, _ in part:
        end = position + 2 * math.prod(size)
        header[name] = {"dtype": "BF16", "shape": size, "data_offsets": [position, end]}
        position = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb", buffering=0) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, size, kind, start in part:
            for piece in _data(size, kind, patterns, start):
                view = memoryview(piece)
                while view:
                    # A write returns after at most 2 GiB.
                    view = view[file.write(view) :]


def write(folder, shape):
    """Writes a model; returns its size in bytes."""
    folder.mkdir(parents=True)
    starts = itertools.accumulate(math.prod(size) for _, size, _ in tensors(shape))
    parts, count = [[] for _ in range(shape["shards"])], parameters(shape)
    for (name, size, kind), end in zip(tensors(shape), starts, strict=True):
        parts[min((end - 1) * len(parts) // count, len(parts) - 1)].append((name, size, kind, end))
    inputs = {math.prod(size[1:]) for _, size, kind in tensors(shape) if len(size) > 1} | {1}
    patterns = {size: Pattern(size) for size in inputs}
    names = [f"model-{n:05}-of-{len(parts):05}.safetensors" for n in range(1, len(parts) + 1)]
    if len(parts) == 1:
        names = ["model.safetensors"]
    with ThreadPoolExecutor(len(parts)) as pool:
        list(pool.map(lambda name, part: _write_shard(folder / name, part, patterns), names, parts))
    if len(parts) > 1:
        places = {tensor[0]: name for name, part in zip(names, parts, strict=True) for tensor in part}
        index = {"metadata": {"total_size": 2 * count}, "weight_map": places}
        write_json(folder, "model.safetensors.index.json", index)
    write_settings(folder, shape)
    return sum(file.stat().st_size for file in folder.iterdir())
