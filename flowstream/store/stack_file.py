"""Stack file that is opened on demand, in any process and thread, and again after `close`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from flowstream.errors import ParameterError, StackError
from flowstream.store.header import Header
from flowstream.store.items import ITEMS
from flowstream.store.opening import OpenedFile, Region

if TYPE_CHECKING:
    from typing_extensions import Self


class StackFile:
    """Items of a stack file by name; the file is opened again if it is read after `close`.

    Attributes
    ----------
    path : Path
    header : Header
        Source and settings of the stack.
    outputs : frozenset of str
        Optional outputs in the stack.
    num_frames : int
    digest : str
        Identifier of the content of the file, 32 hexadecimal digits.

    Notes
    -----
    The attributes are available after `close`, which releases the file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        opened = OpenedFile(self.path)
        self._opened: OpenedFile | None = opened
        self._stamp = opened.stamp
        self.header: Header = opened.index.header
        self.outputs: frozenset[str] = opened.index.outputs
        self.num_frames: int = opened.index.num_frames
        self.digest: str = opened.index.digest

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in self.__dict__.items() if name != "_image_ends"}
        return {**kept, "_opened": None}

    def close(self) -> None:
        """Release the file."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()
        self.__dict__.pop("_image_ends", None)

    def is_unchanged(self) -> bool:
        """Return whether the file is known to be the one that was read; False if unsure.

        Compares the length, the modification time and the inode number. A stack in a pack is never
        known to be unchanged.
        """
        try:
            found = os.stat(self.path)
        except OSError:
            return False
        return self._stamp == (found.st_size, found.st_mtime_ns, found.st_ino)

    def read(
        self,
        name: str,
        start: int = 0,
        stop: int | None = None,
        *,
        region: Region | None = None,
    ) -> NDArray[Any]:
        """Return entries `start` to `stop` of an item as stored; all by default.

        If `region`, two slices, is given, only these rows and columns of fields are returned.

        Raises
        ------
        ParameterError
            If the item has no such entries.
        StackError
            If the stack does not have the item, or the item is damaged.
        """
        opened, stop = self._find(name, start, stop)
        return opened.read(name, start, stop, region=region)

    def _find(self, name: str, start: int, stop: int | None) -> tuple[OpenedFile, int]:
        """Return the open file and the last entry, after checking that the item has them."""
        opened = self.open_file()
        if name not in opened.index.items:
            option = ITEMS[name].option if name in ITEMS else ""
            hint = f"; extract it again with {option}" if option else ""
            raise StackError(f"{self.path}: holds no {name}{hint}")
        length = opened.index.items[name].shape[0]
        stop = length if stop is None else stop
        if not 0 <= start <= stop <= length:
            raise ParameterError(
                f"{self.path}: got entries {start} to {stop} of {name}, expected 0 to {length}"
            )
        return opened, stop

    def open_file(self) -> OpenedFile:
        """Return the open file, opened again if it was closed.

        Raises
        ------
        StackError
            If the file cannot be read, or was replaced by another stack.
        """
        opened = self._opened
        if opened is None:
            opened = OpenedFile(self.path)
            if opened.stamp != self._stamp and opened.index.digest != self.digest:
                opened.close()
                raise StackError(f"{self.path}: was replaced since it was opened; open it again")
            self._opened, self._stamp = opened, opened.stamp
        return opened
