"""Trains the model; every checkpoint can be exported and trained further.

    python train.py OUT --minutes 120 [--resume CHECKPOINT_OR_EXPORTED_MODEL.safetensors]

Writes OUT/last.safetensors, OUT/average.safetensors (a moving average of the weights, the one to
export) and OUT/log.jsonl, with the accuracy on held-out pictures.
"""

import argparse
import json
import pathlib
import time

from stream import Curriculum, Stream

AVERAGE_RATE = 0.002


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument(
        "--decay-minutes", type=float, default=15, help="the final decay of the rate"
    )
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--warm-steps", type=int, default=100)
    parser.add_argument("--vision-steps", type=int, default=0, help="for the vision tower alone")
    parser.add_argument("--coarse-steps", type=int, default=0, help="on a grid of 14 pixels")
    parser.add_argument(
        "--fine-steps", type=int, default=0, help="until then on a grid of 7 pixels"
    )
    parser.add_argument("--resume", type=pathlib.Path)
    parser.add_argument("--start", type=int, default=0, help="the index of the first batch")
    parser.add_argument("--every", type=float, default=200, help="seconds between checkpoints")
    return parser.parse_args()


def initial(resume):
    """Random weights and training heads, or those of a file; tensors of another shape are new."""
    from safetensors.numpy import load_file

    import model

    weights = model.random_parameters(0)
    weights |= {f"extra.{n}": w for n, w in model.random_extra_heads(0).items()}
    for name, value in load_file(resume).items() if resume else ():
        if weights[name].shape == value.shape:
            weights[name] = value.astype("float32")
        else:
            print(f"{name} has another shape and starts at random")
    return weights


def learner(objective):
    """A compiled step of training for an objective of weights, data and the picture's size."""
    import functools

    import jax

    import optimizer

    @functools.partial(jax.jit, static_argnums=(6, 7), donate_argnums=(0, 1, 2))
    def learn(weights, state, average, data, text, rate, columns, rows):
        def loss_of(weights):
            return objective(weights, data, text, columns, rows)

        (loss, accuracy), gradient = jax.value_and_grad(loss_of, has_aux=True)(weights)
        weights, state, norm = optimizer.update(weights, gradient, state, rate)
        average = {n: a + AVERAGE_RATE * (weights[n] - a) for n, a in average.items()}
        return weights, state, average, loss, accuracy, norm

    return learn


def save(path, weights):
    import jax
    from safetensors.numpy import save_file

    save_file({name: jax.device_get(value) for name, value in weights.items()}, path)


def main():
    arguments = parse()
    curriculum = Curriculum(arguments.vision_steps, arguments.coarse_steps, arguments.fine_steps)
    stream = Stream(arguments.start, curriculum)

    import jax
    import jax.numpy as jnp

    import evaluate
    import loss
    import optimizer

    arguments.out.mkdir(parents=True, exist_ok=True)
    weights = jax.tree.map(jnp.asarray, initial(arguments.resume))
    average = jax.tree.map(jnp.copy, weights)
    state = optimizer.init(weights)
    learn_to_see, learn_all = learner(loss.of_vision), learner(loss.of_everything)
    log = (arguments.out / "log.jsonl").open("a")
    began = saved = time.monotonic()
    seconds, step, losses = arguments.minutes * 60, 0, []
    while True:
        index, data, text = stream.next()
        count, cells = data["centres"].shape[0], data["centres"].shape[2]
        left = seconds - (time.monotonic() - began)
        decay = min(1.0, max(0.02, left / (arguments.decay_minutes * 60)))
        rate = arguments.rate * min(1.0, (step + 1) / arguments.warm_steps) * decay
        if step < arguments.vision_steps:
            learn, text = learn_to_see, None
            data = {name: data[name] for name in ("patches", "shown", "centres")}
        else:
            learn = learn_all
        weights, state, average, value, accuracy, norm = learn(
            weights, state, average, data, text, rate, *evaluate.grid(cells)
        )
        step += 1
        losses.append(value)
        if step % 100 == 0:
            shown = {name: round(float(share), 3) for name, share in accuracy.items()}
            mean = float(sum(losses) / len(losses))
            losses.clear()
            speed = step * count / (time.monotonic() - began)
            print(f"{step}: {speed:.0f} pictures/s, loss {mean:.3f}, norm {norm:.1f}, {shown}")
        if left > 0 and time.monotonic() - saved < arguments.every:
            continue
        saved = time.monotonic()
        save(arguments.out / "last.safetensors", weights)
        save(arguments.out / "average.safetensors", average)
        entry = {"step": step, "batch": index, "seconds": round(saved - began), "rate": rate}
        if step > arguments.vision_steps:
            entry |= evaluate.accuracy(average)
        print(json.dumps(entry), flush=True)
        log.write(json.dumps(entry) + "\n")
        log.flush()
        if left <= 0:
            break
    stream.close()


if __name__ == "__main__":
    main()
