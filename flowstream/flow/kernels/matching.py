"""Block matching: integer displacements found by exhaustive search, in both directions.

Coarse-to-fine methods lose objects that move further than they are wide. An exhaustive search on a
small pyramid level does not depend on the size of an object (Brox & Malik, "Large displacement
optical flow", 2011, doi:10.1109/TPAMI.2010.143, match descriptors for the same purpose).

1. On the level of about 1/8, all displacements of a square are tried. Pixels on which both
   directions agree vote for displacements of the next step.
2. On the level of about 1/4, the displacements with votes are tried.
3. Pixels on which both directions agree, in groups of similar displacement, are kept. The others
   take the displacement of the nearest kept pixel, where edges of the image count as distance
   (Revaud et al., "EpicFlow", CVPR 2015, doi:10.1109/CVPR.2015.7298720).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flowstream.flow.kernels.planes import (
    Plane,
    allocate,
    clamp,
    fill_plane,
    origin,
    plane_size,
    stride,
)
from flowstream.flow.kernels.simd import (
    LANES,
    counting,
    inlined,
    kernel,
    load,
    maximum,
    minimum,
    select,
    spread,
    store,
)
from flowstream.flow.kernels.tvl1_parameters import (
    CANDIDATES,
    EDGE_LENGTH,
    GROUP,
    LIMIT,
    REACH_COARSE,
    REACH_FINE,
    VOTES,
    Grids,
)

OPEN, OUTSIDE = -1, -2  # labels of pixels that may join a group, and of those in none
LARGE = 1e6  # cost of pixels that cannot be compared
SHIFT = 16  # unused numbers at the start of a row buffer

Integers = NDArray[np.int32]


class Best(NamedTuple):
    """Lowest cost of each pixel, and the displacement with this cost.

    During the search, `x` holds the index of the displacement.
    """

    cost: Plane
    x: Plane
    y: Plane


class Search(NamedTuple):
    """Memory of the search, for the finer of its two levels."""

    forward: Best
    backward: Best
    second: Plane
    sums: Plane
    running: Plane
    line: Plane
    square: Integers
    """(displacements, 2), x and y, by increasing length, of the coarse level."""
    large_square: Integers
    """The same for the finer level."""
    votes: Integers
    chosen: Integers
    labels: Integers
    queue: Integers
    distance: NDArray[np.float32]
    found: tuple[Plane, Plane]
    """Completed displacements of one direction."""
    spare: tuple[Plane, Plane]


def make_search(size: tuple[int, int]) -> Search:
    """Allocate the memory for frames with a finer level of this size."""
    rows, columns = size
    pixels = max(rows * columns, (2 * REACH_FINE + 1) ** 2)
    planes = allocate(12, plane_size(rows, columns))
    rings = allocate(2, 2 * stride(columns))
    return Search(
        forward=Best(planes[0], planes[1], planes[2]),
        backward=Best(planes[3], planes[4], planes[5]),
        second=planes[6],
        sums=planes[7],
        running=rings[0],
        line=rings[1],
        square=make_square(REACH_COARSE),
        large_square=make_square(REACH_FINE),
        votes=np.zeros((2 * REACH_COARSE + 1) ** 2, np.int32),
        chosen=np.zeros((CANDIDATES, 2), np.int32),
        labels=np.zeros(pixels, np.int32),
        queue=np.zeros(pixels, np.int32),
        distance=np.zeros(pixels, np.float32),
        found=(planes[8], planes[9]),
        spare=(planes[10], planes[11]),
    )


def make_square(reach: int) -> Integers:
    """Return all displacements up to `reach` along each axis, by increasing length."""
    axis = np.arange(-reach, reach + 1)
    square = np.stack(np.meshgrid(axis, axis, indexing="xy"), axis=-1).reshape(-1, 2)
    order = np.argsort((square**2).sum(axis=1), kind="stable")
    return np.ascontiguousarray(square[order], np.int32)


def fill_matches(
    search: Search, backward: int, guide: Plane, found: tuple[Plane, Plane], grids: Grids
) -> None:
    """Write the displacements of one direction, completed where the directions disagree."""
    start = 0
    for k in range(grids.fine):
        start += plane_size(grids.sizes[k, 0], grids.sizes[k, 1])
    rows, columns = grids.sizes[grids.fine]
    here, there = search.forward, search.backward
    if backward:
        here, there = there, here
    step = stride(columns)
    labels = search.labels
    for row in range(rows):
        for column in range(columns):
            agreed = _agree(here, there, rows, columns, row, column)
            labels[row * columns + column] = OPEN if agreed else OUTSIDE
    _drop_small_groups(search, here, rows, columns)
    _spread_labels(labels, search.distance, guide[start:], rows, columns)
    for row in range(rows):
        for column in range(columns):
            source = max(labels[row * columns + column], 0)
            i = origin(row, step) + column
            j = origin(source // columns, step) + source % columns
            known = labels[row * columns + column] >= 0
            found[0][i] = here.x[j] if known else np.float32(0)
            found[1][i] = here.y[j] if known else np.float32(0)


def choose_candidates(
    search: Search, rows: int, columns: int, ratio_x: float, ratio_y: float
) -> int:
    """Choose displacements of the finer level from the matches on the coarser one.

    Those with most votes, and their neighbours, are written to `search.chosen`, by increasing
    length. Returns their number.
    """
    _count_votes(search, rows, columns)
    side, width = 2 * REACH_FINE + 1, 2 * REACH_COARSE + 1
    votes = search.labels[: side * side]
    votes[:] = 0
    for k in range(width * width):
        if search.votes[k] < 2 * VOTES:
            continue
        centre_x = int(np.rint((k % width - REACH_COARSE) * ratio_x)) + REACH_FINE
        centre_y = int(np.rint((k // width - REACH_COARSE) * ratio_y)) + REACH_FINE
        for y in range(max(centre_y - 1, 0), min(centre_y + 2, side)):
            for x in range(max(centre_x - 1, 0), min(centre_x + 2, side)):
                votes[y * side + x] += search.votes[k]
    votes[REACH_FINE * side + REACH_FINE] += 2 * VOTES
    least = _least_votes(votes)
    count = 0
    for k in range(side * side):
        x, y = search.large_square[k]
        if votes[(y + REACH_FINE) * side + x + REACH_FINE] >= least and count < CANDIDATES:
            search.chosen[count, 0] = x
            search.chosen[count, 1] = y
            count += 1
    return count


@inlined
def _count_votes(search: Search, rows: int, columns: int) -> None:
    """Count for each displacement, in both directions, the pixels on which directions agree."""
    search.votes[:] = 0
    width = 2 * REACH_COARSE + 1
    for backward in range(2):
        here, there = search.forward, search.backward
        if backward:
            here, there = there, here
        sign = 1 - 2 * backward
        for row in range(rows):
            for column in range(columns):
                i = origin(row, stride(columns)) + column
                if _agree(here, there, rows, columns, row, column):
                    x, y = sign * int(here.x[i]), sign * int(here.y[i])
                    search.votes[(y + REACH_COARSE) * width + x + REACH_COARSE] += 1


@inlined
def _least_votes(votes: Integers) -> int:
    """Return the least number of votes, at least 1, that at most CANDIDATES displacements have."""
    low, high = 0, 2**30
    while high - low > 1:
        middle = (low + high) // 2
        count = 0
        for k in range(votes.size):
            count += votes[k] >= middle
        if count <= CANDIDATES:
            high = middle
        else:
            low = middle
    return high


def match_blocks(
    search: Search,
    first: Plane,
    second: Plane,
    rows: int,
    columns: int,
    displacements: Integers,
    count: int,
    radius: int,
) -> None:
    """Find the best of the displacements for each pixel of both images.

    The cost is the sum of absolute differences, each at most LIMIT, over (2 radius + 1)^2 pixels.
    """
    step = stride(columns)
    fill_plane(search.second, rows, columns, LARGE)
    for row in range(rows):
        start = origin(row, step)
        for x in range(columns):
            search.second[start + x] = second[start + x]
    for best in (search.forward, search.backward):
        fill_plane(best.cost, rows, columns, LARGE)
        fill_plane(best.x, rows, columns, -1.0)
    forward, backward = search.forward, search.backward
    for k in range(count):
        dx, dy = int(displacements[k, 0]), int(displacements[k, 1])
        low, high = max(0, -dy), min(rows, rows - dy)
        if low < high:
            sum_columns(
                first, search.second, search.sums, search.line, columns, low, high, dx, dy, radius
            )
            _start(search.sums, search.running, columns, low, high, radius)
            _compare(
                forward.cost,
                forward.x,
                backward.cost,
                backward.x,
                search.sums,
                search.running,
                columns,
                low,
                high,
                dx,
                dy,
                k,
                radius,
            )
    _decode(forward, displacements, 1, rows, columns)
    _decode(backward, displacements, -1, rows, columns)


@kernel
def sum_columns(
    first: Plane,
    second: Plane,
    sums: Plane,
    line: Plane,
    columns: int,
    low: int,
    high: int,
    dx: int,
    dy: int,
    radius: int,
) -> None:
    """Store sums of limited differences over 2 radius + 1 columns, for rows `low` to `high`."""
    step = stride(columns)
    zero, most = spread(0.0), spread(LIMIT)
    for row in range(low, high):
        here, there = origin(row, step), origin(row + dy, step) + dx
        for x in range(0, columns, LANES):
            difference = load(first, here + x) - load(second, there + x)
            store(line, SHIFT + x, minimum(maximum(difference, zero - difference), most))
        left, right = line[SHIFT], line[SHIFT + columns - 1]
        for k in range(1, radius + 1):
            line[SHIFT - k] = left
            line[SHIFT + columns - 1 + k] = right
        for x in range(0, columns, LANES):
            value = load(line, SHIFT + x)
            for k in range(1, radius + 1):
                value = value + (load(line, SHIFT + x - k) + load(line, SHIFT + x + k))
            store(sums, here + x, value)


@inlined
def _start(sums: Plane, running: Plane, columns: int, low: int, high: int, radius: int) -> None:
    """Store the sums over 2 radius + 1 rows around row `low`."""
    step = stride(columns)
    for x in range(0, columns, LANES):
        value = spread(0.0)
        for k in range(-radius, radius + 1):
            row = min(max(low + k, low), high - 1)
            value = value + load(sums, origin(row, step) + x)
        store(running, x, value)


@inlined
def _compare(
    forward_cost: Plane,
    forward_index: Plane,
    backward_cost: Plane,
    backward_index: Plane,
    sums: Plane,
    running: Plane,
    columns: int,
    low: int,
    high: int,
    dx: int,
    dy: int,
    index: int,
    radius: int,
) -> None:
    """Keep the index of a displacement where its cost is the lowest.

    Planes are not in tuples for speed.
    """
    step = stride(columns)
    last = (columns - 1) // LANES * LANES
    known = counting() < spread(columns - last)
    this = spread(index)
    for row in range(low, high):
        here, there = origin(row, step), origin(row + dy, step) + dx
        entering = origin(min(row + 1 + radius, high - 1), step)
        leaving = origin(max(row - radius, low), step)
        for x in range(0, columns, LANES):
            cost = load(running, x)
            store(running, x, cost + (load(sums, entering + x) - load(sums, leaving + x)))
            if x == last:
                cost = select(known, cost, spread(2 * LARGE))
            i = here + x
            old = load(forward_cost, i)
            lower = cost < old
            store(forward_cost, i, select(lower, cost, old))
            store(forward_index, i, select(lower, this, load(forward_index, i)))
            i = there + x
            old = load(backward_cost, i)
            lower = cost < old
            store(backward_cost, i, select(lower, cost, old))
            store(backward_index, i, select(lower, this, load(backward_index, i)))


@inlined
def _decode(best: Best, displacements: Integers, sign: int, rows: int, columns: int) -> None:
    """Replace the indices in `best.x` by displacements times a sign; no index, -1, gives 0."""
    for row in range(rows):
        start = origin(row, stride(columns))
        for i in range(start, start + columns):
            k = int(best.x[i])
            best.x[i] = np.float32(sign * displacements[k, 0] if k >= 0 else 0)
            best.y[i] = np.float32(sign * displacements[k, 1] if k >= 0 else 0)


@kernel
def _agree(here: Best, there: Best, rows: int, columns: int, row: int, column: int) -> bool:
    """Return whether the match of a pixel is matched back to within one pixel of it."""
    step = stride(columns)
    i = origin(row, step) + column
    x, y = int(here.x[i]), int(here.y[i])
    inner = 0 <= row + y < rows and 0 <= column + x < columns
    if not inner or here.cost[i] >= LARGE:
        return False
    j = origin(row + y, step) + column + x
    return abs(x + int(there.x[j])) <= 1 and abs(y + int(there.y[j])) <= 1


@inlined
def gather_group(
    search: Search, x: Plane, y: Plane, seed: int, most: float, rows: int, columns: int
) -> int:
    """Put an OPEN pixel and all that are linked to it into the queue, and return their number.

    Linked are neighbours that are OPEN and differ in x and y by at most `most`. They get the label
    OUTSIDE.
    """
    step = stride(columns)
    labels, queue = search.labels, search.queue
    queue[0] = seed
    labels[seed] = OUTSIDE
    count, done = 1, 0
    while done < count:
        place = queue[done]
        done += 1
        row, column = place // columns, place % columns
        i = origin(row, step) + column
        for k in range(4):
            below, right = row + (k == 0) - (k == 1), column + (k == 2) - (k == 3)
            other = below * columns + right
            if not (0 <= below < rows and 0 <= right < columns) or labels[other] != OPEN:
                continue
            j = origin(below, step) + right
            if abs(x[i] - x[j]) <= most and abs(y[i] - y[j]) <= most:
                labels[other] = OUTSIDE
                queue[count] = other
                count += 1
    return count


@inlined
def _drop_small_groups(search: Search, here: Best, rows: int, columns: int) -> None:
    """Label pixels in groups of at least GROUP by their own index, all others OUTSIDE.

    A group are neighbours that agree and whose displacements differ by at most one pixel. Labels of
    pixels that agree are OPEN before.
    """
    labels, queue = search.labels, search.queue
    for seed in range(rows * columns):
        if labels[seed] != OPEN:
            continue
        count = gather_group(search, here.x, here.y, seed, 1, rows, columns)
        if count >= GROUP:
            for k in range(count):
                labels[queue[k]] = queue[k]


@inlined
def _spread_labels(
    labels: Integers, distance: NDArray[np.float32], guide: Plane, rows: int, columns: int
) -> None:
    """Replace negative labels by that of the nearest pixel, in alternating raster scans.

    The length of a step is 1, or the square root of 2, times 1 + EDGE_LENGTH |difference of guide|.
    """
    step = stride(columns)
    for k in range(rows * columns):
        distance[k] = np.float32(0) if labels[k] >= 0 else np.float32(LARGE)
    changed, scan = True, 0
    while changed or scan < 2:
        changed = False
        sign = 1 if scan % 2 == 0 else -1
        for k in range(rows * columns):
            place = k if sign > 0 else rows * columns - 1 - k
            if distance[place] == 0:
                continue
            row, column = place // columns, place % columns
            here = guide[origin(row, step) + column]
            for side in range(4):
                y = row - sign * (side > 0)
                x = column - sign * (1 if side == 0 else side - 2)
                if not (0 <= y < rows and 0 <= x < columns):
                    continue
                length = np.float32(1.41421356) if side % 2 == 1 else np.float32(1)
                edge = abs(guide[origin(y, step) + x] - here)
                reached = distance[y * columns + x] + length * (
                    np.float32(1) + np.float32(EDGE_LENGTH) * edge
                )
                if reached < distance[place]:
                    distance[place] = reached
                    labels[place] = labels[y * columns + x]
                    changed = True
        scan += 1


@kernel
def window_cost(
    first: Plane,
    warped: Plane,
    flow: tuple[Plane, Plane],
    cost: Plane,
    sums: Plane,
    lines: Plane,
    rows: int,
    columns: int,
    radius: int,
) -> None:
    """Store the mean of the limited differences of two images over (2 radius + 1)^2 pixels.

    Pixels whose flow leaves the image have the difference LIMIT; `warped` is overwritten there.
    """
    step = stride(columns)
    for row in range(rows):
        for column in range(columns):
            i = origin(row, step) + column
            x, y = column + flow[0][i], row + flow[1][i]
            if not (-0.5 <= x <= columns - 0.5 and -0.5 <= y <= rows - 0.5):
                warped[i] = np.float32(LARGE)
    zero = np.int64(0)  # a literal would have sum_columns compiled again
    sum_columns(first, warped, sums, lines, columns, zero, rows, zero, zero, radius)
    share = spread(1.0 / (2 * radius + 1) ** 2)
    for row in range(rows):
        for x in range(0, columns, LANES):
            value = spread(0.0)
            for k in range(-radius, radius + 1):
                value = value + load(sums, origin(clamp(row + k, rows), step) + x)
            store(cost, origin(row, step) + x, share * value)
