"""Median filters of a plane: a plain one by sorting networks, and one weighted by the image."""

from __future__ import annotations

from flowstream.flow.kernels.planes import REACH, SIDE, Plane, clamp, fill_sides, origin, stride
from flowstream.flow.kernels.simd import (
    LANES,
    Lanes,
    counting,
    kernel,
    largest,
    load,
    maximum,
    minimum,
    select,
    spread,
    store,
)
from flowstream.flow.kernels.tvl1_parameters import (
    LIKENESS,
    NEARNESS,
    SETTLED,
    SMOOTH,
    STEPS,
)

Five = tuple[Lanes, Lanes, Lanes, Lanes, Lanes]

WING = 2  # columns of a 5 x 5 window on each side of its centre


@kernel
def median_5x5(source: Plane, target: Plane, rows: int, columns: int, ranks: Plane) -> None:
    """Store the median of the 5 x 5 neighbours of each pixel; borders are repeated.

    Each column of five is sorted once and shared by the five windows that contain it. Sorting the
    minima of the five columns, then their second smallest values, and so on, leaves 13 of the 25
    values as candidates for the median. `ranks` holds 5 strides.
    """
    step = stride(columns)
    fill_sides(source, rows, columns)
    for row in range(rows):
        a, b, c, d, e = (
            origin(clamp(row - 2, rows), step) - WING,
            origin(clamp(row - 1, rows), step) - WING,
            origin(row, step) - WING,
            origin(clamp(row + 1, rows), step) - WING,
            origin(clamp(row + 2, rows), step) - WING,
        )
        for x in range(0, columns + 2 * WING, LANES):
            lowest, lower, middle, upper, uppermost = _sort(
                load(source, a + x),
                load(source, b + x),
                load(source, c + x),
                load(source, d + x),
                load(source, e + x),
            )
            store(ranks, x, lowest)
            store(ranks, step + x, lower)
            store(ranks, 2 * step + x, middle)
            store(ranks, 3 * step + x, upper)
            store(ranks, 4 * step + x, uppermost)
        start = origin(row, step)
        for x in range(0, columns, LANES):
            _, _, _, p, q = _sorted_row(ranks, x)
            _, _, r, s, t = _sorted_row(ranks, step + x)
            _, f, g, h, _ = _sorted_row(ranks, 2 * step + x)
            i, j, k, _, _ = _sorted_row(ranks, 3 * step + x)
            m, n, _, _, _ = _sorted_row(ranks, 4 * step + x)
            p, r, f, i = _drop_least(p, r, f, i)
            t, h, k, n = _drop_most(t, h, k, n)
            store(target, start + x, _median_of_eleven(r, f, i, q, s, g, j, m, t, h, k))


@kernel
def _swap(one: Lanes, other: Lanes) -> tuple[Lanes, Lanes]:
    return minimum(one, other), maximum(one, other)


@kernel
def _sort(a: Lanes, b: Lanes, c: Lanes, d: Lanes, e: Lanes) -> Five:
    a, b = _swap(a, b)
    d, e = _swap(d, e)
    c, e = _swap(c, e)
    c, d = _swap(c, d)
    b, e = _swap(b, e)
    a, d = _swap(a, d)
    a, c = _swap(a, c)
    b, d = _swap(b, d)
    b, c = _swap(b, c)
    return a, b, c, d, e


@kernel
def _sorted_row(ranks: Plane, x: int) -> Five:
    return _sort(
        load(ranks, x),
        load(ranks, x + 1),
        load(ranks, x + 2),
        load(ranks, x + 3),
        load(ranks, x + 4),
    )


@kernel
def _drop_least(a: Lanes, b: Lanes, c: Lanes, d: Lanes) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """Return four values with the least first."""
    a, b = _swap(a, b)
    c, d = _swap(c, d)
    a, c = _swap(a, c)
    return a, b, c, d


@kernel
def _drop_most(a: Lanes, b: Lanes, c: Lanes, d: Lanes) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """Return four values with the greatest last."""
    a, b = _swap(a, b)
    c, d = _swap(c, d)
    b, d = _swap(b, d)
    return a, b, c, d


