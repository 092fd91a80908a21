"""Refusals in each error format.

Each row has a request and the expected error. OpenAI's SDK and a client that accepts
`application/problem+json` must get the same information.
"""

import contextlib
import http.client
import json
from dataclasses import dataclass
from urllib.parse import urlsplit

import openai
import pytest

from test_chat import HELLO, ask, image_url, png, wait_for_slot


def chat(**fields):
    fields = {"model": "demo", "max_tokens": 8, "messages": HELLO} | fields
    return json.dumps(fields).encode()


def about(part):
    return chat(messages=[{"role": "user", "content": [part]}])


@contextlib.contextmanager
def no_setup(_server):
    yield


@contextlib.contextmanager
def a_stream(key, server):
    """Holds a running stream of this key."""
    stream = ask(server.client(key), stream=True, max_tokens=1_000)
    try:
        next(stream)
        yield
    finally:
        stream.close()


@contextlib.contextmanager
def some_tokens_used(server):
    ask(server.client("spent"), max_tokens=64)
    yield


@contextlib.contextmanager
def only_slot_taken(server):
    with a_stream("demo", server):
        yield
    wait_for_slot(server.client())


@contextlib.contextmanager
def rate_limited(server):
    with pytest.raises(openai.RateLimitError):
        for _ in range(40):
            with contextlib.suppress(openai.NotFoundError):
                ask(server.client("rated"), model="gpt-4o")
    yield


@contextlib.contextmanager
def key_guesses(server):
    with pytest.raises(openai.PermissionDeniedError):
        for number in range(20):
            with contextlib.suppress(openai.AuthenticationError):
                server.client(f"guess-{number}").models.list()
    yield


@dataclass(frozen=True)
class Row:
    """A request and its expected refusal."""

    name: str
    status: int
    code: str
    param: str | None = None
    key: str | None = "demo"
    path: str = "/v1/chat/completions"
    content_type: str = "application/json"
    body: bytes = chat()
    before: object = no_setup
    server: str = "server"
    # Whether the head determines the refusal, so that the body's type does not matter.
    head: bool = False


AUTH, FORBIDDEN = "AUTHENTICATION_FAILED", "PERMISSION_DENIED"
INVALID, RANGE, IMAGE = "VALIDATION_ERROR", "VALUE_OUT_OF_RANGE", "INVALID_IMAGE"
URL = "messages[0].content[0].image_url.url"
B64 = "messages[0].content[0].image.b64"

ROWS = [
    Row("no key", 401, AUTH, key=None, head=True),
    Row("malformed key", 401, AUTH, key="wrong", head=True),
    Row("unknown key", 401, AUTH, key="sk_demo_" + "0" * 36, head=True),
    Row("expired key", 401, AUTH, key="expired", head=True),
    Row("scope", 403, FORBIDDEN, key="reader", head=True),
    Row("unknown route", 404, "ROUTE_NOT_FOUND", path="/v1/none", head=True),
    Row(
        "banned", 403, "BANNED", key="wrong", before=key_guesses, server="strict", head=True
    ),
    Row("unknown model", 404, "MODEL_NOT_FOUND", "model", body=chat(model="gpt-4o")),
    Row("invalid JSON", 400, "INVALID_JSON", "model", body=b'{"model":'),
    Row("invalid UTF-8", 400, "INVALID_JSON", body=b"\xff\xfe"),
    Row("duplicate key", 400, "DUPLICATE_KEY", body=b'{"model":"a","model":"b"}'),
    Row(
        "type",
        400,
        INVALID,
        "messages[0].content",
        body=chat(messages=[{"role": "user", "content": 1}]),
    ),
    Row("range", 400, RANGE, "temperature", body=chat(temperature=3)),
    Row("zero tokens", 400, RANGE, "max_tokens", body=chat(max_tokens=0)),
    Row("too many tokens", 400, RANGE, "max_tokens", body=chat(max_tokens=10**18)),
    Row("choices", 400, RANGE, "n", body=chat(n=9)),
    Row("unknown field", 400, "UNKNOWN_PARAMETER", "top_kk", body=chat(top_kk=5)),
    Row(
        "format",
        400,
        "UNSUPPORTED_PARAMETER",
        "response_format.type",
        body=chat(response_format={"type": "grammar"}),
    ),
    Row("truncated image", 400, IMAGE, URL, body=about(image_url(png(1, 2, 3)[:64]))),
    Row("not an image", 400, "UNSUPPORTED_IMAGE", URL, body=about(image_url("bm8gaW1hZ2U="))),
    Row("invalid base64", 400, IMAGE, B64, body=about({"type": "image", "image": {"b64": "?"}})),
    *(
        Row(
            f"remote image {url}",
            400,
            "REMOTE_IMAGE",
            URL,
            body=about({"type": "image_url", "image_url": {"url": url}}),
        )
        for url in ("https://example.com/a.png", "/etc/passwd")
    ),
    Row("size", 413, "REQUEST_TOO_LARGE", body=chat() + b" " * 2**20, server="strict"),
    Row("media type", 415, "UNSUPPORTED_MEDIA_TYPE", content_type="text/plain"),
    Row(
        "rate limit",
        429,
        "RATE_LIMITED",
        key="rated",
        before=rate_limited,
        server="strict",
        head=True,
    ),
    Row(
        "concurrency limit",
        429,
        "CONCURRENCY_LIMIT",
        key="busy",
        before=lambda server: a_stream("busy", server),
        server="strict",
    ),
    Row(
        "tokens exceed the quota",
        400,
        "TOKENS_EXCEED_QUOTA",
        "max_tokens",
        key="spent",
        body=chat(max_tokens=4_000),
        server="strict",
    ),
    Row(
        "tokens exceed the remaining budget",
        429,
        "TOKEN_LIMIT",
        key="spent",
        body=chat(max_tokens=2_960),
        before=some_tokens_used,
        server="strict",
    ),
    Row("queue full", 503, "QUEUE_FULL", before=only_slot_taken),
]

