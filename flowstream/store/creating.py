"""Creation of a stack file."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from pathlib import Path

from flowstream.errors import ParameterError
from flowstream.store import COMPRESSIONS
from flowstream.store.header import Header
from flowstream.store.items import items_of
from flowstream.store.writer import StackWriter


def create_stack(
    path: str | Path, header: Header, *, outputs: Collection[str] = ("rgb",)
) -> StackWriter:
    """Return a writer of one stack file, for use in a `with` statement.

    The file is written to `PATH.part`. At the end of the block it is checked, flushed to the disk
    and renamed; after an exception it is removed. An existing file at `path` and an old part file
    are replaced; missing directories are created.

    Parameters
    ----------
    path : str or Path
    header : Header
        Values that are known before the flow is written; the writer adds the losses of the codec.
    outputs : names
        Optional outputs of the stack; see `flowstream.store.items`.

    Raises
    ------
    ParameterError, UnknownNameError
        If an output or the compression is unknown, or "camera" is given without a stabiliser. The
        writer itself raises `StackError` if the file cannot be written or is incomplete at the end
        of the block.
    """
    COMPRESSIONS[header.compression]
    backward = 0.0 if "backward" in outputs else None
    header = dataclasses.replace(header, clipped=0.0, clipped_backward=backward)
    if ("camera" in outputs) != (header.stabiliser is not None):
        raise ParameterError(
            f"{path}: outputs are {sorted(outputs)}, expected 'camera' with a stabiliser and only "
            f"then; got stabiliser {header.stabiliser}"
        )
    return StackWriter(Path(path), header, items=tuple(items_of(outputs)))
