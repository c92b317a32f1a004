"""Parts of benchmarks/gpu.py: what is measured, and in how many seconds at most."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

Add = Callable[..., None]
"""(table, **row): record one row."""


@dataclass
class Place:
    """Device of the measurements, and the time they may take.

    Parameters
    ----------
    device : str
    tiny : bool
        Try everything with sizes that take no time.
    seconds : float
    """

    device: str
    tiny: bool = False
    seconds: float = 60.0
    started: float = field(default_factory=time.monotonic)

    @property
    def is_cuda(self) -> bool:
        return self.device.startswith("cuda")

    @property
    def shape(self) -> dict[str, Any]:
        """Parameters of TV-L1 that differ from the default."""
        names = ("inner_iterations", "warps", "texture_iterations") if self.tiny else ()
        return dict.fromkeys(names, 1)

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.seconds - (time.monotonic() - self.started)

    def wait(self) -> None:
        """Wait until the device has finished."""
        if self.is_cuda:
            torch.cuda.synchronize(self.device)

    def rate(self, call: Callable[[], object], amount: float, *, warm_up: int = 3) -> float:
        """Return `amount` per second of the calls, over about a second.

        The first calls compile, fill caches and record graphs.
        """
        for _ in range(1 if self.tiny else warm_up):
            call()
        self.wait()
        count, start = 0, time.perf_counter()
        while True:
            for _ in range(1 if self.tiny else 3):
                call()
                count += 1
            self.wait()
            taken = time.perf_counter() - start
            if self.tiny or taken > 1.0 or (count >= 9 and taken > 0.3):
                return amount * count / taken

    def peak_bytes(self, call: Callable[[], object]) -> int:
        """Return the largest memory of the device during a call; 0 on the CPU."""
        if not self.is_cuda:
            call()
            return 0
        torch.cuda.reset_peak_memory_stats(self.device)
        call()
        self.wait()
        return int(torch.cuda.max_memory_allocated(self.device))


@dataclass(frozen=True)
class Part:
    """A part of the benchmark.

    Parameters
    ----------
    title : str
    seconds : int
        Time after which it starts no further measurement.
    measure : callable
        (place, add): measures, and records rows as soon as they are known.
    """

    title: str
    seconds: int
    measure: Callable[[Place, Add], None]


def _in(module: str, place: Place, add: Add) -> None:
    """Import a part when it is measured, in its own process."""
    importlib.import_module(f"benchmarks.gpu_{module}").measure(place, add)


# Together at most 330 s: six minutes with the start of the processes.
PARTS = {
    "checks": Part("Results on the device", 45, partial(_in, "checks")),
    "tvl1": Part("TV-L1", 100, partial(_in, "tvl1")),
    "errors": Part("TV-L1, end-point errors", 25, partial(_in, "errors")),
    "raft": Part("RAFT", 40, partial(_in, "raft")),
    "training": Part("Training", 55, partial(_in, "training")),
    "extract": Part("Extraction, end to end", 45, partial(_in, "extract")),
    "memory": Part("Memory", 20, partial(_in, "memory")),
}


def check_time(place: Place, needed: float = 5.0) -> bool:
    """Return False if a further measurement would take too long."""
    return place.tiny or place.left > needed


def share(one: float, other: float) -> dict[str, Any]:
    """Return a ratio as a cell, if it exists."""
    return {"ratio": one / other} if other else {}