@kernel
def _median_of_eleven(
    a: Lanes, b: Lanes, c: Lanes, d: Lanes, e: Lanes, f: Lanes, g: Lanes,
    h: Lanes, i: Lanes, j: Lanes, k: Lanes,
) -> Lanes:  # fmt: skip
    """Return the median of 11 values.

    Among any 7 of 11 values neither the least nor the greatest is the median, so both are dropped
    and the next value is added; this repeats with smaller groups.
    """
    a, b = _swap(a, b)
    c, d = _swap(c, d)
    e, f = _swap(e, f)
    a, c = _swap(a, c)
    a, e = _swap(a, e)
    b, d = _swap(b, d)
    d, f = _swap(d, f)
    _, g = _swap(a, g)
    g, _ = _swap(g, f)
    b, c, d, e = _inner_of_six(b, c, d, e, g, h)
    b, c, d = _inner_of_five(b, c, d, e, i)
    b, c = _inner_of_four(b, c, d, j)
    b, c = _swap(b, c)
    return maximum(b, minimum(c, k))


@kernel
def _inner_of_six(
    a: Lanes, b: Lanes, c: Lanes, d: Lanes, e: Lanes, f: Lanes
) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    a, b = _swap(a, b)
    c, d = _swap(c, d)
    e, f = _swap(e, f)
    a, c = _swap(a, c)
    _, e = _swap(a, e)
    b, d = _swap(b, d)
    d, _ = _swap(d, f)
    return b, c, d, e


@kernel
def _inner_of_five(a: Lanes, b: Lanes, c: Lanes, d: Lanes, e: Lanes) -> tuple[Lanes, Lanes, Lanes]:
    a, b = _swap(a, b)
    c, d = _swap(c, d)
    a, c = _swap(a, c)
    b, d = _swap(b, d)
    _, e = _swap(a, e)
    e, _ = _swap(e, d)
    return b, c, e


@kernel
def _inner_of_four(a: Lanes, b: Lanes, c: Lanes, d: Lanes) -> tuple[Lanes, Lanes]:
    a, b = _swap(a, b)
    c, d = _swap(c, d)
    _, c = _swap(a, c)
    b, _ = _swap(b, d)
    return b, c


@kernel
def weighted_median(
    flow: tuple[Plane, Plane],
    target: tuple[Plane, Plane],
    guide: Plane,
    trust: Plane,
    rows: int,
    columns: int,
    radius: int,
    weights: Plane,
    lines: Plane,
) -> None:
    """Store the weighted median of each component over every second of (2 radius + 1)^2 neighbours.

    A neighbour has a larger weight if it is near, has a similar grey value in `guide`, and is
    trusted: equation 11 of Sun, Roth & Black, "Secrets of optical flow estimation and their
    principles", CVPR 2010. (1 - t/8)^8, which is 0 from t = 8, replaces their Gaussians exp(-t).
    The median is bracketed by bisection, to SETTLED. Borders are repeated.

    Pixels whose neighbours differ by at most SMOOTH in both components get the plain median,
    because weights matter at motion boundaries only (section 5 of the same article).

    Parameters
    ----------
    weights : (2 radius + 1)^2 LANES numbers
    lines : 5 strides
    """
    step = stride(columns)
    for k in range(2):
        median_5x5(flow[k], target[k], rows, columns, lines)
    for plane in (guide, trust):
        fill_sides(plane, rows, columns)
    smooth, settled = spread(SMOOTH), spread(SETTLED)
    half, zero = spread(0.5), spread(0.0)
    for row in range(rows):
        start = origin(row, step)
        _store_extremes(flow, rows, columns, row, radius, lines)
        for x in range(0, columns, LANES):
            low_1, high_1 = _extremes(lines, SIDE + x, step, radius)
            low_2, high_2 = _extremes(lines, 2 * step + SIDE + x, step, radius)
            # Lanes to the right of the image must not decide when to stop.
            known = counting() < spread(columns - x)
            rough = smooth < maximum(high_1 - low_1, high_2 - low_2)
            widest = select(known, maximum(high_1 - low_1, high_2 - low_2), zero)
            if largest(widest) <= SMOOTH:
                continue
            enough = _weigh(guide, trust, rows, step, row, x, radius, weights)
            for _ in range(STEPS):
                widest = select(known, maximum(high_1 - low_1, high_2 - low_2), zero)
                if largest(select(rough, widest, zero)) <= SETTLED:
                    break
                centre_1, centre_2 = (low_1 + high_1) * half, (low_2 + high_2) * half
                below_1, below_2 = zero, zero
                k = 0
                for dy in range(-radius, radius + 1):
                    line = origin(clamp(row + dy, rows), step) + x
                    for dx in range((dy + radius) % 2 - radius, radius + 1, 2):
                        weight = load(weights, k)
                        counts = load(flow[0], line + dx) <= centre_1
                        below_1 = below_1 + select(counts, weight, zero)
                        counts = load(flow[1], line + dx) <= centre_2
                        below_2 = below_2 + select(counts, weight, zero)
                        k += LANES
                # A settled pixel keeps its bracket, whatever the other lanes of the vector do.
                open_1, open_2 = settled < high_1 - low_1, settled < high_2 - low_2
                upper = enough <= below_1
                high_1 = select(open_1, select(upper, centre_1, high_1), high_1)
                low_1 = select(open_1, select(upper, low_1, centre_1), low_1)
                upper = enough <= below_2
                high_2 = select(open_2, select(upper, centre_2, high_2), high_2)
                low_2 = select(open_2, select(upper, low_2, centre_2), low_2)
            i = start + x
            plain_1, plain_2 = load(target[0], i), load(target[1], i)
            store(target[0], i, select(rough, (low_1 + high_1) * half, plain_1))
            store(target[1], i, select(rough, (low_2 + high_2) * half, plain_2))


