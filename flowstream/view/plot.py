"""Plots for papers: the speed of clips over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from flowstream.disk import whole_file
from flowstream.errors import FlowFileError, MissingDependencyError, ParameterError

_NAMED = 12
"""Number of lines up to which each has a colour and a name."""


def plot_speeds(target: Path, lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> None:
    """Plot the mean speed of the fields of each clip over time.

    Parameters
    ----------
    target : Path
        `.png`, `.svg` or `.pdf`.
    lines : name of the clip -> times and speeds

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
    figure = Figure(figsize=(8, 3.6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    few = len(lines) <= _NAMED
    for name, (times, speeds) in lines.items():
        axes.plot(
            times,
            speeds,
            linewidth=1.4 if few else 0.7,
            alpha=1.0 if few else 0.5,
            label=name if few else None,
            color=None if few else "#0072b2",
        )
    axes.set(xlabel="time, s", ylabel="mean speed, px/frame", ylim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    if few:
        axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    else:
        axes.set_title(f"{len(lines)} clips", fontsize=10, loc="left")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as part:
            figure.savefig(part, format=kind)
    except OSError as error:
        raise FlowFileError(f"{target}: cannot write the plot: {error.strerror}") from error
