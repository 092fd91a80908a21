"""The programs of a bundle, and the environment that they need."""

import json
import os
import tarfile

import machine

# The first one for CUDA 13.0.
OLDEST_DRIVER = 580
BUNDLE_HELP = (
    "run `scripts/gpu build` first, or choose a build of your own with --server and --probe"
)


class CannotRun(Exception):
    """The programs cannot run on this machine; `remedy` is a way to change that."""

    def __init__(self, message, remedy):
        super().__init__(message)
        self.remedy = remedy


def prepare(chosen, here, gpus):
    """Sets the programs of `chosen`; returns their environment and the facts of the build."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
    }
    # The first GPU that nvidia-smi lists.
    environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    environment.setdefault("CUDA_VISIBLE_DEVICES", "0")
    environment["HF_HOME"] = str(chosen.scratch / "hub")
    root = here.parents[1]
    if chosen.server:
        # Its own libraries are found as always.
        chosen.server = chosen.server.resolve()
        chosen.probe = chosen.probe and chosen.probe.resolve()
        chosen.demo = root / "reference-server" / "demo-model"
        if not chosen.server.is_file():
            raise CannotRun(f"{chosen.server} does not exist", BUNDLE_HELP)
        return environment, {"server": str(chosen.server)}
    bundles = [chosen.bundle] if chosen.bundle else [here.parent, root / "target" / "gpu" / "bundle"]
    bundle = next((folder for folder in bundles if (folder / "manifest.json").is_file()), None)
    if not bundle:
        raise CannotRun(f"no bundle in {bundles[-1]}", BUNDLE_HELP)
    bundle = bundle.resolve()
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    programs = chosen.scratch / "programs"
    with tarfile.open(bundle / "programs.tar.xz") as archive:
        archive.extractall(programs, filter="data")
    chosen.server, chosen.probe = programs / "stockade-server", programs / "engine-probe"
    chosen.demo = bundle / "demo-model"
    if gpus:
        _check_gpu(manifest, gpus[0])
    folders, found = _libraries(chosen, bundle, manifest, root)
    known = environment.get("LD_LIBRARY_PATH")
    environment["LD_LIBRARY_PATH"] = ":".join([*folders, known] if known else folders)
    return environment, manifest | {"libraries": found}


def _check_gpu(manifest, gpu):
    driver = gpu["driver"]
    if int(driver.split(".")[0]) < OLDEST_DRIVER:
        raise CannotRun(
            f"the driver {driver} does not support CUDA {manifest['cuda']}",
            f"install a driver of version {OLDEST_DRIVER} or newer",
        )
    built, actual = manifest["compute_capability"], gpu["compute_capability"]
    if actual.split(".")[0] != built.split(".")[0]:
        number = actual.replace(".", "")
        raise CannotRun(
            f"the bundle is for GPUs of compute capability {built}, and this one has {actual}",
            f"build it with `scripts/gpu build --compute-cap {number}`",
        )


def _libraries(chosen, bundle, manifest, root):
    more = [*chosen.libraries, root / "target" / "gpu" / "cuda" / "lib"]
    try:
        folders, found = machine.libraries(manifest["libraries"], more)
    except machine.MissingLibraries as error:
        raise CannotRun(
            f"missing CUDA libraries: {error}",
            "install the runtime of CUDA 13 (`pip install nvidia-cuda-runtime nvidia-cublas "
            "nvidia-curand nvidia-cuda-nvrtc`, each of 13.0), or name their folder with --libraries",
        ) from None
    try:
        driver, at = machine.libraries(["libcuda.so.1"], ["/usr/local/nvidia/lib64"])
        return folders + driver, found | at
    except machine.MissingLibraries:
        if not chosen.cpu:
            raise CannotRun(
                "libcuda.so.1 is missing, which belongs to the driver",
                "in a container, add the capability `compute` of the NVIDIA runtime",
            ) from None
    # The programs start with a stub in place of the driver, and run on the CPU.
    stub = bundle / "stub"
    return [*folders, str(stub)], found | {"libcuda.so.1": "a stub"}