ERRORS = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    413: openai.APIStatusError,
    415: openai.APIStatusError,
    429: openai.RateLimitError,
    503: openai.InternalServerError,
}


@pytest.fixture
def refusing(request, row):
    """The server of this row, after its setup."""
    server = request.getfixturevalue(row.server)
    with row.before(server):
        yield server


def check_headers(row, headers):
    if row.status in (429, 503):
        assert int(headers["retry-after"]) >= 1
    if row.status == 401:
        assert headers["www-authenticate"].startswith("Bearer ")
    assert headers["x-request-id"]


def send(server, row, **headers):
    """Sends the request with a plain HTTP client."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    headers = {"content-type": row.content_type} | headers
    if row.key:
        headers["authorization"] = f"Bearer {server.keys.get(row.key, row.key)}"
    # Refused by its head, so no body is sent: writing to a closed connection fails.
    body = b"" if row.status == 413 else row.body
    headers["content-length"] = str(len(row.body))
    connection.request("POST", row.path, body, headers)
    response = connection.getresponse()
    return response, response.read()


def each(rows):
    return pytest.mark.parametrize("row", rows, ids=lambda row: row.name)


@each(ROWS)
def test_the_sdk_raises_the_matching_error(refusing, row):
    client = refusing.client(row.key or "none")
    headers = {"content-type": row.content_type}
    if row.key is None:
        headers["authorization"] = openai.Omit()
    path = row.path.removeprefix("/v1")
    with pytest.raises(openai.APIStatusError) as caught:
        client.post(path, cast_to=object, content=row.body, options={"headers": headers})
    error = caught.value
    assert type(error) is ERRORS[row.status]
    assert (error.status_code, error.code, error.param) == (row.status, row.code, row.param)
    assert error.type
    check_headers(row, error.response.headers)


@each(ROWS)
def test_problem_details_have_the_same_information(refusing, row):
    response, body = send(refusing, row, accept="application/problem+json")
    assert response.headers["content-type"] == "application/problem+json"
    problem = json.loads(body)
    assert response.status == problem["status"] == row.status
    assert problem["code"] == row.code
    assert problem["title"] and problem["detail"]
    check_headers(row, response.headers)


@each([row for row in ROWS if row.head])
def test_a_grpc_content_type_does_not_change_the_refusal(refusing, row):
    """FA16: the server has no gRPC routes, so a refusal has an HTTP status."""
    response, body = send(refusing, row, **{"content-type": "application/grpc"})
    assert response.status == row.status
    assert response.headers["content-type"] == "application/json"
    assert "grpc-status" not in response.headers
    assert json.loads(body)["error"]["code"] == row.code
    check_headers(row, response.headers)
