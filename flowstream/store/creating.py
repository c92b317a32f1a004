"""Start a stack file: all that is known before its flow is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flowstream.codec import Codec
from flowstream.errors import ParameterError
from flowstream.store import COMPRESSIONS
from flowstream.store.attributes import compose_attributes
from flowstream.store.writer import StackWriter
from flowstream.types import Size


def create_stack(
    path: str | Path,
    *,
    size: Size,
    method: Any,
    sampling: Any,
    codec: Codec,
    source: str,
    source_bytes: int,
    fps: float,
    source_size: Size,
    compression: str = "lz4hc",
    rgb: bool = True,
    backward: bool = False,
    consistency: bool = False,
    stabiliser: Any = None,
) -> StackWriter:
    """A writer of one stack file, to be used in a `with` statement.

    The file is written to `PATH.part`. At the end of the block it is checked, flushed to the disk
    and renamed; after an exception it is removed. A file that stands at `path` is replaced, a
    stale part file too; missing folders are made.

    Parameters
    ----------
    path : str or Path
    size : (rows, columns)
        Of the fields and frames.
    method, sampling : frozen dataclass, or mapping of plain data
        What made the flow; recorded.
    codec : Codec
    source : str
        The video, as it is to be called.
    source_bytes : int
        Its length.
    fps : float
        Its frames per second; 0 if unknown.
    source_size : (rows, columns)
        Its size as shown.
    compression : str
        A name in `COMPRESSIONS`.
    rgb : bool
        Whether each frame comes with its JPEG image.
    backward : bool
        Whether the flow from each frame to the one before comes too.
    consistency : bool
        Whether masks of consistent pixels come too.
    stabiliser : frozen dataclass, or mapping of plain data, optional
        How the camera's motion was found, where it was taken out of the flow; recorded. Each pair
        then comes with its homography.

    Raises
    ------
    ParameterError, UnknownNameError
        If a parameter cannot be recorded. The writer itself raises `StackError` where the file
        cannot be written or is incomplete at the end of the block.
    """
    for name, value in (("rows", size[0]), ("columns", size[1])):
        if value < 1:
            raise ParameterError(f"{path}: got {value} {name}, expected at least 1")
    attributes = compose_attributes(
        method=method,
        sampling=sampling,
        codec=codec,
        source=source,
        source_bytes=source_bytes,
        fps=fps,
        source_size=source_size,
        compression=compression,
        stabiliser=stabiliser,
    )
    return StackWriter(
        Path(path),
        attributes,
        codec=codec,
        size=(int(size[0]), int(size[1])),
        compression=COMPRESSIONS[compression],
        rgb=rgb,
        backward=backward,
        consistency=consistency,
    )
