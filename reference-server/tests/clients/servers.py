"""Starts `stockade-server` for tests. STOCKADE_SERVER_BIN is the path of the program."""

import os
import re
import subprocess
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path


class Process:
    """A running server whose output is collected while it runs."""

    def __init__(self, *args):
        command = [os.environ["STOCKADE_SERVER_BIN"], *args]
        self.child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.text = ""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.child.stdout:
            self.text += line

    def wait_for(self, pattern, seconds=60):
        """Waits for a pattern in the output, and returns the match."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if match := re.search(pattern, self.text):
                return match
            if self.child.poll() is not None and not self.reader.is_alive():
                break
            time.sleep(0.02)
        raise AssertionError(f"no {pattern!r} in:\n{self.text}")

    def stop(self):
        """Sends SIGTERM, and returns the exit code."""
        self.child.terminate()
        return self.child.wait(timeout=60)


@dataclass
class Server:
    """A server that accepts requests."""

    process: Process
    url: str
    keys: dict = field(default_factory=dict)

    @classmethod
    def start(cls, config: Path, keys=None):
        """Serves a configuration, and waits until its model in this process is ready."""
        process = Process("serve", "--config", str(config))
        address = process.wait_for(r"listening.*address=(\S+)")[1]
        # The server is ready as soon as one of its models is.
        process.wait_for("the model is ready")
        server = cls(process, f"http://{address}", keys or {})
        with urllib.request.urlopen(f"{server.url}/health/ready", timeout=5) as health:
            assert health.status == 200
        return server

    def stop(self):
        assert self.process.stop() == 0, self.process.text


def add_key(folder: Path, key_id, *args):
    """Adds a key with the `key` command."""
    file = str(folder / "keys.yaml")
    command = [os.environ["STOCKADE_SERVER_BIN"], "key", "--file", file, "--id", key_id]
    done = subprocess.run([*command, *args], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def demo_files(folder: Path):
    """Starts `demo` until it is ready, so that its files are in the folder; returns its output."""
    process = Process("demo", "--seed", "1", "--dir", str(folder), "--listen", "127.0.0.1:0")
    process.wait_for("Ctrl-C stops the server")
    assert process.stop() == 0
    return process.text
