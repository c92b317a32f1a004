"""Regions of block matches: whole objects, of which parts have no detail.

In flat parts of an object, the images agree with the match about as well as with the flow of the
background. Pixels alone would keep the background there, and total variation would then remove the
rest of the object. Therefore neighbours with similar matches decide together. A pixel follows them
only if the images agree better in a wide window around it, because matches that were completed may
reach beyond the object.
"""

from __future__ import annotations

from flowstream.flow.kernels.matching import OPEN, OUTSIDE, Search, gather_group
from flowstream.flow.kernels.planes import Plane, origin, stride
from flowstream.flow.kernels.simd import inlined
from flowstream.flow.kernels.tvl1_parameters import (
    GROUP,
    REGION_APART,
    REGION_BETTER,
    REGION_STEP,
)

Flow = tuple[Plane, Plane]
Costs = tuple[Plane, Plane, Plane, Plane]

ACCEPTED = 1


@inlined
def label_regions(
    search: Search, u: Flow, found: Flow, costs: Costs, rows: int, columns: int
) -> None:
    """Label pixels ACCEPTED in regions that fit better with their matches, others OUTSIDE.

    A region are neighbours whose match and flow are more than REGION_APART apart, and whose matches
    differ by at most REGION_STEP. It has at least GROUP pixels. The first two of the `costs`, of
    single pixels, are those of the flow and of the matches.
    """
    step = stride(columns)
    labels, queue = search.labels, search.queue
    for row in range(rows):
        for column in range(columns):
            i = origin(row, step) + column
            x, y = found[0][i] - u[0][i], found[1][i] - u[1][i]
            apart = x * x + y * y > REGION_APART * REGION_APART
            labels[row * columns + column] = OPEN if apart else OUTSIDE
    for seed in range(rows * columns):
        if labels[seed] != OPEN:
            continue
        count = gather_group(search, found[0], found[1], seed, REGION_STEP, rows, columns)
        gain = 0.0
        for k in range(count):
            i = origin(queue[k] // columns, step) + queue[k] % columns
            gain += costs[0][i] - costs[1][i]
        if count >= GROUP and gain > REGION_BETTER * count:
            for k in range(count):
                labels[queue[k]] = ACCEPTED
