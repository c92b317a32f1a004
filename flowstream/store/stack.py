"""Read a stack, a window, a field or an image, in any process and thread."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from operator import index as as_integer
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowstream.codec import Codec
from flowstream.errors import ParameterError, StackError
from flowstream.store.jpeg import decode_jpeg, jpeg_size
from flowstream.store.opening import Region, region_shape
from flowstream.store.spec import FlowSpec
from flowstream.store.stack_file import StackFile
from flowstream.store.summary import summarise
from flowstream.types import Codes, Images, Size, Vectors

_BLOCK = 16
"""Number of fields that are read at once if all fields are read."""


def open_stack(path: str | Path) -> Stack:
    """Open a stack file for reading.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Stack
        Usable as a context manager. It can be pickled, and used in forked and spawned processes
        and in threads.

    Raises
    ------
    StackError
        If the file is not a complete stack that this version can read.
    """
    return Stack(path)


class Stack(StackFile):
    """Flow of one video, its frames and its settings; see `open_stack`."""

    def __repr__(self) -> str:
        rows, columns = self.size
        return f"<stack of {self.num_fields} fields {columns}x{rows}: {self.path}>"

    @property
    def num_fields(self) -> int:
        """Number of fields, one less than frames."""
        return self.num_frames - 1

    @property
    def size(self) -> Size:
        """Rows and columns of the fields and frames."""
        return self.header.size

    @property
    def fps(self) -> float:
        """Frames per second of the source; 0 if unknown."""
        return self.header.fps

    @property
    def method(self) -> dict[str, Any]:
        """Name and parameters of the flow method."""
        return dict(self.header.method)

    @property
    def sampling(self) -> dict[str, Any]:
        """Selection of the frames of the source, and their size."""
        return dict(self.header.sampling)

    @property
    def codec(self) -> Codec:
        """Codec of the vectors."""
        return self.header.codec

    @cached_property
    def spec(self) -> FlowSpec:
        """Flow spec of a model that is trained on this flow."""
        return self.header.spec

    @property
    def source(self) -> str:
        """Name of the video."""
        return self.header.source

    @property
    def compression(self) -> str:
        """Name of the compression."""
        return self.header.compression

    @property
    def stabiliser(self) -> dict[str, Any] | None:
        """Name and parameters of the stabiliser; None if the camera's motion is in the flow."""
        return None if self.header.stabiliser is None else dict(self.header.stabiliser)

    @property
    def clipped(self) -> float:
        """Share of the vectors at the codec's bound."""
        return self.header.clipped

    @property
    def below_step(self) -> float:
        """Share of the vectors longer than 1/64 pixel that are stored as zero."""
        return self.header.below_step

    @property
    def has_rgb(self) -> bool:
        """True if the images of the frames are stored."""
        return "rgb" in self.outputs

    @property
    def has_backward(self) -> bool:
        """True if flow from each frame back to the one before is stored."""
        return "backward" in self.outputs

    @property
    def has_consistency(self) -> bool:
        """True if masks of the agreement of forward and backward flow are stored."""
        return "consistency" in self.outputs

    @property
    def frame_index(self) -> NDArray[np.int32]:
        """Index of each sampled frame in the source, `(T,)`; field k goes from frame k to k+1."""
        return self.read("frame")

    @property
    def time(self) -> NDArray[np.float64]:
        """Presentation time of each sampled frame, `(T,)`, seconds."""
        return self.read("time")

    @property
    def corrupt(self) -> NDArray[np.int32]:
        """Index in the source of each frame that the decoder reported as corrupt."""
        return self.read("corrupt") if "corrupt" in self.outputs else np.zeros(0, np.int32)

    @property
    def consistency(self) -> NDArray[np.float32]:
        """Share of the consistent pixels of each pair, `(T-1,)`."""
        return self.read("consistency")

    @property
    def homographies(self) -> NDArray[np.float64]:
        """Motion of the camera from each frame to the next, `(T-1, 3, 3)`, pixels (x, y, 1).

        The fields do not contain this motion; `motion.with_camera` adds it.
        """
        return self.read("homography")

    @property
    def inliers(self) -> NDArray[np.float32]:
        """Share of the matches that move with the camera, `(T-1,)`; 0 for a static camera."""
        return self.read("inliers")

    def codes(self, start: int, length: int, *, region: Region | None = None) -> Codes:
        """Return fields `start` to `start + length` as stored, `(2L, H, W)`: dx0 dy0 dx1 ....

        Parameters
        ----------
        start, length : int
        region : pair of slices, optional
            Rows and columns to return; default: all.

        Raises
        ------
        ParameterError
            If the stack has no such fields.
        StackError
            If the fields are damaged.
        """
        start, stop = self._bounds(start, length)
        return self.read("flow", 2 * start, 2 * stop, region=region)

    def window(self, start: int, length: int, *, region: Region | None = None) -> Vectors:
        """Return fields `start` to `start + length`, `(2L, H, W)` float32 pixels.

        Parameters and errors are those of `codes`.
        """
        start, stop = self._bounds(start, length)
        return self._decode("flow", 2 * start, 2 * stop, region=region)

    def field(self, k: int) -> Vectors:
        """Return the flow from frame k to k+1, `(2, H, W)` float32 pixels; errors as in `codes`."""
        return self.window(k, 1)

    def fields(self) -> Iterator[Vectors]:
        """Yield all fields in order, each `(2, H, W)` float32 pixels, with few in memory."""
        for start in range(0, self.num_fields, _BLOCK):
            block = self.window(start, min(_BLOCK, self.num_fields - start))
            yield from block.reshape(-1, 2, *self.size)

    def backward_codes(self, start: int, length: int) -> Codes:
        """Return backward fields as stored; `StackError` if there are none, else as `codes`."""
        start, stop = self._bounds(start, length)
        return self.read("flow_backward", 2 * start, 2 * stop)

    def backward_window(self, start: int, length: int) -> Vectors:
        """Return backward fields `start` to `start + length`, `(2L, H, W)` float32 pixels."""
        start, stop = self._bounds(start, length)
        return self._decode("flow_backward", 2 * start, 2 * stop)

    def backward_field(self, k: int) -> Vectors:
        """Return the flow from frame k+1 back to frame k, `(2, H, W)` float32 pixels.

        The field is anchored on frame k+1: the point at (x, y) in frame k+1 is at (x+dx, y+dy) in
        frame k. Errors are those of `backward_codes`.
        """
        return self.backward_window(k, 1)

    def consistent(self, k: int) -> NDArray[np.bool_]:
        """Return the pixels of frame k where forward and backward flow agree, `(H, W)`.

        The masks were computed from the estimated flow, before it was quantised or stabilised; see
        `motion.consistency`. Errors are those of `backward_codes`.
        """
        k, _ = self._bounds(k, 1)
        packed = self.read("consistent", k, k + 1)[0]
        return np.unpackbits(packed, axis=-1, count=self.size[1]).astype(np.bool_)

    def jpeg(self, t: int) -> bytes:
        """Return the image of frame t as JPEG bytes.

        Raises
        ------
        ParameterError
            If the stack has no frame t.
        StackError
            If the stack has no images, or the image is damaged.
        """
        t = as_integer(t)
        if not 0 <= t < self.num_frames:
            raise ParameterError(f"{self.path}: got frame {t}, expected 0 to {self.num_frames - 1}")
        ends = self._image_ends
        start, stop = (int(ends[t - 1]) if t else 0), int(ends[t])
        if not 0 <= start < stop:
            raise StackError(f"{self.path}: image of frame {t} has no bytes; extract it again")
        return self.read("rgb", start, stop).tobytes()

    def rgb(self, t: int) -> Images:
        """Return frame t, `(H, W, 3)` uint8 RGB; errors are those of `jpeg`."""
        encoded = self.jpeg(t)
        try:
            # The size is checked first, because the decoder allocates what the image states.
            seen = jpeg_size(encoded)
            image = decode_jpeg(encoded) if seen == self.size else None
        except StackError as error:
            raise StackError(f"{self.path}: image of frame {t}: {error}") from error
        if image is None or image.shape[:2] != self.size:
            raise StackError(f"{self.path}: image of frame {t} is {seen}, expected {self.size}")
        return image

    def summary(self) -> dict[str, Any]:
        """Return the header, counts and sizes on disk as plain data for JSON."""
        return summarise(self)

    @cached_property
    def _image_ends(self) -> NDArray[np.int64]:
        return self.read("rgb_end")

    def _decode(self, name: str, start: int, stop: int, *, region: Region | None = None) -> Vectors:
        """Return planes as vectors; each chunk is decoded while it is in the processor's cache."""
        opened, _ = self._find(name, start, stop)
        codec = self.codec
        vectors = np.empty((stop - start, *region_shape(self.size, region)), np.float32)
        for first, codes in opened.pieces(name, start, stop):
            chosen = codes if region is None else codes[:, region[0], region[1]]
            codec.decode(chosen, out=vectors[first : first + len(codes)])
        return vectors

    def _bounds(self, start: int, length: int) -> tuple[int, int]:
        start, length = as_integer(start), as_integer(length)
        if length < 1 or start < 0 or start + length > self.num_fields:
            raise ParameterError(
                f"{self.path}: got {length} fields from {start}, expected at least 1 "
                f"of the fields 0 to {self.num_fields - 1}"
            )
        return start, start + length
