"""The responses API with OpenAI's SDK."""

import openai
import pytest

from checks import (
    TOOL,
    Weather,
    check_error,
    check_usage,
    data_url,
    exhaust,
    wait_for_running_chats,
)
from test_openai import GET_WEATHER, client

CLIENT = "openai (Python), Responses"
FORCED = {
    "tools": [GET_WEATHER],
    "tool_choice": {"type": "function", "name": TOOL},
    "max_output_tokens": 128,
}


# The API requires at least 16 tokens.
def ask(target, sdk=None, **fields):
    fields = {"model": target.model, "input": "hello", "max_output_tokens": 16} | fields
    return (sdk or client(target)).responses.create(**fields)


def test_chat(target):
    answer = ask(target, instructions="Be brief.")
    assert answer.object == "response"
    assert answer.model == target.model
    assert answer.status == "incomplete"
    assert answer.incomplete_details.reason == "max_output_tokens"
    assert answer.output_text
    # Its own output is accepted in the next request.
    hello = {"role": "user", "content": "hello"}
    ask(target, input=[hello, *answer.output, hello])


def test_stream(target):
    events = list(ask(target, stream=True, temperature=0))
    assert events[0].type == "response.created"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == ask(target, temperature=0).output_text
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.output_text == text
    usage = events[-1].response.usage
    check_usage(usage.input_tokens, usage.output_tokens, usage.total_tokens)


def test_image(target):
    text = {"type": "input_text", "text": "What is this?"}
    image = {"type": "input_image", "image_url": data_url(), "detail": "auto"}
    with_image = ask(target, input=[{"role": "user", "content": [text, image]}])
    without = ask(target, input=[{"role": "user", "content": [text]}])
    assert with_image.usage.input_tokens > without.usage.input_tokens


def check_call(target, answer):
    """Validates the call of an answer, and sends its result as the next item."""
    assert answer.status == "completed"
    [call] = answer.output
    assert call.type == "function_call" and call.name == TOOL
    assert isinstance(call.parsed_arguments, Weather)
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "20 degrees"}
    hello = {"role": "user", "content": "hello"}
    assert ask(target, input=[hello, *answer.output, result]).output_text


def test_tools(target):
    responses = client(target).responses
    check_call(target, responses.parse(model=target.model, input="hello", **FORCED))


def test_streamed_tools(target):
    responses = client(target).responses
    with responses.stream(model=target.model, input="hello", **FORCED) as stream:
        kinds = [event.type for event in stream]
        answer = stream.get_final_response()
    # The arguments arrive in parts.
    assert kinds.count("response.function_call_arguments.delta") > 1
    assert kinds.count("response.function_call_arguments.done") == 1
    check_call(target, answer)


def test_auto_tools(target):
    tool = {"type": "function", "name": TOOL, "parameters": Weather.model_json_schema()}
    answer = ask(target, tools=[tool])
    # The model may call the tool; one with random weights does not.
    assert answer.output_text
    assert answer.usage.input_tokens > ask(target).usage.input_tokens


def test_json(target):
    answer = client(target).responses.parse(
        model=target.model, input="hello", max_output_tokens=128, text_format=Weather
    )
    assert isinstance(answer.output_parsed, Weather)
    # Its own output is accepted in the next request.
    hello = {"role": "user", "content": "hello"}
    ask(target, input=[hello, *answer.output, hello])


def test_usage(target):
    usage = ask(target).usage
    check_usage(usage.input_tokens, usage.output_tokens, usage.total_tokens)


def test_unknown_model(target):
    with pytest.raises(openai.NotFoundError) as caught:
        ask(target, model="gpt-4o")
    check_error(caught.value, 404, "MODEL_NOT_FOUND")


def test_bad_key(target):
    with pytest.raises(openai.AuthenticationError) as caught:
        ask(target, client(target, key="sk_demo_" + "0" * 36))
    check_error(caught.value, 401, "AUTHENTICATION_FAILED")


def test_rate_limit(target):
    limited = client(target, key=target.limited_key)
    error = exhaust(lambda: ask(target, limited), openai.RateLimitError)
    check_error(error, 429, "RATE_LIMITED")
    assert ask(target, limited.with_options(max_retries=2)).output_text


def test_disconnect(target):
    stream = ask(target, stream=True, max_output_tokens=8_000)
    next(iter(stream))
    wait_for_running_chats(target, 1)
    stream.close()
    wait_for_running_chats(target, 0)
