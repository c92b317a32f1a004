"""Atomic, streaming writer of a stack that keeps only a few fields in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from flowstream.codec.encoding import EncodedFields
from flowstream.errors import ParameterError, ShapeError, StackError
from flowstream.store.chunks import ChunkedData, Data, KeptData
from flowstream.store.frame_queue import FrameQueue
from flowstream.store.header import Header
from flowstream.store.index import Index, Stored, digest_of, gaps
from flowstream.store.item import Item
from flowstream.store.items import ITEMS
from flowstream.store.layout import (
    create_file,
    describe_items,
    name_dimensions,
    update_header,
    write_header,
)
from flowstream.store.losses import Losses
from flowstream.store.part_file import PartFile
from flowstream.types import Vectors

_MOST_FRAMES = 16
"""Frames that are kept until they are stored together."""


class StackWriter:
    """Writer of the frames and fields of one stack file; made by `flowstream.store.create_stack`.

    After the `with` block, `header` also has `clipped`, `below_step` and `clipped_backward`.
    """

    def __init__(self, path: Path, header: Header, *, items: tuple[Item, ...]) -> None:
        self.path = path
        self.header = header
        self.items = items
        self.outputs = frozenset(item.output for item in items if item.output)
        self._file: h5py.File | None = None
        self._data: dict[str, Data] = {}
        self._frames = FrameQueue(path, header.size, has_rgb="rgb" in self.outputs)
        self.losses = Losses(header)

    @property
    def num_frames(self) -> int:
        """Number of frames added so far."""
        return self._length("frame") + len(self._frames)

    @property
    def num_fields(self) -> int:
        """Number of fields added so far."""
        return self._length("flow") // 2

    def __enter__(self) -> StackWriter:
        self._part = PartFile(self.path)
        try:
            with self._writing():
                self._file = create_file(self._part)
                write_header(self._file, self.header)
                self._data = {item.name: self._start(item) for item in self.items}
        except BaseException:
            self._abandon()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
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
            Index in the source, 0-based, counted by decoding; may repeat, but not decrease.
        seconds : float
            Presentation time.
        jpeg : bytes or None
            Image, if the stack has images.

        Raises
        ------
        ParameterError
            If the index decreases, or the time is not finite.
        StackError
            If an image is missing, unexpected, of another size, or cannot be written.
        """
        self._check_open()
        self._frames.add(index, seconds, jpeg)
        if len(self._frames) >= _MOST_FRAMES:
            self._store_frames()

    def add_fields(
        self, vectors: Vectors | EncodedFields, **optional: NDArray[Any] | EncodedFields
    ) -> None:
        """Add the next fields, each from a frame to the next, and the other items of their pairs.

        Parameters
        ----------
        vectors : (n, 2, H, W), float32; or EncodedFields
            Fields in pixels, or as codes of the stack's codec.
        **optional : arrays of n entries
            Values of the other items that have an entry for each field: `flow_backward`
            like `vectors` from frame k + 1 to frame k; `consistent` (n, H, W) boolean; `homography`
            (n, 3, 3); `inliers` (n,).

        Raises
        ------
        ShapeError
            If an array does not have the size of the stack, or has another number of entries.
        CodecError, ParameterError
            If a vector or another value is invalid.
        StackError
            If an item is missing or unexpected, or cannot be written.
        """
        self._check_open()
        if "consistent" in optional:
            shares = np.asarray(optional["consistent"]).mean(axis=(1, 2), dtype=np.float64)
            optional.setdefault("consistency", shares.astype(np.float32))
        values: dict[str, Any] = {"flow": vectors, **optional}
        expected = {item.name for item in self.items if item.dimensions[0] in ("plane", "pair")}
        for name in sorted(expected ^ values.keys()):
            seen, wanted = ("nothing", "values") if name in expected else ("values", "none")
            raise StackError(f"{self.path}: got {seen} for {name!r}, expected {wanted}")
        # All values are checked before any is stored, so that an error does not change the stack.
        packed = {name: self._pack(ITEMS[name], values[name], len(vectors)) for name in values}
        self._store_frames()
        # Stored in the order of the table, so that equal values give equal files.
        for name in [item.name for item in self.items if item.name in packed]:
            if ITEMS[name].packing == "codec":
                self._count_losses(name, values[name], packed[name])
            given = values[name]
            known = given.chunks if isinstance(given, EncodedFields) else ()
            self._store(name, packed[name], known)

    def add_values(self, name: str, values: ArrayLike) -> None:
        """Add the next entries of an item that is not stored per pair, such as `corrupt`.

        Raises
        ------
        StackError
            If the item is not one of the declared items of the stack.
        """
        self._check_open()
        if name not in self._data:
            raise StackError(f"{self.path}: got values for {name!r}, expected none")
        self._append(name, values)

    def _start(self, item: Item) -> Data:
        kind = ChunkedData if item.chunk else KeptData
        return kind(self._file, item, self.header)

    def _append(self, name: str, values: ArrayLike) -> None:
        self._store(name, self._convert(ITEMS[name], values))

    def _store(self, name: str, stored: NDArray[Any], chunks: Sequence[bytes] = ()) -> None:
        with self._writing():
            self._data[name].append(stored, chunks)

    def _convert(self, item: Item, values: ArrayLike) -> NDArray[Any]:
        """Return checked values in the type that is stored."""
        stored = np.asarray(values, item.stored_dtype(self.header.codec))
        if item.check is not None:
            try:
                item.check(stored)
            except ValueError as error:
                raise ParameterError(f"{self.path}: /{item.name} {error}") from error
        return stored

    def _count_losses(
        self, name: str, values: NDArray[Any] | EncodedFields, stored: NDArray[Any]
    ) -> None:
        if isinstance(values, EncodedFields):
            self.losses.add(name, values)
        else:
            self.losses.count(name, values, stored)

    def _pack(self, item: Item, values: NDArray[Any] | EncodedFields, count: int) -> NDArray[Any]:
        """Return the values of fields as they are stored."""
        size, entry = self.header.size, item.entry_shape(self.header.size)
        encoded = isinstance(values, EncodedFields)
        if isinstance(values, EncodedFields):
            values = values.codes
        shape = {"codec": (2, *size), "bits": size}.get(item.packing, entry)
        if values.shape != (count, *shape):
            raise ShapeError(
                f"{self.path}: {item.name} has shape {values.shape}, expected ({count}, "
                f"{', '.join(map(str, shape))})"
            )
        if item.packing == "bits":
            return np.packbits(values, axis=-1)
        if item.packing == "codec":
            codes = values if encoded else self.header.codec.encode(values)
            return codes.reshape(-1, *entry)
        return self._convert(item, values)

    def _store_frames(self) -> None:
        for name, values in self._frames.take().items():
            self._append(name, values)

    def _length(self, name: str) -> int:
        return self._data[name].length if self._data else 0

    def _check_open(self) -> None:
        if self._file is None:
            raise StackError(f"{self.path}: not being written; use: with create_stack(...)")

    def _finish(self) -> None:
        """Check that the stack is complete, write the rest, and give the file its name."""
        self._store_frames()
        if self.num_frames < 2:
            raise StackError(f"{self.path}: got {self.num_frames} frames, expected at least 2")
        for item in self.items:
            expected = item.length(self.header.size, self.num_frames)
            if expected not in (None, self._length(item.name)):
                raise StackError(
                    f"{self.path}: got {self._length(item.name)} entries of {item.name} for "
                    f"{self.num_frames} frames, expected {expected}"
                )
        with self._writing():
            self._complete()
            self._part.publish()

    def _complete(self) -> None:
        """Write the final header and digests, close the HDF5 file and append the index."""
        assert self._file is not None
        file, self.header = self._file, self.losses.final_header(self.num_fields)
        for data in self._data.values():
            data.finish()
        digests = {name: data.digest for name, data in self._data.items()}
        update_header(file, self.header)
        describe_items(file, self.header, digests)
        name_dimensions(file, list(self.items))
        file.flush()
        stored = {
            name: Stored(data.item, data.shape, data.digest, data.blocks())
            for name, data in self._data.items()
        }
        file.close()
        start = self._part.seek(0, 2)
        structure = self._digest_structure(stored, start)
        index = Index(self.header, self.outputs, stored, structure, start)
        self._part.seek(start)
        self._part.write(index.encode())

    def _digest_structure(self, stored: dict[str, Stored], start: int) -> str:
        digest = digest_of()
        for first, last in gaps([item.blocks for item in stored.values()], start):
            self._part.seek(first)
            digest.update(self._part.read(last - first))
        return digest.hexdigest()

    def _abandon(self) -> None:
        """Close and remove the part file, unless it was published."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
        self._part.discard()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Convert errors of HDF5, of the system and of the part file to a `StackError`."""
        try:
            yield
            if self._part.failure is not None:
                raise self._part.failure
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise StackError(f"{self.path}: cannot write: {reason}") from error
