"""Plain data as text for a terminal: aligned names and values, and tables."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# A line of a wide terminal is hard to read; a narrow one is taken as it is.
_WIDEST = 100


def listing(record: Mapping[str, Any]) -> str:
    """`name  value` a line, values aligned, and wrapped beside themselves."""
    names = [name.replace("_", " ") for name in record]
    indent = max(map(len, names), default=0) + 2
    return "\n".join(
        wrapped(f"{name:<{indent}}{readable(key, value)}", indent=indent)
        for name, (key, value) in zip(names, record.items(), strict=True)
    )


def wrapped(text: str, *, indent: int) -> str:
    """The text in lines of the terminal's width, all but the first indented."""
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    # Paths and parameters are to be copied: never broken within a word.
    return textwrap.fill(
        text,
        width=max(width, indent + 20),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )


def table(rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """Columns two spaces apart; the first `left` are flush left, the others flush right."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def readable(name: str, value: Any) -> str:
    """A value as people write it; where it is a measure, its name says of what."""
    if value is None:
        return "unknown"
    if isinstance(value, Mapping):
        return _inline(value)
    if isinstance(value, list) and name.endswith("size") and len(value) == 2:
        return f"{value[1]}x{value[0]}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _measure(name, value)
    return _item(name, value)


def _measure(name: str, value: float) -> str:
    if name.endswith("bytes"):
        from flowstream.extract.forecast import readable_bytes

        return readable_bytes(value)
    if name in ("clipped", "clipped_backward", "consistency", "inliers", "known", "still"):
        return f"{value:.3%}"
    return f"{value:.2f} s" if name.endswith("seconds") else _item(name, value)


def _inline(record: Mapping[str, Any]) -> str:
    """`tvl1: preset fast, levels 5`; what is None was left as it is, which goes without saying."""
    given = [
        f"{key} {_item(key, item)}"
        for key, item in record.items()
        if key != "name" and item is not None
    ]
    return ": ".join(filter(None, [str(record.get("name", "")), ", ".join(given)]))


def _item(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(_item(name, item) for item in value) or "none"
    return readable(name, value) if isinstance(value, Mapping) else str(value)
