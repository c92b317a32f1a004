"""Part (f) of benchmarks/gpu.py: memory by batch, and what happens when there is too little."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.gpu_checks import pan_frames
from benchmarks.gpu_parts import Add, Place, check_time
from benchmarks.gpu_tvl1 import caller, name, tensors
from flowstream.flow.tvl1 import TVL1


def measure(place: Place, add: Add) -> None:
    sizes = ((40, 56),) if place.tiny else ((256, 340), (480, 640), (720, 1280))
    shape = place.shape
    for size in sizes:
        for graphs in (False, True) if place.is_cuda else (False,):
            if not check_time(place, 4):
                return
            method = TVL1(**shape, engine="torch", device=place.device, graphs=graphs)
            pairs = 2 if place.tiny else method.pairs_at_once(size)
            call = caller(method, *tensors(place, size, pairs))
            for _ in range(2):
                call()
            peak = place.peak_bytes(call)
            add("peak", size=name(size), batch=pairs, graphs=graphs, megabytes=peak / 1e6)
    measure_recovery(place, sizes[0], shape, add)


def measure_recovery(place: Place, size: tuple[int, int], shape: dict[str, Any], add: Add) -> None:
    """Estimate a batch that does not fit; on the CPU, too little memory is pretended."""
    pairs = 4 if place.tiny else 256

    class Greedy(TVL1):
        """TV-L1 in larger batches than fit."""

        def pairs_at_once(self, size: tuple[int, int]) -> int:
            return pairs

        def estimate_tensors(self, frames: Any, ends: Any, *, directions: int) -> Any:
            seen.append(len(ends))
            if not place.is_cuda and len(ends) > 1:
                raise torch.OutOfMemoryError("pretended")
            return super().estimate_tensors(frames, ends, directions=directions)

    seen: list[int] = []
    method = Greedy(**shape, engine="torch", device=place.device, graphs=False)
    frames = pan_frames(pairs + 1, size)
    if place.is_cuda:
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(place.device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, 2e9 / total), place.device)
    try:
        fields = method(frames[:-1], frames[1:])
    finally:
        if place.is_cuda:
            torch.cuda.set_per_process_memory_fraction(1.0, place.device)
    add(
        "recovery",
        limit="2 GB" if place.is_cuda else "pretended",
        pairs=pairs,
        batches=" ".join(map(str, seen)),
        finite=bool(np.isfinite(fields).all()),
    )
