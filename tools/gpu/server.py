"""stockade-server with a configuration of its own, on loopback."""

import json
import secrets
import signal
import socket
import subprocess
import time
from http.client import HTTPConnection, HTTPException

# Requests that pass the whole fence: each limit is checked, and none is reached.
FENCE = """
[rate_limit]
by_ip = ["1000000/minute"]
by_key = ["1000000/minute", "100000000/day"]

[concurrency]
per_key = 64
total = 256

[token_budget]
by_key = ["1000000000/minute"]

[audit]
file = "app.log"
security_file = "audit.log"
key_file = "audit.key"
"""
SCOPES = "chat:write models:read metrics:read"


class ServerFailed(Exception):
    """The server did not start, or has ended."""


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A running server. `clients` is the number of its keys."""

    def __init__(self, bench, model, *, device=None, fence="", model_settings="", clients=1):
        self.bench = bench
        self.device = device or bench.device
        self.folder = bench.new_folder("server")
        self.port = _free_port()
        self.process = None
        self.load_seconds = None
        (self.folder / "audit.key").write_text(secrets.token_hex(32), encoding="ascii")
        (self.folder / "audit.key").chmod(0o600)
        (self.folder / "stockade.toml").write_text(
            f'[server]\nlisten = "127.0.0.1:{self.port}"\n\n'
            f"[model]\nsource = {json.dumps(str(model))}\nname = \"model\"\n"
            f'device = "{self.device}"\n{model_settings}\n'
            f'[auth]\nkeys_file = "keys.yaml"\n\n[log]\nlevel = "warn"\n{fence}',
            encoding="utf-8",
        )
        self.keys = [self._new_key(f"client-{number}") for number in range(clients)]

    def _new_key(self, name):
        file = self.folder / "keys.yaml"
        command = [self.bench.server, "key", "--file", file, "--id", name, "--scopes", SCOPES]
        return self.bench.run(command).strip()

    def __enter__(self):
        start = time.monotonic()
        with open(self.folder / "server.log", "wb") as log:
            self.process = subprocess.Popen(
                [self.bench.server, "serve", "--config", self.folder / "stockade.toml"],
                stdout=log,
                stderr=log,
                env=self.bench.environment,
            )
        self.bench.servers.add(self.process)
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        self.load_seconds = time.monotonic() - start
        return self

    def _wait_until_ready(self):
        while True:
            if self.process.poll() is not None:
                raise ServerFailed(f"the server ended with {self.process.returncode}: {self._log()}")
            self.bench.deadline.check("the model was still being loaded")
            try:
                report = self.details()
            except (OSError, HTTPException):
                report = {"status": "starting", "models": []}
            if report["status"] == "ready":
                return
            errors = [model["error"] for model in report["models"] if model.get("error")]
            if errors:
                raise ServerFailed(errors[0])
            time.sleep(0.02)

    def _log(self):
        lines = (self.folder / "server.log").read_text(encoding="utf-8", errors="replace").split("\n")
        return " | ".join(line for line in lines[-6:] if line)

    def details(self):
        """The answer of /health/details."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            headers = {"authorization": f"Bearer {self.keys[0]}"}
            connection.request("GET", "/health/details", headers=headers)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def model_report(self):
        """The device, the memory and the load of the model."""
        return self.details()["models"][0]

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.bench.servers.discard(self.process)
