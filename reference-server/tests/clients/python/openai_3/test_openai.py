"""The chat API with OpenAI's SDK."""

import openai
import pytest

from checks import (
    HELLO,
    TOOL,
    Weather,
    check_error,
    check_usage,
    check_vector,
    data_url,
    exhaust,
    validate,
    wait_for_running_chats,
)

CLIENT = "openai (Python)"
GET_WEATHER = openai.pydantic_function_tool(Weather, name=TOOL)
FORCED = {
    "tools": [GET_WEATHER],
    "tool_choice": {"type": "function", "function": {"name": TOOL}},
    "max_tokens": 128,
}


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


def send_result(target, message):
    """Sends the result of a call as the next message."""
    [call] = message.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": "20 degrees"}
    messages = [*HELLO, message, result]
    answer = ask(target, messages=messages, tools=[GET_WEATHER], tool_choice="none")
    assert answer.choices[0].message.content


def test_tools(target):
    choice = ask(target, **FORCED).choices[0]
    [call] = choice.message.tool_calls
    assert call.id and call.type == "function"
    assert call.function.name == TOOL
    validate(call.function.arguments)
    assert choice.finish_reason == "tool_calls"
    send_result(target, choice.message)


def test_streamed_tools(target):
    chat = client(target).chat.completions
    with chat.stream(model=target.model, messages=HELLO, **FORCED) as stream:
        kinds = [event.type for event in stream]
        message = stream.get_final_completion().choices[0].message
    # The arguments arrive in parts.
    assert kinds.count("tool_calls.function.arguments.delta") > 1
    assert kinds.count("tool_calls.function.arguments.done") == 1
    [call] = message.tool_calls
    assert isinstance(call.function.parsed_arguments, Weather)
    send_result(target, message)


def test_auto_tools(target):
    answer = ask(target, tools=[GET_WEATHER])
    # The model may call the tool; one with random weights does not.
    assert answer.choices[0].message.content
    assert answer.usage.prompt_tokens > ask(target).usage.prompt_tokens


def test_json(target):
    answer = client(target).chat.completions.parse(
        model=target.model, messages=HELLO, max_tokens=128, response_format=Weather
    )
    message = answer.choices[0].message
    assert isinstance(message.parsed, Weather)
    # Its own message is accepted in the next request.
    ask(target, messages=[*HELLO, message, *HELLO])


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


def test_embeddings(target):
    embeddings = client(target).embeddings
    # The SDK asks for base64.
    answer = embeddings.create(model=target.embedding_model, input=["hello", "goodbye"])
    first, second = (one.embedding for one in answer.data)
    assert [one.index for one in answer.data] == [0, 1]
    assert answer.usage.prompt_tokens > 0
    check_vector(first)
    assert first != second
    fields = {"model": target.embedding_model, "encoding_format": "float"}
    assert embeddings.create(input="hello", **fields).data[0].embedding == pytest.approx(first)
    shorter = embeddings.create(input="hello", dimensions=len(first) // 2, **fields)
    check_vector(shorter.data[0].embedding)
    assert len(shorter.data[0].embedding) == len(first) // 2
    with pytest.raises(openai.BadRequestError) as caught:
        embeddings.create(model=target.model, input="hello")
    # A chat model has none.
    assert caught.value.param == "model"


def test_usage(target):
    usage = ask(target).usage
    check_usage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
    *_, last = ask(target, stream=True, stream_options={"include_usage": True})
    assert last.choices == []
    assert last.usage == usage


def test_completions(target):
    fields = {"model": target.model, "prompt": "hello", "max_tokens": 8, "temperature": 0}
    completions = client(target).completions
    answer = completions.create(**fields)
    assert answer.object == "text_completion"
    assert answer.choices[0].text and answer.choices[0].finish_reason == "length"
    streamed = completions.create(**fields, stream=True)
    assert "".join(chunk.choices[0].text for chunk in streamed) == answer.choices[0].text


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
