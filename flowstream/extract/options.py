"""Options of a run that change no stack: workers, selection of jobs, safety."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from flowstream.errors import ParameterError, did_you_mean
from flowstream.extract.directory import Shard
from flowstream.extract.pools import POOLS
from flowstream.flow import FlowMethod
from flowstream.flow.tensor_method import TensorMethod
from flowstream.ranges import check_at_least, check_positive


@dataclass(frozen=True)
class RunOptions:
    """Options of one run of `extract`.

    Parameters
    ----------
    workers : int, optional
        Number of videos processed in parallel. Default: the number of CPU cores; one per device if
        workers compute on GPUs themselves.
    overwrite : bool
        Recompute existing stacks.
    limit : int, optional
        Process only the first jobs.
    shard : Shard, optional
        Process only one of several disjoint parts of the jobs. Runs of other parts may write into
        the same directory at the same time.
    retry_failed : bool
        Process only the jobs that failed in an earlier run.
    verify : bool
        Check every byte of existing stacks, instead of their size and modification time.
    trust_sources : bool
        Keep the stack of a video whose modification time changed, if its size did not.
    timeout : float, optional
        Seconds after which a video is given up.
    reserve : int
        Number of bytes that must stay free on the disk, for what is written after the stacks.
    force : bool
        Start even if the disk may be too small.
    progress : bool
        Show an estimate and the progress on standard error.
    backend : str
        A key of `flowstream.extract.pools.POOLS`.
    scheduler : str, optional
        Address of a running cluster; by default one is started on this machine.
    devices : tuple of str
        Devices of the method, in place of its own: worker after worker in turns.
    share_devices : bool, optional
        Estimate flow in one process per device, in batches of pairs of several videos; workers
        decode and write. Default: if the device is a GPU and the method computes with torch.

    Raises
    ------
    ParameterError
        If a number is out of range, the backend unknown, or two options exclude each other.
    """

    workers: int | None = None
    overwrite: bool = False
    limit: int | None = None
    shard: Shard | None = None
    retry_failed: bool = False
    verify: bool = False
    trust_sources: bool = False
    timeout: float | None = None
    reserve: int = 0
    force: bool = False
    progress: bool = False
    backend: str = "processes"
    scheduler: str | None = None
    devices: tuple[str, ...] = ()
    share_devices: bool | None = None

    def __post_init__(self) -> None:
        if self.workers is not None:
            check_at_least("workers", self.workers, 1)
        if self.limit is not None:
            check_at_least("limit", self.limit, 1)
        if self.timeout is not None:
            check_positive("timeout", self.timeout)
            if self.backend != "processes":
                raise ParameterError("timeout: only the backend 'processes' can stop a video")
        if self.backend not in POOLS:
            known, hint = ", ".join(POOLS), did_you_mean(self.backend, POOLS)
            raise ParameterError(f"unknown backend {self.backend!r}; known: {known}.{hint}")
        if self.devices and self.backend in ("dask", "ray"):
            raise ParameterError(
                f"devices: a cluster assigns devices itself; got {', '.join(self.devices)} with "
                f"backend {self.backend!r}"
            )
        if self.overwrite and (self.retry_failed or self.verify):
            raise ParameterError("overwrite: excludes retry_failed and verify")

    def num_workers(self, method: FlowMethod) -> int:
        """Return the number of workers for a method."""
        if self.workers is not None:
            return self.workers
        if self.backend == "sequential":
            return 1
        if self.shares_devices(method):
            return usable_cores()
        if self.devices:
            return len(self.devices)
        return usable_cores() if method.device == "cpu" else 1

    def shares_devices(self, method: FlowMethod) -> bool:
        """Return True if a process for each device estimates the flow.

        Raises
        ------
        ParameterError
            If this is wanted, but not possible.
        """
        devices = self.devices or (method.device,)
        possible = {
            "a cluster assigns devices itself": self.backend in ("processes", "sequential"),
            "this system has no local sockets": hasattr(socket, "AF_UNIX"),
            f"flow method {method.name!r} does not compute with torch": isinstance(
                method, TensorMethod
            ),
        }
        if self.share_devices is None:
            return all(possible.values()) and any(device != "cpu" for device in devices)
        for reason, holds in possible.items():
            if self.share_devices and not holds:
                raise ParameterError(f"share_devices: {reason}")
        return self.share_devices


def usable_cores() -> int:
    """Return the number of CPU cores that this process may use.

    The quota of a container (cgroup) counts as well as the affinity of the process.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        cores = os.cpu_count() or 1
    return max(1, min(cores, _container_cores()))


def _container_cores() -> int:
    try:
        quota, _, period = Path("/sys/fs/cgroup/cpu.max").read_text().partition(" ")
        return max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):
        return 1 << 20
