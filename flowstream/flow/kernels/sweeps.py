"""Iterations of TV-L1 between two warps, as sweeps over the rows of the image.

Both schemes update the flow `u` of a row from the data term and the dual variables `p`, then `p` of
the row above from the new flow. One sweep performs several iterations, each one row behind the
previous one (a wavefront), so that the ten planes of a row stay in the cache between iterations.

Letters follow the papers: `u` is the flow, `p` the dual variables (first index: component of the
flow, second: direction of the derivative), rho(u) = c + gx u1 + gy u2 the linearised brightness
difference.
"""

from __future__ import annotations

from flowstream.flow.kernels.planes import Plane, origin, stride
from flowstream.flow.kernels.simd import (
    LANES,
    counting,
    inverse,
    inverse_root,
    kernel,
    load,
    maximum,
    minimum,
    root,
    select,
    spread,
    store,
    total,
)

Flow = tuple[Plane, Plane]
Duals = tuple[Plane, Plane, Plane, Plane]
Linear = tuple[Plane, Plane, Plane, Plane]

RING = 4  # rows of flow that each iteration of a sweep keeps for its dual update


@kernel
def iterate_joint(
    u: Flow,
    p: Duals,
    linear: Linear,
    weight: Plane,
    size: tuple[int, int],
    iterations: int,
    steps: tuple[float, float, float],
    ring: Plane,
) -> None:
    """Run primal-dual iterations for TV-L1 with the joint total variation of both components.

    Chambolle & Pock, "A first-order primal-dual algorithm for convex problems with applications to
    imaging" (2011), algorithm 1 and section 6.4.2; the dual of a pixel is bounded by `weight`.

    Parameters
    ----------
    linear : gx, gy, c and 1 / (gx^2 + gy^2)
    steps : primal step, dual step, attachment
    ring : iterations x RING strides
    """
    rows, columns = size
    step = stride(columns)
    for front in range(rows + iterations):
        for k in range(iterations):
            row = front - k
            if 0 <= row < rows:
                _primal_joint(u, p, linear, columns, row, steps, ring, k * RING * step)
            if 0 < row <= rows:
                below = row % 2 if row < rows else (row - 1) % 2
                _dual_joint(p, weight, columns, row - 1, below, steps[1], ring, k * RING * step)


@kernel
def _primal_joint(
    u: Flow,
    p: Duals,
    linear: Linear,
    columns: int,
    row: int,
    steps: tuple[float, float, float],
    ring: Plane,
    base: int,
) -> None:
    """Set u to the proximal map of the data term at u + primal step · div p.

    The ring receives 2 u - (old u).
    """
    step = stride(columns)
    start = origin(row, step)
    line = base + row % 2 * 2 * step
    primal, limit = spread(steps[0]), spread(steps[0] * steps[2])
    floor = spread(-steps[0] * steps[2])
    for x in range(0, columns, LANES):
        i = start + x
        old_1, old_2 = load(u[0], i), load(u[1], i)
        div_1 = load(p[0], i) - load(p[0], i - 1) + load(p[1], i) - load(p[1], i - step)
        div_2 = load(p[2], i) - load(p[2], i - 1) + load(p[3], i) - load(p[3], i - step)
        at_1, at_2 = old_1 + primal * div_1, old_2 + primal * div_2
        gx, gy = load(linear[0], i), load(linear[1], i)
        rho = load(linear[2], i) + gx * at_1 + gy * at_2
        move = minimum(maximum(rho * load(linear[3], i), floor), limit)
        new_1, new_2 = at_1 - move * gx, at_2 - move * gy
        store(u[0], i, new_1)
        store(u[1], i, new_2)
        store(ring, line + x, new_1 + new_1 - old_1)
        store(ring, line + step + x, new_2 + new_2 - old_2)
    _repeat_last(ring, line, columns, step)


@kernel
def _repeat_last(ring: Plane, line: int, columns: int, step: int) -> None:
    """Repeat the last column, so that the difference across the right border is 0."""
    ring[line + columns] = ring[line + columns - 1]
    ring[line + step + columns] = ring[line + step + columns - 1]


@kernel
def _dual_joint(
    p: Duals,
    weight: Plane,
    columns: int,
    row: int,
    parity_below: int,
    dual_step: float,
    ring: Plane,
    base: int,
) -> None:
    """Project p + dual step · grad u onto |p| <= weight and store it as p."""
    step = stride(columns)
    start = origin(row, step)
    here = base + row % 2 * 2 * step
    below = base + parity_below * 2 * step
    ascent, tiny, one = spread(dual_step), spread(1e-12), spread(1.0)
    for x in range(0, columns, LANES):
        i = start + x
        u = load(ring, here + x)
        p11 = load(p[0], i) + ascent * (load(ring, here + x + 1) - u)
        p12 = load(p[1], i) + ascent * (load(ring, below + x) - u)
        u = load(ring, here + step + x)
        p21 = load(p[2], i) + ascent * (load(ring, here + step + x + 1) - u)
        p22 = load(p[3], i) + ascent * (load(ring, below + step + x) - u)
        length = maximum(p11 * p11 + p12 * p12 + p21 * p21 + p22 * p22, tiny)
        shrink = minimum(load(weight, i) * inverse_root(length), one)
        store(p[0], i, p11 * shrink)
        store(p[1], i, p12 * shrink)
        store(p[2], i, p21 * shrink)
        store(p[3], i, p22 * shrink)


