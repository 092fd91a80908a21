"""Pictures as PNG files, with the standard library only."""

import base64
import random
import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def drawn(width, height, seed):
    """A picture of rectangles, which depends on the seed."""
    rng = random.Random(seed)
    rows = [bytearray(bytes((250, 250, 250)) * width) for _ in range(height)]
    for _ in range(40):
        left, top = rng.randrange(width), rng.randrange(height)
        right = min(width, left + rng.randrange(10, 300))
        bar = bytes(rng.randrange(256) for _ in range(3)) * (right - left)
        for row in rows[top : top + rng.randrange(10, 120)]:
            row[3 * left : 3 * right] = bar
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 1)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def variant(png, number):
    """A picture with a palette, in which one colour differs slightly for each number up to 255.

    The engine keeps the embeddings of pictures that it has seen, so that a picture that is sent
    again is answered sooner.
    """
    place = png.index(b"PLTE") - 4
    (length,) = struct.unpack(">I", png[place : place + 4])
    palette = bytearray(png[place + 8 : place + 8 + length])
    palette[-1] = (palette[-1] + number) % 256
    end = place + 12 + length
    return png[:place] + _chunk(b"PLTE", bytes(palette)) + png[end:]


def data_url(png):
    return "data:image/png;base64," + base64.b64encode(png).decode()
