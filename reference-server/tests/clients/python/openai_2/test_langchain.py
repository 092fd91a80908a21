"""LangChain's chat model and embeddings."""

import openai
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings

from checks import (
    TOOL,
    Weather,
    check_error,
    check_usage,
    check_vector,
    data_url,
    exhaust,
    wait_for_running_chats,
)

CLIENT = "langchain-openai"


def model(target, name=None, key=None, **fields):
    fields = {"max_tokens": 8, "max_retries": 0, "timeout": 60} | fields
    return ChatOpenAI(
        model=name or target.model,
        base_url=target.base_url,
        api_key=key or target.key,
        use_responses_api=False,
        **fields,
    )


def test_chat(target):
    answer = model(target).invoke([("system", "Be brief."), ("user", "hello")])
    assert isinstance(answer, AIMessage) and answer.content
    assert answer.response_metadata["finish_reason"] == "length"
    # Its own message is accepted in the next request.
    model(target).invoke([HumanMessage("hello"), answer, HumanMessage("and then?")])


def test_stream(target):
    chat = model(target, temperature=0)
    text = "".join(chunk.content for chunk in chat.stream("hello"))
    assert text == chat.invoke("hello").content


def test_image(target):
    text = {"type": "text", "text": "What is this?"}
    image = {"type": "image_url", "image_url": {"url": data_url()}}
    with_image, without = (
        model(target).invoke([HumanMessage(content)]).usage_metadata["input_tokens"]
        for content in ([text, image], [text])
    )
    assert with_image > without


def test_embeddings(target):
    embeddings = OpenAIEmbeddings(
        model=target.embedding_model,
        base_url=target.base_url,
        api_key=target.key,
        # It would split texts by the tokens of OpenAI's models.
        check_embedding_ctx_length=False,
    )
    first, second = embeddings.embed_documents(["hello", "goodbye"])
    check_vector(first)
    assert first != second
    assert embeddings.embed_query("hello") == pytest.approx(first)


def test_seed(target):
    chat = model(target, temperature=1, seed=7, max_tokens=16)
    assert chat.invoke("hello").content == chat.invoke("hello").content


def test_stop(target):
    chat = model(target, temperature=0)
    text = chat.invoke("hello").content
    assert text[2:4] not in chat.invoke("hello", stop=[text[2:4]]).content


@tool(TOOL, args_schema=Weather)
def get_weather(city, sunny):
    """Returns the temperature in a city."""
    return f"20 degrees in {city}"


def check_call(target, answer):
    """Calls the tool, which validates the arguments, and sends its result as the next message."""
    [call] = answer.tool_calls
    assert call["name"] == TOOL
    result = get_weather.invoke(call)
    assert isinstance(result, ToolMessage) and result.content.startswith("20 degrees")
    chat = model(target).bind_tools([get_weather], tool_choice="none")
    assert chat.invoke([HumanMessage("hello"), answer, result]).content


def forced(target):
    return model(target, max_tokens=128).bind_tools([get_weather], tool_choice=TOOL)


def test_tools(target):
    check_call(target, forced(target).invoke("hello"))


def test_streamed_tools(target):
    first, *rest = forced(target).stream("hello")
    # The arguments arrive in parts.
    assert sum(bool(chunk.tool_call_chunks) for chunk in rest) > 1
    check_call(target, sum(rest, first))


def test_auto_tools(target):
    answer = model(target).bind_tools([get_weather]).invoke("hello")
    # The model may call the tool; one with random weights does not.
    assert answer.content and not answer.tool_calls
    without = model(target).invoke("hello")
    assert answer.usage_metadata["input_tokens"] > without.usage_metadata["input_tokens"]


def test_json(target):
    chat = model(target, max_tokens=128)
    structured = chat.with_structured_output(Weather, method="json_schema", strict=True)
    assert isinstance(structured.invoke("hello"), Weather)


def test_json_by_tool(target):
    chat = model(target, max_tokens=128)
    structured = chat.with_structured_output(Weather, method="function_calling")
    assert isinstance(structured.invoke("hello"), Weather)


def test_completions(target):
    completions = OpenAI(
        model=target.model,
        base_url=target.base_url,
        api_key=target.key,
        max_tokens=8,
        temperature=0,
        max_retries=0,
        timeout=60,
    )
    text = completions.invoke("hello")
    assert text and text == "".join(completions.stream("hello"))


def test_logprobs(target):
    answer = model(target, logprobs=True, top_logprobs=2).invoke("hello")
    tokens = answer.response_metadata["logprobs"]["content"]
    assert len(tokens) == 8


def test_n(target):
    [answers] = model(target, n=2).generate([[HumanMessage("hello")]]).generations
    assert len(answers) == 2


def test_usage(target):
    usage = model(target).invoke("hello").usage_metadata
    check_usage(usage["input_tokens"], usage["output_tokens"], usage["total_tokens"])
    first, *rest = model(target, stream_usage=True).stream("hello")
    assert sum(rest, first).usage_metadata["total_tokens"] == usage["total_tokens"]


def test_unknown_model(target):
    with pytest.raises(openai.NotFoundError) as caught:
        model(target, name="gpt-4o").invoke("hello")
    check_error(caught.value, 404, "MODEL_NOT_FOUND")


def test_bad_key(target):
    with pytest.raises(openai.AuthenticationError) as caught:
        model(target, key="sk_demo_" + "0" * 36).invoke("hello")
    check_error(caught.value, 401, "AUTHENTICATION_FAILED")


def test_rate_limit(target):
    limited = {"key": target.limited_key}
    chat = model(target, **limited)
    error = exhaust(lambda: chat.invoke("hello"), openai.RateLimitError)
    check_error(error, 429, "RATE_LIMITED")
    assert model(target, max_retries=2, **limited).invoke("hello").content


def test_disconnect(target):
    stream = model(target, max_tokens=8_000).stream("hello")
    next(stream)
    wait_for_running_chats(target, 1)
    stream.close()
    wait_for_running_chats(target, 0)
