"""Block matching for batches of pairs in torch: the algorithm of `matching` on any torch device.

All displacements are compared at once, groups are found by union and find in a fixed number of
rounds, and labels spread in a fixed number of scans. No step waits for the device, and the number
of operations does not depend on the images, so that a CUDA graph can hold all of them. The matches
differ from those of `matching` only where a group or a path is longer than the rounds reach, or
where costs are equal up to rounding.

Shapes: images (N, H, W), matches (N, 2, H, W), costs of displacements (N, K, H, W).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from flowstream.flow.kernels.tvl1_parameters import (
    CANDIDATES,
    EDGE_LENGTH,
    GROUP,
    LIMIT,
    REACH_COARSE,
    REACH_FINE,
    VOTES,
    WINDOW_COARSE,
    WINDOW_FINE,
)

LARGE = 1e6  # cost of pixels that cannot be compared
ROUNDS = 10  # rounds of union and find; each doubles the reach of a label at least
SCANS = 4  # alternating scans; most images need three
_VALUES = 1 << 25  # numbers in one array of costs

Spread: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(labels, guide) to labels (N, H, W) without negative ones; see `spread_labels`."""


class Best(NamedTuple):
    """Lowest cost of each pixel (N, H, W), and x and y of the displacement with this cost."""

    cost: Tensor
    x: Tensor
    y: Tensor


class Ends(NamedTuple):
    """Images of one pyramid level, (N, H, W) each."""

    first: Tensor
    second: Tensor


def find_matches(
    coarse: Ends, fine: Ends, guides: list[Tensor], *, spread: Spread | None = None
) -> list[Tensor]:
    """Return the block matches on the finer level.

    Parameters
    ----------
    coarse, fine : Ends
        What is matched, on the levels of about 1/8 and 1/4 of the frame's size.
    guides : one or two tensors (N, H, W)
        Grey values of the first images on the finer level; with those of the second images, the
        backward matches are returned, too.
    spread : callable, optional
        Implementation of `spread_labels`.
    """
    device = coarse.first.device
    square = _square(REACH_COARSE, str(device))[None]
    there, back = _match(coarse, square, WINDOW_COARSE)
    chosen = _choose(_count_votes(there, back), _size(fine.first), _size(coarse.first))
    there, back = _match(fine, chosen, WINDOW_FINE)
    ways = [(there, back), (back, there)][: len(guides)]
    return [
        _complete(*way, guide, spread or spread_labels)
        for way, guide in zip(ways, guides, strict=True)
    ]


# --- the search -----------------------------------------------------------------------------------


