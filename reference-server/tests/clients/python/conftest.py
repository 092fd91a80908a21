"""The servers that `run.py` started, and what the suites share."""

import os
from dataclasses import dataclass

import pytest

URL = os.environ["STOCKADE_URL"]
TARGETS = os.environ["STOCKADE_TARGETS"].split()


@dataclass(frozen=True)
class Target:
    """A model of the server."""

    model: str
    url: str = URL
    base_url: str = f"{URL}/v1"
    key: str = os.environ["STOCKADE_KEY"]
    # One request per second.
    limited_key: str = os.environ["STOCKADE_LIMITED_KEY"]

    @property
    def embedding_model(self):
        """The embedding model of the same server."""
        return f"{self.model}-embedding"

    @property
    def metrics_url(self):
        """The metrics of the server that runs the model."""
        return os.environ[f"STOCKADE_METRICS_{self.model.upper()}"] + "/metrics"


@pytest.fixture(params=TARGETS)
def target(request):
    return Target(request.param)


@pytest.fixture(autouse=True)
def description(request, record_property):
    """Adds the client, the target and the call to the report."""
    client = getattr(request.module, "CLIENT", None)
    # Other tests are not in the table.
    if client is None:
        return
    record_property("client", client)
    record_property("target", request.node.callspec.params["target"])
    record_property("call", request.node.originalname.removeprefix("test_"))
