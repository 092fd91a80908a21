"""The chat API with OpenAI's SDK."""

import openai
import pytest

from checks import (
    HELLO,
    Weather,
    check_error,
    check_usage,
    data_url,
    exhaust,
    validate,
    wait_for_running_chats,
)

CLIENT = "openai (Python)"


def client(target, key=None, **options):
    options = {"max_retries": 0, "timeout": 300} | options
    return openai.OpenAI(base_url=target.base_url, api_key=key or target.key, **options)


def ask(target, sdk=None, **fields):
    fields = {"model": target.model, "messages": HELLO, "max_tokens": 8} | fields
    return (sdk or client(target)).chat.completions.create(**fields)


def test_chat(target):
    answer = ask(target)
    assert answer.object == "chat.completion"
    assert answer.model in (target.model, "tiny")
    [choice] = answer.choices
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason == "length"
    # Its own message is accepted in the next request.
    ask(target, messages=[*HELLO, choice.message, *HELLO])


def test_stream(target):
    first, *middle, last = ask(target, stream=True, temperature=0)
    assert first.choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in middle)
    assert text == ask(target, temperature=0).choices[0].message.content
    assert last.choices[0].finish_reason == "length"


def test_image(target):
    image = {"type": "image_url", "image_url": {"url": data_url()}}
    content = [{"type": "text", "text": "What is this?"}, image]
    with_image = ask(target, messages=[{"role": "user", "content": content}])
    without = ask(target, messages=[{"role": "user", "content": content[:1]}])
    assert with_image.usage.prompt_tokens > without.usage.prompt_tokens


def test_seed(target):
    fields = {"temperature": 1, "seed": 7, "max_tokens": 16}
    first, second = (ask(target, **fields).choices[0].message.content for _ in range(2))
    assert first == second


def test_stop(target):
    text = ask(target, temperature=0).choices[0].message.content
    stopped = ask(target, temperature=0, stop=[text[2:4]]).choices[0]
    assert text[2:4] not in stopped.message.content
    assert stopped.finish_reason == "stop"


def test_tools(target):
    tool = openai.pydantic_function_tool(Weather, name="get_weather")
    choice = {"type": "function", "function": {"name": "get_weather"}}
    answer = ask(target, tools=[tool], tool_choice=choice, max_tokens=128).choices[0]
    [call] = answer.message.tool_calls
    assert call.id and call.type == "function"
    assert call.function.name == "get_weather"
    weather = validate(call.function.arguments)
    # The result of the tool is accepted in the next request.
    result = {"role": "tool", "tool_call_id": call.id, "content": weather.city}
    ask(target, messages=[*HELLO, answer.message, result], tools=[tool], tool_choice="none")


def test_json(target):
    answer = client(target).chat.completions.parse(
        model=target.model, messages=HELLO, max_tokens=128, response_format=Weather
    )
    assert isinstance(answer.choices[0].message.parsed, Weather)


def test_logprobs(target):
    answer = ask(target, logprobs=True, top_logprobs=2, temperature=0, max_tokens=4)
    tokens = answer.choices[0].logprobs.content
    assert len(tokens) == answer.usage.completion_tokens
    assert "".join(token.token for token in tokens) == answer.choices[0].message.content
    for token in tokens:
        assert len(token.top_logprobs) == 2
        # Greedy: the token is the most likely one.
        assert token.logprob == max(one.logprob for one in token.top_logprobs) <= 0


def test_n(target):
    answer = ask(target, n=2, temperature=1, seed=1)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert answer.usage.completion_tokens == 16


def test_refuses_embeddings(target):
    with pytest.raises(openai.BadRequestError) as caught:
        client(target).embeddings.create(model=target.model, input="hello")
    # A chat model has none.
    assert caught.value.param == "model"


def test_usage(target):
    usage = ask(target).usage
    check_usage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
    *_, last = ask(target, stream=True, stream_options={"include_usage": True})
    assert last.choices == []
    assert last.usage == usage


def test_models(target):
    sdk = client(target)
    assert target.model in [model.id for model in sdk.models.list()]
    assert sdk.models.retrieve(target.model).object == "model"


def test_unknown_model(target):
    with pytest.raises(openai.NotFoundError) as caught:
        ask(target, model="gpt-4o")
    check_error(caught.value, 404, "MODEL_NOT_FOUND")
    assert caught.value.param == "model"


def test_bad_key(target):
    with pytest.raises(openai.AuthenticationError) as caught:
        ask(target, client(target, key="sk_demo_" + "0" * 36))
    check_error(caught.value, 401, "AUTHENTICATION_FAILED")


def test_rate_limit(target):
    limited = client(target, key=target.limited_key)
    error = exhaust(lambda: ask(target, limited), openai.RateLimitError)
    check_error(error, 429, "RATE_LIMITED")
    assert int(error.response.headers["retry-after"]) >= 1
    # A client with retries waits for `Retry-After` and gets its answer.
    answer = ask(target, limited.with_options(max_retries=2))
    assert answer.choices[0].message.content


def test_disconnect(target):
    stream = ask(target, stream=True, max_tokens=8_000)
    next(iter(stream))
    wait_for_running_chats(target, 1)
    stream.close()
    wait_for_running_chats(target, 0)
