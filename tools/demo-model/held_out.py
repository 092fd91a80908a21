"""Pictures and questions that training never uses: their seeds start with another word."""

import io
import random as randomness

from PIL import Image

import questions
from scene import draw_scene

TASKS = ["colour", "shape", "count", "label", "click", "absent", "other"]
SIZES = [(140, 112), (168, 140), (196, 112), (224, 168)]


def questions_of(task, number, step=1):
    """Pairs of a scene and a question about it, each with a picture of its own."""
    pairs, index = [], 0
    while len(pairs) < number:
        random = randomness.Random(f"held-out:{task}:{index}")
        index += 1
        scene = draw_scene(random, *random.choice(SIZES), step)
        question = questions.ask_one(random, scene, task)
        if question:
            pairs.append((scene, question))
    return pairs


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).quantize(256, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()


def is_right(question, answer):
    """Whether an answer is right; a click is right if it is inside its target."""
    if question.task != "click":
        return answer == question.answer
    numbers = answer.removeprefix("Click(").removesuffix(")").split(", ")
    if not all(number.isdigit() for number in numbers) or len(numbers) != 2:
        return False
    return question.target.has(*map(int, numbers))
