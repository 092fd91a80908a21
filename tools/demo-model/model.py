"""The architecture: Qwen2.5-VL as mistral.rs and transformers read it, with small dimensions.

Parameters are kept under the names and in the shapes of published checkpoints.
"""

import jax
import jax.numpy as jnp
import numpy as np

import tokenizer

VISION = {"depth": 3, "hidden": 128, "inner": 256, "heads": 4}
TEXT = {"layers": 4, "hidden": 128, "inner": 256, "heads": 4, "kv_heads": 2}
PATCH, MERGE = 14, 2
ROPE_THETA = 100.0
# Time, height and width share half a head's dimensions in turns, so that each of them has high and
# low frequencies.
SECTIONS = [1, 1, 1] * 5 + [1]
EPSILON = 1e-6
# After this layer of the text model, extra heads read the places of things during training.
PLACE_LAYER = 1

# The outputs of the extra heads; the exported model has none of them.
SHOWN_HEADS = {"kind": 11, "colour": 11, "word": 36}
PLACE_HEADS = {"x": 32, "y": 32, "column": 8, "row": 8, "ordinal": 8}


def _shapes():
    v, t = VISION, TEXT
    merged = v["hidden"] * MERGE * MERGE
    head = t["hidden"] // t["heads"]
    shapes = {"visual.patch_embed.proj.weight": (v["hidden"], 3, 2, PATCH, PATCH)}
    for i in range(v["depth"]):
        block = f"visual.blocks.{i}."
        shapes[block + "norm1.weight"] = shapes[block + "norm2.weight"] = (v["hidden"],)
        for name, outputs, inputs in [
            ("attn.qkv", 3 * v["hidden"], v["hidden"]),
            ("attn.proj", v["hidden"], v["hidden"]),
            ("mlp.gate_proj", v["inner"], v["hidden"]),
            ("mlp.up_proj", v["inner"], v["hidden"]),
            ("mlp.down_proj", v["hidden"], v["inner"]),
        ]:
            shapes[f"{block}{name}.weight"] = (outputs, inputs)
            shapes[f"{block}{name}.bias"] = (outputs,)
    shapes["visual.merger.ln_q.weight"] = (v["hidden"],)
    for name, outputs in [("0", merged), ("2", t["hidden"])]:
        shapes[f"visual.merger.mlp.{name}.weight"] = (outputs, merged)
        shapes[f"visual.merger.mlp.{name}.bias"] = (outputs,)
    shapes["model.embed_tokens.weight"] = (tokenizer.SIZE, t["hidden"])
    for i in range(t["layers"]):
        layer = f"model.layers.{i}."
        for name in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"{layer}{name}.weight"] = (t["hidden"],)
        for name, outputs in [
            ("q_proj", head * t["heads"]),
            ("k_proj", head * t["kv_heads"]),
            ("v_proj", head * t["kv_heads"]),
        ]:
            shapes[f"{layer}self_attn.{name}.weight"] = (outputs, t["hidden"])
            shapes[f"{layer}self_attn.{name}.bias"] = (outputs,)
        shapes[layer + "self_attn.o_proj.weight"] = (t["hidden"], head * t["heads"])
        shapes[layer + "mlp.gate_proj.weight"] = (t["inner"], t["hidden"])
        shapes[layer + "mlp.up_proj.weight"] = (t["inner"], t["hidden"])
        shapes[layer + "mlp.down_proj.weight"] = (t["hidden"], t["inner"])
    shapes["model.norm.weight"] = (t["hidden"],)
    shapes["lm_head.weight"] = (tokenizer.SIZE, t["hidden"])
    return shapes


def random_parameters(seed):
    random = np.random.default_rng(seed)
    parameters = {}
    depth = {"visual": VISION["depth"], "model": TEXT["layers"]}
    for name, shape in _shapes().items():
        if name.endswith("bias"):
            value = np.zeros(shape)
        elif "norm" in name or "ln_q" in name:
            value = np.ones(shape)
        elif "embed_tokens" in name:
            value = random.normal(0, 0.5, shape)
        elif "lm_head" in name:
            value = random.normal(0, 0.02, shape)
        else:
            scale = np.prod(shape[1:]) ** -0.5
            if name.endswith(("attn.proj.weight", "o_proj.weight", "down_proj.weight")):
                scale /= (2 * depth[name.split(".")[0]]) ** 0.5
            value = random.normal(0, scale, shape)
        parameters[name] = value.astype(np.float32)
    return parameters


def random_extra_heads(seed):
    random = np.random.default_rng(seed)
    heads = {}
    for place, hidden in [("patch", VISION["hidden"]), ("cell", TEXT["hidden"])]:
        for name, size in SHOWN_HEADS.items():
            heads[f"{place}.{name}"] = random.normal(0, 0.02, (size, hidden))
    for name, size in {"dx": 4, "dy": 4}.items():
        heads[f"cell.{name}"] = random.normal(0, 0.02, (size, TEXT["hidden"]))
    for name, size in (SHOWN_HEADS | PLACE_HEADS).items():
        heads[f"text.{name}"] = random.normal(0, 0.02, (size, TEXT["hidden"]))
    return {name: value.astype(np.float32) for name, value in heads.items()}


