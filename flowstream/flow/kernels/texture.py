"""Texture of an image: the image minus its structure, which includes light and shade.

Structure is the image that total variation denoising returns (Rudin, Osher & Fatemi 1992). Wedel et
al., "An improved algorithm for TV-L1 optical flow" (2009), section 4, match the texture only.
"""

from __future__ import annotations

import numpy as np

from flowstream.flow.kernels.planes import Plane, fill_plane, fill_sides, origin, stride
from flowstream.flow.kernels.simd import (
    LANES,
    counting,
    inverse_root,
    kernel,
    load,
    maximum,
    select,
    spread,
    store,
    total,
)
from flowstream.flow.kernels.tvl1_parameters import DARK, GAIN, MIDDLE, STRUCTURE

Duals = tuple[Plane, Plane, Plane, Plane]

TOGETHER = 8  # iterations in one sweep over the image, each one row behind the previous one


@kernel
def keep_texture(
    image: Plane,
    rows: int,
    columns: int,
    amount: float,
    iterations: int,
    duals: Duals,
    ring: Plane,
) -> None:
    """Replace `image` by GAIN ((1 - share) texture + share (image - mean of the image)).

    The texture is the image minus its structure. The share, 1 - amount for an image of mean MIDDLE,
    is inversely proportional to the mean, so that the term hardly changes with the exposure.

    The structure is computed by fast gradient projection on the dual (Beck & Teboulle, "Fast
    gradient-based algorithms for constrained total variation image denoising", 2009, section 4).

    Parameters
    ----------
    duals : four planes
        Overwritten by the two components of the dual and their extrapolations.
    ring : TOGETHER x 2 strides
        Two rows of structure for each iteration of a sweep.
    """
    step = stride(columns)
    for plane in duals:
        fill_plane(plane, rows, columns, 0.0)
    mean = _mean(image, rows, columns)
    share = (1.0 - amount) * MIDDLE / max(mean, DARK)
    removed, shade = spread(1.0 - share), spread(share * mean)
    done = 0
    while done < iterations:
        count = min(TOGETHER, iterations - done)
        for front in range(rows + count):
            for k in range(count):
                row = front - k
                if 0 <= row < rows:
                    _structure(image, duals, ring, columns, row, k)
                if 0 < row <= rows:
                    # Chambolle & Dossal (2015): converges like their t_k, without a recurrence.
                    momentum = (done + k) / (done + k + 3.0)
                    _ascend(duals, ring, rows, columns, row - 1, k, momentum)
        done += count
    for row in range(rows):
        _structure(image, duals, ring, columns, row, np.int64(0))
        start = origin(row, step)
        line = (row % 2) * step
        for x in range(0, columns, LANES):
            rest = load(image, start + x) - removed * load(ring, line + x) - shade
            store(image, start + x, spread(GAIN) * rest)
    fill_sides(image, rows, columns)


@kernel
def _mean(image: Plane, rows: int, columns: int) -> float:
    """Return the mean of an image."""
    step = stride(columns)
    last = columns // LANES * LANES
    whole = 0.0
    for row in range(rows):
        start = origin(row, step)
        value = spread(0.0)
        for x in range(0, columns, LANES):
            pixels = load(image, start + x)
            if x >= last:
                pixels = select(counting() < spread(columns - x), pixels, spread(0.0))
            value = value + pixels
        whole += total(value)
    return whole / (rows * columns)


@kernel
def _structure(
    image: Plane,
    duals: Duals,
    ring: Plane,
    columns: int,
    row: int,
    k: int,
) -> None:
    """Store one row of the image plus STRUCTURE times the divergence of the extrapolated dual."""
    step = stride(columns)
    start = origin(row, step)
    line = (2 * k + row % 2) * step
    for x in range(0, columns, LANES):
        i = start + x
        divergence = (
            load(duals[2], i) - load(duals[2], i - 1) + load(duals[3], i) - load(duals[3], i - step)
        )
        store(ring, line + x, load(image, i) + spread(STRUCTURE) * divergence)
    ring[line + columns] = ring[line + columns - 1]


@kernel
def _ascend(
    duals: Duals,
    ring: Plane,
    rows: int,
    columns: int,
    row: int,
    k: int,
    share: float,
) -> None:
    """Update one row of the dual: gradient step, projection onto the unit disc, momentum."""
    step = stride(columns)
    start = origin(row, step)
    line = (2 * k + row % 2) * step
    below = (2 * k + (row + 1) % 2) * step if row < rows - 1 else line
    ascent = spread(1.0 / (8.0 * STRUCTURE))
    for x in range(0, columns, LANES):
        i = start + x
        here = load(ring, line + x)
        p = load(duals[2], i) + ascent * (load(ring, line + x + 1) - here)
        q = load(duals[3], i) + ascent * (load(ring, below + x) - here)
        shrink = inverse_root(maximum(p * p + q * q, spread(1.0)))
        p = p * shrink
        q = q * shrink
        momentum = spread(share)
        store(duals[2], i, p + momentum * (p - load(duals[0], i)))
        store(duals[3], i, q + momentum * (q - load(duals[1], i)))
        store(duals[0], i, p)
        store(duals[1], i, q)
