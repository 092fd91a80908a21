"""Faults of Redis: a primary is cut off or killed, and another one takes its place."""

import servers
import stores
from context import (
    BURST,
    FAILOVER,
    FAILOVER_SENTINEL,
    FAULT,
    NORMAL,
    QUOTA,
    RATE,
    STRAY,
    STRAY_SENTINEL,
    after_fault,
    answers,
    fault,
    most,
)
from network import kill


def partition(context, row, policy):
    """The machine with the primary is cut off from both others, and comes back."""
    with context.machines() as (folder, machines):
        cut = stores.cluster(context.redis, machines)
        key, warm = servers.keys_file(folder, context.program, "load", "warm")
        config = servers.limits(folder, stores.CLUSTER_PORTS[0], QUOTA, policy)
        context.serve(folder, machines, config, warm)
        seen, begin, end = fault(machines, key, cut.cut, cut.heal)
    partitioned(row, seen, machines, cut, begin, end, policy)


def partitioned(row, seen, machines, cut, begin, end, policy="deny", failover=FAILOVER, stray=STRAY):
    others = [machine.number for machine in machines if machine is not cut]
    stray, local = RATE * stray, 0.0
    if policy == "deny":
        answers(row, seen, FAULT)
        seconds = seen.undecided(*others, since=begin)
        row("others decide again after", f"{seconds:.1f} s", f"≤ {failover} s", seconds <= failover)
    else:
        # Each process has a share of its own while it has no store.
        answers(row, seen, NORMAL)
        share = servers.LOCAL_FRACTION
        stray += share * (BURST + RATE * (end - begin))
        local = share * (2 * BURST + 3 * RATE * failover)
    admitted = seen.admitted(cut.number, since=begin, until=end)
    row(f"cut machine admits in {end - begin:.0f} s", admitted, f"≤ {stray:.0f}", admitted <= stray)
    bound, admitted = most(seen.elapsed(), stray + local), seen.admitted()
    row(f"admitted in {seen.elapsed():.1f} s", f"{admitted} ({admitted - most(seen.elapsed()):+} to the quota)", f"≤ {bound}", admitted <= bound)
    if policy == "deny":
        seconds = seen.undecided(cut.number, since=end)
        row("cut machine decides again after", f"{seconds:.1f} s", f"≤ {failover} s", seconds <= failover)
        after_fault(row, seen, end)


def sentinel(context, row, cut):
    """The primary is killed and comes back as a primary, or its machine is cut off and comes back."""
    with context.machines() as (folder, machines):
        primary = stores.sentinel(context.redis, machines)
        key, warm = servers.keys_file(folder, context.program, "load", "warm")
        context.serve(folder, machines, servers.limits(folder, stores.HAPROXY, QUOTA), warm)
        first = machines[0]
        if cut:
            changes = first.cut, first.heal
        else:
            changes = lambda: kill(primary), lambda: stores.behind_sentinel(context.redis, first)  # noqa: E731
        seen, begin, end = fault(machines, key, *changes, after=FAILOVER_SENTINEL + 4)
    if cut:
        return partitioned(row, seen, machines, first, begin, end, "deny", FAILOVER_SENTINEL, STRAY_SENTINEL)
    answers(row, seen, FAULT)
    seconds = seen.undecided(since=begin)
    row("all decide again after", f"{seconds:.1f} s", f"≤ {FAILOVER_SENTINEL} s", seconds <= FAILOVER_SENTINEL)
    # What the primary had admitted in its last second may not have been replicated.
    bound, admitted = most(seen.elapsed(), RATE), seen.admitted()
    row(f"admitted in {seen.elapsed():.1f} s", f"{admitted} ({admitted - most(seen.elapsed()):+} to the quota)", f"≤ {bound}", admitted <= bound)
    after_fault(row, seen, end)
