"""LiteLLM's SDK."""

import litellm
import pytest

from checks import (
    HELLO,
    TOOL,
    Weather,
    check_usage,
    check_vector,
    data_url,
    exhaust,
    validate,
    wait_for_running_chats,
)

CLIENT = "litellm"
GET_WEATHER = {
    "type": "function",
    "function": {"name": TOOL, "parameters": Weather.model_json_schema()},
}
FORCED = {
    "tools": [GET_WEATHER],
    "tool_choice": {"type": "function", "function": {"name": TOOL}},
    "max_tokens": 128,
}


def ask(target, model=None, key=None, **fields):
    fields = {"messages": HELLO, "max_tokens": 8, "max_retries": 0} | fields
    return litellm.completion(
        model=f"openai/{model or target.model}",
        api_base=target.base_url,
        api_key=key or target.key,
        timeout=60,
        **fields,
    )


def test_chat(target):
    answer = ask(target)
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "length"
    # Its own message is accepted in the next request.
    ask(target, messages=[*HELLO, answer.choices[0].message, *HELLO])


def test_stream(target):
    chunks = list(ask(target, stream=True, temperature=0))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == ask(target, temperature=0).choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == "length"


def test_image(target):
    image = {"type": "image_url", "image_url": {"url": data_url()}}
    content = [{"type": "text", "text": "What is this?"}, image]
    with_image = ask(target, messages=[{"role": "user", "content": content}])
    without = ask(target, messages=[{"role": "user", "content": content[:1]}])
    assert with_image.usage.prompt_tokens > without.usage.prompt_tokens


def test_embeddings(target):
    answer = litellm.embedding(
        model=f"openai/{target.embedding_model}",
        input=["hello", "goodbye"],
        api_base=target.base_url,
        api_key=target.key,
        encoding_format="float",
    )
    first, second = (one["embedding"] for one in answer.data)
    check_vector(first)
    assert first != second


def test_seed(target):
    fields = {"temperature": 1, "seed": 7, "max_tokens": 16}
    first, second = (ask(target, **fields).choices[0].message.content for _ in range(2))
    assert first == second


def test_stop(target):
    text = ask(target, temperature=0).choices[0].message.content
    stopped = ask(target, temperature=0, stop=[text[2:4]]).choices[0]
    assert text[2:4] not in (stopped.message.content or "")
    assert stopped.finish_reason == "stop"


def check_call(target, answer):
    """Validates the call of an answer, and sends its result as the next message."""
    [choice] = answer.choices
    assert choice.finish_reason == "tool_calls"
    [call] = choice.message.tool_calls
    assert call.function.name == TOOL
    validate(call.function.arguments)
    result = {"role": "tool", "tool_call_id": call.id, "content": "20 degrees"}
    messages = [*HELLO, choice.message, result]
    next_answer = ask(target, messages=messages, tools=[GET_WEATHER], tool_choice="none")
    assert next_answer.choices[0].message.content


def test_tools(target):
    check_call(target, ask(target, **FORCED))


def test_streamed_tools(target):
    chunks = list(ask(target, stream=True, **FORCED))
    # The arguments arrive in parts.
    assert sum(bool(chunk.choices[0].delta.tool_calls) for chunk in chunks) > 2
    check_call(target, litellm.stream_chunk_builder(chunks, messages=HELLO))


def test_auto_tools(target):
    answer = ask(target, tools=[GET_WEATHER])
    # The model may call the tool; one with random weights does not.
    assert answer.choices[0].message.content
    assert answer.usage.prompt_tokens > ask(target).usage.prompt_tokens


def test_completions(target):
    answer = litellm.text_completion(
        model=f"text-completion-openai/{target.model}",
        api_base=target.base_url,
        api_key=target.key,
        prompt="hello",
        max_tokens=8,
        timeout=60,
    )
    assert answer.choices[0].text and answer.choices[0].finish_reason == "length"


def test_json(target):
    answer = ask(target, response_format=Weather, max_tokens=128)
    validate(answer.choices[0].message.content)


def test_logprobs(target):
    answer = ask(target, logprobs=True, top_logprobs=2)
    assert len(answer.choices[0].logprobs.content) == 8


def test_n(target):
    assert len(ask(target, n=2).choices) == 2


def test_usage(target):
    usage = ask(target).usage
    check_usage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
    *_, last = ask(target, stream=True, stream_options={"include_usage": True})
    assert last.usage.completion_tokens == usage.completion_tokens


def test_unknown_model(target):
    with pytest.raises(litellm.NotFoundError):
        ask(target, model="gpt-4o")


def test_bad_key(target):
    with pytest.raises(litellm.AuthenticationError):
        ask(target, key="sk_demo_" + "0" * 36)


def test_rate_limit(target):
    limited = {"key": target.limited_key}
    error = exhaust(lambda: ask(target, **limited), litellm.RateLimitError)
    assert error.status_code == 429
    answer = ask(target, max_retries=2, **limited)
    assert answer.choices[0].message.content


def test_disconnect(target):
    stream = ask(target, stream=True, max_tokens=8_000)
    next(iter(stream))
    wait_for_running_chats(target, 1)
    stream.completion_stream.close()
    wait_for_running_chats(target, 0)
