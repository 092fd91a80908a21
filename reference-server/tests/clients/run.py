"""Runs the client libraries against the server, and compares the results with the book.

Three servers run: `front` serves the tiny model `tiny` itself, and `relay`, whose upstream is
`back`, another server with the same model. `docs` is like `front`, without limits, and serves the
description of its API. Each suite is started by the test runner of its language and gets the
addresses in environment variables.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import results
from servers import Server, add_key, demo_files

HERE = Path(__file__).resolve().parent
SERVER = """
[server]
listen = "127.0.0.1:0"

[auth]
keys_file = "keys.yaml"

[log]
format = "text"

[[models]]
name = "tiny"
source = "./model"
default_max_tokens = 8

[[models]]
name = "tiny-embedding"
source = "./embedding-model"
"""
LIMITS = """
[rate_limit]
by_key = "60/minute burst 1"
"""
DOCS = """
[docs]
allowed = true
"""
ADMIN = """
[admin]
listen = "127.0.0.1:0"
"""
RELAY = """
[[models]]
name = "relay"
default_max_tokens = 8
upstream = [{{ url = "{url}/v1", api_key_file = "upstream.key", model = "tiny" }}]

[[models]]
name = "relay-embedding"
apis = ["embeddings"]
upstream = [{{ url = "{url}/v1", api_key_file = "upstream.key", model = "tiny-embedding" }}]
"""


def keys(folder):
    """A key with one request per second, and one without a limit."""
    limited = add_key(folder, "limited")
    key = add_key(folder, "clients", "--scopes", "*")
    file = folder / "keys.yaml"
    text, entry = file.read_text(), "- key_id: clients\n"
    assert text.count(entry) == 1
    # The burst stays 1, so this is one request every 15 ns: some tests send two at once.
    quotas = "  quotas:\n    requests_per_minute: 4000000000\n"
    file.write_text(text.replace(entry, entry + quotas))
    return key, limited


def start(folder, name, text):
    config = folder / f"{name}.toml"
    config.write_text(text)
    return Server.start(config)


def serve(folder):
    """Starts the servers; returns them with the environment of the suites."""
    demo_files(folder)
    key, limited = keys(folder)
    (folder / "upstream.key").write_text(key)
    back = start(folder, "back", SERVER)
    relay = RELAY.format(url=back.url)
    front = start(folder, "front", SERVER + LIMITS + relay)
    # Its keys are changed by the requests to the administration.
    shutil.copy(folder / "keys.yaml", folder / "docs-keys.yaml")
    own_keys = SERVER.replace('"keys.yaml"', '"docs-keys.yaml"')
    docs = start(folder, "docs", own_keys + DOCS + ADMIN + relay)
    setup = docs.process.wait_for(r"(http://\S+)/admin/#setup=(\S+)")
    return [front, docs, back], {
        "STOCKADE_ADMIN_URL": setup[1],
        "STOCKADE_SETUP_TOKEN": setup[2],
        "STOCKADE_URL": front.url,
        "STOCKADE_DOCS_URL": docs.url,
        "STOCKADE_KEY": key,
        "STOCKADE_LIMITED_KEY": limited,
        "STOCKADE_TARGETS": "tiny relay",
        # LiteLLM fetches its list of models from the network otherwise.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        # The servers that run the models.
        "STOCKADE_METRICS_TINY": front.url,
        "STOCKADE_METRICS_RELAY": back.url,
    }


@dataclass(frozen=True)
class Suite:
    """A command that runs tests and writes their report."""

    name: str
    command: list
    folder: Path = HERE
    # The file for the output, where that is the report.
    output: Path | None = None

    def run(self, environment):
        """Returns the exit code."""
        if not self.output:
            return subprocess.run(self.command, cwd=self.folder, env=environment).returncode
        done = subprocess.run(
            self.command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, text=True
        )
        self.output.write_text(done.stdout)
        print(done.stdout)
        return done.returncode


SUITES = ["openai-sdk", "openapi", "admin-api", "python-openai-3", "python-openai-2", "node", "rust"]


def suites(arguments, reports):
    folders = {"openai-sdk": "openai_sdk", "openapi": "openapi", "admin-api": "admin_api"}
    for name, folder in folders.items():
        yield Suite(name, [arguments.python_3, "-m", "pytest", "-q", "--tb=short", folder])
    for version, python in ((3, arguments.python_3), (2, arguments.python_2)):
        report = reports / f"python-openai-{version}.xml"
        options = ["-q", "--tb=short", f"--junitxml={report}"]
        yield Suite(f"python-openai-{version}", [python, "-m", "pytest", *options, f"python/openai_{version}"])
    reporters = ["--test-reporter=spec", "--test-reporter-destination=stdout"]
    report = reports / "node.xml"
    reporters += ["--test-reporter=junit", f"--test-reporter-destination={report}"]
    yield Suite("node", ["node", "--test", "--test-concurrency=1", *reporters], HERE / "node")
    cargo = ["cargo", "test", "--quiet", "--locked", "--target-dir", arguments.target]
    options = ["--test-threads=1", "--format=pretty"]
    yield Suite("rust", [*cargo, "--", *options], HERE / "rust", reports / "async-openai.txt")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python-3", required=True, help="Python with version 3 of openai")
    parser.add_argument("--python-2", required=True, help="Python with version 2 of openai")
    parser.add_argument("--target", required=True, help="the target directory of cargo")
    parser.add_argument("--suite", choices=SUITES, help="run only this suite")
    parser.add_argument("--write", action="store_true", help="write the tables of the book")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="stockade-clients-") as scratch:
        reports = Path(scratch) / "reports"
        reports.mkdir()
        servers, environment = serve(Path(scratch) / "files")
        try:
            statuses = [
                suite.run(os.environ | environment)
                for suite in suites(arguments, reports)
                if arguments.suite in (None, suite.name)
            ]
        finally:
            for server in servers:
                server.stop()
        rows = results.read(reports)
    print(results.text(rows))
    if any(statuses):
        sys.exit(1)
    # The book shows all suites.
    sys.exit(0 if arguments.suite else results.check(rows, write=arguments.write))


if __name__ == "__main__":
    main()
