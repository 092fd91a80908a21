"""The stages that need only small models: load, answers, quirks, speed and fairness."""

import json
import threading
import time
from http.client import HTTPException

import machine
import shapes
from bench import GpuMemory, OutOfTime, StageFailed
from client import ChatFailed, Client, milliseconds, percentile, question, summary
from pictures import variant
from server import FENCE, Server

DEMO_QUESTION = "Click the Submit button"
TEXTS = [
    "Hello",
    "Which shape is red?",
    "What can you do?",
    "Click Submit",
    "How many circles are there?",
]
QUESTIONS = [
    DEMO_QUESTION,
    "What colour is the Submit button?",
    "How many buttons are there?",
    "How many circles are there?",
    "Click the Cancel button",
    "What does the blue button say?",
]


def _example(bench):
    return (bench.demo / "example.png").read_bytes()


def _chats(bench):
    """The fixed chats of the comparison: texts, one picture, two pictures."""
    picture = _example(bench)
    chats = {f"text: {text}": question(text, tokens=24) for text in TEXTS}
    for text in QUESTIONS:
        chats[f"one picture: {text}"] = question(text, [picture], tokens=24)
    for text in QUESTIONS[:3]:
        pair = [picture, variant(picture, 128)]
        chats[f"two pictures: {text}"] = question(text, pair, tokens=24)
    return chats


def load(bench, figures):
    """Loads the demo's model, and asks it for the click that it was trained for."""
    with GpuMemory(bench) as memory, Server(bench, bench.demo) as server:
        report = server.model_report()
        start = time.monotonic()
        choice, _ = Client(server).complete(question(DEMO_QUESTION, [_example(bench)], tokens=24))
        first = time.monotonic() - start
        peak = machine.peak_memory_mib(server.process.pid)
    text = choice["message"]["content"]
    figures |= {
        "model_device": report["device"],
        "load_seconds": round(server.load_seconds, 3),
        "memory_bytes": report.get("memory"),
        "peak_memory_mib": peak,
        "first_request_ms": milliseconds(first),
        "answer": text,
        **memory.figures(),
    }
    if not report["device"].startswith(bench.device):
        raise StageFailed(f"the model runs on {report['device']}")
    if not text.startswith("Click("):
        raise StageFailed("the answer to the demo's question is no click")


def _answers(bench, device):
    with Server(bench, bench.demo, device=device) as server:
        client = Client(server)
        answers = {}
        for name, body in _chats(bench).items():
            choice, usage = client.complete(body | {"logprobs": True, "top_logprobs": 2})
            tops = [token["top_logprobs"] for token in choice["logprobs"]["content"]]
            margins = [two[0]["logprob"] - two[1]["logprob"] for two in tops if len(two) > 1]
            answers[name] = {
                "text": choice["message"]["content"],
                "finish": choice["finish_reason"],
                "tokens": usage["completion_tokens"],
                "least_margin": round(min(margins), 4) if margins else None,
            }
        return answers


def answers(bench, figures):
    """Compares the answers at temperature 0 with those of the CPU."""
    reference, measured = _answers(bench, "cpu"), _answers(bench, bench.device)
    rows = []
    for name, expected in reference.items():
        actual = measured[name]
        keys = ("text", "finish", "tokens")
        row = {"chat": name, "equal": all(expected[key] == actual[key] for key in keys)}
        # The difference between the log probabilities of the CPU's choice and the next token.
        row |= {"answer": expected["text"], "least_margin": expected["least_margin"]}
        if not row["equal"]:
            row["measured"] = actual
        rows.append(row)
    equal = sum(row["equal"] for row in rows)
    figures |= {
        "compared": f"cpu (f32) and {bench.device} ({bench.precision})",
        "equal": equal,
        "of": len(rows),
        "chats": rows,
    }
    if equal < len(rows):
        raise StageFailed(f"{len(rows) - equal} of {len(rows)} answers differ")


def quirks(bench, figures):
    """Faults 2, 3 and 12 in the bare engine, and the server's workarounds."""
    figures["engine"] = json.loads(bench.run([bench.probe, "quirks", bench.device]))
    chats = [body for name, body in _chats(bench).items() if not name.startswith("two")]
    with Server(bench, bench.demo, model_settings="max_running = 8\nmax_queued = 64") as server:
        alone = [Client(server).stream(body).text for body in chats]
        together, errors = [None] * len(chats), []

        def ask(number):
            try:
                together[number] = Client(server).stream(chats[number]).text
            except (ChatFailed, OutOfTime, OSError, HTTPException) as error:
                errors.append(str(error))

        different = 0
        for _ in range(3):
            threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(chats))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            different += sum(a != b for a, b in zip(alone, together, strict=True))
        try:
            Client(server).stream(question(DEMO_QUESTION, [_example(bench)] * 3))
            third = "accepted"
        except ChatFailed as error:
            third = f"status {error.status}"
    figures["server"] = {
        "concurrent_chats": len(chats),
        "rounds": 3,
        "different": different,
        "errors": errors[:3],
        "three_images": third,
    }
    engine = figures["engine"]
    if different or errors:
        raise StageFailed("concurrent chats of the server have other answers")
    if third != "status 400":
        raise StageFailed("the server accepts a third image")
    if bench.on_gpu and engine["quirk_12"]["exists"]:
        raise StageFailed("fault 12 exists on CUDA, where the server batches texts")


