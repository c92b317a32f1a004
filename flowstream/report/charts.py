"""Charts of a report as SVG and HTML, drawn without a library."""

from __future__ import annotations

import math
from collections.abc import Sequence

from flowstream.report.curves import Panel
from flowstream.report.measures import Agreement, Measures, Share
from flowstream.view.markup import Markup, element

# Largest width of a character of the 11 px labels in pixels; the exact width is unknown.
_CHARACTER = 7.0
# Largest number of classes whose names are drawn. The names of more classes would be too small.
_MOST_NAMED = 150


def percent(value: float | None) -> str:
    """Format a fraction as a percentage, such as `87.5`; None becomes a dash."""
    return "–" if value is None else f"{100 * value:.1f}"


def interval(share: Share) -> Markup:
    """Draw a share on a bar from 0 to 1, with its interval as a band."""
    return element(
        "div",
        element(
            "i", style=f"left:{100 * share.low:.2f}%;width:{100 * (share.high - share.low):.2f}%"
        ),
        element("b", style=f"left:{100 * share.value:.2f}%"),
        class_="track",
    )


def agreement_bar(pair: Agreement, series: tuple[str, str]) -> Markup:
    """Draw the number of videos that both, one or none of two streams got right."""
    parts = [
        ("both", "both correct", pair.both),
        (series[0], f"only {pair.first} correct", pair.only_first),
        (series[1], f"only {pair.second} correct", pair.only_second),
        ("neither", "neither correct", pair.neither),
    ]
    total = sum(count for *_, count in parts)
    bar = [
        element("span", class_=name, style=f"flex:{count}", title=f"{text}: {count}")
        for name, text, count in parts
        if count
    ]
    legend = [
        element(
            "li",
            f"{text} ",
            element("strong", count),
            f" ({percent(count / total)} %)",
            class_=f"key {name}",
        )
        for name, text, count in parts
    ]
    return element(
        "figure", element("div", bar, class_="stack"), element("ul", legend, class_="legend")
    )


def heat_map(measures: Measures) -> Markup:
    """Draw the confusion matrix; rows are true classes, columns predictions.

    The shade of a cell is its share of the row. Empty cells are not drawn, so that a page of
    hundreds of classes stays small.
    """
    names = [result.name for result in measures.classes]
    cell = _cell_size(len(names))
    named = len(names) <= _MOST_NAMED
    margin = math.ceil(max(map(len, names)) * _CHARACTER) + 12 if named else 8
    side = cell * len(names)
    # The picture shrinks to the width of the page, but on a phone it scrolls below this width.
    least = "40rem" if len(names) > 30 else "22rem"
    return element(
        "svg",
        element("rect", x=margin, y=margin, width=side, height=side, class_="grid"),
        _diagonal_labels(names, cell=cell, margin=margin) if named else "",
        [
            _cell(names, (row, column), count, total=sum(counts), cell=cell, margin=margin)
            for row, counts in enumerate(measures.confusion)
            for column, count in enumerate(counts)
            if count
        ],
        width=margin + side + 2,
        height=margin + side + 2,
        viewBox=f"0 0 {margin + side + 2} {margin + side + 2}",
        style=f"min-width:min({margin + side + 2}px,{least})",
        role="img",
        aria_label="Confusion matrix",
    )


def _cell_size(classes: int) -> int:
    """Return the side of a cell in pixels, which depends on the number of classes."""
    for most, size in ((12, 36), (30, 24), (_MOST_NAMED, 12)):
        if classes <= most:
            return size
    return 3


def _diagonal_labels(names: Sequence[str], *, cell: int, margin: int) -> list[Markup]:
    labels = []
    for index, name in enumerate(names):
        middle = margin + (index + 0.5) * cell
        labels.append(element("text", name, x=margin - 6, y=f"{middle + 4:g}", text_anchor="end"))
        labels.append(
            element(
                "text",
                name,
                x=0,
                y=0,
                transform=f"translate({middle + 4:g} {margin - 6}) rotate(-90)",
            )
        )
    return labels


