"""What the stages share: the programs, the device, scratch folders and the time that is left."""

import itertools
import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import machine
import shapes


class OutOfTime(Exception):
    """The bound of a stage, or of the whole check, is reached."""


class StageFailed(Exception):
    """A stage has measured something else than it should."""


class Deadline:
    """A moment, in seconds from now."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds

    def left(self):
        return self.end - time.monotonic()

    def check(self, state):
        if self.left() <= 0:
            raise OutOfTime(f"out of time: {state}")


class Bench:
    """`server` and `probe` are programs; `device` is `cuda` or `cpu`."""

    def __init__(self, options, device, environment):
        self.device = device
        self.server = options.server
        self.probe = options.probe
        self.demo = options.demo
        self.requests = options.requests
        self.shape_name = options.shape
        self.shape = shapes.SHAPES[options.shape]
        self.environment = environment
        self.deadline = Deadline(0)
        self.scratch = options.scratch
        self.numbers = itertools.count()
        self.servers = set()
        self.writer = None
        self.written = {}

    @property
    def on_gpu(self):
        return self.device == "cuda"

    @property
    def precision(self):
        """As the server chooses it."""
        return "bf16" if self.on_gpu else "f32"

    def new_folder(self, name):
        folder = self.scratch / f"{name}-{next(self.numbers)}"
        folder.mkdir()
        return folder

    def kill_servers(self):
        for process in list(self.servers):
            process.kill()

    def run(self, command):
        """Runs a program until it ends, at most until the deadline; returns its output."""
        name = Path(command[0]).name
        self.deadline.check(f"{name} was not started")
        try:
            done = subprocess.run(
                [str(word) for word in command],
                capture_output=True,
                text=True,
                env=self.environment,
                timeout=max(1.0, self.deadline.left()),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise OutOfTime(f"out of time: {name} {command[1]} was still running") from None
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines()
            error = " | ".join(lines[:2])
            raise StageFailed(f"{name} {command[1]} exited with {done.returncode}: {error}")
        return done.stdout

    def start_writing_model(self):
        """Writes the random model of the chosen shape in the background."""
        self.writer = threading.Thread(target=self._write_model, daemon=True)
        self.writer.start()

    def _write_model(self):
        size = 2 * shapes.parameters(self.shape)
        try:
            folder = _roomy_folder(size, self.scratch)
            start = time.monotonic()
            path = Path(tempfile.mkdtemp(prefix="stockade-gpu-model-", dir=folder))
            self.written["remove"] = path
            size = shapes.write(path / "model", self.shape)
            self.written["path"] = path / "model"
            self.written["figures"] = {
                "parameters": shapes.parameters(self.shape),
                "bytes": size,
                "write_seconds": round(time.monotonic() - start, 2),
                "folder": str(folder),
            }
        except Exception as error:
            self.written["error"] = f"cannot write the model: {error}"

    def wait_for_model(self):
        """Waits until nothing is being written."""
        if not self.writer:
            self.start_writing_model()
        self.writer.join(max(0.0, self.deadline.left()))
        if self.writer.is_alive():
            raise OutOfTime("out of time: the random model was still being written")

    def model(self):
        """The folder and the figures of the random model."""
        self.wait_for_model()
        if "error" in self.written:
            raise StageFailed(self.written["error"])
        return self.written["path"], self.written["figures"]

    def remove_model(self):
        if "remove" in self.written:
            shutil.rmtree(self.written["remove"], ignore_errors=True)


def _roomy_folder(size, scratch):
    """Memory if it has room for the model three times, otherwise the scratch folder."""
    shared = Path("/dev/shm")
    available = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("MemAvailable")
    )
    writable = shared.is_dir() and os.access(shared, os.W_OK)
    if writable and shutil.disk_usage(shared).free > 1.2 * size and available > 3 * size:
        return shared
    if shutil.disk_usage(scratch).free < 1.2 * size:
        raise OSError(f"{scratch} has no room for {size / 1e9:.1f} GB; set TMPDIR")
    return scratch


class GpuMemory:
    """The largest used memory of the GPU while a block runs, sampled twice a second."""

    def __init__(self, bench):
        self.active = bench.on_gpu
        self.stopped = threading.Event()
        self.before = self.peak = self.last = None

    def sample(self):
        if not self.active:
            return
        try:
            self.last = machine.gpu_memory_used_mib()
        except (machine.NoGpu, ValueError):
            return
        self.peak = max(self.peak or 0.0, self.last)

    def _work(self):
        while not self.stopped.wait(0.5):
            self.sample()

    def __enter__(self):
        self.sample()
        if self.active:
            self.before = self.last
            self.thread = threading.Thread(target=self._work, daemon=True)
            self.thread.start()
        return self

    def __exit__(self, *_):
        if self.active:
            self.stopped.set()
            self.thread.join()
            self.sample()

    def figures(self):
        return {"gpu_memory_before_mib": self.before, "gpu_memory_peak_mib": self.peak}
