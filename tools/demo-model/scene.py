"""Random pictures: user interfaces and shapes, with the list of what is in them."""

import dataclasses

import numpy as np

import draw
import words

TEXT = 14


@dataclasses.dataclass
class Thing:
    kind: str  # button, field, or the name of a shape or icon
    box: tuple  # x0, y0, x1, y1
    colour: str | None = None
    word: str | None = None
    extent: tuple | None = None  # the box with the label of a field

    @property
    def centre(self):
        x0, y0, x1, y1 = self.box
        return (x0 + x1) // 2, (y0 + y1) // 2

    def has(self, x, y):
        x0, y0, x1, y1 = self.box
        return x0 <= x < x1 and y0 <= y < y1


@dataclasses.dataclass
class Scene:
    pixels: np.ndarray
    things: list


# Background, and whether it is dark.
BACKGROUNDS = [
    ((255, 255, 255), False),
    ((236, 238, 241), False),
    ((226, 236, 248), False),
    ((250, 244, 228), False),
    ((34, 40, 52), True),
    ((20, 28, 48), True),
]
TITLES = [(60, 110, 190), (70, 75, 85), (45, 130, 120), (190, 200, 215)]


def _jitter(random, colour, by=10):
    return tuple(min(255, max(0, c + random.randint(-by, by))) for c in colour)


def _is_light(colour):
    r, g, b = colour
    return 0.3 * r + 0.59 * g + 0.11 * b > 150


