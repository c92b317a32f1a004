"""The texture part of an image: what is left when its structure, light and shade included, goes.

Structure is the image that total variation keeps (Rudin, Osher & Fatemi 1992); Wedel et al., "An
improved algorithm for TV-L1 optical flow" (2009), section 4, match the rest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flowstream.flow.kernels.planes import Plane, clear, fill_sides, origin, stride
from flowstream.flow.kernels.simd import (
    LANES,
    inverse_root,
    kernel,
    load,
    maximum,
    spread,
    store,
)
from flowstream.flow.kernels.tvl1_numbers import GAIN, STRUCTURE

TOGETHER = 8  # iterations that pass over the image at once, each a row behind the one before


@kernel
def keep_texture(
    image: Plane,
    rows: int,
    columns: int,
    amount: float,
    iterations: int,
    memory: NDArray[np.float32],
    ring: Plane,
) -> None:
    """Replace `image` by GAIN (image - amount · structure).

    Structure is found by fast gradient projection on the dual (Beck & Teboulle, "Fast
    gradient-based algorithms for constrained total variation image denoising", 2009, section 4).

    Parameters
    ----------
    memory : at least four planes
        Overwritten by the dual's two components, and the same extrapolated.
    ring : TOGETHER x 2 strides
        Two rows of structure for each iteration under way.
    """
    step = stride(columns)
    duals = (memory[0], memory[1], memory[2], memory[3])
    for plane in duals:
        clear(plane, rows, columns)
    done = 0
    while done < iterations:
        count = min(TOGETHER, iterations - done)
        for front in range(rows + count):
            for k in range(count):
                row = front - k
                if 0 <= row < rows:
                    _structure(image, duals, ring, columns, row, k)
                if 0 < row <= rows:
                    # Chambolle & Dossal (2015): converges as their t_k does, without a recurrence.
                    share = (done + k) / (done + k + 3.0)
                    _ascend(duals, ring, rows, columns, row - 1, k, share)
        done += count
    for row in range(rows):
        _structure(image, duals, ring, columns, row, 0)
        start = origin(row, step)
        line = (row % 2) * step
        for x in range(0, columns, LANES):
            rest = load(image, start + x) - spread(amount) * load(ring, line + x)
            store(image, start + x, spread(GAIN) * rest)
    fill_sides(image, rows, columns)


@kernel
def _structure(
    image: Plane,
    duals: tuple[Plane, Plane, Plane, Plane],
    ring: Plane,
    columns: int,
    row: int,
    k: int,
) -> None:
    """A row of the image plus STRUCTURE times the divergence of the extrapolated dual."""
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
    duals: tuple[Plane, Plane, Plane, Plane],
    ring: Plane,
    rows: int,
    columns: int,
    row: int,
    k: int,
    share: float,
) -> None:
    """A row of the dual: a step up the gradient, back into the unit disc, and momentum."""
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
