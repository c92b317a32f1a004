"""Manifests: CSV tables of videos, and of parts of videos.

The column `video` names the videos, relative to the manifest's directory; this layout is kept. The
columns `start` and `end` select a span, in seconds (`12.5`) or frames (`300f`); `first` and
`second` select two frames. Empty cells select the whole video. Other columns (label, split, ...)
belong to the dataset.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from flowstream.errors import ExtractionError, ParameterError, did_you_mean
from flowstream.extract.listing import Found
from flowstream.video import read_part


def read_manifest(manifest: Path) -> Iterator[Found]:
    """Yield the videos of a manifest; missing ones fail when they are extracted.

    Raises
    ------
    ExtractionError
        If the manifest cannot be read, has no videos, or a line is invalid.
    """
    rows = _read_rows(manifest)
    if not rows:
        raise ExtractionError(f"{manifest}: no videos; the manifest has only a first line")
    for line, row in rows:
        text = row["video"]
        if not text:
            raise ExtractionError(f"{manifest}: line {line}: the column 'video' is empty")
        if "\0" in text:
            raise ExtractionError(f"{manifest}: line {line}: the file name has a NUL byte")
        try:
            part = read_part(row)
        except ParameterError as error:
            raise ExtractionError(f"{manifest}: line {line}: {error}") from error
        path = manifest.parent / text
        name = str(_name_below(text, manifest.parent))
        yield Found(path, name, is_directory=path.is_dir(), part=part)


def _read_rows(manifest: Path) -> list[tuple[int, dict[str, str]]]:
    """Return line number and cells of each row; column names in lower case."""
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, skipinitialspace=True, strict=True)
            columns = [column.strip().casefold() for column in table.fieldnames or []]
            _check_columns(manifest, columns)
            table.fieldnames = columns
            return [
                (table.line_num, {name: (row[name] or "").strip() for name in columns})
                for row in table
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ExtractionError(f"{manifest}: cannot read the manifest: {error}") from error


def _check_columns(manifest: Path, columns: list[str]) -> None:
    if "video" not in columns:
        seen = ", ".join(columns) or "nothing"
        hint = did_you_mean("video", columns)
        if len(columns) == 1 and re.search(r"[;\t]", seen):
            hint = " Separate the columns by commas."
        raise ExtractionError(
            f"{manifest}: no column 'video'; expected it in the first line, got: {seen}.{hint}"
        )
    for name in ("video", "start", "end", "first", "second"):
        if columns.count(name) > 1:
            raise ExtractionError(f"{manifest}: two columns are called {name!r}; keep one")


def _name_below(text: str, directory: Path) -> PurePosixPath:
    """Return a listed video's place in the layout: its path from the manifest, without `..`.

    Of a path that leads elsewhere from the root, only the file name is kept.
    """
    if os.path.isabs(text):
        inside = os.path.relpath(text, directory.absolute())
        text = Path(text).name if inside.startswith(os.pardir) else inside
    parts = Path(os.path.normpath(text)).parts
    return PurePosixPath(*(part for part in parts if part != os.pardir))
