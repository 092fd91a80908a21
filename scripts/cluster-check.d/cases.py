"""The cases: what fails, and what must hold meanwhile and afterwards."""

import math
import time

import servers
import stores
from common import expect
from context import BEFORE, BURST, LEASE, NORMAL, QUOTA, RATE, answers, most
from keys import keys
from network import kill
from store_faults import partition, sentinel
from traffic import traffic


def quota(context, row):
    """No fault, without leases and with them."""
    with context.machines() as (folder, machines):
        stores.cluster(context.redis, machines)
        for lease in (0, LEASE):
            key, warm = servers.keys_file(folder, context.program, f"load-{lease}", f"warm-{lease}")
            config = servers.limits(folder, stores.CLUSTER_PORTS[0], QUOTA, lease=lease)
            started = context.serve(folder, machines, config, warm)
            with traffic(machines, key) as seen:
                time.sleep(context.seconds)
            for server in started:
                server.stop()
            bound, admitted = most(seen.elapsed()), seen.admitted()
            # Each process may leave a lease unused.
            least = bound - 2 - len(machines) * lease
            name = f"lease {lease}" if lease else "no leases"
            row(f"{name}: admitted in {seen.elapsed():.1f} s", admitted, f"{least} to {bound}", least <= admitted <= bound)
            answers(row, seen, NORMAL, what=f"{name}: answers")


def server_loss(context, row):
    """A server is killed under load, with leases, and while it holds permits of concurrency."""
    permits = 4
    with context.machines() as (folder, machines):
        stores.cluster(context.redis, machines)
        key, held, warm = servers.keys_file(folder, context.program, "load", "held", "warm")
        more = f"\n[concurrency]\nper_key = {permits}\n"
        config = servers.limits(folder, stores.CLUSTER_PORTS[0], QUOTA, lease=LEASE, more=more)
        lost, *rest = context.serve(folder, machines, config, warm)
        left = machines[1:]
        streams = [servers.stream(machines[0], held) for _ in range(permits)]
        expect([stream.status for stream in streams] == [200] * permits, "the streams are served")
        refused = servers.stream(left[0], held).status
        row("another stream meanwhile", refused, "429", refused == 429)
        with traffic(machines, key) as seen:
            time.sleep(BEFORE)
            begin = time.monotonic()
            kill(lost.process)
            time.sleep(BEFORE)
        answers(row, seen, NORMAL, *(machine.number for machine in left), what="answers of the others")
        bound, admitted = most(seen.elapsed()), seen.admitted()
        # Each process may leave a lease unused.
        least = bound - 2 - len(machines) * LEASE
        row(f"admitted in {seen.elapsed():.1f} s", admitted, f"{least} to {bound}", least <= admitted <= bound)
        # The default of stockade-redis: 30 seconds.
        while servers.stream(left[0], held).status != 200 and time.monotonic() - begin < 40:
            time.sleep(0.5)
        seconds = time.monotonic() - begin
        row("its permits are free after", f"{seconds:.1f} s", "≤ 31 s", seconds <= 31)
        # More than the burst needs to refill: the leases of the lost server do not count any longer.
        with traffic(left, key) as seen:
            time.sleep(BEFORE)
        bound, admitted = most(seen.elapsed()), seen.admitted()
        least = bound - 2 - len(left) * LEASE
        row(f"then admitted in {seen.elapsed():.1f} s", admitted, f"{least} to {bound}", least <= admitted <= bound)


def rolling(context, row):
    """The quota is lowered on one machine after the other: until the last one, the old quota is the bound."""
    rate, burst = 2, 10
    with context.machines() as (folder, machines):
        stores.cluster(context.redis, machines)
        key, warm = servers.keys_file(folder, context.program, "load", "warm")
        port = stores.CLUSTER_PORTS[0]
        started = context.serve(folder, machines, servers.limits(folder, port, QUOTA), warm)
        with traffic(machines, key) as seen:
            for server in started:
                time.sleep(BEFORE)
                begin = time.monotonic()
                server.reload(servers.limits(folder, port, f"{60 * rate}/minute burst {burst}"))
            # The time in which the old burst refills.
            time.sleep(BURST / RATE + context.seconds)
    answers(row, seen, NORMAL)
    applied = seen.last(lambda it: f"q={60 * RATE};" in it.policy, since=begin)
    row("last server announces the new quota after", f"{applied:.2f} s", "≤ 2 s", applied <= 2)
    bound, admitted = most(seen.elapsed()), seen.admitted()
    row(f"admitted in {seen.elapsed():.1f} s", admitted, f"≤ {bound}", admitted <= bound)
    since = begin + BURST / RATE
    elapsed = max(it.end for it in seen.requests) - since
    bound, admitted = math.floor(rate * elapsed) + 1, seen.admitted(since=since)
    row(f"by the new quota in {elapsed:.1f} s", admitted, f"{bound - 2} to {bound}", bound - 2 <= admitted <= bound)


CASES = {
    "quota": quota,
    "partition-deny": lambda context, row: partition(context, row, "deny"),
    "partition-local": lambda context, row: partition(context, row, "local"),
    "sentinel-kill": lambda context, row: sentinel(context, row, cut=False),
    "sentinel-cut": lambda context, row: sentinel(context, row, cut=True),
    "server-loss": server_loss,
    "keys-short": lambda context, row: keys(context, row, 5),
    "keys-long": lambda context, row: keys(context, row, 30),
    "rolling": rolling,
}
