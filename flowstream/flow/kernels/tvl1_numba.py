"""TV-L1 for one pair of frames on one thread: the pyramid, the warps and what calls the sweeps.

`solve` is the one function that Python calls; it is compiled once per processor, keeps its code on
disk (beside this file, or in the user's cache directory where that cannot be written) and holds no
GIL. Everything lies in a workspace that the caller keeps; nothing is allocated between warps.

The file is long because workspace, driver and cache must agree line by line; what passes over
pixels stands in the other kernels.
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
from flowstream.flow.kernels.linear import (
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
from flowstream.flow.kernels.tvl1_numbers import CHECKED, Grids, Numbers
from flowstream.types import Images, Vectors

LINE = 16  # float32 in a cache line


class Workspace(NamedTuple):
    """Memory for pairs of one size; every row of the float32 arrays starts on a cache line."""

    frames: NDArray[np.uint8]
    pyramids: NDArray[np.float32]
    planes: NDArray[np.float32]
    lines: NDArray[np.float32]
    window: NDArray[np.float32]
    places: NDArray[np.int32]


# Rows of `pyramids`, of each of the two frames that a workspace holds: what is matched and, where
# that is texture, the grey values. A row is the levels of one image, one after another.
MATCHED, GUIDE = 0, 2
# Rows of `planes`.
FLOW, SPARE, DUALS, LINEAR, WEIGHT, WARPED, MEAN, SLOPES, PLANES = 0, 2, 4, 8, 12, 13, 14, 15, 17
LINES = 16  # strides for kernels that work row by row, where the rings do not need more


def make_workspace(grids: Grids, numbers: Numbers) -> Workspace:
    """Zeroed memory for `solve`; a whole page of strides between planes would alias, so none is."""
    rows, columns = (int(side) for side in grids.sizes[0])
    sizes = [plane_size(int(h), int(w)) for h, w in grids.sizes]
    together = max(numbers.inner_iterations if numbers.joint else CHECKED, TOGETHER)
    lines = max(together * RING, LINES) * stride(columns)
    return Workspace(
        frames=np.zeros((2, rows, columns), np.uint8),
        pyramids=_aligned(GUIDE + 2, sum(sizes)),
        planes=_aligned(PLANES, sizes[0]),
        lines=_aligned(1, lines)[0],
        window=_aligned(1, (2 * numbers.weighted_radius + 1) ** 2 * LANES)[0],
        places=np.zeros(stride(columns), np.int32),
    )


def _aligned(rows: int, columns: int) -> NDArray[np.float32]:
    length = (columns + LINE - 1) // LINE * LINE + LINE
    memory = np.zeros(rows * length + LINE, np.float32)
    skip = -(memory.ctypes.data // memory.itemsize) % LINE
    return memory[skip : skip + rows * length].reshape(rows, length)


@kernel
def _build(work: Workspace, grids: Grids, numbers: Numbers, frame: int) -> None:
    """Fill the pyramids of one of the workspace's frames."""
    rows, columns = grids.sizes[0]
    textured = numbers.texture > 0
    copy_image(work.frames[frame], work.pyramids[MATCHED + frame])
    if textured:
        copy_image(work.frames[frame], work.pyramids[GUIDE + frame])
        image, count = work.pyramids[MATCHED + frame], numbers.texture_iterations
        keep_texture(image, rows, columns, numbers.texture, count, work.planes, work.lines)
    start = 0
    for level in range(1, grids.sizes.shape[0]):
        new_rows, new_columns = grids.sizes[level]
        end = start + plane_size(rows, columns)
        ratio = (rows / new_rows, columns / new_columns)
        if numbers.shrink > 0:
            ratio = (1 / numbers.shrink, 1 / numbers.shrink)
        for k in range(2 if textured else 1):
            pyramid = work.pyramids[frame + k * GUIDE]
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
def _refine(
    work: Workspace,
    grids: Grids,
    numbers: Numbers,
    earlier: int,
    level: int,
    start: int,
    flow: int,
) -> tuple[int, int]:
    """Warp and iterate on one level, whose images start at `start`; frame `earlier` is the first.

    `flow`, FLOW or SPARE, says where the flow lies; returned are where it lies then, and the
    iterations made.
    """
    rows, columns = grids.sizes[level]
    size = (rows, columns)
    planes, lines = work.planes, work.lines
    pyramids = work.pyramids
    first, second = pyramids[MATCHED + earlier, start:], pyramids[MATCHED + 1 - earlier, start:]
    guide = pyramids[(GUIDE if numbers.texture > 0 else MATCHED) + earlier, start:]
    p = (planes[DUALS], planes[DUALS + 1], planes[DUALS + 2], planes[DUALS + 3])
    linear = (planes[LINEAR], planes[LINEAR + 1], planes[LINEAR + 2], planes[LINEAR + 3])
    warped, mean = planes[WARPED], planes[MEAN]
    for dual in p:
        clear(dual, rows, columns)
    conductance(guide, planes[WEIGHT], rows, columns, numbers.contrast)
    # What is warped: the second image and, unless they come from the warped one, its derivatives.
    kinds = 1 if numbers.blended else 3
    if not numbers.blended:
        fill_sides(second, rows, columns)
        central_differences(second, planes[SLOPES], planes[SLOPES + 1], rows, columns)
    for k in range(kinds):
        image = second if k == 0 else planes[SLOPES + k - 1]
        fill_frame(image, rows, columns, numbers.black != 0)
    beyond = 1 if numbers.black else 0
    steps = (numbers.primal_step, numbers.dual_step, numbers.attachment)
    weighted = numbers.weighted_radius > 0 and level < numbers.weighted_levels
    warps = min(numbers.warps, numbers.finest_warps + level)
    made = 0
    for k in range(warps):
        u = (planes[flow], planes[flow + 1])
        for j in range(kinds):
            image = second if j == 0 else planes[SLOPES + j - 1]
            target = warped if j == 0 else planes[LINEAR + j - 1]
            warp(image, u, target, size, numbers.cubic, beyond, lines, work.places)
        if numbers.blended:
            linearise(first, warped, mean, linear, size)
        finish(first, warped, u, linear, size, numbers.black != 0)
        change = np.inf
        for _ in range(numbers.outer_iterations):
            if change <= numbers.tolerance * numbers.tolerance:
                break
            if numbers.joint:
                u = (planes[flow], planes[flow + 1])
                count = numbers.inner_iterations
                iterate_joint(u, p, linear, planes[WEIGHT], size, count, steps, lines)
                made += count
                if weighted and k >= warps - numbers.weighted_warps:
                    confidence(u, linear, mean, rows, columns)
                    other = (planes[SPARE - flow], planes[SPARE - flow + 1])
                    radius = numbers.weighted_radius
                    weighted_median(u, other, guide, mean, rows, columns, radius, work.window)
                    flow = SPARE - flow
                    continue
            if numbers.median:
                for j in range(2):
                    median_5x5(planes[flow + j], planes[SPARE - flow + j], rows, columns, lines)
                flow = SPARE - flow
            if not numbers.joint:
                u = (planes[flow], planes[flow + 1])
                count, change = _alternate(u, p, linear, size, numbers, lines)
                made += count
    return flow, made


