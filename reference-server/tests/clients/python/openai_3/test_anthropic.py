"""The messages API with Anthropic's SDK."""

import anthropic
import pytest

from checks import (
    HELLO,
    TOOL,
    Weather,
    check_usage,
    exhaust,
    png,
    wait_for_running_chats,
)

CLIENT = "anthropic (Python)"
# The SDK has no such argument; older versions have it.
GREEDY = {"extra_body": {"temperature": 0}}
GET_WEATHER = {"name": TOOL, "input_schema": Weather.model_json_schema()}
FORCED = {
    "tools": [GET_WEATHER],
    "tool_choice": {"type": "tool", "name": TOOL},
    "max_tokens": 128,
}


def client(target, key=None, **options):
    options = {"max_retries": 0, "timeout": 60} | options
    return anthropic.Anthropic(base_url=target.url, api_key=key or target.key, **options)


def ask(target, sdk=None, **fields):
    fields = {"model": target.model, "messages": HELLO, "max_tokens": 8} | fields
    return (sdk or client(target)).messages.create(**fields)


def test_chat(target):
    answer = ask(target, system="Be brief.")
    assert answer.type == "message" and answer.role == "assistant"
    assert answer.model == target.model
    [block] = answer.content
    assert block.type == "text" and block.text
    assert answer.stop_reason == "max_tokens"
    # Its own message is accepted in the next request.
    ask(target, messages=[*HELLO, {"role": "assistant", "content": answer.content}, *HELLO])


def test_stream(target):
    fields = {"model": target.model, "messages": HELLO, "max_tokens": 8} | GREEDY
    with client(target).messages.stream(**fields) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert text == ask(target, **GREEDY).content[0].text
    assert message.content[0].text == text
    assert message.stop_reason == "max_tokens"
    check_usage(message.usage.input_tokens, message.usage.output_tokens)


def test_image(target):
    source = {"type": "base64", "media_type": "image/png", "data": png()}
    content = [{"type": "text", "text": "What is this?"}, {"type": "image", "source": source}]
    with_image = ask(target, messages=[{"role": "user", "content": content}])
    without = ask(target, messages=[{"role": "user", "content": content[:1]}])
    assert with_image.usage.input_tokens > without.usage.input_tokens


def check_call(target, answer):
    """Validates the call of an answer, and sends its result as the next message."""
    assert answer.stop_reason == "tool_use"
    [call] = answer.content
    assert call.type == "tool_use" and call.name == TOOL
    Weather.model_validate(call.input, strict=True)
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "20 degrees"}
    messages = [
        *HELLO,
        {"role": "assistant", "content": answer.content},
        {"role": "user", "content": [result]},
    ]
    choice = {"type": "none"}
    assert ask(target, messages=messages, tools=[GET_WEATHER], tool_choice=choice).content[0].text


def test_tools(target):
    check_call(target, ask(target, **FORCED))


def test_streamed_tools(target):
    with client(target).messages.stream(model=target.model, messages=HELLO, **FORCED) as stream:
        parts = [event.partial_json for event in stream if event.type == "input_json"]
        answer = stream.get_final_message()
    # The arguments arrive in parts.
    assert len(parts) > 1
    Weather.model_validate_json("".join(parts), strict=True)
    check_call(target, answer)


def test_auto_tools(target):
    answer = ask(target, tools=[GET_WEATHER])
    # The model may call the tool; one with random weights does not.
    assert answer.content[0].text
    assert answer.usage.input_tokens > ask(target).usage.input_tokens


def test_json(target):
    answer = client(target).messages.parse(
        model=target.model, messages=HELLO, max_tokens=128, output_format=Weather
    )
    assert isinstance(answer.parsed_output, Weather)
    # Its own message is accepted in the next request.
    ask(target, messages=[*HELLO, {"role": "assistant", "content": answer.content}, *HELLO])


@pytest.mark.parametrize("target", ["tiny"], indirect=True)
def test_count_tokens(target):
    fields = {"model": target.model, "messages": HELLO, "system": "Be brief."}
    counted = client(target).messages.count_tokens(**fields)
    assert counted.input_tokens == ask(target, **fields).usage.input_tokens


# Its upstream has only OpenAI's APIs, which cannot count.
@pytest.mark.parametrize("target", ["relay"], indirect=True)
def test_refuses_count_tokens(target):
    with pytest.raises(anthropic.BadRequestError) as caught:
        client(target).messages.count_tokens(model=target.model, messages=HELLO)
    error = caught.value.body["error"]
    assert error["code"] == "UNSUPPORTED_PARAMETER"
    assert error["message"].endswith("use `tiny`")


def test_stop(target):
    text = ask(target, **GREEDY).content[0].text
    stopped = ask(target, **GREEDY, stop_sequences=[text[2:4]])
    assert stopped.stop_reason == "stop_sequence"
    assert stopped.stop_sequence == text[2:4]
    assert all(text[2:4] not in block.text for block in stopped.content)


def test_usage(target):
    usage = ask(target).usage
    check_usage(usage.input_tokens, usage.output_tokens)


def test_models(target):
    sdk = client(target)
    assert target.model in [model.id for model in sdk.models.list()]
    assert sdk.models.retrieve(target.model).id == target.model


def test_unknown_model(target):
    with pytest.raises(anthropic.NotFoundError) as caught:
        ask(target, model="claude-unknown")
    assert caught.value.body["type"] == "error"
    assert caught.value.body["error"]["type"] == "not_found_error"


def test_bad_key(target):
    with pytest.raises(anthropic.AuthenticationError) as caught:
        ask(target, client(target, key="sk_demo_" + "0" * 36))
    assert caught.value.body["error"]["type"] == "authentication_error"


def test_rate_limit(target):
    limited = client(target, key=target.limited_key)
    error = exhaust(lambda: ask(target, limited), anthropic.RateLimitError)
    assert error.body["error"]["type"] == "rate_limit_error"
    assert int(error.response.headers["retry-after"]) >= 1
    # A client with retries waits for `Retry-After` and gets its answer.
    assert ask(target, limited.with_options(max_retries=2)).content


def test_disconnect(target):
    stream = ask(target, stream=True, max_tokens=8_000)
    next(iter(stream))
    wait_for_running_chats(target, 1)
    stream.close()
    wait_for_running_chats(target, 0)
