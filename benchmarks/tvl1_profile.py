"""Time the stages of TV-L1, and compare its sweeps with the fastest sweep of this machine.

Used by `benchmarks/tvl1.py --profile`. Kernels are called on the memory of a solver that has just
estimated a pair, so that they see real data; the shortest of several calls counts.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from flowstream.flow.kernels import tvl1_numba
from flowstream.flow.kernels.data_term import confidence, finish, linearise, warp
from flowstream.flow.kernels.median import median_5x5, weighted_median
from flowstream.flow.kernels.sweeps import iterate_joint
from flowstream.flow.kernels.texture import keep_texture
from flowstream.flow.kernels.tvl1_numba import Solver
from flowstream.flow.kernels.tvl1_parameters import Preset
from flowstream.flow.tvl1 import TVL1

REPEATS = 15
STAGES = {
    "build": "texture and pyramid of two frames",
    "match": "block matching, both levels",
    "choose": "votes of the coarse level",
    "fill": "completion of the matches",
    "merge": "choice between matches and flow",
    "refine": "warps, iterations, medians",
    "refine_plain": "warps, iterations, medians",
    "refine_weighted": "warps, iterations, weighted medians",
}

Image = NDArray[np.uint8]


def print_profiles(first: Image, second: Image) -> None:
    """Print where the time of each preset of the "joint" scheme goes."""
    presets: tuple[Preset, ...] = ("fast", "default", "accurate")
    for preset in presets:
        print_profile(preset, first, second)


def print_profile(preset: Preset, first: Image, second: Image) -> None:
    """Print the time of each stage of one pair, and of each kernel on each level."""
    method = TVL1(preset=preset)
    solver = Solver(method.grids(first.shape), method.numbers())
    whole, stages = time_stages(solver, first, second)
    print(f"\n{preset}: {whole:.2f} ms for a pair of new frames")
    for name, title in STAGES.items():
        if name in stages:
            print(f"  {title:40s}{stages[name]:8.2f} ms {stages[name] / whole:7.1%}")
    print_levels(solver)


def time_stages(solver: Solver, first: Image, second: Image) -> tuple[float, dict[str, float]]:
    """Return the milliseconds of a pair, and of each stage, of the fastest of REPEATS calls."""
    vectors = np.empty((2, *first.shape), np.float32)
    solver(first, second, vectors)
    plain = tvl1_numba.compiled_stages()
    spent: dict[str, float] = defaultdict(float)

    def timed(name: str, stage: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            start = time.perf_counter()
            result = stage(*arguments)
            spent[name] += 1e3 * (time.perf_counter() - start)
            return result

        return call

    stages: Any = {name: timed(name, getattr(plain, name)) for name in plain._fields}
    watched = plain._replace(**stages)
    best, fastest = np.inf, dict(spent)
    compiled = tvl1_numba.compiled_stages
    for _ in range(REPEATS):
        solver(np.zeros_like(first), np.full_like(first, 9), vectors)  # forget the frames
        spent.clear()
        tvl1_numba.compiled_stages = lambda: watched  # type: ignore[assignment]
        start = time.perf_counter()
        solver(first, second, vectors)
        taken = 1e3 * (time.perf_counter() - start)
        tvl1_numba.compiled_stages = compiled
        if taken < best:
            best, fastest = taken, dict(spent)
    return best, fastest


def print_levels(solver: Solver) -> None:
    """Print the time of each kernel on each level, and the rate of the sweeps."""
    numbers = solver.numbers
    sizes = [(int(rows), int(columns)) for rows, columns in solver.grids.sizes]
    rows = [(size, level, time_kernels(solver, level)) for level, size in enumerate(sizes)]
    count = numbers.inner_iterations
    rates = [count * size[0] * size[1] / 1e3 / times["sweeps"] for size, _, times in rows]
    limit = max(rates)
    print(f"  {'level':>10s} {'warps':>6s} {'Mpx·it':>8s}" + "".join(
        f"{name:>10s}" for name in rows[0][2]) + f"{'Mpx·it/s':>10s} {'of best':>8s}")  # fmt: skip
    for (size, level, times), rate in zip(rows, rates, strict=True):
        warps = min(numbers.warps, numbers.finest_warps + level)
        work = warps * count * size[0] * size[1] / 1e6
        cells = "".join(f"{warps * value:10.3f}" for value in times.values())
        print(
            f"  {size[1]:>6d}x{size[0]:<4d}{warps:5d} {work:8.2f}{cells}{rate:10.0f} "
            f"{rate / limit:8.0%}"
        )
    texture = shortest(partial(_texture, solver)) if numbers.texture > 0 else 0.0
    print(f"  texture of one frame: {texture:.2f} ms; times above: ms of all warps of the level")


def time_kernels(solver: Solver, level: int) -> dict[str, float]:
    """Return the milliseconds of each kernel for one warp on one level."""
    work, grids, numbers = solver.workspace, solver.grids, solver.numbers
    images = cast(Any, tvl1_numba._select).py_func(work, grids, 0, level)
    rows, columns = int(images.rows), int(images.columns)
    size, u, spare = (rows, columns), work.flow, work.spare
    lines = work.lines
    steps = numbers.primal_step, numbers.dual_step, numbers.attachment
    for plane in u:
        plane[:] = 0

    def sweeps() -> None:
        iterate_joint(
            u, work.duals, work.linear, work.weight, size, numbers.inner_iterations, steps, lines
        )

    def medians() -> None:
        if numbers.weighted_radius > 0 and level < numbers.weighted_levels:
            confidence(u, work.linear, work.mean, rows, columns)
            weighted_median(
                u, spare, images.guide, work.mean, rows, columns,
                numbers.weighted_radius, work.window, lines,
            )  # fmt: skip
        else:
            for k in range(2):
                median_5x5(u[k], spare[k], rows, columns, lines)

    kernels: dict[str, Callable[[], None]] = {
        "warp": partial(
            warp, images.second, u, work.warped, size, numbers.cubic, 0, lines, work.places
        ),
        "gradient": partial(linearise, images.first, work.warped, work.mean, work.linear, size),
        "data term": partial(finish, images.first, work.warped, u, work.linear, size, False),
        "sweeps": sweeps,
        "medians": medians,
    }
    return {name: shortest(call) for name, call in kernels.items()}


def _texture(solver: Solver) -> None:
    work, numbers = solver.workspace, solver.numbers
    rows, columns = (int(side) for side in solver.grids.sizes[0])
    count = numbers.texture_iterations
    keep_texture(work.warped, rows, columns, numbers.texture, count, work.duals, work.lines)


def shortest(call: Callable[[], object]) -> float:
    """Return the milliseconds of the fastest of REPEATS calls, after one that may compile."""
    call()
    best = np.inf
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return 1e3 * best