@kernel
def _alternate(
    u: Flow, p: Duals, linear: Linear, size: tuple[int, int], numbers: Numbers, lines: Plane
) -> tuple[int, float]:
    """Up to `inner_iterations`, or until the flow changes less than the tolerance."""
    steps = (numbers.primal_step, numbers.dual_step, numbers.attachment)
    change = np.inf
    made = 0
    while made < numbers.inner_iterations and change > numbers.tolerance * numbers.tolerance:
        count = min(CHECKED, numbers.inner_iterations - made)
        change = iterate_separate(u, p, linear, size, count, steps, lines)
        made += count
    return made, change


@kernel
def _solve(
    work: Workspace,
    grids: Grids,
    numbers: Numbers,
    earlier: int,
    built: int,
    vectors: NDArray[np.float32],
) -> float:
    """Write the flow from the workspace's frame `earlier` to its other one to `vectors` (2, H, W).

    Bit k of `built` says that the pyramids of frame k stand. Returns the iterations made, in
    iterations of the finest level.
    """
    levels = grids.sizes.shape[0]
    for frame in range(2):
        if not (built >> frame) & 1:
            _build(work, grids, numbers, frame)
    start = 0
    for level in range(levels):
        start += plane_size(grids.sizes[level, 0], grids.sizes[level, 1])
    flow = FLOW
    effort = 0.0
    for level in range(levels - 1, -1, -1):
        rows, columns = grids.sizes[level]
        start -= plane_size(rows, columns)
        if level == levels - 1:
            for k in range(2):
                clear(work.planes[FLOW + k], rows, columns)
        else:
            old_rows, old_columns = grids.sizes[level + 1]
            ratio = (old_rows / rows, old_columns / columns)
            for k in range(2):
                gain = 1 / numbers.shrink if numbers.shrink > 0 else 1 / ratio[1 - k]
                resample(
                    work.planes[flow + k],
                    (old_rows, old_columns),
                    work.planes[SPARE - flow + k],
                    (rows, columns),
                    ratio,
                    gain,
                    grids.one,
                    work.lines,
                )
            flow = SPARE - flow
        flow, made = _refine(work, grids, numbers, earlier, level, start, flow)
        effort += made * rows * columns
    rows, columns = grids.sizes[0]
    for k in range(2):
        copy_plane(work.planes[flow + k], vectors[k])
    mean: float = effort / (rows * columns)
    return mean