def _probe_speed(bench, model, requests, tokens, text, pictures=()):
    """The engine alone: no HTTP, no JSON, no fence, and pictures that are already decoded."""
    folder = bench.new_folder("pictures")
    command = [bench.probe, "speed", bench.device, model, "--requests", requests + WARM_UP]
    command += ["--tokens", tokens, "--question", text]
    for number, picture in enumerate(pictures):
        file = folder / f"{number}.png"
        file.write_bytes(picture)
        command += ["--picture", file]
    report = json.loads(bench.run(command))
    chats = report["chats"][WARM_UP:]
    firsts = [chat["first_token_seconds"] for chat in chats]
    later = sum(chat["tokens"] - 1 for chat in chats)
    decoding = sum(chat["seconds"] - chat["first_token_seconds"] for chat in chats)
    return {
        "chats": len(chats),
        "load_seconds": round(report["load_seconds"], 2),
        "first_request_ms": milliseconds(report["chats"][0]["seconds"]),
        "tokens_per_second": round(
            sum(chat["tokens"] for chat in chats) / sum(chat["seconds"] for chat in chats), 2
        ),
        "tokens_per_second_of_a_chat": round(later / decoding, 2) if decoding > 0 else None,
        "first_token_p50_ms": milliseconds(percentile(firsts, 50)),
        "first_token_p95_ms": milliseconds(percentile(firsts, 95)),
    }


WARM_UP = 3


def _server_speed(bench, model, fence, requests, tokens, text, pictures=()):
    with Server(bench, model, fence=fence) as server:
        client = Client(server)
        answers, start = [], time.monotonic()
        for number in range(requests + WARM_UP):
            if number == WARM_UP:
                start = time.monotonic()
            shown = [pictures[number % len(pictures)]] if pictures else []
            answers.append(client.stream(question(text, shown, tokens=tokens)))
        figures = summary(answers[WARM_UP:], time.monotonic() - start)
        return {**figures, "first_request_ms": milliseconds(answers[0].seconds)}


def compare(bench, model, requests, tokens, text, pictures=()):
    """The same chats, one after the other, with the engine alone and behind the fence."""
    args = (requests, tokens, text, pictures)
    figures = {"engine_alone": None}
    if bench.probe:
        figures["engine_alone"] = _probe_speed(bench, model, *args)
    figures["server_keys_only"] = _server_speed(bench, model, "", *args)
    figures["server_whole_fence"] = _server_speed(bench, model, FENCE, *args)
    return figures


def speed(bench, figures):
    """Time to first token and tokens per second, with the engine alone and behind the fence."""
    bench.wait_for_model()
    picture = _example(bench)
    pictures = [variant(picture, number) for number in range(bench.requests + WARM_UP)]
    tiny = bench.new_folder("tiny") / "model"
    shapes.write(tiny, shapes.TINY)
    tokens, fewer = 24, max(1, bench.requests // 5)
    figures["demo_text"] = compare(bench, bench.demo, bench.requests, tokens, "Click Submit")
    figures["demo_picture"] = compare(
        bench, bench.demo, bench.requests, tokens, DEMO_QUESTION, pictures
    )
    figures["tiny_random_128_tokens"] = compare(bench, tiny, fewer, 128, "Hello")


def fairness(bench, figures):
    """A short chat, alone and while another client has 33 chats of 400 tokens."""
    tiny = bench.new_folder("tiny") / "model"
    shapes.write(tiny, shapes.TINY)
    settings = "max_running = 1\nmax_queued = 64\nqueue_wait_secs = 120"
    ended, lock = [], threading.Lock()
    with Server(bench, tiny, clients=2, model_settings=settings) as server:
        short = Client(server, key=1)
        short.stream(question("warm up", tokens=128))
        alone = [short.stream(question("Hello", tokens=128)).seconds for _ in range(4)]
        start = time.monotonic()

        def long_chat():
            try:
                Client(server, key=0).stream(question("Hello", tokens=400))
                result = "completed"
            except (ChatFailed, OutOfTime, OSError, HTTPException) as error:
                result = str(error)
            with lock:
                ended.append((result, time.monotonic() - start))

        threads = [threading.Thread(target=long_chat) for _ in range(33)]
        for thread in threads:
            thread.start()
        # Until most of them wait.
        while server.model_report()["waiting"] < 28 and len(ended) < 5:
            bench.deadline.check("the chats of the first client did not queue")
        waiting = server.model_report()["waiting"]
        during = [short.stream(question("Hello", tokens=128)).seconds for _ in range(4)]
        left = 33 - len(ended)
        for thread in threads:
            thread.join()
    figures |= {
        "short_chat_alone_seconds": [round(seconds, 3) for seconds in alone],
        "waiting_when_the_short_chats_start": waiting,
        "short_chat_during_seconds": [round(seconds, 3) for seconds in during],
        "long_chats_left_after_the_short_ones": left,
        "long_chats_completed": sum(result == "completed" for result, _ in ended),
        "last_long_chat_seconds": round(max(seconds for _, seconds in ended), 2),
    }
    if max(during) > figures["last_long_chat_seconds"] / 3:
        raise StageFailed("a short chat waited for a third of the other client's queue")
