"""The words that the model knows."""

BUTTONS = (
    "OK Save Open Close Send Next Back Help Edit Copy "
    "Print Login Search Submit Cancel Delete Share Apply Reset Start "
    "Yes No Add Undo Done Exit Stop Play Upload Reload"
).split()
FIELDS = "Name Mail City User Date".split()
SHAPES = "circle square triangle star".split()
ICONS = "menu home heart plus".split()

# Named colours, as red, green and blue.
COLOURS = {
    "red": (215, 40, 40),
    "orange": (245, 140, 25),
    "yellow": (245, 220, 50),
    "green": (40, 160, 70),
    "blue": (45, 95, 220),
    "purple": (135, 60, 185),
    "pink": (250, 140, 190),
    "brown": (125, 80, 45),
}
# Colours of buttons only: shapes of these colours would vanish on some backgrounds.
NEUTRAL = {"grey": (170, 170, 170), "white": (250, 250, 250)}

PLURALS = {
    "circle": "circles",
    "square": "squares",
    "triangle": "triangles",
    "star": "stars",
    "button": "buttons",
}

ABSENT = "I do not see it."
UNKNOWN = "I am a tiny demo: ask me about colours, shapes, labels, counts or clicks."

# Places in answers are centres of squares of this side, in pixels.
BIN = 7
MAX_WIDTH, MAX_HEIGHT = 224, 224


def place(pixel):
    """The centre of the bin that a pixel is in."""
    return int(pixel) // BIN * BIN + BIN // 2


def answer(name):
    """A word as the model answers it."""
    return name[0].upper() + name[1:]
