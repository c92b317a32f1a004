"""Accuracy of the weighted mean of two streams as a function of the weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from flowstream.errors import ScoresError
from flowstream.scores import Scores

_SERIES = ("#1f77b4", "#ff7f0e", "#2ca02c")


def weight_curve(parts: Sequence[Scores], *, steps: int = 20) -> list[tuple[float, float]]:
    """Return the top-1 accuracy for each weight of the second stream.

    Raises
    ------
    ScoresError
        If there are not exactly two streams, or their videos or classes differ.
    """
    if len(parts) != 2:
        raise ScoresError(f"weight curve: expected two streams, got {len(parts)}")
    first, second = parts
    if set(first.videos) != set(second.videos) or first.classes != second.classes:
        raise ScoresError("weight curve: the streams have different videos or classes")
    row = {video: index for index, video in enumerate(second.videos)}
    aligned = second.scores[[row[video] for video in first.videos]]
    points = []
    for step in range(steps + 1):
        weight = step / steps
        mixed = (1 - weight) * first.scores + weight * aligned
        points.append((weight, float(np.mean(mixed.argmax(axis=1) == first.labels))))
    return points


def draw_weight_curve(
    path: Path,
    curves: Mapping[str, Sequence[tuple[float, float]]],
    *,
    names: Sequence[str],
) -> None:
    """Write weight curves as an SVG picture."""
    width, height, margin = 480, 300, 50
    shown = {name: points for name, points in curves.items() if points}
    values = [value for points in shown.values() for _, value in points] or [0.0, 1.0]
    low = max(0.0, min(values) - 0.05)
    span = max(0.05, min(1.0, max(values) + 0.05) - low)

    def place(weight: float, value: float) -> str:
        x = margin + weight * (width - 2 * margin)
        y = height - margin - (value - low) / span * (height - 2 * margin)
        return f"{x:.1f},{y:.1f}"

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for value in (low, low + span / 2, low + span):
        x, y = place(0, value).split(",")
        lines.append(f'<text x="{float(x) - 8}" y="{y}" text-anchor="end">{value:.2f}</text>')
        lines.append(f'<line x1="{x}" x2="{width - margin}" y1="{y}" y2="{y}" stroke="#ddd"/>')
    for weight in (0.0, 0.5, 1.0):
        x, y = place(weight, low).split(",")
        lines.append(f'<text x="{x}" y="{float(y) + 18}" text-anchor="middle">{weight:g}</text>')
    label = f"weight of {names[-1]}" if names else "weight"
    lines.append(
        f'<text x="{width / 2}" y="{height - 10}" text-anchor="middle">{_escape(label)}</text>'
    )
    for index, (name, points) in enumerate(shown.items()):
        colour = _SERIES[index % len(_SERIES)]
        track = " ".join(place(*point) for point in points)
        lines.append(f'<polyline points="{track}" fill="none" stroke="{colour}" stroke-width="2"/>')
        lines.append(
            f'<text x="{margin + 10 + 120 * index}" y="20" fill="{colour}">{_escape(name)}</text>'
        )
    try:
        path.write_text("\n".join([*lines, "</svg>"]) + "\n", encoding="utf-8")
    except OSError as error:
        raise ScoresError(f"{path}: cannot write the picture: {error.strerror}") from error


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
