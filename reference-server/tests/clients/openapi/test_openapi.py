"""The server against its OpenAPI description, with requests that Schemathesis generates.

The requests are the same in each run. A test of an operation sends valid and invalid ones, and runs
all checks of Schemathesis but one, see `EXCLUDED`.
"""

import os
from collections import Counter, defaultdict

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

URL = os.environ["STOCKADE_DOCS_URL"]
TARGETS = os.environ["STOCKADE_TARGETS"].split()
HEADERS = {"authorization": f"Bearer {os.environ['STOCKADE_KEY']}"}
MAX_TOKENS = 8
# The server refuses some valid requests: conditions between fields are not in the description, and
# unknown fields are refused or ignored by configuration.
EXCLUDED = [positive_data_acceptance]
# What a chat model answers to APIs that it does not have: this code, instead of a success.
UNSUPPORTED = {
    ("POST /v1/embeddings", "tiny"): "UNSUPPORTED_PARAMETER",
    ("POST /v1/embeddings", "relay"): "UPSTREAM_REJECTED",
    ("POST /v1/rerank", "tiny"): "UNSUPPORTED_PARAMETER",
    ("POST /v1/rerank", "relay"): "UPSTREAM_REJECTED",
    ("POST /v1/messages/count_tokens", "relay"): "UNSUPPORTED_PARAMETER",
}

schema = schemathesis.openapi.from_url(f"{URL}/openapi.json", timeout=10)
# Each request has the key of `HEADERS`; the checks omit it by themselves.
schema.config.generation.update(with_security_parameters=False)


def code(response):
    """`success`, or the code of the error."""
    if response.status_code == 200:
        return "success"
    try:
        return response.json()["error"]["code"]
    except (ValueError, KeyError, TypeError):
        return response.status_code


@pytest.fixture(params=TARGETS)
def target(request):
    return request.param


@pytest.fixture(scope="module", autouse=True)
def outcomes():
    """The codes of the responses; on exit, each operation must have had its expected one."""
    outcomes = defaultdict(Counter)
    yield outcomes
    for operation, codes in outcomes.items():
        expected = UNSUPPORTED.get(operation, "success")
        assert codes[expected], f"{operation}: {dict(codes)}"


def insert_model(case, target):
    """Names a served model in most requests, and limits the work of the model."""
    for fields, name in [(case.body, "model"), (case.path_parameters, "id")]:
        generated = fields.get(name) if isinstance(fields, dict) else None
        if isinstance(generated, str) and len(generated) % 4 != 3:
            fields[name] = target
    if not isinstance(case.body, dict) or case.meta.generation.mode.is_negative:
        return
    for name in ("max_completion_tokens", "max_output_tokens", "max_tokens"):
        if isinstance(case.body.get(name), int | float):
            case.body[name] = MAX_TOKENS


@schema.parametrize()
@settings(
    max_examples=15,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_operation(case, target, outcomes):
    insert_model(case, target)
    response = case.call(headers=HEADERS, timeout=30)
    outcomes[case.operation.label, target][code(response)] += 1
    case.validate_response(response, headers=HEADERS, excluded_checks=EXCLUDED)
