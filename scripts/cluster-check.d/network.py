"""Machines as network namespaces, joined by a bridge in the namespace of the check itself."""

import signal
import subprocess
import sys
from pathlib import Path

from common import Failure, expect, run, until

PREFIX = "10.77.0"
# The address of the bridge: what runs in the namespace of the check is a machine of its own there.
BRIDGE = f"{PREFIX}.100"
# States of a port (linux/if_bridge.h). A disabled port drops frames, and the link stays up: as with a
# broken switch, programs see silence and no error.
FORWARDING, DISABLED = "3", "0"


class Machine:
    def __init__(self, number, folder):
        self.number = number
        self.name = f"machine {number}"
        self.address = f"{PREFIX}.{number}"
        self.folder = folder / f"machine-{number}"
        self.folder.mkdir()
        self.port = f"port{number}"
        self.processes = []
        # A namespace lives as long as a process in it; this one ends with the check.
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        own = Path("/proc/self/ns/net").readlink()
        until(lambda: Path(f"/proc/{self.holder.pid}/ns/net").readlink() != own, "a network namespace")
        run("ip", "link", "add", self.port, "type", "veth", "peer", "name", "eth0", "netns", self.holder.pid)
        run("ip", "link", "set", self.port, "master", "bridge", "up")
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")

    def command(self, *command):
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--", *map(str, command)]

    def run(self, *command, **options):
        """Runs a program in the machine, which must succeed, and returns its output."""
        return run(*self.command(*command), **options)

    def start(self, log, *command):
        """Starts a program that runs until it is stopped, or until the machine is removed."""
        with open(self.folder / log, "a", encoding="utf-8") as out:
            process = subprocess.Popen(self.command(*command), stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=self.folder)
        self.processes.append(process)
        return process

    def listens(self, port):
        probe = f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)"
        return subprocess.run(self.command(sys.executable, "-c", probe), capture_output=True).returncode == 0

    def cut(self):
        run("bridge", "link", "set", "dev", self.port, "state", DISABLED)

    def heal(self):
        run("bridge", "link", "set", "dev", self.port, "state", FORWARDING)

    def remove(self):
        for process in [*self.processes, self.holder]:
            process.kill()
            process.wait()
        # The kernel removes a namespace, and the port with it, some time after its last process.
        subprocess.run(["ip", "link", "delete", self.port], capture_output=True)


def kill(process):
    """Ends a process as a crash does."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def create_bridge():
    try:
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "bridge", "type", "bridge")
        run("ip", "address", "add", f"{BRIDGE}/24", "dev", "bridge")
        run("ip", "link", "set", "bridge", "up")
    except Failure as error:
        expect(False, f"the kernel has no bridges or no permission for them: {error}")
