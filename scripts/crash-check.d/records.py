"""The records of a server: no crash looks like a removal of records."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import trace
from disk import Folder

CONFIG = """
[server]
listen = "127.0.0.1:{port}"
[auth]
keys_file = "{folder}/keys.yaml"
[[models]]
name = "relay"
upstream = [{{ url = "http://127.0.0.1:9/v1" }}]
[audit]
file = "app.log"
key_file = "{folder}/audit.key"
on_overflow = "fail_closed"
"""
REQUESTS = 5
# What `stockade audit verify` reports if records are missing that its head knows.
REMOVED = "the head shows that it was longer"


class Failure(Exception):
    """What a crash must not leave."""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def status(url):
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=5) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def check(cli, server, scratch):
    """Checks all states of the log; returns their number."""
    folder, other = scratch / "folder", scratch / "other"
    folder.mkdir()
    other.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}

    def stockade(arguments, where=other):
        return subprocess.run([cli, *arguments.split()], cwd=where, env=environment, capture_output=True, text=True)

    made = stockade("keys new --id a --scope models:read --expires 90d")
    assert made.returncode == 0, made.stderr
    (other / "audit.key").write_text("0123456789abcdef" * 4)
    (other / "audit.key").chmod(0o600)
    port = free_port()
    config = folder / "stockade.toml"
    config.write_text(CONFIG.format(port=port, folder=other))
    model = Folder({config.name: config.read_bytes()})

    def use(strace):
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while status(f"{url}/health/live") != 200:
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.1)
        for _ in range(REQUESTS):
            assert status(f"{url}/v1/models") == 401
            # The log is synced every second.
            time.sleep(0.4)
        os.kill(trace.traced(strace), signal.SIGTERM)

    calls = list(trace.run([server, "serve", "--config", config.name], folder, scratch / "trace", environment, use))
    seen = []
    for call, name in trace.replay(calls, folder.resolve(), model):
        for state in model.states():
            log = {name: state[name] for name in state if name.startswith("app.log")}
            if "app.log" in log and log not in seen:
                seen.append(log)
                verify(stockade, log, other / "audit.key", f"a crash after {call} {name}".strip(), scratch)
    end = model.names["app.log"].content
    if end != (folder / "app.log").read_bytes() or end.count(b"\n") < REQUESTS:
        raise Failure("the model differs from the log")
    if any(state.get("app.log") != end for state in model.states()):
        raise Failure("a crash after the end loses records")
    return len(seen)


def verify(stockade, log, key, when, scratch):
    folder = tempfile.mkdtemp(dir=scratch)
    for name, content in log.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)
    done = stockade(f"audit verify app.log --key-file {key}", folder)
    if done.returncode not in (0, 1) or REMOVED in done.stdout + done.stderr:
        raise Failure(f"{when}: {done.stdout}{done.stderr}\n{log}")
    shutil.rmtree(folder)
