"""Training and scoring with several processes that `torchrun` starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import distributed
from torch.utils.data import Sampler

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """Rank of the current process and number of processes."""

    rank: int = 0
    """Index of the current process, from 0."""
    count: int = 1
    """Number of processes."""

    @property
    def is_main(self) -> bool:
        """True if this process writes files and shows progress."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait until all processes have called this method."""
        if self.count > 1:
            distributed.barrier()

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes in the order of their ranks."""
        if self.count == 1:
            return [value]
        values: list[T] = [value] * self.count
        distributed.all_gather_object(values, value)
        return values


def join_processes(device: torch.device) -> Processes:
    """Join the processes that `torchrun` started, or return a single process.

    The first call creates the process group, with NCCL on CUDA and gloo otherwise.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Processes()
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Processes(distributed.get_rank(), distributed.get_world_size())


def choose_local_device(device: torch.device) -> torch.device:
    """Return the device of this process, which is its own GPU under `torchrun`."""
    if str(device) == "cuda" and "LOCAL_RANK" in os.environ:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return device


class ShuffledOrder(Sampler[int]):
    """Indices of one epoch for one process, in an order that the seed determines.

    Batch k of `count` processes with batches of n contains, together, the same videos as batch k of
    a single process with batches of `count * n`. The first indices are repeated at the end if the
    length is not divisible by `count`, so that every process gets the same number of indices.
    """

    def __init__(self, length: int, processes: Processes, *, seed: int) -> None:
        self.length = length
        self.processes = processes
        self.seed = seed

    def __len__(self) -> int:
        return -(-self.length // self.processes.count)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(self.length, generator=generator).tolist()
        padding = len(self) * self.processes.count - self.length
        order += order[:padding]
        yield from order[self.processes.rank :: self.processes.count]
