"""Plots for papers: the speed of clips over time."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flowstream.disk import whole_file
from flowstream.errors import FlowFileError, MissingDependencyError, ParameterError
from flowstream.escapes import escape_controls

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Speeds = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""Times and speeds of each clip, by its name."""

_LINES = 12
"""Number of clips up to which each has a line of its own; more become rows of a heat map."""

_COLUMNS = 400
"""Number of moments in a row of the heat map."""

_NAMES = 40
"""Number of clips up to which the rows of the heat map are named; of more, only classes are."""


def plot_speeds(target: Path, clips: Speeds) -> None:
    """Plot the mean speed of the fields of each clip over time.

    A few clips are drawn as lines one below the other, many as the rows of a heat map.

    Parameters
    ----------
    target : Path
        `.png`, `.svg` or `.pdf`.
    clips : name of the clip -> times and speeds

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    ParameterError
        If the suffix is unknown.
    FlowFileError
        If the file cannot be written.
    """
    kind = target.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg", "pdf"):
        raise ParameterError(f"{target}: expected a name that ends in .png, .svg or .pdf")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            "a plot needs 'matplotlib'; install it with: pip install 'flowstream[report]'"
        ) from error
    height = len(clips) * (1.0 if len(clips) <= _LINES else 0.16 if len(clips) <= _NAMES else 0.06)
    figure = Figure(figsize=(8, min(max(3.6, 1 + height), 24)), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    if len(clips) <= _LINES:
        _draw_lines(figure, clips)
    else:
        _draw_map(figure, clips)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as part, warnings.catch_warnings():
            # a box stands for letters that matplotlib's typeface lacks
            warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
            figure.savefig(part, format=kind)
    except OSError as error:
        raise FlowFileError(f"{target}: cannot write the plot: {error.strerror}") from error


def _draw_lines(figure: Figure, clips: Speeds) -> None:
    """Draw one row per clip, all with the same axes."""
    rows = figure.subplots(len(clips), sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, (name, (times, speeds)) in zip(rows, clips.items(), strict=True):
        axes.fill_between(times, speeds, color="#0072b2", alpha=0.15, linewidth=0)
        axes.plot(times, speeds, color="#0072b2", linewidth=1.2)
        axes.set_title(_plain(name), fontsize=9, loc="left", pad=3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    # shared limits are set last, because setting them stops the scaling to later lines
    rows[-1].set(xlabel="time, s", xlim=(0, None), ylim=(0, None))
    figure.supylabel("mean speed, px/frame", fontsize=10)


def _draw_map(figure: Figure, clips: Speeds) -> None:
    """Draw one row of colours per clip; the background is visible after its end."""
    longest = max(times[-1] for times, _ in clips.values()) or 1.0
    columns = np.linspace(0, longest, _COLUMNS)
    rows = np.full((len(clips), _COLUMNS), np.nan)
    for row, (times, speeds) in zip(rows, clips.values(), strict=True):
        row[:] = np.interp(columns, times, speeds, right=np.nan)
    axes = figure.add_subplot()
    # single fields at cuts are much faster than all others and would make the rest dark
    top = float(np.nanpercentile(rows, 99)) or 1.0
    extent = (0, longest, len(clips), 0)
    image = axes.imshow(
        rows, aspect="auto", extent=extent, vmin=0, vmax=top, interpolation="nearest"
    )
    figure.colorbar(image, label="mean speed, px/frame", extend="max", fraction=0.04, pad=0.01)
    axes.set_xlabel("time, s")
    axes.spines[["top", "right"]].set_visible(False)
    _name_rows(axes, list(clips))


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name each row, or, where rows are too many, each run of rows of the same directory."""
    if len(names) <= _NAMES:
        axes.set_yticks(np.arange(len(names)) + 0.5, map(_plain, names), fontsize=7)
        return
    classes = [name.rpartition("/")[0] for name in names]
    starts = [k for k, name in enumerate(classes) if k == 0 or name != classes[k - 1]]
    middles = [(start + stop) / 2 for start, stop in itertools.pairwise([*starts, len(names)])]
    labels = [f"{_plain(classes[start])}" for start in starts]
    axes.set_yticks(middles, labels, fontsize=8)
    axes.tick_params(axis="y", length=0)
    for start in starts[1:]:
        axes.axhline(start, color="white", linewidth=1)


def _plain(name: str) -> str:
    """Return a name without control characters that matplotlib does not read as a formula."""
    return escape_controls(name).replace("$", r"\$")
