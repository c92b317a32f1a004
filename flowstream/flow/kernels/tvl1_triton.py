"""Triton kernels for the inner loops of `tvl1_torch`: iterations, texture, warp and median.

`iterate` and `keep_texture` keep a tile of all planes on chip over several iterations. The tile has
a halo of one pixel per iteration that is computed again by the neighbouring tiles, so that no tile
waits for another. Numbers are float32 on the chip; planes that the caller passes in float16 stay
float16 in memory. The kernels need a CUDA device; `TRITON_INTERPRET=1` runs them on the CPU, which
the tests use.

Symbols are those of Chambolle & Pock 2011, algorithm 1 (doi:10.1007/s10851-010-0251-1): u flow,
p dual variables, g and c the linearised data term rho(u) = c + g · u.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from flowstream.flow.kernels.tvl1_parameters import DARK, FLAT, GAIN, MIDDLE, STRUCTURE


class Tile(NamedTuple):
    """Rows and columns of a tile, halo included; iterations of one launch; warps of a program."""

    rows: int
    columns: int
    iterations: int
    warps: int


# Compiled for compute capability 9.0, a thread needs 128 registers with 16 warps and 220 with 8,
# without spilling; a tile of 64 x 64 pixels spills. Not chosen by measured time.
TILE = Tile(32, 64, iterations=4, warps=16)
TEXTURE_TILE = Tile(32, 64, iterations=4, warps=8)
_SIZES = ("rows", "columns")  # one compiled kernel for all levels of the pyramid
_BLOCK = 256  # pixels per program of the kernels that work pixel by pixel


@triton.jit  # type: ignore[untyped-decorator]
def _shift(plane: tl.tensor, index: tl.tensor, axis: tl.constexpr) -> tl.tensor:
    """Return a tile whose pixels are taken from other rows or columns of it."""
    return tl.gather(plane, index, axis)


@triton.jit(do_not_specialize=_SIZES)  # type: ignore[untyped-decorator]
def _iterate_tile(
    u_in: tl.tensor,
    p_in: tl.tensor,
    u_out: tl.tensor,
    p_out: tl.tensor,
    g_in: tl.tensor,
    c_in: tl.tensor,
    weight_in: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    primal_step: tl.tensor,
    dual_step: tl.tensor,
    limit: tl.tensor,
    flat: tl.tensor,
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
    ux = tl.load(p_in + at4, inside, 0.0).to(tl.float32)
    uy = tl.load(p_in + at4 + area, inside, 0.0).to(tl.float32)
    vx = tl.load(p_in + at4 + 2 * area, inside, 0.0).to(tl.float32)
    vy = tl.load(p_in + at4 + 3 * area, inside, 0.0).to(tl.float32)
    gx = tl.load(g_in + at2, inside, 0.0).to(tl.float32)
    gy = tl.load(g_in + at2 + area, inside, 0.0).to(tl.float32)
    c = tl.load(c_in + at, inside, 0.0)
    inverse = 1.0 / (gx * gx + gy * gy + flat)
    weight = tl.load(weight_in + at, inside, 0.0).to(tl.float32)
    # No derivative crosses the border of the image.
    along_x = tl.where(inside & (x < columns - 1), dual_step, 0.0)
    along_y = tl.where(inside & (y < rows - 1), dual_step, 0.0)
    shape: tl.constexpr = (TILE_ROWS, TILE_COLUMNS)
    left = tl.broadcast_to(tl.maximum(in_x - 1, 0), shape)
    right = tl.broadcast_to(tl.minimum(in_x + 1, TILE_COLUMNS - 1), shape)
    above = tl.broadcast_to(tl.maximum(in_y - 1, 0), shape)
    below = tl.broadcast_to(tl.minimum(in_y + 1, TILE_ROWS - 1), shape)
    for _ in range(ITERATIONS):
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
    iterations: int,
    primal_step: float,
    dual_step: float,
    attachment: float,
    tile: Tile = TILE,
) -> tuple[Tensor, Tensor]:
    """Compute iterations of the "joint" scheme, as `tvl1_torch` does one at a time.

    Parameters
    ----------
    u : (N, 2, H, W)
        Flow; not written to.
    p : (N, 2, 2, H, W), float32 or float16
        Dual variables, by component of the flow and direction of the derivative; not written to.
    g, c : (N, 2, H, W) float32 or float16, and (N, H, W)
        Linearised data term.
    weight : (N, H, W), float32 or float16
        Weight of the regulariser, from the image edges.

    Returns
    -------
    u, p
        After `iterations` iterations, in the types of `u` and `p`.
    """
    inputs = [part.contiguous() for part in (g, c, weight)]
    numbers = primal_step, dual_step, primal_step * attachment, FLAT
    state = u.contiguous(), p.contiguous()
    for now in _launches(iterations, tile):
        new = torch.empty_like(state[0]), torch.empty_like(state[1])
        _iterate_tile[_grid(u, now, tile)](
            *state, *new, *inputs, *u.shape[-2:], *numbers, **_options(now, tile)
        )
        state = new
    return state


def _launches(iterations: int, tile: Tile) -> list[int]:
    """Return the number of iterations of each launch."""
    full, rest = divmod(iterations, tile.iterations)
    return [tile.iterations] * full + ([rest] if rest else [])


def _grid(planes: Tensor, now: int, tile: Tile) -> tuple[int, int, int]:
    """Return the number of tiles along x and y, and of images."""
    rows, columns = planes.shape[-2:]
    across, down = tile.columns - 2 * now, tile.rows - 2 * now
    return triton.cdiv(columns, across), triton.cdiv(rows, down), len(planes)


def _options(now: int, tile: Tile) -> dict[str, int]:
    return {
        "ITERATIONS": now,
        "TILE_ROWS": tile.rows,
        "TILE_COLUMNS": tile.columns,
        "num_warps": tile.warps,
    }


@triton.jit(do_not_specialize=_SIZES)  # type: ignore[untyped-decorator]
def _texture_tile(
    image_in: tl.tensor,
    dual_in: tl.tensor,
    dual_out: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    done: tl.tensor,
    structure: tl.tensor,
    ITERATIONS: tl.constexpr,
    TILE_ROWS: tl.constexpr,
    TILE_COLUMNS: tl.constexpr,
) -> None:
    number = tl.program_id(2).to(tl.int64)
    in_y, in_x = tl.arange(0, TILE_ROWS)[:, None], tl.arange(0, TILE_COLUMNS)[None, :]
    y = tl.program_id(1) * (TILE_ROWS - 2 * ITERATIONS) - ITERATIONS + in_y
    x = tl.program_id(0) * (TILE_COLUMNS - 2 * ITERATIONS) - ITERATIONS + in_x
    inside = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
    area = rows * columns
    at4 = number * 4 * area + y * columns + x
    image = tl.load(image_in + number * area + y * columns + x, inside, 0.0)
    # The dual variables of the last iteration, and those extrapolated for the next one.
    p = tl.load(dual_in + at4, inside, 0.0)
    q = tl.load(dual_in + at4 + area, inside, 0.0)
    ahead_p = tl.load(dual_in + at4 + 2 * area, inside, 0.0)
    ahead_q = tl.load(dual_in + at4 + 3 * area, inside, 0.0)
    ascent = 1.0 / (8.0 * structure)
    along_x = tl.where(inside & (x < columns - 1), ascent, 0.0)
    along_y = tl.where(inside & (y < rows - 1), ascent, 0.0)
    shape: tl.constexpr = (TILE_ROWS, TILE_COLUMNS)
    left = tl.broadcast_to(tl.maximum(in_x - 1, 0), shape)
    right = tl.broadcast_to(tl.minimum(in_x + 1, TILE_COLUMNS - 1), shape)
    above = tl.broadcast_to(tl.maximum(in_y - 1, 0), shape)
    below = tl.broadcast_to(tl.minimum(in_y + 1, TILE_ROWS - 1), shape)
    for k in range(ITERATIONS):
        divergence = ahead_p - _shift(ahead_p, left, 1) + ahead_q - _shift(ahead_q, above, 0)
        smooth = image + structure * divergence
        new_p = ahead_p + along_x * (_shift(smooth, right, 1) - smooth)
        new_q = ahead_q + along_y * (_shift(smooth, below, 0) - smooth)
        scale = 1.0 / tl.sqrt(tl.maximum(new_p * new_p + new_q * new_q, 1.0))
        new_p, new_q = new_p * scale, new_q * scale
        count = done + k
        momentum = count / (count + 3.0)
        ahead_p, ahead_q = new_p + momentum * (new_p - p), new_q + momentum * (new_q - q)
        p, q = new_p, new_q
    valid_y = (in_y >= ITERATIONS) & (in_y < TILE_ROWS - ITERATIONS)
    valid_x = (in_x >= ITERATIONS) & (in_x < TILE_COLUMNS - ITERATIONS)
    kept = inside & valid_y & valid_x
    tl.store(dual_out + at4, p, kept)
    tl.store(dual_out + at4 + area, q, kept)
    tl.store(dual_out + at4 + 2 * area, ahead_p, kept)
    tl.store(dual_out + at4 + 3 * area, ahead_q, kept)


@triton.jit(do_not_specialize=_SIZES)  # type: ignore[untyped-decorator]
def _texture_pixels(
    image_in: tl.tensor,
    dual_in: tl.tensor,
    texture_out: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    structure: tl.tensor,
    gain: tl.tensor,
    amount: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    number = tl.program_id(1).to(tl.int64)
    area = rows * columns
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < area
    ahead_p = dual_in + (number * 4 + 2) * area + pixel
    ahead_q = ahead_p + area
    image = tl.load(image_in + number * area + pixel, inside, 0.0)
    divergence = tl.load(ahead_p, inside, 0.0) + tl.load(ahead_q, inside, 0.0)
    divergence -= tl.load(ahead_p - 1, inside & (pixel % columns > 0), 0.0)
    divergence -= tl.load(ahead_q - columns, inside & (pixel >= columns), 0.0)
    texture = gain * (image - amount * (image + structure * divergence))
    tl.store(texture_out + number * area + pixel, texture, inside)


def keep_texture(
    image: Tensor, *, amount: float, iterations: int, tile: Tile = TEXTURE_TILE
) -> Tensor:
    """Return the texture of images (N, H, W), like `texture.keep_texture`."""
    image = image.contiguous()
    number, rows, columns = image.shape
    dual = image.new_zeros(number, 4, rows, columns)
    done = 0
    for now in _launches(iterations, tile):
        new = torch.empty_like(dual)
        _texture_tile[_grid(image, now, tile)](
            image, dual, new, rows, columns, float(done), STRUCTURE, **_options(now, tile)
        )
        dual, done = new, done + now
    texture = torch.empty_like(image)
    grid = (triton.cdiv(rows * columns, _BLOCK), number)
    numbers = STRUCTURE, GAIN, 1.0
    _texture_pixels[grid](image, dual, texture, rows, columns, *numbers, BLOCK=_BLOCK)
    if amount == 1:
        return texture
    mean = image.mean((1, 2), keepdim=True)
    share = (1 - amount) * MIDDLE / mean.clamp(min=DARK)
    return torch.lerp(texture, GAIN * (image - mean), share.expand_as(image))


@triton.jit  # type: ignore[untyped-decorator]
def _cubic(t: tl.tensor, a: tl.tensor) -> tl.tensor:
    """Return the four weights of Keys' kernel at a distance t from the second sample."""
    rest = 1 - t
    outer = a * t * rest
    before, after = outer * rest, outer * t
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    return before, near, 1 - near - before - after, after


