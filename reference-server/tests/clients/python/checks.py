"""Values and checks that the suites share."""

import base64
import json
import re
import struct
import time
import urllib.request
import zlib
from typing import Literal

from pydantic import BaseModel, ConfigDict

HELLO = [{"role": "user", "content": "hello"}]
# A name that no library derives from the type of the arguments.
TOOL = "get_weather"


class Weather(BaseModel):
    """The weather in a city."""

    model_config = ConfigDict(extra="forbid")

    city: Literal["Paris", "Rome"]
    sunny: bool


def png(red=255, green=0, blue=0, side=56):
    """A PNG of one colour, in base64."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    row = b"\0" + bytes([red, green, blue]) * side
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(row * side))
        + chunk(b"IEND", b"")
    )
    return base64.b64encode(data).decode()


def data_url():
    return f"data:image/png;base64,{png()}"


def check_usage(prompt, completion, total=None):
    assert prompt > 0 and completion > 0
    assert total is None or total == prompt + completion


def check_vector(vector):
    """Checks that an embedding has the length 1."""
    assert abs(sum(number * number for number in vector) - 1) < 1e-3


def check_error(error, status, code):
    """Checks an error of OpenAI's SDK."""
    assert error.status_code == status
    assert error.code == code
    assert error.response.headers["x-request-id"]


def running_chats(target):
    request = urllib.request.Request(
        target.metrics_url, headers={"authorization": f"Bearer {target.key}"}
    )
    with urllib.request.urlopen(request, timeout=5) as response:
        text = response.read().decode()
    values = re.findall(r"^stockade_model_running_chats(?:\{.*\})? (\S+)$", text, re.M)
    assert values, text
    return sum(map(float, values))


def wait_for_running_chats(target, number, seconds=5):
    end = time.monotonic() + seconds
    while (running := running_chats(target)) != number:
        assert time.monotonic() < end, f"{running} chats instead of {number}"
        time.sleep(0.02)


def exhaust(send, error, attempts=3):
    """Sends requests with the limited key until one is refused, and returns its error."""
    for _ in range(attempts):
        try:
            send()
        except error as caught:
            return caught
    raise AssertionError("no request was refused")


def validate(arguments):
    """Validates the JSON of a tool call or a structured answer."""
    return Weather.model_validate(json.loads(arguments), strict=True)
