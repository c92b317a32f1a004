"""Part (b) of benchmarks/gpu.py: TV-L1, pairs per second."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.gpu_checks import pan_frames, title, variants
from benchmarks.gpu_parts import Add, Place, check_time
from flowstream.flow.tvl1 import TVL1

SIZES = ((256, 340), (480, 640), (720, 1280))
BATCHES = (1, 4, 16, 64, 128)
PRESETS: tuple[Any, ...] = ("default", "fast")


def measure(place: Place, add: Add) -> None:
    sizes = ((40, 56),) if place.tiny else SIZES
    batches = (1, 2) if place.tiny else BATCHES
    shape = place.shape
    numba = {}
    for size in sizes:
        numba[size] = measure_numba(place, size, shape, add)
        measure_batches(place, size, batches, shape, add, numba[size])
    measure_variants(place, sizes[0], shape, add, numba[sizes[0]])
    if place.is_cuda:
        measure_tiles(place, add)


def measure_numba(
    place: Place, size: tuple[int, int], shape: dict[str, Any], add: Add
) -> tuple[float, float]:
    """Return pairs per second of the numba kernel on one core and on all."""
    cores = len(os.sched_getaffinity(0))
    rates = []
    for threads in (1, cores):
        frames = pan_frames(2 * threads + 1, size)
        method = TVL1(**shape, threads=threads)
        call = lambda method=method, frames=frames: method(frames[:-1], frames[1:])  # noqa: E731
        rates.append(place.rate(call, 2 * threads, warm_up=1))
    add("numba", size=name(size), one_core=rates[0], all_cores=rates[1], cores=cores)
    return rates[0], rates[1]


def tensors(place: Place, size: tuple[int, int], pairs: int) -> tuple[torch.Tensor, torch.Tensor]:
    frames = torch.from_numpy(pan_frames(pairs + 1, size)).to(place.device)
    first = torch.arange(pairs, device=place.device)
    return frames, torch.stack([first, first + 1], 1)


def caller(method: TVL1, frames: torch.Tensor, pairs: torch.Tensor) -> Callable[[], object]:
    return lambda: method.estimate_tensors(frames, pairs, directions=1)


def measure_batches(
    place: Place,
    size: tuple[int, int],
    batches: tuple[int, ...],
    shape: dict[str, Any],
    add: Add,
    numba: tuple[float, float],
) -> None:
    """Measure the default engine by the number of pairs in a batch."""
    for preset in PRESETS[: 1 if size != SIZES[0] else 2]:
        method = TVL1(preset, **shape, engine="torch", device=place.device)
        for pairs in batches:
            if not check_time(place, 35):
                return
            if pairs * size[0] * size[1] > 24 << 20:
                continue
            rate = place.rate(caller(method, *tensors(place, size, pairs)), pairs)
            add(
                "by batch",
                size=name(size),
                preset=preset,
                batch=pairs,
                pairs_per_second=rate,
                x_one_core=rate / numba[0],
                x_all_cores=rate / numba[1],
            )


def measure_variants(
    place: Place, size: tuple[int, int], shape: dict[str, Any], add: Add, numba: tuple[float, float]
) -> None:
    pairs = 2 if place.tiny else 64
    for variant in variants(place):
        if not check_time(place, 25 if variant["acceleration"] == "compile" else 12):
            continue
        method = TVL1(**shape, engine="torch", device=place.device, **variant)
        rate = place.rate(caller(method, *tensors(place, size, pairs)), pairs)
        add(
            "by engine",
            size=name(size),
            batch=pairs,
            engine=title(variant),
            pairs_per_second=rate,
            x_one_core=rate / numba[0],
        )


def measure_tiles(place: Place, add: Add) -> None:
    """Measure the kernel of the iterations with other tiles than the default."""
    from flowstream.flow.kernels import tvl1_triton

    rows, columns, pairs = 256, 340, 64
    plane = torch.rand(pairs, rows, columns, device=place.device)
    u, g = (torch.stack([plane, plane], 1) for _ in "ug")
    p = torch.zeros(pairs, 2, 2, rows, columns, device=place.device)
    steps = {"primal_step": 0.5, "dual_step": 0.25, "attachment": 0.13}
    for tile in (
        tvl1_triton.TILE,
        tvl1_triton.Tile(32, 64, iterations=4, warps=8),
        tvl1_triton.Tile(32, 64, iterations=6, warps=16),
        tvl1_triton.Tile(32, 32, iterations=4, warps=8),
        tvl1_triton.Tile(16, 64, iterations=2, warps=8),
        tvl1_triton.Tile(32, 128, iterations=4, warps=16),
    ):
        if not check_time(place, 8):
            return
        count = 4 * tile.iterations

        def call(tile: Any = tile, count: int = count) -> object:
            return tvl1_triton.iterate(u, p, g, plane, plane, iterations=count, tile=tile, **steps)

        rate = place.rate(call, pairs * rows * columns * count)
        add("tiles", tile=str(tuple(tile)), billion_pixel_iterations_per_second=rate / 1e9)


def name(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
