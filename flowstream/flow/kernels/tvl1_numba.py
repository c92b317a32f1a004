"""TV-L1 for one pair of frames on one thread: pyramid, warps and driver of the sweeps.

Python calls a few compiled functions, the stages. They are compiled once per processor, their code
is kept on disk (beside this file, or in the user's cache directory if that is not writable). They
run without the GIL. All memory is in a workspace that the caller keeps; nothing is allocated later.

The file is long because workspace, driver and cache must agree in every detail. The functions that
pass over pixels are in the other kernel files.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from flowstream.flow.kernels.compilation import Stage
from flowstream.flow.kernels.data_term import (
    central_differences,
    conductance,
    confidence,
    finish,
    linearise,
    warp,
)
from flowstream.flow.kernels.matching import (
    Search,
    choose_candidates,
    fill_matches,
    make_search,
    match_blocks,
    window_cost,
)
from flowstream.flow.kernels.median import median_5x5, weighted_median
from flowstream.flow.kernels.planes import (
    Plane,
    allocate,
    as_image,
    copy_image,
    fill_frame,
    fill_plane,
    fill_sides,
    origin,
    plane_size,
    resample,
    stride,
)
from flowstream.flow.kernels.regions import ACCEPTED, label_regions
from flowstream.flow.kernels.simd import LANES, inlined
from flowstream.flow.kernels.sweeps import (
    RING,
    Duals,
    Flow,
    Linear,
    iterate_joint,
    iterate_separate,
)
from flowstream.flow.kernels.texture import TOGETHER, keep_texture
from flowstream.flow.kernels.tvl1_parameters import (
    BETTER,
    CHECKED,
    WINDOW_COARSE,
    WINDOW_FINE,
    WINDOW_MERGED,
    WINDOW_REGION,
    Grids,
    Numbers,
    limit_warps,
)
from flowstream.types import Images, Vectors

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
    """Allocate the zeroed memory that the stages need."""
    rows, columns = (int(side) for side in grids.sizes[0])
    sizes = [plane_size(int(h), int(w)) for h, w in grids.sizes]
    together = max(numbers.inner_iterations if numbers.joint else CHECKED, TOGETHER)
    lines = max(together * RING, LINES) * stride(columns)
    pyramids = allocate(4 if numbers.texture > 0 else 2, sum(sizes))
    # Arrays of one block are a few cache lines more than a page apart, so that they do not alias.
    planes = iter(allocate(17, sizes[0]))
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
        lines=allocate(1, lines)[0],
        window=allocate(1, (2 * numbers.weighted_radius + 1) ** 2 * LANES)[0],
        places=np.zeros(stride(columns), np.int32),
    )


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


@inlined
def _select(work: Workspace, grids: Grids, earlier: int, number: int) -> Level:
    """Return the images of a level, the first of them from frame `earlier`."""
    start = 0
    for k in range(number):
        start += plane_size(grids.sizes[k, 0], grids.sizes[k, 1])
    rows, columns = grids.sizes[number]
    first, second = work.matched[earlier][start:], work.matched[1 - earlier][start:]
    return Level(first, second, work.guides[earlier][start:], rows, columns, number)


@inlined
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


@inlined
def _prepare(work: Workspace, level: Level, numbers: Numbers) -> None:
    """Prepare what all warps of a level share: duals, edge weights, frames of the warped images."""
    rows, columns = level.rows, level.columns
    for dual in work.duals:
        fill_plane(dual, rows, columns, 0.0)
    conductance(level.guide, work.weight, rows, columns, numbers.contrast)
    if not numbers.blended:
        fill_sides(level.second, rows, columns)
        central_differences(level.second, work.slopes[0], work.slopes[1], rows, columns)
        for slope in work.slopes:
            fill_frame(slope, rows, columns, numbers.black != 0)
    fill_frame(level.second, rows, columns, numbers.black != 0)


@inlined
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


@inlined
def _filter(work: Workspace, level: Level, u: Flow, target: Flow) -> None:
    """Store the plain median of each component of the flow."""
    for j in range(2):
        median_5x5(u[j], target[j], level.rows, level.columns, work.lines)


# The stages that refine a level differ in few lines. They are separate functions because each is
# compiled when it is first called, and a preset needs one of them only.


def _refine_plain(
    work: Workspace,
    grids: Grids,
    numbers: Numbers,
    earlier: int,
    number: int,
    enlarged: int,
    u: Flow,
    spare: Flow,
) -> tuple[int, int]:
    """Warp and iterate on one level, by the "joint" scheme with the plain median filter.

    `enlarged` says that `u` is the flow of the next coarser level. Returns the number of
    iterations, and whether the result is in `spare`.
    """
    level = _select(work, grids, earlier, number)
    made = moved = 0
    if enlarged:
        _enlarge(work, grids, numbers, number, u, spare)
        u, spare, moved = spare, u, 1
    _prepare(work, level, numbers)
    steps = (numbers.primal_step, numbers.dual_step, numbers.attachment)
    size, count = (level.rows, level.columns), numbers.inner_iterations
    for _ in range(min(numbers.warps, numbers.finest_warps + number)):
        _linearise(work, level, numbers, u)
        for _ in range(numbers.outer_iterations):
            iterate_joint(u, work.duals, work.linear, work.weight, size, count, steps, work.lines)
            made += count
            if numbers.median:
                _filter(work, level, u, spare)
                u, spare, moved = spare, u, 1 - moved
    return made, moved


def _refine_weighted(
    work: Workspace,
    grids: Grids,
    numbers: Numbers,
    earlier: int,
    number: int,
    enlarged: int,
    u: Flow,
    spare: Flow,
) -> tuple[int, int]:
    """Do what `_refine_plain` does, with the weighted median filter in the last warps."""
    level = _select(work, grids, earlier, number)
    made = moved = 0
    if enlarged:
        _enlarge(work, grids, numbers, number, u, spare)
        u, spare, moved = spare, u, 1
    _prepare(work, level, numbers)
    steps = (numbers.primal_step, numbers.dual_step, numbers.attachment)
    rows, columns = level.rows, level.columns
    size, count = (rows, columns), numbers.inner_iterations
    warps = min(numbers.warps, numbers.finest_warps + number)
    radius = numbers.weighted_radius
    for k in range(warps):
        _linearise(work, level, numbers, u)
        weighted = number < numbers.weighted_levels and k >= warps - numbers.weighted_warps
        for _ in range(numbers.outer_iterations):
            iterate_joint(u, work.duals, work.linear, work.weight, size, count, steps, work.lines)
            made += count
            if weighted:
                confidence(u, work.linear, work.mean, rows, columns)
                guide, trust = level.guide, work.mean
                weighted_median(
                    u, spare, guide, trust, rows, columns, radius, work.window, work.lines
                )
                u, spare, moved = spare, u, 1 - moved
            elif numbers.median:
                _filter(work, level, u, spare)
                u, spare, moved = spare, u, 1 - moved
    return made, moved


def _refine_separate(
    work: Workspace,
    grids: Grids,
    numbers: Numbers,
    earlier: int,
    number: int,
    enlarged: int,
    u: Flow,
    spare: Flow,
) -> tuple[int, int]:
    """Do what `_refine_plain` does, by the "separate" scheme; the median filter comes first."""
    level = _select(work, grids, earlier, number)
    made = moved = 0
    if enlarged:
        _enlarge(work, grids, numbers, number, u, spare)
        u, spare, moved = spare, u, 1
    _prepare(work, level, numbers)
    steps = (numbers.primal_step, numbers.dual_step, numbers.attachment)
    size, enough = (level.rows, level.columns), numbers.tolerance * numbers.tolerance
    for _ in range(min(numbers.warps, numbers.finest_warps + number)):
        _linearise(work, level, numbers, u)
        change = np.inf
        for _ in range(numbers.outer_iterations):
            if change <= enough:
                break
            if numbers.median:
                _filter(work, level, u, spare)
                u, spare, moved = spare, u, 1 - moved
            change, done = np.inf, 0
            while done < numbers.inner_iterations and change > enough:
                count = min(CHECKED, numbers.inner_iterations - done)
                change = iterate_separate(
                    u, work.duals, work.linear, size, count, steps, work.lines
                )
                done += count
            made += done
    return made, moved


def _merge(
    work: Workspace,
    search: Search,
    grids: Grids,
    numbers: Numbers,
    earlier: int,
    u: Flow,
    found: Flow,
) -> None:
    """Replace the flow by the refined block matches where these fit the images better."""
    level = _select(work, grids, earlier, grids.fine)
    rows, columns = level.rows, level.columns
    size = (rows, columns)
    by_regions = numbers.matching > 1
    # literals would have window_cost compiled for each of them
    radius, single, wide = np.int64(WINDOW_MERGED), np.int64(0), np.int64(WINDOW_REGION)
    for k in range(2):
        flow = u if k == 0 else found
        cost = work.mean if k == 0 else work.weight
        beyond = 1 if numbers.black else 0
        warp(level.second, flow, work.warped, size, numbers.cubic, beyond, work.lines, work.places)
        sums, line = search.sums, search.line
        window_cost(level.first, work.warped, flow, cost, sums, line, rows, columns, radius)
        if by_regions:
            cost = work.linear[k]
            window_cost(level.first, work.warped, flow, cost, sums, line, rows, columns, single)
            cost = work.linear[2 + k]
            window_cost(level.first, work.warped, flow, cost, sums, line, rows, columns, wide)
    if by_regions:
        label_regions(search, u, found, work.linear, rows, columns)
    for row in range(rows):
        start = origin(row, stride(columns))
        for i in range(start, start + columns):
            better = work.weight[i] + np.float32(BETTER) < work.mean[i]
            place = row * columns + i - start
            if by_regions and search.labels[place] == ACCEPTED:
                better = better or work.linear[3][i] < work.linear[2][i]
            if better:
                u[0][i] = found[0][i]
                u[1][i] = found[1][i]


class Stages(NamedTuple):
    """Functions that Python calls; each is compiled when it is first called."""

    build: Stage
    refine_plain: Stage
    refine_weighted: Stage
    refine_separate: Stage
    match: Stage
    choose: Stage
    fill: Stage
    merge: Stage


@cache
def compiled_stages() -> Stages:
    """Return the stages of the solver.

    Raises
    ------
    FlowstreamError
        If no directory for compiled code is writable.
    """
    stages = (
        _build,
        _refine_plain,
        _refine_weighted,
        _refine_separate,
        match_blocks,
        choose_candidates,
        fill_matches,
        _merge,
    )
    return Stages(*(Stage(stage) for stage in stages))


class Solver:
    """Solver that estimates one pair after another and reuses work on the last two frames.

    In a video the pyramids of each frame are therefore built once, also for both directions, which
    share the block matches, too. A solver must not be used by several threads at a time.
    """

    def __init__(self, grids: Grids, numbers: Numbers) -> None:
        self.grids, self.numbers = grids, numbers
        self.workspace = make_workspace(grids, numbers)
        self.search = None
        if numbers.matching and grids.fine >= 0:
            rows, columns = (int(side) for side in grids.sizes[grids.fine])
            self.search = make_search((rows, columns))
        self._built = False

    def __call__(self, first: Images, second: Images, vectors: Vectors) -> float:
        """Write the flow of one pair (H, W) to `vectors`; returns the number of iterations."""
        earlier, matched = self._load(first, second)
        top = len(self.grids.sizes) - 1
        flow = self.workspace.flow, self.workspace.spare
        for component in flow[0]:
            component[: plane_size(*self.grids.sizes[top])] = 0
        effort = 0.0
        if self.search is not None:
            flow, effort = self._refine_with_matches(earlier, matched, flow)
            top = self.grids.fine - 1
        flow, made = self._refine(
            earlier, range(top, -1, -1), self.numbers, flow=flow, enlarged=self.search is not None
        )
        rows, columns = first.shape
        for plane, component in zip(flow[0], vectors, strict=True):
            component[:] = as_image(plane, rows, columns)
        self._built = True
        return effort + made

    def find_matches(self, first: Images, second: Images) -> NDArray[np.float32]:
        """Return the block matches (2, rows, columns) of one pair on the level `grids.fine`."""
        if self.search is None:
            raise ValueError("find_matches: expected a pyramid with levels for matching")
        earlier, matched = self._load(first, second)
        self._fill_matches(earlier, matched)
        self._built = True
        rows, columns = (int(side) for side in self.grids.sizes[self.grids.fine])
        return np.stack([as_image(plane, rows, columns) for plane in self.search.found])

    def _load(self, first: Images, second: Images) -> tuple[int, bool]:
        """Copy the frames and build their pyramids.

        Returns which frame of the workspace is the first one, and whether the block matches of this
        pair are known.
        """
        frames = self.workspace.frames
        earlier = int(self._holds(1, first) or self._holds(0, second))
        places = earlier, 1 - earlier
        missing = []
        for place, frame in zip(places, (first, second), strict=True):
            if not self._holds(place, frame):
                missing.append(place)
        for place, frame in zip(places, (first, second), strict=True):
            np.copyto(frames[place], frame)
        # No frame counts as built until the call has finished, because it may be interrupted.
        self._built = False
        for place in missing:
            compiled_stages().build(self.workspace, self.grids, self.numbers, place)
        return earlier, not missing

    def _refine(
        self,
        earlier: int,
        levels: range,
        numbers: Numbers,
        *,
        flow: tuple[Flow, Flow],
        enlarged: bool,
    ) -> tuple[tuple[Flow, Flow], float]:
        """Refine the first of the two flows on levels from coarse to fine.

        `enlarged` says that the flow is that of the level above the first one. Returns both flows,
        the result first, and the iterations; those of coarser levels count by their pixels.
        """
        stages = compiled_stages()
        refine = stages.refine_weighted if numbers.weighted_radius else stages.refine_plain
        if not numbers.joint:
            refine = stages.refine_separate
        effort = 0.0
        for number in levels:
            made, moved = refine(
                self.workspace, self.grids, numbers, earlier, number, int(enlarged), *flow
            )
            flow = flow[::-1] if moved else flow
            enlarged = True
            effort += made * self.grids.sizes[number].prod() / self.grids.sizes[0].prod()
        return flow, float(effort)

    def _refine_with_matches(
        self, earlier: int, matched: bool, flow: tuple[Flow, Flow]
    ) -> tuple[tuple[Flow, Flow], float]:
        """Refine the flow to the level of the block matches, and merge it with them."""
        search, grids, numbers = cast(Search, self.search), self.grids, self.numbers
        levels = range(len(grids.sizes) - 1, grids.fine - 1, -1)
        flow, effort = self._refine(earlier, levels, numbers, flow=flow, enlarged=False)
        self._fill_matches(earlier, matched)
        found, made = self._refine(
            earlier,
            levels[-1:],
            limit_warps(numbers),
            flow=(search.found, search.spare),
            enlarged=False,
        )
        compiled_stages().merge(self.workspace, search, grids, numbers, earlier, flow[0], found[0])
        return flow, effort + made

    def _fill_matches(self, earlier: int, matched: bool) -> None:
        """Search for block matches, unless they are known, and complete those of one direction."""
        stages, work = compiled_stages(), self.workspace
        search = cast(Search, self.search)
        canonical = _choose_canonical(work.frames)
        if not matched:
            images = work.matched[canonical], work.matched[1 - canonical]
            self._match(images)
        backward = int(earlier != canonical)
        stages.fill(search, backward, work.guides[earlier], search.found, self.grids)

    def _match(self, images: tuple[Plane, Plane]) -> None:
        """Match two pyramids in both directions: on the coarse level, then on the fine one."""
        stages, search = compiled_stages(), cast(Search, self.search)
        sizes = [(int(rows), int(columns)) for rows, columns in self.grids.sizes]
        coarse, fine = self.grids.coarse, self.grids.fine
        starts = np.cumsum([0, *(plane_size(*size) for size in sizes)])
        square = search.square
        parts = [image[starts[coarse] :] for image in images]
        stages.match(search, *parts, *sizes[coarse], square, len(square), WINDOW_COARSE)
        ratio_y, ratio_x = (a / b for a, b in zip(sizes[fine], sizes[coarse], strict=True))
        count = stages.choose(search, *sizes[coarse], ratio_x, ratio_y)
        parts = [image[starts[fine] :] for image in images]
        stages.match(search, *parts, *sizes[fine], search.chosen, count, WINDOW_FINE)

    def _holds(self, place: int, frame: Images) -> bool:
        return self._built and np.array_equal(self.workspace.frames[place], frame)


def _choose_canonical(frames: NDArray[np.uint8]) -> int:
    """Return which of two frames is the first one for block matching.

    It depends on the content of the frames only, so that a pair has the same matches whichever of
    its directions is estimated first.
    """
    place = int((frames[0] != frames[1]).argmax())
    return int(frames[0].flat[place] > frames[1].flat[place])


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

    def solve_run(run: NDArray[np.int64]) -> None:
        solve = _kept.get(grids, numbers)
        for k in run:
            ends = first[k], second[k]
            for found in vectors[:, k]:
                solve(*ends, found)
                ends = ends[::-1]

    _run_in_threads(solve_run, len(first), threads)
    return vectors


def find_matches(
    first: Images, second: Images, *, numbers: Numbers, grids: Grids, threads: int
) -> Vectors:
    """Return the block matches (N, 2, rows, columns) of pairs, on the level `grids.fine`."""
    vectors = np.empty((len(first), 2, *grids.sizes[grids.fine]), np.float32)

    def find_run(run: NDArray[np.int64]) -> None:
        solver = _kept.get(grids, numbers)
        for k in run:
            vectors[k] = solver.find_matches(first[k], second[k])

    _run_in_threads(find_run, len(first), threads)
    return vectors


def _run_in_threads(call: Callable[[NDArray[np.int64]], None], count: int, threads: int) -> None:
    """Call a function with consecutive parts of 0...count - 1, each part in its own thread."""
    compiled_stages()
    threads = min(threads, count)
    if threads <= 1:
        call(np.arange(count))
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(call, np.array_split(np.arange(count), threads)))