def _norm(x, weight):
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + EPSILON) * weight


def _linear(p, name, x):
    y = x @ p[f"{name}.weight"].T
    bias = p.get(f"{name}.bias")
    return y if bias is None else y + bias


def _mlp(p, name, x):
    gate = jax.nn.silu(_linear(p, f"{name}.gate_proj", x))
    return _linear(p, f"{name}.down_proj", gate * _linear(p, f"{name}.up_proj", x))


def _rotate(x, cos, sin):
    """Rotates heads of `[batch, length, heads, size]`; cos and sin are `[.., length, size / 2]`."""
    a, b = jnp.split(x, 2, -1)
    cos, sin = cos[..., None, :], sin[..., None, :]
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


def _attend(q, k, v, mask):
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) * q.shape[-1] ** -0.5
    if mask is not None:
        scores = jnp.where(mask[:, None], scores, -1e9)
    return jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v)


def _vision_angles(columns, rows):
    size = VISION["hidden"] // VISION["heads"] // 2
    frequencies = 10_000.0 ** (-np.arange(0, size, 2) / size)
    y, x = np.meshgrid(np.arange(rows * MERGE), np.arange(columns * MERGE), indexing="ij")
    angles = np.stack([y, x], -1)[..., None] * frequencies
    angles = angles.reshape(rows, MERGE, columns, MERGE, -1).transpose(0, 2, 1, 3, 4)
    return angles.reshape(rows * columns * MERGE * MERGE, -1).astype(np.float32)


def see(p, pictures, columns, rows):
    """The hidden states of patches, and the embeddings of cells, of pictures of bytes."""
    pixels = pictures.astype(jnp.float32) / 127.5 - 1
    # A still picture is shown twice, so that the weights of the two frames add up.
    weight = p["visual.patch_embed.proj.weight"].sum(2).reshape(VISION["hidden"], -1)
    x = pixels @ weight.T
    angles = _vision_angles(columns, rows)
    cos, sin = np.cos(angles), np.sin(angles)
    batch, length, hidden = x.shape
    for i in range(VISION["depth"]):
        block = f"visual.blocks.{i}."
        qkv = _linear(p, block + "attn.qkv", _norm(x, p[block + "norm1.weight"]))
        qkv = qkv.reshape(batch, length, 3, VISION["heads"], -1)
        q, k = (_rotate(qkv[:, :, j], cos, sin) for j in (0, 1))
        y = _attend(q, k, qkv[:, :, 2], None).reshape(batch, length, hidden)
        x = x + _linear(p, block + "attn.proj", y)
        x = x + _mlp(p, block + "mlp", _norm(x, p[block + "norm2.weight"]))
    merged = _norm(x, p["visual.merger.ln_q.weight"]).reshape(batch, columns * rows, -1)
    merged = jax.nn.gelu(_linear(p, "visual.merger.mlp.0", merged), approximate=True)
    return x, _linear(p, "visual.merger.mlp.2", merged)


def text_mask(segments, chained):
    """Which token attends to which: the earlier ones of its own question and of the beginning."""
    length = segments.shape[1]
    asks, answers = segments[:, :, None], segments[:, None, :]
    earlier = np.tril(np.ones((length, length), bool))
    same = (answers == 0) | (answers == asks)
    if chained is not None:
        same |= chained[:, None, None]
    return earlier & same & (answers >= 0) | np.eye(length, dtype=bool)


def think(p, embeddings, positions, mask):
    """The hidden states after `PLACE_LAYER`, and the final ones."""
    t = TEXT
    size = t["hidden"] // t["heads"]
    frequencies = ROPE_THETA ** (-np.arange(0, size, 2, dtype=np.float32) / size)
    axis = np.concatenate([[i % 3] * n for i, n in enumerate(SECTIONS)])
    angles = jnp.take(positions, axis, axis=1).transpose(0, 2, 1) * frequencies
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    x = embeddings
    batch, length, hidden = x.shape
    for i in range(t["layers"]):
        layer = f"model.layers.{i}."
        y = _norm(x, p[layer + "input_layernorm.weight"])
        q, k, v = (
            _linear(p, f"{layer}self_attn.{name}_proj", y).reshape(batch, length, -1, size)
            for name in "qkv"
        )
        q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
        k, v = (jnp.repeat(y, t["heads"] // t["kv_heads"], 2) for y in (k, v))
        y = _attend(q, k, v, mask).reshape(batch, length, hidden)
        x = x + _linear(p, layer + "self_attn.o_proj", y)
        x = x + _mlp(p, layer + "mlp", _norm(x, p[layer + "post_attention_layernorm.weight"]))
        if i == PLACE_LAYER:
            places = x
    return places, _norm(x, p["model.norm.weight"])


def embed(p, ids, picture, cells):
    """The embeddings of tokens, with the cells in the places of picture tokens."""
    x = p["model.embed_tokens.weight"][ids]
    if picture is None:
        return x
    seen = jnp.take_along_axis(cells, jnp.maximum(picture, 0)[..., None], 1)
    return jnp.where((picture >= 0)[..., None], seen, x)
