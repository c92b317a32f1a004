"""Output of the report of a test as `report.json` and `report.html`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flowstream import __version__
from flowstream.disk import whole_file
from flowstream.errors import ScoresError
from flowstream.report.cards import Cards
from flowstream.report.certainty import measure_certainty
from flowstream.report.curves import curves
from flowstream.report.facts import Difference
from flowstream.report.measures import agreements, confusions, measure
from flowstream.report.page import Content, page
from flowstream.scores import Scores

FORMAT = "flowstream.report 1"


def write_report(
    directory: str | Path,
    streams: Mapping[str, Scores],
    fused: Scores | None,
    *,
    facts: Mapping[str, Any],
    logs: Mapping[str, str | Path] | None = None,
    differences: Sequence[Difference] = (),
    cards: Cards = Cards(),  # noqa: B008 - frozen
) -> Path:
    """Write `report.json` and `report.html` atomically.

    Parameters
    ----------
    directory : path
        Output directory; created if missing.
    streams : mapping of str to Scores
        Scores by the displayed name of the stream, in the displayed order.
    fused : Scores or None
        Fused scores of the same videos and classes, or None if nothing was fused. In that case the
        details (confusion, classes) are those of the last stream.
    facts : mapping
        Origin of the scores: recipe, fusion weights, flow spec. Dataclasses, paths and arrays are
        written as plain data.
    logs : mapping of str to path, optional
        Training logs (CSV) by displayed name, which are drawn as learning curves.
    differences : sequence of Difference
        Settings of the recipe that differ from their defaults.
    cards : Cards
        Rescued and misclassified videos.

    Returns
    -------
    Path
        Path of `report.html`.

    Raises
    ------
    ScoresError
        If there is no stream, the streams differ in their classes or videos, a video has no
        label, or the files cannot be written.
    ParameterError
        If a log cannot be read or is not a training log.
    """
    directory = Path(directory)
    if not streams:
        raise ScoresError("report: no stream to report on; expected at least one, got 0")
    main = fused or list(streams.values())[-1]
    for name, scores in streams.items():
        _check_like(main, name, scores)
    content = Content(
        part=main.part,
        streams={name: measure(scores) for name, scores in streams.items()},
        fused=measure(fused) if fused else None,
        certainty={
            name: measure_certainty(scores)
            for name, scores in {**streams, **({"fused": fused} if fused else {})}.items()
        },
        agreements=agreements(streams),
        confusions=confusions(main),
        curves={name: curves(path) for name, path in (logs or {}).items()},
        facts=_plain(facts),
        differences=differences,
        cards=cards,
    )
    text = _as_json(_as_data(content))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _replace(directory / "report.json", text)
        return _replace(directory / "report.html", page(content))
    except OSError as error:
        raise ScoresError(f"{directory}: cannot write the report: {error.strerror}") from error


def _check_like(main: Scores, name: str, scores: Scores) -> None:
    if scores.classes != main.classes:
        raise ScoresError(f"report: {name!r} and {main.stream!r} have different classes")
    if set(scores.videos) != set(main.videos):
        raise ScoresError(
            f"report: {name!r} has {len(set(scores.videos))} videos, {main.stream!r} "
            f"{len(set(main.videos))}; expected the same videos"
        )


def _as_data(content: Content) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "flowstream": __version__,
        "part": content.part,
        "classes": [result.name for result in content.main[1].classes],
        **{
            field.name: _plain(getattr(content, field.name))
            for field in dataclasses.fields(content)
            if field.name not in ("part", "curves", "cards")
        },
    }


def _as_json(data: Mapping[str, Any]) -> str:
    """Format data as JSON with one line per item to keep the file small."""
    lines = [
        f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False, allow_nan=False)}"
        for key, value in data.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _plain(value: Any) -> Any:
    """Convert a value to plain data for JSON; NaN and infinity become None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _replace(path: Path, text: str) -> Path:
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")
    return path
