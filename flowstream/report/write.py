"""`report.json` and `report.html` of a test."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from flowstream import __version__
from flowstream.disk import whole_file
from flowstream.errors import ScoresError
from flowstream.report.curves import curves
from flowstream.report.measures import agreements, confusions, measure
from flowstream.report.page import Content, page
from flowstream.scores import Scores

FORMAT = "flowstream.report 1"


def write_report(
    folder: str | Path,
    streams: Mapping[str, Scores],
    fused: Scores | None,
    *,
    facts: Mapping[str, Any],
    logs: Mapping[str, str | Path] | None = None,
) -> Path:
    """Write `report.json` and `report.html`, each completely or not at all.

    Parameters
    ----------
    folder : path
        Made where it does not exist.
    streams : scores by the name to show, in the order to show them
    fused : Scores or None
        Of the same videos and classes; None where there is one stream, or nothing was fused. The
        details (confusion, classes) are those of the last stream then.
    facts : mapping
        What made the scores: recipe, fusion weights, flow spec. Dataclasses, paths and arrays are
        written as plain data.
    logs : training logs (CSV) by the name to show
        Drawn as learning curves.

    Returns
    -------
    Path
        Of `report.html`.

    Raises
    ------
    ScoresError
        If there is no stream, the streams differ in their classes or videos, one has a video
        without a label, or the files cannot be written.
    ParameterError
        If a log is not one.
    """
    folder = Path(folder)
    if not streams:
        raise ScoresError("report: no stream to report on; give one at least")
    main = fused or list(streams.values())[-1]
    for name, scores in streams.items():
        _check_like(main, name, scores)
    content = Content(
        part=main.part,
        streams={name: measure(scores) for name, scores in streams.items()},
        fused=measure(fused) if fused else None,
        agreements=agreements(streams),
        confusions=confusions(main),
        curves={name: curves(path) for name, path in (logs or {}).items()},
        facts=_plain(facts),
    )
    text = _as_json(_as_data(content))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / "report.json", text)
        return _replace(folder / "report.html", page(content))
    except OSError as error:
        raise ScoresError(f"{folder}: cannot write the report: {error.strerror}") from error


def _check_like(main: Scores, name: str, scores: Scores) -> None:
    if scores.classes != main.classes:
        raise ScoresError(f"report: {name!r} and {main.stream!r} have different classes")
    if set(scores.videos) != set(main.videos):
        raise ScoresError(
            f"report: {name!r} has {len(set(scores.videos))} videos, {main.stream!r} "
            f"{len(set(main.videos))}, and they are not the same ones"
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
            if field.name not in ("part", "curves")
        },
    }


def _as_json(data: Mapping[str, Any]) -> str:
    """Write one line per item: one number per line would make megabytes of spaces."""
    lines = [
        f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False, allow_nan=False)}"
        for key, value in data.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it; NaN and infinity become null."""
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
