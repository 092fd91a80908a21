"""Agents of Pydantic AI."""

import asyncio
import base64

import openai
import pytest
from pydantic_ai import Agent, BinaryContent, NativeOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from checks import Weather, check_usage, exhaust, png, wait_for_running_chats

CLIENT = "pydantic-ai"


def agent(target, model=None, key=None, retries=0, **options):
    sdk = openai.AsyncOpenAI(
        base_url=target.base_url, api_key=key or target.key, max_retries=retries, timeout=60
    )
    provider = OpenAIProvider(openai_client=sdk)
    return Agent(OpenAIChatModel(model or target.model, provider=provider), **options)


def ask(agent, prompt="hello", **settings):
    return agent.run_sync(prompt, model_settings={"max_tokens": 8} | settings)


def test_chat(target):
    first = ask(agent(target, instructions="Be brief."))
    assert first.output
    # Its own messages are accepted in the next request.
    agent(target).run_sync(
        "hello", message_history=first.all_messages(), model_settings={"max_tokens": 8}
    )


def test_stream(target):
    async def stream():
        settings = {"max_tokens": 8, "temperature": 0}
        async with agent(target).run_stream("hello", model_settings=settings) as run:
            deltas = [delta async for delta in run.stream_text(delta=True)]
            return "".join(deltas), run.usage

    text, usage = asyncio.run(stream())
    assert text == ask(agent(target), temperature=0).output
    check_usage(usage.input_tokens, usage.output_tokens)


def test_image(target):
    image = BinaryContent(base64.b64decode(png()), media_type="image/png")
    with_image = ask(agent(target), ["What is this?", image])
    without = ask(agent(target), "What is this?")
    assert with_image.usage.input_tokens > without.usage.input_tokens


def test_seed(target):
    first, second = (
        ask(agent(target), temperature=1.0, seed=7, max_tokens=16).output for _ in range(2)
    )
    assert first == second


def test_stop(target):
    text = ask(agent(target), temperature=0).output
    stopped = ask(agent(target), temperature=0, stop_sequences=[text[2:4]])
    assert text[2:4] not in stopped.output


def test_json(target):
    run = ask(agent(target, output_type=NativeOutput(Weather)), max_tokens=128)
    assert isinstance(run.output, Weather)


def test_usage(target):
    used = ask(agent(target)).usage
    check_usage(used.input_tokens, used.output_tokens)


def test_unknown_model(target):
    with pytest.raises(ModelHTTPError) as caught:
        ask(agent(target, model="gpt-4o"))
    assert caught.value.status_code == 404
    assert caught.value.body["code"] == "MODEL_NOT_FOUND"


def test_bad_key(target):
    with pytest.raises(ModelHTTPError) as caught:
        ask(agent(target, key="sk_demo_" + "0" * 36))
    assert caught.value.status_code == 401


def test_rate_limit(target):
    limited = agent(target, key=target.limited_key)
    error = exhaust(lambda: ask(limited), ModelHTTPError)
    assert error.status_code == 429
    assert ask(agent(target, key=target.limited_key, retries=2)).output


def test_disconnect(target):
    async def leave():
        settings = {"max_tokens": 8_000}
        async with agent(target).run_stream("hello", model_settings=settings) as run:
            async for _ in run.stream_text(delta=True):
                await asyncio.to_thread(wait_for_running_chats, target, 1)
                raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(leave())
    wait_for_running_chats(target, 0)
