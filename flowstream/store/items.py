"""The items of a stack file, format 2, declared once.

`ITEMS` is the format: writer, reader, verifier, size estimate and the format page of the
documentation iterate over it. The items of computed outputs are declared in
`flowstream.store.outputs`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

from flowstream.codec import Codec
from flowstream.errors import ParameterError, did_you_mean
from flowstream.store.item import Item, check_finite, check_fractions, check_indices
from flowstream.store.outputs import OUTPUTS
from flowstream.types import Size

_FLOW = {
    "dtype": "codec",
    "chunk": 2,
    "compressed": True,
    "packing": "codec",
    "check": check_finite,
}

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
        check=check_indices,
    ),
    Item(
        "time", "f8", ("frame",), "presentation time of each sampled frame", "s", check=check_finite
    ),
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
        check=check_indices,
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
    *(item for name in OUTPUTS for item in OUTPUTS[name].items),
    Item(
        "homography",
        "f8",
        ("pair", "row", "column"),
        "motion of the camera from frame k to frame k + 1, in pixels (x, y, 1); flow is without it",
        output="camera",
        option="--stabilise homography",
        check=check_finite,
    ),
    Item(
        "inliers",
        "f4",
        ("pair",),
        "share of the matches that move with the camera; 0: the homography is the identity",
        output="camera",
        option="--stabilise homography",
        check=check_fractions,
    ),
    Item(
        "corrupt",
        "i4",
        ("corrupt_frame",),
        "index in the source of each frame that the decoder reported as corrupt",
        output="corrupt",
        option="--max-corrupt",
        check=check_indices,
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
            # bytes per frame count as bytes per pair: a long video has as many of both
            entries -= item.dimensions[0] == "frame"
            total += entries * item.entry_bytes(size, codec)
    return total
