"""Triton kernel for the sequential part of `matching_torch`: labels that spread row after row.

One program scans one image, so the rows of all images of a batch are scanned at the same time.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from flowstream.flow.kernels.matching_torch import LARGE, SCANS
from flowstream.flow.kernels.tvl1_parameters import EDGE_LENGTH

_SIZES = ("rows", "columns")  # one compiled kernel for all sizes


@triton.jit  # type: ignore[untyped-decorator]
def _nearer(
    distance: tl.tensor, label: tl.tensor, other_distance: tl.tensor, other_label: tl.tensor
) -> tl.tensor:
    """Return the nearer of two labels; the first one if both are equally near."""
    taken = other_distance < distance
    return tl.where(taken, other_distance, distance), tl.where(taken, other_label, label)


@triton.jit  # type: ignore[untyped-decorator]
def _from_above(
    above: tl.tensor,
    names: tl.tensor,
    guide: tl.tensor,
    here: tl.tensor,
    place: tl.tensor,
    inside: tl.tensor,
    length: tl.tensor,
    edge: tl.tensor,
) -> tl.tensor:
    """Return the distances and labels that come from one pixel of the previous row."""
    step = length * (1.0 + edge * tl.abs(tl.load(guide, inside, 0.0) - here))
    reached = tl.where(inside, tl.gather(above, place, 0) + step, 4e6)
    return reached, tl.gather(names, place, 0)


@triton.jit(do_not_specialize=_SIZES)  # type: ignore[untyped-decorator]
def _scan_rows(
    distance_io: tl.tensor,
    labels_io: tl.tensor,
    guide_in: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    edge: tl.tensor,
    REVERSE: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    image = tl.program_id(0).to(tl.int64) * rows * columns
    k = tl.arange(0, BLOCK)
    known = k < columns
    column = columns - 1 - k if REVERSE else k
    before = tl.maximum(k - 1, 0)
    after = tl.minimum(k + 1, BLOCK - 1)
    left = column + 1 if REVERSE else column - 1
    right = column - 1 if REVERSE else column + 1
    has_left, has_right = known & (k > 0), known & (k < columns - 1)
    above = tl.full((BLOCK,), 2e6, tl.float32)
    names = tl.full((BLOCK,), -1, tl.int32)
    for number in range(rows):
        row = rows - 1 - number if REVERSE else number
        start = image + row * columns
        last = start + columns if REVERSE else start - columns
        guide = tl.load(guide_in + start + column, known, 0.0)
        here = tl.load(distance_io + start + column, known, 2e6)
        label = tl.load(labels_io + start + column, known, -1)
        later = number > 0
        from_left, its = _from_above(
            above, names, guide_in + last + left, guide, before, has_left & later, 1.41421356, edge
        )
        here, label = _nearer(here, label, from_left, its)
        from_above, its = _from_above(
            above, names, guide_in + last + column, guide, k, known & later, 1.0, edge
        )
        here, label = _nearer(here, label, from_above, its)
        from_right, its = _from_above(
            above, names, guide_in + last + right, guide, after, has_right & later, 1.41421356, edge
        )
        here, label = _nearer(here, label, from_right, its)
        neighbour = tl.load(guide_in + start + left, has_left, 0.0)
        length = tl.where(has_left, 1.0 + edge * tl.abs(guide - neighbour), 0.0)
        lengths = tl.cumsum(length, 0)
        least, label = tl.associative_scan((here - lengths, label), 0, _nearer)
        here = least + lengths
        tl.store(distance_io + start + column, here, known)
        tl.store(labels_io + start + column, label, known)
        above, names = here, label


def spread_labels(labels: Tensor, guide: Tensor) -> Tensor:
    """Replace negative labels (N, H, W) by that of the nearest pixel, like `matching_torch`."""
    number, rows, columns = guide.shape
    distance = torch.where(labels >= 0, 0.0, LARGE).to(torch.float32).contiguous()
    names = labels.to(torch.int32).contiguous()
    guide = guide.contiguous()
    block = max(32, triton.next_power_of_2(columns))
    for scan in range(SCANS):
        _scan_rows[(number,)](
            distance,
            names,
            guide,
            rows,
            columns,
            EDGE_LENGTH,
            REVERSE=scan % 2 == 1,
            BLOCK=block,
            num_warps=min(8, block // 32),
        )
    return names.long()
