"""Clients of all machines at once, and what they observed."""

import contextlib
import json
import math
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from common import expect

# Requests a second of one client: many times the quota of all.
RATE = 30
DECIDED = {200, 429}


@dataclass
class Request:
    machine: int
    begin: float
    end: float
    status: int
    code: str
    policy: str


class Traffic:
    def __init__(self):
        self.requests = []

    def of(self, *numbers, since=0.0, until=math.inf):
        """The requests at these machines, or at all, that ended within a time."""
        return [it for it in self.requests if (not numbers or it.machine in numbers) and since <= it.end < until]

    def admitted(self, *numbers, since=0.0, until=math.inf):
        return sum(it.status == 200 for it in self.of(*numbers, since=since, until=until))

    def elapsed(self):
        return max(it.end for it in self.requests) - min(it.begin for it in self.requests)

    def answers(self, *numbers, since=0.0, until=math.inf):
        """The number of each answer: `200`, `429 RATE_LIMITED`."""
        return Counter(f"{it.status} {it.code}".strip() for it in self.of(*numbers, since=since, until=until))

    def last(self, matches, *numbers, since=0.0):
        """Seconds from `since` to the last request that matches, 0 without one."""
        ends = [it.end for it in self.of(*numbers, since=since) if matches(it)]
        return max(ends, default=since) - since

    def late(self, *numbers):
        """Single requests without a decision between others with one: it missed the deadline of 50 ms, as on
        a busy machine."""
        found = []
        for number in {it.machine for it in self.of(*numbers)}:
            own = self.of(number)
            for before, it, after in zip(own, own[1:], own[2:]):
                if it.code == "LIMITS_UNAVAILABLE" and {before.status, after.status} <= DECIDED:
                    found.append(it)
        return found

    def undecided(self, *numbers, since):
        """Seconds from `since` to the last request that the limit did not decide about."""
        late = self.late(*numbers)
        return self.last(lambda it: it.status not in DECIDED and it not in late, *numbers, since=since)


@contextlib.contextmanager
def traffic(machines, key, rate=RATE):
    """Sends requests at each machine during the block; the result is complete after it."""
    result, clients = Traffic(), []
    client = Path(__file__).with_name("load.py")
    for machine in machines:
        log = f"load-{time.monotonic_ns()}.jsonl"
        clients.append((machine, log, machine.start(log, sys.executable, client, key, rate)))
    try:
        yield result
        for machine, _log, process in clients:
            expect(process.poll() is None, f"the client of {machine.name} has ended")
    finally:
        for _machine, _log, process in clients:
            process.kill()
            process.wait()
    for machine, log, _process in clients:
        for line in (machine.folder / log).read_text().splitlines(keepends=True):
            # The last one may be cut off.
            if line.endswith("\n"):
                result.requests.append(Request(machine.number, *json.loads(line)))
