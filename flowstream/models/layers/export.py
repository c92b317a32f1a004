"""Operations in a form that exporters of networks accept."""

from __future__ import annotations

import torch
from torch import Tensor


def is_exporting() -> bool:
    """Return True while a network is exported, traced or compiled.

    An exported program must not depend on the number of clips in the example: it would have as many
    parts for all batches.
    """
    tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return torch.compiler.is_compiling() or tracing


def split_unless_exporting(values: Tensor, size: int) -> tuple[Tensor, ...]:
    """Return parts of at most `size` rows, which save memory; one part for an export."""
    return (values,) if is_exporting() else torch.split(values, size)


def compute_median(values: Tensor, dim: int) -> Tensor:
    """Return the lower median along a dimension."""
    if not is_exporting():
        return values.median(dim=dim).values
    # ONNX has no median
    return values.sort(dim=dim).values.select(dim, (values.shape[dim] - 1) // 2)


def solve_positive(matrix: Tensor, right: Tensor) -> Tensor:
    """Solve small systems (N, D, D) with right sides (N, D, K); the matrices are positive definite.

    Gauss-Jordan elimination, which needs no pivots then, because ONNX has no LAPACK.
    """
    if not is_exporting():
        solved: Tensor = torch.linalg.solve(matrix, right)
        return solved
    size = matrix.shape[-1]
    rows = list(torch.cat([matrix, right], dim=-1).unbind(-2))
    for pivot in range(size):
        rows[pivot] = rows[pivot] / rows[pivot][..., pivot : pivot + 1]
        for other in range(size):
            if other != pivot:
                rows[other] = rows[other] - rows[other][..., pivot : pivot + 1] * rows[pivot]
    return torch.stack(rows, dim=-2)[..., size:]
