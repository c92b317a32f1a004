"""Triton kernels for the inner loops of `tvl1_torch`: iterations, warp and median.

`iterate` keeps a tile of u, p and the data term on chip over several iterations. The tile has a
halo of one pixel per iteration that is computed again by the neighbouring tiles, so that no tile
waits for another. The kernels need a CUDA device; `TRITON_INTERPRET=1` runs them on the CPU, which
the tests use.

Symbols are those of Chambolle & Pock 2011, algorithm 1 (doi:10.1007/s10851-010-0251-1): u flow,
p dual variables, g and c the linearised data term rho(u) = c + g · u.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

# Rows and columns of a tile, halo included, and the iterations that one launch computes. A tile of
# 32 x 64 pixels and 11 planes takes 22,528 of the 65,536 registers of a multiprocessor.
TILE_ROWS, TILE_COLUMNS = 32, 64
FUSED_ITERATIONS = 4
_BLOCK = 256  # pixels per program of the kernels that work pixel by pixel


@triton.jit  # type: ignore[untyped-decorator]
def _shift(plane: Any, index: Any, axis: tl.constexpr) -> Any:
    """Return a tile whose pixels are taken from other rows or columns of it."""
    return tl.gather(plane, index, axis)


@triton.jit  # type: ignore[untyped-decorator]
def _iterate_tile(
    u_in: Any,
    p_in: Any,
    u_out: Any,
    p_out: Any,
    g_in: Any,
    c_in: Any,
    inverse_in: Any,
    weight_in: Any,
    rows: Any,
    columns: Any,
    primal_step: Any,
    dual_step: Any,
    limit: Any,
    ITERATIONS: tl.constexpr,
    TILE_ROWS: tl.constexpr,
    TILE_COLUMNS: tl.constexpr,
) -> None:
    pair = tl.program_id(2).to(tl.int64)
    in_y, in_x = tl.arange(0, TILE_ROWS)[:, None], tl.arange(0, TILE_COLUMNS)[None, :]
    y = tl.program_id(1) * (TILE_ROWS - 2 * ITERATIONS) - ITERATIONS + in_y
    x = tl.program_id(0) * (TILE_COLUMNS - 2 * ITERATIONS) - ITERATIONS + in_x
    inside = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
    area = rows * columns
    at = pair * area + y * columns + x
    at2 = pair * 2 * area + y * columns + x
    at4 = pair * 4 * area + y * columns + x
    u = tl.load(u_in + at2, inside, 0.0)
    v = tl.load(u_in + at2 + area, inside, 0.0)
    # p by component of the flow and direction of the derivative
    ux = tl.load(p_in + at4, inside, 0.0)
    uy = tl.load(p_in + at4 + area, inside, 0.0)
    vx = tl.load(p_in + at4 + 2 * area, inside, 0.0)
    vy = tl.load(p_in + at4 + 3 * area, inside, 0.0)
    gx = tl.load(g_in + at2, inside, 0.0)
    gy = tl.load(g_in + at2 + area, inside, 0.0)
    c = tl.load(c_in + at, inside, 0.0)
    inverse = tl.load(inverse_in + at, inside, 0.0)
    weight = tl.load(weight_in + at, inside, 0.0)
    # No derivative crosses the border of the image.
    along_x = tl.where(inside & (x < columns - 1), dual_step, 0.0)
    along_y = tl.where(inside & (y < rows - 1), dual_step, 0.0)
    shape: tl.constexpr = (TILE_ROWS, TILE_COLUMNS)
    left = tl.broadcast_to(tl.maximum(in_x - 1, 0), shape)
    right = tl.broadcast_to(tl.minimum(in_x + 1, TILE_COLUMNS - 1), shape)
    above = tl.broadcast_to(tl.maximum(in_y - 1, 0), shape)
    below = tl.broadcast_to(tl.minimum(in_y + 1, TILE_ROWS - 1), shape)
    for _ in tl.static_range(ITERATIONS):
        moved_u = u + primal_step * (ux - _shift(ux, left, 1) + uy - _shift(uy, above, 0))
        moved_v = v + primal_step * (vx - _shift(vx, left, 1) + vy - _shift(vy, above, 0))
        step = (c + gx * moved_u + gy * moved_v) * inverse
        step = tl.minimum(tl.maximum(step, -limit), limit)
        new_u, new_v = moved_u - step * gx, moved_v - step * gy
        ahead_u, ahead_v = 2 * new_u - u, 2 * new_v - v
        ux += along_x * (_shift(ahead_u, right, 1) - ahead_u)
        uy += along_y * (_shift(ahead_u, below, 0) - ahead_u)
        vx += along_x * (_shift(ahead_v, right, 1) - ahead_v)
        vy += along_y * (_shift(ahead_v, below, 0) - ahead_v)
        length = ux * ux + uy * uy + vx * vx + vy * vy
        scale = tl.minimum(weight / tl.sqrt(tl.maximum(length, 1e-12)), 1.0)
        ux, uy, vx, vy = ux * scale, uy * scale, vx * scale, vy * scale
        u, v = new_u, new_v
    valid_y = (in_y >= ITERATIONS) & (in_y < TILE_ROWS - ITERATIONS)
    valid_x = (in_x >= ITERATIONS) & (in_x < TILE_COLUMNS - ITERATIONS)
    kept = inside & valid_y & valid_x
    tl.store(u_out + at2, u, kept)
    tl.store(u_out + at2 + area, v, kept)
    tl.store(p_out + at4, ux, kept)
    tl.store(p_out + at4 + area, uy, kept)
    tl.store(p_out + at4 + 2 * area, vx, kept)
    tl.store(p_out + at4 + 3 * area, vy, kept)


def iterate(
    u: Tensor,
    p: Tensor,
    g: Tensor,
    c: Tensor,
    weight: Tensor,
    *,
    inverse: Tensor,
    iterations: int,
    primal_step: float,
    dual_step: float,
    attachment: float,
) -> tuple[Tensor, Tensor]:
    """Compute iterations of the "joint" scheme, as `tvl1_torch` does one at a time.

    Parameters
    ----------
    u : (N, 2, H, W)
        Flow; not written to.
    p : (N, 2, 2, H, W)
        Dual variables, by component of the flow and direction of the derivative; not written to.
    g, c : (N, 2, H, W) and (N, H, W)
        Linearised data term.
    weight : (N, H, W)
        Weight of the regulariser, from the image edges.
    inverse : (N, H, W)
        1 / (g · g).

    Returns
    -------
    u, p
        After `iterations` iterations.
    """
    number, _, rows, columns = u.shape
    inputs = [part.contiguous() for part in (g, c, inverse, weight)]
    u, p = u.contiguous(), p.contiguous()
    spare = torch.empty_like(u), torch.empty_like(p)
    own = False  # whether u and p are buffers of this function
    while iterations > 0:
        now = min(FUSED_ITERATIONS, iterations)
        grid = (
            triton.cdiv(columns, TILE_COLUMNS - 2 * now),
            triton.cdiv(rows, TILE_ROWS - 2 * now),
            number,
        )
        _iterate_tile[grid](
            u,
            p,
            *spare,
            *inputs,
            rows,
            columns,
            primal_step,
            dual_step,
            primal_step * attachment,
            ITERATIONS=now,
            TILE_ROWS=TILE_ROWS,
            TILE_COLUMNS=TILE_COLUMNS,
            num_warps=8,
        )
        before = (u, p) if own else (torch.empty_like(u), torch.empty_like(p))
        (u, p), spare, own = spare, before, True
        iterations -= now
    return u, p


@triton.jit  # type: ignore[untyped-decorator]
def _cubic(t: Any, a: Any) -> Any:
    """Return the four weights of Keys' kernel at a distance t from the second sample."""
    rest = 1 - t
    outer = a * t * rest
    before, after = outer * rest, outer * t
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    return before, near, 1 - near - before - after, after


