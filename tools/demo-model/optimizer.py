"""The optimiser: Muon for the matrices inside the model, Adam for everything else."""

import collections
import re

import jax.numpy as jnp

# The Newton-Schulz coefficients of Muon (Keller Jordan, 2024).
_A, _B, _C = 3.4445, -4.7750, 2.0315


def _is_inner(name, value):
    return value.ndim == 2 and re.search(r"blocks|layers|merger", name) is not None


def init(parameters):
    def zeros():
        return {name: jnp.zeros_like(value) for name, value in parameters.items()}

    return {"first": zeros(), "second": zeros(), "step": jnp.zeros((), jnp.int32)}


def _orthogonal(x):
    """The nearest orthogonal matrices, roughly, of a stack of matrices."""
    wide = x.shape[-2] > x.shape[-1]
    if wide:
        x = x.swapaxes(-1, -2)
    x = x / (jnp.linalg.norm(x, axis=(-2, -1), keepdims=True) + 1e-7)
    for _ in range(5):
        square = x @ x.swapaxes(-1, -2)
        x = _A * x + (_B * square + _C * square @ square) @ x
    return x.swapaxes(-1, -2) if wide else x


def update(parameters, gradients, state, rate, muon_rate=10.0, decay=0.01, clip=1.0):
    """One step; `rate` is Adam's learning rate, and Muon's is `muon_rate` times that."""
    norm = jnp.sqrt(sum(jnp.sum(g * g) for g in gradients.values()))
    scale = jnp.minimum(1.0, clip / (norm + 1e-6))
    step = state["step"] + 1
    first, second, result = {}, {}, {}
    stacks = collections.defaultdict(list)
    for name, value in parameters.items():
        g = gradients[name] * scale
        if _is_inner(name, value):
            first[name] = 0.95 * state["first"][name] + g
            second[name] = state["second"][name]
            stacks[value.shape].append((name, g + 0.95 * first[name]))
            continue
        first[name] = 0.9 * state["first"][name] + 0.1 * g
        second[name] = 0.98 * state["second"][name] + 0.02 * g * g
        mean = first[name] / (1 - 0.9**step)
        spread = jnp.sqrt(second[name] / (1 - 0.98**step)) + 1e-8
        keep = 1 - rate * decay if value.ndim > 1 else 1.0
        result[name] = value * keep - rate * mean / spread
    for (rows, columns), members in stacks.items():
        moved = _orthogonal(jnp.stack([g for _, g in members]))
        size = muon_rate * rate * max(1.0, rows / columns) ** 0.5
        for (name, _), direction in zip(members, moved):
            result[name] = parameters[name] * (1 - muon_rate * rate * decay) - size * direction
    return result, {"first": first, "second": second, "step": step}, norm
