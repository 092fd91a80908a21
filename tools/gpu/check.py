#!/usr/bin/env python3
"""Checks stockade-server on a GPU within 8 minutes, and writes the figures to a JSON file.

    check [--cpu] [--only STAGE,…] [--shape SHAPE] [--out FILE] [--minutes N] [--requests N]
          [--libraries FOLDER] [--bundle FOLDER | --server PROGRAM [--probe PROGRAM]]

Stages: load, answers, quirks, speed, real_shape, fairness. Needs Linux, Python 3.11, an NVIDIA driver
and the runtime libraries of CUDA 13, and no network. With --cpu, the stages run on the CPU, which tests
the check itself; the report then has `not run: no GPU` for each of them.

    --cpu         run on the CPU; the default shape is then `tiny`
    --only        only these stages
    --shape       holo-7b (16.6 GB, in memory or in TMPDIR), holo-7b-slice (2 of its layers) or tiny
    --out         the report; gpu-check.json by default
    --minutes     the time for all stages together; 8 by default
    --requests    the chats of each line of the stage `speed`; 50 by default
    --libraries   a folder with CUDA libraries, in addition to the usual ones
    --bundle      what `scripts/gpu build` has made
    --server      another build of the server; --probe is its example `engine-probe`

Exit codes: 0 all stages passed, 1 a stage failed or did not run, 2 usage error.
"""

import argparse
import datetime
import json
import signal
import sys
import tempfile
import threading
import time
import traceback
from http.client import HTTPException
from pathlib import Path

import machine
import shapes
import stages
from bench import Bench, Deadline, OutOfTime, StageFailed
from client import ChatFailed
from programs import CannotRun, prepare
from real_shape import real_shape
from server import ServerFailed

HERE = Path(__file__).resolve().parent
# In seconds. Together longer than the check, because few stages need their bound.
STAGES = {
    "load": (stages.load, 60),
    "answers": (stages.answers, 90),
    "quirks": (stages.quirks, 90),
    "speed": (stages.speed, 120),
    "real_shape": (real_shape, 270),
    "fairness": (stages.fairness, 90),
}
# Servers that are still running this long after the bound are killed, which ends all requests.
GRACE_SECONDS = 5
NO_GPU = "not run: no GPU"
EXPECTED = (OutOfTime, StageFailed, ServerFailed, ChatFailed, OSError, HTTPException)


def say(message):
    print(f"==> {message}", file=sys.stderr, flush=True)


def fail(message, remedy):
    sys.exit(f"gpu check: {message}\nhelp: {remedy}")


def options():
    parser = argparse.ArgumentParser(usage=__doc__, add_help=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--only", default=",".join(STAGES))
    parser.add_argument("--shape", choices=shapes.SHAPES)
    parser.add_argument("--out", type=Path, default=Path("gpu-check.json"))
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--requests", type=int, default=50)
    parser.add_argument("--libraries", action="append", default=[])
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--server", type=Path)
    parser.add_argument("--probe", type=Path)
    chosen = parser.parse_args()
    if chosen.help:
        print(__doc__)
        sys.exit(0)
    chosen.only = chosen.only.split(",")
    unknown = [name for name in chosen.only if name not in STAGES]
    if unknown:
        parser.error(f"unknown stages: {', '.join(unknown)}; known: {', '.join(STAGES)}")
    chosen.shape = chosen.shape or ("tiny" if chosen.cpu else "holo-7b")
    return chosen


def find_gpu(chosen):
    if chosen.cpu:
        return None
    try:
        return machine.gpus()
    except machine.NoGpu as error:
        fail(
            f"no GPU: {error}",
            "run it on a machine with an NVIDIA driver (`nvidia-smi` lists its GPUs), or with --cpu, "
            "which tests the check itself",
        )


def run_stage(name, bench, overall):
    """The result of a stage; every error becomes a part of it, next to the figures so far."""
    stage, bound = STAGES[name]
    if overall.left() < 5:
        return {"status": "not run", "why": "no time left"}
    if name == "quirks" and not bench.probe:
        return {"status": "not run", "why": "needs engine-probe: add --probe"}
    bench.deadline = Deadline(min(bound, overall.left()))
    watchdog = threading.Timer(bench.deadline.left() + GRACE_SECONDS, bench.kill_servers)
    watchdog.daemon = True
    watchdog.start()
    say(f"{name}, at most {bench.deadline.left():.0f} s")
    start = time.monotonic()
    result = {"status": "passed", "device": bench.device, "precision": bench.precision}
    figures = {}
    try:
        stage(bench, figures)
    except EXPECTED as error:
        result |= {"status": "failed", "why": str(error)}
    except Exception:
        result |= {"status": "failed", "why": traceback.format_exc(limit=-3)}
    watchdog.cancel()
    result["seconds"] = round(time.monotonic() - start, 2)
    if not bench.on_gpu:
        result["on_cuda"] = NO_GPU
    return result | figures


def run_stages(chosen, bench, results):
    overall = Deadline(60 * chosen.minutes)
    bench.deadline = overall
    if "real_shape" in chosen.only:
        bench.start_writing_model()
    for name in STAGES:
        if name not in chosen.only:
            results[name] = {"status": "not run", "why": "not in --only"}
            continue
        results[name] = run_stage(name, bench, overall)
        say(f"{name}: {results[name]['status']} {results[name].get('why', '')}")


def main():
    chosen = options()
    # An exit stops the servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    gpus = find_gpu(chosen)
    start = time.monotonic()
    report = {
        "format": 1,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "ran_on_gpu": bool(gpus),
        "gpus": gpus,
        "machine": machine.host(),
        "stages": {},
    }
    with tempfile.TemporaryDirectory(prefix="stockade-gpu-") as scratch:
        chosen.scratch = Path(scratch)
        try:
            environment, report["build"] = prepare(chosen, HERE, gpus)
        except CannotRun as error:
            fail(str(error), error.remedy)
        bench = Bench(chosen, "cuda" if gpus else "cpu", environment)
        try:
            run_stages(chosen, bench, report["stages"])
        finally:
            bench.remove_model()
            report["seconds"] = round(time.monotonic() - start, 1)
            chosen.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    conclude(chosen, report)


def conclude(chosen, report):
    for name, result in report["stages"].items():
        print(f"{name:12} {result['status']:8} {result.get('device', ''):5} {result.get('why', '')}")
        if "on_cuda" in result:
            print(f"{name:12} on CUDA: {result['on_cuda'].upper()}")
    if not report["ran_on_gpu"]:
        print("\nNO GPU: all figures are of the CPU. Nothing is known about CUDA from this report.")
    print(f"\n{report['seconds']} s; the figures are in {chosen.out}")
    wanted = [report["stages"][name]["status"] for name in chosen.only]
    sys.exit(0 if all(status == "passed" for status in wanted) else 1)


if __name__ == "__main__":
    main()
