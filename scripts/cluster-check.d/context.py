"""What the cases share: the machines with their servers, the quota, and how it is compared.

The quota of a bucket with a burst and a rate admits `burst + rate × elapsed`, whatever the number of
servers. A fault may add what its case states, and nothing else.
"""

import math
import time
from contextlib import contextmanager

import servers
from common import expect
from network import Machine
from traffic import traffic

QUOTA, BURST, RATE = "300/minute burst 100", 100, 5
LEASE = 10
# Seconds before a fault, while it lasts, and after it.
BEFORE, DURING, AFTER = 5, 18, 12
# Seconds in which a primary that is cut off still admits, and what it admitted just before may not have
# been replicated: one of a cluster notices within one and a half timeouts, and one of Sentinel within
# the lag of its replicas, which both are counted each second.
STRAY, STRAY_SENTINEL = 4, 5
# Seconds in which there must be another primary (one and a half timeouts, an election), and a server
# must have its connection (a timeout and a pause of two seconds, a probe each second).
FAILOVER = 10
# Sentinel leaves a server as it is for ten seconds after it has come back: the old primary, or a
# replica without which the new primary refuses writes.
FAILOVER_SENTINEL = 20
NORMAL = {"200", "429 RATE_LIMITED"}
FAULT = NORMAL | {"503 LIMITS_UNAVAILABLE"}


class Context:
    def __init__(self, options, redis, folder, row):
        self.program, self.cli = options.server, options.cli
        self.seconds = options.seconds
        self.redis, self.folder, self.row = redis, folder, row
        self.environments = 0

    @contextmanager
    def machines(self):
        """Three machines, and a folder that they share."""
        self.environments += 1
        folder = self.folder / str(self.environments)
        folder.mkdir(parents=True)
        machines = [Machine(number, folder) for number in (1, 2, 3)]
        try:
            yield folder, machines
        except Exception:
            for machine in machines:
                for log in sorted(machine.folder.glob("*.log")):
                    print(f"--- {machine.name}: {log.name}", *log.read_text().splitlines()[-15:], sep="\n")
            raise
        finally:
            for machine in machines:
                machine.remove()

    def serve(self, folder, machines, config, warm):
        """Starts a server on each machine, and waits until all use the store."""
        started = [servers.Server(machine, self.program, config) for machine in machines]
        with traffic(machines, warm) as seen:
            time.sleep(3)
        late = set(seen.answers(since=max(it.end for it in seen.requests) - 0.5))
        expect(late <= NORMAL, f"the servers do not use the store: {late}")
        return started


def most(elapsed, extra=0.0):
    """The highest number that the quota admits."""
    return math.floor(BURST + RATE * elapsed + extra)


def answers(row, seen, allowed, *numbers, what="answers"):
    counts = seen.answers(*numbers)
    text = ", ".join(f"{answer}: {count}" for answer, count in sorted(counts.items()))
    late = len(seen.late(*numbers))
    if late and "503 LIMITS_UNAVAILABLE" not in allowed:
        # Late decisions of a busy machine are no fault, if they are rare.
        text += f" (late decisions: {late})"
        counts["503 LIMITS_UNAVAILABLE"] -= late if late <= sum(counts.values()) / 200 else 0
    row(what, text, ", ".join(sorted(allowed)), set(+counts) <= allowed)


def after_fault(row, seen, since):
    """Whether the quota holds exactly since a time at which it was used up."""
    elapsed = max(it.end for it in seen.requests) - since
    bound = math.floor(RATE * elapsed) + 1
    admitted = seen.admitted(since=since)
    row(f"admitted in {elapsed:.1f} s after it", admitted, f"≤ {bound}", admitted <= bound)


def fault(machines, key, begin, end, after=AFTER):
    """Traffic before, during and after a fault; returns it with the times of both changes."""
    times = []
    with traffic(machines, key) as seen:
        for change, pause in [(None, BEFORE), (begin, DURING), (end, after)]:
            if change:
                times.append(time.monotonic())
                change()
            time.sleep(pause)
    return seen, *times
