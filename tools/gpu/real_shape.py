"""The stage with a random model of the real shape: memory, and speed with several clients."""

import machine
from bench import GpuMemory, OutOfTime
from client import Client, load, milliseconds, question
from pictures import drawn
from server import FENCE, Server
from stages import compare

CLIENTS = (1, 4, 16)
TEXT_TOKENS, PICTURE_TOKENS = 128, 32
# No client starts another chat after this time.
LOAD_SECONDS = 20
# Three more starts of the model.
SECONDS_FOR_COMPARISON = 60


def _text(client, chat):
    # Of equal length, which a batch of the engine needs.
    return question(f"Describe item {client:02} of list {chat:02}", tokens=TEXT_TOKENS)


def _pictures(bench, count):
    """New pictures, because the engine keeps what it has seen."""
    made = (drawn(*bench.shape["picture"], seed) for seed in range(count))
    return list(made)


def real_shape(bench, figures):
    """Memory, tokens per second and time to first token with 1, 4 and 16 clients."""
    figures["shape"] = bench.shape_name
    model, figures["model"] = bench.model()
    chats = {1: 3, 4: 2, 16: 1}
    pictures = iter(_pictures(bench, 1 + sum(clients * chats[clients] for clients in CLIENTS)))
    settings = "max_running = 16\nmax_queued = 32\ncontext = 4096"
    width, height = bench.shape["picture"]
    size = {"width": width, "height": height, "completion_tokens": PICTURE_TOKENS}
    with (
        GpuMemory(bench) as memory,
        Server(bench, model, fence=FENCE, model_settings=settings) as server,
    ):
        report = server.model_report()
        figures["load_seconds"] = round(server.load_seconds, 2)
        figures["model_device"] = report["device"]
        figures["memory_bytes"] = report.get("memory")
        memory.sample()
        figures["gpu_memory_loaded_mib"] = memory.last
        client = Client(server)
        first = client.stream(question("Warm up", tokens=8))
        look = client.stream(question("Look", [next(pictures)], tokens=8))
        figures["first_text_ms"] = milliseconds(first.seconds)
        figures["first_picture_ms"] = milliseconds(look.seconds)
        figures["picture"] = size | {"prompt_tokens": look.prompt_tokens}
        figures["text"], figures["pictures"] = [], []
        for clients in CLIENTS:
            done = load(server, clients, 2, _text, LOAD_SECONDS)
            figures["text"].append(done)
        for clients in CLIENTS:
            turns = [[next(pictures) for _ in range(chats[clients])] for _ in range(clients)]

            def body(client, chat, turns=turns):
                return question("Look", [turns[client][chat]], tokens=PICTURE_TOKENS)

            done = load(server, clients, chats[clients], body, LOAD_SECONDS)
            figures["pictures"].append(done)
        figures["peak_memory_mib"] = machine.peak_memory_mib(server.process.pid)
    figures |= memory.figures()
    if bench.on_gpu and bench.deadline.left() < SECONDS_FOR_COMPARISON:
        figures["one_client"] = "not run: no time left"
        return
    try:
        figures["one_client"] = compare(bench, model, 3, TEXT_TOKENS, "Describe item 01")
    except OutOfTime as error:
        figures["one_client"] = str(error)
