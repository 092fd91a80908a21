"""Chats with a server, and their times."""

import dataclasses
import json
import threading
import time
from http.client import HTTPConnection, HTTPException

from bench import OutOfTime
from pictures import data_url


class ChatFailed(Exception):
    """A chat did not succeed; the message has the server's error."""

    def __init__(self, status, text):
        super().__init__(f"status {status}: {text[:300]}")
        self.status = status


@dataclasses.dataclass
class Answer:
    text: str
    first_token: float  # seconds
    seconds: float
    tokens: int
    prompt_tokens: int


def question(text, pictures=(), tokens=128, **fields):
    """The body of a chat."""
    parts = [{"type": "image_url", "image_url": {"url": data_url(picture)}} for picture in pictures]
    content = [{"type": "text", "text": text}, *parts] if parts else text
    return {
        "model": "model",
        "messages": [{"role": "user", "content": content}],
        "max_tokens": tokens,
        "temperature": 0,
        **fields,
    }


class Client:
    """One connection with one key."""

    def __init__(self, server, key=0):
        self.deadline = server.bench.deadline
        seconds = max(1.0, self.deadline.left())
        self.connection = HTTPConnection("127.0.0.1", server.port, timeout=seconds)
        self.headers = {
            "authorization": f"Bearer {server.keys[key]}",
            "content-type": "application/json",
        }

    def _send(self, body):
        self.deadline.check("chats were still running")
        payload = json.dumps(body)
        start = time.monotonic()
        self.connection.request("POST", "/v1/chat/completions", payload, self.headers)
        response = self.connection.getresponse()
        if response.status != 200:
            raise ChatFailed(response.status, response.read().decode(errors="replace"))
        return response, start

    def complete(self, body):
        """A chat without a stream: its first choice and its usage."""
        response, _ = self._send(body)
        answer = json.loads(response.read())
        return answer["choices"][0], answer["usage"]

    def stream(self, body):
        """A chat with a stream. The time starts before the request is sent."""
        options = {"stream": True, "stream_options": {"include_usage": True}}
        response, start = self._send(body | options)
        text, first, usage = "", None, None
        while line := response.readline():
            if not line.startswith(b"data: ") or line.strip() == b"data: [DONE]":
                continue
            event = json.loads(line[6:])
            if "error" in event:
                raise ChatFailed(200, json.dumps(event["error"]))
            usage = event.get("usage") or usage
            for choice in event["choices"]:
                piece = choice["delta"].get("content")
                if piece:
                    first = first or time.monotonic() - start
                    text += piece
        seconds = time.monotonic() - start
        if usage is None or first is None:
            raise ChatFailed(200, "the stream has no text or no usage")
        return Answer(text, first, seconds, usage["completion_tokens"], usage["prompt_tokens"])


def percentile(values, percent):
    """The nearest-rank percentile."""
    values = sorted(values)
    return values[max(0, -(-percent * len(values) // 100) - 1)]


def milliseconds(seconds):
    return round(1000 * seconds, 2)


def summary(answers, wall):
    """The figures of chats that took `wall` seconds together."""
    firsts = [answer.first_token for answer in answers]
    later = sum(answer.tokens - 1 for answer in answers)
    decoding = sum(answer.seconds - answer.first_token for answer in answers)
    return {
        "chats": len(answers),
        "completion_tokens": sum(answer.tokens for answer in answers),
        "prompt_tokens_per_chat": answers[0].prompt_tokens,
        "tokens_per_second": round(sum(answer.tokens for answer in answers) / wall, 2),
        "tokens_per_second_of_a_chat": round(later / decoding, 2) if decoding > 0 else None,
        "first_token_p50_ms": milliseconds(percentile(firsts, 50)),
        "first_token_p95_ms": milliseconds(percentile(firsts, 95)),
        "chat_p50_ms": milliseconds(percentile([answer.seconds for answer in answers], 50)),
    }


def load(server, clients, chats, body, seconds):
    """Chats of concurrent clients, each one after the other; no new one after `seconds`.

    `body(client, chat)` is the body of a chat.
    """
    answers, errors, lock = [], [], threading.Lock()
    start = time.monotonic()

    def work(number):
        client = Client(server)
        try:
            for chat in range(chats):
                if chat and time.monotonic() - start > seconds:
                    return
                answer = client.stream(body(number, chat))
                with lock:
                    answers.append(answer)
        except (ChatFailed, OSError, HTTPException, OutOfTime) as error:
            with lock:
                errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.monotonic() - start
    if not answers:
        raise errors[0]
    figures = {"clients": clients, "seconds": round(wall, 2), **summary(answers, wall)}
    if errors:
        figures["failed_clients"] = len(errors)
        figures["first_error"] = str(errors[0])
    return figures