@kernel
def iterate_separate(
    u: Flow,
    p: Duals,
    linear: Linear,
    size: tuple[int, int],
    iterations: int,
    steps: tuple[float, float, float],
    ring: Plane,
) -> float:
    """Run alternating iterations; each component has its own total variation.

    Zach, Pock & Bischof (2007), equations 9-12; in the notation of Sanchez et al. (IPOL 2013)
    v = TH(u, u0), u = v + theta div p, p = (p + tau/theta grad u) / (1 + tau/theta |grad u|).

    Parameters
    ----------
    steps : theta, tau / theta, lambda

    Returns
    -------
    float
        Mean over pixels of the squared change of the flow in the last iteration.
    """
    rows, columns = size
    step = stride(columns)
    change = 0.0
    for front in range(rows + iterations):
        for k in range(iterations):
            row = front - k
            base = k * RING * step
            if 0 <= row < rows:
                moved = _primal_separate(u, p, linear, columns, row, steps, ring, base)
                if k == iterations - 1:
                    change += moved
            if 0 < row <= rows:
                below = row % 2 if row < rows else (row - 1) % 2
                _dual_separate(p, columns, row - 1, below, steps[1], ring, base)
    return change / (rows * columns)


@kernel
def _primal_separate(
    u: Flow,
    p: Duals,
    linear: Linear,
    columns: int,
    row: int,
    steps: tuple[float, float, float],
    ring: Plane,
    base: int,
) -> float:
    """Set u to TH(u) + theta div p, copy it to the ring, and return the row's squared change."""
    step = stride(columns)
    start = origin(row, step)
    line = base + row % 2 * 2 * step
    theta, limit = spread(steps[0]), spread(steps[0] * steps[2])
    floor = spread(-steps[0] * steps[2])
    change = spread(0.0)
    last = columns // LANES * LANES
    for x in range(0, columns, LANES):
        i = start + x
        old_1, old_2 = load(u[0], i), load(u[1], i)
        div_1 = load(p[0], i) - load(p[0], i - 1) + load(p[1], i) - load(p[1], i - step)
        div_2 = load(p[2], i) - load(p[2], i - 1) + load(p[3], i) - load(p[3], i - step)
        gx, gy = load(linear[0], i), load(linear[1], i)
        rho = load(linear[2], i) + gx * old_1 + gy * old_2
        move = minimum(maximum(rho * load(linear[3], i), floor), limit)
        by_1, by_2 = theta * div_1 - move * gx, theta * div_2 - move * gy
        store(u[0], i, old_1 + by_1)
        store(u[1], i, old_2 + by_2)
        store(ring, line + x, old_1 + by_1)
        store(ring, line + step + x, old_2 + by_2)
        moved = by_1 * by_1 + by_2 * by_2
        if x >= last:
            moved = select(counting() + spread(x) < spread(columns), moved, spread(0.0))
        change = change + moved
    _repeat_last(ring, line, columns, step)
    whole_row: float = total(change)
    return whole_row


@kernel
def _dual_separate(
    p: Duals,
    columns: int,
    row: int,
    parity_below: int,
    dual_step: float,
    ring: Plane,
    base: int,
) -> None:
    """Set p to (p + tau/theta grad u) / (1 + tau/theta |grad u|).

    Both components share one division.
    """
    step = stride(columns)
    start = origin(row, step)
    here = base + row % 2 * 2 * step
    below = base + parity_below * 2 * step
    ascent, one = spread(dual_step), spread(1.0)
    for x in range(0, columns, LANES):
        i = start + x
        u = load(ring, here + x)
        ux, uy = load(ring, here + x + 1) - u, load(ring, below + x) - u
        u = load(ring, here + step + x)
        vx, vy = load(ring, here + step + x + 1) - u, load(ring, below + step + x) - u
        size_1 = one + ascent * root(ux * ux + uy * uy)
        size_2 = one + ascent * root(vx * vx + vy * vy)
        both = inverse(size_1 * size_2)
        shrink_1, shrink_2 = both * size_2, both * size_1
        store(p[0], i, (load(p[0], i) + ascent * ux) * shrink_1)
        store(p[1], i, (load(p[1], i) + ascent * uy) * shrink_1)
        store(p[2], i, (load(p[2], i) + ascent * vx) * shrink_2)
        store(p[3], i, (load(p[3], i) + ascent * vy) * shrink_2)
