"""The administration against its OpenAPI description, with requests that Schemathesis generates.

The requests are the same in each run. The server must never fail, nor answer with an undocumented
status, or a body of another type or schema.
"""

import json
import os
import urllib.request

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

URL = os.environ["STOCKADE_ADMIN_URL"]
SETUP_TOKEN = os.environ["STOCKADE_SETUP_TOKEN"]
# Conditions between fields, and the state of the server, are not in the description.
EXCLUDED = [positive_data_acceptance]


def post(path, body, headers):
    request = urllib.request.Request(
        f"{URL}/admin/v1{path}",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json", **headers},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.headers, json.load(response)


def token():
    """Creates the first user, and a token with all of its permissions."""
    user = {"token": SETUP_TOKEN, "username": "root", "password": "violet otter climbs 42 stairs"}
    headers, session = post("/setup", user, {})
    cookie = headers["set-cookie"].split(";")[0]
    session_headers = {"cookie": cookie, "x-csrf-token": session["csrf_token"]}
    body = {"name": "schema", "permissions": session["user"]["permissions"]}
    return post("/tokens", body, session_headers)[1]["secret"]


HEADERS = {"authorization": f"Bearer {token()}"}
schema = schemathesis.openapi.from_url(f"{URL}/admin/v1/openapi.json", headers=HEADERS, timeout=10)
# Each request has the token of `HEADERS`; the checks omit it by themselves.
schema.config.generation.update(with_security_parameters=False)
# A change without `If-Match` has a status of its own (RFC 6585, section 3).
schema.config.checks.missing_required_header.expected_statuses = ["401", "404", "428"]
# An endless stream of events.
schema = schema.exclude(path="/live")


@schema.parametrize()
@settings(
    max_examples=15,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_operation(case):
    response = case.call(headers=HEADERS, timeout=30)
    case.validate_response(response, headers=HEADERS, excluded_checks=EXCLUDED)
