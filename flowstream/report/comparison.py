"""Comparison of the accuracy and cost of models, as JSON, CSV and one HTML page."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flowstream import __version__
from flowstream.disk import whole_file
from flowstream.errors import ScoresError
from flowstream.report.charts import percent
from flowstream.report.measures import Share
from flowstream.view.document import document
from flowstream.view.markup import Markup, element

FORMAT = "flowstream.comparison 1"


@dataclass(frozen=True)
class Contender:
    """Accuracy and cost of one model of a comparison."""

    name: str
    model: str
    sees_order: bool
    inputs: tuple[tuple[int, ...], ...]
    """(C, T, H, W) of each input of the network: one clip, or RGB and flow."""
    top1: Share
    parameters: int
    flops: int
    """FLOPs of the forward pass of one clip; a multiply-add counts as two."""
    step_seconds: float
    """Wall time of a training step with reading of clips, in seconds: median over the epochs."""
    memory_bytes: int
    """Memory of a training step: activations, parameters, gradients, optimiser state."""
    report: str
    """Path of this model's report, relative to the directory of the comparison."""

    @property
    def clip(self) -> str:
        """Shapes of the inputs as text, such as `3×8×32×32` or `3×1×32×32 and 2×8×32×32`."""
        return " and ".join("×".join(map(str, lengths)) for lengths in self.inputs)


@dataclass(frozen=True)
class Comparison:
    """Contenders that were trained on the same videos with the same budget.

    `references` are accuracies to compare them with, by name, and `remark` is a sentence that
    explains the references.
    """

    contenders: Sequence[Contender]
    references: Mapping[str, float]
    budget: str
    data: str
    remark: str = ""


def write_comparison(directory: str | Path, comparison: Comparison) -> Path:
    """Write `comparison.json`, `comparison.csv` and `comparison.html`.

    Returns
    -------
    Path
        Path of `comparison.html`.

    Raises
    ------
    ScoresError
        If there is no contender, or a file cannot be written.
    """
    directory = Path(directory)
    if not comparison.contenders:
        raise ScoresError("comparison: no model to compare; expected at least one, got 0")
    data = {"format": FORMAT, "flowstream": __version__, **asdict(comparison)}
    data["contenders"] = [{**asdict(one), "clip": one.clip} for one in comparison.contenders]
    texts = {
        "comparison.json": json.dumps(data, indent=2) + "\n",
        "comparison.csv": _as_csv(comparison),
        "comparison.html": page(comparison),
    }
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            with whole_file(directory / name) as part:
                part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ScoresError(f"{directory}: cannot write the comparison: {error.strerror}") from error
    return directory / "comparison.html"


def _as_csv(comparison: Comparison) -> str:
    rows = []
    for contender in comparison.contenders:
        row: dict[str, Any] = asdict(contender)
        top1 = row.pop("top1")
        share = {f"top1_{name}" if name != "value" else "top1": top1[name] for name in top1}
        row = {"clip" if name == "inputs" else name: value for name, value in row.items()}
        rows.append({"name": row.pop("name"), **share, **row, "clip": contender.clip})
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def page(comparison: Comparison) -> str:
    """Return the comparison as one HTML page that needs no network."""
    note = (
        "Share of the test videos that a model classifies correctly, with Wilson's 95 % interval. "
        f"{comparison.remark}"
    )
    return document(
        f"{len(comparison.contenders)} models compared",
        element("h1", "Models compared"),
        element("p", comparison.data, class_="lead"),
        element("p", f"Budget: {comparison.budget}", class_="soft"),
        element("h2", "Accuracy"),
        element("p", note, class_="soft"),
        element("figure", picture(comparison), _legend()),
        element("h2", "Accuracy and cost"),
        element(
            "p",
            "A clip is channels × frames × rows × columns. FLOPs are those of the forward pass of "
            "one clip; a multiply-add counts as two. Memory is that of a training step. Click a "
            "heading to sort the table.",
            class_="soft",
        ),
        _table(comparison),
        element("footer", f"flowstream {__version__}. As data: comparison.json, comparison.csv."),
    )


def picture(comparison: Comparison) -> Markup:
    """Draw one row per model: accuracy, interval (band), references (dashed)."""
    references = [
        element("s", style=f"left:{100 * value:.2f}%", title=f"{name} {percent(value)} %")
        for name, value in comparison.references.items()
    ]
    rows = [
        element(
            "div",
            element("span", contender.name),
            _track(contender, references),
            element("span", percent(contender.top1.value), class_="n"),
            class_=f"row {_series(contender)}",
            title=f"{contender.name}: {contender.top1.correct} of {contender.top1.total} correct",
        )
        for contender in comparison.contenders
    ]
    marks = [(value, f"{100 * value:g} %") for value in (0.0, 0.5, 1.0)]
    marks += [(value, name) for name, value in comparison.references.items()]
    scale = [element("span", text, style=f"left:{100 * value:.2f}%") for value, text in marks[:3]]
    above = [element("span", text, style=f"left:{100 * value:.2f}%") for value, text in marks[3:]]
    return element(
        "div",
        element("div", element("span"), element("div", above, class_="scale above"), class_="row"),
        rows,
        element("div", element("span"), element("div", scale, class_="scale"), class_="row"),
        class_="forest",
        role="group",
        aria_label="Accuracy of each model, with the references",
    )


def _track(contender: Contender, references: list[Markup]) -> Markup:
    low, high, value = contender.top1.low, contender.top1.high, contender.top1.value
    return element(
        "div",
        element("i", style=f"left:{100 * low:.2f}%;width:{100 * (high - low):.2f}%"),
        references,
        element("b", style=f"left:{100 * value:.2f}%"),
        class_="track",
    )


def _series(contender: Contender) -> str:
    return "s0" if contender.sees_order else "s1"


def _legend() -> Markup:
    entries = (("s0", "sees the order of frames"), ("s1", "does not"))
    return element(
        "ul",
        [element("li", text, class_=f"key {series}") for series, text in entries],
        class_="legend",
    )


def _table(comparison: Comparison) -> Markup:
    names = ("Top-1, %", "95 % interval", "Parameters", "MFLOPs", "s/step", "Memory, MB")
    head = [
        element("th", "Model"),
        element("th", "Sees order"),
        element("th", "Clip"),
        [element("th", name, class_="n") for name in names],
    ]
    table = element(
        "table",
        element("thead", element("tr", head)),
        element("tbody", [_row(contender) for contender in comparison.contenders]),
        class_="sortable dense",
    )
    return element("div", table, class_="scroll")


def _row(contender: Contender) -> Markup:
    top1 = contender.top1
    figures: list[tuple[float, str]] = [
        (top1.value, percent(top1.value)),
        (top1.low, f"{percent(top1.low)} to {percent(top1.high)}"),
        (contender.parameters, f"{contender.parameters:,}"),
        (contender.flops, f"{contender.flops / 1e6:,.1f}"),
        (contender.step_seconds, f"{contender.step_seconds:.3f}"),
        (contender.memory_bytes, f"{contender.memory_bytes / 1e6:,.1f}"),
    ]
    clip = contender.clip.replace("and ", "and\N{NO-BREAK SPACE}")  # two lines, not three
    name = element("a", contender.name, href=contender.report, style="color:inherit")
    return element(
        "tr",
        element(
            "td",
            element("span", name, class_=f"key {_series(contender)}"),
            data_value=contender.name,
        ),
        element("td", "yes" if contender.sees_order else "no", data_value=contender.sees_order),
        element("td", clip, data_value=sum(map(math.prod, contender.inputs))),
        [element("td", text, class_="n", data_value=value) for value, text in figures],
    )
