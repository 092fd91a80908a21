"""Agents of Pydantic AI."""

import asyncio
import base64

import openai
import pytest
from pydantic_ai import Agent, BinaryContent, ModelSettings, NativeOutput, ToolOutput
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import PartDeltaEvent, ToolCallPartDelta
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from checks import TOOL, Weather, check_usage, exhaust, png, wait_for_running_chats

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


class ForcedOnce(AbstractCapability):
    """Forces a call in the first request only."""

    def get_model_settings(self):
        return lambda run: ModelSettings(tool_choice=[TOOL] if run.run_step == 1 else "none")


def with_tool(target, **options):
    """An agent with a tool, and the arguments of its calls."""
    calls = []

    def get_weather(weather: Weather) -> str:
        calls.append(weather)
        return "20 degrees"

    return agent(target, tools=[get_weather], **options), calls


# The agent validates the arguments, calls the tool and sends the result.
def test_tools(target):
    forced, calls = with_tool(target, capabilities=[ForcedOnce()])
    run = ask(forced, max_tokens=128)
    [call] = calls
    assert run.output and isinstance(call, Weather)
    assert run.usage.requests == 2


def test_streamed_tools(target):
    parts = []

    async def collect(_, events):
        async for event in events:
            if isinstance(event, PartDeltaEvent) and isinstance(event.delta, ToolCallPartDelta):
                parts.append(event.delta.args_delta)

    forced, calls = with_tool(target, capabilities=[ForcedOnce()])
    settings = {"max_tokens": 128}
    run = forced.run_sync("hello", event_stream_handler=collect, model_settings=settings)
    assert run.output and len(calls) == 1
    # The arguments arrive in parts.
    assert len(parts) > 1


def test_auto_tools(target):
    free, calls = with_tool(target)
    run = ask(free)
    # The model may call the tool; one with random weights does not.
    assert run.output and calls == []
    assert run.usage.input_tokens > ask(agent(target)).usage.input_tokens


def test_json_by_tool(target):
    run = ask(agent(target, output_type=ToolOutput(Weather)), max_tokens=128)
    assert isinstance(run.output, Weather)


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
