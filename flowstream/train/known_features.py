"""Features of the same clips in other files of a cache, such as those of another fold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from flowstream.dataset.split import Sample
from flowstream.disk import open_regular
from flowstream.store.pack import file_of

UNREADABLE = (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError)
"""Errors of a damaged cache, which may hold any value in place of those that it should hold."""
VIDEOS = "list of videos"
"""Name of the description's entry that differs between the files of two folds."""

MARKS = "marks"
"""Dataset (N, 16) of the file: one mark for each row of features."""


def mark_samples(samples: Sequence[Sample]) -> NDArray[np.uint8]:
    """Return a mark (N, 16) of each video and its stack file, which changes with the file."""
    marks = np.zeros((len(samples), 16), np.uint8)
    for row, sample in enumerate(samples):
        state = file_of(sample.path).stat()
        text = f"{sample.video}\n{sample.path.resolve()}\n{state.st_size}\n{state.st_mtime_ns}"
        digest = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16)
        marks[row] = np.frombuffer(digest.digest(), np.uint8)
    return marks


def read_known(
    path: Path, marks: NDArray[np.uint8], wanted: Mapping[str, Any]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield rows of `marks` and their features (V, T, D) that files beside `path` have.

    A file counts if its description is `wanted` but for the list of videos. Damaged files and files
    without marks are passed over, because all features can be computed again.
    """
    rows = {mark.tobytes(): row for row, mark in enumerate(marks)}
    prefix = path.name.partition("-")[0]
    for other in sorted(path.parent.glob(f"{prefix}-*.h5")):
        if not rows:
            return
        try:
            with open_regular(other) as opened, h5py.File(opened, "r") as file:
                if not _is_of(file, wanted):
                    continue
                for number, mark in enumerate(file[MARKS][:]):
                    if mark.tobytes() not in rows:
                        continue
                    features = file["features"][number]
                    if np.isfinite(features).all():
                        yield rows.pop(mark.tobytes()), features
        except UNREADABLE:
            continue


def _is_of(file: h5py.File, wanted: Mapping[str, Any]) -> bool:
    described = json.loads(file.attrs["of"])
    return MARKS in file and {**described, VIDEOS: ""} == {**wanted, VIDEOS: ""}
