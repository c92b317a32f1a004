"""A CSV file as a data set: `video,label,split`, and `group` if there is one.

`data/README.md` has the format in full.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from flowstream.dataset.folder import PARTS
from flowstream.dataset.listing import Entry, Listing, SplitRecipe, group_of, read_text, video_name
from flowstream.dataset.names import VideoNames
from flowstream.errors import SplitError


def read_manifest(recipe: SplitRecipe, names: VideoNames) -> Listing:
    """What the manifest `recipe.files` says; its labels, sorted, are the classes.

    Labels are names. Where all of them are whole numbers, they are sorted as numbers.

    Raises
    ------
    SplitError
        If a column or a value is missing, a split is no known part, or only some rows have one.
    """
    path = recipe.files
    assert path is not None
    entries = tuple(_entry(path, line, row, recipe=recipe) for line, row in _rows(path))
    unsaid = [entry for entry in entries if entry.part is None]
    if unsaid and len(unsaid) < len(entries):
        raise SplitError(f"{unsaid[0].where}: no split here, but in other rows; fill all or none")
    labels = {entry.class_name for entry in entries}
    numbers = all(label.isdecimal() for label in labels)
    classes = sorted(labels, key=(lambda label: (int(label), label)) if numbers else None)
    return Listing(tuple(classes), entries, source=str(path))


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    reader = csv.reader(io.StringIO(read_text(path), newline=""), skipinitialspace=True)
    columns: list[str] = []
    for cells in reader:
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
    video = video_name(_below(row["video"], path.parent))
    otherwise = row.get("group") or video
    group = group_of(f"{row['label']}/{video}", recipe, otherwise=otherwise, where=where)
    return Entry(video, row["label"], PARTS.get(split.casefold()), group, where)


def _below(video: str, folder: Path) -> str:
    """A video's path relative to the manifest's folder where it lies in it."""
    if not os.path.isabs(video):
        return os.path.normpath(video)
    inside = os.path.relpath(video, folder.absolute())
    return video if inside.startswith(os.pardir) else inside