@kernel
def _store_extremes(
    flow: tuple[Plane, Plane], rows: int, columns: int, row: int, radius: int, lines: Plane
) -> None:
    """Store the least and the greatest value of 2 radius + 1 rows of both components.

    The four lines begin REACH columns to the left of the image.
    """
    step = stride(columns)
    for x in range(-REACH, columns + REACH, LANES):
        here = origin(row, step) + x
        low_1, low_2 = load(flow[0], here), load(flow[1], here)
        high_1, high_2 = low_1, low_2
        for dy in range(-radius, radius + 1):
            i = origin(clamp(row + dy, rows), step) + x
            value_1, value_2 = load(flow[0], i), load(flow[1], i)
            low_1, high_1 = minimum(low_1, value_1), maximum(high_1, value_1)
            low_2, high_2 = minimum(low_2, value_2), maximum(high_2, value_2)
        store(lines, SIDE + x, low_1)
        store(lines, step + SIDE + x, high_1)
        store(lines, 2 * step + SIDE + x, low_2)
        store(lines, 3 * step + SIDE + x, high_2)


@kernel
def _extremes(lines: Plane, i: int, step: int, radius: int) -> tuple[Lanes, Lanes]:
    """Return the least and the greatest value of 2 radius + 1 columns."""
    low, high = load(lines, i), load(lines, step + i)
    for k in range(1, radius + 1):
        low = minimum(low, minimum(load(lines, i - k), load(lines, i + k)))
        high = maximum(high, maximum(load(lines, step + i - k), load(lines, step + i + k)))
    return low, high


@kernel
def _weigh(
    guide: Plane,
    trust: Plane,
    rows: int,
    step: int,
    row: int,
    x: int,
    radius: int,
    weights: Plane,
) -> Lanes:
    """Store the weight of each neighbour and return half of their sum."""
    centre = load(guide, origin(row, step) + x)
    likeness = spread(1.0 / (16.0 * LIKENESS * LIKENESS))
    half = spread(0.0)
    k = 0
    for dy in range(-radius, radius + 1):
        line = origin(clamp(row + dy, rows), step) + x
        for dx in range((dy + radius) % 2 - radius, radius + 1, 2):
            distance = spread(1.0 - (dx * dx + dy * dy) / (16.0 * NEARNESS * NEARNESS))
            unlike = load(guide, line + dx) - centre
            weight = maximum(distance - unlike * unlike * likeness, spread(0.0))
            weight = weight * weight
            weight = weight * weight
            weight = weight * weight * load(trust, line + dx)
            store(weights, k, weight)
            half = half + weight * spread(0.5)
            k += LANES
    return half