class _Page:
    """A picture in the making. Things keep a distance, and no two centres share a cell."""

    def __init__(self, random, width, height, step):
        self.random, self.width, self.height, self.step = random, width, height, step
        colour, self.dark = random.choice(BACKGROUNDS)
        self.pixels = np.empty((height, width, 3), np.uint8)
        self.pixels[:] = _jitter(random, colour, 5)
        self.ink = (235, 238, 242) if self.dark else (25, 28, 34)
        self.things, self.taken, self.cells = [], [], set()
        self.top = 0

    def title(self):
        self.top = 14
        draw.rectangle(
            self.pixels, 0, 0, self.width, 14, _jitter(self.random, self.random.choice(TITLES))
        )
        for i in range(3):
            draw.stamp(
                self.pixels, self.width - 12 * (i + 1), 3, draw.shape("circle", 8), (240, 240, 240)
            )
        draw.frame(self.pixels, 0, 0, self.width, self.height, (120, 125, 135))

    def find(self, width, height, inset, target):
        """A free place for a box, whose content starts `inset` pixels inside, on the grid.

        `target` is the box of the part that is clicked, relative to the box.
        """
        random, step = self.random, self.step
        low_x, high_x = 2 + inset[0], self.width - width - 2 + inset[0]
        low_y, high_y = self.top + 2 + inset[1], self.height - height - 2 + inset[1]
        columns = range(-(-low_x // step), high_x // step + 1)
        rows = range(-(-low_y // step), high_y // step + 1)
        if not columns or not rows:
            return None
        for _ in range(12):
            x0 = random.choice(columns) * step - inset[0]
            y0 = random.choice(rows) * step - inset[1]
            x1, y1 = x0 + width, y0 + height
            cell = (
                (x0 + (target[0] + target[2]) // 2) // 28,
                (y0 + (target[1] + target[3]) // 2) // 28,
            )
            if cell in self.cells:
                continue
            if any(
                x0 < b[2] + 3 and b[0] < x1 + 3 and y0 < b[3] + 3 and b[1] < y1 + 3
                for b in self.taken
            ):
                continue
            self.cells.add(cell)
            self.taken.append((x0, y0, x1, y1))
            return x0, y0
        return None

    def button(self, word, colour):
        pad_x, pad_y = self.random.choice((6, 7, 10)), self.random.choice((6, 7))
        width, height = TEXT * len(word) + 2 * pad_x, TEXT + 2 * pad_y
        at = self.find(width, height, (pad_x, pad_y), (0, 0, width, height))
        if not at:
            return
        x0, y0 = at
        fill = _jitter(self.random, (words.COLOURS | words.NEUTRAL)[colour])
        light = _is_light(fill)
        draw.rectangle(self.pixels, x0, y0, x0 + width, y0 + height, fill)
        if colour == "white" or self.random.random() < 0.4:
            draw.frame(self.pixels, x0, y0, x0 + width, y0 + height, (100, 105, 115))
        ink = (20, 22, 28) if light else (250, 250, 250)
        draw.stamp(self.pixels, x0 + pad_x, y0 + pad_y, draw.word(word), ink)
        self.things.append(Thing("button", (x0, y0, x0 + width, y0 + height), colour, word))

    def field(self, word):
        label, box = TEXT * len(word), self.random.choice((42, 56, 70))
        width, height = label + 7 + box, 28
        at = self.find(width, height, (0, 7), (label + 7, 0, width, height))
        if not at:
            return
        x0, y0 = at
        draw.stamp(self.pixels, x0, y0 + 7, draw.word(word), self.ink)
        left = x0 + label + 7
        draw.rectangle(self.pixels, left, y0, x0 + width, y0 + height, (252, 252, 252))
        draw.frame(self.pixels, left, y0, x0 + width, y0 + height, (120, 125, 135))
        self.things.append(
            Thing(
                "field",
                (left, y0, x0 + width, y0 + height),
                None,
                word,
                (x0, y0, x0 + width, y0 + height),
            )
        )

    def shape(self, kind, colour):
        side = self.random.choice((24, 26, 28))
        at = self.find(side, side, (side // 2, side // 2), (0, 0, side, side))
        if at:
            fill = _jitter(self.random, words.COLOURS[colour])
            draw.stamp(self.pixels, *at, draw.shape(kind, side), fill)
            self.things.append(Thing(kind, (*at, at[0] + side, at[1] + side), colour))

    def icon(self, kind):
        at = self.find(24, 24, (12, 12), (0, 0, 24, 24))
        if at:
            draw.stamp(self.pixels, at[0] + 2, at[1] + 2, draw.shape(kind, 20), self.ink)
            self.things.append(Thing(kind, (*at, at[0] + 24, at[1] + 24)))


def draw_scene(random, width, height, step=7):
    """Draws a random picture; texts and centres lie on a grid of `step` pixels."""
    page = _Page(random, width, height, step)
    colours = list(words.COLOURS)
    if random.random() < 0.5:
        page.title()
    style = random.random()
    area = width * height
    if style < 0.62:
        # A user interface.
        buttons = random.choice((1, 1, 2, 2, 3, 4) if area < 30_000 else (1, 2, 3, 4, 5))
        fills = colours * 2 + list(words.NEUTRAL) * 3
        for word in random.sample(words.BUTTONS, buttons):
            page.button(word, random.choice(fills))
        for word in random.sample(words.FIELDS, random.choice((0, 0, 0, 1, 1, 2))):
            page.field(word)
        for kind in random.sample(words.ICONS, random.choice((0, 0, 1, 2))):
            page.icon(kind)
        for _ in range(random.choice((0, 0, 1, 1, 2))):
            page.shape(random.choice(words.SHAPES), random.choice(colours))
    else:
        # Shapes, some of them several times.
        kind = random.choice(words.SHAPES)
        for _ in range(random.randint(0, 5)):
            page.shape(kind, random.choice(colours))
        others = [s for s in words.SHAPES if s != kind]
        for other in random.sample(others, random.choice((1, 1, 2, 3))):
            for _ in range(random.choice((1, 1, 1, 2))):
                page.shape(other, random.choice(colours))
        if random.random() < 0.3:
            page.button(random.choice(words.BUTTONS), random.choice(colours))
    return Scene(page.pixels, page.things)
