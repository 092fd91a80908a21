"""stockade-server on each machine, in front of a model server, with the same configuration."""

import http.client
import signal
import sys

from common import ROOT, run, until

STUB = ROOT / "scripts/deploy-check.d/model_server.py"
COMMON = """
[server]
listen = "0.0.0.0:8000"

[[models]]
name = "holo"
upstream = [{ url = "http://127.0.0.1:8001/v1" }]

[log]
level = "info"
"""


def keys_file(folder, program, *ids):
    """Creates keys in a file for all machines, and returns them."""
    file = folder / "keys.yaml"
    return [run(program, "key", "--file", file, "--id", name).strip() for name in ids]


def limits(folder, redis_port, quota, policy="deny", lease=0, more=""):
    """A configuration with one quota for each key, shared through Redis on this machine's address."""
    return (
        f'{COMMON}\n[auth]\nkeys_file = "{folder}/keys.yaml"\n\n[rate_limit]\nby_key = ["{quota}"]\n\n[store]\n'
        f'redis = "redis://127.0.0.1:{redis_port}"\nnamespace = "cluster"\non_failure = "{policy}"\n'
        f"local_fraction = {LOCAL_FRACTION}\nlease = {lease}\n{more}"
    )


# One third, rounded down.
LOCAL_FRACTION = 0.333


def with_database(url, machine):
    """A configuration with keys and records in PostgreSQL."""
    return (
        f'{COMMON}\n[auth]\nkeys_database = "{url}"\n\n[audit]\ndatabase = "{url}"\n'
        f'database_log = "machine-{machine.number}"\non_overflow = "drop"\n'
    )


def stream(machine, key):
    """The start of a streamed chat, which the model server does not end for a minute."""
    connection = http.client.HTTPConnection(machine.address, 8000, timeout=10)
    body = '{"model": "holo", "stream": true, "messages": [{"role": "user", "content": "ping"}]}'
    connection.request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {key}", "content-type": "application/json"})
    return connection.getresponse()


class Server:
    def __init__(self, machine, program, config):
        self.machine = machine
        self.file = machine.folder / "stockade.toml"
        self.write(config)
        if not machine.listens(8001):
            machine.start("model.log", sys.executable, STUB, "8001")
        until(lambda: machine.listens(8001), "the model server listens")
        self.process = machine.start("server.log", program, "serve", "--config", self.file)
        until(lambda: self.process.poll() is not None or machine.listens(8000), f"the server of {machine.name} listens")

    def write(self, config):
        self.file.write_text(config)
        self.file.chmod(0o600)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def reload(self, config):
        self.write(config)
        self.process.send_signal(signal.SIGHUP)
