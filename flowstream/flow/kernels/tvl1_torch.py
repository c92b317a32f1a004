"""TV-L1 for batches of pairs in torch: the algorithm of `tvl1_numba` on any torch device.

Shapes: images (N, H, W); the flow u and the gradient g (N, 2, H, W); the dual variables p
(N, 2, 2, H, W) by component of the flow and direction of the derivative. Only the convergence tests
of the "separate" scheme, one in CHECKED iterations, wait for the device.

Block matching is that of `matching_torch`, except on the CPU, where the numba kernel is faster.

The file is long because it is a complete second implementation, in the order of the first.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cache, partial
from importlib.util import find_spec
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d, pad

from flowstream.flow.kernels import matching_torch
from flowstream.flow.kernels.graphs_torch import Replays
from flowstream.flow.kernels.tvl1_numba import find_matches
from flowstream.flow.kernels.tvl1_parameters import (
    BETTER,
    CHECKED,
    CONVERGING,
    DARK,
    DISTRUSTED,
    FLAT,
    GAIN,
    GROUP,
    LIKENESS,
    LIMIT,
    MIDDLE,
    NEARNESS,
    REGION_APART,
    REGION_BETTER,
    REGION_STEP,
    SETTLED,
    SMOOTH,
    STEPS,
    STRUCTURE,
    UNLIKE,
    WINDOW_MERGED,
    WINDOW_REGION,
    Acceleration,
    Grids,
    Numbers,
    limit_warps,
)
from flowstream.types import Size

Step: TypeAlias = Callable[..., Any]


class Pyramids(NamedTuple):
    """Grey values, and the images that are matched, of all frames, each from fine to coarse."""

    guides: list[Tensor]
    matched: list[Tensor]


class Loops(NamedTuple):
    """Implementations of the loops that take nearly all of the time."""

    iterate: Step
    """(u, p, g, c, weight, *, numbers) to (u, p) after all inner iterations."""
    linearise: Step
    """(first, second, slopes, u, *, numbers, dtype) to g and c of rho(u) = c + g · u."""
    median: Step
    texture: Step
    """(images, *, numbers) to their texture."""
    spread: matching_torch.Spread
    dtype: torch.dtype
    """Type of p, g and the weights in memory."""


class Options(NamedTuple):
    """Choices that change the speed, and the result only by rounding.

    Parameters
    ----------
    acceleration : {"none", "compile", "triton"}
    mixed : bool
        Store p, g and the weights in float16.
    threads : int
        Number of pairs that the numba kernel matches at the same time.
    match_by_torch : bool or None
        Find block matches on the device; None: unless it is the CPU.
    """

    acceleration: Acceleration = "none"
    mixed: bool = False
    threads: int = 1
    match_by_torch: bool | None = None


def choose_acceleration(name: str, device: torch.device) -> Acceleration:
    """Return the acceleration of a device: "auto" is Triton on CUDA if it is installed."""
    if name != "auto":
        return cast(Acceleration, name)
    return "triton" if device.type == "cuda" and find_spec("triton") else "none"


@torch.inference_mode()
def solve_pairs(
    frames: Tensor,
    pairs: Tensor,
    *,
    numbers: Numbers,
    grids: Grids,
    directions: int = 1,
    options: Options | None = None,
) -> Tensor:
    """Estimate the flow of all pairs at once; what pairs share is computed once per frame.

    Parameters
    ----------
    frames : (F, H, W), uint8
        On the device of the computation.
    pairs : (N, 2), int64
        Indices of the first and the second frame of each pair.

    Returns
    -------
    (directions, N, 2, H, W), float32
        Forward flow and, if `directions` is 2, backward flow.
    """
    options = options or Options()
    loops = _choose_loops(options)
    pyramids = _pyramids(frames, numbers, grids, loops)
    one, other = pairs.unbind(1)
    ways = [(one, other), (other, one)][:directions]
    matches: list[Any] = [None] * directions
    if numbers.matching and grids.fine >= 0:
        by_torch = options.match_by_torch
        if frames.device.type != "cpu" if by_torch is None else by_torch:
            matches = _match_by_torch(pyramids, ways, grids, loops)
        else:
            matches = _match_by_numba(frames, ways, numbers, grids, threads=options.threads)
    fields = [
        _solve(pyramids, way, numbers, found, grids.fine, loops)
        for way, found in zip(ways, matches, strict=True)
    ]
    return torch.stack(fields)


@torch.inference_mode()
def replay_pairs(frames: Tensor, pairs: Tensor, *, key: Hashable, **settings: Any) -> Tensor:
    """Estimate like `solve_pairs`, by a CUDA graph if the key and the shapes were seen before."""
    solve = partial(solve_pairs, **settings)
    with torch.cuda.device(frames.device):
        return _replays(str(frames.device))(key, solve, frames, pairs)


def graph_failures(device: str) -> list[str]:
    """Return the reasons why batches of a device could not be recorded; for benchmarks."""
    return list(_replays(device).failures.values())


@cache
def _replays(device: str) -> Replays:
    return Replays()


def _match_by_torch(
    pyramids: Pyramids, ways: list[tuple[Tensor, Tensor]], grids: Grids, loops: Loops
) -> list[Tensor]:
    coarse, fine = (
        matching_torch.Ends(*(pyramids.matched[level][end] for end in ways[0]))
        for level in (grids.coarse, grids.fine)
    )
    guides = [pyramids.guides[grids.fine][way[0]] for way in ways]
    return matching_torch.find_matches(coarse, fine, guides, spread=loops.spread)


def _match_by_numba(
    frames: Tensor,
    ways: list[tuple[Tensor, Tensor]],
    numbers: Numbers,
    grids: Grids,
    *,
    threads: int,
) -> list[Tensor]:
    images = frames.cpu().numpy()
    found = []
    for way in ways:
        ends = (images[end.cpu().numpy()] for end in way)
        vectors = find_matches(*ends, numbers=numbers, grids=grids, threads=threads)
        found.append(torch.from_numpy(vectors).to(frames.device))
    return found


def _solve(
    pyramids: Pyramids,
    way: tuple[Tensor, Tensor],
    numbers: Numbers,
    matches: Tensor | None,
    fine: int,
    loops: Loops,
) -> Tensor:
    guides, matched = pyramids
    u = guides[-1].new_zeros(len(way[0]), 2, *_size(guides[-1]))
    for level in reversed(range(len(guides))):
        u = _enlarge(u, _size(guides[level]), numbers)
        images = matched[level][way[0]], matched[level][way[1]], guides[level][way[0]]
        u = _refine(u, *images, level, numbers, loops)
        if matches is not None and level == fine:
            found = _refine(matches, *images, level, limit_warps(numbers), loops)
            u = _merge(u, found, images[0], images[1], numbers)
    return u


def _merge(u: Tensor, found: Tensor, first: Tensor, second: Tensor, numbers: Numbers) -> Tensor:
    """Replace the flow by the refined block matches where these fit the images better."""
    costs = [_cost(flow, first, second, numbers) for flow in (u, found)]
    narrow = [_mean_of_windows(cost, WINDOW_MERGED) for cost in costs]
    better = narrow[1] + BETTER < narrow[0]
    if numbers.matching > 1:
        wide = [_mean_of_windows(cost, WINDOW_REGION) for cost in costs]
        accepted = _accept_regions(u, found, costs[0] - costs[1])
        better = better | (accepted & (wide[1] < wide[0]))
    return torch.where(better[:, None], found, u)


def _accept_regions(u: Tensor, found: Tensor, gain: Tensor) -> Tensor:
    """Return the pixels of regions whose matches fit better; see `regions.label_regions`."""
    apart = (found - u).square().sum(1) > REGION_APART**2
    x, y = found.unbind(1)
    labels = matching_torch.label_groups(apart, x, y, most=REGION_STEP)
    size = matching_torch.total_of_groups(labels, torch.ones_like(gain))
    better = matching_torch.total_of_groups(labels, gain) > REGION_BETTER * size
    return apart & better & (size >= GROUP)


def _cost(u: Tensor, first: Tensor, second: Tensor, numbers: Numbers) -> Tensor:
    """Return the limited difference of the images; see `matching.window_cost`."""
    rows, columns = _size(u)
    x, y = _positions(u)
    difference = (first - _bicubic(second[:, None], x, y, numbers)[:, 0]).abs().clamp(max=LIMIT)
    inside = (x >= -0.5) & (y >= -0.5) & (x <= columns - 0.5) & (y <= rows - 0.5)
    return torch.where(inside, difference, LIMIT)


def _mean_of_windows(cost: Tensor, radius: int) -> Tensor:
    wide = pad(cost[:, None], (radius,) * 4, mode="replicate")
    return avg_pool2d(wide, 2 * radius + 1, stride=1)[:, 0]


def _refine(
    u: Tensor,
    first: Tensor,
    second: Tensor,
    guide: Tensor,
    level: int,
    numbers: Numbers,
    loops: Loops,
) -> Tensor:
    p = u.new_zeros(len(u), 2, 2, *_size(u), dtype=loops.dtype)
    weight = _conductance(guide, numbers.contrast).to(loops.dtype)
    slopes = second.new_zeros(0)
    if not numbers.blended:
        slopes = torch.stack([_central(second, -1), _central(second, -2)], 1)
    warps = min(numbers.warps, numbers.finest_warps + level)
    weighted = numbers.weighted_radius > 0 and level < numbers.weighted_levels
    for warp in range(warps):
        g, c = loops.linearise(first, second, slopes, u, numbers=numbers, dtype=loops.dtype)
        if not numbers.joint:
            u, p = _alternate(u, p, g, c, numbers)
            continue
        for _ in range(numbers.outer_iterations):
            u, p = loops.iterate(u, p, g, c, weight, numbers=numbers)
            if weighted and warp >= warps - numbers.weighted_warps:
                trust, radius = _confidence(u, g, c), numbers.weighted_radius
                u = _weighted_median(u, guide, trust, radius, plain=loops.median(u))
            elif numbers.median:
                u = loops.median(u)
    return u


# --- iterations -----------------------------------------------------------------------------------


def _choose_loops(options: Options) -> Loops:
    dtype = torch.float16 if options.mixed else torch.float32
    if options.acceleration == "triton":
        from flowstream.flow.kernels import matching_triton, tvl1_triton

        return Loops(
            _iterate_by_triton,
            _linearise_by_triton,
            tvl1_triton.median_5x5,
            _texture_by_triton,
            matching_triton.spread_labels,
            dtype,
        )
    by_compiler = options.acceleration == "compile"
    fused: Callable[[Step], Step] = _compiled if by_compiler else lambda step: step
    return Loops(
        partial(_primal_dual, fused(_iteration)),
        _linearise,
        fused(_median_5x5),
        _texture,
        matching_torch.spread_labels,
        dtype,
    )


def _primal_dual(
    iteration: Step,
    u: Tensor,
    p: Tensor,
    g: Tensor,
    c: Tensor,
    weight: Tensor,
    *,
    numbers: Numbers,
) -> tuple[Tensor, Tensor]:
    """Run algorithm 1 of Chambolle & Pock 2011; see `sweeps.iterate_joint`."""
    steps = numbers.primal_step, numbers.dual_step, numbers.attachment
    stored, p, g, weight = p.dtype, p.to(u.dtype), g.to(u.dtype), weight.to(u.dtype)
    inverse = 1 / ((g * g).sum(1) + FLAT)
    for _ in range(numbers.inner_iterations):
        u, p = iteration(u, p, g, c, inverse, weight, *steps)
    return u, p.to(stored)


def _iterate_by_triton(
    u: Tensor, p: Tensor, g: Tensor, c: Tensor, weight: Tensor, *, numbers: Numbers
) -> tuple[Tensor, Tensor]:
    from flowstream.flow.kernels import tvl1_triton

    return tvl1_triton.iterate(
        u,
        p,
        g,
        c,
        weight,
        iterations=numbers.inner_iterations,
        primal_step=numbers.primal_step,
        dual_step=numbers.dual_step,
        attachment=numbers.attachment,
    )


def _texture_by_triton(images: Tensor, *, numbers: Numbers) -> Tensor:
    from flowstream.flow.kernels import tvl1_triton

    return tvl1_triton.keep_texture(
        images, amount=numbers.texture, iterations=numbers.texture_iterations
    )


def _linearise_by_triton(
    first: Tensor,
    second: Tensor,
    slopes: Tensor,
    u: Tensor,
    *,
    numbers: Numbers,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    from flowstream.flow.kernels import tvl1_triton

    if numbers.black or not numbers.blended:  # not in the kernel, which repeats the border
        return _linearise(first, second, slopes, u, numbers=numbers, dtype=dtype)
    warped, mean = tvl1_triton.warp(first, second, u, cubic=numbers.cubic)
    return tvl1_triton.linearise(first, warped, mean, u, dtype=dtype)


def _iteration(
    u: Tensor,
    p: Tensor,
    g: Tensor,
    c: Tensor,
    inverse: Tensor,
    weight: Tensor,
    primal_step: float,
    dual_step: float,
    attachment: float,
) -> tuple[Tensor, Tensor]:
    limit = primal_step * attachment
    moved = torch.add(u, _divergence(p), alpha=primal_step)
    step = (torch.add(c, (g * moved).sum(1)) * inverse).clamp(-limit, limit)
    new = torch.addcmul(moved, step[:, None], g, value=-1)
    p = _forward_added(p, torch.sub(new + new, u), dual_step)
    length = p.square().sum((1, 2)).clamp(min=1e-12)
    return new, p.mul_((weight * length.rsqrt()).clamp(max=1)[:, None, None])


@cache
def _compiled(function: Step) -> Step:
    """Compile a function with `torch.compile`, once for all sizes."""
    fused: Step = torch.compile(function, dynamic=True)
    return fused


def _alternate(
    u: Tensor, p: Tensor, g: Tensor, c: Tensor, numbers: Numbers
) -> tuple[Tensor, Tensor]:
    """Run equations 9-12 of Zach et al. 2007; see `sweeps.iterate_separate`.

    Each pair stops when it has converged.
    """
    stored, p, g = p.dtype, p.to(u.dtype), g.to(u.dtype)
    inverse = 1 / ((g * g).sum(1) + FLAT)
    limit = numbers.primal_step * numbers.attachment
    enough = numbers.tolerance * numbers.tolerance
    moving = u.new_ones(len(u), 1, 1, 1, dtype=torch.bool)
    for _ in range(numbers.outer_iterations):
        if numbers.median:
            u = torch.where(moving, _median_5x5(u), u)
        for iteration in range(1, numbers.inner_iterations + 1):
            step = (torch.add(c, (g * u).sum(1)) * inverse).clamp_(-limit, limit)
            new = torch.addcmul(u, step[:, None], g, value=-1)
            new += numbers.primal_step * _divergence(p)
            slope = _forward_added(torch.zeros_like(p), new, numbers.dual_step)
            size = 1 + slope.square().sum(2, keepdim=True).sqrt_()
            p = torch.where(moving[:, None], (p + slope) / size, p)
            new = torch.where(moving, new, u)
            if iteration % CHECKED == 0 or iteration == numbers.inner_iterations:
                change = (new - u).square().sum(1).mean((1, 2))
                moving = moving & (change > enough).view_as(moving)
                if not moving.any():
                    return new, p.to(stored)
            u = new
    return u, p.to(stored)


def _divergence(p: Tensor) -> Tensor:
    result = p[:, :, 0] + p[:, :, 1]
    result[..., 1:] -= p[:, :, 0, :, :-1]
    result[..., 1:, :] -= p[:, :, 1, :-1]
    return result


def _forward_added(p: Tensor, u: Tensor, factor: float) -> Tensor:
    """Add factor · forward differences of u to p, in place; those across the border are 0."""
    p[:, :, 0, :, :-1].add_(u[..., 1:] - u[..., :-1], alpha=factor)
    p[:, :, 1, :-1].add_(u[..., 1:, :] - u[..., :-1, :], alpha=factor)
    return p


# --- the data term --------------------------------------------------------------------------------


def _linearise(
    first: Tensor,
    second: Tensor,
    slopes: Tensor,
    u: Tensor,
    *,
    numbers: Numbers,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """Return g and c of rho(u) = c + g · u, like `data_term.linearise` and `data_term.finish`."""
    x, y = _positions(u)
    if numbers.blended:
        warped = _bicubic(second[:, None], x, y, numbers)[:, 0]
        mean = (first + warped) * 0.5
        g = torch.stack([_five_points(mean, -1), _five_points(mean, -2)], 1)
    else:
        both = _bicubic(torch.cat([second[:, None], slopes], 1), x, y, numbers)
        warped, g = both[:, 0], both[:, 1:]
    # c must belong to the rounded gradient, so that rho is exact at u.
    g = g.to(dtype)
    c = warped - first - (g * u).sum(1)
    if not numbers.black:
        rows, columns = _size(u)
        seen = (x >= 0) & (y >= 0) & (x <= columns - 1) & (y <= rows - 1)
        g, c = g * seen[:, None], c * seen
    return g, c


def _positions(u: Tensor) -> tuple[Tensor, Tensor]:
    rows, columns = _size(u)
    y = torch.arange(rows, device=u.device, dtype=u.dtype)[:, None]
    x = torch.arange(columns, device=u.device, dtype=u.dtype)
    return x + u[:, 0], y + u[:, 1]


def _bicubic(images: Tensor, x: Tensor, y: Tensor, numbers: Numbers) -> Tensor:
    """Sample images (N, C, H, W) at x, y (N, H, W) by Keys' kernel.

    Outside the image the value is 0 or that of the nearest pixel.
    """
    rows, columns = _size(images)
    reach = 1 if numbers.black else 0
    x, y = x.clamp(-reach, columns - 1 + reach), y.clamp(-reach, rows - 1 + reach)
    left, above = x.floor(), y.floor()
    across, down = _keys(x - left, numbers.cubic), _keys(y - above, numbers.cubic)
    wide = pad(images, (4, 4, 4, 4), mode="constant" if numbers.black else "replicate")
    corner = (above.long() + 3) * wide.shape[-1] + left.long() + 3
    flat = wide.flatten(2)
    result = torch.zeros_like(images)
    for j in range(4):
        line = torch.zeros_like(images)
        for k in range(4):
            place = (corner + (j * wide.shape[-1] + k)).flatten(1)[:, None]
            values = flat.gather(2, place.expand(-1, flat.shape[1], -1)).view_as(images)
            line.addcmul_(across[k][:, None], values)
        result.addcmul_(down[j][:, None], line)
    return result


def _keys(t: Tensor, a: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rest = 1 - t
    outer = a * t * rest
    before, after = outer * rest, outer * t
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    return before, near, 1 - near - before - after, after


def _five_points(image: Tensor, axis: int) -> Tensor:
    shift = _shifted(image, axis, 2)
    return (8 / 12) * (shift[3] - shift[1]) - (1 / 12) * (shift[4] - shift[0])


def _central(image: Tensor, axis: int) -> Tensor:
    shift = _shifted(image, axis, 1)
    return 0.5 * (shift[2] - shift[0])


def _shifted(image: Tensor, axis: int, reach: int) -> list[Tensor]:
    """Return the image shifted by -reach ... reach along one of the last two axes."""
    width = (reach, reach, 0, 0) if axis == -1 else (0, 0, reach, reach)
    wide = pad(image if image.ndim > 3 else image[:, None], width, mode="replicate")
    length = image.shape[axis]
    parts = (wide.narrow(axis, k, length) for k in range(2 * reach + 1))
    return [part.reshape(image.shape) for part in parts]


def _conductance(guide: Tensor, contrast: float) -> Tensor:
    if contrast == 0:
        return torch.ones_like(guide)
    square = torch.zeros_like(guide)
    for axis, other in ((-1, -2), (-2, -1)):
        before, here, after = _shifted(_central(guide, axis), other, 1)
        square += ((before + 2 * here + after) * 0.25).square()
    return 1 / (1 + square * (1 / contrast**2))


# --- medians --------------------------------------------------------------------------------------

# Exchanges that sort five values; `median.median_5x5` explains the rest.
_SORT = ((0, 1), (3, 4), (2, 4), (2, 3), (1, 4), (0, 3), (0, 2), (1, 3), (1, 2))


def _median_5x5(u: Tensor) -> Tensor:
    ranks = _sorted(_shifted(u, -2, 2))
    a, b, c, d, e = (_sorted(_shifted(rank, -1, 2)) for rank in ranks)
    low = _drop([a[3], b[2], c[1], d[0]], least=True)
    high = _drop([b[4], c[3], d[2], e[1]], least=False)
    kept = [*low, *high, a[4]]
    for further in (b[3], c[2], d[1], e[0]):
        kept = [*_drop(_drop(kept, least=True), least=False), further]
    one, other, third = kept
    upper = torch.minimum(torch.maximum(one, other), third)
    return torch.maximum(torch.minimum(one, other), upper)


def _sorted(five: list[Tensor]) -> list[Tensor]:
    for i, j in _SORT:
        five[i], five[j] = torch.minimum(five[i], five[j]), torch.maximum(five[i], five[j])
    return five


def _drop(values: list[Tensor], *, least: bool) -> list[Tensor]:
    """Return all values but the least or the greatest, in any order."""
    found, kept = values[0], []
    for value in values[1:]:
        less, more = torch.minimum(found, value), torch.maximum(found, value)
        found, other = (less, more) if least else (more, less)
        kept.append(other)
    return kept


def _weighted_median(
    u: Tensor, guide: Tensor, trust: Tensor, radius: int, *, plain: Tensor
) -> Tensor:
    """Filter by bisection where neighbours differ, else take the plain median.

    Pair by pair, because a window holds about 2 radius^2 values.
    """
    offsets = torch.arange(-radius, radius + 1, device=u.device, dtype=u.dtype)
    distance = (offsets[:, None] ** 2 + offsets**2).flatten()[::2, None, None]
    result = torch.empty_like(u)
    for k in range(len(u)):
        unlike = _windows(guide[k : k + 1], radius) - guide[k]
        exponent = distance / (2 * NEARNESS**2) + unlike.square() / (2 * LIKENESS**2)
        weights = _bell(exponent) * _windows(trust[k : k + 1], radius)
        half = 0.5 * weights.sum(0)
        wide = pad(u[k : k + 1], (radius,) * 4, mode="replicate")
        highest, lowest = (sign * max_pool2d(sign * wide, 2 * radius + 1, 1)[0] for sign in (1, -1))
        rough = (highest - lowest).amax(0) > SMOOTH
        for component in range(2):
            values = _windows(u[k : k + 1, component], radius)
            low, high = lowest[component], highest[component]
            for _ in range(STEPS):
                centre = 0.5 * (low + high)
                open_ = high - low > SETTLED
                enough = ((values <= centre) * weights).sum(0) >= half
                high = torch.where(open_ & enough, centre, high)
                low = torch.where(open_ & ~enough, centre, low)
            result[k, component] = torch.where(rough, 0.5 * (low + high), plain[k, component])
    return result


def _windows(image: Tensor, radius: int) -> Tensor:
    """Return every second of the (2 radius + 1)^2 neighbours of each pixel of one image (1, H, W).

    The others are those whose distances along the two axes have an odd sum.
    """
    rows = _shifted(image, -2, radius)
    return torch.cat([column for row in rows for column in _shifted(row, -1, radius)][::2])


def _bell(exponent: Tensor) -> Tensor:
    return (1 - exponent * 0.125).clamp_(min=0) ** 8


def _confidence(u: Tensor, g: Tensor, c: Tensor) -> Tensor:
    rho = c + (g * u).sum(1)
    sink = (_central(u[:, 0], -1) + _central(u[:, 1], -2)).clamp_(max=0)
    exponent = rho.square() / (2 * UNLIKE**2) + sink.square() / (2 * CONVERGING**2)
    return _bell(exponent) + DISTRUSTED


# --- the pyramid ----------------------------------------------------------------------------------


def _pyramids(frames: Tensor, numbers: Numbers, grids: Grids, loops: Loops) -> Pyramids:
    image = frames.float()
    guides = _pyramid(image, numbers, grids)
    if not numbers.texture > 0:
        return Pyramids(guides, guides)
    return Pyramids(guides, _pyramid(loops.texture(image, numbers=numbers), numbers, grids))


def _pyramid(image: Tensor, numbers: Numbers, grids: Grids) -> list[Tensor]:
    levels = [image]
    taps = grids.taps.tolist()
    for rows, columns in grids.sizes[1:].tolist():
        finer = levels[-1]
        height, width = _size(finer)
        ratio = (height / rows, width / columns)
        if numbers.shrink > 0:
            ratio = (1 / numbers.shrink, 1 / numbers.shrink)
        for axis in (-2, -1):
            parts = _shifted(finer, axis, len(taps) // 2)
            finer = parts[0] * taps[0]
            for tap, part in zip(taps[1:], parts[1:], strict=True):
                finer.add_(part, alpha=tap)
        levels.append(_sample(finer, (rows, columns), ratio))
    return levels


def _enlarge(u: Tensor, size: Size, numbers: Numbers) -> Tensor:
    """Sample the flow on the next finer grid."""
    if _size(u) == size:
        return u
    ratio = (u.shape[2] / size[0], u.shape[3] / size[1])
    gains = (1 / ratio[1], 1 / ratio[0])
    if numbers.shrink > 0:
        gains = (1 / numbers.shrink, 1 / numbers.shrink)
    larger = _sample(u, size, ratio)
    return torch.stack([larger[:, 0] * gains[0], larger[:, 1] * gains[1]], 1)


def _sample(image: Tensor, size: Size, ratio: tuple[float, float]) -> Tensor:
    """Interpolate linearly at the pixel centres of another grid, like `planes.resample`."""
    for axis, count, step in ((-2, size[0], ratio[0]), (-1, size[1], ratio[1])):
        low, high, share = _places(image.shape[axis], count, step, str(image.device))
        share = share[:, None] if axis == -2 else share
        one, other = image.index_select(axis, low), image.index_select(axis, high)
        image = torch.lerp(one, other, share.expand_as(one))
    return image


@cache  # without limit: a recorded graph holds addresses of these tensors
def _places(length: int, count: int, step: float, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return the two neighbours of each place along an axis, and the share of the second one."""
    place = np.clip((np.arange(count) + 0.5) * step - 0.5, 0, length - 1)
    low = place.astype(np.int64)
    parts = low, np.minimum(low + 1, length - 1), (place - low).astype(np.float32)
    one, other, share = (torch.from_numpy(part).to(device) for part in parts)
    return one, other, share


def _texture(images: Tensor, *, numbers: Numbers) -> Tensor:
    """Return the texture of images, like `texture.keep_texture`."""
    before = images.new_zeros(len(images), 1, 2, *_size(images))
    ahead = before
    for k in range(numbers.texture_iterations):
        structure = images[:, None] + STRUCTURE * _divergence(ahead)
        p = _forward_added(ahead.clone(), structure, 1 / (8 * STRUCTURE))
        p *= p.square().sum(2, keepdim=True).clamp_(min=1).rsqrt_()
        ahead = p + (k / (k + 3)) * (p - before)
        before = p
    structure = (images[:, None] + STRUCTURE * _divergence(ahead))[:, 0]
    mean = images.mean((1, 2), keepdim=True)
    share = (1 - numbers.texture) * MIDDLE / mean.clamp(min=DARK)
    return GAIN * (images - (1 - share) * structure - share * mean)


def _size(image: Tensor) -> Size:
    return image.shape[-2], image.shape[-1]
