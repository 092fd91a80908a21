"""The unit of systemd and the files of the image, with the real program: a systemd in namespaces of
its own, and a chroot. Both need root."""

import contextlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from common import DEPLOY, ROOT, Failure, adapt, as_root, expect, free_port, run, running, until
from gateway import write_secrets

UNIT = "stockade-server"
# Of `systemd-analyze security`: 0 is the best, 10 the worst.
MAX_EXPOSURE = 2.0
CONFIG = "/etc/stockade/stockade.toml"


def unit_is_hardened(_program, folder):
    unit = folder / f"{UNIT}.service"
    shutil.copy(DEPLOY / "systemd" / unit.name, unit)
    report = run("systemd-analyze", "security", "--offline=true", "--no-pager", unit)
    exposure = float(report.rpartition(": ")[2].split()[0])
    expect(exposure <= MAX_EXPOSURE, f"the exposure is {exposure}\n{report}")
    print(f"       systemd-analyze security: {exposure}")


def installer_is_idempotent(program, folder):
    root = folder / "root"
    root.mkdir()
    install = [*as_root(), DEPLOY / "install.sh", "--root", root]
    dry = run(*install, "--dry-run", program)
    expect("+ install" in dry and not any(root.iterdir()), f"a dry run changes files\n{dry}")
    run(*install, program)
    state = run(*as_root(), "find", root, "-type", "f", "-printf", "%P %m %s %T@\n")
    again = run(*install, program)
    expect("+ install" not in again and "+ write" not in again, again)
    after = run(*as_root(), "find", root, "-type", "f", "-printf", "%P %m %s %T@\n")
    expect(state == after, f"a second run changes files\n{state}\n{after}")
    run(*as_root(), "rm", "-r", root)


