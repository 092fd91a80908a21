"""stockade-server with the configuration of deploy/, in a temporary folder."""

import contextlib
import json
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from common import DEPLOY, HOST, adapt, free_port, run, running
from model_server import ModelServer

UPSTREAM_KEY = "key-of-the-model-server"


@dataclass
class Gateway:
    program: Path
    folder: Path
    port: int
    model: ModelServer

    def key(self, name, scopes="chat:write models:read"):
        """Creates a key: each has a burst of its own."""
        keys = self.folder / "keys.yaml"
        return run(self.program, "key", "--file", keys, "--id", name, "--scopes", scopes).strip()

    def records(self, address):
        """The records of requests from an address."""
        lines = (self.folder / "app.log").read_text().splitlines()
        return [record for record in map(json.loads, lines) if record.get("ip") == address]


def configuration(folder, port, model_port):
    credentials = "/run/credentials/stockade-server.service"
    return adapt(
        (DEPLOY / "stockade.toml").read_text(),
        [
            ("127.0.0.1:8000", f"127.0.0.1:{port}"),
            ("127.0.0.1:8001", f"127.0.0.1:{model_port}"),
            (credentials, folder),
            ("/var/lib/stockade", folder),
            ("/var/log/stockade", folder),
        ],
    )


def write_secrets(folder):
    (folder / "upstream.key").write_text(UPSTREAM_KEY)
    audit = subprocess.run(["openssl", "rand", "-base64", "32"], check=True, capture_output=True).stdout
    (folder / "audit.key").write_bytes(audit)
    for name in ["upstream.key", "audit.key"]:
        (folder / name).chmod(0o600)


@contextlib.contextmanager
def started(program, folder, key_names, section=""):
    """Starts the server, with one more section, and its model server, and yields them with the keys."""
    model = ModelServer()
    threading.Thread(target=model.serve_forever, daemon=True).start()
    gateway = Gateway(program, folder, free_port(), model)
    write_secrets(folder)
    keys = {name: gateway.key(name) for name in key_names}
    keys["metrics"] = gateway.key("metrics", "metrics:read")
    config = folder / "stockade.toml"
    config.write_text(configuration(folder, gateway.port, model.server_port) + section)
    command = [program, "serve", "--config", config]
    with running(command, gateway.port, folder / "server.log"):
        yield gateway, keys
    model.shutdown()


def certificate(folder):
    """A certificate of its own for the host, its key, and both in one file."""
    chain, key, both = (folder / name for name in ["fullchain.pem", "privkey.pem", "combined.pem"])
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-nodes", "-days", "2", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    run(*command, "-keyout", key, "-out", chain)
    both.write_text(chain.read_text() + key.read_text())
    return chain, key, both
