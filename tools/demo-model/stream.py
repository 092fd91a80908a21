"""Draws batches in another process, while the trainer learns from earlier ones."""

import dataclasses
import multiprocessing

SEED = 1
COUNT, TEXTS = 32, 8


@dataclasses.dataclass
class Curriculum:
    """What is drawn, by the number of the batch since the start."""

    vision: int  # small pictures until then, for the vision tower alone
    coarse: int  # on a grid of 14 pixels until then
    fine: int  # on a grid of 7 pixels until then, and of 1 pixel afterwards

    def grid(self, number):
        if number < self.coarse:
            return 14
        return 7 if number < self.fine else 1


def _draw(queue, start, curriculum):
    # The trainer's process sets JAX up by itself.
    import batch

    number = 0
    while True:
        index = start + number
        small = list(batch.SIZES)[index % 5 // 4 * 2]
        size = small if number < curriculum.vision else None
        data = batch.batch(SEED, index, COUNT, size, curriculum.grid(number))
        text = batch.text_batch(SEED, index, TEXTS) if index % 4 == 0 else None
        queue.put((index, data, text))
        number += 1


class Stream:
    def __init__(self, start, curriculum):
        context = multiprocessing.get_context("spawn")
        self.queue = context.Queue(6)
        self.worker = context.Process(
            target=_draw, args=(self.queue, start, curriculum), daemon=True
        )
        self.worker.start()

    def next(self):
        """The next batch: its index, the pictures, and sometimes chats without one."""
        return self.queue.get()

    def close(self):
        self.worker.kill()
