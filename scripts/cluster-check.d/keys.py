"""PostgreSQL: keys and records of a machine that is cut off from it."""

import re
import time

import servers
import stores
from common import run, until
from context import BEFORE, answers
from traffic import traffic


def keys(context, row, seconds):
    """A machine is cut off from PostgreSQL while a key is revoked, and its records wait."""
    with context.machines() as (folder, machines):
        database = stores.Postgres(folder)
        try:
            new = [context.cli, "keys", "new", "--store", database.url, "--scope", "chat:write,models:read", "--id"]
            kept, revoked = (re.search(r"sk_\S+", run(*new, name))[0] for name in ("kept", "revoked"))
            for machine in machines:
                servers.Server(machine, context.program, servers.with_database(database.url, machine))
            cut, others = machines[2], [machine.number for machine in machines[:2]]
            with traffic(machines, kept, 10) as known, traffic(machines, revoked, 10) as seen:
                time.sleep(BEFORE)
                cut.cut()
                time.sleep(BEFORE)
                run(context.cli, "keys", "revoke", "revoked", "--yes", "--store", database.url)
                begin = time.monotonic()
                time.sleep(seconds)
                end = time.monotonic()
                cut.heal()
                time.sleep(30)
            name = f"cut for {seconds + BEFORE} s"
            answers(row, known, {"200"}, what=f"{name}: a known key")
            answers(row, seen, {"200", "401 AUTHENTICATION_FAILED"}, what=f"{name}: the revoked key")
            passes = lambda it: it.status == 200  # noqa: E731
            last = seen.last(passes, *others, since=begin)
            row(f"{name}: others refuse it after", f"{last:.2f} s", "≤ 2 s", last <= 2)
            last = seen.last(passes, cut.number, since=end)
            row(f"{name}: cut machine refuses it after", f"{last:.1f} s", "≤ 20 s", last <= 20)
            sent = known.admitted() + seen.admitted()
            written = lambda: int(database.query("SELECT count(*) FROM stockade_audit WHERE status = 200"))  # noqa: E731
            until(lambda: written() >= sent, "the records are written")
            row(f"{name}: records of {sent} served requests", written(), sent, written() == sent)
        finally:
            database.stop()
