"""Write a stack: streaming, a few fields in memory, and all or nothing."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from flowstream.codec import Codec
from flowstream.errors import ParameterError, ShapeError, StackError
from flowstream.store.attributes import write_attributes
from flowstream.store.checksum import Checksum
from flowstream.store.compression import Compression
from flowstream.store.growing import Growing, GrowingFlow
from flowstream.store.jpeg import jpeg_size
from flowstream.store.part_file import PartFile
from flowstream.types import Codes, Size, Vectors

# Object headers and indices of HDF5 1.10 (2016) on carry checksums; older ones fail silently, or
# crash the library, when damaged. The newest that the library knows would shut older readers out.
_LIBRARY_VERSIONS = ("v110", "v110")

_IMAGES_PER_CHUNK = 256
"""Of references to images, 16 bytes each: one page."""


class StackWriter:
    """Adds frames and fields to a stack file; made by `create_stack`."""

    def __init__(
        self,
        path: Path,
        attributes: dict[str, Any],
        *,
        codec: Codec,
        size: Size,
        compression: Compression,
        rgb: bool,
        backward: bool,
        consistency: bool,
    ) -> None:
        self.path = path
        self.codec = codec
        self.size = size
        self.rgb = rgb
        self.backward = backward
        self.consistency = consistency
        self.stabilised = "stabiliser" in attributes
        self._attributes = attributes
        self._compression = compression
        self._file: h5py.File | None = None
        self._flows: dict[str, GrowingFlow] = {}
        self._checksum = Checksum()
        # some bytes a frame, the one thing that grows with the video
        self._frames, self._times = array("i"), array("d")
        self._fractions, self._inliers = array("f"), array("f")
        self._homographies = array("d")

    @property
    def num_frames(self) -> int:
        """Frames added so far."""
        return len(self._frames)

    @property
    def num_fields(self) -> int:
        """Fields added so far."""
        return self._flows["flow"].num_fields if self._flows else 0

    def __enter__(self) -> StackWriter:
        self._part = PartFile(self.path)
        try:
            with self._writing():
                self._file = h5py.File(self._part, "w", libver=_LIBRARY_VERSIONS)
                self._prepare(self._file)
        except BaseException:
            self._abandon()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._abandon()

    def add_frame(self, index: int, seconds: float, jpeg: bytes | None = None) -> None:
        """Add the next sampled frame.

        Parameters
        ----------
        index : int
            Its index in the source, 0-based, counted by decoding; may repeat, never falls.
        seconds : float
            Its presentation time.
        jpeg : bytes or None
            Its image, where the stack holds images.

        Raises
        ------
        ParameterError
            If the index falls, or the time is not finite.
        StackError
            If an image is missing, unasked for, of another size, or cannot be written.
        """
        self._check_open()
        last = self._frames[-1] if self._frames else 0
        if index < last:
            raise ParameterError(f"{self.path}: got frame {index} after frame {last}")
        if not math.isfinite(seconds):
            raise ParameterError(f"{self.path}: frame {index}: got time {seconds}")
        if (jpeg is not None) != self.rgb:
            seen, expected = ("no", "one") if self.rgb else ("an", "none")
            raise StackError(f"{self.path}: frame {index}: got {seen} image, expected {expected}")
        if jpeg is not None:
            self._add_image(jpeg)
        self._frames.append(index)
        self._times.append(seconds)
        self._checksum.add_frame(index, seconds)

    def add_fields(self, vectors: Vectors) -> None:
        """Add the next fields, `(n, 2, H, W)` float32 pixels, each from a frame to the next.

        Raises
        ------
        ShapeError
            If they are not of the stack's size.
        CodecError
            If a vector is not finite.
        StackError
            If they cannot be written.
        """
        self._checksum.add_codes(self._encode_to("flow", vectors))

    def add_backward_fields(self, vectors: Vectors) -> None:
        """Add the next backward fields, each from a frame to the one before it.

        `(n, 2, H, W)` float32 pixels, in the order of `add_fields`: field k goes from frame k+1 to
        frame k. Raises as `add_fields`; `StackError` too if the stack was to have none.
        """
        self._check_wanted(self.backward, "backward fields")
        codes = self._encode_to("flow_backward", vectors)
        self._checksum.add_optional("flow_backward", codes)

    def add_consistency(self, consistent: NDArray[np.bool_]) -> None:
        """Add the next masks `(n, H, W)`; raises as `add_backward_fields`."""
        self._check_wanted(self.consistency, "masks of consistency")
        self._check_shape(consistent, "masks", self.size)
        packed = np.packbits(consistent, axis=-1)
        with self._writing():
            self._consistent.append(packed)
        self._fractions.extend(consistent.mean(axis=(1, 2)).tolist())
        self._checksum.add_optional("consistent", packed)

    def add_cameras(self, homographies: NDArray[np.float64], inliers: NDArray[np.float32]) -> None:
        """Add the next homographies `(n, 3, 3)` and inlier fractions `(n,)`, taken out of the flow.

        Raises
        ------
        ShapeError, ParameterError
            If they are not so many matrices and fractions, or not finite.
        StackError
            If the stack was to have none.
        """
        self._check_wanted(self.stabilised, "homographies")
        self._check_shape(homographies, "homographies", (3, 3))
        if inliers.shape != (len(homographies),):
            seen, expected = inliers.shape, (len(homographies),)
            raise ShapeError(f"{self.path}: inlier fractions: got {seen}, expected {expected}")
        if not (np.isfinite(homographies).all() and ((inliers >= 0) & (inliers <= 1)).all()):
            raise ParameterError(
                f"{self.path}: homographies of inlier fractions {inliers.tolist()}: expected "
                "finite numbers, and fractions"
            )
        self._homographies.extend(homographies.ravel().tolist())
        self._inliers.extend(inliers.tolist())

    def _encode_to(self, item: str, vectors: Vectors) -> Codes:
        self._check_open()
        self._check_shape(vectors, "fields", (2, *self.size))
        codes = self.codec.encode(vectors)
        with self._writing():
            self._flows[item].append(codes)
        return codes

    def _check_open(self) -> None:
        if self._file is None:
            raise StackError(f"{self.path}: not being written; use: with create_stack(...)")

    def _check_wanted(self, wanted: bool, what: str) -> None:
        self._check_open()
        if not wanted:
            raise StackError(f"{self.path}: got {what}, expected none: see create_stack")

    def _check_shape(self, values: NDArray[Any], what: str, item: tuple[int, ...]) -> None:
        if not values.ndim or values.shape[1:] != item:
            seen, expected = values.shape, ", ".join(["n", *map(str, item)])
            raise ShapeError(f"{self.path}: {what} have shape {seen}, expected ({expected})")

    def _prepare(self, file: h5py.File) -> None:
        """Make the data sets that grow, and all attributes."""
        filters = self._compression(self.codec.dtype.itemsize)
        self._flows = {
            name: GrowingFlow(file, name, codec=self.codec, size=self.size, filters=filters)
            for name in ("flow", *["flow_backward"] * self.backward)
        }
        if self.consistency:
            mask = (self.size[0], -(-self.size[1] // 8))
            self._consistent = Growing(
                file, "consistent", mask, dtype=np.uint8, chunk=1, filters=self._compression(1)
            )
        # before any image: see `flowstream.store.heap`
        write_attributes(file, {**self._attributes, "clipped": 0.0, "checksum": "0" * 32})
        if self.rgb:
            kind = h5py.vlen_dtype(np.uint8)
            self._images = Growing(file, "rgb", dtype=kind, chunk=_IMAGES_PER_CHUNK, filters={})

    def _add_image(self, jpeg: bytes) -> None:
        seen = jpeg_size(jpeg)
        if seen != self.size:
            raise StackError(f"{self.path}: image of {seen} rows and columns, expected {self.size}")
        with self._writing():
            self._images.append_one(np.frombuffer(jpeg, np.uint8))
        self._checksum.add_image(jpeg)

    def _finish(self) -> None:
        """Check that the stack is whole, complete the file, and give it its name."""
        if self.num_frames < 2:
            raise StackError(f"{self.path}: got {self.num_frames} frames, expected at least 2")
        counts = {"fields": self.num_fields}
        if self.backward:
            counts["backward fields"] = self._flows["flow_backward"].num_fields
        if self.consistency:
            counts["masks of consistency"] = len(self._fractions)
        if self.stabilised:
            counts["homographies"] = len(self._inliers)
        for name, count in counts.items():
            if count != self.num_frames - 1:
                raise StackError(
                    f"{self.path}: got {count} {name} for {self.num_frames} frames, "
                    f"expected {self.num_frames - 1}"
                )
        with self._writing():
            self._complete()
            self._part.publish()

    def _complete(self) -> None:
        """Write what is known only now, and close the file."""
        assert self._file is not None
        file, attributes = self._file, self._attributes
        small: dict[str, NDArray[Any]] = {}
        if self.consistency:
            small["consistency"] = np.array(self._fractions, np.float32)
        if self.stabilised:
            small["homography"] = np.array(self._homographies, np.float64).reshape(-1, 3, 3)
            small["inliers"] = np.array(self._inliers, np.float32)
        for name, flow in self._flows.items():
            attributes[name.replace("flow", "clipped")] = flow.clipped
            file[name].attrs.modify("clipped", flow.clipped)
        for name, values in small.items():
            self._checksum.add_optional(name, values)
        attributes["checksum"] = self._checksum.hexdigest(attributes)
        small["frame"] = np.array(self._frames, np.int32)
        small["time"] = np.array(self._times, np.float64)
        for name, values in small.items():
            file.create_dataset(name, data=values)
        file.attrs.modify("checksum", attributes["checksum"])
        file.close()

    def _abandon(self) -> None:
        """Close and remove the part file, unless it was published."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
        self._part.discard()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn what HDF5 and the system raise, or hold back, into one line."""
        try:
            yield
            if self._part.failure is not None:
                raise self._part.failure
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise StackError(f"{self.path}: cannot write: {reason}") from error
