"""Scores of a stream for the videos of one part of a dataset, and their file `scores.npz`.

The file is a plain NumPy archive, readable without flowstream and without pickle: `scores` (N, K)
float32, `labels` (N,) int64, `videos` (N,), `groups` (N,), `classes` (K,), and the strings
`stream`, `split` (the part of the dataset), `checkpoint`, `protocol` and `format`.
"""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowstream.disk import open_regular, whole_file
from flowstream.errors import ScoresError

FORMAT = "flowstream.scores 1"

MAX_BYTES = 2**29
"""Limit of the arrays of a file; 20,000 videos and 400 classes need 50 MB."""

# float32 sums over a thousand classes are exact to about 1e-4.
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Scores:
    """Class probabilities of N videos.

    Parameters
    ----------
    scores : (N, K), float32
        Probabilities: each row sums to 1.
    labels : (N,), int64
        The true classes, -1 where unknown.
    videos : N names
    classes : K names
    stream : str
        Name of the stream: `rgb`, `flow`, `fused`.
    part : str
        Part of the dataset: `train`, `validation`, `test`.
    checkpoint : str
        Identity of the checkpoint; empty if the scores come from several.
    protocol : str
        Clips that were averaged, such as `25x10 probabilities`; empty if unknown.
    groups : N names or none
        Source (film, subject) of each video: videos of one group are not independent.

    Raises
    ------
    ScoresError
        If the lengths do not fit together, a score is not a probability, a row does not sum to 1,
        or a label is not a class.
    """

    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    videos: tuple[str, ...]
    classes: tuple[str, ...]
    stream: str
    part: str
    checkpoint: str = ""
    protocol: str = ""
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = (len(self.videos), len(self.classes))
        if self.scores.shape != shape:
            raise ScoresError(
                f"scores of {self.stream!r}: got shape {self.scores.shape}, expected {shape} for "
                f"{shape[0]} videos and {shape[1]} classes"
            )
        if self.labels.shape != shape[:1]:
            raise ScoresError(
                f"scores of {self.stream!r}: got labels of shape {self.labels.shape}, expected "
                f"{shape[:1]}"
            )
        if self.groups and len(self.groups) != shape[0]:
            raise ScoresError(
                f"scores of {self.stream!r}: got {len(self.groups)} groups, expected none or "
                f"{shape[0]}"
            )
        if not len(self.videos):
            return
        if self.labels.min() < -1 or self.labels.max() >= shape[1]:
            raise ScoresError(
                f"scores of {self.stream!r}: labels from {self.labels.min()} to "
                f"{self.labels.max()}, expected -1 to {shape[1] - 1}"
            )
        sums = self.scores.sum(axis=1, dtype=np.float64)
        # written so that a value that is not a number fails too
        if not (self.scores.min() >= 0 and np.abs(sums - 1).max() <= _SUM_TOLERANCE):
            raise ScoresError(
                f"scores of {self.stream!r}: expected probabilities, rows that sum to 1; got rows "
                f"from {sums.min():.4g} to {sums.max():.4g}, values from {self.scores.min():.4g}"
            )


def write_scores(path: str | Path, scores: Scores) -> None:
    """Write a `scores.npz`, completely or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with whole_file(path) as part, part.open("wb") as file:
            np.savez_compressed(
                file,
                scores=np.asarray(scores.scores, np.float32),
                labels=np.asarray(scores.labels, np.int64),
                videos=np.array(scores.videos, dtype=np.str_),
                classes=np.array(scores.classes, dtype=np.str_),
                stream=np.array(scores.stream),
                split=np.array(scores.part),
                checkpoint=np.array(scores.checkpoint),
                protocol=np.array(scores.protocol),
                groups=np.array(scores.groups, dtype=np.str_),
                format=np.array(FORMAT),
            )
    except OSError as error:
        raise ScoresError(f"{path}: cannot write the scores: {error.strerror}") from error


def read_scores(path: str | Path) -> Scores:
    """Read a `scores.npz`; nothing is unpickled.

    Raises
    ------
    ScoresError
        If it cannot be read, is truncated, or does not hold scores.
    """
    try:
        values = _read_arrays(Path(path))
        if str(values["format"]) != FORMAT:
            seen = str(values["format"])
            raise ScoresError(f"{path}: got format {seen!r}, expected {FORMAT!r}")
        return Scores(
            scores=_check_kind(values, "scores", "f"),
            labels=_check_kind(values, "labels", "i"),
            videos=tuple(_check_kind(values, "videos", "U").tolist()),
            classes=tuple(_check_kind(values, "classes", "U").tolist()),
            stream=str(values["stream"]),
            part=str(values["split"]),
            checkpoint=str(values["checkpoint"]),
            protocol=str(values.get("protocol", "")),
            groups=tuple(np.atleast_1d(values.get("groups", ())).tolist()),
        )
    except ScoresError as error:
        raise ScoresError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error
    except KeyError as error:
        raise ScoresError(f"{path}: not a scores file: no {error.args[0]!r} in it") from error
    except OSError as error:
        raise ScoresError(f"{path}: cannot read the scores: {error.strerror or error}") from error
    except Exception as error:  # zipfile and NumPy raise many types for corrupted files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ScoresError(
            f"{path}: not a scores file, or a corrupted one: {reason:.200}"
        ) from error


def _check_kind(values: dict[str, Any], name: str, kind: str) -> NDArray[Any]:
    """Return an array of a kind; empty arrays of names have any kind."""
    array = np.atleast_1d(values[name])
    if array.dtype.kind != kind and array.size:
        raise ScoresError(f"{name}: got {array.dtype}, expected kind {kind!r}")
    return array


def _read_arrays(path: Path) -> dict[str, Any]:
    """Read all arrays of an archive, none of which may claim more than it holds."""
    with open_regular(path) as file:
        if not zipfile.is_zipfile(file):
            raise ScoresError(f"{path}: not a scores file, or a truncated one")
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            total = sum(entry.file_size for entry in entries)
            if total > MAX_BYTES or len(entries) > 100:
                raise ScoresError(
                    f"{path}: {len(entries)} arrays of {total} bytes, expected at most "
                    f"{MAX_BYTES} bytes"
                )
            # reading all of an entry checks its CRC-32
            return {
                entry.filename.removesuffix(".npy"): _parse_array(archive.read(entry))
                for entry in entries
            }


def _parse_array(content: bytes) -> NDArray[Any]:
    """Parse an array in NumPy's format, after a comparison of its size with its header."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(content) - file.tell():
        raise ScoresError(f"an array of {dtype} {shape} in {len(content)} bytes")
    file.seek(0)
    array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    return array
