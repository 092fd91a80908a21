"""The training loss."""

import jax
import jax.numpy as jnp
import numpy as np

import model
import tokenizer
import words

EXTRA_WEIGHT = 0.5
TEXT_WEIGHT = 0.1


def _targets():
    """The target distribution of each token: a place shares some of it with its neighbours."""
    targets = np.eye(tokenizer.SIZE, dtype=np.float32)
    for prefix in ("", " "):
        places = range(words.BIN // 2, words.MAX_WIDTH, words.BIN)
        ids = [tokenizer.encode(f"{prefix}{place}") for place in places]
        assert all(len(i) == 1 for i in ids)
        ids = [i[0] for i in ids]
        for at, token in enumerate(ids):
            distance = np.arange(len(ids)) - at
            share = np.exp(-0.5 * (distance / 0.5) ** 2)
            targets[token] = 0
            targets[token, ids] = share / share.sum()
    return targets


TARGETS = _targets()


def _cross_entropy(logits, target, weight):
    logp = jax.nn.log_softmax(logits)
    loss = -jnp.take_along_axis(logp, target[..., None], -1)[..., 0]
    return (loss * weight).sum() / jnp.maximum(weight.sum(), 1)


def _accuracy(logits, target, weight):
    return ((logits.argmax(-1) == target) * weight).sum() / jnp.maximum(weight.sum(), 1)


def _answers(p, final, answers):
    places = answers[:, 0].astype(jnp.int32)
    tokens = answers[:, 1].astype(jnp.int32)
    hidden = jnp.take_along_axis(final, places[..., None], 1)
    logits = hidden @ p["lm_head.weight"].T
    logp = jax.nn.log_softmax(logits)
    loss = -(jnp.asarray(TARGETS)[tokens] * logp).sum(-1)
    weight = answers[:, 2]
    return (loss * weight).sum() / weight.sum(), logits.argmax(-1)


def shown_loss(extra, place, hidden, shown):
    """The loss of the heads that name what a patch or cell shows; background counts less."""
    weight = jnp.where(shown[:, 0] > 0, 1.0, 0.1)
    loss, accuracy = 0.0, {}
    for i, name in enumerate(model.SHOWN_HEADS):
        logits = hidden @ extra[f"{place}.{name}"].T
        loss += _cross_entropy(logits, shown[:, i], weight)
        accuracy[f"{place}.{name}"] = _accuracy(logits, shown[:, i], shown[:, i] > 0)
    return loss, accuracy


def vision_loss(p, extra, data, columns, rows):
    """The loss of the vision tower by itself."""
    states, cells = model.see(p, data["patches"], columns, rows)
    loss, accuracy = shown_loss(extra, "patch", states, data["shown"])
    centres = data["centres"]
    cell_loss, cell_accuracy = shown_loss(extra, "cell", cells, centres[:, :3])
    is_centre = centres[:, 0] > 0
    for i, name in enumerate(("dx", "dy")):
        logits = cells @ extra[f"cell.{name}"].T
        cell_loss += 0.5 * _cross_entropy(logits, centres[:, 3 + i], is_centre * 1.0)
        cell_accuracy[f"cell.{name}"] = _accuracy(logits, centres[:, 3 + i], is_centre)
    return loss + cell_loss, accuracy | cell_accuracy, cells


def place_loss(extra, places, picture, centres, columns, rows):
    """The loss of the heads that read absolute places from the text model."""
    count = columns * rows
    first = (picture == 0).argmax(1)
    at = first[:, None] + np.arange(count)
    hidden = jnp.take_along_axis(places, at[..., None], 1)
    row, column = np.divmod(np.arange(count), columns)
    loss, accuracy = shown_loss(extra, "text", hidden, centres[:, :3])
    is_centre = (centres[:, 0] > 0) * 1.0
    everywhere = jnp.ones_like(is_centre)
    bins = model.PATCH * model.MERGE // words.BIN
    for name, target, weight in [
        ("x", column * bins + centres[:, 3], is_centre),
        ("y", row * bins + centres[:, 4], is_centre),
        ("ordinal", centres[:, 5], 2 * is_centre),
        ("column", jnp.broadcast_to(column, is_centre.shape), everywhere),
        ("row", jnp.broadcast_to(row, is_centre.shape), everywhere),
    ]:
        logits = hidden @ extra[f"text.{name}"].T
        loss += 0.5 * _cross_entropy(logits, target, weight)
        accuracy[f"text.{name}"] = _accuracy(logits, target, weight)
    return loss, accuracy


def _heads(weights):
    """The heads for training among the weights."""
    prefix = "extra."
    return {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}


def of_vision(p, data, text, columns, rows):
    """The loss of the vision tower by itself, and the accuracy of its heads."""
    loss, accuracy, _ = vision_loss(p, _heads(p), data, columns, rows)
    return loss, accuracy


def predict(p, data, columns, rows):
    """The answer tokens that the model predicts, with the earlier ones of each answer given."""
    return _whole(p, data, columns, rows)[2]


def of_everything(p, data, text, columns, rows):
    """The loss of the whole model, and the accuracy of the heads for training."""
    loss, accuracy, _ = _whole(p, data, columns, rows)
    if text is not None:
        loss += TEXT_WEIGHT * text_loss(p, text)
    return loss, accuracy


def _whole(p, data, columns, rows):
    extra = _heads(p)
    vision, accuracy, cells = vision_loss(p, extra, data, columns, rows)
    x = model.embed(p, data["ids"], data["picture"], cells)
    mask = model.text_mask(data["segments"], data["chained"])
    places, final = model.think(p, x, data["positions"], mask)
    place, place_accuracy = place_loss(
        extra, places, data["picture"], data["centres"], columns, rows
    )
    answer, predicted = _answers(p, final, data["answers"])
    loss = answer + EXTRA_WEIGHT * (vision + place)
    return loss, accuracy | place_accuracy | {"answer_loss": answer}, predicted


def text_loss(p, data):
    """The loss of chats without a picture."""
    mask = model.text_mask(data["segments"], None)
    x = model.embed(p, data["ids"], None, None)
    _, final = model.think(p, x, data["positions"], mask)
    return _answers(p, final, data["answers"])[0]
