"""What the parts of deploy-check share."""

import contextlib
import os
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
HOST = "api.example.com"
# Seconds until a program must listen, or a condition must hold.
TIMEOUT = 30


class Failure(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failure(what)


def until(condition, what):
    """Polls until the condition returns something, and returns it."""
    deadline = time.monotonic() + TIMEOUT
    while not (found := condition()):
        expect(time.monotonic() < deadline, f"not within {TIMEOUT} s: {what}")
        time.sleep(0.05)
    return found


def run(*command, **options):
    """Runs a program, which must succeed, and returns its output."""
    done = subprocess.run(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )
    expect(done.returncode == 0, f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout


def adapt(text, changes):
    """Replaces each text, which must occur: otherwise the file has changed, and the check has not."""
    for old, new in changes:
        expect(old in text, f"the file does not contain {old!r}")
        text = text.replace(old, str(new))
    return text


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def is_open(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def running(command, port, log, **options):
    """Runs a program until the end of the block; it must listen on the port."""
    with open(log, "w", encoding="utf-8") as out:
        process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=out, **options)
        try:
            def listens():
                expect(process.poll() is None, f"{command[0]} does not start:\n{Path(log).read_text()}")
                return is_open(port)

            until(listens, f"{command[0]} listens:\n{Path(log).read_text()}")
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def as_root():
    """The start of a command that needs root."""
    return [] if os.geteuid() == 0 else ["sudo", "-n"]
