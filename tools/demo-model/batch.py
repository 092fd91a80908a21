"""Packs pictures and questions into arrays.

A sequence is a prompt's beginning with the picture, then several questions with their answers. Each
of them attends to the beginning and to itself only, like the one question of a chat; in some
sequences it attends to the earlier ones too, as in a chat of several turns.
"""

import random as randomness

import numpy as np

import questions
import tokenizer
import words
from scene import draw_scene

PATCH, CELL = 14, 28
ROOM = 84  # tokens beyond those of the picture
ANSWERS = 40  # answer tokens in a sequence

# Sizes of pictures, and how often they occur.
SIZES = {(140, 112): 0.35, (168, 140): 0.3, (196, 112): 0.15, (224, 168): 0.2}

WORDS = {word: i + 1 for i, word in enumerate([*words.BUTTONS, *words.FIELDS])}
KINDS = {kind: i + 1 for i, kind in enumerate(["button", "field", *words.SHAPES, *words.ICONS])}
COLOURS = {colour: i + 1 for i, colour in enumerate([*words.COLOURS, *words.NEUTRAL])}
MAX_ORDINAL = 7
TASKS = ["colour", "shape", "count", "label", "click", "absent", "other"]

START = tokenizer.encode("<|im_start|>user\n<|vision_start|>")
SYSTEM = tokenizer.encode(f"<|im_start|>system\n{tokenizer.SYSTEM}<|im_end|>\n")
PICTURE_END = tokenizer.encode("<|vision_end|>")
ASK_END = tokenizer.encode("<|im_end|>\n<|im_start|>assistant\n")
NEXT = tokenizer.encode("\n<|im_start|>user\n")
IMAGE = tokenizer.control("<|image_pad|>")
END = tokenizer.control("<|im_end|>")


