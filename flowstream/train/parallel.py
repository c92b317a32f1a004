"""Videos through a network that is not trained: by several processes on a CPU."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from flowstream.dataset.clips import StackClips
from flowstream.errors import FlowstreamError
from flowstream.train.batches import Batch, start_worker, viewed_batches
from flowstream.train.recipe import StreamRecipe

MAX_PROCESSES = 16
"""Limit of the number of processes; one with clips of 150 fields of 320 x 240 needs 0.6 GB."""

Arrays = list[NDArray[Any]]

Compute = Callable[[Tensor], list[Arrays]]
"""Function of clips (N, V, C, T, H, W) that returns some arrays for each of the N videos."""


def compute_videos(
    compute: Compute,
    clips: StackClips,
    *,
    recipe: StreamRecipe,
    device: torch.device,
    rows: Sequence[int],
) -> Iterator[tuple[int, Arrays]]:
    """Yield each row of `clips` and the arrays of its video, in the order of `rows`.

    On a CPU, as many processes as torch would use threads read and compute whole videos, with one
    thread each. Two threads for one video need more time than two processes for two videos,
    because much of the work is small operations and reading. `workers = 0` in the recipe prevents
    it. Results do not depend on the number of processes but by rounding.
    """
    count = count_processes(recipe, device, videos=len(rows))
    if count > 1:
        yield from _compute_in_processes(compute, clips, recipe.stream, rows=rows, count=count)
    elif rows:
        for batch in viewed_batches(recipe, clips, device, indices=rows):
            inputs, _, numbers = Batch(*batch)
            yield from zip(numbers.tolist(), compute(inputs[recipe.stream]), strict=True)


def count_processes(recipe: StreamRecipe, device: torch.device, *, videos: int) -> int:
    """Return the number of processes for a number of videos; at most 1 means none but this."""
    if device.type != "cpu" or recipe.workers == 0 or sys.platform != "linux":
        return 1  # other systems start processes slowly, with a copy of the network
    cores = min(torch.get_num_threads(), len(os.sched_getaffinity(0)))
    return min(cores, videos, MAX_PROCESSES)


class _Videos:
    """Dataset of a DataLoader, which computes in its workers; errors are returned as items."""

    def __init__(
        self, compute: Compute, clips: StackClips, stream: str, *, rows: Sequence[int]
    ) -> None:
        self.compute, self.clips, self.stream, self.rows = compute, clips, stream, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[int, Arrays] | FlowstreamError:
        row = self.rows[index]
        try:
            values = np.ascontiguousarray(self.clips[row].inputs[self.stream])
        except FlowstreamError as error:
            return error  # the DataLoader would put its own traceback into the message
        return row, self.compute(torch.from_numpy(values).unsqueeze(0))[0]


def _compute_in_processes(
    compute: Compute, clips: StackClips, stream: str, *, rows: Sequence[int], count: int
) -> Iterator[tuple[int, Arrays]]:
    loader: DataLoader[Any] = DataLoader(
        _Videos(compute, clips, stream, rows=rows),  # type: ignore[arg-type]
        batch_size=None,
        collate_fn=_keep,  # arrays go through a pipe, not through shared memory
        num_workers=count,
        worker_init_fn=start_worker,
    )
    for item in loader:
        if isinstance(item, FlowstreamError):
            raise item
        yield item


def _keep(item: Any) -> Any:
    return item