@triton.jit  # type: ignore[untyped-decorator]
def _row(image: Any, y: Any, x: Any, rows: Any, columns: Any, taps: Any, inside: Any) -> Any:
    """Return one row of the bicubic sum; pixels outside repeat the border."""
    before, near, far, after = taps
    line = image + tl.minimum(tl.maximum(y, 0), rows - 1) * columns
    last = columns - 1
    first = tl.load(line + tl.minimum(tl.maximum(x - 1, 0), last), inside, 0.0)
    second = tl.load(line + tl.minimum(tl.maximum(x, 0), last), inside, 0.0)
    third = tl.load(line + tl.minimum(x + 1, last), inside, 0.0)
    fourth = tl.load(line + tl.minimum(x + 2, last), inside, 0.0)
    return before * first + near * second + far * third + after * fourth


@triton.jit  # type: ignore[untyped-decorator]
def _warp_pixels(
    first_in: Any,
    second_in: Any,
    u_in: Any,
    warped_out: Any,
    mean_out: Any,
    rows: Any,
    columns: Any,
    a: Any,
    BLOCK: tl.constexpr,
) -> None:
    pair = tl.program_id(1).to(tl.int64)
    area = rows * columns
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < area
    flow = u_in + pair * 2 * area + pixel
    x = (pixel % columns).to(tl.float32) + tl.load(flow, inside, 0.0)
    y = (pixel // columns).to(tl.float32) + tl.load(flow + area, inside, 0.0)
    x = tl.minimum(tl.maximum(x, 0.0), columns - 1.0)
    y = tl.minimum(tl.maximum(y, 0.0), rows - 1.0)
    left, top = tl.floor(x), tl.floor(y)
    taps = _cubic(x - left, a)
    down = _cubic(y - top, a)
    column, row = left.to(tl.int32), top.to(tl.int32)
    image = second_in + pair * area
    value = down[0] * _row(image, row - 1, column, rows, columns, taps, inside)
    value += down[1] * _row(image, row, column, rows, columns, taps, inside)
    value += down[2] * _row(image, row + 1, column, rows, columns, taps, inside)
    value += down[3] * _row(image, row + 2, column, rows, columns, taps, inside)
    first = tl.load(first_in + pair * area + pixel, inside, 0.0)
    tl.store(warped_out + pair * area + pixel, value, inside)
    tl.store(mean_out + pair * area + pixel, 0.5 * (first + value), inside)


def warp(first: Tensor, second: Tensor, u: Tensor, *, cubic: float) -> tuple[Tensor, Tensor]:
    """Warp the second images by a flow, and average them with the first.

    Parameters
    ----------
    first, second : (N, H, W)
    u : (N, 2, H, W)
    cubic : float
        Parameter of Keys' kernel.

    Returns
    -------
    warped, mean : (N, H, W)
        `second` at (x + u, y + v), where pixels outside repeat the border; (first + warped) / 2.
    """
    number, rows, columns = first.shape
    warped, mean = torch.empty_like(first), torch.empty_like(first)
    grid = (triton.cdiv(rows * columns, _BLOCK), number)
    parts = (part.contiguous() for part in (first, second, u))
    _warp_pixels[grid](*parts, warped, mean, rows, columns, cubic, BLOCK=_BLOCK)
    return warped, mean


@triton.jit  # type: ignore[untyped-decorator]
def _ordered(one: Any, other: Any) -> Any:
    return tl.minimum(one, other), tl.maximum(one, other)


@triton.jit  # type: ignore[untyped-decorator]
def _sort_five(a: Any, b: Any, c: Any, d: Any, e: Any) -> Any:
    a, b = _ordered(a, b)
    d, e = _ordered(d, e)
    c, e = _ordered(c, e)
    c, d = _ordered(c, d)
    b, e = _ordered(b, e)
    a, d = _ordered(a, d)
    a, c = _ordered(a, c)
    b, d = _ordered(b, d)
    b, c = _ordered(b, c)
    return a, b, c, d, e


@triton.jit  # type: ignore[untyped-decorator]
def _without_least(a: Any, b: Any, c: Any, d: Any) -> Any:
    a, b = _ordered(a, b)
    a, c = _ordered(a, c)
    a, d = _ordered(a, d)
    return b, c, d


@triton.jit  # type: ignore[untyped-decorator]
def _without_greatest(a: Any, b: Any, c: Any, d: Any) -> Any:
    b, a = _ordered(a, b)
    c, a = _ordered(a, c)
    d, a = _ordered(a, d)
    return b, c, d


@triton.jit  # type: ignore[untyped-decorator]
def _without_both_of_seven(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any) -> Any:
    a, b = _ordered(a, b)
    a, c = _ordered(a, c)
    a, d = _ordered(a, d)
    a, e = _ordered(a, e)
    a, f = _ordered(a, f)
    a, g = _ordered(a, g)
    c, b = _ordered(b, c)
    d, b = _ordered(b, d)
    e, b = _ordered(b, e)
    f, b = _ordered(b, f)
    g, b = _ordered(b, g)
    return c, d, e, f, g


@triton.jit  # type: ignore[untyped-decorator]
def _without_both_of_six(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> Any:
    a, b = _ordered(a, b)
    a, c = _ordered(a, c)
    a, d = _ordered(a, d)
    a, e = _ordered(a, e)
    a, f = _ordered(a, f)
    c, b = _ordered(b, c)
    d, b = _ordered(b, d)
    e, b = _ordered(b, e)
    f, b = _ordered(b, f)
    return c, d, e, f


@triton.jit  # type: ignore[untyped-decorator]
def _without_both_of_five(a: Any, b: Any, c: Any, d: Any, e: Any) -> Any:
    a, b = _ordered(a, b)
    a, c = _ordered(a, c)
    a, d = _ordered(a, d)
    a, e = _ordered(a, e)
    c, b = _ordered(b, c)
    d, b = _ordered(b, d)
    e, b = _ordered(b, e)
    return c, d, e


@triton.jit  # type: ignore[untyped-decorator]
def _without_both_of_four(a: Any, b: Any, c: Any, d: Any) -> Any:
    a, b = _ordered(a, b)
    a, c = _ordered(a, c)
    a, d = _ordered(a, d)
    c, b = _ordered(b, c)
    d, b = _ordered(b, d)
    return c, d


@triton.jit  # type: ignore[untyped-decorator]
def _sorted_column(line: Any, x: Any, y: Any, rows: Any, columns: Any, inside: Any) -> Any:
    """Return the five pixels above and below, sorted; the border repeats."""
    column = line + tl.minimum(tl.maximum(x, 0), columns - 1)
    last = rows - 1
    a = tl.load(column + tl.maximum(y - 2, 0) * columns, inside, 0.0)
    b = tl.load(column + tl.maximum(y - 1, 0) * columns, inside, 0.0)
    c = tl.load(column + y * columns, inside, 0.0)
    d = tl.load(column + tl.minimum(y + 1, last) * columns, inside, 0.0)
    e = tl.load(column + tl.minimum(y + 2, last) * columns, inside, 0.0)
    return _sort_five(a, b, c, d, e)


@triton.jit  # type: ignore[untyped-decorator]
def _median_pixels(u_in: Any, u_out: Any, rows: Any, columns: Any, BLOCK: tl.constexpr) -> None:
    plane = tl.program_id(1).to(tl.int64)
    area = rows * columns
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < area
    x, y = pixel % columns, tl.minimum(pixel // columns, rows - 1)
    image = u_in + plane * area
    # Columns sorted, then the rows of equal rank sorted: 13 of the 25 values remain candidates for
    # the median, as in `median.median_5x5`.
    k0, k1, k2, k3, k4 = _sorted_column(image, x - 2, y, rows, columns, inside)
    l0, l1, l2, l3, l4 = _sorted_column(image, x - 1, y, rows, columns, inside)
    m0, m1, m2, m3, m4 = _sorted_column(image, x, y, rows, columns, inside)
    n0, n1, n2, n3, n4 = _sorted_column(image, x + 1, y, rows, columns, inside)
    o0, o1, o2, o3, o4 = _sorted_column(image, x + 2, y, rows, columns, inside)
    _, _, _, a3, a4 = _sort_five(k0, l0, m0, n0, o0)
    _, _, b2, b3, b4 = _sort_five(k1, l1, m1, n1, o1)
    _, c1, c2, c3, _ = _sort_five(k2, l2, m2, n2, o2)
    d0, d1, d2, _, _ = _sort_five(k3, l3, m3, n3, o3)
    e0, e1, _, _, _ = _sort_five(k4, l4, m4, n4, o4)
    p0, p1, p2 = _without_least(a3, b2, c1, d0)
    q0, q1, q2 = _without_greatest(b4, c3, d2, e1)
    # Each step drops the least and the greatest of the candidates, and adds one.
    p0, p1, p2, q0, q1 = _without_both_of_seven(p0, p1, p2, q0, q1, q2, a4)
    p0, p1, p2, q0 = _without_both_of_six(p0, p1, p2, q0, q1, b3)
    p0, p1, p2 = _without_both_of_five(p0, p1, p2, q0, c2)
    p0, p1 = _without_both_of_four(p0, p1, p2, d1)
    middle = tl.maximum(tl.minimum(p0, p1), tl.minimum(tl.maximum(p0, p1), e0))
    tl.store(u_out + plane * area + pixel, middle, inside)


def median_5x5(u: Tensor) -> Tensor:
    """Filter each plane by the median of 5 x 5 pixels; the border repeats.

    Parameters
    ----------
    u : (N, 2, H, W)
    """
    number, planes, rows, columns = u.shape
    result = torch.empty_like(u)
    grid = (triton.cdiv(rows * columns, _BLOCK), number * planes)
    _median_pixels[grid](u.contiguous(), result, rows, columns, BLOCK=_BLOCK)
    return result