def patches(pixels):
    """The patches of a picture, in the order of the vision tower: by cells of 2 × 2 patches."""
    height, width, _ = pixels.shape
    grid = pixels.reshape(height // CELL, 2, PATCH, width // CELL, 2, PATCH, 3)
    return grid.transpose(0, 3, 1, 4, 6, 2, 5).reshape(-1, 3 * PATCH * PATCH)


def _cells_of_patches(grid):
    """Brings a grid of patches into the order of `patches`."""
    height, width = grid.shape
    return grid.reshape(height // 2, 2, width // 2, 2).transpose(0, 2, 1, 3).reshape(-1)


def labels(scene):
    """What each patch shows, and whose centre each cell has, for the extra supervision."""
    height, width, _ = scene.pixels.shape
    shown = np.zeros((3, height // PATCH, width // PATCH), np.int32)
    centres = np.zeros((6, height // CELL, width // CELL), np.int32)
    for thing in scene.things:
        what = (
            KINDS[thing.kind],
            COLOURS.get(thing.colour, 0),
            WORDS.get(thing.word, 0),
        )
        x0, y0, x1, y1 = ((v + PATCH // 2) // PATCH for v in thing.extent or thing.box)
        shown[:, y0:y1, x0:x1] = np.array(what)[:, None, None]
        x, y = thing.centre
        at = (y // CELL, x // CELL)
        centres[:5, *at] = (*what, x % CELL // words.BIN, y % CELL // words.BIN)
    # How many things of its kind there are up to a thing, in the order of the cells.
    for kind in range(1, len(KINDS) + 1):
        found = centres[0] == kind
        centres[5][found] = np.minimum(np.arange(found.sum()) + 1, MAX_ORDINAL)
    shown = np.stack([_cells_of_patches(grid) for grid in shown])
    return shown, centres.reshape(6, -1)


def _weights(task, tokens):
    """The weights of an answer's tokens in the loss: those that say something count most."""
    weights = [0.1] * len(tokens)
    weights[0] = 1.0
    if task == "click":
        weights[0] = 0.3
        weights[2] = weights[4] = 1.5
    if task == "count":
        weights[0] = 2.0
    if task == "other":
        weights[0] = 0.5
    return weights


class Sequence:
    """The arrays of one sequence."""

    def __init__(self, length):
        self.ids = np.zeros(length, np.int32)
        self.positions = np.zeros((3, length), np.int32)
        self.segments = np.full(length, -1, np.int32)
        self.picture = np.full(length, -1, np.int32)
        # The place, token, weight and task of each answer token; -1 is no task.
        self.answers = np.zeros((4, ANSWERS), np.float32)
        self.answers[3] = -1
        self.length = length
        self.used = self.answered = 0

    def add(self, tokens, start, segment):
        n = len(tokens)
        at = slice(self.used, self.used + n)
        self.ids[at] = tokens
        self.positions[:, at] = np.arange(start, start + n)
        self.segments[at] = segment
        self.used += n
        return start + n

    def add_picture(self, columns, rows, start):
        n = columns * rows
        at = slice(self.used, self.used + n)
        self.ids[at] = IMAGE
        self.positions[0, at] = start
        self.positions[1, at] = start + np.repeat(np.arange(rows), columns)
        self.positions[2, at] = start + np.tile(np.arange(columns), rows)
        self.segments[at] = 0
        self.picture[at] = np.arange(n)
        self.used += n
        return start + max(columns, rows)

    def add_question(self, question, start, segment, before, shift):
        """Adds a question; returns the next position, or `None` if there is no room."""
        ask = (*before, *tokenizer.encode(question.text), *ASK_END)
        answer = (*tokenizer.encode(question.answer), END)
        if self.used + len(ask) + len(answer) > self.length:
            return None
        if self.answered + len(answer) > ANSWERS:
            return None
        start = self.add(ask, start, segment)
        at = slice(self.answered, self.answered + len(answer))
        self.answers[0, at] = np.arange(self.used - 1, self.used - 1 + len(answer))
        self.answers[1, at] = answer
        weights = _weights(question.task, answer)
        self.answers[2, at] = weights
        task = TASKS.index(question.task)
        # Of a click, the two places count; of other answers, the first token.
        counted = (2, 4) if question.task == "click" else (0,)
        self.answers[3, at] = [task if i in counted else -1 for i in range(len(answer))]
        self.answered += len(answer)
        # The first answer token follows the prompt; mistral.rs skips a position after it.
        return self.add(answer, start + shift, segment)


def sample(random, size, step):
    width, height = size
    columns, rows = width // CELL, height // CELL
    scene = draw_scene(random, width, height, step)
    sequence = Sequence(columns * rows + ROOM)
    position = 0
    if random.random() < 0.3:
        position = sequence.add(SYSTEM, position, 0)
    position = sequence.add(START, position, 0)
    position = sequence.add_picture(columns, rows, position)
    position = sequence.add(PICTURE_END, position, 0)
    chained = random.random() < 0.2
    shift = int(not chained and random.random() < 0.75)
    for i, question in enumerate(questions.ask(random, scene, 9)):
        before = NEXT if chained and i > 0 else ()
        after = sequence.add_question(question, position, i + 1, before, shift)
        if after is None:
            break
        if chained:
            position = after
    shown, centres = labels(scene)
    return {
        "patches": patches(scene.pixels),
        "ids": sequence.ids,
        "positions": sequence.positions,
        "segments": sequence.segments,
        "picture": sequence.picture,
        "chained": np.bool_(chained),
        "answers": sequence.answers,
        "shown": shown,
        "centres": centres,
    }


def batch(seed, index, count, size=None, step=7):
    """A batch of pictures of one size; the same seed and index give the same batch."""
    random = randomness.Random(f"{seed}:{index}")
    chosen = random.choices(list(SIZES), list(SIZES.values()))[0]
    size = size or chosen
    samples = [sample(random, size, step) for _ in range(count)]
    return {name: np.stack([s[name] for s in samples]) for name in samples[0]}


def _text_about_a_picture(random):
    scene = draw_scene(random, 140, 112)
    asked = questions.ask(random, scene, 3)
    return asked[0].text if asked else questions.other_text(random)


def text_batch(seed, index, count, length=56):
    """A batch of chats without a picture."""
    random = randomness.Random(f"text:{seed}:{index}")
    sequences = []
    while len(sequences) < count:
        sequence = Sequence(length)
        position = 0
        if random.random() < 0.3:
            position = sequence.add(SYSTEM, position, 0)
        position = sequence.add(START[:-1], position, 0)
        text = (
            _text_about_a_picture(random) if random.random() < 0.3 else questions.other_text(random)
        )
        question = questions.Question("other", text, words.UNKNOWN)
        if sequence.add_question(question, position, 0, (), 0) is not None:
            sequences.append(sequence)
    return {
        "ids": np.stack([s.ids for s in sequences]),
        "positions": np.stack([s.positions for s in sequences]),
        "segments": np.stack([s.segments for s in sequences]),
        "answers": np.stack([s.answers for s in sequences]),
    }
