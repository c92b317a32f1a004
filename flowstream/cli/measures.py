"""Measures of streams as tables and as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flowstream.cli.text import format_table

if TYPE_CHECKING:
    from flowstream.report.measures import Measures


def format_measures(measures: Mapping[str, Measures]) -> str:
    """Return a table with one row for each stream."""
    head = ["stream", "top-1", "right", "95 % interval", "UAR", "UF1"]
    rows = [
        [
            name,
            f"{one.top1.value:.3f}",
            f"{one.top1.correct}/{one.top1.total}",
            f"{one.top1.low:.3f} - {one.top1.high:.3f}",
            f"{one.mean_class_accuracy:.3f}",
            f"{one.mean_f1:.3f}",
        ]
        for name, one in measures.items()
    ]
    return format_table(rows, head=[head])


def measures_as_data(one: Measures) -> dict[str, float]:
    """Return the measures of one stream as plain data."""
    return {
        "top1": one.top1.value,
        "low": one.top1.low,
        "high": one.top1.high,
        "correct": one.top1.correct,
        "total": one.top1.total,
        f"top{one.k}": one.top_k.value,
        "uar": one.mean_class_accuracy,
        "uf1": one.mean_f1,
        "map": one.mean_average_precision,
    }
