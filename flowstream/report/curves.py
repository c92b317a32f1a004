"""Learning curves: panels of lines from the CSV log of a training."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flowstream.errors import ParameterError
from flowstream.progress import format_seconds

_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Panel:
    """Lines that share both axes."""

    name: str
    x_name: str
    x: tuple[float, ...]
    lines: dict[str, tuple[float, ...]]
    """Values of each line by its name, one for each of `x`; NaN where the log has no value."""


def curves(path: str | Path) -> list[Panel]:
    """Read the panels of a log.

    The first column is the x axis, such as the epoch; the other columns are measures. `train_loss`
    and `validation_loss` become the lines `train` and `validation` of the panel `loss`. A column
    whose name does not start with a part becomes a panel of its own; these panels come last.
    Columns without numbers are skipped, and so is a truncated last line.

    Raises
    ------
    ParameterError
        If the file cannot be read, or is not a table with a header and at least one row of numbers.
    """
    header, rows = _read(Path(path))
    columns = list(zip(*rows, strict=True))
    panels: dict[str, dict[str, tuple[float, ...]]] = {}
    for name, column in list(zip(header, columns, strict=True))[1:]:
        if not any(math.isfinite(value) for value in column):
            continue
        split, _, measure = name.partition("_")
        if split not in _SPLITS or not measure:
            split, measure = name, name
        panels.setdefault(measure.replace("_", " "), {})[split.replace("_", " ")] = column
    drawn = [Panel(name, header[0], columns[0], lines) for name, lines in panels.items()]
    # Loss and accuracy come before the learning rate, whatever the order of the columns.
    return sorted(drawn, key=lambda panel: list(panel.lines) == [panel.name])


def as_percent(panel: Panel) -> Panel:
    """Convert a panel of accuracies to percent; return other panels unchanged."""
    if panel.name not in ("top1", "top5"):
        return panel
    lines = {name: tuple(100 * value for value in line) for name, line in panel.lines.items()}
    return Panel(f"top-{panel.name[3:]}, %", panel.x_name, panel.x, lines)


def best_epoch(panels: Sequence[Panel]) -> float | None:
    """Return the epoch of the best validation accuracy, else of the lowest loss."""
    for name, sign in (("top1", 1), ("loss", -1)):
        for panel in panels:
            line = panel.lines.get("validation")
            if panel.name != name or line is None:
                continue
            known = [(sign * y, -x) for x, y in zip(panel.x, line, strict=True) if math.isfinite(y)]
            if known:
                return -max(known)[1]
    return None


def describe_time(panels: Sequence[Panel]) -> str:
    """Format the time per epoch and of the training; "" if the log has no times."""
    for panel in panels:
        if panel.name == "seconds":
            seconds = [value for value in panel.lines["seconds"] if math.isfinite(value)]
            median = statistics.median(seconds)
            return f"{median:.3g} s per epoch, {format_seconds(sum(seconds))} in total"
    return ""


def _read(path: Path) -> tuple[list[str], list[tuple[float, ...]]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ParameterError(f"{path}: cannot read the training log: {error}") from error
    numbers = [
        tuple(_number(text) for text in row) for row in rows if row and len(row) == len(header)
    ]
    numbers = [row for row in numbers if math.isfinite(row[0])]
    if len(header) < 2 or not numbers:
        raise ParameterError(
            f"{path}: not a training log: expected a header such as epoch,train_loss and a row of "
            "numbers"
        )
    return header, numbers


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
