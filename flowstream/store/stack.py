"""Read a stack: whole, a field, a window, an image; in any process and thread."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from operator import index as whole_number
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ParameterError, StackError
from flowstream.plugins import provenance
from flowstream.store.attributes import read_attributes
from flowstream.store.described import Described
from flowstream.store.description import describe
from flowstream.store.jpeg import decode_jpeg
from flowstream.store.opening import OpenedFile, reading
from flowstream.types import Codes, Images, Vectors

_BLOCK = 16
"""Fields that are read at once where all are."""


def open_stack(path: str | Path) -> Stack:
    """Open a stack file for reading.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Stack
        Usable as a context manager. It can be pickled, and used in forked and spawned processes
        and in threads: each process opens the file for itself.

    Raises
    ------
    StackError
        If the file is not a complete stack that this version can read.
    """
    return Stack(path)


class Stack(Described):
    """The flow of one video, its frames and what made them; see `open_stack`.

    What it says about itself is read once and stays known. `close` releases the file; reading
    more opens it again.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self._opened: OpenedFile | None = None
        with reading(self.path):
            opened = OpenedFile(self.path)
            try:
                self._description = describe(opened.file, self.path)
            except BaseException:
                opened.close()
                raise
            self._opened = opened
            self._stamp = opened.stamp

    def __enter__(self) -> Stack:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def __repr__(self) -> str:
        rows, columns = self.size
        return f"<stack of {self.num_fields} fields {columns}x{rows}: {self.path}>"

    def close(self) -> None:
        """Release the file."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    @property
    def frame_index(self) -> NDArray[np.int32]:
        """Index of each sampled frame in the source, `(T,)`; field k goes from frame k to k+1."""
        with self._reading() as opened:
            return opened.file["frame"][()]  # type: ignore[no-any-return]

    @property
    def time(self) -> NDArray[np.float64]:
        """Presentation time of each sampled frame, `(T,)`, seconds."""
        with self._reading() as opened:
            return opened.file["time"][()]  # type: ignore[no-any-return]

    def codes(self, start: int, length: int) -> Codes:
        """Fields `start` to `start + length` as they are stored, `(2L, H, W)`: dx0 dy0 dx1 ....

        Raises
        ------
        ParameterError
            If the stack has no such fields.
        StackError
            If they cannot be read.
        """
        start, stop = self._bounds(start, length)
        with self._reading() as opened:
            return opened.flow[2 * start : 2 * stop]  # type: ignore[no-any-return]

    def window(self, start: int, length: int) -> Vectors:
        """Fields `start` to `start + length`, `(2L, H, W)` float32 pixels; raises as `codes`."""
        return self.codec.decode(self.codes(start, length))

    def field(self, k: int) -> Vectors:
        """The flow from frame k to frame k+1, `(2, H, W)` float32 pixels; raises as `codes`."""
        return self.window(k, 1)

    def fields(self) -> Iterator[Vectors]:
        """All fields in order, `(2, H, W)` float32 pixels each; memory holds a few."""
        for start in range(0, self.num_fields, _BLOCK):
            block = self.window(start, min(_BLOCK, self.num_fields - start))
            yield from block.reshape(-1, 2, *self.size)

    def backward_codes(self, start: int, length: int) -> Codes:
        """As `codes`, of the backward fields; a `StackError` too where there are none."""
        start, stop = self._bounds(start, length)
        if not self.has_backward:
            raise self._lacking("backward flow", "--backward")
        with self._reading() as opened:
            return opened.backward[2 * start : 2 * stop]  # type: ignore[no-any-return]

    def backward_window(self, start: int, length: int) -> Vectors:
        """Backward fields `start` to `start + length`, `(2L, H, W)` float32 pixels."""
        return self.codec.decode(self.backward_codes(start, length))

    def backward_field(self, k: int) -> Vectors:
        """The flow from frame k+1 back to frame k, `(2, H, W)` float32 pixels.

        It is anchored on frame k+1, as the field from k to k+1 is on frame k: what is at (x, y) in
        frame k+1 is at (x+dx, y+dy) in frame k. Raises as `backward_codes`.
        """
        return self.backward_window(k, 1)

    def consistent(self, k: int) -> NDArray[np.bool_]:
        """Where backward flow takes pixels of frame k back that field k took away, `(H, W)`.

        Of the flow as it was estimated, before it was quantised or stabilised. See
        `motion.consistency`. Raises as `backward_codes`.
        """
        k, _ = self._bounds(k, 1)
        if not self.has_consistency:
            raise self._lacking("masks of consistency", "--consistency")
        with self._reading() as opened:
            packed = opened.consistent[k]
        return np.unpackbits(packed, axis=-1, count=self.size[1]).astype(np.bool_)

    @property
    def consistency(self) -> NDArray[np.float32]:
        """Fraction of the pixels that are consistent, of each pair, `(T-1,)`."""
        if not self.has_consistency:
            raise self._lacking("masks of consistency", "--consistency")
        with self._reading() as opened:
            return opened.file["consistency"][()]  # type: ignore[no-any-return]

    @property
    def homographies(self) -> NDArray[np.float64]:
        """The camera's motion from each frame to the next, `(T-1, 3, 3)`, pixels (x, y, 1).

        It is not in the fields; `motion.with_camera` puts it in again.
        """
        if self.stabiliser is None:
            raise self._lacking("homographies", "--stabilise homography")
        with self._reading() as opened:
            return opened.file["homography"][()]  # type: ignore[no-any-return]

    @property
    def inliers(self) -> NDArray[np.float32]:
        """Share of the matches that move with the camera, `(T-1,)`; 0: taken to stand still."""
        if self.stabiliser is None:
            raise self._lacking("homographies", "--stabilise homography")
        with self._reading() as opened:
            return opened.file["inliers"][()]  # type: ignore[no-any-return]

    def jpeg(self, t: int) -> bytes:
        """The image of frame t as JPEG bytes.

        Raises
        ------
        ParameterError
            If the stack has no frame t.
        StackError
            If it holds no images, or this one cannot be read.
        """
        t = whole_number(t)
        if not 0 <= t < self.num_frames:
            raise ParameterError(f"{self.path}: got frame {t}, expected 0 to {self.num_frames - 1}")
        with self._reading() as opened:
            if opened.images is None:
                raise self._lacking("images", "--rgb")
            return opened.images.read(t)

    def rgb(self, t: int) -> Images:
        """Frame t, `(H, W, 3)` uint8 RGB; raises as `jpeg`."""
        encoded = self.jpeg(t)
        try:
            image = decode_jpeg(encoded)
        except StackError as error:
            raise StackError(f"{self.path}: image of frame {t}: {error}") from error
        if image.shape[:2] != self.size:
            raise StackError(
                f"{self.path}: image of frame {t} is {image.shape[:2]}, expected {self.size}"
            )
        return image

    def attributes(self) -> dict[str, Any]:
        """The attributes as they stand in the file, those of `/flow` too."""
        with self._reading() as opened:
            return read_attributes(opened.file, self.path)

    def summary(self) -> dict[str, Any]:
        """What the stack says about itself, and its size on disk, as plain data for JSON."""
        with self._reading() as opened:
            seconds = opened.file["time"][()]
            stored = opened.flow.id.get_storage_size()
            raw = int(opened.flow.size) * opened.flow.dtype.itemsize
            back = opened.backward.id.get_storage_size() if self.has_backward else None
        optional: dict[str, Any] = {} if back is None else {"flow_backward_bytes": back}
        if self.has_consistency:
            optional["consistency"] = float(self.consistency.mean())
        if self.stabiliser is not None:
            optional["inliers"] = float(self.inliers.mean())
            optional["stabilised"] = float((self.inliers > 0).mean())
        # what a stack does not have goes without saying
        described = provenance(self._description)
        absent = [name for name in ("clipped_backward", "stabiliser") if described[name] is None]
        return {
            "path": str(self.path),
            **{name: value for name, value in described.items() if name not in absent},
            "num_fields": self.num_fields,
            "seconds": float(seconds[-1] - seconds[0]),
            "bytes": self.path.stat().st_size,
            "flow_bytes": stored,
            "raw_flow_bytes": raw,
            "compression_ratio": raw / stored,
            **optional,
        }

    def _bounds(self, start: int, length: int) -> tuple[int, int]:
        start, length = whole_number(start), whole_number(length)
        if length < 1 or start < 0 or start + length > self.num_fields:
            raise ParameterError(
                f"{self.path}: got {length} fields from {start}, expected at least 1 "
                f"of the fields 0 to {self.num_fields - 1}"
            )
        return start, start + length

    def _lacking(self, what: str, option: str) -> StackError:
        return StackError(f"{self.path}: holds no {what}; extract it again with {option}")

    @contextmanager
    def _reading(self) -> Iterator[OpenedFile]:
        """The file as this process opened it; what reading it raises becomes one line."""
        with reading(self.path):
            opened = self._opened
            # HDF5 keeps state of its own: a forked process must not use its parent's
            if opened is None or opened.process != os.getpid():
                opened = OpenedFile(self.path)
                if opened.stamp != self._stamp and opened.file.attrs["checksum"] != self.checksum:
                    opened.close()
                    raise StackError(f"{self.path}: was replaced since it was opened; open it anew")
                self._opened, self._stamp = opened, opened.stamp
            yield opened
