"""Structured output with instructor."""

import instructor
import openai
import pytest
from instructor.core import InstructorRetryException

from checks import HELLO, Weather, check_usage, data_url, exhaust

CLIENT = "instructor"


def client(target, mode=instructor.Mode.JSON_SCHEMA, key=None, retries=0):
    sdk = openai.OpenAI(
        base_url=target.base_url, api_key=key or target.key, max_retries=retries, timeout=60
    )
    return instructor.from_openai(sdk, mode=mode)


def ask(target, client, **fields):
    fields = {"model": target.model, "messages": HELLO, "max_tokens": 128} | fields
    return client.create_with_completion(response_model=Weather, max_retries=0, **fields)


def test_json(target):
    weather, _ = ask(target, client(target))
    assert isinstance(weather, Weather)


def test_stream(target):
    parts = client(target).create_partial(
        model=target.model, messages=HELLO, max_tokens=128, response_model=Weather
    )
    assert Weather.model_validate(list(parts)[-1].model_dump(), strict=True)


def test_image(target):
    content = ["What is this?", instructor.Image.from_base64(data_url())]
    _, with_image = ask(target, client(target), messages=[{"role": "user", "content": content}])
    _, without = ask(target, client(target), messages=[{"role": "user", "content": content[0]}])
    assert with_image.usage.prompt_tokens > without.usage.prompt_tokens


def test_json_by_tool(target):
    weather, answer = ask(target, client(target, instructor.Mode.TOOLS))
    assert isinstance(weather, Weather)
    assert answer.choices[0].message.tool_calls


def test_streamed_tools(target):
    parts = client(target, instructor.Mode.TOOLS).create_partial(
        model=target.model, messages=HELLO, max_tokens=128, response_model=Weather
    )
    assert Weather.model_validate(list(parts)[-1].model_dump(), strict=True)


def test_usage(target):
    _, answer = ask(target, client(target))
    usage = answer.usage
    check_usage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)


def test_unknown_model(target):
    with pytest.raises(InstructorRetryException) as caught:
        ask(target, client(target), model="gpt-4o")
    assert "MODEL_NOT_FOUND" in str(caught.value)


def test_bad_key(target):
    with pytest.raises(InstructorRetryException) as caught:
        ask(target, client(target, key="sk_demo_" + "0" * 36))
    assert "401" in str(caught.value)


def test_rate_limit(target):
    key = target.limited_key
    error = exhaust(lambda: ask(target, client(target, key=key)), InstructorRetryException)
    assert "429" in str(error)
    assert ask(target, client(target, key=key, retries=2))
