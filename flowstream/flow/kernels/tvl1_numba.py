"""TV-L1 for one pair of frames on one thread: pyramid, warps and driver of the sweeps.

Python calls one compiled function, `solver()`. It is compiled once per processor, its code is kept
on disk (beside this file, or in the user's cache directory if that is not writable), and it runs
without the GIL. All memory is in a workspace that the caller keeps; nothing is allocated later.

The file is long because workspace, driver and cache must agree in every detail. The functions that
pass over pixels are in the other kernel files.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import numba
import numpy as np
from numpy.typing import NDArray

from flowstream.errors import FlowstreamError
from flowstream.flow.kernels.data_term import (
    central_differences,
    conductance,
    confidence,
    finish,
    linearise,
    warp,
)
from flowstream.flow.kernels.median import median_5x5, weighted_median
from flowstream.flow.kernels.planes import (
    Plane,
    clear,
    copy_image,
    copy_plane,
    fill_frame,
    fill_sides,
    plane_size,
    resample,
    stride,
)
from flowstream.flow.kernels.simd import LANES, kernel
from flowstream.flow.kernels.sweeps import (
    RING,
    Duals,
    Flow,
    Linear,
    iterate_joint,
    iterate_separate,
)
from flowstream.flow.kernels.texture import TOGETHER, keep_texture
from flowstream.flow.kernels.tvl1_parameters import CHECKED, Grids, Numbers
from flowstream.types import Images, Vectors

LINE = 16  # float32 in a cache line
LINES = 16  # strides for kernels that work row by row, unless the rings need more


class Workspace(NamedTuple):
    """Memory for pairs of one size; rows of the float32 arrays start on a cache line.

    `matched` and `guides` hold the pyramids of both frames, all levels in one array: what is
    matched (grey values or texture) and grey values. Without texture they are the same arrays.
    """

    frames: NDArray[np.uint8]
    matched: tuple[Plane, Plane]
    guides: tuple[Plane, Plane]
    flow: Flow
    spare: Flow
    duals: Duals
    linear: Linear
    weight: Plane
    warped: Plane
    mean: Plane
    slopes: tuple[Plane, Plane]
    lines: Plane
    window: Plane
    places: NDArray[np.int32]


class Level(NamedTuple):
    """Images of one pyramid level."""

    first: Plane
    second: Plane
    guide: Plane
    rows: int
    columns: int
    number: int


def make_workspace(grids: Grids, numbers: Numbers) -> Workspace:
    """Allocate the zeroed memory that `solver()` needs."""
    rows, columns = (int(side) for side in grids.sizes[0])
    sizes = [plane_size(int(h), int(w)) for h, w in grids.sizes]
    together = max(numbers.inner_iterations if numbers.joint else CHECKED, TOGETHER)
    lines = max(together * RING, LINES) * stride(columns)
    pyramids = _allocate(4 if numbers.texture > 0 else 2, sum(sizes))
    # Arrays of one block are a few cache lines more than a page apart, so that they do not alias.
    planes = iter(_allocate(17, sizes[0]))
    return Workspace(
        frames=np.zeros((2, rows, columns), np.uint8),
        matched=(pyramids[0], pyramids[1]),
        guides=(pyramids[-2], pyramids[-1]),
        flow=(next(planes), next(planes)),
        spare=(next(planes), next(planes)),
        duals=(next(planes), next(planes), next(planes), next(planes)),
        linear=(next(planes), next(planes), next(planes), next(planes)),
        weight=next(planes),
        warped=next(planes),
        mean=next(planes),
        slopes=(next(planes), next(planes)),
        lines=_allocate(1, lines)[0],
        window=_allocate(1, (2 * numbers.weighted_radius + 1) ** 2 * LANES)[0],
        places=np.zeros(stride(columns), np.int32),
    )


def _allocate(rows: int, columns: int) -> NDArray[np.float32]:
    """Return zeros whose rows start on cache lines."""
    length = (columns + LINE - 1) // LINE * LINE + LINE
    memory = np.zeros(rows * length + LINE, np.float32)
    skip = -(memory.ctypes.data // memory.itemsize) % LINE
    return memory[skip : skip + rows * length].reshape(rows, length)


@kernel
def _build(work: Workspace, grids: Grids, numbers: Numbers, frame: int) -> None:
    """Compute the pyramids of one of the two frames."""
    rows, columns = grids.sizes[0]
    textured = numbers.texture > 0
    copy_image(work.frames[frame], work.matched[frame])
    if textured:
        copy_image(work.frames[frame], work.guides[frame])
        image, count = work.matched[frame], numbers.texture_iterations
        keep_texture(image, rows, columns, numbers.texture, count, work.duals, work.lines)
    start = 0
    for level in range(1, grids.sizes.shape[0]):
        new_rows, new_columns = grids.sizes[level]
        end = start + plane_size(rows, columns)
        ratio = (rows / new_rows, columns / new_columns)
        if numbers.shrink > 0:
            ratio = (1 / numbers.shrink, 1 / numbers.shrink)
        for k in range(2 if textured else 1):
            pyramid = work.matched[frame] if k == 0 else work.guides[frame]
            resample(
                pyramid[start:],
                (rows, columns),
                pyramid[end:],
                (new_rows, new_columns),
                ratio,
                1.0,
                grids.taps,
                work.lines,
            )
        start, rows, columns = end, new_rows, new_columns


@kernel
def _prepare(work: Workspace, level: Level, numbers: Numbers) -> None:
    """Prepare what all warps of a level share: duals, edge weights, frames of the warped images."""
    rows, columns = level.rows, level.columns
    for dual in work.duals:
        clear(dual, rows, columns)
    conductance(level.guide, work.weight, rows, columns, numbers.contrast)
    if not numbers.blended:
        fill_sides(level.second, rows, columns)
        central_differences(level.second, work.slopes[0], work.slopes[1], rows, columns)
        for slope in work.slopes:
            fill_frame(slope, rows, columns, numbers.black != 0)
    fill_frame(level.second, rows, columns, numbers.black != 0)


@kernel
def _linearise(work: Workspace, level: Level, numbers: Numbers, u: Flow) -> None:
    """Warp the second image by u and linearise the data term there."""
    size = (level.rows, level.columns)
    beyond = 1 if numbers.black else 0
    warp(level.second, u, work.warped, size, numbers.cubic, beyond, work.lines, work.places)
    if numbers.blended:
        linearise(level.first, work.warped, work.mean, work.linear, size)
    else:
        for k in range(2):
            target = work.linear[k]
            warp(work.slopes[k], u, target, size, numbers.cubic, beyond, work.lines, work.places)
    finish(level.first, work.warped, u, work.linear, size, numbers.black != 0)


@kernel
def _refine(
    work: Workspace, level: Level, numbers: Numbers, u: Flow, spare: Flow
) -> tuple[Flow, Flow, int]:
    """Warp and iterate on one level.

    Returns the flow, the other pair of planes, and the number of iterations.
    """
    rows, columns = level.rows, level.columns
    _prepare(work, level, numbers)
    weighted = numbers.weighted_radius > 0 and level.number < numbers.weighted_levels
    warps = min(numbers.warps, numbers.finest_warps + level.number)
    made = 0
    for k in range(warps):
        _linearise(work, level, numbers, u)
        change = np.inf
        for _ in range(numbers.outer_iterations):
            if change <= numbers.tolerance * numbers.tolerance:
                break
            if numbers.joint:
                made += _iterate(work, level, numbers, u)
                if weighted and k >= warps - numbers.weighted_warps:
                    confidence(u, work.linear, work.mean, rows, columns)
                    radius = numbers.weighted_radius
                    weighted_median(
                        u, spare, level.guide, work.mean, rows, columns, radius, work.window
                    )
                    u, spare = spare, u
                    continue
            if numbers.median:
                for j in range(2):
                    median_5x5(u[j], spare[j], rows, columns, work.lines)
                u, spare = spare, u
            if not numbers.joint:
                count, change = _alternate(work, level, numbers, u)
                made += count
    return u, spare, made


@kernel
def _iterate(work: Workspace, level: Level, numbers: Numbers, u: Flow) -> int:
    """Run the iterations of the "joint" scheme between two filters; returns their number."""
    steps = (numbers.primal_step, numbers.dual_step, numbers.attachment)
    size, count = (level.rows, level.columns), numbers.inner_iterations
    iterate_joint(u, work.duals, work.linear, work.weight, size, count, steps, work.lines)
    return count


@kernel
def _alternate(work: Workspace, level: Level, numbers: Numbers, u: Flow) -> tuple[int, float]:
    """Run the "separate" scheme until the flow changes less than the tolerance.

    Returns the number of iterations, at most `inner_iterations`, and the last change.
    """
    steps = (numbers.primal_step, numbers.dual_step, numbers.attachment)
    size = (level.rows, level.columns)
    change = np.inf
    made = 0
    while made < numbers.inner_iterations and change > numbers.tolerance * numbers.tolerance:
        count = min(CHECKED, numbers.inner_iterations - made)
        change = iterate_separate(u, work.duals, work.linear, size, count, steps, work.lines)
        made += count
    return made, change


@kernel
def _enlarge(
    work: Workspace, grids: Grids, numbers: Numbers, level: int, u: Flow, target: Flow
) -> None:
    """Sample the flow of the next coarser level on the grid of this level."""
    rows, columns = grids.sizes[level]
    old_rows, old_columns = grids.sizes[level + 1]
    ratio = (old_rows / rows, old_columns / columns)
    for k in range(2):
        gain = 1 / numbers.shrink if numbers.shrink > 0 else 1 / ratio[1 - k]
        resample(
            u[k],
            (old_rows, old_columns),
            target[k],
            (rows, columns),
            ratio,
            gain,
            grids.one,
            work.lines,
        )


@kernel
def _solve(
    work: Workspace,
    grids: Grids,
    numbers: Numbers,
    earlier: int,
    built: int,
    vectors: NDArray[np.float32],
) -> float:
    """Write the flow from frame `earlier` of the workspace to its other frame to `vectors`.

    Bit k of `built` says that the pyramids of frame k are up to date. Returns the number of
    iterations; those of coarser levels count by their share of pixels.
    """
    levels = grids.sizes.shape[0]
    for frame in range(2):
        if not (built >> frame) & 1:
            _build(work, grids, numbers, frame)
    start = 0
    for k in range(levels):
        start += plane_size(grids.sizes[k, 0], grids.sizes[k, 1])
    u, spare = work.flow, work.spare
    effort = 0.0
    for k in range(levels - 1, -1, -1):
        rows, columns = grids.sizes[k]
        start -= plane_size(rows, columns)
        if k == levels - 1:
            for component in u:
                clear(component, rows, columns)
        else:
            _enlarge(work, grids, numbers, k, u, spare)
            u, spare = spare, u
        level = Level(
            work.matched[earlier][start:],
            work.matched[1 - earlier][start:],
            work.guides[earlier][start:],
            rows,
            columns,
            k,
        )
        u, spare, made = _refine(work, level, numbers, u, spare)
        effort += made * rows * columns
    rows, columns = grids.sizes[0]
    for k in range(2):
        copy_plane(u[k], vectors[k])
    mean: float = effort / (rows * columns)
    return mean


@cache
def solver() -> Callable[..., float]:
    """Return the compiled `_solve`.

    numba's cache notices changes of this file only, but the compiled code comes from several files.
    Variables in the closure of a function are part of its cache key, so the closure holds a digest
    of all source files.

    Raises
    ------
    FlowstreamError
        If no directory for compiled code is writable.
    """
    sources = sorted(Path(__file__).parent.glob("*.py"))
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()

    def solve(work, grids, numbers, earlier, built, vectors):  # type: ignore[no-untyped-def]
        digest  # noqa: B018
        return _solve(work, grids, numbers, earlier, built, vectors)

    try:
        compiled: Any = numba.njit(nogil=True, cache=True, error_model="numpy")(solve)
    except RuntimeError as error:
        raise FlowstreamError(
            f"flow method 'tvl1': no writable directory for compiled code ({error}); "
            "set the environment variable NUMBA_CACHE_DIR to one"
        ) from error
    return cast(Callable[..., float], compiled)


class Solver:
    """Solver that estimates one pair after another and reuses the pyramids of the last two frames.

    In a video the pyramids of each frame are therefore built once, also for both directions. A
    solver must not be used by several threads at a time.
    """

    def __init__(self, grids: Grids, numbers: Numbers) -> None:
        self.grids, self.numbers = grids, numbers
        self.workspace = make_workspace(grids, numbers)
        self._built = False

    def __call__(self, first: Images, second: Images, vectors: Vectors) -> float:
        """Write the flow of one pair (H, W) to `vectors`; returns the number of iterations."""
        frames = self.workspace.frames
        earlier = int(self._holds(1, first) or self._holds(0, second))
        built = 0
        for place, frame in ((earlier, first), (1 - earlier, second)):
            built |= int(self._holds(place, frame)) << place
            np.copyto(frames[place], frame)
        # No frame counts as built until the call has finished, because it may be interrupted.
        self._built = False
        effort = solver()(self.workspace, self.grids, self.numbers, earlier, built, vectors)
        self._built = True
        return effort

    def _holds(self, place: int, frame: Images) -> bool:
        return self._built and np.array_equal(self.workspace.frames[place], frame)


class _Kept(threading.local):
    """Last solver of each thread; allocating a new one takes as long as some iterations."""

    solver: Solver | None = None

    def get(self, grids: Grids, numbers: Numbers) -> Solver:
        kept = self.solver
        if (
            kept is None
            or kept.numbers != numbers
            or not np.array_equal(kept.grids.sizes, grids.sizes)
            or not np.array_equal(kept.grids.taps, grids.taps)
        ):
            self.solver = None
            self.solver = kept = Solver(grids, numbers)
        return kept


_kept = _Kept()


def solve_pairs(
    first: Images,
    second: Images,
    *,
    numbers: Numbers,
    grids: Grids,
    threads: int,
    directions: int = 1,
) -> Vectors:
    """Estimate the flow of (N, H, W) pairs on at most `threads` threads, one pair per thread.

    Returns
    -------
    (directions, N, 2, H, W), float32
        Forward flow and, if `directions` is 2, backward flow.
    """
    vectors = np.empty((directions, len(first), 2, *first.shape[1:]), np.float32)
    solver()

    def solve_run(run: NDArray[np.int64]) -> None:
        solve = _kept.get(grids, numbers)
        for k in run:
            ends = first[k], second[k]
            for found in vectors[:, k]:
                solve(*ends, found)
                ends = ends[::-1]

    threads = min(threads, len(first))
    if threads <= 1:
        solve_run(np.arange(len(first)))
    else:
        runs = np.array_split(np.arange(len(first)), threads)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(solve_run, runs))
    return vectors
