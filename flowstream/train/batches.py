"""Batches of clips for training and for scoring."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from flowstream.train.clips import Clips
from flowstream.train.distributed import Processes, ShuffledOrder
from flowstream.train.recipe import StreamRecipe

SHARED_MEMORY = Path("/dev/shm")


class Batch(NamedTuple):
    """Items of several videos: inputs by name (N, [V,] C, T, H, W), labels (N,), indices (N,)."""

    inputs: dict[str, Tensor]
    label: Tensor
    sample: Tensor


def training_batches(
    recipe: StreamRecipe,
    clips: Clips,
    device: torch.device,
    *,
    seed: int,
    processes: Processes = Processes(),  # noqa: B008  frozen
) -> DataLoader[Batch]:
    """Return the batches of one epoch, in an order that `seed` determines."""
    workers = choose_workers(recipe, clips, device)
    order = ShuffledOrder(len(clips), processes, seed=seed)
    return DataLoader(
        clips,  # type: ignore[arg-type]  # has __getitem__ and __len__; it must not depend on torch
        batch_size=recipe.batch,
        sampler=order,
        generator=torch.Generator().manual_seed(seed),
        drop_last=_leaves_one(len(order), recipe.batch),
        num_workers=workers,
        worker_init_fn=start_worker,
        pin_memory=device.type == "cuda",
    )


def count_steps(videos: int, batch: int) -> int:
    """Return the number of batches that `training_batches` makes of that many videos."""
    return -(-videos // batch) - _leaves_one(videos, batch)


def viewed_batches(
    recipe: StreamRecipe,
    clips: Clips,
    device: torch.device,
    *,
    indices: Sequence[int] | None = None,
) -> DataLoader[Batch]:
    """Return batches of videos with all their views, in order.

    A batch has about as many views as a batch in training. With `indices`, only these videos are
    returned.
    """
    workers = choose_workers(recipe, clips, device)
    dataset: Any = clips if indices is None else Subset(clips, indices)  # type: ignore[arg-type]
    return DataLoader(
        dataset,
        batch_size=max(1, recipe.batch // clips.views),
        num_workers=workers,
        worker_init_fn=start_worker,
        # 250 views of a 20-channel clip take a gigabyte.
        prefetch_factor=1 if workers else None,
        pin_memory=device.type == "cuda",
    )


def choose_workers(recipe: StreamRecipe, clips: Clips, device: torch.device) -> int:
    """Return the number of processes that read clips.

    The default is 0 if the network runs on the CPU. If the shared memory through which workers
    return batches is missing or too small, clips are read without workers, and a line on stderr
    reports it.
    """
    default = 0 if device.type == "cpu" else min(8, os.cpu_count() or 1)
    workers = default if recipe.workers is None else recipe.workers
    if not workers or sys.platform != "linux":
        return workers
    item = sum(int(np.prod(shape)) for shape in clips.shapes.values()) * 4 * clips.views
    needed = item * max(1, recipe.batch // clips.views) * (workers + 1)
    free = _free_shared_memory()
    if free >= needed:
        return workers
    sys.stderr.write(
        f"{SHARED_MEMORY}: {free / 1e6:.0f} MB of shared memory, {needed / 1e6:.0f} MB needed by "
        f"{workers} workers; reading clips without workers\n"
    )
    return 0


def _free_shared_memory() -> int:
    try:
        state = os.statvfs(SHARED_MEMORY)
    except OSError:
        return 0
    return state.f_bavail * state.f_frsize if os.access(SHARED_MEMORY, os.W_OK) else 0


def _leaves_one(videos: int, batch: int) -> bool:
    """Return True if the last batch has one clip, on which batch norm cannot train."""
    return videos > 1 and batch > 1 and videos % batch == 1


def start_worker(_: int) -> None:
    """Prepare a process that reads clips."""
    # Workers are parallel over clips, not within a clip; OpenCV's threads do not survive a fork.
    cv2.setNumThreads(0)