def _cell(
    names: Sequence[str],
    place: tuple[int, int],
    count: int,
    *,
    total: int,
    cell: int,
    margin: int,
) -> Markup:
    row, column = place
    share = count / total
    x, y = margin + column * cell, margin + row * cell
    title = element("title", f"{names[row]} → {names[column]}: {count} of {total}")
    square = element(
        "rect",
        title,
        x=x,
        y=y,
        width=cell - (cell > 5),
        height=cell - (cell > 5),
        class_="right" if row == column else "wrong",
        # A single video of a large class must still be visible.
        fill_opacity=f"{0.15 + 0.85 * share:.2f}",
    )
    if cell < 24:
        return square
    shade = "count deep" if share > 0.55 else "count"
    middle = (cell - 1) / 2
    return Markup(
        square + element("text", count, x=f"{x + middle:g}", y=f"{y + middle + 4:g}", class_=shade)
    )


# Drawing area of a curve's panel within its picture.
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 310, 12, 168


def curve(panel: Panel, *, best: float | None = None) -> Markup:
    """Draw the lines of one panel, with the last values in the legend.

    Parameters
    ----------
    panel : Panel
        Lines to draw.
    best : float, optional
        Epoch to mark, because its weights were kept.
    """
    values = [value for line in panel.lines.values() for value in line if math.isfinite(value)]
    low, high = min(values), max(values)
    if low >= 0 and low < 0.5 * high:
        low = 0.0
    if high - low < 1e-12:
        low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
    first, last = panel.x[0], panel.x[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - first) / ((last - first) or 1)
        up = (y - low) / (high - low)
        return _LEFT + across * (_RIGHT - _LEFT), _BOTTOM - up * (_BOTTOM - _TOP)

    ticks = [low, (low + high) / 2, high]
    picture = element(
        "svg",
        [_tick(tick, place(first, tick)[1]) for tick in ticks],
        "" if best is None else _mark(place(best, low)[0], best),
        element("text", f"{first:g}", x=_LEFT, y=_BOTTOM + 16),
        element("text", f"{panel.x_name} {last:g}", x=_RIGHT, y=_BOTTOM + 16, text_anchor="end"),
        [
            _line([place(x, y) for x, y in zip(panel.x, line, strict=True)], series=f"c{index % 3}")
            for index, line in enumerate(panel.lines.values())
        ],
        viewBox="0 0 320 190",
        role="img",
        aria_label=f"{panel.name} over {panel.x_name}",
    )
    legend = [
        element(
            "li", f"{name} ", element("strong", f"{_last(line):.4g}"), class_=f"key c{index % 3}"
        )
        for index, (name, line) in enumerate(panel.lines.items())
    ]
    title = element("figcaption", panel.name)
    return element("figure", title, picture, element("ul", legend, class_="legend"))


def _mark(x: float, best: float) -> Markup:
    """Draw a dashed line at the best epoch."""
    line: dict[str, str | int] = {"x1": f"{x:.1f}", "x2": f"{x:.1f}", "y1": _TOP, "y2": _BOTTOM}
    return element("line", element("title", f"best epoch: {best:g}"), **line, class_="best")


def _last(line: Sequence[float]) -> float:
    return next(value for value in reversed(line) if math.isfinite(value))


def _tick(value: float, y: float) -> Markup:
    return Markup(
        element("line", x1=_LEFT, x2=_RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", class_="grid")
        + element("text", format_tick(value), x=_LEFT - 6, y=f"{y + 4:.1f}", text_anchor="end")
    )


def format_tick(value: float) -> str:
    """Format a value in at most seven characters, such as `8.5e-4` or `12,300`."""
    if value == 0 or 0.01 <= abs(value) < 1000:
        return f"{value:.3g}"
    if abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) < 1e5 else f"{value:.1e}".replace("e+0", "e")
    return f"{value:.2g}" if abs(value) >= 0.001 else f"{value:.1e}".replace("e-0", "e-")


def _line(points: Sequence[tuple[float, float]], *, series: str) -> Markup:
    """Draw a line through the finite points, across epochs without a value."""
    known = [(f"{x:.1f}", f"{y:.1f}") for x, y in points if math.isfinite(y)]
    if len(known) == 1:
        (x, y), *_ = known
        return element("circle", cx=x, cy=y, r=3, class_=f"dot {series}")
    return element("path", d="M" + " L".join(map(" ".join, known)), class_=f"line {series}")
