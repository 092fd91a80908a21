"""The machine: its GPU, its processor, and the CUDA libraries that the programs need."""

import os
import platform
import re
import shutil
import site
import subprocess
import sys
from pathlib import Path

QUERY = {
    "name": "name",
    "driver": "driver_version",
    "memory_mib": "memory.total",
    "memory_used_mib": "memory.used",
    "compute_capability": "compute_cap",
    "power_limit_w": "power.limit",
    "clock_mhz": "clocks.max.sm",
}
NUMBERS = ("memory_mib", "memory_used_mib", "power_limit_w", "clock_mhz")


class NoGpu(Exception):
    """No GPU can be used; the message has the reason."""


class MissingLibraries(Exception):
    """CUDA libraries are missing."""


def _smi(fields, seconds=20):
    program = shutil.which("nvidia-smi")
    if not program:
        raise NoGpu("nvidia-smi is not installed, so there is probably no NVIDIA driver")
    command = [program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise NoGpu(f"nvidia-smi did not answer within {seconds} s") from None
    if done.returncode or not done.stdout.strip():
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise NoGpu(f"nvidia-smi failed: {lines[0] if lines else 'no GPU listed'}")
    return [[field.strip() for field in line.split(",")] for line in done.stdout.strip().splitlines()]


def gpus():
    """The facts of all GPUs, in nvidia-smi's order."""
    found = []
    for row in _smi(QUERY.values()):
        facts = dict(zip(QUERY, row, strict=True))
        for name in NUMBERS:
            try:
                facts[name] = float(facts[name])
            except ValueError:
                facts[name] = None
        found.append(facts)
    return found


def gpu_memory_used_mib():
    """The used memory of the first GPU, by all processes."""
    return float(_smi(["memory.used"])[0][0])


def host():
    """The facts of the machine without its GPU."""
    model = re.search(r"^model name\s*:\s*(.*)$", _read("/proc/cpuinfo"), re.M)
    memory = re.search(r"^MemTotal:\s*(\d+)", _read("/proc/meminfo"), re.M)
    return {
        "processor": model[1] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": int(memory[1]) // 1024 if memory else None,
        "load_average": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _read(path):
    return Path(path).read_text(encoding="utf-8", errors="replace")


def peak_memory_mib(pid):
    """The largest resident memory of a process so far."""
    peak = re.search(r"^VmHWM:\s*(\d+)", _read(f"/proc/{pid}/status"), re.M)
    return int(peak[1]) // 1024 if peak else None


def _folders(more):
    """Folders that may have CUDA libraries, those of the command line first."""
    yield from map(Path, more)
    yield from map(Path, filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":")))
    yield from sorted(Path("/usr/local").glob("cuda*/lib64"), reverse=True)
    packages = {*sys.path, *site.getsitepackages(), site.getusersitepackages()}
    packages |= {str(path) for path in Path("/usr/local/lib").glob("python3*/*-packages")}
    packages |= {str(path) for path in Path("/opt").glob("*/lib/python3*/site-packages")}
    for folder in sorted(filter(None, packages)):
        yield from sorted(Path(folder).glob("nvidia/*/lib"))
        yield from sorted(Path(folder).glob("torch/lib"))


def libraries(needed, more):
    """Finds each needed library; returns the folders for LD_LIBRARY_PATH, and where each one is."""
    cache = ""
    for ldconfig in (shutil.which("ldconfig"), "/sbin/ldconfig"):
        if ldconfig and os.path.exists(ldconfig):
            cache = subprocess.run([ldconfig, "-p"], capture_output=True, text=True, check=False).stdout
            break
    folders, found, missing = [], {}, []
    candidates = list(_folders(more))
    for name in needed:
        place = next((folder for folder in candidates if (folder / name).exists()), None)
        known = re.search(rf"^\s*{re.escape(name)} .*=> (\S+)$", cache, re.M)
        if place:
            found[name] = str(place / name)
            if str(place) not in folders:
                folders.append(str(place))
        elif known:
            found[name] = known[1]
        else:
            missing.append(name)
    if missing:
        raise MissingLibraries(", ".join(missing))
    return folders, found
