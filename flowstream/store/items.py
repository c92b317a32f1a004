"""The items of a stack file, format 2, declared once.

`ITEMS` is the format: writer, reader, verifier, size estimate and the format page of the
documentation iterate over it. A new optional output is one entry here and the code that computes
its values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowstream.codec import Codec
from flowstream.errors import ParameterError, did_you_mean
from flowstream.types import Size

DIMENSIONS: Mapping[str, Callable[[Size, int], int]] = {
    "frame": lambda size, frames: frames,
    "pair": lambda size, frames: frames - 1,
    "plane": lambda size, frames: 2 * (frames - 1),
    "y": lambda size, frames: size[0],
    "x": lambda size, frames: size[1],
    "x8": lambda size, frames: -(-size[1] // 8),
    "row": lambda size, frames: 3,
    "column": lambda size, frames: 3,
}
"""Length of each named dimension, from the size of a field and the number of frames.

A first dimension with another name is as long as the data.
"""

COORDINATE = "frame"
"""Item that holds the values of the dimension of the same name."""


@dataclass(frozen=True)
class Item:
    """Dataset of a stack file.

    Parameters
    ----------
    name : str
        Name of the HDF5 dataset, without the slash.
    dtype : str
        Type of the stored values: a NumPy type code, or "codec" for the codec's type.
    dimensions : tuple of str
        Names of its dimensions; see `DIMENSIONS`. The first one grows while the file is written.
    long_name : str
        Meaning, in one line; stored as the attribute `long_name`.
    units : str
        Units of the values as CF defines them; "1" for pure numbers.
    chunk : int
        Entries along the first dimension in each chunk. 0: the item is kept in memory while the
        file is written, and stored contiguously at the end.
    compressed : bool
        True if the chunks are compressed.
    packing : str
        "codec": flow vectors, stored as codes; "bits": boolean values, eight to a byte along the
        last dimension; "none": stored as they are.
    output : str or None
        Optional output that the item belongs to; None for items of every stack.
    option : str
        Option of `flowstream extract` that stores the item.
    check : function or None
        Raises `ValueError` if decoded entries `(n, ...)` are invalid; the second argument gives the
        entries of another item at the same place.
    """

    name: str
    dtype: str
    dimensions: tuple[str, ...]
    long_name: str
    units: str = "1"
    chunk: int = 0
    compressed: bool = False
    packing: str = "none"
    output: str | None = None
    option: str = ""
    check: Callable[[NDArray[Any]], None] | None = None

    def stored_dtype(self, codec: Codec) -> np.dtype[Any]:
        """Return the type of the stored values, little-endian."""
        dtype = codec.dtype if self.dtype == "codec" else np.dtype(self.dtype)
        little: np.dtype[Any] = dtype.newbyteorder("<")
        return little

    def entry_shape(self, size: Size) -> tuple[int, ...]:
        """Return the shape of one entry along the first dimension, as stored."""
        return tuple(DIMENSIONS[name](size, 0) for name in self.dimensions[1:])

    def entry_bytes(self, size: Size, codec: Codec) -> int:
        """Return the number of bytes of one entry before compression."""
        return math.prod(self.entry_shape(size)) * self.stored_dtype(codec).itemsize

    def length(self, size: Size, num_frames: int) -> int | None:
        """Return the number of entries in a stack of `num_frames`; None if the data decide."""
        rule = DIMENSIONS.get(self.dimensions[0])
        return None if rule is None else rule(size, num_frames)


def _finite(values: NDArray[Any]) -> None:
    if not np.isfinite(values).all():
        raise ValueError("holds values that are not finite")


def _fractions(values: NDArray[Any]) -> None:
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("holds values outside 0 to 1")


def _indices(values: NDArray[Any]) -> None:
    if len(values) and (values[0] < 0 or (np.diff(values.astype(np.int64)) < 0).any()):
        raise ValueError("holds indices that are negative or decrease")


_FLOW = {"dtype": "codec", "chunk": 2, "compressed": True, "packing": "codec", "check": _finite}

_DECLARED = (
    Item(
        "flow",
        dimensions=("plane", "y", "x"),
        long_name="optical flow, planes dx0 dy0 dx1 dy1 ...: what is at (x, y) in frame k is at "
        "(x + dx, y + dy) in frame k + 1",
        units="pixel",
        **_FLOW,  # type: ignore[arg-type]
    ),
    Item(
        "frame",
        "i4",
        ("frame",),
        "index of each sampled frame in the source, 0-based, counted by decoding",
        check=_indices,
    ),
    Item("time", "f8", ("frame",), "presentation time of each sampled frame", "s", check=_finite),
    Item(
        "rgb",
        "u1",
        ("rgb_byte",),
        "JPEG images of the sampled frames, one after the other",
        chunk=8192,
        output="rgb",
        option="--rgb",
    ),
    Item(
        "rgb_end",
        "i8",
        ("frame",),
        "end of the image of each frame in rgb; the next image starts there",
        units="byte",
        output="rgb",
        option="--rgb",
        check=_indices,
    ),
    Item(
        "flow_backward",
        dimensions=("plane", "y", "x"),
        long_name="optical flow back in time: what is at (x, y) in frame k + 1 is at "
        "(x + dx, y + dy) in frame k",
        units="pixel",
        output="backward",
        option="--backward",
        **_FLOW,  # type: ignore[arg-type]
    ),
    Item(
        "consistent",
        "u1",
        ("pair", "y", "x8"),
        "1 where forward and backward flow agree; 8 pixels in a byte, the first is the highest bit",
        chunk=1,
        compressed=True,
        packing="bits",
        output="consistency",
        option="--consistency",
    ),
    Item(
        "consistency",
        "f4",
        ("pair",),
        "share of the pixels of each pair where forward and backward flow agree",
        output="consistency",
        option="--consistency",
        check=_fractions,
    ),
    Item(
        "homography",
        "f8",
        ("pair", "row", "column"),
        "motion of the camera from frame k to frame k + 1, in pixels (x, y, 1); flow is without it",
        output="camera",
        option="--stabilise homography",
        check=_finite,
    ),
    Item(
        "inliers",
        "f4",
        ("pair",),
        "share of the matches that move with the camera; 0: the homography is the identity",
        output="camera",
        option="--stabilise homography",
        check=_fractions,
    ),
    Item(
        "corrupt",
        "i4",
        ("corrupt_frame",),
        "index in the source of each frame that the decoder reported as corrupt",
        output="corrupt",
        option="--max-corrupt",
        check=_indices,
    ),
)

ITEMS: dict[str, Item] = {item.name: item for item in _DECLARED}
"""All items by name, in the order in which they are stored."""


def known_outputs() -> tuple[str, ...]:
    """Return the names of the optional outputs, in the order of the table."""
    return tuple(dict.fromkeys(item.output for item in ITEMS.values() if item.output))


def items_of(outputs: Collection[str]) -> Iterator[Item]:
    """Yield the items of a stack with these optional outputs.

    Raises
    ------
    ParameterError
        If an output is unknown.
    """
    known = known_outputs()
    for name in outputs:
        if name not in known:
            hint = did_you_mean(name, known)
            raise ParameterError(f"unknown output {name!r}; known: {', '.join(known)}.{hint}")
    yield from (item for item in ITEMS.values() if item.output is None or item.output in outputs)


JPEG_BYTES_PER_PIXEL = 1.0
"""Upper bound: JPEG at quality 95 needs 0.3 to 0.6 bytes per pixel on real clips."""


def bytes_per_pair(size: Size, codec: Codec, outputs: Collection[str]) -> float:
    """Return the bytes that one frame pair needs at most, before compression."""
    total = 0.0
    for item in items_of(outputs):
        entries = item.length(size, 2)
        if item.name == "rgb":
            total += JPEG_BYTES_PER_PIXEL * math.prod(size)
        elif entries is not None:
            # per frame where two frames make a pair: a long video has as many frames as pairs
            entries -= item.dimensions[0] == "frame"
            total += entries * item.entry_bytes(size, codec)
    return total
