"""Draws on a picture, an array of height × width × 3 bytes."""

import functools

import numpy as np

import font

SUPERSAMPLING = 3


def rectangle(picture, x0, y0, x1, y1, colour):
    picture[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = colour


def frame(picture, x0, y0, x1, y1, colour):
    rectangle(picture, x0, y0, x1, y0 + 1, colour)
    rectangle(picture, x0, y1 - 1, x1, y1, colour)
    rectangle(picture, x0, y0, x0 + 1, y1, colour)
    rectangle(picture, x1 - 1, y0, x1, y1, colour)


def stamp(picture, x0, y0, mask, colour):
    """Paints a colour through a mask: of booleans, or of opacities between 0 and 1."""
    height, width = mask.shape
    area = picture[y0 : y0 + height, x0 : x0 + width]
    if mask.dtype == bool:
        area[mask] = colour
    else:
        opacity = mask[..., None]
        area[:] = (area * (1 - opacity) + np.asarray(colour) * opacity + 0.5).astype(np.uint8)


@functools.cache
def word(text):
    return font.mask(text)


def _smooth(inside, side):
    """A mask with soft edges of a shape that is given as a function of coordinates in -1..1."""
    n = side * SUPERSAMPLING
    axis = (np.arange(n) + 0.5) / n * 2 - 1
    x, y = np.meshgrid(axis, axis)
    fine = inside(x, y).astype(np.float32)
    return fine.reshape(side, SUPERSAMPLING, side, SUPERSAMPLING).mean((1, 3))


def _star(x, y):
    # The angle from the nearest point; the edge is a line from the point to the nearest notch.
    half = np.pi / 5
    angle = np.abs((np.arctan2(x, -y) + half) % (2 * half) - half)
    notch = 0.42
    edge = notch * np.sin(half) / (notch * np.sin(angle) + np.sin(half - angle))
    return np.hypot(x, y) < edge


def _heart(x, y):
    y = -y * 1.15 + 0.1
    x = x * 1.15
    return (x * x + y * y - 0.75) ** 3 < 1.4 * x * x * y * y * y


def _home(x, y):
    roof = (y < 0) & (np.abs(x) < y + 1)
    door = (np.abs(x) < 0.22) & (y > 0.3)
    return roof | ((y >= 0) & (np.abs(x) < 0.65) & ~door)


def _plus(x, y):
    x, y = np.abs(x), np.abs(y)
    return (np.minimum(x, y) < 0.24) & (np.maximum(x, y) < 0.95)


def _menu(x, y):
    return (np.abs(x) < 0.9) & (np.abs((y * 1.5) % 1 - 0.5) < 0.22)


_SHAPES = {
    "circle": lambda x, y: np.hypot(x, y) < 1,
    "square": lambda x, y: np.maximum(np.abs(x), np.abs(y)) < 0.88,
    "triangle": lambda x, y: (y < 0.9) & (np.abs(x) < (y + 1) / 2 * 1.05),
    "star": _star,
    "menu": _menu,
    "home": _home,
    "heart": _heart,
    "plus": _plus,
}


@functools.cache
def shape(name, side):
    return _smooth(_SHAPES[name], side)
