"""CSV files as datasets: columns `video,label,split`, and optionally `group`.

The columns `start` and `end`, or `first` and `second`, select a part of a video, as in an
extraction. Each row is then a separate sample, whose stack is `VIDEO@PART.h5`.
`data/README.md` describes the format.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flowstream.dataset.folder import PARTS
from flowstream.dataset.listing import Entry, Listing, SplitRecipe, group_of, read_text, video_name
from flowstream.dataset.names import VideoNames
from flowstream.errors import ParameterError, SplitError


def read_manifest(recipe: SplitRecipe, names: VideoNames) -> Listing:
    """Read the manifest `recipe.files`; its sorted labels are the classes.

    Labels are names. If all of them are integers, they are sorted as numbers.

    Raises
    ------
    SplitError
        If a column or a value is missing, a split is not a known part, or only some rows have one.
    """
    path = recipe.split_files
    entries = tuple(_entry(path, line, row, recipe=recipe) for line, row in _rows(path))
    unassigned = [entry for entry in entries if entry.part is None]
    if unassigned and len(unassigned) < len(entries):
        raise SplitError(
            f"{unassigned[0].where}: no split, but other rows have one; fill all or none"
        )
    labels = {entry.class_name for entry in entries}
    # longer labels are names, because Python does not convert more than 4,300 digits
    numbers = all(label.isdecimal() and len(label) <= 100 for label in labels)
    classes = sorted(labels, key=(lambda label: (int(label), label)) if numbers else None)
    return Listing(tuple(classes), entries, source=str(path))


def _read_rows(path: Path, reader: Any) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise SplitError(f"{path}:{reader.line_num}: not CSV: {error}") from error


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    reader = csv.reader(io.StringIO(read_text(path), newline=""), skipinitialspace=True)
    columns: list[str] = []
    for cells in _read_rows(path, reader):
        row = [cell.strip() for cell in cells]
        if not any(row):
            continue
        if not columns:
            columns = [cell.casefold() for cell in row]
            for wanted in ("video", "label"):
                if columns.count(wanted) != 1:
                    raise SplitError(
                        f"{path}:{reader.line_num}: got the columns {', '.join(row)}; "
                        f"expected the header video,label,split"
                    )
            for name in columns:
                if name and columns.count(name) > 1:
                    raise SplitError(
                        f"{path}:{reader.line_num}: column {name!r:.100} occurs "
                        f"{columns.count(name)} times; expected each column once"
                    )
            continue
        if len(row) > len(columns):
            raise SplitError(
                f"{path}:{reader.line_num}: {len(row)} values for {len(columns)} columns; "
                "put names that contain a comma into double quotes"
            )
        yield reader.line_num, dict(zip(columns, row, strict=False))


def _entry(path: Path, line: int, row: Mapping[str, str], *, recipe: SplitRecipe) -> Entry:
    where = f"{path}:{line}"
    for wanted in ("video", "label"):
        if not row.get(wanted):
            raise SplitError(f"{where}: no {wanted}")
    split = row.get("split", "")
    if split and split.casefold() not in PARTS:
        raise SplitError(f"{where}: split {split!r}; expected train, validation or test")
    video = video_name(_make_relative(row["video"], path.parent))
    # Parts of one video are one group.
    otherwise = row.get("group") or video
    group = group_of(f"{row['label']}/{video}", recipe, otherwise=otherwise, where=where)
    name = video + _part_suffix(row, where)
    return Entry(name, row["label"], PARTS.get(split.casefold()), group, where)


def _part_suffix(row: Mapping[str, str], where: str) -> str:
    """Return the suffix of the stack's name for a part of a video; empty for a whole video."""
    if not any(row.get(name) for name in ("start", "end", "first", "second")):
        return ""
    # Imported here, because reading a list of whole videos must not load a decoder.
    from flowstream.video import part_label, read_part

    try:
        part = read_part(row)
    except ParameterError as error:
        raise SplitError(f"{where}: {error}") from error
    return "" if part is None else f"@{part_label(part)}"


def _make_relative(video: str, directory: Path) -> str:
    """Return a video's path relative to the manifest's directory, if it is inside."""
    if not os.path.isabs(video):
        return os.path.normpath(video)
    inside = os.path.relpath(video, directory.absolute())
    return video if inside.startswith(os.pardir) else inside
