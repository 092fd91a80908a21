"""The command `llm`, with the server as an OpenAI-compatible model."""

import base64
import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner
from llm.cli import cli

from checks import Weather, png, validate, wait_for_running_chats

CLIENT = "llm"
MODELS = """
- model_id: {model}
  model_name: {model}
  api_base: {base_url}
  api_key_name: stockade
  vision: true
  supports_schema: true
  supports_tools: true
- model_id: {model}-completions
  model_name: {model}
  api_base: {base_url}
  api_key_name: stockade
  completion: true
- model_id: unknown
  model_name: unknown
  api_base: {base_url}
  api_key_name: stockade
"""

FUNCTION = """
def get_weather(city: str) -> str:
    "The temperature in a city"
    return "20 degrees"
"""


class Llm:
    """The program with its settings in a directory."""

    def __init__(self, folder, target):
        self.folder, self.target = folder, target
        folder.mkdir(exist_ok=True)
        (folder / "extra-openai-models.yaml").write_text(
            MODELS.format(model=target.model, base_url=target.base_url)
        )
        self.environment = {"LLM_USER_PATH": str(folder)}
        self.set_key(target.key)

    def set_key(self, key):
        (self.folder / "keys.json").write_text(json.dumps({"stockade": key}))

    # In this process, because the program starts slowly.
    def run(self, *arguments, code=0):
        done = CliRunner().invoke(cli, arguments, env=self.environment)
        assert done.exit_code == code, done.output
        return done.output

    def ask(self, *arguments, model=None, tokens=8, log=False, **options):
        prompt = ["prompt", "hello", "--model", model or self.target.model]
        if not log:
            prompt.append("--no-log")
        return self.run(*prompt, "--option", "max_tokens", str(tokens), *arguments, **options)

    def last_log(self):
        [log] = json.loads(self.run("logs", "list", "--json", "--count", "1"))
        return log


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("llm")


# One directory for each target, because the program creates a database in it.
@pytest.fixture
def llm(folder, target):
    return Llm(folder / target.model, target)


def test_chat(llm, target):
    assert llm.ask("--no-stream", "--system", "Be brief.", log=True).strip()
    # Its own message is accepted in the next request.
    assert llm.ask("--no-stream", "--continue").strip()


def test_stream(llm, target):
    greedy = ("--option", "temperature", "0")
    assert llm.ask(*greedy) == llm.ask("--no-stream", *greedy)


def test_image(llm, target, tmp_path):
    image = tmp_path / "image.png"
    image.write_bytes(base64.b64decode(png()))
    assert llm.ask("--attachment", str(image)).strip()


def test_seed(llm, target):
    options = ("--option", "seed", "7", "--option", "temperature", "1")
    assert llm.ask(*options) == llm.ask(*options)


def test_stop(llm, target):
    greedy = ("--option", "temperature", "0")
    text = llm.ask(*greedy)
    assert text[2:4] not in llm.ask(*greedy, "--option", "stop", text[2:4])


def test_json(llm, target):
    schema = json.dumps(Weather.model_json_schema())
    validate(llm.ask("--schema", schema, tokens=128))


# The program has no option that demands a call.
def test_auto_tools(llm, target):
    llm.ask("--functions", FUNCTION, log=True)
    with_tools = llm.last_log()
    # The model may call the function; one with random weights does not.
    assert with_tools["response"]
    llm.ask(log=True)
    assert with_tools["input_tokens"] > llm.last_log()["input_tokens"]


def test_completions(llm, target):
    assert llm.ask(model=f"{target.model}-completions").strip()


def test_usage(llm, target):
    llm.ask(log=True)
    log = llm.last_log()
    assert log["input_tokens"] > 0 and log["output_tokens"] == 8


def test_unknown_model(llm, target):
    assert "MODEL_NOT_FOUND" in llm.ask(model="unknown", code=1)


def test_bad_key(llm, target):
    llm.set_key("sk_demo_" + "0" * 36)
    assert "401" in llm.ask(code=1)


def test_disconnect(llm, target):
    arguments = ["prompt", "hello", "--model", target.model, "--option", "max_tokens", "8000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "llm", *arguments],
        env=os.environ | llm.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        # The program starts slowly.
        wait_for_running_chats(target, 1, seconds=60)
    finally:
        process.terminate()
    wait_for_running_chats(target, 0)
    process.wait()
