"""Prometheus scrapes the server: all of its metrics, and exemplars."""

import json
import re
import urllib.error
import urllib.parse
import urllib.request

import gateway
from common import DEPLOY, adapt, expect, free_port, running, until

ROUTE = "/v1/models"


def fetch(url, headers=None):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, headers=headers or {}), timeout=10) as response:
        return response.read().decode()


def is_ready(prometheus):
    """It listens before it has read its storage, and answers with 503 until then."""
    try:
        return fetch(f"{prometheus}/-/ready")
    except urllib.error.HTTPError:
        return None


def scrapes_all_metrics_and_exemplars(server, folder):
    # Nothing listens there: traces are sampled whether or not they can be exported.
    telemetry = f'\n[telemetry]\notlp_endpoint = "http://127.0.0.1:{free_port()}"\n'
    (folder / "server").mkdir()
    with gateway.started(server, folder / "server", ["client"], telemetry) as (running_gateway, keys):
        url = f"http://127.0.0.1:{running_gateway.port}"
        fetch(url + ROUTE, {"Authorization": f"Bearer {keys['client']}"})
        (folder / "stockade.key").write_text(keys["metrics"])
        port = free_port()
        changes = [
            ("/etc/prometheus/stockade.key", folder / "stockade.key"),
            ("alerts.yml", DEPLOY / "prometheus/alerts.yml"),
            ("127.0.0.1:8000", f"127.0.0.1:{running_gateway.port}"),
            ("15s", "1s"),
        ]
        config = folder / "prometheus.yml"
        config.write_text(adapt((DEPLOY / "prometheus/prometheus.yml").read_text(), changes))
        command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
        command += [f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=exemplar-storage"]
        with running(command, port, folder / "prometheus.log"):
            prometheus = f"http://127.0.0.1:{port}"
            until(lambda: is_ready(prometheus), "Prometheus is ready")
            compare(f"{prometheus}/api/v1", url, keys["metrics"])


def compare(prometheus, url, key):
    """Compares what Prometheus has with the text of a scrape."""

    def query(path, **parameters):
        response = fetch(f"{prometheus}/{path}?{urllib.parse.urlencode(parameters)}")
        return json.loads(response)["data"]

    def exemplars():
        query_text = f'stockade_request_duration_seconds_bucket{{route="{ROUTE}"}}'
        series = query("query_exemplars", query=query_text, start="1", end="9999999999")
        return [exemplar for each in series for exemplar in each["exemplars"]]

    found = until(exemplars, "Prometheus has an exemplar")
    for exemplar in found:
        labels = exemplar["labels"]
        expect(re.fullmatch("[0-9a-f]{32}", labels["trace_id"]), f"a trace id: {exemplar}")
        expect(re.fullmatch("[0-9a-f]{16}", labels["span_id"]), f"a span id: {exemplar}")
    expect(query("query", query='up{job="stockade"}')["result"][0]["value"][1] == "1", "the server is up")
    text = fetch(f"{url}/metrics", {"Authorization": f"Bearer {key}"})
    expect("# EOF" not in text, "without a negotiation, the format is that of Prometheus")
    names = {re.split("[{ ]", line)[0] for line in text.splitlines() if line and not line.startswith("#")}
    expect(len(names) > 30, f"only {names}")
    missing = names - set(query("label/__name__/values"))
    expect(not missing, f"Prometheus has no {sorted(missing)}")
    wrong = {}
    # Version 2.42 and later ones name the family of a counter differently.
    metadata = query("metadata")
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M):
        known = metadata.get(name) or metadata.get(name.removesuffix("_total")) or [{}]
        if known[0].get("type") != kind:
            wrong[name] = known
    expect(not wrong, f"other types: {wrong}")


CHECKS = [scrapes_all_metrics_and_exemplars]
