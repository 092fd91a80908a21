"""The accuracy on held-out pictures during training, with the earlier tokens of an answer given.

`score.py` measures a running server, which is what counts.
"""

import functools

import jax

import batch
import loss
import tokenizer
import words

SEED, COUNT = 10_000_000, 32

_PLACES = {
    tokenizer.encode(f"{prefix}{x}")[0]: x
    for prefix in ("", " ")
    for x in range(words.BIN // 2, words.MAX_WIDTH, words.BIN)
}


def grid(cells):
    """The columns and rows of a picture with this number of cells."""
    sizes = [(width // batch.CELL, height // batch.CELL) for width, height in batch.SIZES]
    return next((columns, rows) for columns, rows in sizes if columns * rows == cells)


@functools.partial(jax.jit, static_argnums=(2, 3))
def _predict(weights, data, columns, rows):
    return loss.predict(weights, data, columns, rows)


@functools.cache
def _held_out():
    sizes = list(batch.SIZES) * 2
    return [batch.batch(SEED, number, COUNT, size, 1) for number, size in enumerate(sizes)]


def _count(answers, predicted, totals):
    for (_, tokens, _, tasks), guesses in zip(answers, predicted):
        for token, task, guess in zip(tokens.astype(int), tasks.astype(int), guesses):
            if task < 0:
                continue
            name = batch.TASKS[task]
            results = [(name, token == guess)]
            if name == "click":
                distance = abs(_PLACES.get(int(guess), 1000) - _PLACES[token])
                results.append(("near", distance <= words.BIN))
            for key, right in results:
                count = totals.setdefault(key, [0, 0])
                count[0] += int(right)
                count[1] += 1


def accuracy(weights):
    """The share of right tokens for each task; `near` are coordinates at most one bin off."""
    totals = {}
    for data in _held_out():
        predicted = _predict(weights, data, *grid(data["centres"].shape[2]))
        _count(data["answers"], jax.device_get(predicted), totals)
    return {name: round(right / count, 4) for name, (right, count) in sorted(totals.items())}
