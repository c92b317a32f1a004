"""Data term of TV-L1: the second image warped by the flow, and its linearisation.

rho(u) = c + gx u1 + gy u2 with c = I2(x + u0) - I1(x) - g · u0 (Sanchez et al., IPOL 2013,
equation 8). Each kernel passes once over the image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flowstream.flow.kernels.planes import Plane, clamp, fill_sides, origin, stride
from flowstream.flow.kernels.simd import (
    LANES,
    Lanes,
    add_quads,
    column_of_quads,
    counting,
    inverse,
    kernel,
    load,
    load_quad,
    maximum,
    minimum,
    scale_quad,
    select,
    spread,
    store,
    store_places,
    store_quad,
    whole,
)
from flowstream.flow.kernels.tvl1_parameters import CONVERGING, DISTRUSTED, FLAT, UNLIKE

Flow = tuple[Plane, Plane]
Linear = tuple[Plane, Plane, Plane, Plane]


@kernel
def warp(
    image: Plane,
    flow: Flow,
    target: Plane,
    size: tuple[int, int],
    cubic: float,
    beyond: int,
    columns_buffer: Plane,
    places: NDArray[np.int32],
) -> None:
    """Sample an image at x + u by bicubic interpolation (Keys 1981).

    Parameters
    ----------
    cubic : float
        Keys' parameter a: -0.5 is exact for parabolas, -0.75 is OpenCV's.
    beyond : int
        Number of pixels by which positions may leave the image; positions further away are
        clamped. The frame of the image must be filled.
    columns_buffer : at least 12 strides
    places : at least 1 stride, int32
    """
    rows, columns = size
    step = stride(columns)
    quads = 8 * step
    for row in range(rows):
        start = origin(row, step)
        for x in range(0, columns, LANES):
            at_x = _ramp(x) + load(flow[0], start + x)
            at_y = spread(row) + load(flow[1], start + x)
            at_x = minimum(maximum(at_x, spread(-beyond)), spread(columns - 1 + beyond))
            at_y = minimum(maximum(at_y, spread(-beyond)), spread(rows - 1 + beyond))
            left, above = whole(at_x), whole(at_y)
            store_places(places, x, above, left, step)
            _store_weights(columns_buffer, x, step, at_x - left, cubic)
            _store_weights(columns_buffer, 4 * step + x, step, at_y - above, cubic)
        corner = origin(-1, step) - 1
        for x in range(columns):
            i = corner + places[x]
            quad = scale_quad(load_quad(image, i), columns_buffer[4 * step + x])
            quad = add_quads(
                quad, scale_quad(load_quad(image, i + step), columns_buffer[5 * step + x])
            )
            quad = add_quads(
                quad, scale_quad(load_quad(image, i + 2 * step), columns_buffer[6 * step + x])
            )
            quad = add_quads(
                quad, scale_quad(load_quad(image, i + 3 * step), columns_buffer[7 * step + x])
            )
            store_quad(columns_buffer, quads + 4 * x, quad)
        for x in range(0, columns, LANES):
            value = load(columns_buffer, x) * column_of_quads(columns_buffer, quads + 4 * x, 0)
            value = value + load(columns_buffer, step + x) * column_of_quads(
                columns_buffer, quads + 4 * x, 1
            )
            value = value + load(columns_buffer, 2 * step + x) * column_of_quads(
                columns_buffer, quads + 4 * x, 2
            )
            value = value + load(columns_buffer, 3 * step + x) * column_of_quads(
                columns_buffer, quads + 4 * x, 3
            )
            store(target, start + x, value)


@kernel
def _store_weights(buffer: Plane, start: int, step: int, t: Lanes, cubic: float) -> None:
    """Store Keys' four weights at the fraction t, each in its own row of the buffer."""
    a = spread(cubic)
    rest = spread(1.0) - t
    outer = a * t * rest
    before, after = outer * rest, outer * t
    near = (spread(cubic + 2.0) * t - spread(cubic + 3.0)) * t * t + spread(1.0)
    store(buffer, start, before)
    store(buffer, start + step, near)
    store(buffer, start + 2 * step, spread(1.0) - near - before - after)
    store(buffer, start + 3 * step, after)


@kernel
def linearise(
    first: Plane,
    warped: Plane,
    mean: Plane,
    linear: Linear,
    size: tuple[int, int],
) -> None:
    """Store the gradient gx, gy of the mean of the first and the warped second image.

    Five-point derivatives (1, -8, 0, 8, -1) / 12. Wedel et al. (2009) and Sun, Roth & Black (2010)
    average the derivatives of both images, which equal the derivatives of the mean image.
    """
    rows, columns = size
    step = stride(columns)
    for row in range(rows):
        start = origin(row, step)
        for x in range(0, columns, LANES):
            both = load(first, start + x) + load(warped, start + x)
            store(mean, start + x, both * spread(0.5))
    fill_sides(mean, rows, columns)
    near, far = spread(8.0 / 12.0), spread(1.0 / 12.0)
    for row in range(rows):
        start = origin(row, step)
        up, up_2 = (
            origin(clamp(row - 1, rows), step),
            origin(clamp(row - 2, rows), step),
        )
        down, down_2 = (
            origin(clamp(row + 1, rows), step),
            origin(clamp(row + 2, rows), step),
        )
        for x in range(0, columns, LANES):
            i = start + x
            gx = near * (load(mean, i + 1) - load(mean, i - 1)) - far * (
                load(mean, i + 2) - load(mean, i - 2)
            )
            gy = near * (load(mean, down + x) - load(mean, up + x)) - far * (
                load(mean, down_2 + x) - load(mean, up_2 + x)
            )
            store(linear[0], i, gx)
            store(linear[1], i, gy)


