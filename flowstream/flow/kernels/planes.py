"""Images as padded planes, so that inner loops need no tests for the border.

A plane of H x W numbers is a flat float32 array of H + 2 MARGIN rows of `stride(W)` numbers. The
number at (row, column) is at index `origin(row, stride) + column`. Rows start on a cache line and
have SIDE unused numbers on the left and at least as many on the right. Kernels write whole vectors,
so numbers to the right of column W are undefined; a kernel that reads them calls `fill_sides`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flowstream.flow.kernels.simd import LANES, helper, interpolate, kernel, load, spread, store

Plane = NDArray[np.float32]

SIDE = 16
LINE = 16  # float32 in a cache line
MARGIN = 3
REACH = 8  # number of columns beyond the left and right edge that a kernel may read


def allocate(rows: int, columns: int) -> NDArray[np.float32]:
    """Return zeros whose rows start on cache lines."""
    length = (columns + LINE - 1) // LINE * LINE + LINE
    memory = np.zeros(rows * length + LINE, np.float32)
    skip = -(memory.ctypes.data // memory.itemsize) % LINE
    return memory[skip : skip + rows * length].reshape(rows, length)


def as_image(plane: Plane, rows: int, columns: int) -> NDArray[np.float32]:
    """Return a view of the numbers of a plane without its frame."""
    width = (columns + SIDE - 1) // SIDE * SIDE + 2 * SIDE
    whole = plane[: (rows + 2 * MARGIN) * width].reshape(-1, width)
    return whole[MARGIN : MARGIN + rows, SIDE : SIDE + columns]


@helper
def stride(columns: int) -> int:
    """Return the distance from one row of a plane to the next, in numbers."""
    return (columns + SIDE - 1) // SIDE * SIDE + 2 * SIDE


@helper
def plane_size(rows: int, columns: int) -> int:
    """Return the number of float32 values in a plane."""
    return (rows + 2 * MARGIN) * stride(columns)


@kernel
def origin(row: int, step: int) -> int:
    """Return the index of the first number of a row, for planes of this stride."""
    return (row + MARGIN) * step + SIDE


@kernel
def clamp(row: int, rows: int) -> int:
    """Return the row of the image nearest to `row`."""
    return min(max(row, 0), rows - 1)


@kernel
def fill_sides(plane: Plane, rows: int, columns: int) -> None:
    """Repeat the first and last number of every row to its left and right."""
    step = stride(columns)
    for row in range(rows):
        start = origin(row, step)
        end = start + columns
        left, right = plane[start], plane[end - 1]
        for k in range(REACH):
            plane[start - 1 - k] = left
            plane[end + k] = right


@kernel
def fill_frame(plane: Plane, rows: int, columns: int, zero: bool) -> None:
    """Fill the frame around an image with zeros or with the nearest numbers of the image."""
    step = stride(columns)
    fill_sides(plane, rows, columns)
    if zero:
        for row in range(rows):
            start = origin(row, step)
            for k in range(REACH):
                plane[start - 1 - k] = np.float32(0)
                plane[start + columns + k] = np.float32(0)
    for k in range(1, MARGIN + 1):
        for row, nearest in ((-k, 0), (rows - 1 + k, rows - 1)):
            target, source = origin(row, step), origin(nearest, step)
            for x in range(-SIDE, step - SIDE):
                plane[target + x] = np.float32(0) if zero else plane[source + x]


@kernel
def copy_image(image: NDArray[np.uint8], plane: Plane) -> None:
    """Copy the grey values of an image into a plane."""
    rows, columns = image.shape
    step = stride(columns)
    for row in range(rows):
        start = origin(row, step)
        for x in range(columns):
            plane[start + x] = np.float32(image[row, x])


@kernel
def fill_plane(plane: Plane, rows: int, columns: int, value: float) -> None:
    """Set all numbers of a plane to a value, its frame included."""
    for k in range(plane_size(rows, columns)):
        plane[k] = np.float32(value)


@kernel
def resample(
    source: Plane,
    size: tuple[int, int],
    target: Plane,
    target_size: tuple[int, int],
    ratio: tuple[float, float],
    gain: float,
    taps: Plane,
    rows_buffer: Plane,
) -> None:
    """Smooth a plane and sample it linearly on another grid.

    Pixels are areas, so the grids share their outer edges; borders are repeated.

    Parameters
    ----------
    ratio : (rows, columns)
        Pixels of the source per pixel of the target.
    gain : float
        Factor of the values; the vectors of a flow scale with its grid.
    taps : (2 R + 1,), float32
        Filter along each axis, in source pixels, R <= 5; a single 1 means no smoothing.
    rows_buffer : at least 2 strides of the source and 2 of the target
    """
    rows, columns = size
    new_rows, new_columns = target_size
    step, new_step = stride(columns), stride(new_columns)
    radius = taps.size // 2
    smooth = SIDE + step
    # The left neighbour of each place along a row, and the share of the right one.
    lefts = 2 * step
    shares = lefts + new_step
    # Vectors reach beyond the last column.
    for x in range(stride(new_columns) - SIDE):
        place = min(max((x + 0.5) * ratio[1] - 0.5, 0.0), columns - 1.0)
        rows_buffer[lefts + x] = np.float32(int(place))
        rows_buffer[shares + x] = np.float32(place - int(place))
    for row in range(new_rows):
        place = min(max((row + 0.5) * ratio[0] - 0.5, 0.0), rows - 1.0)
        above = int(place)
        share = place - above
        for x in range(0, columns, LANES):
            value = spread(0.0)
            for k in range(-radius, radius + 2):
                weight = np.float32(0)
                if k <= radius:
                    weight += taps[k + radius] * np.float32(gain * (1.0 - share))
                if k > -radius:
                    weight += taps[k + radius - 1] * np.float32(gain * share)
                start = origin(clamp(above + k, rows), step)
                value = value + spread(weight) * load(source, start + x)
            store(rows_buffer, SIDE + x, value)
        _repeat_ends(rows_buffer, SIDE, columns)
        line = SIDE
        if radius > 0:
            line = smooth
            for x in range(0, columns, LANES):
                value = spread(0.0)
                for k in range(-radius, radius + 1):
                    value = value + spread(taps[k + radius]) * load(rows_buffer, SIDE + x + k)
                store(rows_buffer, smooth + x, value)
            _repeat_ends(rows_buffer, smooth, columns)
        start = origin(row, new_step)
        for x in range(0, new_columns, LANES):
            places, parts = load(rows_buffer, lefts + x), load(rows_buffer, shares + x)
            store(target, start + x, interpolate(rows_buffer, line, places, parts))


@kernel
def _repeat_ends(line: Plane, start: int, columns: int) -> None:
    """Repeat the first and last number of a row to its left and right."""
    left, right = line[start], line[start + columns - 1]
    for k in range(REACH):
        line[start - 1 - k] = left
        line[start + columns + k] = right