@cache
def solver() -> Callable[..., float]:
    """The compiled `_solve`.

    numba notices a change of this file only, but what it compiles stands in several. Variables that
    a function closes over enter the key of its cache: the digest of all sources is one.

    Raises
    ------
    FlowstreamError
        If there is nowhere to keep compiled code.
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
            f"flow method 'tvl1': numba finds no folder for compiled code ({error}); "
            "name a writable one in the environment variable NUMBA_CACHE_DIR"
        ) from error
    return cast(Callable[..., float], compiled)


class Solver:
    """Flow of one pair after another; what is known of a frame of the last pair is used again.

    So in a video each frame's pyramids are built once, also for both directions. Not for several
    threads at once.
    """

    def __init__(self, grids: Grids, numbers: Numbers) -> None:
        self.grids, self.numbers = grids, numbers
        self.workspace = make_workspace(grids, numbers)
        self._built = False

    def __call__(self, first: Images, second: Images, vectors: Vectors) -> float:
        """Write the flow of one pair (H, W) to `vectors`; returns what `_solve` does."""
        frames = self.workspace.frames
        earlier = int(self._holds(1, first) or self._holds(0, second))
        built = 0
        for place, frame in ((earlier, first), (1 - earlier, second)):
            built |= int(self._holds(place, frame)) << place
            np.copyto(frames[place], frame)
        # Until it is done no frame counts as built: an interrupt may come in between.
        self._built = False
        effort = solver()(self.workspace, self.grids, self.numbers, earlier, built, vectors)
        self._built = True
        return effort

    def _holds(self, place: int, frame: Images) -> bool:
        return self._built and np.array_equal(self.workspace.frames[place], frame)


class _Kept(threading.local):
    """The last solver of a thread: fresh memory costs as much as some iterations."""

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
    """(directions, N, 2, H, W) flow of (N, H, W) pairs: there, and back where `directions` is 2.

    Each pair takes one thread of at most `threads`.
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
