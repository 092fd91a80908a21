"""Draws the held-out pictures and questions of the server's test, one below the other.

python fixture.py ../../reference-server/tests/it/demo_model
"""

import collections
import json
import pathlib
import random as randomness
import sys

import numpy as np

import held_out
import questions
from scene import draw_scene

PICTURES, QUESTIONS = 36, 4


def main():
    directory = pathlib.Path(sys.argv[1])
    sheet, entries, top = [], [], 0
    tasks = collections.Counter()
    for index in range(PICTURES):
        random = randomness.Random(f"fixture:{index}")
        scene = draw_scene(random, *random.choice(held_out.SIZES), step=1)
        height, width, _ = scene.pixels.shape
        sheet.append(np.pad(scene.pixels, ((0, 0), (0, 224 - width), (0, 0))))
        asked = []
        candidates = questions.ask(random, scene, 4 * QUESTIONS)
        for _ in range(min(QUESTIONS, len(candidates))):
            # The task with the fewest questions.
            question = min(candidates, key=lambda candidate: tasks[candidate.task])
            candidates.remove(question)
            tasks[question.task] += 1
            entry = {"task": question.task, "text": question.text, "answer": question.answer}
            if question.target:
                entry["target"] = question.target.box
            asked.append(entry)
        entries.append({"top": top, "width": width, "height": height, "questions": asked})
        top += height
    directory.mkdir(exist_ok=True)
    (directory / "pictures.png").write_bytes(held_out.png(np.concatenate(sheet)))
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    (directory / "questions.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
