"""The results of the suites, from the reports of their test runners."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/src/clients.md"
START, END = "<!-- Written by scripts/clients --write -->\n\n", "<!-- End of the tables -->\n"
# The columns of the tables, by the names of the tests.
FEATURES = {
    "chat": "chat",
    "stream": "stream",
    "image": "image",
    "tools": "tools",
    "streamed_tools": "streamed tools",
    "auto_tools": "tools, `auto`",
    "json": "JSON schema",
    "json_by_tool": "JSON by a tool",
    "logprobs": "`logprobs`",
    "n": "`n`",
    "completions": "completions",
    "count_tokens": "token count",
    "embeddings": "embeddings",
    "models": "models",
}
BEHAVIOUR = {
    "seed": "`seed`",
    "stop": "`stop`",
    "usage": "usage",
    "unknown_model": "unknown model",
    "bad_key": "bad key",
    "rate_limit": "rate limit",
    "disconnect": "disconnect",
}
# The prefix of tests that assert a 400.
REFUSES = "refuses_"


@dataclass(frozen=True)
class Result:
    """A call of a client to a model of the server."""

    client: str
    target: str
    call: str
    ok: bool


def read(folder: Path):
    """Reads JUnit reports, and the output of Rust's test runner."""
    results = [
        result for path in sorted(folder.glob("*.xml")) for result in junit(ElementTree.parse(path))
    ]
    for path in sorted(folder.glob("*.txt")):
        results += libtest(path.stem, path.read_text())
    return results


def junit(report):
    for suite in report.iter("testsuite"):
        for case in suite.iter("testcase"):
            properties = {one.get("name"): one.get("value") for one in case.iter("property")}
            if not properties:
                # Node's runner has no properties; its suites are named `CLIENT [TARGET]`.
                name = re.fullmatch(r"(.+) \[(\w+)\]", suite.get("name"))
                # Not a call of a client, or a file that cannot be read, which the exit code reports.
                if not name:
                    continue
                client, target = name.groups()
                properties = {"client": client, "target": target, "call": case.get("name")}
            failed = any(case.find(tag) is not None for tag in ("failure", "error", "skipped"))
            yield Result(**properties, ok=not failed)


def libtest(client, text):
    for target, call, outcome in re.findall(r"^test (\w+)::(\w+) \.\.\. (.*)$", text, re.M):
        yield Result(client, target, call, ok=outcome == "ok")


def text(results):
    """The results as a table for a terminal: one line per client and call."""
    targets = unique(result.target for result in results)
    rows = [("client", "call", *targets)]
    for client, call in unique((result.client, result.call) for result in results):
        outcomes = [outcome(results, client, call, target) for target in targets]
        rows.append((client, call, *outcomes))
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    failed = sum(not result.ok for result in results)
    return "\n".join([*lines, "", f"{len(results) - failed} passed, {failed} failed"])


def outcome(results, client, call, target):
    for result in results:
        if (result.client, result.call, result.target) == (client, call, target):
            return "ok" if result.ok else "FAILED"
    return "-"


def check(results, write=False):
    """Compares the results with the book, or writes them there; returns the exit code."""
    calls = {result.call.removeprefix(REFUSES) for result in results}
    if unknown := calls - FEATURES.keys() - BEHAVIOUR.keys():
        print(f"calls without a column: {', '.join(sorted(unknown))}")
        return 1
    before, rest = PAGE.read_text().split(START)
    shown, after = rest.split(END)
    tables = f"{table(results, FEATURES)}\n{table(results, BEHAVIOUR)}\n"
    if write:
        PAGE.write_text(before + START + tables + END + after)
        return 0
    if shown != tables:
        print(f"{PAGE.relative_to(ROOT)} differs from the results: scripts/clients --write")
        return 1
    return 0


def table(results, columns):
    """A table in Markdown: one line per client."""
    lines = ["| client | " + " | ".join(columns.values()) + " |"]
    lines.append("|---" + "|:---:" * len(columns) + "|")
    for client in sorted(unique(result.client for result in results), key=str.casefold):
        cells = [cell(results, client, call) for call in columns]
        lines.append(f"| {client} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def cell(results, client, call):
    """The support of a call, if that is the same for all models."""
    targets = unique(result.target for result in results)
    supports = []
    for target in targets:
        if outcome(results, client, call, target) == "ok":
            supports.append("✓")
        elif outcome(results, client, REFUSES + call, target) == "ok":
            supports.append("400")
        else:
            supports.append("")
    return " / ".join(unique(supports))


def unique(values):
    return list(dict.fromkeys(values))