def _match(ends: Ends, displacements: Tensor, radius: int) -> tuple[Best, Best]:
    """Find the best of the displacements for each pixel of both images.

    `displacements` is (N, K, 2) or (1, K, 2), x and y; the first of those with equal costs counts.
    """
    number, rows, columns = ends.first.shape
    ways = []
    for _ in range(2):
        cost = ends.first.new_full((number, rows, columns), LARGE)
        ways.append((cost, torch.zeros_like(cost, dtype=torch.int64)))
    size = max(1, _VALUES // (number * rows * columns))
    for start in range(0, displacements.shape[1], size):
        part = displacements[:, start : start + size]
        costs = _costs(ends, part, radius)
        ways = [
            _keep_best(way, found, start)
            for way, found in zip(ways, (costs, _turn(costs, part)), strict=True)
        ]
    x, y = displacements.expand(number, -1, -1).unbind(2)
    bests = []
    for sign, (cost, place) in zip((1, -1), ways, strict=True):
        known = cost < LARGE
        vectors = [
            torch.where(known, sign * axis.gather(1, place.flatten(1)).view_as(place), 0)
            for axis in (x, y)
        ]
        bests.append(Best(cost, *vectors))
    return bests[0], bests[1]


def _keep_best(way: tuple[Tensor, Tensor], costs: Tensor, start: int) -> tuple[Tensor, Tensor]:
    cost, place = way
    index = costs.argmin(1)
    lowest = costs.gather(1, index[:, None])[:, 0]
    lower = lowest < cost
    return torch.where(lower, lowest, cost), torch.where(lower, index + start, place)


def _costs(ends: Ends, displacements: Tensor, radius: int) -> Tensor:
    """Return sums of limited differences over (2 radius + 1)^2 pixels of the first image.

    A window that leaves the rows which both images have repeats the nearest of them.
    """
    number, rows, columns = ends.first.shape
    dx, dy = (axis[..., None] for axis in displacements.unbind(2))
    y, x = _axis(rows, dx), _axis(columns, dx)
    low, high = (-dy).clamp(min=0), (rows - dy).clamp(max=rows)
    near = torch.minimum(torch.maximum(y, low), high - 1).clamp(0, rows - 1)
    to_y, to_x = (near + dy).clamp(0, rows - 1), x + dx
    inside = ((to_x >= 0) & (to_x < columns))[..., None, :]
    seconds = _pick(ends.second, to_y, to_x.clamp(0, columns - 1), number)
    firsts = _pick(ends.first, near, x.expand_as(to_x), number)
    difference = torch.where(inside, (firsts - seconds).abs_().clamp_(max=LIMIT), LIMIT)
    sums = _box(difference, radius)
    valid = (y >= low) & (y < high)
    return torch.where(valid[..., None], sums, LARGE)


def _turn(costs: Tensor, displacements: Tensor) -> Tensor:
    """Return the costs at the pixels of the second image; LARGE where nothing ends there."""
    number, _, rows, columns = costs.shape
    dx, dy = (axis[..., None] for axis in displacements.unbind(2))
    from_y, from_x = _axis(rows, dx) - dy, _axis(columns, dx) - dx
    inside = ((from_y >= 0) & (from_y < rows))[..., None] & ((from_x >= 0) & (from_x < columns))[
        ..., None, :
    ]
    place = (
        from_y.clamp(0, rows - 1)[..., None] * columns + from_x.clamp(0, columns - 1)[..., None, :]
    )
    place = place.flatten(2).expand(number, -1, -1)
    return torch.where(inside, costs.flatten(2).gather(2, place).view_as(costs), LARGE)


def _pick(image: Tensor, y: Tensor, x: Tensor, number: int) -> Tensor:
    """Return pixels (N, K, H, W) of images; y (N or 1, K, H) and x (N or 1, K, W)."""
    place = y[..., None] * image.shape[-1] + x[..., None, :]
    shape = (number, *place.shape[1:])
    return image.flatten(1).gather(1, place.flatten(1).expand(number, -1)).view(shape)


def _box(values: Tensor, radius: int) -> Tensor:
    """Return sums over (2 radius + 1)^2 neighbours; the border repeats."""
    for axis, width in ((-1, (radius, radius, 0, 0)), (-2, (0, 0, radius, radius))):
        wide, length = pad(values, width, mode="replicate"), values.shape[axis]
        values = wide.narrow(axis, 0, length).clone()
        for k in range(1, 2 * radius + 1):
            values += wide.narrow(axis, k, length)
    return values


# --- displacements for the finer level ------------------------------------------------------------


def _count_votes(there: Best, back: Best) -> Tensor:
    """Count for each displacement, in both directions, the pixels on which directions agree."""
    width = 2 * REACH_COARSE + 1
    votes = there.x.new_zeros(len(there.x), width * width)
    for sign, here, other in ((1, there, back), (-1, back, there)):
        place = (sign * here.y + REACH_COARSE) * width + sign * here.x + REACH_COARSE
        votes.scatter_add_(1, place.flatten(1), _agree(here, other).flatten(1).long())
    return votes


def _choose(votes: Tensor, fine: tuple[int, int], coarse: tuple[int, int]) -> Tensor:
    """Return the displacements (N, CANDIDATES, 2) with most votes, and their neighbours."""
    sources, places = _neighbours(fine, coarse, str(votes.device))
    voted = torch.where(votes >= 2 * VOTES, votes, 0)
    square = _square(REACH_FINE, str(votes.device))
    spread = votes.new_zeros(len(votes), len(square))
    spread.index_add_(1, places, voted[:, sources])
    spread[:, 0] += 2 * VOTES  # zero is the shortest displacement
    least = spread.topk(CANDIDATES, 1).values[:, -1:].clamp(min=1)
    rank = torch.arange(len(square), device=votes.device)
    ranks = torch.where(spread >= least, rank, len(square))
    shortest = ranks.topk(CANDIDATES, 1, largest=False, sorted=True).values
    # Too few candidates: zero again, which changes nothing.
    return square[torch.where(shortest < len(square), shortest, 0)]


@cache
def _square(reach: int, device: str) -> Tensor:
    """Return x and y of all displacements up to `reach` along each axis, by increasing length."""
    axis = np.arange(-reach, reach + 1)
    square = np.stack(np.meshgrid(axis, axis, indexing="xy"), axis=-1).reshape(-1, 2)
    order = np.argsort((square**2).sum(axis=1), kind="stable")
    return torch.from_numpy(square[order].astype(np.int64)).to(device)


@cache
def _neighbours(
    fine: tuple[int, int], coarse: tuple[int, int], device: str
) -> tuple[Tensor, Tensor]:
    """Return pairs of indices: of votes, and of displacements in `_square(REACH_FINE)`."""
    side, width = 2 * REACH_FINE + 1, 2 * REACH_COARSE + 1
    square = _square(REACH_FINE, "cpu").numpy()
    ranks = np.empty(side * side, np.int64)
    ranks[(square[:, 1] + REACH_FINE) * side + square[:, 0] + REACH_FINE] = np.arange(side * side)
    ratio_y, ratio_x = (a / b for a, b in zip(fine, coarse, strict=True))
    sources, places = [], []
    for k in range(width * width):
        centre_x = int(np.rint((k % width - REACH_COARSE) * ratio_x)) + REACH_FINE
        centre_y = int(np.rint((k // width - REACH_COARSE) * ratio_y)) + REACH_FINE
        for y in range(max(centre_y - 1, 0), min(centre_y + 2, side)):
            for x in range(max(centre_x - 1, 0), min(centre_x + 2, side)):
                sources.append(k)
                places.append(ranks[y * side + x])
    found = np.array([sources, places], np.int64)
    return torch.from_numpy(found[0]).to(device), torch.from_numpy(found[1]).to(device)


# --- completion -----------------------------------------------------------------------------------


def _agree(here: Best, there: Best) -> Tensor:
    """Return whether the match of a pixel is matched back to within one pixel of it."""
    rows, columns = _size(here.x)
    y, x = _axis(rows, here.y)[:, None] + here.y, _axis(columns, here.x) + here.x
    inner = (y >= 0) & (y < rows) & (x >= 0) & (x < columns) & (here.cost < LARGE)
    place = (y.clamp(0, rows - 1) * columns + x.clamp(0, columns - 1)).flatten(1)
    back_x, back_y = (axis.flatten(1).gather(1, place).view_as(x) for axis in (there.x, there.y))
    return inner & ((here.x + back_x).abs() <= 1) & ((here.y + back_y).abs() <= 1)


def _complete(here: Best, there: Best, guide: Tensor, spread: Spread) -> Tensor:
    """Return the displacements of one direction, completed where the directions disagree."""
    kept = _large_groups(here, _agree(here, there))
    pixel = torch.arange(kept[0].numel(), device=kept.device).view(kept.shape[1:])
    labels = spread(torch.where(kept, pixel, -1), guide)
    known, place = labels >= 0, labels.clamp(min=0).flatten(1)
    vectors = [axis.flatten(1).gather(1, place).view_as(labels) for axis in (here.x, here.y)]
    return torch.stack([torch.where(known, axis, 0) for axis in vectors], 1).to(guide.dtype)


def _large_groups(here: Best, agreed: Tensor) -> Tensor:
    """Return whether a pixel is in a group of at least GROUP; see `matching`."""
    labels = label_groups(agreed, here.x, here.y, most=1)
    return agreed & (total_of_groups(labels, torch.ones_like(labels)) >= GROUP)


def total_of_groups(labels: Tensor, values: Tensor) -> Tensor:
    """Return for each pixel the sum of the values (N, H, W) of its group."""
    flat = labels.flatten(1)
    zeros = values.new_zeros(flat.shape)
    return zeros.scatter_add_(1, flat, values.flatten(1)).gather(1, flat).view_as(values)


def label_groups(members: Tensor, x: Tensor, y: Tensor, *, most: float) -> Tensor:
    """Label neighbours that are members and differ in x and y by at most `most` alike.

    Each pixel holds the index of a pixel of its group. A round takes the least index of the
    neighbours, gives it to the pixel of that index, and follows indices one step.
    """
    number, rows, columns = members.shape
    linked = {}
    for axis in (1, 2):
        length = members.shape[axis] - 1
        one, other = ([part.narrow(axis, k, length) for part in (members, x, y)] for k in (0, 1))
        linked[axis] = one[0] & other[0]
        for k in (1, 2):
            linked[axis] &= (one[k] - other[k]).abs() <= most
    pixel = torch.arange(rows * columns, device=members.device)
    labels = pixel.view(rows, columns).repeat(number, 1, 1)
    for _ in range(ROUNDS):
        least = labels.clone()
        for axis, link in linked.items():
            length = link.shape[axis]
            before, after = labels.narrow(axis, 0, length), labels.narrow(axis, 1, length)
            for k, source, own in ((0, after, before), (1, before, after)):
                target = least.narrow(axis, k, length)
                torch.minimum(target, torch.where(link, source, own), out=target)
        flat = labels.flatten(1)
        flat = flat.scatter_reduce(1, flat, least.flatten(1), "amin")
        flat = torch.minimum(flat, least.flatten(1))
        labels = flat.gather(1, flat).view_as(labels)
    return labels


def spread_labels(labels: Tensor, guide: Tensor) -> Tensor:
    """Replace negative labels by that of the nearest pixel, in alternating raster scans.

    The length of a step is 1, or the square root of 2, times 1 + EDGE_LENGTH |difference of guide|.
    """
    distance = torch.where(labels >= 0, 0.0, LARGE).to(guide.dtype)
    for _ in range(SCANS):
        distance, labels = _scan(distance, labels, guide)
        distance, labels, guide = (part.flip(1, 2) for part in (distance, labels, guide))
    if SCANS % 2:
        labels = labels.flip(1, 2)
    return labels


def _scan(distance: Tensor, labels: Tensor, guide: Tensor) -> tuple[Tensor, Tensor]:
    """Scan from the first row to the last, and each row from left to right."""
    columns = guide.shape[2]
    ahead = pad((guide[..., 1:] - guide[..., :-1]).abs(), (1, 0))
    lengths = (1 + EDGE_LENGTH * ahead).cumsum(2)
    steps = []
    for k, length in ((0, 2**0.5), (1, 1.0), (2, 2**0.5)):
        above = pad(guide[:, :-1], (1, 1), mode="replicate")[..., k : k + columns]
        steps.append(length * (1 + EDGE_LENGTH * (above - guide[:, 1:]).abs()))
    rows_distance: list[Tensor] = []
    rows_labels: list[Tensor] = []
    for row in range(guide.shape[1]):
        here, label = distance[:, row], labels[:, row]
        if row:
            above, names = rows_distance[-1], rows_labels[-1]
            wide, wide_names = pad(above, (1, 1), value=2 * LARGE), pad(names, (1, 1), value=-1)
            for k in range(3):
                reached = wide[:, k : k + columns] + steps[k][:, row - 1]
                nearer = reached < here
                here = torch.where(nearer, reached, here)
                label = torch.where(nearer, wide_names[:, k : k + columns], label)
        least, place = (here - lengths[:, row]).cummin(1)
        rows_distance.append(least + lengths[:, row])
        rows_labels.append(label.gather(1, place))
    return torch.stack(rows_distance, 1), torch.stack(rows_labels, 1)


def _axis(length: int, like: Tensor) -> Tensor:
    return torch.arange(length, device=like.device)


def _size(image: Tensor) -> tuple[int, int]:
    return image.shape[-2], image.shape[-1]
