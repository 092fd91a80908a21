"""LlamaIndex's model for servers with OpenAI's API."""

import openai
import pytest
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

from checks import TOOL, Weather, check_error, check_usage, data_url, exhaust

CLIENT = "llama-index"
HELLO = [ChatMessage(role="user", content="hello")]


def model(target, name=None, key=None, **fields):
    defaults = {
        "max_tokens": 8,
        "max_retries": 0,
        "timeout": 60,
        "is_chat_model": True,
        "is_function_calling_model": True,
        "should_use_structured_outputs": True,
    }
    return OpenAILike(
        model=name or target.model,
        api_base=target.base_url,
        api_key=key or target.key,
        **(defaults | fields),
    )


def test_chat(target):
    answer = model(target).chat([ChatMessage(role="system", content="Be brief."), *HELLO])
    assert answer.message.content
    # Its own message is accepted in the next request.
    model(target).chat([*HELLO, answer.message, *HELLO])


def test_stream(target):
    chat = model(target, temperature=0)
    text = "".join(chunk.delta or "" for chunk in chat.stream_chat(HELLO))
    assert text == chat.chat(HELLO).message.content


def test_image(target):
    text, image = TextBlock(text="What is this?"), ImageBlock(url=data_url())
    with_image, without = (
        model(target).chat([ChatMessage(role="user", blocks=blocks)]).raw.usage.prompt_tokens
        for blocks in ([text, image], [text])
    )
    assert with_image > without


def test_seed(target):
    chat = model(target, temperature=1, max_tokens=16, additional_kwargs={"seed": 7})
    assert chat.chat(HELLO).message.content == chat.chat(HELLO).message.content


def test_stop(target):
    chat = model(target, temperature=0)
    text = chat.chat(HELLO).message.content
    assert text[2:4] not in chat.chat(HELLO, stop=[text[2:4]]).message.content


def get_weather(city, sunny):
    return "20 degrees"


TOOLS = [
    FunctionTool.from_defaults(
        get_weather, name=TOOL, description="The temperature in a city", fn_schema=Weather
    )
]
FORCED = {"tools": TOOLS, "user_msg": "hello", "tool_choice": TOOL}


def check_call(target, answer):
    """Calls the tool, and sends its result as the next message."""
    [call] = model(target).get_tool_calls_from_response(answer)
    assert call.tool_name == TOOL
    Weather.model_validate(call.tool_kwargs, strict=True)
    output = TOOLS[0].call(**call.tool_kwargs)
    fields = {"tool_call_id": call.tool_id}
    result = ChatMessage(role="tool", content=output.content, additional_kwargs=fields)
    history = [*HELLO, answer.message, result]
    chat = model(target)
    assert chat.chat_with_tools(TOOLS, chat_history=history, tool_choice="none").message.content


def test_tools(target):
    check_call(target, model(target, max_tokens=128).chat_with_tools(**FORCED))


def test_streamed_tools(target):
    chunks = list(model(target, max_tokens=128).stream_chat_with_tools(**FORCED))
    # The arguments arrive in parts.
    assert len(chunks) > 3
    check_call(target, chunks[-1])


def test_auto_tools(target):
    answer = model(target).chat_with_tools(TOOLS, user_msg="hello")
    # The model may call the tool; one with random weights does not.
    assert answer.message.content
    assert answer.raw.usage.prompt_tokens > model(target).chat(HELLO).raw.usage.prompt_tokens


def test_json(target):
    chat = model(target, max_tokens=128).as_structured_llm(Weather)
    assert isinstance(chat.chat(HELLO).raw, Weather)


def test_json_by_tool(target):
    chat = model(target, max_tokens=128, should_use_structured_outputs=False)
    assert isinstance(chat.structured_predict(Weather, PromptTemplate("hello")), Weather)


def test_completions(target):
    completions = model(target, is_chat_model=False, temperature=0)
    text = completions.complete("hello").text
    assert text
    assert text == "".join(chunk.delta for chunk in completions.stream_complete("hello"))


def test_logprobs(target):
    answer = model(target, logprobs=True, top_logprobs=2).chat(HELLO)
    assert len(answer.logprobs) == 8


def test_usage(target):
    usage = model(target).chat(HELLO).raw.usage
    check_usage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)


def test_unknown_model(target):
    with pytest.raises(openai.NotFoundError) as caught:
        model(target, name="unknown").chat(HELLO)
    check_error(caught.value, 404, "MODEL_NOT_FOUND")


def test_bad_key(target):
    with pytest.raises(openai.AuthenticationError) as caught:
        model(target, key="sk_demo_" + "0" * 36).chat(HELLO)
    check_error(caught.value, 401, "AUTHENTICATION_FAILED")


def test_rate_limit(target):
    limited = {"key": target.limited_key}
    chat = model(target, **limited)
    error = exhaust(lambda: chat.chat(HELLO), openai.RateLimitError)
    check_error(error, 429, "RATE_LIMITED")
    assert model(target, max_retries=3, **limited).chat(HELLO).message.content
