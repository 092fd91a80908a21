"""A server for OpenAI's SDK: the files of `demo` with additional keys, served by `serve`."""

import re
from pathlib import Path

import pytest
from openai import OpenAI

from servers import Process, Server, add_key


class SdkServer(Server):
    def client(self, key="demo"):
        return OpenAI(
            base_url=f"{self.url}/v1",
            api_key=self.keys.get(key, key),
            max_retries=0,
            timeout=60,
        )


@pytest.fixture(scope="session")
def demo_text(tmp_path_factory):
    """The output of the demo and its directory."""
    folder = tmp_path_factory.mktemp("demo") / "files"
    process = Process("demo", "--seed", "1", "--dir", str(folder), "--listen", "127.0.0.1:0")
    process.wait_for("Ctrl-C stops the server")
    yield process.text, folder
    assert process.stop() == 0


def expire(folder: Path, key_id):
    """Sets the expiry of a key to a time in the past."""
    file = folder / "keys.yaml"
    text = file.read_text()
    entry = text[text.index(f"key_id: {key_id}") :]
    valid = re.search(r"expires_at: .*", entry)[0]
    assert entry.count(valid) == 1
    file.write_text(text.replace(valid, 'expires_at: "2020-01-01T00:00:00Z"'))


ONE_AT_A_TIME = "max_running = 1\nmax_queued = 0\n"


@pytest.fixture(scope="session")
def server(demo_text):
    text, folder = demo_text
    keys = {
        "demo": re.search(r"key +(sk_demo_\w+)", text)[1],
        "reader": add_key(folder, "reader", "--scopes", "models:read"),
        "expired": add_key(folder, "expired", "--scopes", "*", "--days", "1"),
    }
    for key_id in ("rated", "busy", "spent"):
        keys[key_id] = add_key(folder, key_id)
    expire(folder, "expired")
    config = folder / "stockade.toml"
    name = 'name = "demo"\n'
    text = config.read_text().replace(name, name + ONE_AT_A_TIME)
    # The demo runs at the address in its configuration.
    config.write_text(re.sub(r'listen = ".*"', 'listen = "127.0.0.1:0"', text))
    yield from serve(config, keys)


@pytest.fixture(scope="session")
def strict(server, demo_text):
    """A server with the same model and keys, and low limits."""
    _, folder = demo_text
    config = folder / "strict.toml"
    text = (folder / "stockade.toml").read_text().replace(ONE_AT_A_TIME, "")
    text = text.replace("[server]\n", "[server]\nmax_body_mb = 1\n")
    config.write_text(text + STRICT)
    yield from serve(config, server.keys)


STRICT = """
[body]
max_mb = 1

[rate_limit]
by_key = "30/hour"

[concurrency]
per_key = 1

[token_budget]
by_key = "3000/hour"

[abuse]
ban_loopback = true
"""


def serve(config: Path, keys):
    server = SdkServer.start(config, keys)
    yield server
    server.stop()


@pytest.fixture
def client(server):
    return server.client()
