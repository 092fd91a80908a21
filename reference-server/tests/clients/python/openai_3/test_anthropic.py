"""The messages API with Anthropic's SDK."""

import anthropic
import pytest

from checks import (
    HELLO,
    check_usage,
    exhaust,
    png,
    wait_for_running_chats,
)

CLIENT = "anthropic (Python)"
# The SDK has no such argument; older versions have it.
GREEDY = {"extra_body": {"temperature": 0}}


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
