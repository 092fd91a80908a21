"""Draws the picture that the demo shows: an ordinary one, from a seed that training never uses.

python example.py PICTURE.png
"""

import random
import sys

from PIL import Image

from scene import draw_scene

SEED = "example:12032"


def main():
    scene = draw_scene(random.Random(SEED), 140, 112, step=1)
    picture = Image.fromarray(scene.pixels)
    picture.quantize(64, dither=Image.Dither.NONE).save(sys.argv[1], optimize=True)
    for thing in scene.things:
        print(thing)


if __name__ == "__main__":
    main()
