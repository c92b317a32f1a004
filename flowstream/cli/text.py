"""Plain data as text for a terminal: aligned names and values, and tables."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from flowstream.escapes import escape_controls

# A line over the whole width of a wide terminal is hard to read.
_MAX_WIDTH = 100

_SHARES = frozenset(
    {
        "below_step",
        "clipped",
        "clipped_backward",
        "consistency",
        "inliers",
        "known",
        "stabilised",
        "still",
    }
)


def colour_is_wanted() -> bool:
    """Return True if stdout is a terminal that shows colour and NO_COLOR is not set."""
    return (
        sys.stdout.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "") != "dumb"
    )


def paint(text: str, **style: Any) -> str:
    """Style text with `click.style` if colour is wanted; otherwise return it unchanged."""
    return click.style(text, **style) if colour_is_wanted() else text


def text_width(text: str) -> int:
    """Return the number of terminal columns that text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )


def sparkline(values: Sequence[float], columns: int) -> str:
    """Format values as a line of bars that start at 0, at most `columns` characters wide."""
    bars = "▁▂▃▄▅▆▇█" if _is_unicode() else "_.-=+*%#"
    if not values:
        return ""
    count = min(columns, len(values))
    ends = [len(values) * place // count for place in range(count + 1)]
    means = [sum(values[start:stop]) / (stop - start) for start, stop in itertools.pairwise(ends)]
    top = max(means) or 1.0
    return "".join(bars[min(7, int(8 * mean / top))] for mean in means)


def _is_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")


def format_record(record: Mapping[str, Any]) -> str:
    """Write one `name  value` line per entry, with aligned and wrapped values."""
    names = [escape_controls(name.replace("_", " ")) for name in record]
    indent = max(map(text_width, names), default=0) + 2
    return "\n".join(
        wrap_text(f"{_pad(name, indent)}{format_value(key, value)}", indent=indent)
        for name, (key, value) in zip(names, record.items(), strict=True)
    )


def wrap_text(text: str, *, indent: int) -> str:
    """Break text into lines of the terminal's width; all lines but the first are indented."""
    width = min(shutil.get_terminal_size().columns, _MAX_WIDTH)
    # Paths and parameters are copied by people: never break them within a word.
    return textwrap.fill(
        text,
        width=max(width, indent + 20),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )


def wrap_on_terminal(text: str, *, indent: int) -> str:
    """Break text like `wrap_text` on a terminal; elsewhere, keep it on one line."""
    return text if terminal_columns() is None else wrap_text(text, indent=indent)


def format_table(
    rows: Iterable[Sequence[str]],
    *,
    head: Sequence[Sequence[str]] = (),
    left: int = 1,
    styles: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Write aligned columns, two spaces apart, under bold headings.

    On a terminal that is too narrow, the columns are divided into blocks, each of which repeats
    the first columns.

    Parameters
    ----------
    rows : cells of each row
        Cells are shortened only in the repeated columns of a narrow terminal.
    head : rows of headings
        Usually the names and, below them, the units.
    left : int
        Number of columns that are aligned to the left; the others are aligned to the right.
    styles : mapping for each row
        Arguments of `paint`.
    """
    rows, head = [[*map(escape_controls, row)] for row in rows], [*map(list, head)]
    lines = [*head, *rows]
    painted: list[Mapping[str, Any]] = [{"dim": True} for _ in head]
    painted[:1] = [{"bold": True} for _ in head[:1]]
    painted += styles or [{} for _ in rows]
    columns = [*map(list, zip(*lines, strict=True))]
    blocks = []
    for places in _divide_columns(columns, keys=2 if left == 2 else 1):
        chosen = [columns[place] for place in places]
        widths = [max(map(text_width, column)) for column in chosen]
        count = sum(place < left for place in places)
        cells = zip(*chosen, strict=True)
        blocks.append(
            "\n".join(
                paint(format_row(row, widths, left=count), **style)
                for row, style in zip(cells, painted, strict=True)
            )
        )
    return "\n\n".join(blocks)


def terminal_columns() -> int | None:
    """Return the width of the terminal; None if stdout is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _divide_columns(columns: list[list[str]], *, keys: int) -> list[list[int]]:
    """Return the columns of each block; the first `keys` ones are shortened and repeated."""
    room = terminal_columns()
    everything = list(range(len(columns)))
    if room is None or _table_width(columns, everything) <= room:
        return [everything]
    for place in range(keys):
        columns[place] = [_shorten(cell, max(16, room // (2 * keys))) for cell in columns[place]]
    blocks: list[list[int]] = []
    for place in everything[keys:]:
        if not blocks or _table_width(columns, [*blocks[-1], place]) > room:
            blocks.append(everything[:keys])
        blocks[-1] = [*blocks[-1], place]
    return blocks or [everything]


def _table_width(columns: Sequence[Sequence[str]], places: Sequence[int]) -> int:
    widths = [max(map(text_width, columns[place]), default=0) for place in places]
    return sum(widths) + 2 * (len(widths) - 1)


def _shorten(text: str, width: int) -> str:
    """Cut text in the middle; both ends stay, because they distinguish names."""
    if text_width(text) <= width:
        return text
    mark = "…" if _is_unicode() else "~"
    return f"{text[: width // 2]}{mark}{text[len(text) - (width - width // 2 - 1) :]}"


def format_row(cells: Sequence[str], widths: Sequence[int], *, left: int = 1) -> str:
    """Write one row of a table whose column widths are known."""
    padded = [
        _pad(escape_controls(cell), width, right=index >= left)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


def _pad(text: str, width: int, *, right: bool = False) -> str:
    space = " " * (width - text_width(text))
    return space + text if right else text + space


def format_value(name: str, value: Any) -> str:
    """Format a value for people; its name determines the unit."""
    if value is None:
        return "unknown"
    if isinstance(value, Mapping):
        return _format_mapping(value)
    if isinstance(value, list) and name.endswith("size") and len(value) == 2:
        return f"{value[1]}x{value[0]}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _format_number(name, value)
    return _format_item(name, value)


def _format_number(name: str, value: float) -> str:
    if name.endswith("bytes"):
        from flowstream.extract.forecast import readable_bytes

        return readable_bytes(value)
    if name in _SHARES:
        return f"{value:.3%}"
    return f"{value:.2f} s" if name.endswith("seconds") else _format_item(name, value)


def _format_mapping(record: Mapping[str, Any]) -> str:
    """Write `tvl1: preset fast, levels 5`; entries that are None are left out."""
    given = [
        f"{key} {_format_item(key, item)}"
        for key, item in record.items()
        if key != "name" and item is not None
    ]
    return ": ".join(filter(None, [str(record.get("name", "")), ", ".join(given)]))


def _format_item(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(_format_item(name, item) for item in value) or "none"
    if isinstance(value, Mapping):
        return format_value(name, value)
    return escape_controls(str(value))
