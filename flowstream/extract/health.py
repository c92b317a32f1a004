"""Checks of an installation, with a solution for each problem."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

import flowstream
from flowstream.errors import FlowstreamError
from flowstream.extract.forecast import readable_bytes
from flowstream.extract.options import usable_cores
from flowstream.flow import METHODS

_PACKAGES = ("numpy", "av", "h5py", "hdf5plugin", "opencv-contrib-python", "numba", "click")
_OPTIONAL = ("torch", "torchvision", "matplotlib", "distributed", "ray")
_FRAMES, _SIZE = 60, (240, 320)
_DISK_BYTES = 1 << 25


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Parameters
    ----------
    name : str
    status : "ok", "missing" or "problem"
        Missing: an optional part that is not installed.
    text : str
        Result, and the solution if there is a problem.
    """

    name: str
    status: Literal["ok", "missing", "problem"]
    text: str


def examine(directory: Path) -> Iterator[Finding]:
    """Run all checks; `directory` is where stacks would be written."""
    for check in _CHECKS:
        try:
            yield from check(directory)
        # A check must not hide the others, whatever is broken.
        except Exception as error:
            name = check.__name__.removeprefix("_check_")
            text = " ".join(f"{type(error).__name__}: {error}".split())
            yield Finding(name, "problem", text)


def _check_versions(directory: Path) -> Iterator[Finding]:
    yield Finding(
        "flowstream", "ok", f"{flowstream.__version__} in {Path(flowstream.__file__).parent}"
    )
    yield Finding(
        "python", "ok", f"{platform.python_version()} in {sys.prefix}, {platform.platform()}"
    )
    for package in _PACKAGES:
        version = _version(package)
        way_out = f"not found; install it with: pip install {package}"
        # The contrib wheel may be replaced by another one with the same module.
        status: Literal["ok", "problem"] = "ok" if version else "problem"
        yield Finding(package, status, version or way_out)
    for package in _OPTIONAL:
        version = _version(package)
        yield Finding(
            package, "ok" if version else "missing", version or "not installed (optional)"
        )


def _check_compressions(directory: Path) -> Iterator[Finding]:
    from flowstream.codec import CODECS
    from flowstream.store import COMPRESSIONS

    yield Finding("codecs", "ok", ", ".join(CODECS))
    for name in COMPRESSIONS:
        COMPRESSIONS[name]
    yield Finding("compressions", "ok", ", ".join(COMPRESSIONS))


def _check_methods(directory: Path) -> Iterator[Finding]:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (2, 64, 96), np.uint8)
    for name in METHODS:
        try:
            method = METHODS[name]()
            if method.colour:
                yield Finding(f"method {name}", "ok", f"device {method.device}; not tried")
                continue
            method(frames[:1], frames[1:])
            start = time.perf_counter()
            method(frames[:1], frames[1:])
            seconds = time.perf_counter() - start
        except FlowstreamError as error:
            yield Finding(f"method {name}", "missing", str(error))
        else:
            yield Finding(f"method {name}", "ok", f"{1000 * seconds:.1f} ms per pair of 96x64")


def _check_cores(directory: Path) -> Iterator[Finding]:
    total, usable = os.cpu_count() or 1, usable_cores()
    limit = "" if usable == total else f"; this process may use {usable} of {total}"
    yield Finding("cores", "ok", f"{usable} workers by default{limit}")
    names = [name for name in os.environ if name.endswith("_NUM_THREADS")]
    chosen = ", ".join(f"{name}={os.environ[name]}" for name in sorted(names))
    yield Finding("threads", "ok", f"{chosen or 'not set'}; each worker gets its own setting")


def _check_devices(directory: Path) -> Iterator[Finding]:
    if _version("torch") is None:
        yield Finding("devices", "missing", "cpu only; pip install 'flowstream[raft]' for GPUs")
        return
    import torch

    found = ["cpu", *(f"cuda:{k}" for k in range(torch.cuda.device_count()))]
    found += ["mps"] * torch.backends.mps.is_available()
    yield Finding("devices", "ok", ", ".join(found))


def _check_shared_memory(directory: Path) -> Iterator[Finding]:
    path = Path("/dev/shm")
    if not path.exists():
        yield Finding("/dev/shm", "ok", "not present; extraction does not need it")
        return
    free = shutil.disk_usage(path).free
    if free < 1 << 27 or not os.access(path, os.W_OK):
        way_out = "training with workers may fail; use workers = 0, or docker --shm-size=1g"
        yield Finding("/dev/shm", "problem", f"{readable_bytes(free)} writable; {way_out}")
    else:
        yield Finding("/dev/shm", "ok", f"{readable_bytes(free)} free")


def _check_disk(directory: Path) -> Iterator[Finding]:
    block = os.urandom(_DISK_BYTES)
    with tempfile.NamedTemporaryFile(dir=directory, prefix=".flowstream-") as file:
        start = time.perf_counter()
        file.write(block)
        file.flush()
        os.fsync(file.fileno())
        seconds = time.perf_counter() - start
    free = shutil.disk_usage(directory).free
    rate = readable_bytes(len(block) / seconds)
    yield Finding("disk", "ok", f"{directory}: {readable_bytes(free)} free, writes {rate}/s")


def _check_decoding(directory: Path) -> Iterator[Finding]:
    from flowstream.synthetic import texture, write_video
    from flowstream.video import read_frames

    image = texture((_SIZE[0], _SIZE[1] + _FRAMES), seed=0)
    with tempfile.TemporaryDirectory(prefix="flowstream-") as name:
        shots = (image[:, k : k + _SIZE[1]] for k in range(_FRAMES))
        path = write_video(Path(name) / "clip.mp4", shots, fps=25)
        start = time.perf_counter()
        count = sum(1 for _ in read_frames(path))
        seconds = time.perf_counter() - start
    yield Finding("decoding", "ok", f"{count / seconds:,.0f} frames/s of 320x240, one core")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


_CHECKS: tuple[Callable[[Path], Iterator[Finding]], ...] = (
    _check_versions,
    _check_compressions,
    _check_methods,
    _check_cores,
    _check_devices,
    _check_shared_memory,
    _check_disk,
    _check_decoding,
)