@contextlib.contextmanager
def systemd(folder, program):
    """Boots systemd and installs the service there; yields a function that runs commands in it."""
    folder.mkdir()
    log = folder.with_suffix(".log")
    namespaces = ["--pid", "--mount", "--net", "--ipc", "--uts", "--cgroup"]
    boot = [*as_root(), "unshare", *namespaces, "--fork", "--kill-child"]
    boot += [ROOT / "scripts/deploy-check.d/boot", folder, program]
    with open(log, "w", encoding="utf-8") as out:
        process = subprocess.Popen([str(part) for part in boot], stdout=out, stderr=out)
    init = None
    try:
        def child():
            expect(process.poll() is None, f"systemd does not boot:\n{log.read_text()}")
            found = subprocess.run(["pgrep", "--full", "^/lib/systemd/systemd .*--unit=basic.target"], capture_output=True, text=True)
            pids = [pid for pid in found.stdout.split() if is_descendant(int(pid), process.pid)]
            return pids and pids[0]

        init = until(child, "systemd starts")
        enter = [*as_root(), "nsenter", "--target", init, *namespaces, "--root", "env", "--chdir=/", "-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]

        def inside(*command, check=True):
            done = subprocess.run([*enter, *map(str, command)], capture_output=True, text=True, timeout=60)
            expect(not check or done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
            return done.stdout

        until(lambda: "running" in inside("systemctl", "is-system-running", check=False), "systemd runs")
        yield inside
    finally:
        if init:
            run(*as_root(), "kill", "-KILL", init)
        process.wait()


def is_descendant(pid, ancestor):
    while pid > 1 and pid != ancestor:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pid == ancestor


def service_runs(program, folder):
    with systemd(folder / "machine", program) as inside:
        inside("sh", "-c", "echo key-of-the-model-server >/etc/stockade/credentials/upstream.key")
        key = inside(UNIT, "key", "--file", "/etc/stockade/keys.yaml", "--id", "team").strip()
        inside("systemd-tmpfiles", "--create", "stockade.conf")
        inside("systemd-run", "--unit=model", "python3", "/deploy-check/model_server.py", "8001")
        models = "http://127.0.0.1:8001/v1/models"
        until(lambda: "holo" in inside("curl", "--silent", models, check=False), "the model server responds")
        try:
            inside("systemctl", "start", UNIT)
            # `Type=notify`: a start ends when the service accepts connections.
            expect(inside(UNIT, "health", "--live", "--config", CONFIG) == "live\n", "the service responds")
        except Failure as failure:
            raise Failure(f"{failure}\n{inside('journalctl', '--no-pager', '--unit', UNIT)}") from failure
        shown = ["systemctl", "show", "--property=StatusText,WatchdogUSec", UNIT]
        until(lambda: inside(*shown).split() == ["WatchdogUSec=1min", "StatusText=ready"], "the status in systemd")
        expect(inside(UNIT, "health", "--config", CONFIG) == "ready\n", "the model is ready")
        body = '{"model": "holo", "messages": [{"role": "user", "content": "ping"}]}'
        post = ["curl", "--silent", "--show-error", "--data", body, "--header", "Content-Type: application/json"]
        answer = inside(*post, "--header", f"Authorization: Bearer {key}", "http://127.0.0.1:8000/v1/chat/completions")
        expect("pong" in answer, answer)

        # The service rereads its files, and writes only below its own folders.
        inside("systemctl", "reload", UNIT)
        expect(inside("systemctl", "is-active", UNIT) == "active\n", "active after a reload")
        records = inside("cat", "/var/log/private/stockade/app.log").splitlines()
        chats = [json.loads(line) for line in records if "/v1/chat" in line]
        expect([chat["status"] for chat in chats] == [200], f"{chats}")
        modes = inside("stat", "--format=%a %U", "/var/log/private/stockade", "/var/log/private/stockade/app.log", check=False)
        expect([line.split()[0] for line in modes.splitlines()] == ["700", "600"], modes)
        process = inside("cat", f"/proc/{inside('systemctl', 'show', '--property=MainPID', '--value', UNIT).strip()}/status")
        fields = dict(line.split(":\t", 1) for line in process.splitlines() if ":\t" in line)
        expect(fields["NoNewPrivs"] == "1" and int(fields["CapBnd"], 16) == 0, f"{fields}")
        expect(not fields["Uid"].startswith("0\t"), f"user {fields['Uid']}")

        restarts_without_refusing(inside)

        begin = time.monotonic()
        inside("systemctl", "stop", f"{UNIT}.socket", UNIT)
        expect(time.monotonic() - begin < 20, "stops without a timeout")
        expect("success" in inside("systemctl", "show", "--property=Result", UNIT), "exits with success")


def restarts_without_refusing(inside):
    """With the socket unit, no connection is refused while the service restarts."""
    inside("systemctl", "stop", UNIT)
    inside("systemctl", "start", f"{UNIT}.socket", UNIT)
    process = ["systemctl", "show", "--property=MainPID", "--value", UNIT]
    before = inside(*process)
    client = "/deploy-check/steady_client.py"
    inside("systemd-run", "--unit=client", "--property=StandardOutput=file:/run/client", "python3", client, "http://127.0.0.1:8000/health/live", "6")
    for _ in range(2):
        time.sleep(1)
        inside("systemctl", "restart", UNIT)
    expect(inside(*process) != before, "the service was restarted")
    answered, failed = until(lambda: inside("cat", "/run/client").split(), "the client has ended")
    expect(int(answered) > 20 and int(failed) == 0, f"{answered} responses, {failed} failures\n{inside('journalctl', '--no-pager', '--unit', 'client')}")
    print(f"       two restarts: {answered} responses, 0 failures")

    # A socket that the configuration does not name is an error, instead of clients that wait.
    inside("systemctl", "stop", f"{UNIT}.socket", UNIT)
    dropin = f"/run/systemd/system/{UNIT}.socket.d"
    inside("sh", "-c", f"mkdir {dropin} && printf '[Socket]\\nListenStream=127.0.0.1:8009\\n' >{dropin}/more.conf")
    inside("systemctl", "daemon-reload")
    inside("systemctl", "start", f"{UNIT}.socket", UNIT, check=False)
    log = until(lambda: [line for line in inside("journalctl", "--no-pager", "--unit", UNIT).splitlines() if "127.0.0.1:8009" in line], "an error")
    expect("none of server.listen, admin.listen and metrics.listen" in log[0], f"{log}")
    inside("systemctl", "stop", f"{UNIT}.socket", UNIT)
    inside("sh", "-c", f"rm -r {dropin}")
    inside("systemctl", "daemon-reload")
    inside("systemctl", "reset-failed", UNIT, check=False)
    inside("systemctl", "start", f"{UNIT}.socket", UNIT)


def image_runs_without_a_shell(program, folder):
    root = folder / "image"
    run(*as_root(), DEPLOY / "container-root", program, root)
    run(*as_root(), "chown", "-R", f"{os.geteuid()}", root / "etc")
    files = {path.name for path in root.rglob("*") if path.is_file()}
    libraries = {name for name in files if ".so" in name}
    others = files - libraries
    expect(others == {"stockade-server", "passwd", "group", "nsswitch.conf"}, f"{others}")
    port = free_port()
    secrets = root / "etc/stockade/secrets"
    secrets.mkdir()
    write_secrets(secrets)
    changes = [
        ("0.0.0.0:8000", f"0.0.0.0:{port}"),
        ("/run/secrets/upstream_key", "/etc/stockade/secrets/upstream.key"),
        ("/run/secrets/audit_key", "/etc/stockade/secrets/audit.key"),
    ]
    config = root / "etc/stockade/stockade.toml"
    config.write_text(adapt((DEPLOY / "compose/stockade.toml").read_text(), changes))
    (config.parent / "keys").mkdir()
    run(program, "key", "--file", config.parent / "keys/keys.yaml", "--id", "team")
    run(*as_root(), "chown", "-R", "65532:65532", config.parent)
    # As `USER` and `ENTRYPOINT` of the Dockerfile.
    enter = [*as_root(), "chroot", "--userspec=65532:65532", root, "/stockade-server"]
    with running([*enter, "serve", "--config", CONFIG], port, folder / "image.log"):
        expect(run(*enter, "health", "--live", "--config", CONFIG) == "live\n", "HEALTHCHECK")
        record = root / "var/log/stockade/app.log"
        until(lambda: subprocess.run([*as_root(), "test", "-f", record]).returncode == 0, "the file of the records")
    down = subprocess.run([*map(str, enter), "health", "--config", CONFIG], capture_output=True, text=True)
    expect(down.returncode == 1 and "cannot be reached" in down.stderr, f"HEALTHCHECK of a stopped server: {down}")
    run(*as_root(), "rm", "-r", root)


CHECKS = [unit_is_hardened, installer_is_idempotent, service_runs, image_runs_without_a_shell]