@kernel
def central_differences(
    image: Plane, along_x: Plane, along_y: Plane, rows: int, columns: int
) -> None:
    """Store half the difference of both neighbours; the sides of the image must be filled."""
    step = stride(columns)
    half = spread(0.5)
    for row in range(rows):
        start = origin(row, step)
        up, down = (
            origin(clamp(row - 1, rows), step),
            origin(clamp(row + 1, rows), step),
        )
        for x in range(0, columns, LANES):
            i = start + x
            store(along_x, i, half * (load(image, i + 1) - load(image, i - 1)))
            store(along_y, i, half * (load(image, down + x) - load(image, up + x)))


@kernel
def finish(
    first: Plane,
    warped: Plane,
    flow: Flow,
    linear: Linear,
    size: tuple[int, int],
    black: bool,
) -> None:
    """Store c and 1 / |g|^2 next to the gradient.

    Unless the outside is black, pixels whose match x + u is outside the image get no data term.
    """
    rows, columns = size
    step = stride(columns)
    zero, one = spread(0.0), spread(1.0)
    for row in range(rows):
        start = origin(row, step)
        for x in range(0, columns, LANES):
            i = start + x
            u, v = load(flow[0], i), load(flow[1], i)
            gx, gy = load(linear[0], i), load(linear[1], i)
            c = load(warped, i) - load(first, i) - gx * u - gy * v
            if not black:
                at_x, at_y = _ramp(x) + u, spread(row) + v
                known = select(at_x < zero, zero, one)
                known = select(at_y < zero, zero, known)
                known = select(spread(columns - 1) < at_x, zero, known)
                known = select(spread(rows - 1) < at_y, zero, known)
                gx, gy, c = known * gx, known * gy, known * c
            store(linear[0], i, gx)
            store(linear[1], i, gy)
            store(linear[2], i, c)
            store(linear[3], i, inverse(gx * gx + gy * gy + spread(FLAT)))


@kernel
def conductance(guide: Plane, weight: Plane, rows: int, columns: int, contrast: float) -> None:
    """Store 1 / (1 + |grad|^2 / contrast^2) (Perona & Malik 1990), or 1 if contrast is 0.

    The dual variable is bounded by this weight, so that the flow may jump at image edges, like the
    weight g of Wedel et al., "Structure- and motion-adaptive regularization" (ICCV 2009). The
    derivatives are Sobel's.
    """
    step = stride(columns)
    fill_sides(guide, rows, columns)
    scale = 1.0 / (64.0 * contrast * contrast) if contrast > 0.0 else 0.0
    one, two = spread(1.0), spread(2.0)
    for row in range(rows):
        start = origin(row, step)
        up, down = (
            origin(clamp(row - 1, rows), step),
            origin(clamp(row + 1, rows), step),
        )
        for x in range(0, columns, LANES):
            a, b, c = load(guide, up + x - 1), load(guide, up + x), load(guide, up + x + 1)
            d, f = load(guide, start + x - 1), load(guide, start + x + 1)
            g, h, k = load(guide, down + x - 1), load(guide, down + x), load(guide, down + x + 1)
            gx = c - a + two * (f - d) + k - g
            gy = g - a + two * (h - b) + k - c
            store(weight, start + x, inverse(one + spread(scale) * (gx * gx + gy * gy)))


@kernel
def confidence(flow: Flow, linear: Linear, trust: Plane, rows: int, columns: int) -> None:
    """Store how likely each pixel is visible in the second image, DISTRUSTED...1.

    The value is small where the flow converges or the brightness differs: equation 12 of Sun, Roth
    & Black (2010), with (1 - t/8)^8 in place of exp(-t).
    """
    step = stride(columns)
    for plane in flow:
        fill_sides(plane, rows, columns)
    by_brightness = spread(1.0 / (16.0 * UNLIKE * UNLIKE))
    by_divergence = spread(1.0 / (16.0 * CONVERGING * CONVERGING))
    half, zero, one = spread(0.5), spread(0.0), spread(1.0)
    for row in range(rows):
        start = origin(row, step)
        up, down = (
            origin(clamp(row - 1, rows), step),
            origin(clamp(row + 1, rows), step),
        )
        for x in range(0, columns, LANES):
            i = start + x
            u, v = load(flow[0], i), load(flow[1], i)
            rho = load(linear[2], i) + load(linear[0], i) * u + load(linear[1], i) * v
            divergence = load(flow[0], i + 1) - load(flow[0], i - 1)
            divergence = divergence + load(flow[1], down + x) - load(flow[1], up + x)
            sink = minimum(half * divergence, zero)
            trusted = maximum(one - rho * rho * by_brightness - sink * sink * by_divergence, zero)
            trusted = trusted * trusted
            trusted = trusted * trusted
            store(trust, i, trusted * trusted + spread(DISTRUSTED))


@kernel
def _ramp(x: int) -> Lanes:
    """Return x, x + 1, x + 2, ..."""
    return counting() + spread(x)
