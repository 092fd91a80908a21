"""Tests of the chat API with OpenAI's Python SDK."""

import base64
import struct
import time
import zlib

import openai
import pytest

HELLO = [{"role": "user", "content": "hello"}]


def png(red, green, blue, side=56):
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


def image_url(data):
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}


def ask(client, messages=HELLO, **fields):
    fields = {"model": "demo", "max_tokens": 8, "temperature": 0} | fields
    return client.chat.completions.create(messages=messages, **fields)


def ask_about(client, part):
    content = [{"type": "text", "text": "What is this?"}, part]
    # Not greedy, because the tiny model's most likely tokens are often the same.
    fields = {"temperature": 1, "seed": 1, "max_tokens": 32}
    return ask(client, [{"role": "user", "content": content}], **fields)


def wait_for_slot(client):
    """Waits until a disconnected chat has released the slot."""
    end = time.monotonic() + 5
    while True:
        try:
            return ask(client)
        except openai.InternalServerError:
            assert time.monotonic() < end
            time.sleep(0.02)


def test_python_example_of_the_demo_runs(demo_text, capsys):
    text, _ = demo_text
    start = text.index("from openai import OpenAI")
    end = text.index("\nWithout the Authorization header")
    exec(text[start:end], {})
    assert len(capsys.readouterr().out) > 0


def test_returns_a_completion(client):
    answer = ask(client)
    assert answer.object == "chat.completion"
    assert answer.model == "demo"
    [choice] = answer.choices
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason == "length"
    usage = answer.usage
    assert usage.completion_tokens == 8
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_streams_the_same_completion_with_usage(client):
    whole = ask(client).choices[0].message.content
    options = {"include_usage": True}
    first, *middle, last, usage = ask(client, stream=True, stream_options=options)
    assert first.choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content for chunk in middle) == whole
    assert last.choices[0].finish_reason == "length"
    assert usage.choices == []
    assert usage.usage.completion_tokens == 8


def test_accepts_its_own_message_in_the_next_request(client):
    message = ask(client).choices[0].message
    ask(client, [*HELLO, message, {"role": "user", "content": "and then?"}])


def test_accepts_images_as_url_and_base64(client):
    red = ask_about(client, image_url(png(255, 0, 0)))
    inline = {"type": "image", "image": {"b64": png(255, 0, 0)}}
    blue = ask_about(client, image_url(png(0, 0, 255)))
    content = red.choices[0].message.content
    assert ask_about(client, inline).choices[0].message.content == content
    assert blue.choices[0].message.content != content
    assert red.usage.prompt_tokens > ask(client).usage.prompt_tokens


def test_streams_about_an_image(client):
    content = [image_url(png(0, 255, 0))]
    chunks = list(ask(client, [{"role": "user", "content": content}], stream=True))
    assert chunks[-1].choices[0].finish_reason == "length"


def test_a_seed_repeats_the_completion(client):
    first, second = (
        ask(client, temperature=1, top_p=0.9, seed=7, max_tokens=16) for _ in range(2)
    )
    assert first.choices[0].message.content == second.choices[0].message.content


def test_lists_its_models(client):
    assert [model.id for model in client.models.list()] == ["demo", "demo-upstream", "demo-embedding"]
    assert client.models.retrieve("demo").object == "model"


def test_a_disconnect_during_a_stream_frees_the_slot(server, client):
    stream = ask(client, stream=True, max_tokens=8_000)
    next(stream)
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client)
    assert caught.value.code == "QUEUE_FULL"
    assert int(caught.value.response.headers["retry-after"]) >= 1

    request_id = stream.response.headers["x-request-id"]
    stream.close()
    # The log records the disconnect.
    line = server.process.wait_for(rf'.*request_id="{request_id}".*', seconds=5)[0]
    assert 'outcome="client_left"' in line
    wait_for_slot(client)
