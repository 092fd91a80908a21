"""Responses against the schemas of OpenAI and Anthropic.

The schemas are the types of their SDKs, which are generated from the published specifications.
Validation is strict: no type is converted, required fields must be present, and fields that the
types do not have are errors.
"""

import json

import httpx
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from openai.types import Completion, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel, TypeAdapter

from checks import HELLO

CHAT = {"messages": HELLO, "max_tokens": 4}
PROMPT = {"prompt": "hello", "max_tokens": 4}
MESSAGE = {"messages": HELLO, "max_tokens": 4}
STREAM = {"stream": True}
# The end of OpenAI's streams, and the keep-alive of Anthropic's.
NO_EVENTS = ["[DONE]", '{"type":"ping"}']
USAGE = {"stream_options": {"include_usage": True}}
LOGPROBS = {"logprobs": True, "top_logprobs": 2}

ROWS = {
    "chat": ("chat/completions", CHAT, ChatCompletion),
    "chat, n": ("chat/completions", CHAT | {"n": 2}, ChatCompletion),
    "chat, logprobs": ("chat/completions", CHAT | LOGPROBS, ChatCompletion),
    "chat, stream": ("chat/completions", CHAT | STREAM | USAGE, ChatCompletionChunk),
    "chat, streamed logprobs": ("chat/completions", CHAT | STREAM | LOGPROBS, ChatCompletionChunk),
    "completion": ("completions", PROMPT, Completion),
    "message": ("messages", MESSAGE, Message),
    "message, stream": ("messages", MESSAGE | STREAM, RawMessageStreamEvent),
}


def send(target, path, body=None):
    headers = {"authorization": f"Bearer {target.key}"}
    method = "POST" if body else "GET"
    response = httpx.request(
        method, f"{target.base_url}/{path}", json=body, headers=headers, timeout=60
    )
    assert response.status_code == 200, response.text
    return response


def events(response):
    """The data of the events that the schemas have."""
    assert response.headers["content-type"].startswith("text/event-stream")
    data = [
        line.removeprefix("data: ")
        for line in response.text.splitlines()
        if line.startswith("data: ")
    ]
    assert data
    return [one for one in data if one not in NO_EVENTS]


# What a model says about images; clients of OpenAI ignore it.
MODEL_EXTENSIONS = [".stockade"]


def unknown_fields(value, path=""):
    if isinstance(value, BaseModel):
        yield from (f"{path}.{name}" for name in value.model_extra or {})
        for name in value.model_fields_set & type(value).model_fields.keys():
            yield from unknown_fields(getattr(value, name), f"{path}.{name}")
    if isinstance(value, list):
        for index, one in enumerate(value):
            yield from unknown_fields(one, f"{path}[{index}]")


def check(text, schema, extensions=()):
    value = TypeAdapter(schema).validate_json(text, strict=True)
    assert set(unknown_fields(value)) <= set(extensions), text


@pytest.mark.parametrize("name", ROWS)
def test_a_response_matches_its_schema(target, name):
    path, fields, schema = ROWS[name]
    response = send(target, path, {"model": target.model} | fields)
    texts = events(response) if fields.get("stream") else [response.text]
    for text in texts:
        check(text, schema)


def test_models_match_their_schema(target):
    listed = send(target, "models").json()
    assert listed["object"] == "list"
    for model in listed["data"]:
        check(json.dumps(model), Model, MODEL_EXTENSIONS)
    check(send(target, f"models/{target.model}").text, Model, MODEL_EXTENSIONS)
