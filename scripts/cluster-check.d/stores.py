"""Redis as a cluster and behind Sentinel, and PostgreSQL."""

import os
import pwd
import re
import subprocess
from pathlib import Path

from common import expect, run, until
from network import BRIDGE

# The namespace of the servers' configuration: a cluster keeps it in one slot.
SLOT = "{cluster}"
# Milliseconds without a reply after which a server of Redis counts as failed.
NODE_TIMEOUT = 2000
# Two servers of the cluster on each machine.
CLUSTER_PORTS = [7000, 7001]
# The server behind Sentinel, Sentinel, and HAProxy, which leads to the primary.
REDIS, SENTINEL, HAPROXY = 6379, 26379, 6380
OPTIONS = ["--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--maxmemory-policy", "noeviction"]


class Redis:
    """The programs of Redis, or those of Valkey."""

    def __init__(self, server):
        self.server = server
        self.cli = server.replace("-server", "-cli")

    def ask(self, machine, port, *command):
        return machine.run(self.cli, "-p", port, *command)

    def start(self, machine, port, *options):
        process = machine.start(f"redis-{port}.log", self.server, "--port", port, *OPTIONS, *options)
        until(lambda: machine.listens(port), f"Redis of {machine.name} listens")
        return process


def cluster(redis, machines):
    """Three primaries and three replicas, each pair on two machines; returns that of the primary."""
    for machine in machines:
        for port in CLUSTER_PORTS:
            options = ["--cluster-enabled", "yes", "--cluster-node-timeout", NODE_TIMEOUT]
            redis.start(machine, port, *options, "--cluster-config-file", f"nodes-{port}.conf")
    addresses = [f"{machine.address}:{port}" for port in CLUSTER_PORTS for machine in machines]
    redis.ask(machines[0], CLUSTER_PORTS[0], "--cluster", "create", *addresses, "--cluster-replicas", "1", "--cluster-yes")
    for machine in machines:
        for port in CLUSTER_PORTS:
            until(lambda: "cluster_state:ok" in redis.ask(machine, port, "cluster", "info"), "the cluster is complete")
    return primary_of(redis, machines[0], machines)


def primary_of(redis, asked, machines):
    """The machine of the primary of the slot, as another one knows it."""
    port = CLUSTER_PORTS[0]
    slot = int(redis.ask(asked, port, "cluster", "keyslot", SLOT))
    for line in redis.ask(asked, port, "cluster", "nodes").splitlines():
        # ID ADDRESS:PORT@BUS FLAGS PRIMARY PING PONG EPOCH LINK SLOTS…
        _id, address, flags, *_others = line.split()
        ranges = re.findall(r" (\d+)-(\d+)(?= |$)", line)
        if "master" in flags and any(int(first) <= slot <= int(last) for first, last in ranges):
            return next(machine for machine in machines if address.startswith(f"{machine.address}:"))
    expect(False, "no server of the cluster has the slot")


def sentinel(redis, machines):
    """A primary on the first machine, replicas on the others, and Sentinel and HAProxy on each."""
    first = machines[0]
    primary, *_replicas = [behind_sentinel(redis, machine, None if machine is first else first) for machine in machines]
    until(lambda: f"connected_slaves:{len(machines) - 1}" in redis.ask(first, REDIS, "info", "replication"), "the replicas are connected")
    for machine in machines:
        file = machine.folder / "sentinel.conf"
        file.write_text(
            f"port {SENTINEL}\nbind 0.0.0.0\nprotected-mode no\n"
            f"sentinel monitor limits {first.address} {REDIS} 2\n"
            f"sentinel down-after-milliseconds limits {NODE_TIMEOUT}\n"
            "sentinel failover-timeout limits 10000\n"
        )
        machine.start("sentinel.log", redis.server, file, "--sentinel")
        file = machine.folder / "haproxy.cfg"
        file.write_text(haproxy(machines))
        machine.start("haproxy.log", "haproxy", "-db", "-f", file)
        until(lambda: machine.listens(HAPROXY), f"HAProxy of {machine.name} listens")
    for machine in machines:
        known = lambda: redis.ask(machine, SENTINEL, "sentinel", "master", "limits").split("\n")  # noqa: E731
        until(lambda: "num-other-sentinels\n2" in "\n".join(known()), "Sentinel knows the others")
        until(lambda: "num-slaves\n2" in "\n".join(known()), "Sentinel knows the replicas")
    return primary


def behind_sentinel(redis, machine, primary=None):
    """Starts a primary or a replica of Sentinel."""
    # A primary that has lost both replicas refuses writes after this many seconds.
    options = ["--min-replicas-to-write", "1", "--min-replicas-max-lag", NODE_TIMEOUT // 1000]
    options += ["--replicaof", f"{primary.address} {REDIS}"] if primary else []
    return redis.start(machine, REDIS, "--repl-diskless-sync-delay", "0", *options)


def haproxy(machines):
    """An address that leads to the primary; connections to a server that is none any longer are closed."""
    servers = "".join(
        f"    server {machine.name.replace(' ', '-')} {machine.address}:{REDIS}\n" for machine in machines
    )
    return (
        "defaults\n    mode tcp\n    timeout connect 1s\n    timeout client 1h\n    timeout server 1h\n"
        f"listen redis\n    bind 127.0.0.1:{HAPROXY}\n    option tcp-check\n"
        "    tcp-check send info\\ replication\\r\\n\n    tcp-check expect string role:master\n"
        "    default-server check inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions\n" + servers
    )


class Postgres:
    """A database at the address of the bridge."""

    def __init__(self, folder):
        self.folder = folder / "postgres"
        self.url = f"postgres://stockade@{BRIDGE}/postgres?sslmode=disable"
        bin = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        user = pwd.getpwnam("postgres")
        self.folder.mkdir()
        os.chown(self.folder, user.pw_uid, user.pw_gid)
        # The server refuses to run as root.
        as_user = ["runuser", "-u", "postgres", "--"]
        run(*as_user, bin / "initdb", "--pgdata", self.folder / "data", "--username=stockade", "--auth=trust", "--no-sync", cwd="/")
        with (self.folder / "data/pg_hba.conf").open("a") as file:
            file.write("host all all 10.77.0.0/24 trust\n")
        command = [*as_user, bin / "postgres", "-D", self.folder / "data", "-k", self.folder, "-c", f"listen_addresses={BRIDGE}", "-c", "fsync=off"]
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log, cwd="/")
        until(lambda: subprocess.run(["pg_isready", "-q", "-h", BRIDGE]).returncode == 0, "PostgreSQL accepts connections")

    def query(self, text):
        return run("psql", "-At", self.url, "-c", text).strip()

    def stop(self):
        self.process.terminate()
        self.process.wait()
