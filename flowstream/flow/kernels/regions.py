"""Regions of block matches: whole objects, of which parts have no detail.

In flat parts of an object, the images agree with the match about as well as with the flow of the
background. Pixels alone would keep the background there, and total variation would then remove the
rest of the object. Therefore neighbours with similar matches decide together. A pixel follows them
only if the images agree better in a wide window around it, because matches that were completed may
reach beyond the object.
"""

from __future__ import annotations

from flowstream.flow.kernels.matching import Search
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

OUTSIDE, OPEN, REJECTED, ACCEPTED = -2, -1, 0, 1


@inlined
def label_regions(
    search: Search, u: Flow, found: Flow, costs: Costs, rows: int, columns: int
) -> None:
    """Label pixels ACCEPTED in regions that fit the images better with their matches.

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
        queue[0] = seed
        labels[seed] = REJECTED
        count, done, gain = 1, 0, 0.0
        while done < count:
            place = queue[done]
            done += 1
            row, column = place // columns, place % columns
            i = origin(row, step) + column
            gain += costs[0][i] - costs[1][i]
            for k in range(4):
                y, x = row + (k == 0) - (k == 1), column + (k == 2) - (k == 3)
                if not (0 <= y < rows and 0 <= x < columns) or labels[y * columns + x] != OPEN:
                    continue
                j = origin(y, step) + x
                along_x, along_y = found[0][i] - found[0][j], found[1][i] - found[1][j]
                if abs(along_x) <= REGION_STEP and abs(along_y) <= REGION_STEP:
                    labels[y * columns + x] = REJECTED
                    queue[count] = y * columns + x
                    count += 1
        if count >= GROUP and gain > REGION_BETTER * count:
            for k in range(count):
                labels[queue[k]] = ACCEPTED