@triton.jit  # type: ignore[untyped-decorator]
def _row(
    image: tl.tensor,
    y: tl.tensor,
    x: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    taps: tl.tensor,
    inside: tl.tensor,
) -> tl.tensor:
    """Return one row of the bicubic sum; pixels outside repeat the border."""
    before, near, far, after = taps
    line = image + tl.minimum(tl.maximum(y, 0), rows - 1) * columns
    last = columns - 1
    first = tl.load(line + tl.minimum(tl.maximum(x - 1, 0), last), inside, 0.0)
    second = tl.load(line + tl.minimum(tl.maximum(x, 0), last), inside, 0.0)
    third = tl.load(line + tl.minimum(x + 1, last), inside, 0.0)
    fourth = tl.load(line + tl.minimum(x + 2, last), inside, 0.0)
    return before * first + near * second + far * third + after * fourth


@triton.jit(do_not_specialize=_SIZES)  # type: ignore[untyped-decorator]
def _warp_pixels(
    first_in: tl.tensor,
    second_in: tl.tensor,
    u_in: tl.tensor,
    warped_out: tl.tensor,
    mean_out: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    a: tl.tensor,
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
def _five_points(
    image: tl.tensor, place: tl.tensor, step: tl.tensor, last: tl.tensor, inside: tl.tensor
) -> tl.tensor:
    """Return the five-point derivative along a line of numbers 0...last; the border repeats."""
    one = tl.load(image + tl.maximum(place - 2, 0) * step, inside, 0.0)
    two = tl.load(image + tl.maximum(place - 1, 0) * step, inside, 0.0)
    four = tl.load(image + tl.minimum(place + 1, last) * step, inside, 0.0)
    five = tl.load(image + tl.minimum(place + 2, last) * step, inside, 0.0)
    return (8.0 / 12.0) * (four - two) - (1.0 / 12.0) * (five - one)


@triton.jit(do_not_specialize=_SIZES)  # type: ignore[untyped-decorator]
def _linearise_pixels(
    first_in: tl.tensor,
    warped_in: tl.tensor,
    mean_in: tl.tensor,
    u_in: tl.tensor,
    g_out: tl.tensor,
    c_out: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    pair = tl.program_id(1).to(tl.int64)
    area = rows * columns
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < area
    x, y = pixel % columns, pixel // columns
    flow = u_in + pair * 2 * area + pixel
    u, v = tl.load(flow, inside, 0.0), tl.load(flow + area, inside, 0.0)
    mean = mean_in + pair * area
    gx = _five_points(mean + y * columns, x, 1, columns - 1, inside)
    gy = _five_points(mean + x, y, columns, rows - 1, inside)
    to_x, to_y = x.to(tl.float32) + u, y.to(tl.float32) + v
    seen = (to_x >= 0) & (to_y >= 0) & (to_x <= columns - 1) & (to_y <= rows - 1)
    # c must belong to the rounded gradient, so that rho is exact at u.
    kind = g_out.dtype.element_ty
    gx = tl.where(seen, gx, 0.0).to(kind).to(tl.float32)
    gy = tl.where(seen, gy, 0.0).to(kind).to(tl.float32)
    place = pair * area + pixel
    difference = tl.load(warped_in + place, inside, 0.0) - tl.load(first_in + place, inside, 0.0)
    c = tl.where(seen, difference - gx * u - gy * v, 0.0)
    target = g_out + pair * 2 * area + pixel
    tl.store(target, gx, inside)
    tl.store(target + area, gy, inside)
    tl.store(c_out + place, c, inside)


def linearise(
    first: Tensor, warped: Tensor, mean: Tensor, u: Tensor, *, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Linearise the data term with the derivatives of the mean of both images.

    Parameters
    ----------
    first, warped, mean : (N, H, W)
        From `warp`.
    u : (N, 2, H, W)
    dtype : torch.float32 or torch.float16
        Type of g.

    Returns
    -------
    g, c : (N, 2, H, W) and (N, H, W)
        rho(u) = c + g · u; both are 0 where the flow leaves the image.
    """
    number, rows, columns = first.shape
    g, c = torch.empty_like(u, dtype=dtype), torch.empty_like(first)
    grid = (triton.cdiv(rows * columns, _BLOCK), number)
    parts = (part.contiguous() for part in (first, warped, mean, u))
    _linearise_pixels[grid](*parts, g, c, rows, columns, BLOCK=_BLOCK)
    return g, c


@triton.jit  # type: ignore[untyped-decorator]
def _ordered(one: tl.tensor, other: tl.tensor) -> tl.tensor:
    return tl.minimum(one, other), tl.maximum(one, other)


@triton.jit  # type: ignore[untyped-decorator]
def _sort_five(a: tl.tensor, b: tl.tensor, c: tl.tensor, d: tl.tensor, e: tl.tensor) -> tl.tensor:
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
def _without_least(a: tl.tensor, b: tl.tensor, c: tl.tensor, d: tl.tensor) -> tl.tensor:
    a, b = _ordered(a, b)
    a, c = _ordered(a, c)
    a, d = _ordered(a, d)
    return b, c, d


@triton.jit  # type: ignore[untyped-decorator]
def _without_greatest(a: tl.tensor, b: tl.tensor, c: tl.tensor, d: tl.tensor) -> tl.tensor:
    b, a = _ordered(a, b)
    c, a = _ordered(a, c)
    d, a = _ordered(a, d)
    return b, c, d


@triton.jit  # type: ignore[untyped-decorator]
def _without_both_of_seven(
    a: tl.tensor, b: tl.tensor, c: tl.tensor, d: tl.tensor, e: tl.tensor, f: tl.tensor, g: tl.tensor
) -> tl.tensor:
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
def _without_both_of_six(
    a: tl.tensor, b: tl.tensor, c: tl.tensor, d: tl.tensor, e: tl.tensor, f: tl.tensor
) -> tl.tensor:
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
def _without_both_of_five(
    a: tl.tensor, b: tl.tensor, c: tl.tensor, d: tl.tensor, e: tl.tensor
) -> tl.tensor:
    a, b = _ordered(a, b)
    a, c = _ordered(a, c)
    a, d = _ordered(a, d)
    a, e = _ordered(a, e)
    c, b = _ordered(b, c)
    d, b = _ordered(b, d)
    e, b = _ordered(b, e)
    return c, d, e


@triton.jit  # type: ignore[untyped-decorator]
def _without_both_of_four(a: tl.tensor, b: tl.tensor, c: tl.tensor, d: tl.tensor) -> tl.tensor:
    a, b = _ordered(a, b)
    a, c = _ordered(a, c)
    a, d = _ordered(a, d)
    c, b = _ordered(b, c)
    d, b = _ordered(b, d)
    return c, d


@triton.jit  # type: ignore[untyped-decorator]
def _sorted_column(
    line: tl.tensor,
    x: tl.tensor,
    y: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    inside: tl.tensor,
) -> tl.tensor:
    """Return the five pixels above and below, sorted; the border repeats."""
    column = line + tl.minimum(tl.maximum(x, 0), columns - 1)
    last = rows - 1
    a = tl.load(column + tl.maximum(y - 2, 0) * columns, inside, 0.0)
    b = tl.load(column + tl.maximum(y - 1, 0) * columns, inside, 0.0)
    c = tl.load(column + y * columns, inside, 0.0)
    d = tl.load(column + tl.minimum(y + 1, last) * columns, inside, 0.0)
    e = tl.load(column + tl.minimum(y + 2, last) * columns, inside, 0.0)
    return _sort_five(a, b, c, d, e)


@triton.jit(do_not_specialize=_SIZES)  # type: ignore[untyped-decorator]
def _median_pixels(
    u_in: tl.tensor, u_out: tl.tensor, rows: tl.tensor, columns: tl.tensor, BLOCK: tl.constexpr
) -> None:
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
